"""A base install, without the extras: what plans, lists and builds needs no torch."""

import subprocess
import sys

import pytest

from cnlw_tools import files
from cnlw_tools.cli.list import list_
from cnlw_tools.registry.extras import EXTRAS
from cnlw_tools.study import spec

ROOT = files.default_root()
WITHOUT_EXTRAS = f"""
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(EXTRAS)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""
COMMANDS = """
import shlex
from click.testing import CliRunner
from cnlw_tools.cli import main
from cnlw_tools.sources import white_noise

white_noise.SAMPLE_SIZE = 20  # images that a plan draws to measure them: it takes seconds
for line in sys.argv[1:]:
    result = CliRunner().invoke(main, shlex.split(line))
    print(result.exit_code, line, result.output if result.exit_code else "")
"""


def run_without_extras(folder, *commands: str) -> list[str]:
    """Run commands where importing an optional package fails; return a line for each."""
    code = WITHOUT_EXTRAS + COMMANDS
    done = subprocess.run(
        [sys.executable, "-c", code, *commands],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def dry_runs() -> list[str]:
    """Return the commands that plan each study at all of its scales, and one of them at one."""
    commands = [f"sweep {name} --dry-run" for name in spec.study_names(ROOT)]
    return [*commands, "sweep jiang_table1 --scale small --dry-run"]


@pytest.mark.parametrize("package", EXTRAS)
def test_the_test_hides_the_package(package):
    """What is proved here is proved without it."""
    code = f"{WITHOUT_EXTRAS}\nimport {package}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert f"No module named '{package}'" in done.stderr


def test_lists(tmp_path):
    """Every list is printed."""
    (kinds,) = [option.type.choices for option in list_.params if option.name == "kind"]
    commands = [f"list {kind}" for kind in kinds]

    assert run_without_extras(tmp_path, *commands) == [f"0 {command}" for command in commands]


def test_dry_runs(tmp_path):
    """Every study can be planned, at each of its scales."""
    commands = dry_runs()

    assert run_without_extras(tmp_path, *commands) == [f"0 {command}" for command in commands]


def test_a_wrong_study(tmp_path):
    """It is named with the one that was probably meant."""
    (line,) = run_without_extras(tmp_path, "sweep jiang_tabel1 --dry-run")

    assert line.startswith("1 sweep jiang_tabel1 --dry-run Error: unknown study 'jiang_tabel1'.")
    assert "Did you mean 'jiang_table1'?" in line


def test_commands_that_need_an_extra(tmp_path):
    """They say which package they need and how to install it."""
    train, report = run_without_extras(tmp_path, "train --data x --config y", "report .")

    assert "this needs torch: pip install '" in train
    assert "[train]'" in train
    assert "[report]'" in report
