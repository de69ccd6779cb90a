"""Pages of the command line, made from the commands themselves: one page a command."""

import re
from collections.abc import Iterator

import click

from cnlw_tools.cli import COMMAND_GROUPS, main
from docs.generate.markdown import (
    code,
    escape,
    escape_with_options,
    fence,
    heading,
    link,
    option,
    table,
)

FOLDER = "reference/cli"
PAGES = {  # that a help text names, by title
    "The image store and its ledger": "../store.md",
    "What methods share": "../methods/what_methods_share.md#weighting-rules",
}
NAMED_PAGE = re.compile(r'The page "([^"]+)" of the documentation')
LARGEST_STATED = 2**63 - 1  # this and more is no limit that a user meets


def make_pages() -> dict[str, str]:
    """Return the page of each command, and one that lists them all."""
    commands = dict(_leaf_commands(main, ("cnlw",)))
    pages = {f"{FOLDER}/index.md": _index_page(commands)}
    for words, command in commands.items():
        pages[f"{FOLDER}/{_file_name(words)}"] = _command_page(words, command)
    return pages


def _leaf_commands(
    group: click.Group, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield the commands that do something, below groups too, with the words that call them."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from _leaf_commands(command, (*words, name))
        else:
            yield (*words, name), command


def page_of_modules() -> Iterator[tuple[str, str]]:
    """Yield the module of each command, and the page of the command."""
    for words, command in _leaf_commands(main, ("cnlw",)):
        if command.callback is not None:
            yield command.callback.__module__, f"{FOLDER}/{_file_name(words)}"


def _file_name(words: tuple[str, ...]) -> str:
    return f"{'-'.join(words[1:])}.md"


def _index_page(commands: dict[tuple[str, ...], click.Command]) -> str:
    """Return the list of commands, in the groups of `cnlw --help`."""
    text = heading("Commands")
    text += "In a terminal, `cnlw COMMAND --help` prints the text of that command's page. "
    text += "The [glossary](../../glossary.md) explains words such as *build*, *config* and *store*.\n\n"
    for title, group in COMMAND_GROUPS.items():
        rows = []
        for words, command in commands.items():
            if words[1] in group:
                name = link(code(" ".join(words)), _file_name(words))
                summary = command.get_short_help_str(limit=200) if words[2:] else group[words[1]]
                rows.append([name, escape(summary)])
        text += heading(title, 2) + table(["command", "what it does"], rows)
    text += heading("Exit codes", 2)
    text += table(
        ["code", "meaning"],
        [
            ["0", "success"],
            ["1", "an error; for `cnlw diff`: A and B differ"],
            [
                "2",
                "a wrong command line; for `cnlw diff`: A and B cannot be compared; for "
                "`cnlw validate`: there is no build to check",
            ],
            ["130", "stopped by Ctrl-C"],
            ["143", "stopped by the signal SIGTERM"],
        ],
    )
    return text


def _command_page(words: tuple[str, ...], command: click.Command) -> str:
    """Return the page of a command: usage, what it does, arguments and options."""
    context = click.Context(command, info_name=" ".join(words))
    usage = " ".join([*words, *command.collect_usage_pieces(context)])
    text = heading(" ".join(words)) + fence(usage)
    text += "\n" + _help_to_markdown(command.help or "") + "\n\n"
    rows = []
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            rows.append(_option_cells(parameter, context))
    return text + heading("Options", 2) + table(["option", "meaning", "default"], rows)


def _option_cells(parameter: click.Option, context: click.Context) -> list[str]:
    """Return the row of an option: its words and value, its help, its default."""
    words, _ = parameter.get_help_record(context) or ("", "")
    extra = parameter.get_help_extra(context)
    meaning, _, described = (parameter.help or "").partition("[default: ")
    meaning = escape_with_options(meaning.strip())
    if limits := _describe_range(extra.get("range", "")):
        meaning = f"{meaning.removesuffix('.')} ({limits})."
    if extra.get("required"):
        meaning += " Required."
    default = extra.get("default") or described.removesuffix("]")
    is_phrase = " " in default or default.isalpha()
    default_cell = escape_with_options(default) if is_phrase or not default else code(default)
    return [option(" ".join(words.split())), meaning, default_cell]


def _describe_range(limits: str) -> str:
    """Return the limits of a number in words; click writes them as `x>=1` or `1<=x<=64`.

    A number that is only not negative needs no words.
    """
    smallest, _, largest = limits.replace("x>=", "").partition("<=x<=")
    if not largest or int(largest) >= LARGEST_STATED:
        return "" if smallest in ("", "0") else f"at least {smallest}"
    return f"from {smallest} to {largest}"


def _help_to_markdown(text: str) -> str:
    r"""Return the help of a command; paragraphs that begin with \b stand in it line by line."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.startswith("\b"):
            parts.append(fence(paragraph.removeprefix("\b").strip("\n")))
        else:
            line = escape_with_options(" ".join(paragraph.split()))
            parts.append(NAMED_PAGE.sub(lambda found: link(found[1], PAGES[found[1]]), line))
    return "\n\n".join(parts)
