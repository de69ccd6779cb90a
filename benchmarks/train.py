"""What every method costs beside vanilla, in time and memory.

python benchmarks/train.py [cpu|cuda] [NET] [STEPS] [EPOCHS]

step      STEPS steps of the first epoch, median of rounds; rounds of all methods take turns, so that a slow minute of
          the machine slows all of them. Floor: forward, backward and step of the bare network on tensors that lie
          ready; vanilla adds order, pixels, views and notes.
training  EPOCHS epochs on 1,000 images with all stages of the method and validation; a process a method.
          Counted: forward and backward passes, as the method says them.
peak      memory in that process (CUDA: of tensors) above that of one that loads the same and trains vanilla on two
          images at a time. Held: batches whose activations wait for their gradients at once. Networks and memories
          per example are small beside them here; a look at the whole set is at 500 images without a gradient.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from cnlw_tools import files
from cnlw_tools.build.build import build
from cnlw_tools.executor import EXECUTORS, local
from cnlw_tools.executor.signals import StopRequest
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.trainer import Trainer
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer import loop as loops
from cnlw_tools.trainer.optimiser import build_optimiser

ROUNDS = 5
CONFIG = "blue_40_clean1000_probe10_verified20"
IDLE = "vanilla, two images at a time"
OPTIONS: dict[str, dict[str, Any]] = {
    name: {"q": "symmetric:0.4"} for name in ("noise_layer", "forward", "backward")
}
OPTIONS |= {
    name: {"noise_rate": 0.4} for name, method in METHODS.items() if "noise_rate" in method.requires
}
HELD = {  # batches; the others hold one
    "coteaching": 2,  # two networks
    "incv": 2,  # two networks, in the last stage
    "glc": 1.1,  # a trusted example to ten
    "mixmatch": 3,  # trusted ones and two views, mixed
    "mixmatch_kl": 4,  # those, and the view that has to agree
    "ieg": 5,  # two views, and three mixed
}


class Cost(NamedTuple):
    """What a whole training took."""

    seconds: float
    peak: float  # MiB


def main(device: str = "cpu", net: str = "", steps: str = "5", epochs: str = "5") -> None:
    """Print seconds, MiB and ratios."""
    where = devices.choose_device(device)
    with tempfile.TemporaryDirectory() as folder:
        said = {
            "dataset": "shapes",
            "noise": "blue",
            "levels": [40],
            "probe": 10,
            "verified": 20,
            "train_size": 1000,
        }
        recipe = parse_recipe(said, "the benchmark")
        with EXECUTORS["local"](None) as executor:
            build(recipe, Inputs(files.default_root()), Path(folder) / "shapes", executor)
        trainer = partial(prepared, Path(folder), net or None, device)
        made = {name: trainer(name)._build_loop(where, lambda *_: None) for name in METHODS}
        runs = {"bare network": bare(made["vanilla"], int(steps))}
        runs |= {name: epoch(loop, int(steps)) for name, loop in made.items()}
        times = timed(runs, where)
        costs = {
            name: next(local.run(partial(whole, trainer, int(epochs)), [name], 1, apart=True))
            for name in (IDLE, *METHODS)
        }
    print(
        f"torch {torch.__version__}, {where}, {torch.get_num_threads()} threads, {steps} steps, {epochs} epochs\n"
    )
    report(times, costs)


def prepared(folder: Path, net: str | None, device: str, name: str) -> Trainer:
    """Return what trains a method."""
    options, out = OPTIONS.get(name, {}), folder / name
    return Trainer(
        folder / "shapes", CONFIG, name, net, options=options, device=device, out=out, cache=folder
    )


def timed(runs: dict[str, Callable[[], None]], where: torch.device) -> dict[str, float]:
    """Return the median seconds of each, whose rounds take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(ROUNDS + 1):  # the first one warms up
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            if where.type == "cuda":
                torch.cuda.synchronize()
            if round_:
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(some) for name, some in times.items()}


def whole(trainer: Callable[[str], Trainer], epochs: int, name: str) -> Cost:
    """Train a method to its end; in a process of its own."""
    made = trainer("vanilla" if name == IDLE else name)
    made.out = Path(f"{made.out}_{'small' if name == IDLE else 'whole'}")
    made.changes = {"epochs": 1, "batch_size": 2} if name == IDLE else {"epochs": epochs}
    lines: list[dict[str, Any]] = []
    made.fit(on_epoch=lines.append)
    return Cost(sum(line["seconds"] for line in lines), peak(devices.choose_device(made.device)))


def peak(where: torch.device) -> float:
    """Return the most MiB that this process held; not by getrusage, which begins with what its parent held."""
    if where.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    said = Path("/proc/self/status").read_text(encoding="ascii")
    return int(said.partition("VmHWM:")[2].split()[0]) / 2**10


def report(times: dict[str, float], costs: dict[str, Cost]) -> None:
    """Print a row a method."""
    print(
        "| method | step x | training x | counted | peak MiB | peak x | held |\n|---|---|---|---|---|---|---|"
    )
    plain, idle = costs["vanilla"], costs[IDLE].peak
    for name, seconds in times.items():
        row = [name, f"{seconds / times['vanilla']:.2f}", *[""] * 5]
        if cost := costs.get(name):
            above = cost.peak - idle
            row[2:4] = [f"{cost.seconds / plain.seconds:.2f}", f"{METHODS[name].relative_cost:.2f}"]
            row[4:] = [
                f"{above:.0f}",
                f"{above / (plain.peak - idle):.2f}",
                f"{HELD.get(name, 1):g}",
            ]
        print(f"| {' | '.join(row)} |")


def epoch(loop: loops.TrainingLoop, steps: int) -> Callable[[], None]:
    """Return what trains so many steps of an epoch, as the loop does it."""
    loop._begin_epoch()
    chunks = (loop._batch_positions() * steps)[:steps]
    loop._batch_positions = lambda: chunks  # type: ignore[method-assign]

    def run() -> None:
        loop.step = 0
        loop._train_epoch(StopRequest(), lambda *_: None)

    return run


def bare(loop: loops.TrainingLoop, steps: int) -> Callable[[], None]:
    """Return what steps the network as often on tensors that lie ready."""
    net, step = loop.method.net, build_optimiser(loop.method, loop.preset)
    batch = next(iter(loop.train_loader.batches(loop._batch_positions()[:1], ("plain",), 0)))

    def run() -> None:
        for _ in range(steps):
            with devices.autocast(loop.device):
                loss = cross_entropy(net(batch.x), batch.y)
            step.zero_grad(set_to_none=True)
            loss.backward()
            step.step()

    return run


if __name__ == "__main__":
    main(*sys.argv[1:])
