"""Tables as LaTeX."""

import re

import pytest

from cnlw_tools.reports.latex import MAX_ROWS, PREAMBLE, escape_latex, to_latex
from cnlw_tools.reports.tables import Table

TABLE = Table(
    "A & B", ["x", "y_1"], [["a|b", "1 ± 2"]], "50 %", ["first", "second"], frozenset({(0, 1)})
)


def test_a_table_is_one_environment_with_the_rules_of_booktabs():
    """Special characters are escaped; text is aligned left, numbers right; there is no hline."""
    assert to_latex(TABLE).splitlines() == [
        "\\begin{table}",
        "\\centering",
        "\\caption{A \\& B. 50 \\%}",
        "\\label{tab:a-b}",
        "\\smallskip",
        "\\begin{tabular}{lr}",
        "\\toprule",
        "x & y\\_1 \\\\",
        "\\midrule",
        "a\\textbar{}b & \\textbf{1 $\\pm$ 2} \\\\",
        "\\bottomrule",
        "\\end{tabular}",
        "\\par first",
        "\\par second",
        "\\end{table}",
    ]
    assert all(line.startswith("%") for line in PREAMBLE.splitlines())


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("", ""),
        ("a_b & c%", "a\\_b \\& c\\%"),
        ("{$#}", "\\{\\$\\#\\}"),
        ("\\x~y^2", "\\textbackslash{}x\\textasciitilde{}y\\textasciicircum{}2"),
        ("a--b ---", "a-{}-b -{}-{}-"),
        ("x\n y", "x y"),
        ('"last" < 3', "''last'' $<$ 3"),
        ("αλ ×2 −1 – …", "$\\alpha$$\\lambda$ $\\times$2 $-$1 -- \\dots{}"),
    ],
)
def test_text_is_printed_as_it_is(text, latex):
    """No letter is taken for a command, and two are no ligature."""
    assert escape_latex(text) == latex


def test_a_row_does_not_begin_like_an_argument():
    """After the end of a row, LaTeX takes a bracket for a length, and a star for a command."""
    latex = to_latex(Table("t", ["[a]", "b"], [["[1, 2]", "[3]"], ["*", ""]]))

    assert "{}[a] & b \\\\" in latex
    assert "{}[1, 2] & [3] \\\\" in latex
    assert "{}* &  \\\\" in latex


def test_a_long_table_is_cut_into_parts():
    """Each row comes once, in order; the notes follow the last part."""
    rows = [[f"row{i}", str(i)] for i in range(2 * MAX_ROWS + 1)]
    latex = to_latex(Table("t", ["a", "b"], rows, "about", ["note"]))

    assert re.findall(r"^row(\d+)", latex, re.MULTILINE) == [str(i) for i in range(len(rows))]
    assert latex.count("\\begin{table}") == latex.count("\\toprule") == 3
    assert latex.count("\\label{tab:t}") == latex.count("\\par note") == 1
    assert latex.count("\\caption{t (continued)}") == 2


def test_long_text_is_broken_into_lines():
    """It has most of the width of a line, or less beside other columns."""
    note = "word " * 30
    alone = to_latex(Table("t", ["", "Note"], [["1", note]], n_text_columns=2))
    beside = to_latex(Table("t", ["Name", "Note"], [["n" * 30, note]], n_text_columns=2))

    assert "\\begin{tabular}{lp{0.9\\linewidth}}" in alone
    assert "\\begin{tabular}{lp{18em}}" in beside


def test_a_wide_table_is_made_to_fit():
    """The comment at the top names the package."""
    lines = to_latex(Table("t", ["x"] * 12, [["80.50 ± 6.35 (3)"] * 12])).splitlines()
    i = lines.index("\\resizebox{\\linewidth}{!}{%")

    assert lines[i + 1].startswith("\\begin{tabular}")
    assert "\\end{tabular}}" in lines
    assert "resizebox" not in to_latex(TABLE)
    assert "\\usepackage{booktabs,graphicx}" in PREAMBLE
