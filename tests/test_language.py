"""How the package reads, in numbers: names that say what a thing is, one step a line, lines that fit a page."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

import cnlw_tools

PACKAGE = Path(cnlw_tools.__file__).parent
VAGUE_WORDS = """
    found said held made told known shown kept taken given drawn seen wanted noted asked chosen
    written lost gone meant thrown some many one each several every such mine ours theirs others
    other own both few more most any all none it this that them who what where when which there
    here came of beside apart ahead later before about after around along across above below
"""
VAGUE = frozenset(VAGUE_WORDS.split())
MAX_VAGUE = 0.01  # share of local names and parameters
MAX_NODES = 9.5  # syntax nodes a code line
LONGEST_LINE = 100  # columns
SOURCES = (".py", ".js", ".css", ".html")
LONGEST_FUNCTION = 50  # lines
MEDIAN_FUNCTION = 9  # lines
MAX_ENTRIES = 26  # of the package's folder

Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """The syntax tree of every module."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def functions(tree: ast.Module) -> Iterator[Function]:
    """Yield every function of a module, methods and inner functions too."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def local_names(function: Function) -> set[str]:
    """Return the parameters of a function and the names that it binds."""
    arguments = function.args.args + function.args.kwonlyargs
    names = {argument.arg for argument in arguments}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names - {"self", "cls"}


def docstring_lines(tree: ast.Module) -> set[int]:
    """Return the lines of all docstrings of a module."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node):
            lines.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def code_lines(tree: ast.Module) -> int:
    """Count the lines on which some code begins: no comment, no docstring, no closing bracket."""
    lines = {node.lineno for node in ast.walk(tree) if hasattr(node, "lineno")}
    return len(lines - docstring_lines(tree))


def test_names_are_nouns_and_verbs(trees):
    """At most one local name in a hundred is a participle, a pronoun or a preposition."""
    total = 0
    vague = []
    for path, tree in trees.items():
        for function in functions(tree):
            names = local_names(function)
            total += len(names)
            vague += [
                f"{path.relative_to(PACKAGE)}: {function.name}: {name}" for name in names & VAGUE
            ]

    assert len(vague) <= MAX_VAGUE * total, sorted(vague)


def test_one_step_a_line(trees):
    """A line of code holds no more syntax than that of packages that read well."""
    nodes = sum(1 for tree in trees.values() for _ in ast.walk(tree))
    lines = sum(code_lines(tree) for tree in trees.values())

    assert nodes / lines <= MAX_NODES


def test_lines_fit():
    """No line of the package, its scripts and its pages is longer than 100 columns."""
    long = []
    paths = [path for path in PACKAGE.rglob("*") if path.suffix in SOURCES]
    for path in sorted(paths):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if len(line) > LONGEST_LINE:
                long.append(f"{path}:{number}")

    assert long == []


def test_functions_are_short(trees):
    """Half of the functions have at most nine lines, and none has more than fifty."""
    lengths = {}
    for path, tree in trees.items():
        for function in functions(tree):
            name = f"{path}:{function.lineno} {function.name}"
            lengths[name] = function.end_lineno - function.lineno + 1

    assert [name for name, n_lines in lengths.items() if n_lines > LONGEST_FUNCTION] == []
    assert median(lengths.values()) <= MEDIAN_FUNCTION


def test_the_package_shows_its_rooms():
    """`ls cnlw_tools` fits on one screen."""
    entries = [path for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "data")]

    assert len(entries) <= MAX_ENTRIES
