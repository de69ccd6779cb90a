"""What a step of every method costs beside one of vanilla: python benchmarks/train.py [cpu|cuda] [NET] [STEPS]

Floor: forward, backward and step of the bare network on tensors that lie ready. Vanilla adds order, pixels, views
and notes. Rounds of all methods take turns, so that a slow minute of the machine slows all of them.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from cnlw_tools import engine, files
from cnlw_tools.build import build
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe import make
from cnlw_tools.stop import Stop
from cnlw_tools.trainer import Trainer
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.loop import Loop
from cnlw_tools.trainer.optimise import optimiser

ROUNDS = 5


def main(device: str = "cpu", net: str = "", steps: str = "50") -> None:
    """Print seconds an epoch's share and ratios."""
    where = devices.choose(device)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "shapes"
        recipe = make(
            {"dataset": "shapes", "noise": "blue", "levels": [40], "probe": 10, "verified": 20}, "the benchmark"
        )
        build(recipe, files.root(), None, out, engine.cores())
        options = {name: {"q": "symmetric:0.4"} for name in ("noise_layer", "forward", "backward")}
        options |= {name: {"noise_rate": 0.4} for name, method in METHODS.items() if "noise_rate" in method.needs}
        loops = {}
        for name in METHODS:
            said = {"method": name, "net": net or None, "device": device, "out": Path(folder) / name}
            trainer = Trainer(out, "blue_40_probe10_verified20", options=options.get(name, {}), **said)
            loops[name] = trainer._loop(where, lambda *_: None)
        runs = {"bare network": bare(loops["vanilla"], int(steps))}
        runs |= {name: epoch(loop, int(steps)) for name, loop in loops.items()}
        report({name: [] for name in runs}, runs, where)


def report(times: dict[str, list[float]], runs: dict[str, Callable[[], None]], where: torch.device) -> None:
    """Time rounds of all and print medians."""
    peaks = {}
    for round_ in range(ROUNDS + 1):  # the first one warms up
        for name, run in runs.items():
            if where.type == "cuda":
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
            begun = time.perf_counter()
            run()
            if where.type == "cuda":
                torch.cuda.synchronize()
                peaks[name] = torch.cuda.max_memory_allocated() / 2**20
            if round_:
                times[name].append(time.perf_counter() - begun)
    vanilla = statistics.median(times["vanilla"])
    print(f"torch {torch.__version__}, {where}, {torch.get_num_threads()} threads, median of {ROUNDS} rounds\n")
    print("| method | x vanilla | counted | peak MB |\n|---|---|---|---|")
    for name, seconds in times.items():
        counted = f"{METHODS[name].cost:.2f}" if name in METHODS else ""
        print(f"| {name} | {statistics.median(seconds) / vanilla:.2f} | {counted} | {peaks.get(name, 0):.0f} |")


def epoch(loop: Loop, steps: int) -> Callable[[], None]:
    """Return what trains so many steps of an epoch, as the loop does it."""
    loop._get_ready()
    chunks = (loop._chunks() * steps)[:steps]
    loop._chunks = lambda: chunks  # type: ignore[method-assign]

    def run() -> None:
        loop.step = 0
        loop._epoch(Stop(), lambda *_: None)

    return run


def bare(loop: Loop, steps: int) -> Callable[[], None]:
    """Return what steps the network as often on tensors that lie ready."""
    net, step = loop.method.net, optimiser(loop.method, loop.preset)
    batch = next(iter(loop.train.batches(loop._chunks()[:1], ("plain",), 0)))

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
