"""What figures are drawn from, and what they consist of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from cnlw_tools.builds.ground_truth import Truth
from cnlw_tools.reports.plotting import Panel
from cnlw_tools.reports.runs import RunFolder
from cnlw_tools.reports.study_file import BuildConfig, StudyRecord
from cnlw_tools.reports.tables import Table
from cnlw_tools.reports.trials import Curves, Trial

TitledImage = tuple[str, Image.Image]


@dataclass(frozen=True, slots=True)
class ReportContext:
    """All that a figure may use."""

    study_record: StudyRecord
    runs: Mapping[str, RunFolder]  # by name
    trials: Sequence[Trial]  # the best of each method on each config
    curves: Curves  # top-1 of each run by epoch
    select_by: str  # the metric that the best trials are selected by
    truths: Mapping[BuildConfig, Truth]  # of all builds that exist

    def finished_runs(self, trial: Trial) -> list[RunFolder]:
        """Return the runs of a trial that have ended."""
        runs = [self.runs[name] for name in trial.run_names]
        return [run for run in runs if run.result is not None]

    def truth(self, run: RunFolder) -> Truth | None:
        """Return the ground truth of the build that a run learned from; None if it is missing."""
        return self.truths.get((run.build, run.config.config))


@dataclass(slots=True)
class Figure:
    """A figure of a report."""

    title: str
    panels: list[Panel] = field(default_factory=list)
    images: list[TitledImage] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what could not be drawn, and why

    @property
    def is_empty(self) -> bool:
        """Whether nothing could be drawn."""
        return not (self.panels or self.images or self.tables)
