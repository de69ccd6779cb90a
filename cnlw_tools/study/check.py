"""Find the runs of a study that cannot start, before anything is built or trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from cnlw_tools.files.untrusted import error_line
from cnlw_tools.methods import METHODS
from cnlw_tools.recipe.preset import (
    Preset,
    change_preset,
    method_options,
    read_preset,
)
from cnlw_tools.registry import pick
from cnlw_tools.registry.counts import list_first
from cnlw_tools.registry.extras import EXTRAS, install_command
from cnlw_tools.study.configs import ConfigContent, StudyConfigs, config_key
from cnlw_tools.study.expand import RunSpec, is_built
from cnlw_tools.study.workers import SweepPaths
from cnlw_tools.trainer.image_sides import adapt_to_build
from cnlw_tools.trainer.nets import NETS

MAX_NAMES = 3  # of runs that a problem names
KNOWN_ERRORS = (ValueError, LookupError, OSError)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why some runs of a study cannot start."""

    reason: str
    runs: Sequence[RunSpec]
    is_of_data: bool  # what the runs learn from is missing here; elsewhere they may start

    def describe(self, n_runs: int) -> str:
        """Return the runs and the reason in one line; ``n_runs`` is how many are asked for."""
        if len(self.runs) == n_runs:
            subject = "the only run" if n_runs == 1 else f"all {n_runs} runs"
        else:
            names = list_first([run.name for run in self.runs], MAX_NAMES)
            subject = f"{len(self.runs)} of {n_runs} runs ({names})"
        return f"{subject}: {self.reason}"


def find_problems(
    runs: Sequence[RunSpec], paths: SweepPaths, configs: StudyConfigs
) -> list[Problem]:
    """Return why runs cannot start: one problem for all runs with the same reason.

    Args:
        runs: that are not finished
        paths: where presets lie
        configs: what the runs learn from
    """
    runs_by_reason: dict[tuple[str, bool], list[RunSpec]] = {}
    reasons: dict[str, str] = {}  # of what runs ask of their method, by all that it depends on
    for run in runs:
        error = configs.errors.get(config_key(run))
        reason = _find_reason(run, paths, configs.contents.get(config_key(run)), reasons)
        is_of_data = not reason and not isinstance(error, LookupError)
        if not reason and error is not None:
            reason = f"its data: {describe(error)}"
        if reason:
            runs_by_reason.setdefault((reason, is_of_data), []).append(run)
    return [Problem(reason, group, flag) for (reason, flag), group in runs_by_reason.items()]


def requested_preset(run: RunSpec, paths: SweepPaths) -> Preset:
    """Return the preset of a run with the changes of the study.

    Raises:
        ValueError, OSError: there is no such preset, or it says something wrong
    """
    preset = read_preset(run.preset, paths.inputs.root)
    preset = change_preset(preset, run.changes, "the changes of the study")
    return replace(preset, net=run.net) if run.net else preset


def run_preset(run: RunSpec, paths: SweepPaths) -> Preset:
    """Return how a run is trained: the preset, adapted to the build if it adapts, and is built.

    Raises:
        ValueError, OSError: there is no such preset, or it says something wrong
    """
    preset = requested_preset(run, paths)
    if not (preset.adapt and is_built(run, paths.builds)):
        return preset
    named = read_preset(run.preset, paths.inputs.root)
    adapted = adapt_to_build(named, run.changes, paths.build_folder(run), run.config)
    return replace(adapted, net=preset.net)


def describe(error: Exception) -> str:
    """Return an error in one line."""
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in EXTRAS:
            return f"this needs {package}: {install_command(EXTRAS[package])}"
    return error_line(error)


def has_torch() -> bool:
    """Return whether torch is installed; without it, methods and networks are known by name."""
    try:
        return find_spec("torch") is not None
    except ModuleNotFoundError:  # torch is hidden on purpose
        return False


def _find_reason(
    run: RunSpec, paths: SweepPaths, content: ConfigContent | None, reasons: dict[str, str]
) -> str:
    """Return why a run cannot start, whatever its images are; an empty text if nothing is wrong."""
    if not run.method:
        return ""
    try:
        preset = run_preset(run, paths)
    except KNOWN_ERRORS as error:
        return describe(error)
    options = {**method_options(preset, run.method, run.level), **run.options}
    size = None
    if content is not None and not (preset.adapt and content.is_planned):
        image_size = (preset.size, preset.size) if preset.size else content.stored_size
        size = (content.rows, content.n_classes, image_size)
    key = repr([run.method, options, preset, run.pretrained, size])
    if key not in reasons:
        reasons[key] = _find_refusal(run, preset, options, size)
    return reasons[key]


def _find_refusal(
    run: RunSpec,
    preset: Preset,
    options: Mapping[str, Any],
    size: tuple[Mapping[str, int], int, tuple[int, int] | None] | None,
) -> str:
    """Return why a run would end before its first step; an empty text if it would not."""
    try:
        pick(METHODS.targets, run.method, "method")
        pick(NETS.targets, preset.net, "network")
        if has_torch():
            from cnlw_tools.trainer.check import DataSize, check_run

            data_size = DataSize(*size) if size else None
            check_run(preset, run.method, options, run.pretrained, data_size)
    except (*KNOWN_ERRORS, ModuleNotFoundError) as error:
        return describe(error)
    return ""
