"""Tests of the list of planted mistakes: `make mutants` can plant each of them."""

from pathlib import Path

from benchmarks.mutants import check_old_texts, read_mutants

ROOT = Path(__file__).parents[1]


def test_each_mistake_has_its_line():
    """Code that changes may take away the text that a mistake replaces."""
    check_old_texts(ROOT, read_mutants())
