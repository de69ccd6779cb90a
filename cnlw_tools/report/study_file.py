"""What a sweep wrote of its study: what was planned, and where a trial stands in the figures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cnlw_tools.recipe.recipe import name_without_level, recorded_choices
from cnlw_tools.report.trials import DatasetConfig, PlannedRun, Trial, natural, shown
from cnlw_tools.study.expand import RunSpec
from cnlw_tools.study.spec import Study
from cnlw_tools.study.study_file import read_study_file

MOST = 12  # names that a sentence lists


class Place(NamedTuple):
    """Where a trial stands in a figure."""

    panel: str
    line: str
    x: float


@dataclass(frozen=True, slots=True)
class Said:
    """What a sweep wrote of its study; nothing of runs that are of none."""

    name: str = ""
    scale: str = ""
    study: Study = field(default_factory=lambda: Study("", (), ()))
    cells: Sequence[RunSpec] = ()
    builds: Path = field(default_factory=Path)

    @property
    def title(self) -> str:
        """The name of the study and its scale."""
        return self.name + (f", scale {self.scale}" if self.scale else "")

    def places(self) -> list[tuple[Path, str]]:
        """Where every planned config is built, or will be."""
        return list(dict.fromkeys((self.builds / cell.build, cell.config) for cell in self.cells))

    def planned(self) -> set[PlannedRun]:
        """Every method that is to learn from a config."""
        return {
            PlannedRun(config_of(cell), cell.label or cell.method)
            for cell in self.cells
            if cell.method
        }

    def labels(self) -> dict[str, str]:
        """Return what the study calls the method of a run, by the run's name, where it does."""
        return {cell.name: cell.label for cell in self.cells if cell.label}

    def lacking(self, trials: Sequence[Trial]) -> str:
        """Say in a sentence which planned cells have no trial; nothing where all have one."""
        ran = {PlannedRun(trial.dataset_config, trial.name) for trial in trials}
        left = {f"{run.config.name} {run.method}" for run in self.planned() - ran}
        return sentence("Not run", sorted(left, key=natural))

    def place(self, trial: Trial, but: Collection[str] = ()) -> Place | None:
        """Return where a trial stands in the figures; none if it has not the number that they go over.

        Panels are kinds of noise; lines are methods, with what else differs between the configs, ``but`` these.
        """
        if self.study.over == "level" and not but:
            return (
                None
                if trial.level is None
                else Place(f"{trial.dataset}, {trial.family}", trial.method, trial.level)
            )
        return self._place(trial.dataset_config, trial.name, trial.apart, trial.options, but)

    def planned_place(self, cell: RunSpec, but: Collection[str] = ()) -> Place | None:
        """Return where the trial of a cell will stand."""
        nets = len({cell.net for cell in self.cells}) > 1
        options = {**cell.changes, **cell.options, **({"net": cell.net} if nets else {})}
        apart = {
            k: v
            for k, v in options.items()
            if k in self.study.apart or (k == "net" and not cell.label)
        }
        return self._place(config_of(cell), cell.label or cell.method, apart, options, but)

    def _place(
        self,
        config: DatasetConfig,
        name: str,
        apart: Mapping[str, Any],
        options: Mapping[str, Any],
        but: Collection[str],
    ) -> Place | None:
        x = self.number(self.study.over, config, options)
        if x is None:
            return None
        facts = self.facts(config)
        configs = {config_of(cell) for cell in self.cells if cell.build == config.dataset}
        others = [self.facts(other) for other in configs]
        varied = {k: v for k, v in facts.items() if any(other.get(k) != v for other in others)}
        beside = {
            k: v
            for k, v in {**apart, **varied}.items()
            if k not in (self.study.over, "noise", *but)
        }
        return Place(f"{config.dataset}, {facts['noise']}", f"{name} {shown(beside)}".strip(), x)

    def number(self, key: str, config: DatasetConfig, options: Mapping[str, Any]) -> float | None:
        """Return a number of a config, a method or the preset; none if there is none of that name."""
        bare = {k.removeprefix("preset."): v for k, v in options.items()}
        x = {**self.facts(config), **bare}.get(key)
        return None if isinstance(x, bool) or not isinstance(x, int | float) else float(x)

    def facts(self, config: DatasetConfig) -> dict[str, Any]:
        """Return what is said of a config: its noise, level, options and choices."""
        about = {"noise": config.family, "level": config.level}
        for cell in self.cells:
            if (cell.build, cell.config) == (config.dataset, config.name):
                choices = recorded_choices(cell.recipe)
                del choices["dataset"], choices["options"]
                return {**about, **choices, **cell.recipe.options}
        return about


def config_of(cell: RunSpec) -> DatasetConfig:
    """Return the config that a cell learns from, or builds."""
    family = name_without_level(cell.config, cell.recipe.noise, cell.level)
    return DatasetConfig(cell.build, cell.config, family, cell.level)


def sentence(what: str, names: Sequence[str]) -> str:
    """Return ``Not run: a, b.``, the first of many; nothing of none."""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{what}: {', '.join(names[:MOST])}{more}." if names else ""


def study(folder: Path) -> Said:
    """Read what a sweep wrote of its study, if this is the folder of one.

    Raises:
        ValueError: it cannot be read
    """
    read = read_study_file(folder)
    if read is None:
        return Said()
    return Said(read.name, read.scale, read.study, read.cells, Path(read.builds))
