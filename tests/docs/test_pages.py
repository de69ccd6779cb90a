"""README and the guides: short, without broken links, with commands that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from cnlw_tools import __version__
from cnlw_tools.cli import main
from cnlw_tools.methods import METHODS
from cnlw_tools.noise import NOISE

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
PAGES = [README, *sorted((CHECKOUT / "docs/guides").glob("*.md"))]
CHANGELOG = CHECKOUT / "CHANGELOG.md"
MAX_LINES = 110  # of README
MAX_VERSION_LINES = 110  # of a version in CHANGELOG
WIDEST_LINE = 100  # columns, but for tables, which cannot be wrapped
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(cnlw [^`]+)`")

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def find_commands(text: str) -> list[str]:
    """Return the command lines of `cnlw` in the blocks and in the text of a page."""
    lines = SPAN.findall(BLOCK.sub("", text))
    for block in BLOCK.findall(text):
        joined = block.replace("\\\n", " ")
        lines += [line for line in joined.splitlines() if line.startswith("cnlw ")]
    return lines


def parse(line: str) -> None:
    """Parse a command line as `cnlw` would, without running it.

    Raises:
        click.UsageError: no such command or option
    """
    command: click.Command = main
    words = shlex.split(line, comments=True)[1:]
    context = click.Context(main)
    while isinstance(command, click.Group):
        _, command, words = command.resolve_command(context, words)
    command.make_parser(click.Context(command)).parse_args(words)


def test_the_readme_is_short() -> None:
    """README has at most 110 lines."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_the_changelog_is_short() -> None:
    """A version has at most 110 lines, of at most 100 columns."""
    for version in CHANGELOG.read_text(encoding="utf-8").split("\n## ")[1:]:
        lines = version.splitlines()

        assert len(lines) <= MAX_VERSION_LINES, lines[0]
        assert [line for line in lines if len(line) > WIDEST_LINE] == []


def test_the_version_is_the_same_everywhere() -> None:
    """The code, the citation and the newest section of CHANGELOG agree."""
    newest = re.search(r"^## \[(.+)\]", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
    citation = yaml.safe_load((CHECKOUT / "CITATION.cff").read_text(encoding="utf-8"))

    assert newest
    assert [newest[1], citation["version"]] == [__version__] * 2


@page
def test_lines_fit(path: Path) -> None:
    """A line that is not of a table has at most 100 columns."""
    wide = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if len(line) > WIDEST_LINE and not line.startswith("|"):
            wide.append(line)

    assert wide == []


def test_links_of_the_readme_lead_somewhere() -> None:
    """Every link is to a file of the repository."""
    targets = LINK.findall(README.read_text(encoding="utf-8"))

    assert [target for target in targets if not (CHECKOUT / target).exists()] == []


@page
def test_commands_exist(path: Path) -> None:
    """Every command and option that a page names is one of `cnlw`."""
    for line in find_commands(path.read_text(encoding="utf-8")):
        parse(line)


def test_a_command_that_does_not_exist_is_found() -> None:
    """A misspelt command and a misspelt option are errors."""
    for line in ("cnlw biuld --noise red", "cnlw build --nois red"):
        with pytest.raises(click.UsageError, match="No such"):
            parse(line)


@pytest.mark.parametrize("names", [METHODS, NOISE], ids=["methods", "noise"])
def test_the_readme_links_all(names) -> None:
    """README links every method and every noise model to a page."""
    text = README.read_text(encoding="utf-8")

    assert [name for name in names if f"| [{name}](" not in text] == []


def test_the_readme_counts_the_methods() -> None:
    """README says how many methods there are."""
    assert f"{len([*METHODS])} published methods" in README.read_text(encoding="utf-8").replace(
        "\n", " "
    )


def test_every_command_is_shown() -> None:
    """README and the guides together show every command."""
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    shown = {line.split()[1] for line in find_commands(text)}

    assert set(main.commands) <= shown
