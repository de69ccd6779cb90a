"""Progress bars on a terminal and in a notebook, and times in words."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Self

STAGE_WIDTH = 8  # letters of a stage, so that bars stand in one column
LINE_WIDTH = 80  # columns of a terminal
TEXT_WIDTH = 58  # columns of the text before a bar of a stack


def is_visible() -> bool:
    """Return whether anybody would see a bar; a log has no use for one."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class ProgressBars:
    """A `Progress` that draws a bar for each stage, and nothing where nobody would see it."""

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled and is_visible()
        self.stage = ""
        self.bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Move the bar of a stage, closing the one of the stage before."""
        if not self.enabled:
            return
        if self.bar is None or stage != self.stage:
            self.close()
            self.bar = _new_bar(stage, total)
            self.stage = stage
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        """Leave the bar as it is, so that text may be printed below it."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _new_bar(stage: str, total: int) -> Any:
    """Return a bar; tqdm is imported only where one is drawn."""
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=f"{stage:{STAGE_WIDTH}}", file=sys.stderr)


class BarStack:
    """Several bars below each other on a terminal, which go when they are closed; else nothing.

    Lines of text are printed above them.
    """

    def __init__(self) -> None:
        self.enabled = sys.stderr.isatty()
        self.bars: dict[int, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def show(self, position: int, text: str, done: int, total: int) -> None:
        """Draw the bar of a position from the top: a text, and how much of it is done."""
        if not self.enabled:
            return
        from tqdm import tqdm

        if position not in self.bars:
            width = min(shutil.get_terminal_size().columns, LINE_WIDTH)
            self.bars[position] = tqdm(
                position=position,
                leave=False,
                ncols=width - 1,
                bar_format="{desc} {percentage:3.0f} %|{bar}|",
                file=sys.stderr,
            )
        bar = self.bars[position]
        bar.n, bar.total = done, max(1, total)
        bar.set_description_str(f"{shorten(text, TEXT_WIDTH):{TEXT_WIDTH}}")

    def keep(self, positions: Collection[int]) -> None:
        """Remove all bars but those of some positions."""
        for position in sorted(self.bars.keys() - set(positions)):
            self.bars.pop(position).close()

    def print(self, text: str, write: Callable[[str], object]) -> None:
        """Print a text above the bars."""
        if not self.bars:
            write(text)
            return
        from tqdm import tqdm

        with tqdm.external_write_mode(sys.stderr):
            write(text)

    def close(self) -> None:
        """Remove all bars."""
        self.keep(())


def shorten(text: str, width: int) -> str:
    """Return a text that fits into a width: of a longer one the middle is left out."""
    if len(text) <= width:
        return text
    n_left = (width - 3) // 2
    n_right = width - 3 - n_left
    return f"{text[:n_left]}...{text[-n_right:]}"


def fit_parts(parts: Sequence[str], indent: int = 7) -> str:
    """Return parts of a text in lines that fit a terminal; a part that does not fit begins a line.

    Later lines are indented. No word is cut, so one that is too long sticks out.
    """
    lines = [parts[0]]
    for part in parts[1:]:
        joined = f"{lines[-1]}  {part}"
        if len(joined) <= LINE_WIDTH:
            lines[-1] = joined
        else:
            lines.append(" " * indent + part)
    wrapped = []
    for line in lines:
        wrapped += textwrap.wrap(
            line,
            LINE_WIDTH,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(wrapped)


def format_duration(seconds: float) -> str:
    """Return a time in words, ``1 h 12 min``, to two digits or so."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
