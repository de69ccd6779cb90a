"""What figures are drawn from, and what they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from cnlw_tools.build.ground_truth import Truth
from cnlw_tools.report.plotting import Picture
from cnlw_tools.report.runs import Run
from cnlw_tools.report.study_file import Said
from cnlw_tools.report.tables import Sheet
from cnlw_tools.report.trials import Trial

Build = tuple[Path, str]  # a build and a config of it


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a report knows."""

    said: Said
    runs: Mapping[str, Run]  # by name
    trials: Sequence[Trial]  # the best of each method on each config
    curves: Mapping[str, list[float]]  # top-1 of each run by epoch
    rule: str  # what the best are chosen by
    truths: Mapping[Build, Truth]

    def of(self, trial: Trial) -> list[Run]:
        """Return the runs of a trial that came to their end."""
        return [run for name in trial.runs if (run := self.runs[name]).result is not None]

    def truth(self, run: Run) -> Truth | None:
        """Return what is known of the build that a run learned from, if it stands."""
        return self.truths.get((run.build, run.config.config))


@dataclass(slots=True)
class Drawn:
    """A figure: panels, pictures that need their titles, tables; `lacking`: what could not be drawn, and why."""

    title: str
    pictures: list[Picture] = field(default_factory=list)
    images: list[tuple[str, Image.Image]] = field(default_factory=list)
    tables: list[Sheet] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Is there anything to be seen?"""
        return bool(self.pictures or self.images or self.tables)
