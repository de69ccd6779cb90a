"""The declaration of all figures."""

import subprocess
import sys

import pytest

from cnlw_tools import files
from cnlw_tools.reports.figures import FUNCTIONS
from cnlw_tools.study.figures import FIGURES


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_its_function(name):
    """The function that the table names exists and says what it draws."""
    assert FUNCTIONS[name].__doc__.startswith(("Draw ", "Return "))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_documented(name):
    """The guide to studies has a row for it."""
    guide = (files.default_root() / "pipelines/studies/README.md").read_text(encoding="utf-8")

    assert f"\n| `{name}` |" in guide


def test_a_study_is_read_without_matplotlib():
    """The table is a part of the study; its functions are imported when they draw."""
    code = "import sys; import cnlw_tools.study.spec; sys.exit('matplotlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
