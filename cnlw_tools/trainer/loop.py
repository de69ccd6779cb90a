"""The one loop that trains every method: a batch, a loss, a step.

    for each epoch of each phase
        the method gets ready
        for each batch:  rate <- schedule;  loss <- method;  gradients, averaged over ranks;  step
        validate;  write examples, checkpoint, metrics

Nothing in a step waits for the device. A checkpoint holds everything, so a killed run goes on to the same numbers:
on the CPU to the bit. SIGTERM and Ctrl-C save in the middle of an epoch; several processes finish theirs.
"""

import math
import signal
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from typing import Any

import torch
from torch.optim import Optimizer

from cnlw_tools.executor import Progress
from cnlw_tools.executor.signals import Stop
from cnlw_tools.methods import Batch, Method, Phase
from cnlw_tools.methods.components import distributed
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer import oom, schedule
from cnlw_tools.trainer.batches import BatchLoader, shuffle
from cnlw_tools.trainer.checkpoint import checkpoint_mismatch
from cnlw_tools.trainer.errors import TrainingStopped
from cnlw_tools.trainer.evaluate import (
    confusion_matrix,
    evaluation_splits,
    predict_split,
    validation_accuracies,
)
from cnlw_tools.trainer.optimiser import EMA, build_optimiser
from cnlw_tools.trainer.run import Metrics, Run
from cnlw_tools.trainer.tensorboard import TensorBoardWriter

State = dict[str, torch.Tensor]
MAD = 100  # times the first epoch's loss: from there on it is divergence


class Loop:
    """A method in training: how far it is, and all that changes on the way."""

    optimiser: Optimizer
    rate: schedule.Schedule
    kept: State  # arrays of the epoch, for the report

    def __init__(
        self, method: Method, preset: Preset, loaders: dict[str, BatchLoader], run: Run, seed: int
    ) -> None:
        self.method, self.preset, self.loaders, self.run, self.seed = (
            method,
            preset,
            loaders,
            run,
            seed,
        )
        self.train = loaders["train"]
        self.device = self.train.device
        self.stages = [
            (p, e) for p, phase in enumerate(method.phases()) for e in range(phase.epochs)
        ]
        self.epoch, self.step = 0, 0  # done: epochs of all phases, steps of this one
        self.history: list[Metrics] = []
        self.rows = torch.arange(len(self.train.labels))  # positions that this phase trains on
        self.ends: dict[str | int, State] = {"init": _networks(method)}  # what phases restart from
        self.average: EMA | None = None
        self.lost = torch.zeros((), device=self.device)  # sum of losses in this epoch
        self.bad = torch.full((), -1, device=self.device)  # first step whose loss was no number
        if run.state is not None:
            self._restore(run.state)

    def fit(self, tell: Progress, each: Callable[[Metrics], None]) -> Metrics:
        """Train to the end and return what validation says; ``each`` is told the metrics of every epoch.

        Raises:
            TrainingStopped: a signal asked for it; the checkpoint is written
            ValueError: the loss is no number any more
            OSError: the device has no room for such a batch, or the disk for the checkpoint
        """
        board = TensorBoardWriter(self.run.folder / "tensorboard", self.epoch)
        with Stop() as stop, closing(self.run), closing(board):
            while self.epoch < len(self.stages):
                begun = time.monotonic()
                if self.step == 0:
                    self._get_ready()
                self._epoch(stop, tell)
                self.history.append(self._measure(begun))
                self._close()
                board.add_metrics(self.history[-1])
                each(self.history[-1])
                if distributed.any_rank(bool(stop.asked), self.device) and self.epoch < len(
                    self.stages
                ):
                    said = f"{self.run.folder}: saved after epoch {self.epoch}: --resume goes on"
                    raise TrainingStopped(
                        said, stop.asked or signal.SIGTERM
                    )  # another rank may have heard it alone
            return self.run.result(self.history)

    def _get_ready(self) -> None:
        """Seed the epoch; begin the phase if it is its first; let the method prepare."""
        devices.seed_rng(self.seed, self.epoch)
        self.method.eval()  # whether it has just been validated or comes from a checkpoint
        phase, epoch = self.stages[self.epoch]
        if epoch == 0:
            chosen = self.method.begin_phase(phase, self.train.iterate_dataset)
            if self._phase().restart != "keep":
                self.method.load_state_dict(self.ends[self._phase().restart], strict=False)
            self.rows = torch.arange(len(self.train.labels)) if chosen is None else chosen.cpu()
            self._arm()  # behind what the phase has set: the average begins with it
        self.method.begin_epoch(self.epoch, self.train.iterate_dataset)

    def _arm(self) -> None:
        """Make the optimiser, the schedule and the average of a phase."""
        phase = self._phase()
        self.optimiser = self.method.optimiser = build_optimiser(
            self.method, self.preset, phase.lr_factor
        )
        self.rate = schedule.with_warmup(
            schedule.parse_schedule(phase.schedule or self.preset.schedule), self.preset.warmup
        )
        learned: list[torch.Tensor] = [p for p in self.method.parameters() if p.requires_grad]
        self.average = EMA(learned, self.preset.ema) if self.preset.ema else None

    def _epoch(self, stop: Stop, tell: Progress) -> None:
        """Step through the rest of an epoch."""
        _, epoch = self.stages[self.epoch]
        length, chunks = self._phase().epochs, self._chunks()
        self.method.train()
        mine = [distributed.local_rows(chunk) for chunk in chunks[self.step :]]
        for batch in self.train.batches(mine, self.method.views, self.epoch):
            done = self.step / len(chunks)
            for group in self.optimiser.param_groups:
                group["lr"] = group["base_lr"] * self.rate(epoch + done, length)
            self.method.progress = (self.epoch + done) / len(self.stages)
            self._try(batch)
            tell(f"epoch {self.epoch + 1:3}", self.step, len(chunks))
            if stop.asked and not distributed.is_distributed():
                self.run.save(self._state())
                raise TrainingStopped(
                    f"{self.run.folder}: saved in epoch {self.epoch + 1}: --resume goes on",
                    stop.asked,
                )
        self.lost, self.step = self.lost / len(chunks), 0

    def _try(self, batch: Batch) -> None:
        """Step, or say which batch would have fitted."""
        if not oom.step_fits(self._step, batch):
            remedy = oom.suggest_batch_size(self._step, batch, self._phase().batch_size_factor)
            raise OSError(
                f"{self.device} has no room for a batch of {distributed.world_size() * len(batch.y)}: {remedy}"
            )

    def _step(self, batch: Batch) -> None:
        with devices.autocast(self.device):
            loss = self.method.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        distributed.average_over_ranks(
            [p.grad for p in self.method.parameters() if p.grad is not None]
        )
        self.optimiser.step()
        self.method.after_step()
        if self.average:
            self.average.update()
        self.lost += loss.detach()
        self.bad = torch.where((self.bad < 0) & ~loss.detach().isfinite(), self.step, self.bad)
        self.step += 1

    def _measure(self, begun: float) -> Metrics:
        """Return the metrics of the epoch that was just trained; after the last one, finish the method first."""
        distributed.average_over_ranks([self.lost])
        line: Metrics = {"epoch": self.epoch + 1, "train_loss": float(self.lost)}
        self._check(line["train_loss"])
        running = (
            b
            for name, b in self.method.named_buffers()
            if name.endswith(("running_mean", "running_var"))
        )
        distributed.broadcast_from_rank_zero(
            list(running)
        )  # averages of batch normalisation: each rank has taken them of its own share
        with self.average.swap_in() if self.average else nullcontext():
            if self.epoch + 1 == len(self.stages):
                self.method.finish(
                    self.train.iterate_dataset
                )  # what is fitted is validated with these weights
                self.run.predictions(
                    {
                        name: predict_split(self.method, self.loaders[name])
                        for name in evaluation_splits(self.loaders)
                    }
                )
            line |= validation_accuracies(self.method, self.loaders)
            self.kept = self.method.epoch_artifacts()
            if "transition" in self.kept:
                self.kept["confusion"] = confusion_matrix(self.method, self.loaders["validation"])
        line["lr"] = self.optimiser.param_groups[0]["lr"]
        return line | {
            "seconds": round(time.monotonic() - begun, 3),
            "peak_mb": oom.peak_memory(self.device) // 2**20,
        }

    def _check(self, loss: float) -> None:
        """Raise if the loss of an epoch is no number, or far above that of the first."""
        first = self.history[0]["train_loss"] if self.history else loss
        if math.isfinite(loss) and loss <= MAD * max(first, 1.0):
            return
        since = f", since step {int(self.bad) + 1}" if self.bad >= 0 else ""
        raise ValueError(
            f"the loss is {loss:g} in epoch {self.epoch + 1}{since}: try a lower --lr (it is {self.preset.lr:g}) or a "
            f"warmup in the preset; {self.run.folder} holds the epochs before"
        )

    def _close(self) -> None:
        """Write down the epoch: examples first, the checkpoint, then what is made of it."""
        seen = {
            "loss": self.method.example_losses,
            "weight": self.method.example_weights,
            "own": self.method.uses_given_label,
        }
        noted = {name: distributed.merge_ranks(value) for name, value in seen.items()}
        for value in seen.values():
            value.fill_(torch.nan)
        phase, epoch = self.stages[self.epoch]
        if epoch + 1 == self._phase().epochs and any(
            later.restart == phase for later in self.method.phases()
        ):
            self.ends[phase] = _networks(self.method)
        self.epoch, self.lost = self.epoch + 1, torch.zeros_like(self.lost)
        self.run.examples(self.epoch, self.train.split.rows, noted)
        self.run.kept(self.epoch, self.kept)
        self.run.save(self._state())
        self.run.metrics(self.history)

    def _phase(self) -> Phase:
        return self.method.phases()[self.stages[self.epoch][0]]

    def _chunks(self) -> list[torch.Tensor]:
        """Return the positions of every batch of the epoch, on the host; a rest that fills none waits for the next.

        A batch is a multiple of the ranks, so that their parts are alike. What a method chose may be less than a batch.
        """
        many = distributed.world_size()
        size = (
            min(
                len(self.rows),
                max(many, round(self.preset.batch_size * self._phase().batch_size_factor)),
            )
            // many
            * many
        )
        if not size:
            short = f"{len(self.rows)} examples to train on for {many} processes"
            raise ValueError(
                f"{short}: start fewer processes, or let the method choose more examples"
            )
        shuffled = shuffle(self.rows.numpy(), self.seed, self.epoch)
        return [shuffled[i : i + size] for i in range(0, len(shuffled) - size + 1, size)]

    def _state(self) -> dict[str, Any]:
        """Return all that going on takes."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "rows": self.rows,
            "ends": {phase: state for phase, state in self.ends.items() if phase != "init"},
            "draws": devices.rng_state(self.device),
            "lost": self.lost,
            "bad": self.bad,
            "history": self.history,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from what `_state` returned, if it was this version of it."""
        if why := checkpoint_mismatch(state, self.method.state_dict(), len(self.stages)):
            self.run.refuse(why)
        self.epoch, self.step, self.history = state["epoch"], state["step"], state["history"]
        self.rows, self.ends = state["rows"], self.ends | state["ends"]
        self.lost, self.bad = state["lost"].to(self.device), state["bad"].to(self.device)
        self.method.load_state_dict(state["method"])
        if self.epoch < len(self.stages):
            self._rearm(state)
        self.run.begin()
        self.run.metrics(self.history)  # a killed run may have left a line too many, or one too few

    def _rearm(self, state: dict[str, Any]) -> None:
        """Go on in the middle of a phase; one that begins has neither momentum nor average."""
        self._arm()
        if self.stages[self.epoch][1] or self.step:
            try:
                self.optimiser.load_state_dict(state["optimiser"])
            except ValueError as error:  # other groups of parameters
                self.run.refuse(f"optimiser: {error}")
            if self.average:
                self.average.load_state_dict(state["average"])
        devices.restore_rng_state(state["draws"], self.device)


def _networks(method: Method) -> State:
    """Return a copy of what the method's modules hold, its own parameters and buffers left out."""
    return {name: value.clone() for name, value in method.state_dict().items() if "." in name}
