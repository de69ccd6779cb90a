"""Docstrings become Markdown that shows them as they stand."""

from docs.generate import markdown


def test_equations_are_code():
    """A paragraph whose first line is an equation is a block of code; the next one is text."""
    text = markdown.docstring_to_markdown("L = mean_b l_b\n\nThe mean of all losses.")

    assert text == "```text\nL = mean_b l_b\n```\n\nThe mean of all losses.\n"


def test_indented_lines_are_code_without_their_margin():
    """Columns stay aligned."""
    text = markdown.docstring_to_markdown("    y' = 1   always\n      or 2")

    assert text == "```text\ny' = 1   always\n  or 2\n```\n"


def test_a_list_below_a_sentence_is_code():
    """The sentence that ends with a colon stays text."""
    text = markdown.docstring_to_markdown("Two ways:\n    a   one\n    b   other")

    assert text == "Two ways:\n\n```text\na   one\nb   other\n```\n"


def test_an_empty_docstring_is_nothing():
    """There is no paragraph to convert."""
    assert markdown.docstring_to_markdown("") == ""


def test_signs_of_markdown_are_escaped_outside_of_code():
    """Stars and underscores of formulas in a sentence are no emphasis."""
    assert markdown.escape("w* and x_i < ``y_i``") == "w\\* and x\\_i &lt; `y_i`"


def test_code_may_go_on_in_the_next_line():
    """It becomes one line."""
    assert markdown.escape('`mentor =\n"learned_pd"` is') == '`mentor = "learned_pd"` is'


def test_a_bar_does_not_end_a_cell():
    """Columns without content are left out."""
    text = markdown.table(["a", "b", "c"], [["x | y", "", "`p | q`"]])

    assert text == "| a | c |\n| --- | --- |\n| x &#124; y | `p | q` |\n\n"


def test_a_sentence_with_an_equation_is_text():
    """Only its symbols are those of a formula."""
    text = markdown.docstring_to_markdown("The paper has m = 8 images.\n\nS = none:\n    a   one")

    assert text == "The paper has m = 8 images.\n\n```text\nS = none:\n    a   one\n```\n"


def test_tables_are_read_with_their_headings():
    """A row is a mapping; a table ends where no bar begins the line."""
    text = "# A\n\n| x | y |\n|---|:--|\n| 1 |  |\n\n## B\n| z |\n| --- |\n"

    assert list(markdown.read_tables(text)) == [("A", [{"x": "1", "y": ""}]), ("B", [])]


def test_options_are_code_that_stays_in_one_line():
    """Those that are code already stay as they are."""
    text = markdown.escape_with_options("Give --level, as in `cnlw plan --level 40`.")

    assert text == "Give `--level`{ .option }, as in `cnlw plan --level 40`."


def test_code_with_backticks_stands_between_two():
    """As Markdown asks; one would end at the first of them."""
    assert markdown.code("a method `features`") == "`` a method `features` ``"
    assert markdown.code("a") == "`a`"
