"""Markdown: tables, code, and docstrings as text in which formulas are blocks of code."""

import re
from collections.abc import Iterable, Iterator, Sequence

CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)
OPTION = re.compile(r"(?<!\w)--[a-z][a-z0-9-]*")
SPECIAL = re.compile(r"([\\*_\[\]#])")
# The first line of a formula: a short left-hand side, and what it is; or columns that are aligned.
EQUATION = re.compile(r"\S.{0,26}?( = |~ |<- )")
SENTENCE = re.compile(r"[A-Z][a-z]+ [a-z]+ ")
COLUMNS = re.compile(r"\S {3,}\S")


def escape(text: str) -> str:
    """Return text that Markdown shows as it stands; code between backticks stays code."""
    parts = []
    for part in CODE.split(text):
        if CODE.fullmatch(part):
            words = part.strip("`").split()  # a line may end within
            parts.append(f"`{' '.join(words)}`")
        else:
            parts.append(SPECIAL.sub(r"\\\1", part).replace("&", "&amp;").replace("<", "&lt;"))
    return "".join(parts)


def code(text: object) -> str:
    """Return text as a span of code; text with backticks stands between two of them."""
    return f"`` {text} ``" if "`" in str(text) else f"`{text}`"


def option(text: object) -> str:
    """Return the option of a command as a span of code that stays in one line."""
    return f"{code(text)}{{ .option }}"


def escape_with_options(text: str) -> str:
    """Return text as `escape` does, with options such as --level as code."""
    parts = []
    for part in CODE.split(text):
        parts.append(part if CODE.fullmatch(part) else OPTION.sub(option(r"\g<0>"), part))
    return escape("".join(parts))


def fence(text: str, language: str = "text") -> str:
    """Return a block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def heading(text: str, level: int = 1) -> str:
    """Return a heading, with an empty line below it."""
    return f"{'#' * level} {text}\n\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already; columns without content are left out."""
    cells = [[_cell(text) for text in row] for row in rows]
    shown = [i for i in range(len(header)) if any(row[i] for row in cells)]
    lines = [list(header), ["---"] * len(header), *cells]
    return "".join(f"| {' | '.join(line[i] for i in shown)} |\n" for line in lines) + "\n"


def read_tables(text: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield each table of a page as the heading above it, and its rows by the header."""
    title = ""
    header: list[str] = []
    rows: list[dict[str, str]] = []
    for line in [*text.splitlines(), ""]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif not line.startswith("|"):
            if header:
                yield title, rows
            header, rows = [], []
        elif not header:
            header = cells
        elif set(line) - set("|- :"):
            rows.append(dict(zip(header, cells, strict=True)))


def link(text: str, target: str) -> str:
    """Return a link."""
    return f"[{text}]({target})"


def docstring_to_markdown(docstring: str) -> str:
    """Return a docstring as Markdown, in which formulas and indented lines are blocks of code.

    A paragraph is a formula if its first line begins with a short term and `=`, `~` or `<-` and is
    no sentence, or if it aligns columns by three spaces or more.
    """
    return "\n".join(map(_convert_paragraph, _paragraphs(docstring)))


def is_formula(paragraph: str) -> bool:
    """Return whether a paragraph of a docstring is a formula, or a table in plain text."""
    lines = paragraph.splitlines()
    if lines[0].startswith("    "):
        return True
    is_equation = EQUATION.match(lines[0]) and not SENTENCE.match(lines[0])
    return bool(is_equation) or any(map(COLUMNS.search, lines))


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text; indented lines below "...:" are one of their own."""
    paragraphs: list[str] = []
    if not text.strip():
        return []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        introduction, colon, rest = block.partition(":\n    ")
        if colon and not is_formula(introduction):
            paragraphs += [f"{introduction}:", f"    {rest}"]
        else:
            paragraphs.append(block)
    return paragraphs


def _convert_paragraph(paragraph: str) -> str:
    if is_formula(paragraph):
        return fence(_dedent(paragraph))
    return escape(paragraph) + "\n"


def _dedent(text: str) -> str:
    lines = text.splitlines()
    margin = min(len(line) - len(line.lstrip()) for line in lines)
    return "\n".join(line[margin:] for line in lines)


def _cell(text: str) -> str:
    """Return the text of a cell in one line, with bars that do not end it."""
    parts = []
    for part in CODE.split(" ".join(text.split())):
        parts.append(part.replace("|", "&#124;") if not CODE.fullmatch(part) else part)
    return "".join(parts)
