"""What `make` does to the environments."""

import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"


def write_python(path: Path, version: str) -> None:
    """Write a stand-in that says its version, and makes environments of it with no packages."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""#!/bin/sh
case "$*" in
  -V) echo "Python {version}" ;;
  "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; ln -sf /bin/true "$3/bin/pip" ;;
esac
"""
    )
    path.chmod(0o755)


@pytest.mark.parametrize("environment", [".venv-demo", ".venv", ".venv-docs", ".venv-oldest"])
@pytest.mark.parametrize(
    ("version", "is_kept"), [("3.11.7", True), ("3.12.1", False)], ids=["same", "other"]
)
def test_an_environment_of_another_python_is_made_anew(
    tmp_path: Path, environment: str, version: str, is_kept: bool
) -> None:
    """`make PYTHON=...` compares versions, whether or not the environment is up to date."""
    shutil.copy(MAKEFILE, tmp_path / "Makefile")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    write_python(tmp_path / environment / "bin" / "python", "3.11.7")
    write_python(tmp_path / "given", version)
    for name in ("left", "ready"):
        (tmp_path / environment / name).touch()

    command = ["make", f"{environment}/ready", "PYTHON=./given"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)

    assert is_kept == (tmp_path / environment / "left").exists()
    assert (tmp_path / environment / "ready").exists()
    python = tmp_path / environment / "bin" / "python"
    said = subprocess.run([python, "-V"], check=True, capture_output=True, text=True, timeout=60)
    assert said.stdout == f"Python {version}\n"
