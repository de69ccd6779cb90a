"""What one GPU does in nine minutes: python -m benchmarks.gpu OUT.json --data-dir DIR

methods     every method takes a few steps on `shapes`, as always and as a CUDA graph; the losses of
            both are written, and the largest relative difference
throughput  milliseconds of a step of the network alone on tensors that are ready, and of methods
            with all else, as always and as a graph, in turns
training    MentorMix, mixup and vanilla on CIFAR-10 with 40 % blue noise, in the faster way, for as
            many epochs of the preset as the time left allows; DIR holds cifar-10-batches-py

OUT.json is written after every part, so a killed run leaves what it has measured. `--device cpu`
tries the script where there is no GPU, without graphs. The exit code is 1 if anything failed; the
file says what.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.train import (
    RECIPE,
    TRAIN_SIZE,
    bare_network_steps,
    loop_steps,
    median_seconds,
    trainer_of,
)
from cnlw_tools import files
from cnlw_tools.builds.build import build
from cnlw_tools.executor import EXECUTORS, no_progress
from cnlw_tools.files.roots import require_root
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe
from cnlw_tools.trainer import Trainer
from cnlw_tools.trainer import device as devices

TRAINED = ("mentormix", "mixup", "vanilla")
CIFAR = {"dataset": "cifar10", "noise": "blue", "levels": [40]}
CIFAR_STEPS = 390  # of an epoch: 50,000 images in batches of 128
CHECK_SHARE = 0.4  # of the time left after building, which the checks of methods may take at most
EPOCH_MARGIN = 1.25  # seconds of an epoch with validation and files, in seconds of its steps

Results = dict[str, Any]


@dataclass
class Request:
    """What was asked for."""

    out: Path
    root: Path | None
    data_dir: Path | None
    device: str
    minutes: float
    epochs: int
    net: str
    steps: int
    rounds: int
    batch_size: int
    train_size: int
    methods: Sequence[str]
    workers: int | None

    @property
    def modes(self) -> dict[str, bool]:
        """The ways to take a step, and whether each is a graph."""
        return {"eager": False} if self.device == "cpu" else {"eager": False, "graph": True}


class TimeIsUp(Exception):
    """Ends a training whose time is up."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the file, and return the exit code."""
    request = parse_arguments(arguments)
    begin = time.monotonic()
    deadline = begin + 60 * request.minutes
    results: Results = {"device": request.device, **devices.versions(), "net": request.net}
    results |= {"command": sys.argv, "failures": []}
    devices.enable_fast_kernels(devices.choose_device(request.device))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if request.data_dir is not None:  # first, so that a wrong folder is an error at once
            make_build(CIFAR, request, folder / "cifar10")
        make_build(RECIPE | {"train_size": request.train_size}, request, folder / "shapes")
        now = time.monotonic()
        check_end = now + CHECK_SHARE * (deadline - now)
        results["methods"] = check_methods(request, folder, check_end, results["failures"])
        write(request, results, begin)
        results["throughput"] = measure_throughput(request, folder)
        write(request, results, begin)
        if request.data_dir is not None:
            train_all(request, folder, deadline, results, begin)
    print(f"{request.out}: {len(results['failures'])} failures")
    return int(bool(results["failures"]))


def parse_arguments(arguments: Sequence[str] | None) -> Request:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measures one GPU in nine minutes.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--root", type=Path, help="manifests and annotations other than ours")
    parser.add_argument("--data-dir", type=Path, help="parent of cifar-10-batches-py")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--epochs", type=int, default=200, help="of a training, at most")
    parser.add_argument("--net", default="preact_resnet18", help="for throughput and training")
    parser.add_argument("--steps", type=int, default=50, help="in a round of throughput")
    parser.add_argument("--rounds", type=int, default=5, help="of throughput")
    parser.add_argument("--batch-size", type=int, default=128, help="of checks and throughput")
    parser.add_argument("--train-size", type=int, default=TRAIN_SIZE, help="images of shapes")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--workers", type=int, help="that build")
    return Request(**vars(parser.parse_args(arguments)))


def make_build(fields: Results, request: Request, folder: Path) -> None:
    """Build what is trained on."""
    inputs = Inputs(require_root(request.root), request.data_dir)
    with EXECUTORS["local"](request.workers) as executor:
        build(parse_recipe(fields, "the benchmark"), inputs, folder, executor)


def check_methods(
    request: Request, folder: Path, deadline: float, failures: list[str]
) -> dict[str, Results]:
    """Return the losses of three steps of each method, by mode, and how they differ."""
    checks: dict[str, Results] = {}
    for method in request.methods:
        if time.monotonic() > deadline:
            failures.append(f"{method}: no time was left to check it")
            continue
        checks[method] = {}
        for mode, is_graph in request.modes.items():
            if is_graph and METHODS[method].repeats_within is None:
                continue
            try:
                losses = first_losses(request, folder, method, is_graph)
            except Exception as error:  # noqa: BLE001, the others are checked all the same
                failures.append(f"{method}, {mode}: {type(error).__name__}: {error}")
                continue
            checks[method][mode] = losses
        if len(checks[method]) == 2:
            pairs = zip(*checks[method].values(), strict=True)
            differences = [abs(a - b) / max(abs(a), 1e-12) for a, b in pairs]
            checks[method]["difference"] = max(differences)
        print(method, checks[method], flush=True)
    return checks


def first_losses(request: Request, folder: Path, method: str, is_graph: bool) -> list[float]:
    """Return the losses of the first three steps, of which a graph repeats the last."""
    trainer = trainer_of(folder, None, request.device, method, request.train_size)
    trainer.changes = {"batch_size": request.batch_size}
    loop = make_loop(trainer, request, f"check_{is_graph}", is_graph)
    loop_steps(loop, 3)()
    losses: list[float] = loop.step_losses.tolist()
    if not all(abs(loss) < float("inf") for loss in losses):
        raise ValueError(f"losses {losses}")
    return losses


def make_loop(trainer: Trainer, request: Request, name: str, is_graph: bool) -> Any:
    """Return the loop of a trainer, in a folder of its own."""
    named = replace(trainer, out=Path(f"{trainer.out}_{name}"), graph=is_graph)
    return named._build_loop(devices.choose_device(request.device), no_progress)


def measure_throughput(request: Request, folder: Path) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of a step, by method and mode, and their ratio to the net's."""
    runs: dict[tuple[str, str], Callable[[], None]] = {}
    for method in TRAINED:
        for mode, is_graph in request.modes.items():
            trainer = trainer_of(folder, request.net, request.device, method, request.train_size)
            trainer.changes = {"batch_size": request.batch_size, "epochs": 200}
            loop = make_loop(trainer, request, f"speed_{is_graph}", is_graph)
            runs[method, mode] = loop_steps(loop, request.steps)
            if ("network", "eager") not in runs:
                runs["network", "eager"] = bare_network_steps(loop, request.steps)
    return summarise(median_seconds(runs, request.rounds, request.device), request.steps)


def summarise(
    seconds: Mapping[tuple[str, str], float], n_steps: int
) -> dict[str, dict[str, float]]:
    """Return milliseconds of a step by method and mode, and their ratio to the bare network.

    Args:
        seconds: of n_steps, by method and mode
        n_steps: how many steps were timed together
    """
    table: dict[str, dict[str, float]] = {}
    for (method, mode), value in seconds.items():
        row = table.setdefault(method, {})
        row[f"{mode}_ms"] = round(1000 * value / n_steps, 3)
        row[f"{mode}_of_network"] = round(value / seconds["network", "eager"], 3)
    print(table, flush=True)
    return table


def train_all(
    request: Request, folder: Path, deadline: float, results: Results, begin: float
) -> None:
    """Train the methods one after the other, each in its share of the time that is left."""
    results["training"] = {}
    for i, method in enumerate(TRAINED):
        share = (deadline - time.monotonic()) / (len(TRAINED) - i)
        speed = results["throughput"][method]
        mode = min(request.modes, key=lambda mode: speed[f"{mode}_ms"])
        epoch_seconds = EPOCH_MARGIN * CIFAR_STEPS * speed[f"{mode}_ms"] / 1000
        epochs = max(1, min(request.epochs, int(share / epoch_seconds)))
        trainer = Trainer(
            folder / "cifar10",
            "blue_40",
            method,
            request.net,
            changes={"epochs": epochs},
            device=request.device,
            graph=request.modes[mode],
            out=folder / f"cifar_{method}",
            cache=folder,
        )
        try:
            history = train(trainer, time.monotonic() + share)
        except Exception as error:  # noqa: BLE001, the others are trained all the same
            results["failures"].append(f"training {method}: {type(error).__name__}: {error}")
            continue
        if not history:
            results["failures"].append(f"training {method}: no epoch ended in {share:.0f} s")
        results["training"][method] = {"epochs": epochs, "mode": mode, "history": history}
        write(request, results, begin)
        print(method, f"{len(history)} of {epochs} epochs", history[-1:], flush=True)


def train(trainer: Trainer, deadline: float) -> list[Results]:
    """Train until the end or the deadline, and return the metrics of the epochs."""
    history: list[Results] = []
    try:
        trainer.fit(partial(stop_at, deadline), history.append)
    except TimeIsUp:
        print(f"{trainer.method}: the time is up", flush=True)
    return history


def stop_at(deadline: float, stage: str, n_done: int, n_total: int) -> None:
    """Raise if the deadline is over; call it as a progress."""
    if time.monotonic() > deadline:
        raise TimeIsUp


def write(request: Request, results: Results, begin: float) -> None:
    """Replace the file by what has been measured so far."""
    results["seconds"] = round(time.monotonic() - begin, 1)
    with files.atomic_write(request.out) as draft:
        draft.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
