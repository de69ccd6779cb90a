"""Builds that somebody changed, with all records made to match, and validated."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.storms.calls import check_outcome
from benchmarks.storms.child import run_cnlw, run_in_child
from benchmarks.storms.commands import BaselineError, World
from tests.checks.tampering import TAMPERS, Lab, make_lab, tamper

N_LABS = 4  # builds of other pictures


class Storm:
    """Trials that change a build."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.labs: dict[int, Lab] = {}

    def run(self, draw: random.Random) -> tuple[str, list[str]]:
        """Change a build, and compare what `cnlw validate` says with what the table promises."""
        name = draw.choice(sorted(TAMPERS))
        lab = self._lab(draw.randrange(N_LABS))
        folder = self.world.scratch / "trial" / "build"
        self.world.remove(folder.parent)
        seed = draw.randrange(1 << 30)
        changed = run_in_child(lambda: change_build(lab, folder, name, seed), folder.parent)
        if changed.exit_code:
            return name, [f"the build cannot be changed: {changed.last_lines}"]
        views = {"alone": "", "with images": images_of(lab)}
        expected = {"alone": TAMPERS[name].alone, "with images": TAMPERS[name].with_images}
        problems = []
        for view, options in views.items():
            line = f"validate {folder} --workers 1 {options}"
            outcome = run_in_child(run_cnlw(line), folder.parent)
            problems += check_outcome(outcome)
            is_error = expected[view] == "error"
            if (outcome.exit_code != 0) != is_error:  # 2: it is not a build at all
                words = "believed" if is_error else "refused"
                problems.append(f"{view}, seed {seed}: {words}: {outcome.last_lines}")
        self.world.remove(folder.parent)
        return name, problems

    def _lab(self, number: int) -> Lab:
        """Return a build, made on first use; it must be valid."""
        if number not in self.labs:
            folder = self.world.scratch / f"lab{number}"
            made = run_in_child(in_silence(lambda: make_lab(folder, number)), folder)
            if made.exit_code:
                raise BaselineError(f"a build to change cannot be made: {made.output}")
            lab = Lab(folder / "root", folder / "images", folder / "store", folder / "build")
            for options in ("", images_of(lab)):
                line = f"validate {lab.build} --workers 1 {options}"
                outcome = run_in_child(run_cnlw(line), folder)
                if outcome.exit_code:
                    raise BaselineError(f"a sound build is refused: {outcome.last_lines}")
            self.labs[number] = lab
        return self.labs[number]


def images_of(lab: Lab) -> str:
    """Return the options that say where the images of a build are."""
    return f"--data-dir {lab.data_dir} --store {lab.store}"


def change_build(lab: Lab, folder: Path, name: str, seed: int) -> int:
    """Copy a build and change the copy."""
    shutil.copytree(lab.build, folder, symlinks=True)
    tamper(lab, folder, name, seed)
    return 0


def in_silence(make: Callable[[], object]) -> Callable[[], int]:
    """Return what runs a function and has exit code 0."""

    def run() -> int:
        os.environ["HF_HUB_OFFLINE"] = "1"
        make()
        return 0

    return run
