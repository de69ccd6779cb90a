"""Fits a data-driven mentor: a student learns from verified labels, some of which are wrong.

The losses of the student show the mentor what a wrong label looks like.

Source: Jiang, Zhou, Leung, Li and Fei-Fei 2018 (MentorNet, arXiv:1712.05055), MentorNet DD.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.parquet import read_tables
from cnlw_tools.methods.components.mentor_fit import (
    FittedMentor,
    MentorSamples,
    data_driven_samples,
    fit_mentor,
    losses_by_percent,
)
from cnlw_tools.methods.components.validation import check_number
from cnlw_tools.trainer.data import read_verified_correctness
from cnlw_tools.trainer.run import Metrics
from cnlw_tools.trainer.trainer import Trainer


def train_data_driven_mentor(
    student: Trainer,
    percentile: float,
    seed: int,
    progress: Progress = no_progress,
    on_epoch: Callable[[Metrics], None] = lambda metrics: None,
) -> FittedMentor:
    """Train a student on the split `verified` and fit a mentor to its losses.

    Args:
        student: its `split` should be `verified`
        percentile: of the losses of an epoch, from 0 to 1; the mentor sees the difference from it
        seed: of the fit
        progress: see `Trainer.fit`
        on_epoch: see `Trainer.fit`

    Raises:
        ValueError: the config has no verified labels, or the percentile is not from 0 to 1
    """
    check_number("percentile", percentile, 0, 1)
    is_correct = read_verified_correctness(student.build_folder, student.config)
    student.fit(progress, on_epoch)
    return fit_mentor(read_mentor_samples(student.folder, is_correct, percentile), seed)


def read_mentor_samples(
    run: Path,
    is_correct: NDArray[np.bool_],
    percentile: float,
) -> MentorSamples:
    """Return what a mentor is fitted to, from the losses of a run.

    Examples that were never drawn are left out. An epoch without a loss of an example, because the
    last batch was not full, takes that of the epoch before or, at the beginning, after it.

    Args:
        run: folder of the run
        is_correct: (n,) whether the label of each example is correct, by row
        percentile: see `train_data_driven_mentor`
    """
    table = read_tables(run / "examples.parquet", ["epoch", "row", "loss"]).to_pandas()
    history = table.pivot(index="epoch", columns="row", values="loss")
    history = history.ffill().bfill().dropna(axis=1)  # (epochs, examples that were drawn)
    epoch, losses = losses_by_percent(torch.tensor(history.to_numpy(np.float32)))
    repeated_correct = torch.tensor(is_correct[history.columns]).repeat(100)
    return data_driven_samples(epoch, losses, repeated_correct, percentile)
