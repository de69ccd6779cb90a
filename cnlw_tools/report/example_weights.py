"""What methods noted of each example, by epoch: noisy ones against clean ones.

mean over the examples drawn in an epoch, of each kind; then over runs
    weight    1 where an example counts in full, 0 where it does not; left out where all weigh the same
    own       1 where its given label is learned, 0 where one that the method made up (lambda* of Zhang et al. 2020)
    loss      cross-entropy of its given label
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from cnlw_tools.report import detection
from cnlw_tools.report.context import Drawn, Seen
from cnlw_tools.report.detection import Noted
from cnlw_tools.report.plotting import epochs, panels
from cnlw_tools.report.trials import Trial

SAID = {"weight": "mean weight", "own": "share learned by the given label", "loss": "mean loss"}


class Means(NamedTuple):
    """Means by epoch; nan where nothing was noted."""

    noisy: list[float]
    clean: list[float]


def weights(seen: Seen) -> Drawn:
    """Draw what noisy and clean examples weighed and cost, a panel a method and config."""
    drawn = Drawn("Noisy and clean examples")
    found: dict[str, dict[str, Means]] = {name: {} for name in SAID}
    for trial in seen.trials:
        try:
            for name, means in noted(seen, trial).items():
                found[name][f"{trial.method}: {trial.dataset}, {trial.config}"] = means
        except ValueError as error:
            drawn.lacking.append(str(error))
    for name, said in SAID.items():
        drawers = {title: epochs(means._asdict()) for title, means in found[name].items()}
        drawn.pictures += panels("epoch", said, drawers)
    return drawn


def noted(seen: Seen, trial: Trial) -> dict[str, Means]:
    """Return the means of what a trial noted, over its runs, for the epochs that all of them have.

    Raises:
        ValueError: the build is not the one that a run learned from
    """
    found: dict[str, Means] = {}
    runs = [list(detection.noted(run, held)) for run in seen.of(trial) if (held := seen.truth(run))]
    shared = list(zip(*runs, strict=False))
    for name in SAID if shared else ():
        sides = [[_mean(of, name, noisy) for of in shared] for noisy in (True, False)]
        if name == "loss" or np.ptp(
            np.nan_to_num(sides)
        ):  # where all weigh the same there is nothing to see
            found[name] = Means(*sides)
    return found


def _mean(runs: Iterable[Noted], name: str, noisy: bool) -> float:
    """Return the mean over runs of the mean over examples; nan where no run noted any."""
    values = [getattr(run, name)[run.noisy == noisy] for run in runs]
    there = [some[~np.isnan(some)].mean() for some in values if not np.isnan(some).all()]
    return float(np.mean(there)) if there else float("nan")
