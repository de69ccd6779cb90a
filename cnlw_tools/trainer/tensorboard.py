"""The metrics of a run for TensorBoard, where that is installed; metrics.jsonl says the same."""

import warnings
from pathlib import Path
from typing import Any

from cnlw_tools.methods.components import distributed

SAID = ("epoch", "seconds", "peak_mb")  # no curves


class Board:
    """Curves of a run, drawn by the first rank; a run that goes on from an epoch takes back what was drawn beyond it.

    Args:
        folder: where the event files lie
        done: epochs that stand
    """

    def __init__(self, folder: Path, done: int) -> None:
        self.writer: Any = None
        if distributed.rank():
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            warnings.warn(
                "TensorBoard is not installed (pip install tensorboard): no curves", stacklevel=2
            )
            return
        self.writer = SummaryWriter(str(folder), purge_step=done + 1)

    def add(self, line: dict[str, Any]) -> None:
        """Draw the metrics of an epoch."""
        if self.writer is not None:
            for name, value in line.items():
                if name not in SAID:
                    self.writer.add_scalar(name, value, line["epoch"])
            self.writer.flush()

    def close(self) -> None:
        """Let go of the file."""
        if self.writer is not None:
            self.writer.close()
