"""Writes the metrics of a run for TensorBoard, if it is installed; metrics.jsonl holds the same."""

import warnings
from pathlib import Path
from typing import Any

from cnlw_tools.methods.components import distributed

NOT_PLOTTED = ("epoch", "seconds", "peak_mb")


class TensorBoardWriter:
    """Plots the metrics of a run, on rank zero only.

    A resumed run replaces what was plotted beyond the epoch from which it goes on.

    Args:
        folder: of the event files
        epochs_done: epochs whose points stay
    """

    def __init__(self, folder: Path, epochs_done: int) -> None:
        self.writer: Any = None
        if distributed.rank() != 0:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            warnings.warn(
                "TensorBoard is not installed (pip install tensorboard): no curves", stacklevel=2
            )
            return
        self.writer = SummaryWriter(str(folder), purge_step=epochs_done + 1)

    def add_metrics(self, metrics: dict[str, Any]) -> None:
        """Plot the metrics of an epoch."""
        if self.writer is None:
            return
        for name, value in metrics.items():
            if name not in NOT_PLOTTED:
                self.writer.add_scalar(name, value, metrics["epoch"])
        self.writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self.writer is not None:
            self.writer.close()
