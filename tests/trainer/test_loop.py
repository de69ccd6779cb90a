"""The loop: what it does with every method, and that it goes on where it was."""

import json
import math
import os
import signal

import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import METHODS, Method, Phase
from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.trainer import TrainingStopped
from tests.trainer.test_augment import NeverWaits


class Told(Vanilla):
    """Writes down what the trainer asks of it."""

    seen: list[str]

    def __init__(self, task):
        super().__init__(task)
        self.seen, self.shares = [], []

    def phases(self):
        return [
            Phase(1),
            Phase(2, schedule="constant", lr_factor=0.5, batch_size_factor=2, restart="init"),
        ]

    def begin_phase(self, phase, train_batches):
        assert not self.training  # nor is a method that comes from a checkpoint
        self.seen.append(f"phase {phase}")
        return torch.arange(90) * 2 if phase else None

    def begin_epoch(self, epoch, train_batches):
        assert not self.training
        batches = list(train_batches())
        index = torch.cat([b.index for b in batches])
        assert torch.equal(index, torch.arange(self.task.n_examples))
        self.seen.append(f"epoch {epoch}")

    def loss(self, batch):
        self.seen.append(f"batch {len(batch.y)} at {self.optimiser.param_groups[0]['lr']:.4f}")
        self.shares.append(self.progress)
        if len(batch.y) == 60:
            assert (batch.index % 2 == 0).all()
        return super().loss(batch)

    def after_step(self):
        self.seen.append("stepped")

    def finish(self, train_batches):
        self.seen.append("finish")


class Ends(Vanilla):
    """Writes down the weights that it ends with, and those that are validated."""

    def finish(self, train_batches):
        self.ended = self.net.head.weight.clone()

    def predict(self, x):
        self.validated = self.net.head.weight.clone()
        return super().predict(x)


class Back(Vanilla):
    """Begins anew, then goes on from where its first phase ended; its own memory stays."""

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


class Wild(Vanilla):
    """Loses its mind in the second epoch."""

    def loss(self, batch):
        return super().loss(batch) * (math.nan if self.progress > 0.4 else 1.0)


class Hungry(Vanilla):
    """Has no room for more than eight images."""

    def loss(self, batch):
        if len(batch.y) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().loss(batch)


class Terminated(Vanilla):
    """Is told to stop in the middle of the second epoch, once."""

    fuse = 9

    def loss(self, batch):
        Terminated.fuse -= 1
        if Terminated.fuse == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().loss(batch)


def lines(folder):
    """The metrics but for the seconds and the memory."""
    read = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in one.items() if k not in ("seconds", "peak_mb")} for one in read]


def weights(folder):
    """All that the method holds at the end."""
    return torch.load(folder / "checkpoint.pt", weights_only=True)["method"]


def assert_same_run(one, other):
    """To the bit: metrics, weights, examples, result."""
    assert lines(one) == lines(other)
    for name, value in weights(one).items():
        assert torch.equal(value.nan_to_num(9), weights(other)[name].nan_to_num(9)), name
    assert pq.read_table(one / "examples.parquet").equals(pq.read_table(other / "examples.parquet"))
    assert (one / "result.json").read_text() == (other / "result.json").read_text()


def test_a_run_leaves_what_it_promises(trainer, tmp_path):
    """config, metrics, result, checkpoint, examples, predictions, what the method keeps."""
    found = trainer(method="noise_layer").fit()

    assert sorted(p.name for p in (tmp_path / "run").iterdir() if p.name != "tensorboard") == [
        "checkpoint.pt",
        "config.json",
        "confusion",
        "examples.parquet",
        "metrics.jsonl",
        "predictions.parquet",
        "result.json",
        "transition",
    ]
    assert len(list((tmp_path / "run" / "transition").iterdir())) == 3
    assert list(lines(tmp_path / "run")[0]) == ["epoch", "train_loss", "val_top1", "val_top5", "lr"]
    assert len(lines(tmp_path / "run")) == 3
    assert found == json.loads((tmp_path / "run" / "result.json").read_text())
    assert found["best"] >= found["last"]
    assert len(pq.read_table(tmp_path / "run" / "examples.parquet")) == 3 * 180


def test_the_same_again_is_the_same(trainer, tmp_path):
    """Two runs of one seed agree to the bit; another seed does not."""
    trainer(out=tmp_path / "a").fit()
    trainer(out=tmp_path / "b").fit()
    trainer(out=tmp_path / "c", seed=1).fit()

    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert lines(tmp_path / "a") != lines(tmp_path / "c")


def test_an_epoch_is_plain_gradient_descent(trainer, tmp_path, builds):
    """Recomputed by hand: order, views, cross-entropy, momentum, rate, decay."""
    made = trainer(changes={"epochs": 1})
    made.fit()
    after = weights(tmp_path / "run")

    with torch.random.fork_rng():
        loop = trainer(changes={"epochs": 1}, out=tmp_path / "other")._build_loop(
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
        torch.testing.assert_close(value, after[f"net.{name}"], rtol=1e-4, atol=1e-6)


def test_a_method_is_asked_in_order(trainer):
    """Phases, epochs, batches, steps, the end; rates and batches scale; a phase may begin anew and on fewer rows."""
    made = trainer(method=Told)
    loop = made._build_loop(torch.device("cpu"), lambda *_: None)
    loop.fit(lambda *_: None, lambda _: None)
    told = loop.method

    first = ["phase 0", "epoch 0", *(["batch 30 at", "stepped"] * 6)]
    later = ["batch 60 at 0.0250", "stepped"]
    expected = [*first, "phase 1", "epoch 1", *later, "epoch 2", *later, "finish"]
    assert [s[: len(e)] for s, e in zip(told.seen, expected, strict=True)] == expected
    assert told.shares == sorted(told.shares)
    assert told.shares[0] == 0
    assert told.shares[-1] == pytest.approx(2 / 3)


def test_what_is_fitted_in_the_end_sees_the_weights_that_are_validated(trainer):
    """With an average of weights it is the average."""
    made = trainer(method=Ends, changes={"ema": 0.9})
    made.fit()

    assert torch.equal(made.trained_method.ended, made.trained_method.validated)
    assert not torch.equal(made.trained_method.ended, made.trained_method.net.head.weight)


def test_networks_restart_and_memories_stay(trainer):
    """As before training, or as after an earlier phase; the method sees them before they do."""
    made = trainer(method=Back)
    made.fit()
    back = made.trained_method

    born, first, second = back.ends
    assert torch.equal(back.begins[0], born)
    assert torch.equal(back.begins[1], born)
    assert torch.equal(back.begins[2], first)
    assert not torch.equal(first, second)
    assert back.steps == 18


def test_a_phase_restarts_as_said_or_not_at_all():
    """A word that means nothing would keep the weights in silence."""
    with pytest.raises(ValueError, match="restart = 'inti': use keep, init"):
        Phase(1, restart="inti")


def test_a_run_goes_on_after_every_epoch(trainer, tmp_path, with_norm):
    """Stopped after one epoch and resumed, it ends with the same bits: weights, average, metrics, examples."""
    from dataclasses import replace

    how = {"method": Back, "net": with_norm, "preset": replace(trainer().preset, ema=0.9)}
    trainer(**how, out=tmp_path / "whole").fit()

    class Enough(Exception):
        """One epoch is."""

    def stop(line):
        if line["epoch"] == 1:
            raise Enough

    with pytest.raises(Enough):
        trainer(**how, out=tmp_path / "parts").fit(on_epoch=stop)
    trainer(**how, out=tmp_path / "parts", resume=True).fit()

    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_sigterm_saves_in_mid_epoch(trainer, tmp_path, with_norm):
    """And the run goes on from that very step."""
    Terminated.fuse = 0
    trainer(method=Terminated, net=with_norm, out=tmp_path / "whole").fit()
    Terminated.fuse = 9
    with pytest.raises(TrainingStopped, match="saved in epoch 2: --resume goes on") as stopped:
        trainer(method=Terminated, net=with_norm, out=tmp_path / "parts").fit()
    assert stopped.value.exit_code == 143
    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] == 3
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    trainer(method=Terminated, net=with_norm, out=tmp_path / "parts", resume=True).fit()

    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_says_its_result_again(trainer):
    """Going on with it trains nothing."""
    first = trainer().fit()

    assert trainer(resume=True).fit(on_epoch=lambda _: pytest.fail("trained again")) == first


def test_a_loss_that_is_no_number_stops_the_run(trainer, tmp_path):
    """It says since when and what to try; the epochs before are kept."""
    with pytest.raises(
        ValueError,
        match=r"the loss is nan in epoch 2, since step 3: try a lower --lr \(it is 0.05\)",
    ):
        trainer(method=Wild).fit()

    assert len(lines(tmp_path / "run")) == 1
    assert not (tmp_path / "run" / "result.json").exists()
    assert all(
        v.isfinite().all() for k, v in weights(tmp_path / "run").items() if k.startswith("net")
    )


def test_a_loss_that_explodes_stops_the_run(trainer):
    """A hundred times the first epoch's is no training any more."""

    class Explodes(Vanilla):
        """A thousandfold from the second epoch on."""

        def loss(self, batch):
            return super().loss(batch) * (1e4 if self.progress > 0.4 else 1.0)

    with pytest.raises(ValueError, match=r"the loss is .* in epoch 2: try a lower --lr"):
        trainer(method=Explodes).fit()


def test_a_batch_too_large_names_one_that_fits(trainer):
    """By halves: 30, 15, 7."""
    with pytest.raises(
        OSError, match="cpu has no room for a batch of 30: --batch-size 7 would fit"
    ):
        trainer(method=Hungry).fit()


def test_among_other_ranks_no_smaller_batch_is_tried(trainer, monkeypatch):
    """Their next message would be taken for the answer."""
    loop = trainer(method=Hungry)._build_loop(torch.device("cpu"), lambda *_: None)
    loop._begin_epoch()
    monkeypatch.setattr("cnlw_tools.methods.components.distributed.is_distributed", lambda: True)
    monkeypatch.setattr("cnlw_tools.methods.components.distributed.world_size", lambda: 2)

    with pytest.raises(OSError, match="no room for a batch of 40: give a smaller --batch-size"):
        loop._train_batch(next(loop.train_loader.batches([torch.arange(20)], ("plain",), 0)))


def test_a_batch_that_a_phase_enlarges_is_named_as_the_preset_has_it(trainer):
    """Twice the preset's: of 60, 7 fit, which are twice 3."""

    class Enlarged(Hungry):
        """Batches twice as large."""

        def phases(self):
            return [Phase(1, batch_size_factor=2)]

    with pytest.raises(OSError, match="no room for a batch of 60: --batch-size 3 would fit"):
        trainer(method=Enlarged).fit()


def test_a_gpu_that_is_full_elsewhere_is_an_error_in_a_line(trainer):
    """In validation, say: nothing is known of a batch that would fit."""

    class Wide(Vanilla):
        """Has no room to predict."""

        def predict(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OSError, match="cpu is full: give a smaller --batch-size or --net"):
        trainer(method=Wide).fit()


def chosen(rows):
    """A method that trains on those rows."""

    class Chosen(Vanilla):
        """Trains on few."""

        def begin_phase(self, phase, train_batches):
            return torch.tensor(rows, dtype=torch.int64)

    return Chosen


def test_a_phase_may_train_on_fewer_than_a_batch(trainer, tmp_path):
    """They are one."""
    trainer(method=chosen([3, 5, 8]), changes={"epochs": 1}).fit()

    assert pq.read_table(tmp_path / "run" / "examples.parquet")["loss"].null_count == 177


def test_a_phase_that_trains_on_none_is_an_error(trainer):
    """It says what to do."""
    with pytest.raises(ValueError, match=r"0 examples to train on for 1 processes: .* choose more"):
        trainer(method=chosen([])).fit()


@pytest.mark.parametrize(("many", "size"), [(1, 31), (2, 30), (7, 28), (40, 40)])
def test_every_rank_has_as_much_of_a_batch(trainer, monkeypatch, many, size):
    """A batch of 31 is cut down to a multiple of the ranks, and has one example of each at least."""
    loop = trainer(changes={"batch_size": 31})._build_loop(torch.device("cpu"), lambda *_: None)
    monkeypatch.setattr("cnlw_tools.methods.components.distributed.world_size", lambda: many)

    assert {len(chunk) for chunk in loop._batch_positions()} == {size}


def test_metrics_that_a_kill_has_left_out_are_made_up_for(trainer, tmp_path):
    """The checkpoint comes first; what it knows is written again."""
    first = trainer().fit()
    before = lines(tmp_path / "run")
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(text.splitlines(keepends=True)[:2]))

    assert trainer(resume=True).fit() == first
    assert lines(tmp_path / "run") == before


def test_the_average_begins_with_what_a_phase_has_set(trainer, tmp_path):
    """Weights that `begin_phase` makes are in it from the first step on."""
    from dataclasses import replace

    class Set(Vanilla):
        """Begins with a bias of 5."""

        def begin_phase(self, phase, train_batches):
            with torch.no_grad():
                self.net.head.bias.fill_(5.0)

    preset = replace(trainer().preset, epochs=1, ema=0.9, lr=1e-5)
    trainer(method=Set, preset=preset).fit()

    means = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["ema"]["averages"]
    torch.testing.assert_close(means[-1], torch.full((10,), 5.0), atol=0.01, rtol=0)


def test_every_example_is_noted(trainer, tmp_path):
    """An epoch that divides into batches sees every example once; the loss is its own."""
    trainer().fit()

    table = pq.read_table(tmp_path / "run" / "examples.parquet").to_pandas()

    assert table["loss"].notna().all()
    assert (table["weight"] == 1).all()
    assert table.groupby("epoch")["loss"].mean().tolist() == pytest.approx(
        [one["train_loss"] for one in lines(tmp_path / "run")], rel=1e-4
    )


def test_a_rest_that_fills_no_batch_waits(trainer, tmp_path):
    """180 in batches of 50: 150 are seen in an epoch, the others null."""
    trainer(changes={"batch_size": 50}).fit()

    table = pq.read_table(tmp_path / "run" / "examples.parquet").to_pandas()

    assert table.groupby("epoch")["loss"].count().tolist() == [150, 150, 150]


@pytest.mark.parametrize(("batch", "times", "most"), [(181, 1, 180), (46, 4, 45)])
def test_a_batch_of_more_examples_than_there_are_is_an_error(trainer, tmp_path, batch, times, most):
    """As the preset has it, or as a phase enlarges it; nothing is written."""

    class Enlarged(Vanilla):
        """Batches larger than the preset's."""

        def phases(self):
            return [Phase(1, batch_size_factor=times)]

    with pytest.raises(
        ValueError, match=f"more than the 180 examples to train on: give at most {most},"
    ):
        trainer(method=Enlarged, changes={"batch_size": batch}).fit()
    assert not (tmp_path / "run").exists()


def test_fewer_chosen_examples_than_a_batch_are_one(trainer, tmp_path):
    """What a method picks for a phase may be less: all of it, in one step."""

    class Picks(Vanilla):
        """The first ten."""

        def begin_phase(self, phase, train_batches):
            return torch.arange(10)

    trainer(method=Picks, changes={"epochs": 1}).fit()

    assert pq.read_table(tmp_path / "run" / "examples.parquet").to_pandas()["loss"].count() == 10


@pytest.mark.parametrize(
    "name", [name for name in METHODS if "verified" not in METHODS[name].requires]
)
def test_a_step_never_waits_for_the_device(trainer, name):
    """No value is asked for between two batches, whatever the method; rates, sums and averages included."""
    from dataclasses import replace

    options = {"noise_rate": 0.4} if "noise_rate" in METHODS[name].requires else {}
    made = trainer(method=name, preset=replace(trainer().preset, ema=0.9), options=options)
    loop = made._build_loop(torch.device("cpu"), lambda *_: None)
    loop._begin_epoch()
    loop.method.train()
    for later in (
        False,
        True,
    ):  # with progress, as the first step and those behind every burn-in differ
        batches = loop.train_loader.batches([torch.arange(20)], loop.method.views, 0)
        loop.method.progress = 0.9 if later else 0.0
        with NeverWaits():
            loop._take_step(next(iter(batches)))


def test_the_average_is_what_is_validated(trainer, tmp_path):
    """With an average that hardly moves validation stays where it was at birth."""
    from dataclasses import replace

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

    preset = replace(trainer().preset, epochs=1, momentum=0.0, batch_size=180, schedule="constant")
    trainer(method=Still, preset=preset, out=tmp_path / "own").fit()
    trainer(method=Still, preset=replace(preset, ema=0.999), out=tmp_path / "mean").fit()

    assert weights(tmp_path / "own")["shift"] == 5
    assert (
        torch.load(tmp_path / "mean" / "checkpoint.pt", weights_only=True)["ema"]["averages"][0] < 5
    )
