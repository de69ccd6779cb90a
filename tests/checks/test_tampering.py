"""docs/validate.md says what `cnlw validate` sees: every row of its table is tried here."""

import shutil
from pathlib import Path

import pytest

from cnlw_tools import files
from cnlw_tools.checks import collect_evidence
from cnlw_tools.recipe.inputs import Inputs
from tests.checks import tampering
from tests.checks.conftest import QUICK_CHECKS, run_checks
from tests.checks.tampering import TAMPERS, Lab

PAGE = Path(__file__).parents[2] / "docs/validate.md"
SLOWEST = "pictures"  # draws them


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return tampering.make_lab(tmp_path_factory.mktemp("lab"))


def judge(folder: Path, inputs: Inputs) -> tuple[str, str]:
    """Return the gravest of what the checks find, and what they say; they stop at an error.

    A build that cannot be read is an error, too.
    """
    try:
        evidence = collect_evidence(folder, inputs)
    except ValueError as problem:
        return "error", str(problem)
    notes = []
    for name in sorted(QUICK_CHECKS, key=lambda name: name == SLOWEST):
        for check, finding in run_checks(evidence, [name]):
            if finding.severity == "error":
                return "error", f"{check}: {finding.message}"
            notes.append(f"{check}: {finding.message}")
    return ("note", "; ".join(notes)) if notes else ("nothing", "")


def views(lab: Lab) -> dict[str, Inputs]:
    """Return what a build is compared with: nothing, or the images that it was made from."""
    root = files.default_root()
    return {"alone": Inputs(root), "with images": Inputs(root, lab.data_dir, store=lab.store)}


def judge_views(lab: Lab, folder: Path) -> dict[str, tuple[str, str]]:
    """Return what the checks find of a build in each view."""
    return {name: judge(folder, inputs) for name, inputs in views(lab).items()}


def test_a_sound_build_has_no_errors(lab: Lab) -> None:
    """Nobody has changed it, so there is not even a note."""
    nothing = ("nothing", "")

    assert judge_views(lab, lab.build) == {"alone": nothing, "with images": nothing}


def test_recording_anew_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    """The tool of these tests does no harm of its own."""
    folder = shutil.copytree(lab.build, tmp_path / "build")
    tampering.record_anew(folder)
    nothing = ("nothing", "")

    assert judge_views(lab, folder) == {"alone": nothing, "with images": nothing}


@pytest.mark.parametrize("name", TAMPERS)
def test_what_the_table_says(lab: Lab, tmp_path: Path, name: str) -> None:
    """A change of a build is an error, a note or not seen, as the table says."""
    folder = shutil.copytree(lab.build, tmp_path / "build")
    tampering.tamper(lab, folder, name)
    judged = judge_views(lab, folder)
    verdicts = {view: verdict for view, (verdict, _) in judged.items()}

    expected = {"alone": TAMPERS[name].alone, "with images": TAMPERS[name].with_images}
    assert verdicts == expected, judged


def test_the_page_has_the_table() -> None:
    """The page lists what is tried here: write it anew with `python -m tests.checks.test_tampering`."""
    assert "\n".join(tampering.table_lines()) in PAGE.read_text("utf-8")


def write_page() -> None:
    """Write the table into the page."""
    begin, _, rest = PAGE.read_text("utf-8").partition("| what was changed")
    end = rest.partition("\n\n")[2]
    PAGE.write_text(begin + "\n".join(tampering.table_lines()) + "\n\n" + end, "utf-8")


if __name__ == "__main__":
    write_page()
