"""Progress bars: one stage after the other, where somebody can see them."""

import sys

from cnlw_tools.executor.progress import ProgressBars


class Terminal:
    """Standard error of a terminal, as text."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return True


def test_each_stage_has_a_bar(monkeypatch):
    """It moves to what is done, and the next stage begins below it."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBars() as bars:
        bars("plans", 1, 2)
        bars("plans", 2, 2)
        bars("images", 10, 10)

    lines = terminal.text.replace("\r", "\n").splitlines()
    assert any(line.startswith("plans") and "2/2" in line for line in lines)
    assert any(line.startswith("images") and "10/10" in line for line in lines)


def test_bars_can_be_turned_off(monkeypatch):
    """Nothing is printed for a caller who wants none."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBars(enabled=False) as bars:
        bars("plans", 1, 2)

    assert terminal.text == ""


def test_a_log_has_no_bars(capsys):
    """Standard error that is no terminal stays empty, but in a notebook."""
    with ProgressBars() as bars:
        bars("plans", 1, 2)
    assert capsys.readouterr().err == ""


def test_a_notebook_has_bars(monkeypatch, capsys):
    """Though its standard error is no terminal."""
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    with ProgressBars() as bars:
        bars("plans", 1, 2)
    assert "1/2" in capsys.readouterr().err
