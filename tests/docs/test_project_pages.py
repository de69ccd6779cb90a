"""Pages of study tables explain what occurs on them, and say nothing twice."""

import pytest

from docs.generate import project_pages


def test_captions_of_accuracies_are_stated_once():
    """What several tables share stands above them; what one table has stays there."""
    caption = "The numbers are top-1 accuracies. The last column has the mean of all."
    text = f"## A\n\n{caption}\n\n| a |\n\n## B\n\n{caption} It is long.\n\n| b |\n"

    assert project_pages._state_captions_once(text) == (
        "The following applies to all tables of accuracies. The numbers are top-1 accuracies. "
        "The column *Mean*, if there is one, has the mean of all.\n\n"
        "## A\n\n| a |\n\n## B\n\nIt is long.\n\n| b |\n"
    )
    assert project_pages._state_captions_once("## A\n\n| a |\n") == "## A\n\n| a |\n"


def test_dashes_and_methods_in_tables_of_accuracies_are_explained():
    """Only on pages that have them."""
    pages = project_pages.make_pages()
    some_missing = pages["studies/tables/rolnick_fig8.md"]
    complete = pages["studies/tables/jiang_levels.md"]

    assert "A dash means that the study does not train this method on this config." in some_missing
    assert "A dash means that the study" not in complete
    assert (
        "The other method is [`h_alpha`](../../../cnlw_tools/methods/h_alpha.py#h_alpha)."
        in some_missing
    )
    assert "The other method is [`mentormix`](" in complete


def test_labels_of_methods_are_explained_where_they_occur():
    """A study may call a method by another name."""
    sentences = list(project_pages._explain_labels("sukhbaatar_q", "| Ridge |"))

    page = "[`noise_layer`](../../../cnlw_tools/methods/noise_layer.py#noise_layer)"
    assert sentences == [f"*Ridge* is {page} with `regulariser=ridge`."]


def test_only_notation_of_the_page_is_explained():
    """The tables of Jiang's levels have no options in the names of their configs."""
    pages = project_pages.make_pages()

    assert "The number after `clean`" not in pages["studies/tables/jiang_levels.md"]
    assert "The number after `clean`" in pages["studies/tables/methods_cifar10.md"]
    noises = "The noise is [`blue`](../../../cnlw_tools/noise/blue.py#blue) or [`red`]"
    assert noises in pages["studies/tables/jiang_levels.md"]
    assert "without its level." in pages["studies/tables/jiang_levels.md"]
    assert "without its level." not in pages["studies/tables/rolnick_exp1.md"]
    assert "name of a [network]" in pages["studies/tables/rolnick_exp1.md"]
    assert "name of a [network]" not in pages["studies/tables/jiang_levels.md"]
    assert "digest of the transition matrix" in pages["studies/tables/sukhbaatar_q.md"]


def test_tables_say_what_their_study_does():
    """A study without such a sentence is an error that says where to add it."""
    page = project_pages.make_pages()["studies/tables/rolnick_exp1.md"]

    assert "These tables come from our study `rolnick_exp1`. It repeats experiment 1 of" in page
    with pytest.raises(ValueError, match=r"'zhang_table1' does\. Fix: add one to SUBJECTS"):
        project_pages.describe_study("zhang_table1")


def test_tables_say_how_their_runs_were_made():
    """Where published numbers stand beside ours, the page says what can be compared."""
    pages = project_pages.make_pages()

    assert "`shapes` images of 16 x 16 pixels" in pages["studies/tables/jiang_levels.md"]
    assert "cannot be compared" not in pages["studies/tables/jiang_levels.md"]
    assert "cannot be compared" in pages["studies/tables/methods_cifar10.md"]
