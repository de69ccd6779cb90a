"""The command that installs an optional dependency works wherever this package came from."""

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from cnlw_tools import files
from cnlw_tools.registry import extras

CHECKOUT = Path(__file__).parents[2]


def test_every_optional_dependency_has_its_extra():
    """The table is that of pyproject.toml."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    declared = {}
    for extra, requirements in project["optional-dependencies"].items():
        for requirement in requirements:
            declared[re.match(r"[\w-]+", requirement)[0]] = extra

    assert declared == extras.EXTRAS


def test_in_a_checkout(monkeypatch, tmp_path):
    """The checkout itself is installed: as `.` where one stands in it."""
    monkeypatch.chdir(CHECKOUT)
    assert extras.install_command("train") == "pip install '.[train]'"
    monkeypatch.chdir(tmp_path)
    assert extras.install_command("train") == f"pip install '{CHECKOUT}[train]'"


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (None, "cnlw-tools[train]"),
        ({"url": "file:///x.whl", "archive_info": {}}, "cnlw-tools[train] @ file:///x.whl"),
        (
            {"url": "https://h/r.git", "vcs_info": {"vcs": "git", "commit_id": "ab1"}},
            "cnlw-tools[train] @ git+https://h/r.git@ab1",
        ),
    ],
)
def test_an_installed_package(origin, source, monkeypatch, tmp_path):
    """It is installed again from where it came: an index, a file, a repository."""
    info = tmp_path / "cnlw_tools-1.dist-info"
    info.mkdir()
    if origin:
        (info / "direct_url.json").write_text(json.dumps(origin))
    installed = metadata.Distribution.at(info)
    monkeypatch.setattr(metadata, "distribution", lambda name: installed)
    monkeypatch.setattr(files, "default_root", lambda: tmp_path)

    assert extras.install_command("train") == f"pip install '{source}'"
