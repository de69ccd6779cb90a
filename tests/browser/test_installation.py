"""`.ci/install_chromium`, with programs that stand in for those of the system."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "install_chromium"
NEEDED = ("bash", "mktemp", "rm", "tail")


@pytest.fixture
def programs(tmp_path) -> Path:
    """A folder of what the script calls, but neither apt-get nor a browser; the user is root."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(shutil.which(name))
    write_program(folder / "id", "echo 0")
    return folder


def write_program(path: Path, text: str) -> None:
    """Write a program of the shell."""
    path.write_text(f"#!{shutil.which('bash')}\n{text}\n")
    path.chmod(0o755)


def install(programs: Path) -> subprocess.CompletedProcess:
    """Run the script where only these programs are found."""
    environment = {**os.environ, "PATH": str(programs)}
    command = [programs / "bash", SCRIPT]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_browser_that_is_there_stays(programs):
    """Nothing is installed and nothing is printed."""
    write_program(programs / "chromium-browser", "exit 1")
    write_program(programs / "apt-get", "exit 1")
    done = install(programs)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_browser_that_is_missing_is_installed_quietly(programs, tmp_path):
    """The list of packages is fetched once, before."""
    write_program(programs / "apt-get", f'echo loud; echo "$*" >> {tmp_path}/calls')
    done = install(programs)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["update", "install --yes --no-install-recommends chromium"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("id", "echo 1000", "apt-get needs root"),
        ("apt-get", "echo one; echo no network >&2; exit 100", "apt-get update: no network"),
        ("apt-get", "[ $1 = update ] || { echo full; exit 1; }", "apt-get install: full"),
    ],
)
def test_what_prevents_it_is_said_in_a_line(programs, name, text, reason):
    """The script fails, so that no test is skipped."""
    write_program(programs / "apt-get", "exit 0")
    write_program(programs / name, text)
    done = install(programs)

    assert done.returncode == 1
    assert done.stderr == f"Chromium is missing and cannot be installed: {reason}\n"


def test_without_apt_get_it_says_so(programs):
    """It is no Debian."""
    done = install(programs)

    assert done.returncode == 1
    assert "there is no apt-get here; install Chromium by hand" in done.stderr
