"""The loop: how it calls a method, and that a resumed run goes on to the same numbers."""

import itertools
import json
import math
import os
import signal
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools import prng as host_prng
from cnlw_tools.methods import Method, Phase
from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.trainer import TrainingStopped, loop
from cnlw_tools.trainer.run import RunWriter


class Recorder(Vanilla):
    """Records the calls of the trainer."""

    calls: list[str]

    def __init__(self, task):
        super().__init__(task)
        self.calls, self.shares = [], []

    def phases(self):
        return [
            Phase(1),
            Phase(2, schedule="constant", lr_factor=0.5, batch_size_factor=2, restart="init"),
        ]

    def begin_phase(self, phase, train_batches):
        assert not self.training  # nor is a method that comes from a checkpoint
        self.calls.append(f"phase {phase}")
        return torch.arange(90) * 2 if phase else None

    def begin_epoch(self, epoch, train_batches):
        assert not self.training
        batches = list(train_batches())
        index = torch.cat([b.index for b in batches])
        assert torch.equal(index, torch.arange(self.task.n_examples))
        self.calls.append(f"epoch {epoch}")

    def loss(self, batch):
        self.calls.append(f"batch {len(batch.y)} at {self.optimiser.param_groups[0]['lr']:.4f}")
        self.shares.append(self.progress)
        if len(batch.y) == 60:
            assert (batch.index % 2 == 0).all()
        return super().loss(batch)

    def after_step(self):
        self.calls.append("stepped")

    def finish(self, train_batches):
        self.calls.append("finish")


class StepRecorder(Vanilla):
    """Keeps what each step has: batch, a random number, rate and mode; two phases of two epochs."""

    def __init__(self, task):
        super().__init__(task)
        self.batches, self.draws, self.rates, self.modes = [], [], [], []

    def phases(self):
        return [Phase(2), Phase(2, lr_factor=0.5)]

    def loss(self, batch):
        self.batches.append(batch)
        self.draws.append(torch.rand(()).item())
        self.rates.append(self.optimiser.param_groups[0]["lr"])
        self.modes.append(self.training)
        return super().loss(batch)


class Projected(Vanilla):
    """Projects its head to 0 after each step, and records the head that a validation sees."""

    def after_step(self):
        with torch.no_grad():
            self.net.head.weight.zero_()

    def predict(self, x):
        self.validated_weight = self.net.head.weight.clone()
        return super().predict(x)


class WeightRecorder(Vanilla):
    """Records the weights when training ends, and those that are validated."""

    def finish(self, train_batches):
        self.final_weight = self.net.head.weight.clone()

    def after_step(self):
        self.last_trained_weight = self.net.head.weight.clone()

    def predict(self, x):
        self.validated_weight = self.net.head.weight.clone()
        return super().predict(x)


class Restarts(Vanilla):
    """Restarts from the initial networks, then from the end of its first phase."""

    def __init__(self, task):
        super().__init__(task)
        self.register_buffer("steps", torch.zeros(()))
        self.ends, self.begins = [], []

    def phases(self):
        return [Phase(1), Phase(1, restart="init"), Phase(1, restart=0)]

    def begin_phase(self, phase, train_batches):
        self.ends.append(self.net.head.weight.detach().clone())

    def begin_epoch(self, epoch, train_batches):
        self.begins.append(self.net.head.weight.detach().clone())

    def after_step(self):
        self.steps += 1


class NotANumber(Vanilla):
    """Has losses of NaN from the second epoch on."""

    def loss(self, batch):
        return super().loss(batch) * (math.nan if self.progress > 0.4 else 1.0)


class Hungry(Vanilla):
    """Has no memory for more than eight images."""

    def loss(self, batch):
        if len(batch.y) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().loss(batch)


class Fuse:
    """How many steps are left until the signal; what an object holds is no code of a method."""

    def __init__(self):
        self.n_steps = 0


FUSE = Fuse()


class Terminated(Vanilla):
    """Receives SIGTERM in the middle of the second epoch, once."""

    def loss(self, batch):
        FUSE.n_steps -= 1
        if FUSE.n_steps == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().loss(batch)


def lines(folder):
    """Return the metrics of each epoch, without seconds and memory."""
    read = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {k: v for k, v in metrics.items() if k not in ("seconds", "peak_mb")} for metrics in read
    ]


def weights(folder):
    """Return the state of the method at the end."""
    return torch.load(folder / "checkpoint.pt", weights_only=True)["method"]


def assert_same_run(folder_a, folder_b):
    """Compare metrics, weights, examples and result of two runs, to the bit."""
    assert lines(folder_a) == lines(folder_b)
    for name, value in weights(folder_a).items():
        assert torch.equal(value.nan_to_num(9), weights(folder_b)[name].nan_to_num(9)), name
    assert pq.read_table(folder_a / "examples.parquet").equals(
        pq.read_table(folder_b / "examples.parquet")
    )
    assert (folder_a / "result.json").read_text() == (folder_b / "result.json").read_text()


def test_a_run_writes_its_files(make_trainer, tmp_path):
    """Config, metrics, result, checkpoint, examples, predictions and artifacts of the method."""
    result = make_trainer(method="noise_layer").fit()

    assert sorted(p.name for p in (tmp_path / "run").iterdir() if p.name != "tensorboard") == [
        "checkpoint.pt",
        "config.json",
        "confusion",
        "examples.parquet",
        "metrics.jsonl",
        "network_input.json",
        "predictions.parquet",
        "result.json",
        "transition",
    ]
    assert len(list((tmp_path / "run" / "transition").iterdir())) == 3
    assert list(lines(tmp_path / "run")[0]) == ["epoch", "train_loss", "val_top1", "val_top5", "lr"]
    assert len(lines(tmp_path / "run")) == 3
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["best"] >= result["last"]
    assert len(pq.read_table(tmp_path / "run" / "examples.parquet")) == 3 * 180


@pytest.mark.parametrize(
    ("method", "options", "n_reported"),
    [
        ("vanilla", {}, 5),
        ("forward", {}, 2),
        ("backward", {"first": 4, "q": "symmetric:0.4"}, 5),
        ("glc", {"first": 4}, 1),
        ("o2u", {"noise_rate": 0.4, "first": 1, "cyclic": 1}, 3),
        ("incv", {"iterations": 1, "validation": 0.8}, 1),
        ("curriculumnet", {"first": 2}, 1),
        ("s_model", {"warmup": 2}, 3),
        ("rog", {}, 1),
    ],
)
def test_the_result_is_that_of_the_network_that_is_reported(
    make_trainer, tmp_path, method, options, n_reported
):
    """Best and mean are over the last stage; RoG's heads predict after the last epoch alone."""
    result = make_trainer(method=method, options=options, changes={"epochs": 5}).fit()
    accuracies = [metrics["val_top1"] for metrics in lines(tmp_path / "run")][5 - n_reported :]

    assert len(accuracies) == n_reported == result["reported_epochs"]
    assert result["best"] == max(accuracies)
    assert result["mean10"] == sum(accuracies) / n_reported
    assert result["last"] == accuracies[-1]


def test_the_same_again_is_the_same(make_trainer, tmp_path):
    """Two runs of one seed agree to the bit; another seed does not."""
    make_trainer(out=tmp_path / "a").fit()
    make_trainer(out=tmp_path / "b").fit()
    make_trainer(out=tmp_path / "c", seed=1).fit()

    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert lines(tmp_path / "a") != lines(tmp_path / "c")


def test_an_epoch_is_plain_gradient_descent(make_trainer, tmp_path, builds):
    """Recomputed by hand: order, views, cross-entropy, momentum, rate, decay."""
    trainer = make_trainer(changes={"epochs": 1})
    trainer.fit()
    new_state = weights(tmp_path / "run")

    with torch.random.fork_rng():
        loop = make_trainer(changes={"epochs": 1}, out=tmp_path / "other")._build_loop(
            torch.device("cpu"), lambda *_: None
        )
    net, feed = loop.method.net, loop.train_loader
    buffers = [torch.zeros_like(p) for p in net.parameters()]
    from cnlw_tools.trainer.batches import shuffle

    shuffled = shuffle(loop.positions.numpy(), 0, 0)
    for step in range(6):
        (batch,) = feed.batches([shuffled[30 * step : 30 * step + 30]], ("standard",), 0)
        net.zero_grad()
        cross_entropy(net(batch.x), batch.y).backward()
        rate = 0.05 * (1 + math.cos(math.pi * step / 6)) / 2
        with torch.no_grad():
            for p, b in zip(net.parameters(), buffers, strict=True):
                b.mul_(0.9).add_(p.grad + 5e-4 * p)
                p -= rate * b

    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, new_state[f"net.{name}"], rtol=1e-4, atol=1e-6)


def test_a_method_is_called_in_order(make_trainer):
    """Phases, epochs, batches, steps, the end; with the rate and the batch size of the phase."""
    trainer = make_trainer(method=Recorder)
    loop = trainer._build_loop(torch.device("cpu"), lambda *_: None)
    loop.fit(lambda *_: None, lambda _: None)
    method = loop.method

    first = ["phase 0", "epoch 0", *(["batch 30 at", "stepped"] * 6)]
    second_phase = ["batch 60 at 0.0250", "stepped"]
    expected = [*first, "phase 1", "epoch 1", *second_phase, "epoch 2", *second_phase, "finish"]
    assert [s[: len(e)] for s, e in zip(method.calls, expected, strict=True)] == expected
    assert method.shares == sorted(method.shares)
    assert method.shares[0] == 0
    assert method.shares[-1] == pytest.approx(2 / 3)


@pytest.fixture
def recorded(make_trainer, tmp_path):
    """A function that trains four epochs with a seed; its loop is of the same seed."""

    def train(seed):
        trainer = make_trainer(
            method=StepRecorder, seed=seed, changes={"epochs": 4}, out=tmp_path / str(seed)
        )
        loop = trainer._build_loop(torch.device("cpu"), lambda *_: None)
        loop.fit(lambda *_: None, lambda _: None)
        return loop

    return train


def test_order_and_augmentation_are_those_of_seed_and_epoch(recorded):
    """Each epoch has an order and views of its own, and so has each seed."""
    orders, views_of_first = [], []
    for seed in (0, 5):
        loop = recorded(seed)
        for epoch in range(4):
            batches = loop.method.batches[6 * epoch : 6 * epoch + 6]
            order = torch.cat([batch.index for batch in batches]).tolist()
            keys = host_prng.mix(np.arange(180, dtype=np.uint64))
            numbers = host_prng.uniform(keys, seed, epoch).tolist()
            assert order == sorted(range(180), key=lambda i, numbers=numbers: numbers[i])
            orders.append(order)
            for batch in batches:
                (same,) = loop.train_loader.batches([batch.index], ("standard",), epoch)
                assert torch.equal(batch.x, same.x)
            views = torch.cat([batch.x for batch in batches])
            views_of_first.append(views[order.index(0)].tolist())

    assert len({tuple(order) for order in orders}) == 8
    assert all(a != b for a, b in itertools.combinations(views_of_first, 2))


def test_random_numbers_of_a_method_are_those_of_seed_and_epoch(recorded):
    """No two steps draw alike, whatever their epoch and seed."""
    draws = recorded(0).method.draws + recorded(5).method.draws

    assert len(set(draws)) == len(draws) == 48


def test_rates_are_those_of_the_phase_and_losses_in_training_mode(recorded):
    """Each phase falls from its highest rate along a cosine of its own; evaluation leaves no trace."""
    method = recorded(0).method
    expected = []
    for factor in (1, 0.5):
        for step in range(12):
            expected.append(factor * 0.05 * (1 + math.cos(math.pi * step / 12)) / 2)

    assert method.rates == pytest.approx(expected)
    assert method.modes == [True] * 24


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_projection_follows_the_step_and_precedes_the_average(make_trainer, ema):
    """Weights that are projected to 0 are 0 when validated; their average nears 0 as in theory."""
    preset = replace(make_trainer().preset, epochs=1, ema=ema)
    trainer = make_trainer(method=Projected, preset=preset)
    loop = trainer._build_loop(torch.device("cpu"), lambda *_: None)
    expected = loop.method.net.head.weight.detach().clone() * bool(ema)
    for t in range(1, 7):
        expected = min(ema, (1 + t) / (10 + t)) * expected
    loop.fit(lambda *_: None, lambda _: None)

    torch.testing.assert_close(loop.method.validated_weight, expected)


def test_finish_sees_the_weights_that_are_validated(make_trainer):
    """If weights are averaged, it sees the average."""
    trainer = make_trainer(method=WeightRecorder, changes={"ema": 0.9})
    trainer.fit()

    method = trainer.trained_method
    assert torch.equal(method.final_weight, method.validated_weight)
    assert not torch.equal(method.final_weight, method.last_trained_weight)


def test_networks_restart_and_buffers_of_the_method_stay(make_trainer):
    """Networks restart as before training or after a phase; the method first sees the old ones."""
    trainer = make_trainer(method=Restarts)
    trainer.fit()
    method = trainer.trained_method

    born, first, second = method.ends
    assert torch.equal(method.begins[0], born)
    assert torch.equal(method.begins[1], born)
    assert torch.equal(method.begins[2], first)
    assert not torch.equal(first, second)
    assert method.steps == 18


def test_a_phase_restarts_as_said_or_not_at_all():
    """A word that means nothing would keep the weights in silence."""
    with pytest.raises(ValueError, match="restart = 'inti' is not allowed: use keep, init"):
        Phase(1, restart="inti")


def test_a_run_goes_on_after_every_epoch(make_trainer, tmp_path, with_norm):
    """Stopped after one epoch and resumed, a run ends with the same bits in all files."""
    how = {"method": Restarts, "net": with_norm, "preset": replace(make_trainer().preset, ema=0.9)}
    make_trainer(**how, out=tmp_path / "whole").fit()

    class FirstEpochDone(Exception):
        """Stops a run after its first epoch."""

    def stop(line):
        if line["epoch"] == 1:
            raise FirstEpochDone

    with pytest.raises(FirstEpochDone):
        make_trainer(**how, out=tmp_path / "parts").fit(on_epoch=stop)
    make_trainer(**how, out=tmp_path / "parts", resume=True).fit()

    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("last_epoch", [1, 2, 3, 4])
def test_the_best_weights_are_the_same_after_a_resumption(
    make_trainer, tmp_path, with_norm, last_epoch
):
    """Killed after any epoch; they are the averages that were validated, of a reported epoch."""
    how = {"method": "forward", "net": with_norm, "keep_best": True}
    how["changes"] = {"epochs": 5, "ema": 0.5, "lr": 0.5}
    result = make_trainer(**how, out=tmp_path / "whole").fit()

    class EpochDone(Exception):
        """Stops a run."""

    def stop(line):
        if line["epoch"] == last_epoch:
            raise EpochDone

    with pytest.raises(EpochDone):
        make_trainer(**how, out=tmp_path / "parts").fit(on_epoch=stop)
    make_trainer(**how, out=tmp_path / "parts", resume=True).fit()
    whole, parts = (
        torch.load(tmp_path / name / "best.pt", weights_only=True) for name in ("whole", "parts")
    )
    accuracies = [metrics["val_top1"] for metrics in lines(tmp_path / "whole")]

    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert whole["epoch"] == parts["epoch"] == 4 + accuracies[3:].index(max(accuracies[3:]))
    assert whole["val_top1"] == result["best"]
    for name, value in whole["method"].items():
        assert torch.equal(value.nan_to_num(9), parts["method"][name].nan_to_num(9)), name


def test_a_run_that_lost_its_best_weights_is_not_resumed(make_trainer, tmp_path):
    """No later epoch brings them back; and a run keeps them from its beginning or not at all."""
    make_trainer(keep_best=True, changes={"epochs": 2}).fit()
    with pytest.raises(
        ValueError, match="the run began with keep_best = True, and now it is False"
    ):
        make_trainer(resume=True, changes={"epochs": 2}).fit()
    (tmp_path / "run" / "best.pt").unlink()
    with pytest.raises(
        ValueError, match=r"best\.pt: the weights of the best epoch, \d, are missing"
    ):
        make_trainer(keep_best=True, resume=True, changes={"epochs": 2}).fit()


def test_sigterm_saves_in_mid_epoch(make_trainer, tmp_path, with_norm):
    """The run goes on from the next step."""
    FUSE.n_steps = 0
    make_trainer(method=Terminated, net=with_norm, out=tmp_path / "whole").fit()
    FUSE.n_steps = 9
    with pytest.raises(TrainingStopped, match="saved in epoch 2: --resume continues") as stopped:
        make_trainer(method=Terminated, net=with_norm, out=tmp_path / "parts").fit()
    assert stopped.value.exit_code == 143
    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] == 3
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    make_trainer(method=Terminated, net=with_norm, out=tmp_path / "parts", resume=True).fit()

    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_returns_its_result_again(make_trainer):
    """Resuming it trains nothing."""
    first = make_trainer().fit()

    assert make_trainer(resume=True).fit(on_epoch=lambda _: pytest.fail("trained again")) == first


def test_a_loss_that_is_no_number_stops_the_run(make_trainer, tmp_path):
    """The error says since when and what to try; the epochs before are kept."""
    with pytest.raises(
        ValueError,
        match=r"the loss is nan in epoch 2, since step 3: try a lower --lr \(it is 0.05\)"
        r".*run holds the epochs before$",
    ):
        make_trainer(method=NotANumber).fit()

    assert len(lines(tmp_path / "run")) == 1
    assert not (tmp_path / "run" / "result.json").exists()
    assert all(
        v.isfinite().all() for k, v in weights(tmp_path / "run").items() if k.startswith("net")
    )


def test_a_loss_that_explodes_stops_the_run(make_trainer):
    """A loss of a hundred times the first epoch's is divergence."""

    class Explodes(Vanilla):
        """Multiplies its loss from the second epoch on."""

        def loss(self, batch):
            return super().loss(batch) * (1e4 if self.progress > 0.4 else 1.0)

    with pytest.raises(ValueError, match=r"the loss is .* in epoch 2: try a lower --lr"):
        make_trainer(method=Explodes).fit()


def test_a_loss_beyond_cross_entropy_in_the_first_epoch_is_divergence(make_trainer, tmp_path):
    """It is no measure for later epochs; no epoch before it is spoken of."""
    with pytest.raises(
        ValueError,
        match=r"the loss is [1-9].* in epoch 1: try a lower --lr \(it is 100000\) .*preset$",
    ):
        make_trainer(changes={"lr": 1e5, "batch_size": 90}).fit()
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_run_that_fails_in_its_first_epoch_leaves_nothing(make_trainer, tmp_path):
    """It can be begun again with other choices at the same place."""
    with pytest.raises(OSError, match="not enough memory"):
        make_trainer(method=Hungry).fit()

    assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == []
    assert make_trainer(changes={"epochs": 1}).fit()["epochs"] == 1


def test_nothing_of_an_older_run_appears_under_a_newer_name(make_trainer, tmp_path):
    """Five epochs whose checkpoint was deleted, then two of another method."""
    make_trainer(changes={"epochs": 5}).fit()
    (tmp_path / "run" / "checkpoint.pt").unlink()
    short = {"method": "noise_layer", "changes": {"epochs": 2}}
    with pytest.raises(ValueError, match="there is already a run here"):
        make_trainer(**short).fit()
    make_trainer(**short, overwrite=True).fit()
    make_trainer(**short, out=tmp_path / "alone").fit()

    assert_same_run(tmp_path / "run", tmp_path / "alone")
    files, files_alone = (
        {
            p.relative_to(tmp_path / name).as_posix()
            for p in (tmp_path / name).rglob("*")
            if p.parent.name != "tensorboard"
        }
        for name in ("run", "alone")
    )
    assert files == files_alone


def test_a_first_loss_that_is_a_sum_over_the_batch_is_none(make_trainer):
    """A method of one's own may add the losses of its examples."""

    class Sums(Vanilla):
        """Adds where others average, and steps as they do."""

        def loss(self, batch):
            loss = super().loss(batch)
            return loss + (29 * loss).detach()

    assert make_trainer(method=Sums, changes={"epochs": 1}).fit()["epochs"] == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_predictions_that_are_no_numbers_stop_the_run(make_trainer, tmp_path, value):
    """They are not class 0: the error names the split, the epoch, how many images, a remedy."""

    class Overflows(Vanilla):
        """Has one bad logit for the first image of a batch, from the second epoch on."""

        def predict(self, x):
            logits = super().predict(x).clone()
            if self.progress > 0.4:
                logits[0, 3] = value
            return logits

    with pytest.raises(
        ValueError,
        match=r"^epoch 2: validation: the network predicts NaN or infinity for 1 of 40 images: "
        r"try a lower --lr or a warmup in the preset; .*run holds the epochs before$",
    ):
        make_trainer(method=Overflows).fit()
    assert len(lines(tmp_path / "run")) == 1


def test_a_batch_too_large_is_an_error_with_a_size_that_fits(make_trainer):
    """The size is halved until it fits: 30, 15, 7."""
    with pytest.raises(
        OSError, match="cpu has not enough memory for a batch of 30: --batch-size 7 would fit"
    ):
        make_trainer(method=Hungry).fit()


def test_among_other_ranks_no_smaller_batch_is_tried(make_trainer, monkeypatch):
    """The step would wait for the other ranks."""
    loop = make_trainer(method=Hungry)._build_loop(torch.device("cpu"), lambda *_: None)
    loop._begin_epoch()
    monkeypatch.setattr("cnlw_tools.methods.components.distributed.is_distributed", lambda: True)
    monkeypatch.setattr("cnlw_tools.methods.components.distributed.world_size", lambda: 2)

    with pytest.raises(
        OSError, match="not enough memory for a batch of 40: give a smaller --batch-size"
    ):
        loop._train_batch(next(loop.train_loader.batches([torch.arange(20)], ("plain",), 0)))


def test_a_batch_that_a_phase_enlarges_is_named_as_the_preset_has_it(make_trainer):
    """A phase doubles the batch: of 60 images 7 fit, so 3 in the preset."""

    class Enlarged(Hungry):
        """Batches twice as large."""

        def phases(self):
            return [Phase(1, batch_size_factor=2)]

    with pytest.raises(
        OSError, match="not enough memory for a batch of 60: --batch-size 3 would fit"
    ):
        make_trainer(method=Enlarged).fit()


def test_a_gpu_that_is_full_elsewhere_is_an_error_in_a_line(make_trainer):
    """In validation, for example; it does not suggest a size that would fit."""

    class Wide(Vanilla):
        """Has no room to predict."""

        def predict(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OSError, match="cpu is full: give a smaller --batch-size or --net"):
        make_trainer(method=Wide).fit()


def method_that_trains_on(positions):
    """Return a method that trains on these examples."""

    class Subset(Vanilla):
        """Trains on few examples."""

        def begin_phase(self, phase, train_batches):
            return torch.tensor(positions, dtype=torch.int64)

    return Subset


def test_a_phase_may_train_on_fewer_than_a_batch(make_trainer, tmp_path):
    """They are one batch."""
    make_trainer(method=method_that_trains_on([3, 5, 8]), changes={"epochs": 1}).fit()

    assert pq.read_table(tmp_path / "run" / "examples.parquet")["loss"].null_count == 177


def test_a_phase_that_trains_on_none_is_an_error(make_trainer):
    """The error says what to do."""
    with pytest.raises(
        ValueError,
        match=r"there are 0 examples to train on, fewer than the 1 processes: .* choose more",
    ):
        make_trainer(method=method_that_trains_on([])).fit()


@pytest.mark.parametrize(("n_ranks", "size"), [(1, 31), (2, 30), (7, 28), (40, 40)])
def test_every_rank_has_as_much_of_a_batch(make_trainer, monkeypatch, n_ranks, size):
    """A batch of 31 shrinks to a multiple of the ranks, with at least one example for each."""
    loop = make_trainer(changes={"batch_size": 31})._build_loop(
        torch.device("cpu"), lambda *_: None
    )
    monkeypatch.setattr("cnlw_tools.methods.components.distributed.world_size", lambda: n_ranks)

    assert {len(chunk) for chunk in loop._batch_positions()} == {size}


def test_metrics_that_a_kill_has_left_out_are_written(make_trainer, tmp_path):
    """The checkpoint is written first, and its history is written again."""
    first = make_trainer().fit()
    old_lines = lines(tmp_path / "run")
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(text.splitlines(keepends=True)[:2]))

    assert make_trainer(resume=True).fit() == first
    assert lines(tmp_path / "run") == old_lines


def test_the_average_begins_with_what_a_phase_has_set(make_trainer, tmp_path):
    """Weights that `begin_phase` sets are averaged from the first step on."""

    class BiasSetter(Vanilla):
        """Begins with a bias of 5."""

        def begin_phase(self, phase, train_batches):
            with torch.no_grad():
                self.net.head.bias.fill_(5.0)

    preset = replace(make_trainer().preset, epochs=1, ema=0.9, lr=1e-5)
    make_trainer(method=BiasSetter, preset=preset).fit()

    means = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["ema"]["averages"]
    torch.testing.assert_close(means["net.head.bias"], torch.full((10,), 5.0), atol=0.01, rtol=0)


def test_every_example_is_logged(make_trainer, tmp_path):
    """An epoch of full batches draws every example once and logs its loss."""
    make_trainer().fit()

    table = pq.read_table(tmp_path / "run" / "examples.parquet").to_pandas()

    assert table["loss"].notna().all()
    assert (table["weight"] == 1).all()
    assert table.groupby("epoch")["loss"].mean().tolist() == pytest.approx(
        [metrics["train_loss"] for metrics in lines(tmp_path / "run")], rel=1e-4
    )


def test_examples_that_fill_no_batch_are_left_out(make_trainer, tmp_path):
    """180 in batches of 50: 150 are drawn in an epoch, the others are null."""
    make_trainer(changes={"batch_size": 50}).fit()

    table = pq.read_table(tmp_path / "run" / "examples.parquet").to_pandas()

    assert table.groupby("epoch")["loss"].count().tolist() == [150, 150, 150]


@pytest.mark.parametrize(("batch", "factor", "limit"), [(181, 1, 180), (46, 4, 45)])
def test_a_batch_of_more_examples_than_there_are_is_an_error(
    make_trainer, tmp_path, batch, factor, limit
):
    """By the preset, or because a phase enlarges it; nothing is written."""

    class Enlarged(Vanilla):
        """Batches larger than the preset's."""

        def phases(self):
            return [Phase(1, batch_size_factor=factor)]

    with pytest.raises(
        ValueError, match=f"more than the 180 examples to train on: give at most {limit},"
    ):
        make_trainer(method=Enlarged, changes={"batch_size": batch}).fit()
    assert not (tmp_path / "run").exists()


def test_fewer_chosen_examples_than_a_batch_are_one(make_trainer, tmp_path):
    """A method may choose fewer for a phase: all of them, in one step."""

    class Picks(Vanilla):
        """The first ten."""

        def begin_phase(self, phase, train_batches):
            return torch.arange(10)

    make_trainer(method=Picks, changes={"epochs": 1}).fit()

    assert pq.read_table(tmp_path / "run" / "examples.parquet").to_pandas()["loss"].count() == 10


@pytest.mark.parametrize(
    ("seconds", "keep_best", "expected"),
    [(60, False, [1, 4]), (0, False, [1, 2, 3, 4]), (60, True, [1, 3, 4])],
)
def test_checkpoints_are_a_minute_apart(make_trainer, monkeypatch, seconds, keep_best, expected):
    """But for the first, the last, and those that have to know of the best weights."""
    epochs, accuracies = [], iter([20.0, 10.0, 30.0, 25.0])
    write_checkpoint = RunWriter.write_checkpoint

    def write(run, state):
        epochs.append(state["epoch"])
        write_checkpoint(run, state)

    monkeypatch.setattr(RunWriter, "write_checkpoint", write)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", seconds)
    monkeypatch.setattr(loop, "validation_accuracies", lambda *_: {"val_top1": next(accuracies)})
    make_trainer(keep_best=keep_best, changes={"epochs": 4}).fit()

    assert epochs == expected


def test_a_run_repeats_the_epochs_behind_its_last_checkpoint(make_trainer, tmp_path):
    """It was killed two epochs later, and goes on to the same numbers."""

    class Killed(BaseException):
        """Ends a run as nothing in it expects."""

    def kill(metrics):
        if metrics["epoch"] == 3:
            raise Killed

    changes = {"epochs": 4}
    make_trainer(out=tmp_path / "whole", changes=changes).fit()
    with pytest.raises(Killed):
        make_trainer(changes=changes).fit(on_epoch=kill)
    epochs = []
    make_trainer(changes=changes, resume=True).fit(on_epoch=lambda m: epochs.append(m["epoch"]))

    assert epochs == [2, 3, 4]
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_the_average_is_what_is_validated(make_trainer, tmp_path):
    """With an average that hardly moves, validation stays as it was before training."""

    class Still(Method):
        """Predicts class 0 until its weight moves."""

        def __init__(self, task):
            super().__init__(task)
            self.shift = torch.nn.Parameter(torch.zeros(()))

        def loss(self, batch):
            return -self.shift

        def predict(self, x):
            first = torch.zeros(len(x), self.task.n_classes)
            first[:, 0], first[:, 1] = 1.0, self.shift
            return first

        def param_groups(self):
            return [{"params": [self.shift], "lr": 5.0, "weight_decay": 0.0}]

    preset = replace(
        make_trainer().preset, epochs=1, momentum=0.0, batch_size=180, schedule="constant"
    )
    make_trainer(method=Still, preset=preset, out=tmp_path / "own").fit()
    make_trainer(method=Still, preset=replace(preset, ema=0.999), out=tmp_path / "mean").fit()

    assert weights(tmp_path / "own")["shift"] == 5
    assert (
        torch.load(tmp_path / "mean" / "checkpoint.pt", weights_only=True)["ema"]["averages"][
            "shift"
        ]
        < 5
    )
