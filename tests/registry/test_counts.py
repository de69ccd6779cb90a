"""One thing is singular, any other number of things plural; lists end with a word."""

import pytest

from cnlw_tools.registry.counts import count_things, join_words, list_first, shorten


@pytest.mark.parametrize(
    ("n", "noun", "text"),
    [
        (0, "note", "0 notes"),
        (1, "error", "1 error"),
        (2, "class", "2 classes"),
        (1, "class", "1 class"),
        (3, "matrix", "3 matrices"),
        (1, "matrix", "1 matrix"),
        (2, "study", "2 studies"),
        (2, "day", "2 days"),
        (1_000, "near duplicate", "1,000 near duplicates"),
        (2, "batch", "2 batches"),
        (2, "epoch", "2 epochs"),
    ],
)
def test_the_noun_agrees_with_its_number(n, noun, text):
    """Regular nouns, those in s, x and y, matrices and epochs."""
    assert count_things(n, noun) == text


def test_a_list_has_commas_and_an_and():
    """Of more words than asked for, the others are counted."""
    assert join_words([]) == ""
    assert join_words(["a"]) == "a"
    assert join_words(["a", "b"]) == "a and b"
    assert join_words(["a", "b", "c"], 3) == "a, b and c"
    assert join_words(["a", "b", "c", "d", "e"], 3) == "a, b, c and 2 more"


def test_a_list_has_commas_alone_and_says_how_many_are_left():
    """It is cut after so many; a list for a sentence ends with a word."""
    assert list_first([]) == ""
    assert list_first(["a"]) == "a"
    assert list_first(["a", "b", "c"], 3) == "a, b, c"
    assert list_first(["a"] * 1003, 2) == "a, a and 1,001 more"


def test_a_long_value_is_its_beginning_and_a_digest():
    """Other values that begin so have other digests; a short one is left as it is."""
    assert shorten("abcdefgh", 8) == "abcdefgh"
    first, second = shorten("a" * 200 + "b", 20), shorten("a" * 200 + "c", 20)

    assert first != second
    assert len(first) == len(second) == 20
    assert first.startswith("a" * 13 + "-")
