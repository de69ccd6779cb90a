"""A progress bar a stage."""

import contextlib
import sys

import click


class Bars(contextlib.ExitStack):
    """Called with a stage, what is done and what there is; one bar at a time, on standard error."""

    def __init__(self) -> None:
        super().__init__()
        self.stage, self.done = "", 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Move the bar of a stage, closing the one before."""
        if not sys.stderr.isatty():
            return  # a log has no use for a bar
        if stage != self.stage:
            self.close()
            self.stage, self.done = stage, 0
            bar = click.progressbar(length=total, label=f"{stage:8}", file=sys.stderr)
            self.bar = self.enter_context(bar)
        self.bar.update(done - self.done)
        self.done = done
