"""What every method costs compared with vanilla, in time and memory.

python benchmarks/train.py [cpu|cuda] [NET] [STEPS] [EPOCHS]

step      STEPS steps of the first epoch, median of rounds. Rounds of all methods take turns, so that
          a slow minute of the machine slows all of them. The floor is forward, backward and step of
          the bare network on tensors that are ready; vanilla adds order, pixels, views and logs.
training  EPOCHS epochs on 1,000 images with all phases of the method and validation; each method has
          a process of its own. Counted: forward and backward passes, as the method states them.
peak      memory in that process (CUDA: of tensors) above that of a process that loads the same and
          trains vanilla on two images at a time. Held: batches whose activations wait for their
          gradients at once. Networks and memories per example are small beside them here;
          predictions of the whole set take 500 images at a time without a gradient.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch.nn.functional import cross_entropy

from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.executor import EXECUTORS, local, no_progress
from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.trainer import Trainer
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.loop import TrainingLoop
from cnlw_tools.trainer.optimiser import build_optimiser

Name = TypeVar("Name")

ROUNDS = 5
TRAIN_SIZE = 1000
RECIPE = {
    "dataset": "shapes",
    "noise": "blue",
    "levels": [40],
    "probe": 10,
    "verified": 20,
    "train_size": TRAIN_SIZE,
}
BASELINE = "vanilla, two images at a time"  # its peak is subtracted from those of all methods
HELD = {  # batches; the other methods hold one
    "coteaching": 2,  # two networks
    "incv": 2,  # two networks, in the last phase
    "glc": 1.1,  # one trusted example to ten
    "mixmatch": 3,  # trusted examples and two views, mixed
    "mixmatch_kl": 4,  # those, and the view that has to agree
    "ieg": 5,  # two views, and three mixed ones
}


class Cost(NamedTuple):
    """The cost of a whole training."""

    seconds: float
    peak: float  # MiB


def main(device_name: str = "cpu", net: str = "", steps: str = "5", epochs: str = "5") -> None:
    """Print seconds, MiB and ratios."""
    device = devices.choose_device(device_name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with EXECUTORS["local"](None) as executor:
            recipe = parse_recipe(RECIPE, "the benchmark")
            build(recipe, Inputs(files.default_root()), folder / "shapes", executor)
        make_trainer = partial(trainer_of, folder, net or None, device_name)
        times = measure_steps(make_trainer, device, int(steps))
        costs = {}
        for method in (BASELINE, *METHODS):
            with local.isolated(1) as executor:
                task = partial(train, make_trainer, int(epochs))
                costs[method] = next(executor.map(task, [method]))
    print(
        f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, "
        f"{steps} steps, {epochs} epochs\n"
    )
    print_table(times, costs)


def trainer_of(
    folder: Path, net: str | None, device: str, method: str, train_size: int = TRAIN_SIZE
) -> Trainer:
    """Return the trainer of a method on the build of RECIPE with that many training images."""
    options: dict[str, Any] = {}
    if method in ("noise_layer", "forward", "backward"):
        options["q"] = "symmetric:0.4"
    if "noise_rate" in METHODS[method].requires:
        options["noise_rate"] = 0.4
    return Trainer(
        folder / "shapes",
        f"blue_40_clean{train_size}_probe10_verified20",
        method,
        net,
        options=options,
        device=device,
        out=folder / method,
        cache=folder,
    )


def measure_steps(
    make_trainer: Callable[[str], Trainer],
    device: torch.device,
    n_steps: int,
) -> dict[str, float]:
    """Return the median seconds of the steps of each method and of the bare network."""
    runs: dict[str, Callable[[], None]] = {}
    for method in METHODS:
        loop = make_trainer(method)._build_loop(device, no_progress)
        if method == "vanilla":
            runs["bare network"] = bare_network_steps(loop, n_steps)
        runs[method] = loop_steps(loop, n_steps)
    return median_seconds(runs, ROUNDS, device.type)


def median_seconds(
    runs: Mapping[Name, Callable[[], None]], n_rounds: int, device_type: str
) -> dict[Name, float]:
    """Return the median seconds of each run, all of which take turns; the first round warms up."""
    times: dict[Name, list[float]] = {name: [] for name in runs}
    for i in range(n_rounds + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if device_type == "cuda":
                torch.cuda.synchronize()
            if i > 0:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(rounds) for name, rounds in times.items()}


def train(make_trainer: Callable[[str], Trainer], epochs: int, method: str) -> Cost:
    """Train a method to its end; call it in a process of its own."""
    if method == BASELINE:
        trainer = make_trainer("vanilla")
        trainer.out = Path(f"{trainer.out}_baseline")
        trainer.changes = {"epochs": 1, "batch_size": 2}
    else:
        trainer = make_trainer(method)
        trainer.out = Path(f"{trainer.out}_whole")
        trainer.changes = {"epochs": epochs}
    history: list[dict[str, Any]] = []
    trainer.fit(on_epoch=history.append)
    seconds = sum(metrics["seconds"] for metrics in history)
    return Cost(seconds, peak_mib(devices.choose_device(trainer.device)))


def peak_mib(device: torch.device) -> float:
    """Return the most MiB that this process held.

    getrusage does not help: its peak begins with what the parent process held.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def print_table(times: dict[str, float], costs: dict[str, Cost]) -> None:
    """Print a row for each method."""
    print("| method | step x | training x | counted | peak MiB | peak x | held |")
    print("|---|---|---|---|---|---|---|")
    vanilla = costs["vanilla"]
    vanilla_peak = vanilla.peak - costs[BASELINE].peak
    for name, seconds in times.items():
        cells = [name, f"{seconds / times['vanilla']:.2f}", *[""] * 5]
        cost = costs.get(name)
        if cost is not None:
            peak = cost.peak - costs[BASELINE].peak
            cells[2] = f"{cost.seconds / vanilla.seconds:.2f}"
            cells[3] = f"{METHODS[name].relative_cost:.2f}"
            cells[4] = f"{peak:.0f}"
            cells[5] = f"{peak / vanilla_peak:.2f}"
            cells[6] = f"{HELD.get(name, 1):g}"
        print(f"| {' | '.join(cells)} |")


def loop_steps(loop: TrainingLoop, n_steps: int) -> Callable[[], None]:
    """Return a function that trains n steps of the first epoch, as the loop does it."""
    loop._begin_epoch()
    chunks = (loop._batch_positions() * n_steps)[:n_steps]
    loop._batch_positions = lambda: chunks  # type: ignore[method-assign]

    def run() -> None:
        loop.step = 0
        loop._train_epoch(StopRequest(), no_progress)

    return run


def bare_network_steps(loop: TrainingLoop, n_steps: int) -> Callable[[], None]:
    """Return a function that takes n steps of the network alone, on tensors that are ready."""
    net = loop.method.net
    optimiser = build_optimiser(loop.method, loop.preset)
    positions = loop._batch_positions()[:1]
    batch = next(iter(loop.train_loader.batches(positions, ("plain",), 0)))

    def run() -> None:
        for _ in range(n_steps):
            with devices.autocast(loop.device):
                loss = cross_entropy(net(batch.x), batch.y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()

    return run


if __name__ == "__main__":
    main(*sys.argv[1:])
