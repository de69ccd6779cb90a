"""Fits a data-driven mentor: a student learns from verified labels, and its losses show what a wrong one looks like.

Source: Jiang, Zhou, Leung, Li and Fei-Fei 2018 (MentorNet, arXiv:1712.05055), MentorNet DD.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.methods.components.mentor_fit import (
    FittedMentor,
    MentorSamples,
    data_driven_samples,
    fit_mentor,
    losses_by_percent,
)
from cnlw_tools.methods.components.validation import check_number
from cnlw_tools.trainer.data import verdicts
from cnlw_tools.trainer.run import Metrics
from cnlw_tools.trainer.trainer import Trainer


def data_driven_mentor(
    student: Trainer,
    percentile: float,
    seed: int,
    tell: Progress = no_progress,
    each: Callable[[Metrics], None] = lambda line: None,
) -> FittedMentor:
    """Train a student on the split `verified` and fit_mentor a mentor to its losses.

    Args:
        student: what to train; its `split` should be `verified`
        percentile: of the losses of an epoch; the difference to it is what the mentor sees
        seed: of the fit_mentor
        tell: see `Trainer.fit`
        each: see `Trainer.fit`

    Raises:
        ValueError: the config has no verified labels, or the percentile is none from 0 to 1
    """
    check_number("percentile", percentile, 0, 1)
    correct = verdicts(Path(student.build), student.config)
    student.fit(tell, each)
    return fit_mentor(rows(student.folder, correct, percentile), seed)


def rows(run: Path, correct: np.ndarray, percentile: float) -> MentorSamples:
    """Return what a mentor is fitted to: the losses of a run on n examples, whose labels are ``correct``, (n,).

    An example that no epoch has drawn is left out.
    """
    table = pq.read_table(run / "examples.parquet", columns=["epoch", "row", "loss"]).to_pandas()
    history = (
        table.pivot(index="epoch", columns="row", values="loss").ffill().bfill().dropna(axis=1)
    )  # an epoch leaves out a rest
    epoch, losses = losses_by_percent(torch.tensor(history.to_numpy(np.float32)))
    return data_driven_samples(
        epoch, losses, torch.tensor(correct[history.columns]).repeat(100), percentile
    )
