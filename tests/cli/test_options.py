"""Options that several commands share: what they take, and what they refuse."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cnlw_tools.cli import main
from cnlw_tools.cli.options import LocalPath, PathOrAddress

ADDRESS = "ftp://host/b"  # of no storage that is known
FIRST_ARGUMENTS = {
    ("export",): ["imagefolder"],
    ("import",): ["folder"],
    ("new",): ["flowers"],
    ("predict",): ["run"],
}


def path_parameters(
    group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Parameter]]:
    """Yield the words and each path of every command, of groups and of what is in them."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from path_parameters(command, (*words, name))
        for parameter in command.params:
            if isinstance(parameter.type, click.Path | click.File):
                yield (*words, name), parameter


PATHS = list(path_parameters(main))


@pytest.mark.parametrize(
    ("words", "parameter"), PATHS, ids=[f"{' '.join(w)} {p.name}" for w, p in PATHS]
)
def test_no_option_takes_an_address_for_a_folder(
    words: tuple[str, ...],
    parameter: click.Parameter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command says in one line what to do, and makes no folder called ``ftp:``."""
    monkeypatch.chdir(tmp_path)
    option = parameter.opts[:1] if isinstance(parameter, click.Option) else []
    is_first = parameter.name == "run"
    others = [] if option or is_first else FIRST_ARGUMENTS.get(words, [])

    result = CliRunner().invoke(main, [*words, *others, *option, ADDRESS])

    assert isinstance(parameter.type, LocalPath | PathOrAddress)
    assert (1, 1) == (result.exit_code, len(result.output.splitlines()))
    reason = (
        "this is an address" if isinstance(parameter.type, LocalPath) else "no storage is known as"
    )
    assert f"Error: {ADDRESS}: {reason}" in result.output
    assert [] == [*tmp_path.iterdir()]


def test_an_address_of_a_donor_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a donor is one of the paths."""
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["build", "--noise", "openset", "--donor", f"svhn={ADDRESS}"])

    assert 1 == result.exit_code
    assert f"Error: {ADDRESS}: no storage is known" in result.output
