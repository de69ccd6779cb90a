"""Pages of the command line, made from the commands themselves: one page a command."""

import re
from collections.abc import Iterator

import click

from cnlw_tools.cli import COMMAND_GROUPS, main
from docs.generate.markdown import code, escape, fence, heading, link, table

FOLDER = "reference/cli"


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


def _file_name(words: tuple[str, ...]) -> str:
    return f"{'-'.join(words[1:])}.md"


def _index_page(commands: dict[tuple[str, ...], click.Command]) -> str:
    """Return the list of commands, in the groups of `cnlw --help`."""
    text = heading("Commands")
    text += "`cnlw COMMAND --help` prints in a terminal what these pages say.\n\n"
    for title, group in COMMAND_GROUPS.items():
        names = {command.name for command in group}
        rows = []
        for words, command in commands.items():
            if words[1] in names:
                name = link(code(" ".join(words)), _file_name(words))
                rows.append([name, escape(command.get_short_help_str(limit=200))])
        text += heading(title, 2) + table(["command", "what it does"], rows)
    text += heading("Exit codes", 2)
    text += table(
        ["code", "meaning"],
        [
            ["0", "success"],
            ["1", "an error; `cnlw diff`: the two differ"],
            ["2", "the command line is wrong; `cnlw diff`: they cannot be compared"],
            ["130", "Ctrl-C"],
            ["143", "SIGTERM"],
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


def _option_cells(option: click.Option, context: click.Context) -> list[str]:
    """Return the row of an option: its words and value, its help, its default."""
    words, _ = option.get_help_record(context) or ("", "")
    extra = option.get_help_extra(context)
    meaning, _, default = (option.help or "").partition("[default: ")
    default = default.removesuffix("]") or extra.get("default", "")
    meaning = escape(meaning.strip())
    if extra.get("required"):
        meaning += " Required."
    if extra.get("range"):
        meaning += f" {code(extra['range'])}"
    return [code(" ".join(words.split())), meaning, code(default) if default else ""]


def _help_to_markdown(text: str) -> str:
    r"""Return the help of a command; paragraphs that begin with \b stand in it line by line."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.startswith("\b"):
            parts.append(fence(paragraph.removeprefix("\b").strip("\n")))
        else:
            parts.append(escape(" ".join(paragraph.split())))
    return "\n\n".join(parts)
