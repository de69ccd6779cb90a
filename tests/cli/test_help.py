"""What `cnlw --help` and the help of every command say."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from cnlw_tools.cli import COMMAND_GROUPS, COMMANDS, main
from cnlw_tools.cli.options import PathOrAddress

WIDTH = 80  # columns of a terminal
LONGEST_SUMMARY = 45  # characters that the list of commands has room for
LONGEST_SENTENCE = 82  # characters of an option's help, without its default


def all_commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, of groups and of what is in them."""
    for name, command in group.commands.items():
        yield (*words, name)
        if isinstance(command, click.Group):
            yield from all_commands(command, (*words, name))


def find_command(words: tuple[str, ...]) -> click.Command:
    """Return the command that words name."""
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    return command


def help_of(words: tuple[str, ...]) -> str:
    """Return the help of a command, as a terminal of 80 columns shows it."""
    result = CliRunner().invoke(main, [*words, "--help"], terminal_width=WIDTH)
    assert 0 == result.exit_code
    return result.output


def summaries_of(group: click.Group) -> list[str]:
    """Return the summaries of the members of a group, as its help lists them."""
    if group is main:
        return [summary for group in COMMAND_GROUPS.values() for summary in group.values()]
    return [member.get_short_help_str(WIDTH) for member in group.commands.values()]


every_command = pytest.mark.parametrize("words", list(all_commands(main)), ids=" ".join)


def test_the_list_of_commands_is_grouped() -> None:
    """`cnlw --help` has a heading for each group, and below it the commands of the group."""
    text = help_of(())

    places = []
    for heading, summaries in COMMAND_GROUPS.items():
        places.append(text.index(f"\n{heading}:\n"))
        places += [text.index(f"\n  {name} ") for name in summaries]
    assert places == sorted(places)
    assert [name for group in COMMAND_GROUPS.values() for name in group] == [*COMMANDS]
    assert {name: command.name for name, command in COMMANDS.items()} == {n: n for n in COMMANDS}


@pytest.mark.parametrize("words", [(), *all_commands(main)], ids=" ".join)
def test_help_fits_a_terminal(words: tuple[str, ...]) -> None:
    """No line of a help is wider than a terminal, and no summary in a list is cut."""
    text = help_of(words)

    assert max(map(len, text.splitlines())) <= WIDTH
    command = find_command(words)
    if isinstance(command, click.Group):
        for summary in summaries_of(command):
            assert len(summary) <= LONGEST_SUMMARY
            assert summary.endswith(".")
            assert not summary.endswith("...")
            assert f" {summary}\n" in text


@every_command
def test_a_command_says_what_it_does(words: tuple[str, ...]) -> None:
    """The help of a command consists of sentences, and begins with a capital letter."""
    text = find_command(words).help or ""

    assert text[:1].isupper()
    for paragraph in text.strip().split("\n\n"):
        assert paragraph.rstrip().endswith((".", ":"))


@every_command
def test_an_option_says_what_it_does_and_its_default(words: tuple[str, ...]) -> None:
    """The help of an option is a short sentence; what is optional shows its default."""
    for option in find_command(words).params:
        if not isinstance(option, click.Option):
            continue
        sentence, _, default = (option.help or "").partition("  [default: ")
        assert len(sentence) <= LONGEST_SENTENCE, sentence
        assert sentence[:1].isupper(), sentence
        assert sentence.endswith((".", "...")), sentence
        needs_default = not (option.required or option.is_flag or option.multiple)
        if needs_default:
            assert option.show_default or default.endswith("]"), sentence
        if option.multiple:
            assert "may be repeated." in sentence


@every_command
def test_an_option_that_takes_an_address_is_not_called_directory(words: tuple[str, ...]) -> None:
    """An address of a storage is no directory, so the placeholder in the help is another word."""
    command = find_command(words)
    context = click.Context(command)

    for option in command.params:
        if isinstance(option, click.Option) and isinstance(option.type, PathOrAddress):
            assert "DIRECTORY" not in " ".join(option.get_help_record(context) or ())


def test_the_level_of_a_plan_is_a_single_one() -> None:
    """The help of `cnlw build` mentions lists of levels, and that of `cnlw plan` does not."""
    texts = {}
    for name in ("build", "plan"):
        (option,) = [p for p in find_command((name,)).params if p.name == "levels"]
        assert isinstance(option, click.Option)
        texts[name] = option.help or ""

    assert "a list such as" in texts["build"]
    assert "a list such as" not in texts["plan"]
