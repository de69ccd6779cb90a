"""Tables as LaTeX: an environment each, which stands in a paper as it is.

The rules are those of the package booktabs. A table that is wider than a page is made smaller, by
the package graphicx; one that is longer is cut into parts, since a float does not break.
"""

from collections.abc import Sequence

from cnlw_tools.registry.plain_names import plain_name
from cnlw_tools.reports.tables import Table

PREAMBLE = (
    "% Put \\usepackage{booktabs,graphicx} into the preamble of your document, then copy a table\n"
    "% from here or \\input this file. Letters beyond Latin and Greek need LuaLaTeX or XeLaTeX.\n"
)
MAX_ROWS = 40  # of a part
MAX_LETTERS = 40  # of a line; longer text is broken
WIDE_LETTERS = 70  # of a row; a wider table is made smaller
GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "varepsilon",
    "λ": "lambda",
    "μ": "mu",
    "σ": "sigma",
    "τ": "tau",
}
ESCAPES: dict[str, str] = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{letter: f"$\\{name}$" for letter, name in GREEK.items()},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "|": "\\textbar{}",
    "<": "$<$",
    ">": "$>$",
    "±": "$\\pm$",
    "×": "$\\times$",
    "−": "$-$",
    "≤": "$\\leq$",
    "≥": "$\\geq$",
    "→": "$\\rightarrow$",
    "∗": "$\\ast$",
    "–": "--",
    "…": "\\dots{}",
    '"': "''",  # it is a shorthand in some languages
    "`": "{`}",  # as in ?`
}
LIGATURES = "-'"  # where two of a letter are printed as another one


def to_latex(table: Table) -> str:
    """Return a table as environments of LaTeX that need the package booktabs."""
    parts = []
    starts = range(0, max(len(table.rows), 1), MAX_ROWS)
    for start in starts:
        caption = table.title if start == 0 else f"{table.title} (continued)"
        if start == 0 and table.caption:
            caption += f". {table.caption}"
        notes = table.notes if start == starts[-1] else []
        parts.append(_to_float(table, start, caption, notes))
    return "\n".join(parts)


def escape_latex(text: str) -> str:
    """Return text that LaTeX prints as it is, in a line."""
    line = " ".join(text.split())
    parts = []
    for i, letter in enumerate(line):
        parts.append(ESCAPES.get(letter, letter))
        if letter in LIGATURES and line[i + 1 : i + 2] == letter:
            parts.append("{}")
    return "".join(parts)


def _to_float(table: Table, start: int, caption: str, notes: Sequence[str]) -> str:
    """Return an environment with the rows of a table from a start on."""
    cells = [[escape_latex(cell) for cell in row] for row in table.rows]
    for i, j in table.bold:
        cells[i][j] = f"\\textbf{{{cells[i][j]}}}"
    header = [escape_latex(cell) for cell in table.header]
    tabular = [
        f"\\begin{{tabular}}{{{_alignment(table)}}}",
        "\\toprule",
        _latex_row(header),
        "\\midrule",
        *(_latex_row(row) for row in cells[start : start + MAX_ROWS]),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    if _is_wide(table):
        tabular = ["\\resizebox{\\linewidth}{!}{%", *tabular[:-1], f"{tabular[-1]}}}"]
    lines = [
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{escape_latex(caption)}}}",
        *([] if start else [f"\\label{{tab:{plain_name(table.title).strip('-')}}}"]),
        "\\smallskip",
        *tabular,
        *(f"\\par {escape_latex(note)}" for note in notes),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _is_wide(table: Table) -> bool:
    """Return whether a table is wider than a page, its long text broken into lines."""
    widths = [min(width, MAX_LETTERS) for width in _column_widths(table)]
    return sum(widths) > WIDE_LETTERS


def _alignment(table: Table) -> str:
    """Return the columns: text to the left, in lines if it is long; numbers to the right."""
    widths = _column_widths(table)
    columns = ["l"] * table.n_text_columns
    columns += ["r"] * (len(table.header) - table.n_text_columns)
    for j in range(table.n_text_columns):
        if widths[j] > MAX_LETTERS:
            other_letters = sum(widths) - widths[j]
            is_alone = other_letters < MAX_LETTERS // 2
            columns[j] = "p{0.9\\linewidth}" if is_alone else "p{18em}"
    return "".join(columns)


def _column_widths(table: Table) -> list[int]:
    """Return the letters of the longest cell of each column."""
    columns = zip(table.header, *table.rows, strict=True)
    return [max(map(len, column)) for column in columns]


def _latex_row(cells: Sequence[str]) -> str:
    """Return a row; what begins it must not look like an argument of the row before."""
    row = " & ".join(cells)
    if row.startswith(("[", "*")):
        row = f"{{}}{row}"
    return f"{row} \\\\"
