"""What happens on a GPU alone, on one that is not there: see phantom.py."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks import gpu
from cnlw_tools.builds.build import build
from cnlw_tools.executor import local
from cnlw_tools.methods import METHODS
from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.preset import Preset
from cnlw_tools.trainer import batches
from tests.trainer import phantom
from tests.trainer.conftest import normed
from tests.trainer.phantom import Report, Request
from tests.trainer.test_loop import assert_same_run

CONFIG = "blue_40_probe2_verified6"  # what any method may need
OPTIONS = {"backward": {"q": "symmetric:0.4"}, "cleannet": {"references": 2, "passes": 1.0}}
PRESET = Preset(
    net="conv_small",
    epochs=4,  # so that every stage of every method has one
    batch_size=30,  # four steps an epoch
    lr=0.05,
    warmup=0.5,
    ema=0.9,
    views={"standard": ("crop", "flip"), "policy": ("rand_augment", "crop")},
)


class MixesDevices(Vanilla):
    """Multiplies its losses by weights that it left on the host."""

    def loss(self, batch):
        return super().loss(batch) * torch.ones(3).sum(0, keepdim=True)


class AsksForAValue(Vanilla):
    """Waits for the loss."""

    def loss(self, batch):
        loss = super().loss(batch)
        return loss * 2 if float(loss.detach()) > 1e9 else loss


class ClaimsToRepeat(AsksForAValue):
    """Says that a graph can repeat it."""

    repeats_within = "epoch"


class SelectsByAMask(Vanilla):
    """Waits for the number of examples that it selects."""

    def loss(self, batch):
        self.selected = batch.y[batch.y > 3]
        return super().loss(batch)


class CopiesFromTheHost(Vanilla):
    """Waits until a number has reached the GPU."""

    def loss(self, batch):
        return super().loss(batch) * torch.tensor([2.0], device=batch.y.device).sum()


class UsesNumPy(Vanilla):
    """Takes the labels for an array."""

    def loss(self, batch):
        self.labels = batch.y.numpy()
        return super().loss(batch)


class Wide(nn.Module):
    """A quarter of a megabyte of bfloat16 for each image of 16 x 16 pixels."""

    def __init__(self, n_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 512, 3, padding=1)
        self.head = nn.Linear(512, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).mean((2, 3)))


def measure(arguments: list[str]) -> int:
    """Run the benchmark of a GPU; return its exit code."""
    with phantom.Interception():
        return gpu.main(arguments)


def stream(_: object) -> None:
    """Let no split be held on a device from now on."""
    batches.device_memory = lambda device: 0


@pytest.fixture(scope="module")
def gpu_process() -> Iterator[Callable[[Callable[[Any], Any], Any], Any]]:
    """Call functions in a process that sees a phantom."""
    with local.isolated(1) as executor:
        executor.submit(phantom.appear, None).result()
        yield lambda function, argument: executor.submit(function, argument).result()


@pytest.fixture(scope="module")
def build_of_all(tiny, tmp_path_factory):
    """A build with two trusted images and six verified ones of each class, and a cache."""
    folder = tmp_path_factory.mktemp("gpu")
    fields = {"dataset": "shapes", "noise": "blue", "levels": [40], "size": 16}
    fields |= {"probe": 2, "verified": 6}
    build(recipe.parse_recipe(fields, "test"), Inputs(tiny(folder / "root")), folder / "shapes")
    return folder


@pytest.fixture
def train(gpu_process, build_of_all, tmp_path) -> Callable[..., Report]:
    """Return a function that trains on the phantom."""

    def train(method="vanilla", room=None, last_epoch=None, last_step=None, **arguments) -> Report:
        options = OPTIONS.get(method, {}) | arguments.pop("options", {})
        if method in METHODS and "noise_rate" in METHODS[method].requires:
            options["noise_rate"] = 0.4
        usual = {
            "build": build_of_all / "shapes",
            "config": CONFIG,
            "method": method,
            "net": normed,
            "preset": PRESET,
            "options": options,
            "out": tmp_path / "run",
            "cache": build_of_all / "cache",
            "decode_threads": 1,
        }
        return gpu_process(phantom.train, Request(usual | arguments, room, last_epoch, last_step))

    return train


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_on_a_gpu(train, method, tmp_path):
    """From its first stage to its result; no step waits for the device, and a graph repeats it."""
    report = train(method)

    assert not report.waits
    assert report.n_steps >= 4
    assert (tmp_path / "run" / "result.json").is_file()
    if METHODS[method].repeats_within == "epoch":
        repeated = train(method, graph=True, out=tmp_path / "graph")
        assert repeated.launches["step"] < report.launches["step"] or method == "incv"
        assert_same_run(tmp_path / "run", tmp_path / "graph")


def test_a_graph_is_captured_anew_in_each_percent(train, tmp_path):
    """Where the method counts them: here seven steps are a percent, and twelve an epoch."""
    arguments = {"changes": {"epochs": 60, "batch_size": 10}, "options": {"burn_in": 2}}
    expected = train("mentormix", last_epoch=3, **arguments)
    report = train("mentormix", last_epoch=3, graph=True, out=tmp_path / "graph", **arguments)

    assert report.history == expected.history
    assert report.launches["step"] < 0.6 * expected.launches["step"]


def test_what_cannot_be_captured_is_an_error_in_a_line(train):
    """A method that claims to be repeatable, and waits for a value."""
    with pytest.raises(ValueError, match=r"cannot be captured .*not permitted.*: omit --graph"):
        train(ClaimsToRepeat, graph=True)
    with pytest.raises(ValueError, match="--graph: a step of mixmatch computes with numbers that"):
        train("mixmatch", graph=True)


@pytest.mark.parametrize("net", ["preact_resnet18", "wrn28_2", "densenet100", "resnet50"])
def test_networks_train_on_a_gpu(train, net):
    """In bfloat16 and with the channels last."""
    report = train(net=net, changes={"epochs": 1, "batch_size": 2}, last_step=2)

    assert not report.waits


@pytest.mark.parametrize(("method", "most"), [("vanilla", 192), ("mentormix", 312)])
def test_a_step_launches_no_more_than_it_has_to(train, method, most):
    """The network, its casts and the loss; batches of 128 are augmented 64 at a time."""
    arguments = {"net": "preact_resnet18", "changes": {"epochs": 1, "batch_size": 2}}
    launches = train(method, last_step=2, **arguments).launches

    assert launches["step"] / 2 <= most
    assert launches["feed"] / 64 < 2


def test_a_killed_run_goes_on_to_the_same_numbers(train, tmp_path):
    """From a checkpoint, which is read on the host."""
    expected = train("mentormix").history
    arguments = {"out": tmp_path / "killed"}
    begun = train("mentormix", last_epoch=2, **arguments).history
    resumed = train("mentormix", resume=True, **arguments).history

    assert begun == expected[:2]
    assert resumed == expected[1:]  # the only checkpoint is that of the first epoch


def test_a_full_gpu_says_which_batch_would_fit(train):
    """Instead of a traceback."""
    with pytest.raises(
        OSError, match="cuda:0 has not enough memory for a batch of 30: --batch-size 7 would"
    ):
        train(net=Wide, changes={"batch_size": 30}, room=2_000_000)


@pytest.mark.parametrize(
    ("method", "wait"),
    [
        (AsksForAValue, "_local_scalar_dense at "),
        (SelectsByAMask, "index at "),
        (CopiesFromTheHost, "_to_copy at "),
    ],
)
def test_the_phantom_notices_what_waits(train, method, wait):
    """A step that needs a value, a size or a number of the host."""
    waits = train(method, changes={"epochs": 1}).waits

    assert [place.startswith(wait) for place in waits] == [True]


@pytest.mark.parametrize(
    ("method", "message"), [(MixesDevices, "on the host, the others on cuda"), (UsesNumPy, "numpy")]
)
def test_the_phantom_refuses_what_a_gpu_refuses(train, method, message):
    """Tensors of the host among those on the GPU, and arrays of what is on the GPU."""
    with pytest.raises(RuntimeError, match=message):
        train(method)


@pytest.mark.slow
def test_the_benchmark_runs(gpu_process, cifar, tiny, tmp_path):
    """From the first part to the last, on few and small pictures; nothing fails."""
    out = tmp_path / "gpu.json"
    root = tiny(tmp_path / "root", train=40)
    small = ["--net", "conv_small", "--steps", "1", "--minutes", "60", "--epochs", "1"]
    small += ["--workers", "1", "--rounds", "1", "--batch-size", "8", "--train-size", "100"]
    inputs = ["--root", str(root), "--data-dir", str(cifar)]
    arguments = [str(out), *inputs, *small, "--methods", "vanilla", "mixmatch"]

    assert gpu_process(measure, arguments) == 0
    results = json.loads(out.read_text())
    assert results["methods"]["vanilla"]["difference"] == 0
    assert set(results["methods"]["mixmatch"]) == {"eager"}
    assert set(results["throughput"]) == {"network", "vanilla", "mixup", "mentormix"}
    assert [len(run["history"]) > 0 for run in results["training"].values()] == [True] * 3


def test_a_split_that_does_not_fit_is_streamed(train, gpu_process, tmp_path):
    """Its batches are the same."""
    expected = train("mixup").history
    gpu_process(stream, None)

    assert train("mixup", out=tmp_path / "streamed").history == expected
