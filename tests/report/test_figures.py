"""Which figures there are."""

from cnlw_tools.report.figures import FIGURES
from cnlw_tools.study import spec


def test_what_a_study_may_ask_for_is_what_can_be_drawn():
    """By the same names, in the same order."""
    assert list(FIGURES) == list(spec.FIGURES)
