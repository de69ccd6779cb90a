"""The one loop that trains every method: a batch, a loss, a step.

    for each epoch of each phase
        the method prepares
        for each batch:  rate <- schedule;  loss <- method;  gradients, averaged over ranks;  step
        validate;  write examples and metrics, and every minute a checkpoint

Nothing in a step waits for the device. A checkpoint holds the whole state, so a killed run goes on
to the same numbers, on the CPU to the bit. SIGTERM and Ctrl-C save in the middle of an epoch;
several processes finish their epoch first.
"""

import math
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from cnlw_tools.executor import Progress
from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.files.untrusted import describe_error
from cnlw_tools.methods import Batch, Method, Phase
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.batchnorm import uncounted_batches
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.recipe.run_files import find_best_epoch
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer import oom
from cnlw_tools.trainer.batches import BatchLoader, shuffle
from cnlw_tools.trainer.checkpoint import checkpoint_mismatch
from cnlw_tools.trainer.errors import NonfinitePredictions, TrainingStopped
from cnlw_tools.trainer.evaluate import (
    confusion_matrix,
    evaluation_splits,
    predict_split,
    validation_accuracies,
)
from cnlw_tools.trainer.graph import GradientGraph
from cnlw_tools.trainer.optimiser import EMA, build_optimiser
from cnlw_tools.trainer.run import Metrics, RunWriter
from cnlw_tools.trainer.schedule import Schedule, parse_schedule, with_warmup
from cnlw_tools.trainer.tensorboard import TensorBoardWriter

StateDict = dict[str, Tensor]

# At least so far apart are checkpoints but the first, the last and that of a signal: one of 90 MB
# takes up to half a second, and an epoch may take two. A killed run repeats what lies behind it.
CHECKPOINT_SECONDS = 60
DIVERGENCE_FACTOR = 100  # a loss this many times that of the first epoch is divergence
# So is a first epoch's loss this many times that of guessing. Losses may be sums over a batch.
FIRST_DIVERGENCE_FACTOR = 1000


class TrainingLoop:
    """A method in training, and all of its state that changes on the way.

    Args:
        method: on the device, with new weights
        preset: how to train
        loaders: by split; `train` is trained on
        run: where to write; its checkpoint, if it has one, is restored
        seed: of order, augmentation and torch's generators
        uses_graph: whether steps are repeated as a CUDA graph
    """

    optimiser: Optimizer  # of the phase
    lr_schedule: Schedule  # of the phase
    artifacts: StateDict  # tensors of the epoch that the run stores, for the report

    def __init__(
        self,
        method: Method,
        preset: Preset,
        loaders: dict[str, BatchLoader],
        run: RunWriter,
        seed: int,
        uses_graph: bool = False,
    ) -> None:
        self.method = method
        self.preset = preset
        self.loaders = loaders
        self.run = run
        self.seed = seed
        self.train_loader = loaders["train"]
        self.device = self.train_loader.device
        self.phase_of_epoch = _phase_of_epoch(method.phases())
        self.n_epochs = len(self.phase_of_epoch)
        self.epoch = 0  # epochs done, of all phases
        self.step = 0  # steps done, of this epoch
        self.history: list[Metrics] = []
        self.positions = self._all_positions()  # of the examples that this phase trains on
        # From what phases restart: the networks before training and at the end of phases.
        self.phase_checkpoints: dict[str | int, StateDict] = {"init": _network_state(method)}
        self.ema: EMA | None = None
        self.graph = GradientGraph(self._compute_gradients) if uses_graph else None
        self.step_losses = torch.zeros(0, device=self.device)  # of this epoch, (steps,)
        self.saved_at = -math.inf  # seconds of a clock, when the last checkpoint was written
        if run.restored_state is not None:
            self._restore(run.restored_state)

    def fit(self, progress: Progress, on_epoch: Callable[[Metrics], None]) -> Metrics:
        """Train to the end and return the summary of validation.

        Args:
            progress: called with the epoch, the steps done and the steps in all
            on_epoch: called with the metrics of every epoch

        Raises:
            TrainingStopped: a signal asked for it; the checkpoint is written
            ValueError: the loss or a prediction is not finite, or the loss is far too large
            OSError: the device has no memory for a batch, or the disk no room for the checkpoint
        """
        tensorboard = TensorBoardWriter(self.run.folder / "tensorboard", self.epoch)
        with (
            StopRequest() as stop,
            closing(self.run),
            self.run.discard_on_failure(),
            closing(tensorboard),
        ):
            while self.epoch < self.n_epochs:
                begin = time.monotonic()
                if self.step == 0:
                    self._begin_epoch()
                self._train_epoch(stop, progress)
                metrics = self._evaluate_epoch()
                metrics["seconds"] = round(time.monotonic() - begin, 3)
                metrics["peak_mb"] = oom.peak_memory(self.device) // 2**20
                self.history.append(metrics)
                self._write_epoch()
                tensorboard.add_metrics(metrics)
                on_epoch(metrics)
                self._stop_after_epoch(stop)
            self.method.eval()
            return self.run.write_result(self.history, self.method.reported_epochs())

    def _begin_epoch(self) -> None:
        """Seed the epoch, begin a phase if this is its first epoch, and call the method's hook."""
        devices.seed_rng(self.seed, self.epoch)
        self.method.eval()  # the state after validation, for a loaded checkpoint too
        phase, epoch_in_phase = self.phase_of_epoch[self.epoch]
        if epoch_in_phase == 0:
            self._begin_phase(phase)
        self.method.begin_epoch(self.epoch, self.train_loader.iterate_dataset)

    def _begin_phase(self, phase: int) -> None:
        """Let the method choose examples, restart the networks, and build the optimiser."""
        positions = self.method.begin_phase(phase, self.train_loader.iterate_dataset)
        restart = self._current_phase().restart
        if restart != "keep":
            self.method.load_state_dict(self.phase_checkpoints[restart], strict=False)
        self.positions = self._all_positions() if positions is None else positions.cpu()
        self._build_optimiser()  # last: the average of weights begins with what the phase has set

    def _build_optimiser(self) -> None:
        """Build the optimiser, the schedule and the average of weights of a phase."""
        phase = self._current_phase()
        self.optimiser = build_optimiser(self.method, self.preset, phase.lr_factor)
        self.method.optimiser = self.optimiser
        schedule = parse_schedule(phase.schedule or self.preset.schedule)
        self.lr_schedule = with_warmup(schedule, self.preset.warmup)
        self.ema = None
        if self.preset.ema:
            parameters = dict[str, Tensor]()
            for name, parameter in self.method.named_parameters():
                if parameter.requires_grad:
                    parameters[name] = parameter
            self.ema = EMA(parameters, self.preset.ema)

    def _train_epoch(self, stop: StopRequest, progress: Progress) -> None:
        """Train on the remaining batches of an epoch."""
        chunks = self._batch_positions()
        if self.step == 0:
            self.step_losses = torch.zeros(len(chunks), device=self.device)
        local_chunks = [distributed.local_rows(chunk) for chunk in chunks[self.step :]]
        self.method.train()
        with uncounted_batches(self.method):
            for batch in self.train_loader.batches(local_chunks, self.method.views, self.epoch):
                self._advance_schedules(self.step / len(chunks))
                self._train_batch(batch)
                progress(f"epoch {self.epoch + 1}/{self.n_epochs}", self.step, len(chunks))
                if stop.signal and not distributed.is_distributed():
                    break
        if stop.signal and self.step < len(chunks):
            self._write_checkpoint()
            message = f"{self.run.place}: saved in epoch {self.epoch + 1}: --resume continues"
            raise TrainingStopped(message, stop.signal)
        self.step = 0

    def _advance_schedules(self, epoch_share: float) -> None:
        """Set the learning rate of the next step and the progress of the method.

        Args:
            epoch_share: share of the epoch that is done
        """
        _, epoch_in_phase = self.phase_of_epoch[self.epoch]
        factor = self.lr_schedule(epoch_in_phase + epoch_share, self._current_phase().epochs)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor
        self.method.progress = (self.epoch + epoch_share) / self.n_epochs

    def _train_batch(self, batch: Batch) -> None:
        """Take a step, or raise OSError with a batch size that would fit into memory."""
        if oom.step_fits(self._take_step, batch):
            return
        n_examples = distributed.world_size() * len(batch.y)
        remedy = oom.suggest_batch_size(
            self._take_step, batch, self._current_phase().batch_size_factor
        )
        raise OSError(f"{self.device} has not enough memory for a batch of {n_examples}: {remedy}")

    def _take_step(self, batch: Batch) -> None:
        """Take one optimiser step."""
        if self.graph is None:
            loss = self._compute_gradients(batch)
        else:
            counts_percents = self.method.repeats_within == "percent"
            percent = int(100 * self.method.progress) if counts_percents else 0
            loss = self.graph(batch, (self.epoch, percent))
        gradients = [p.grad for p in self.method.parameters() if p.grad is not None]
        distributed.average_over_ranks(gradients)
        self.optimiser.step()
        self.method.after_step()
        if self.ema:
            self.ema.update()
        self.step_losses[self.step] = loss
        self.step += 1

    def _compute_gradients(self, batch: Batch) -> Tensor:
        """Set the gradients of all parameters, and return the loss."""
        self.optimiser.zero_grad(set_to_none=True)
        with devices.autocast(self.device):
            loss = self.method.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _evaluate_epoch(self) -> Metrics:
        """Return the metrics of the epoch just trained; after the last one, finish the method."""
        losses = self.step_losses.cpu().numpy()
        total = np.add.accumulate(losses)[-1]  # in the order of the steps
        mean_loss = torch.tensor(total / len(losses), device=self.device)
        distributed.average_over_ranks([mean_loss])
        metrics: Metrics = {"epoch": self.epoch + 1, "train_loss": float(mean_loss)}
        self._check_loss(metrics["train_loss"], losses)
        # Each rank has running statistics of its own share of the batches.
        distributed.broadcast_from_rank_zero(_running_statistics(self.method))
        try:
            with self._validated_weights():
                metrics |= self._validate()
                self._keep_best(metrics)
        except NonfinitePredictions as error:
            place = f"epoch {self.epoch + 1}: {error}"
            raise ValueError(f"{place}{self._kept_epochs()}") from error
        metrics["lr"] = self.optimiser.param_groups[0]["lr"]
        return metrics

    def _validated_weights(self) -> AbstractContextManager[None]:
        """Put the averages of weights in, if there are any, for as long as the context lasts.

        After the last epoch they stay: what is handed out is what was validated.
        """
        if self.ema is None:
            return nullcontext()
        if not self._is_last_epoch():
            return self.ema.swap_in()
        self.ema.adopt()
        return nullcontext()

    def _validate(self) -> Metrics:
        """Return the accuracies and keep the artifacts; after the last epoch, finish training."""
        if self._is_last_epoch():
            self._finish_training()
        accuracies: Metrics = validation_accuracies(self.method, self.loaders)
        self.artifacts = self.method.epoch_artifacts()
        if "transition" in self.artifacts:
            confusion = confusion_matrix(self.method, self.loaders["validation"])
            self.artifacts["confusion"] = confusion
        return accuracies

    def _keep_best(self, metrics: Metrics) -> None:
        """Write the weights that were validated, if asked to and if no epoch before was better."""
        if not self.run.keeps_best:
            return
        if self._best_epoch([*self.history, metrics]) == metrics["epoch"]:
            state = {"epoch": metrics["epoch"], "val_top1": metrics["val_top1"]}
            self.run.write_best_weights({**state, "method": self.method.state_dict()})
            self.saved_at = -math.inf  # the checkpoint has to know of them

    def _best_epoch(self, history: list[Metrics]) -> int | None:
        return find_best_epoch(history, self.n_epochs, self.method.reported_epochs())

    def _is_last_epoch(self) -> bool:
        return self.epoch + 1 == self.n_epochs

    def _check_loss(self, loss: float, step_losses: NDArray[np.float32]) -> None:
        """Raise if the mean loss of an epoch is not finite, or far above that of the first.

        The first is compared with the cross-entropy of guessing, log K.
        """
        if self.history:
            limit = DIVERGENCE_FACTOR * max(self.history[0]["train_loss"], 1.0)
        else:
            n_classes = len(self.train_loader.split.class_names)
            limit = FIRST_DIVERGENCE_FACTOR * max(math.log(n_classes), 1.0)
        if math.isfinite(loss) and loss <= limit:
            return
        is_nonfinite = ~np.isfinite(step_losses)
        since = f", since step {is_nonfinite.argmax() + 1}" if is_nonfinite.any() else ""
        raise ValueError(
            f"the loss is {loss:g} in epoch {self.epoch + 1}{since}: "
            f"try a lower --lr (it is {self.preset.lr:g}) or a warmup in the preset"
            f"{self._kept_epochs()}"
        )

    def _kept_epochs(self) -> str:
        """Say, at the end of an error, where the epochs before this one are."""
        return f"; {self.run.place} holds the epochs before" if self.history else ""

    def _finish_training(self) -> None:
        """Let the method fit what it fits after training, and write predictions."""
        self.method.finish(self.train_loader.iterate_dataset)
        predictions = {}
        for name in evaluation_splits(self.loaders):
            predictions[name] = predict_split(self.method, self.loaders[name])
        self.run.write_predictions(predictions)

    def _write_epoch(self) -> None:
        """Write the epoch to the run: examples and artifacts, the checkpoint if due, metrics."""
        example_columns = self._collect_examples()
        self._keep_networks_of_phase()
        self.epoch += 1
        self.run.write_examples(self.epoch, self.train_loader.split.rows, example_columns)
        self.run.write_artifacts(self.epoch, self.artifacts)
        is_due = time.monotonic() - self.saved_at >= CHECKPOINT_SECONDS
        if is_due or self.epoch == self.n_epochs:
            self._write_checkpoint()
        self.run.write_metrics(self.history)

    def _write_checkpoint(self) -> None:
        self.run.write_checkpoint(self._checkpoint_state())
        self.saved_at = time.monotonic()

    def _collect_examples(self) -> StateDict:
        """Return what all ranks logged about each example, (n,) each, and clear the logs."""
        logs = {
            "loss": self.method.example_losses,
            "weight": self.method.example_weights,
            "own": self.method.uses_given_label,
        }
        merged = {name: distributed.merge_ranks(log) for name, log in logs.items()}
        for log in logs.values():
            log.fill_(torch.nan)
        return merged

    def _keep_networks_of_phase(self) -> None:
        """Keep the networks at the end of a phase if a phase restarts from them."""
        phase, epoch_in_phase = self.phase_of_epoch[self.epoch]
        is_last_epoch = epoch_in_phase + 1 == self._current_phase().epochs
        if is_last_epoch and any(p.restart == phase for p in self.method.phases()):
            self.phase_checkpoints[phase] = _network_state(self.method)

    def _stop_after_epoch(self, stop: StopRequest) -> None:
        """Raise if a signal asked any rank to stop and there are epochs left."""
        is_asked = distributed.any_rank(bool(stop.signal), self.device)
        if is_asked and self.epoch < self.n_epochs:
            self._write_checkpoint()
            message = f"{self.run.place}: saved after epoch {self.epoch}: --resume continues"
            # Another rank alone may have received the signal.
            raise TrainingStopped(message, stop.signal or signal.SIGTERM)

    def _current_phase(self) -> Phase:
        """Return the phase of the current epoch."""
        phase, _ = self.phase_of_epoch[self.epoch]
        return self.method.phases()[phase]

    def _all_positions(self) -> Tensor:
        return torch.arange(len(self.train_loader.labels))

    def _batch_positions(self) -> list[Tensor]:
        """Return the positions of each batch of the epoch, on the host.

        Examples that do not fill a batch are left out. A batch is a multiple of the ranks, so that
        all have parts of one size. If a method chose fewer examples, they are one batch.
        """
        n_ranks = distributed.world_size()
        batch_size = round(self.preset.batch_size * self._current_phase().batch_size_factor)
        batch_size = min(len(self.positions), max(n_ranks, batch_size))
        batch_size = batch_size // n_ranks * n_ranks
        if batch_size == 0:
            raise ValueError(
                f"there are {len(self.positions)} examples to train on, fewer than the "
                f"{n_ranks} processes: "
                f"start fewer processes, or let the method choose more examples"
            )
        shuffled = shuffle(self.positions.numpy(), self.seed, self.epoch)
        n_batches = len(shuffled) // batch_size
        return list(torch.split(shuffled[: n_batches * batch_size], batch_size))

    def _checkpoint_state(self) -> dict[str, Any]:
        """Return the state of training, for a checkpoint."""
        phase_checkpoints = dict(self.phase_checkpoints)
        del phase_checkpoints["init"]  # follows from the seed
        return {
            "epoch": self.epoch,
            "step": self.step,
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "positions": self.positions,
            "phase_checkpoints": phase_checkpoints,
            "rng_state": devices.rng_state(self.device),
            "step_losses": self.step_losses,
            "history": self.history,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that `_state` returned; refuse that of another version."""
        mismatch = checkpoint_mismatch(state, self.method.state_dict(), self.n_epochs)
        if mismatch:
            self.run.refuse_checkpoint(mismatch)
        self.epoch = state["epoch"]
        self.step = state["step"]
        self.history = state["history"]
        if self.run.keeps_best:
            self.run.check_best_weights(self._best_epoch(self.history))
        self.positions = state["positions"]
        self.phase_checkpoints |= state["phase_checkpoints"]
        self.step_losses = state["step_losses"].to(self.device)
        self.method.load_state_dict(state["method"])
        if self.epoch < self.n_epochs:
            self._restore_optimiser(state)
        self.run.write_config()
        self.run.write_metrics(
            self.history
        )  # a killed run may have one line too many, or one too few

    def _restore_optimiser(self, state: dict[str, Any]) -> None:
        """Restore the optimiser and torch's generators.

        A phase that is about to begin starts without momentum and average.
        """
        self._build_optimiser()
        _, epoch_in_phase = self.phase_of_epoch[self.epoch]
        if epoch_in_phase > 0 or self.step > 0:
            try:
                self.optimiser.load_state_dict(state["optimiser"])
                if self.ema:
                    self.ema.load_state_dict(state["ema"])
            except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
                self.run.refuse_checkpoint(f"optimiser or average: {describe_error(error)}")
        devices.restore_rng_state(state["rng_state"], self.device)


def _phase_of_epoch(phases: list[Phase]) -> list[tuple[int, int]]:
    """Return for each epoch of training its phase and its number within the phase."""
    epochs = []
    for i, phase in enumerate(phases):
        for epoch_in_phase in range(phase.epochs):
            epochs.append((i, epoch_in_phase))
    return epochs


def _network_state(method: Method) -> StateDict:
    """Return a copy of the state of the method's modules, without the method's own tensors."""
    state = {}
    for name, value in method.state_dict().items():
        if "." in name:
            state[name] = value.clone()
    return state


def _running_statistics(method: Method) -> list[Tensor]:
    """Return the running means and variances of batch normalisation."""
    statistics = []
    for name, buffer in method.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            statistics.append(buffer)
    return statistics
