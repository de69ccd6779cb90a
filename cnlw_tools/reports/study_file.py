"""The study that runs belong to: what was planned, and where a trial stands in the figures."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cnlw_tools.card.remote import build_folder
from cnlw_tools.files.storage import RemoteFolder, below, is_address
from cnlw_tools.files.untrusted import error_line
from cnlw_tools.recipe.recipe import name_without_level, recorded_choices
from cnlw_tools.recipe.run_files import RESULT
from cnlw_tools.registry.counts import list_first
from cnlw_tools.reports.runs import refuse_problem
from cnlw_tools.reports.trial_key import PRESET_PREFIX
from cnlw_tools.reports.trials import (
    DatasetConfig,
    PlannedRun,
    Trial,
    format_options,
    natural_sort_key,
)
from cnlw_tools.study.expand import RunSpec
from cnlw_tools.study.spec import Study
from cnlw_tools.study.study_file import STUDY, read_failure, read_study_file

MAX_NAMES = 12  # that a sentence lists

BuildConfig = tuple[Path, str]  # folder of a build, and a config of it


class FigurePosition(NamedTuple):
    """Where a trial stands in a figure."""

    panel: str  # title of the panel
    line: str  # label of the line
    x: float


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What a sweep recorded about its study; empty for runs that belong to no study."""

    name: str = ""
    scale: str = ""
    study: Study = field(default_factory=lambda: Study("", (), ()))
    run_specs: Sequence[RunSpec] = ()
    builds: Path | str = field(default_factory=Path)  # the folder or the address of all builds
    failures: Mapping[str, str] = field(default_factory=dict)  # name of a run -> why it failed
    command: tuple[str, ...] = ()  # of the sweep

    @property
    def title(self) -> str:
        """The name of the study and its scale."""
        return f"{self.name}, scale {self.scale}" if self.scale else self.name

    def build_configs(self) -> list[BuildConfig]:
        """Return every planned config, built or not, each once."""
        configs = []
        for spec in self.run_specs:
            configs.append((build_folder(below(self.builds, spec.build)), spec.config))
        return list(dict.fromkeys(configs))

    def planned_runs(self) -> set[PlannedRun]:
        """Return every method that is to learn from a config."""
        return {
            PlannedRun(dataset_config(spec), spec.label or spec.method)
            for spec in self.run_specs
            if spec.method
        }

    def method_names(self) -> list[str]:
        """Return what the study calls its methods, in its order, each once."""
        names = [method.label or method.name for method in self.study.methods]
        return list(dict.fromkeys(names))

    def method_labels(self) -> dict[str, str]:
        """Return what the study calls the method of a run, by the run's name, where it does."""
        return {spec.name: spec.label for spec in self.run_specs if spec.label}

    def failed_runs(self) -> set[PlannedRun]:
        """Return each method of which at least one run failed on a config."""
        return {
            PlannedRun(dataset_config(spec), spec.label or spec.method)
            for spec in self.run_specs
            if spec.name in self.failures
        }

    def describe_failures(self) -> list[str]:
        """Return a sentence for each reason why runs failed, with their names."""
        names_by_reason: dict[str, list[str]] = {}
        for name, reason in self.failures.items():
            names_by_reason.setdefault(reason, []).append(name)
        sentences = []
        for reason, names in names_by_reason.items():
            sentences.append(f"{list_first(names, 3)} failed: {reason}")
        return sentences

    def describe_missing(self, trials: Sequence[Trial]) -> str:
        """Return a sentence with the planned runs that have no trial; empty if all have one."""
        existing = {PlannedRun(trial.dataset_config, trial.method_name) for trial in trials}
        missing = self.planned_runs() - existing - self.failed_runs()
        names = {f"{run.config.name} {run.method}" for run in missing}
        return list_names("Not run", sorted(names, key=natural_sort_key))

    def position(
        self,
        trial: Trial,
        exclude: Collection[str] = (),
    ) -> FigurePosition | None:
        """Return where a trial stands; None if it has no value of the x axis.

        Panels are kinds of noise; lines are methods, with what else differs between the configs.

        Args:
            trial: any
            exclude: names of values that the line does not mention
        """
        if self.study.x_axis == "level" and not exclude:
            if trial.level is None:
                return None
            panel = f"{trial.dataset}, {trial.family}"
            return FigurePosition(
                panel,
                trial.method,
                trial.level,
            )
        return self._position(
            config=trial.dataset_config,
            method_name=trial.method_name,
            variant=trial.variant,
            options=trial.options,
            exclude=exclude,
        )

    def planned_position(
        self,
        spec: RunSpec,
        exclude: Collection[str] = (),
    ) -> FigurePosition | None:
        """Return where the trial of a planned run will stand; see `position`."""
        has_several_nets = len({spec.net for spec in self.run_specs}) > 1
        options = {**spec.changes, **spec.options}
        if has_several_nets:
            options["net"] = spec.net
        variant_keys = {*self.study.group_by}
        if not spec.label:
            variant_keys.add("net")
        return self._position(
            config=dataset_config(spec),
            method_name=spec.label or spec.method,
            variant={name: value for name, value in options.items() if name in variant_keys},
            options=options,
            exclude=exclude,
        )

    def _position(
        self,
        config: DatasetConfig,
        method_name: str,
        variant: Mapping[str, Any],
        options: Mapping[str, Any],
        exclude: Collection[str],
    ) -> FigurePosition | None:
        x = self.numeric_value(self.study.x_axis, config, options)
        if x is None:
            return None
        legend = {**variant, **self._differing_values(config)}
        for name in (self.study.x_axis, "noise", *exclude):
            legend.pop(name, None)
        panel = f"{config.dataset}, {self.config_values(config)['noise']}"
        line = f"{method_name} {format_options(legend)}".strip()
        return FigurePosition(
            panel,
            line,
            x,
        )

    def _differing_values(self, config: DatasetConfig) -> dict[str, Any]:
        """Return the values of a config that not all planned configs of its dataset share."""
        configs = {dataset_config(spec) for spec in self.run_specs if spec.build == config.dataset}
        values_of_all = [self.config_values(planned) for planned in configs]
        return {
            name: value
            for name, value in self.config_values(config).items()
            if any(values.get(name) != value for values in values_of_all)
        }

    def numeric_value(
        self,
        name: str,
        config: DatasetConfig,
        options: Mapping[str, Any],
    ) -> float | None:
        """Return a number of a config, a method or the preset; None if there is no such number."""
        values = self.config_values(config)
        for option, value in options.items():
            values[option.removeprefix(PRESET_PREFIX)] = value
        number = values.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float):
            return None
        return float(number)

    def config_values(self, config: DatasetConfig) -> dict[str, Any]:
        """Return the noise, level, options and choices of a config, by name."""
        values = {"noise": config.family, "level": config.level}
        for spec in self.run_specs:
            if (spec.build, spec.config) == (config.dataset, config.name):
                choices = recorded_choices(spec.recipe)
                del choices["dataset"], choices["options"]
                return {**values, **choices, **spec.recipe.options}
        return values


def dataset_config(spec: RunSpec) -> DatasetConfig:
    """Return the config that a spec learns from, or builds."""
    family = name_without_level(spec.config, spec.recipe.noise, spec.level)
    return DatasetConfig(spec.build, spec.config, family, spec.level)


def list_names(beginning: str, names: Sequence[str]) -> str:
    """Return ``Not run: a, b.``, at most twelve names; empty if there is none."""
    if not names:
        return ""
    return f"{beginning}: {list_first(names, MAX_NAMES)}."


def read_study_record(
    folder: Path,
    on_problem: Callable[[str], object] = refuse_problem,
) -> StudyRecord:
    """Read what a sweep recorded in a folder of runs; an empty record if no sweep made it.

    Args:
        folder: of runs
        on_problem: is told why study.json is skipped; by default that is an error

    Raises:
        ValueError: study.json cannot be read, and `on_problem` is the default
    """
    try:
        return _read_record(folder)
    except (ValueError, LookupError, OSError) as error:
        on_problem(f"skipped: {error_line(error)}")
        return StudyRecord()


def _read_record(folder: Path) -> StudyRecord:
    content = read_study_file(folder)
    if content is None:
        return StudyRecord()
    for name in (content.builds, *(spec.build for spec in content.cells)):
        if "\0" in name:
            raise ValueError(f"{folder / STUDY}: {name!r} is not a path: run the sweep again")
    if is_address(content.builds):
        RemoteFolder(content.builds)  # for its error
    try:
        json.dumps(asdict(content), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        letter = error.object[error.start]
        raise ValueError(
            f"{folder / STUDY}: the character {letter!a} is not allowed in a text: run the "
            "sweep again"
        ) from error
    return StudyRecord(
        name=content.name,
        scale=content.scale,
        study=content.study,
        run_specs=content.cells,
        builds=content.builds,
        command=content.command,
        failures=_read_failures(folder, content.cells),
    )


def _read_failures(folder: Path, run_specs: Sequence[RunSpec]) -> dict[str, str]:
    """Return why runs failed that have no result, by name."""
    failures = {}
    for spec in run_specs:
        run_folder = folder / spec.name
        if not spec.method or (run_folder / RESULT).exists():
            continue
        try:
            reason = read_failure(run_folder)
        except (ValueError, OSError) as error:
            reason = error_line(error)
        if reason:
            failures[spec.name] = reason
    return failures
