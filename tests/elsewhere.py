"""An executor that stands for a machine on which a folder is missing."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any


class Elsewhere:
    """Runs tasks here, while a folder has another name."""

    workers = 2

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def map(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Yield the results in order."""
        hidden = self.folder.with_name("hidden")
        self.folder.rename(hidden)
        try:
            yield from map(task, items)
        finally:
            hidden.rename(self.folder)
