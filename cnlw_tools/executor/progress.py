"""Progress bars on a terminal and in a notebook: one at a time, for one stage after the other."""

import sys
from types import TracebackType
from typing import Any, Self

STAGE_WIDTH = 8  # letters of a stage, so that bars stand in one column


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
