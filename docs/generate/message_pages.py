"""The page of error messages and their remedies, collected from the source of the package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docs.generate.markdown import code, escape_with_options, heading, table

PACKAGE = Path(__file__).parents[2] / "cnlw_tools"
PAGE = "reference/messages.md"
ERRORS = (
    "BadFile",
    "BlockingIOError",
    "FileExistsError",
    "FileNotFoundError",
    "IsADirectoryError",
    "LookupError",
    "MachineFault",
    "OSError",
    "PermissionError",
    "ValueError",
    "click.UsageError",
)
ROOMS = {  # folder of the package -> when its messages come
    "cli": "The command line",
    "recipe": "Recipes, presets and their keys",
    "dataset": "Tables: manifests, votes, side tables",
    "ingest": "Importing a dataset or votes",
    "sources": "Reading images from your folder",
    "images": "Decoding images",
    "noise": "Options of noise",
    "plans": "Planning: which image gets which label",
    "builds": "Building",
    "card": "Reading a card",
    "checks": "Validating",
    "store": "The store of web images",
    "fetch": "Fetching web images",
    "methods": "Options of methods",
    "trainer": "Training and predicting",
    "study": "Studies and sweeps",
    "reports": "Reports",
    "executor": "Worker processes",
    "files": "Files in general",
    "registry": "Names",
}
ROOM_OF_MODULE = {  # where other messages come than those of their folder
    "ingest/recipes.py": "recipe",
    "recipe/run_files.py": "reports",
    "ingest/web_images.py": "fetch",
    "ingest/web_places.py": "fetch",
}
PLACE = re.compile(r"\{[^{}]*\}")
WORD = re.compile(r"[a-z]{2}")
# How the part behind the last colon begins if it says what is wrong, and not what to do.
STATEMENT = re.compile(r"(there|no|the|its|column|cannot|damaged|nested|is|worker|\{\w+\} \w+s)\b")
NOT_FIXED = "The message ends with the remedy, which depends on the case."
CHOICES = (" The choices are: ", " The columns are: ")  # how a sentence that lists them begins
INTRODUCTION = """# Messages

This page lists most error messages of commands and functions, and what to do about them. It is
generated from the source code, and leaves out messages that are assembled from several parts there.
Text in braces, such as `{path}` or `{...}`, stands for a value or for a part of the sentence. Rows
are counted from 0, and lines from 1. To find a message, search this site for its words.
[Troubleshooting](../guides/troubleshooting.md) has the most common problems.

"""


class Message(NamedTuple):
    """What an error says, as a template with names for the values."""

    problem: str
    remedy: str


def make_pages() -> dict[str, str]:
    """Return the page of all messages."""
    text = INTRODUCTION
    for room, title in ROOMS.items():
        messages = sorted(set(read_messages(room)))
        if messages:
            text += heading(title, 2)
            rows = [[code(message.problem), _sentence(message.remedy)] for message in messages]
            text += table(["message", "what to do"], rows)
    return {PAGE: text}


def read_messages(room: str) -> Iterator[Message]:
    """Yield the errors with a remedy that belong to a folder of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if ROOM_OF_MODULE.get(name, name.partition("/")[0]) != room:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = _constants(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                message = split_message(_template_of_error(node.exc, constants))
                if message and WORD.search(PLACE.sub("", message.problem)):
                    yield message


def _template_of_error(call: ast.Call, constants: dict[str, str]) -> str:
    """Return the message of an error of ours; nothing of another exception."""
    if ast.unparse(call.func) not in ERRORS or not call.args:
        return ""
    return _template(call.args[0], constants)


def split_message(template: str) -> Message | None:
    """Return the two parts of a message; None if it has no remedy.

    The remedy is the sentence that lists the choices, or the part behind "Fix:" or behind the last
    colon. If that part says what is wrong at a place, or begins with a value, it belongs to the
    problem, and the remedy follows a semicolon, if at all.
    """
    for choices in CHOICES:
        problem, found, remedy = template.partition(choices)
        if found:
            return Message(problem.rstrip(". "), f"{choices.strip()} {remedy}")
    for mark in (" Fix: ", ": "):
        problem, found, remedy = template.rpartition(mark)
        if found and len(remedy.split()) > 1 and problem not in ("", "{...}"):
            is_statement = PLACE.fullmatch(problem) and STATEMENT.match(remedy)
            if is_statement or (remedy.startswith("{") and "; " in remedy):
                statement, _, remedy = remedy.partition("; ")
                problem = f"{problem}: {statement}"
            return Message(problem.removesuffix("."), remedy)
    return None


def _template(expression: ast.expr, constants: dict[str, str]) -> str:
    """Return a string in which values stand as {name}; nothing if it is no literal string."""
    if isinstance(expression, ast.Constant):
        return str(expression.value)
    if not isinstance(expression, ast.JoinedStr):
        return ""
    text = ""
    for part in expression.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            value = ast.unparse(part.value)
            text += constants.get(value, _placeholder(value))
    return " ".join(text.split())


def _placeholder(value: str) -> str:
    """Return how a value stands in a template: by its name, if it has a short one."""
    name = value.rpartition(".")[2]
    return f"{{{name}}}" if re.fullmatch(r"[a-z]\w*", name) else "{...}"


def _constants(tree: ast.Module) -> dict[str, str]:
    """Return the strings that a module assigns to names."""
    constants = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            constants[ast.unparse(node.targets[0])] = str(node.value.value)
    return constants


def _sentence(remedy: str) -> str:
    """Return a remedy as a sentence; if the template does not have it, where a reader finds it."""
    if not remedy or PLACE.fullmatch(remedy):
        return NOT_FIXED
    text = escape_with_options(f"{remedy[:1].upper()}{remedy[1:]}")
    return text if text.endswith((".", "?")) else f"{text}."
