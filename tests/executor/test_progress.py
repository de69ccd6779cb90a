"""Progress bars: one stage after the other, where somebody can see them."""

import sys

from cnlw_tools.executor.progress import BarStack, ProgressBars, fit_parts, format_duration


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


def test_a_stack_shows_a_bar_a_line_and_prints_above(monkeypatch):
    """Within 80 columns; they go when they are closed."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    printed = []
    with BarStack() as stack:
        stack.show(0, "1 of 3 runs, about 2 min left", 1, 3)
        stack.show(1, f"{'long_' * 30}s0  epoch  2/30", 5, 10)
        stack.print("1/3 done", printed.append)

    lines = terminal.text.replace("\n", "\r").split("\r")
    assert any(line.startswith("1 of 3 runs, about 2 min left") for line in lines)
    assert any(line.startswith("long_") and "epoch  2/30" in line for line in lines)
    assert max(len(line.replace("\x1b[A", "")) for line in lines) <= 80
    assert printed == ["1/3 done"]
    assert stack.bars == {}


def test_a_log_has_no_stack(capsys):
    """Not a byte, and no escape sequence."""
    with BarStack() as stack:
        stack.show(0, "1 of 3 runs", 1, 3)
        stack.print("1/3 done", print)

    assert capsys.readouterr() == ("1/3 done\n", "")


def test_parts_fit_a_terminal():
    """A part that does not fit begins a line; no word is cut."""
    assert fit_parts(["a", "b"]) == "a  b"
    assert fit_parts(["a" * 50, "b" * 40]) == f"{'a' * 50}\n       {'b' * 40}"
    assert fit_parts(["x" * 90]) == "x" * 90
    lines = fit_parts(["word " * 40]).splitlines()
    assert max(map(len, lines)) <= 80


def test_times_are_said_in_words():
    """Seconds, minutes, hours, days."""
    seconds = (0.2, 59, 60, 3599, 3600, 5400, 90000)
    words = ["1 s", "59 s", "1 min", "1 h 0 min", "1 h 0 min", "1 h 30 min", "1 d 1 h"]

    assert [format_duration(number) for number in seconds] == words
