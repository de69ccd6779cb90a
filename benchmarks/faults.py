"""Kills, failing calls, changed files and changed builds, for a while: python -m benchmarks.faults --minutes 60

Every trial is drawn from the seed and its number, so that `--trial N` repeats one. These are
failures: a traceback, a file that differs from that of an undisturbed run, files that a killed run
leaves behind, a process that does not end, a command that hangs or takes a gigabyte more than
usual, and a changed build that `cnlw validate` accepts.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.storms import system_calls
from benchmarks.storms.commands import BaselineError, World

STORMS = ("kills", "calls", "limits", "files", "builds")


def main() -> int:
    """Make trials until the time is over; print trials and failures by kind."""
    options = parse_options()
    scratch = Path(options.scratch or tempfile.mkdtemp(prefix="faults-")).resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    if "calls" in options.only:
        system_calls.restart_with_library(scratch)
    import_everything()
    world = World(scratch)
    world.prepare()
    storms = {name: open_storm(name, world) for name in options.only}
    trials: Counter[tuple[str, str]] = Counter()
    failures: Counter[tuple[str, str]] = Counter()
    end = time.monotonic() + 60 * options.minutes
    number = options.trial if options.trial is not None else options.first
    while True:
        draw = random.Random(f"{options.seed} {number}")  # noqa: S311, no secret
        name = draw.choice(options.only)
        try:
            kind, problems = storms[name].run(draw)
        except BaselineError as error:
            kind, problems = "undisturbed", [str(error)]
        trials[name, kind] += 1
        for problem in problems:
            failures[name, kind] += 1
            print(f"trial {number}: {name}: {kind}: {problem}", flush=True)
        number += 1
        if options.trial is not None or time.monotonic() > end:
            break
    print_table(trials, failures)
    return 1 if failures else 0


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trial", type=int, help="make this trial alone")
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    parser.add_argument("--only", nargs="+", choices=STORMS, default=list(STORMS))
    parser.add_argument("--scratch", help="folder to work in; it must be empty or new")
    return parser.parse_args()


def import_everything() -> None:
    """Import what the commands import, so that a trial costs a fork."""
    import importlib
    import pkgutil

    import cnlw_tools

    for module in pkgutil.walk_packages(cnlw_tools.__path__, "cnlw_tools."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    import datasets
    import matplotlib.pyplot  # noqa: F401
    import torchvision  # noqa: F401

    datasets.disable_progress_bars()


def open_storm(name: str, world: World) -> "Storm":
    """Return what makes the trials of one storm."""
    import importlib

    module = importlib.import_module(f"benchmarks.storms.{name}")
    return module.Storm(world)


class Storm:
    """One kind of trial; each module of storms has a class of this name."""

    def __init__(self, world: World) -> None: ...

    def run(self, draw: random.Random) -> tuple[str, list[str]]:
        """Make one trial; return its kind, and what went wrong."""
        raise NotImplementedError


def print_table(trials: Counter[tuple[str, str]], failures: Counter[tuple[str, str]]) -> None:
    """Print one line for each kind, and the sums of the storms."""
    print("\n| storm | kind | trials | failures |\n|---|---|---|---|")
    for storm, kind in sorted(trials):
        print(f"| {storm} | {kind} | {trials[storm, kind]} | {failures[storm, kind]} |")
    print(f"| all | | {trials.total()} | {failures.total()} |")


if __name__ == "__main__":
    sys.exit(main())
