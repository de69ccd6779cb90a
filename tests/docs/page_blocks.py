"""The blocks of code on a page, and what runs them in the order in which they stand."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cnlw_tools.cli import main

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"Save (?:this|it|them) as\s`([^`]+)`:\n\n$")  # right before a block
SHELL = ("", "bash", "console")  # languages of blocks of commands
PROGRAMS = ("cnlw", "make", "pip", "python", "torchrun")  # how a block of commands begins
DIFFERS = 1  # exit code of `cnlw diff`


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a page asks for: a command, a block of Python, or a file to save."""

    page: str
    line: int  # of the page, on which its block begins
    text: str
    is_python: bool = False
    file_name: str = ""  # of a file to save


def read_steps(path: Path) -> list[Step]:
    """Return what a page asks for, in the order of the page."""
    text = path.read_text(encoding="utf-8")
    steps = []
    for match in BLOCK.finditer(text):
        language, content = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        name = FILE_NAME.search(text[: match.start()])
        if name:
            steps.append(Step(path.stem, line, content, file_name=name[1]))
        elif language == "python":
            steps.append(Step(path.stem, line, content, is_python=True))
        elif language in SHELL and content.split()[0] in PROGRAMS:
            steps += [Step(path.stem, line, command) for command in split_commands(content)]
    return steps


def split_commands(block: str) -> list[str]:
    """Return the commands of a block: lines that end with a backslash go on in the next one."""
    commands = []
    for line in re.sub(r" *\\\n *", " ", block).splitlines():
        words = shlex.split(line, comments=True)
        if words:
            commands.append(shlex.join(words))
    return commands


def run_step(step: Step, namespace: dict[str, Any]) -> None:
    """Do one step of a page in the current folder.

    Args:
        step: a command of `cnlw`, Python, or a file
        namespace: the names that earlier blocks of the page bound; new ones are added

    Raises:
        AssertionError: the command failed
    """
    if step.file_name:
        Path(step.file_name).write_text(step.text, encoding="utf-8")
        return
    if step.is_python:
        code = compile(step.text, f"{step.page}.md, block of line {step.line}", "exec")
        exec(code, namespace)  # noqa: S102, pages of our own
        return
    program, *words = shlex.split(step.text)
    assert program == "cnlw", f"{step.page}.md:{step.line}: {program} cannot be run here"
    result = CliRunner().invoke(main, words)
    succeeded = result.exit_code == 0 or (words[0] == "diff" and result.exit_code == DIFFERS)
    assert succeeded, f"{step.page}.md:{step.line}: {step.text}: {result.output[-2000:]}"
    assert result.exception is None or isinstance(result.exception, SystemExit)
