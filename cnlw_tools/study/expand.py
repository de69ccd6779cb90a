"""The runs that a study asks for, and the builds that they need.

    runs = configs x methods x option grids of the method x nets x grid of preset changes x seeds

The name of a run says what it is, so a study that grows keeps the runs it has. A study without
methods asks for builds alone: its runs are configs that nothing learns from.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from cnlw_tools.builds.remote import build_at
from cnlw_tools.card.metadata import is_build, read_card
from cnlw_tools.card.remote import build_folder
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.files.storage import below
from cnlw_tools.plans.plan import config_name, recipe_levels
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.preset import preset_name_of
from cnlw_tools.recipe.recipe import Recipe, find_recipe_of, merge_choices, parse_recipe
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.registry.counts import shorten
from cnlw_tools.study.spec import ConfigEntry, MethodEntry, Study, Table, split_config

CONFIG = "a config of the study"  # what errors call it
LONGEST_NAME = 200  # characters of the name of a run; file systems take 255
BuildErrors = dict[tuple[str, str], str]  # build and config -> why it could not be built


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run that a study asks for."""

    build: str
    recipe: Recipe  # of the one level
    level: int | None
    config: str
    method: str  # none: the config is built, and nothing learns from it
    label: str  # what the report calls it; none: the method
    options: Table
    net: str | None
    seed: int
    preset: str
    changes: Table  # of the preset
    pretrained: bool
    name: str  # its folder


def expand_study(study: Study, root: Path) -> list[RunSpec]:
    """Return every run of a study, in order.

    Args:
        study: what to run
        root: the folder of pipelines/

    Raises:
        ValueError, LookupError: a config that is not a recipe, or two runs of one name
    """
    configs = [*_expand_configs(study, root)]
    runs = [*_expand_methods(study, configs)]
    names = set()
    for run in runs:
        if run.name in names:
            raise ValueError(
                f"two runs are called {run.name}: list each config, method, option and seed once"
            )
        names.add(run.name)
    return runs


def _expand_configs(study: Study, root: Path) -> Iterator[tuple[ConfigEntry, RunSpec]]:
    """Yield every config as a run without a method, and the entry that it comes from."""
    for config in study.configs:
        entry, recipe_keys = split_config(config, CONFIG)
        for recipe in _make_recipes(study, entry, recipe_keys, root):
            for level in recipe_levels(recipe):
                yield entry, _config_alone(study, entry, recipe, level, root)


def _expand_methods(
    study: Study, configs: Sequence[tuple[ConfigEntry, RunSpec]]
) -> Iterator[RunSpec]:
    """Yield the runs of every method on every config; the configs alone if there is no method."""
    _check_patterns(study, [config.name for _entry, config in configs])
    for entry, config in configs:
        if not study.methods:
            yield config
        for method in study.methods:
            if any(fnmatchcase(config.name, pattern) for pattern in method.configs or ["*"]):
                yield from _expand_method(study, entry, config, method)


def _check_patterns(study: Study, names: Sequence[str]) -> None:
    """Raise if a method is to run on a config that does not exist."""
    for method in study.methods:
        for pattern in method.configs:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ValueError(
                    f"{method.name}: configs = {pattern!r}: no config has such a name. "
                    f"Configs: {', '.join(names)}"
                )


def _make_recipes(
    study: Study, entry: ConfigEntry, recipe_keys: Table, root: Path
) -> Iterator[Recipe]:
    """Yield the recipes of a config: the dataset's for that noise, with the keys of the study."""
    if "noise" not in recipe_keys:
        raise ValueError(f'{CONFIG} names no noise: add noise = "..."')
    dataset = recipe_keys.get("dataset", study.dataset)
    path = find_recipe_of(dataset, recipe_keys["noise"], root)
    usual_keys = read_toml(path, "recipe") if path else {}
    keys = merge_choices(usual_keys, {**recipe_keys, "dataset": dataset})
    options = keys["options"]
    for grid_options in _grid_points(entry.grid):
        keys["options"] = {**options, **grid_options}
        yield parse_recipe(keys, CONFIG)


def _config_alone(
    study: Study, entry: ConfigEntry, recipe: Recipe, level: int | None, root: Path
) -> RunSpec:
    """Return the run of a config that nothing learns from; it has the name of the config.

    The name begins with the dataset, unless it is the study's.
    """
    config = config_name(recipe, level)
    is_study_dataset = recipe.dataset == study.dataset
    usual_preset = preset_name_of(recipe.dataset, root)
    if is_study_dataset and study.preset:
        usual_preset = study.preset
    return RunSpec(
        build=entry.build or study.build_folder(recipe.dataset),
        recipe=recipe if level is None else replace(recipe, levels=(level,)),
        level=level,
        config=config,
        method="",
        label="",
        options={},
        net=None,
        seed=0,
        preset=entry.preset or usual_preset,
        changes={**study.changes, **entry.changes},
        pretrained=study.pretrained,
        name=config if is_study_dataset else f"{recipe.dataset}/{config}",
    )


def _expand_method(
    study: Study, entry: ConfigEntry, config: RunSpec, method: MethodEntry
) -> Iterator[RunSpec]:
    """Yield the runs of a method on a config; its own preset, nets and changes come first."""
    preset = method.preset or entry.preset or study.preset
    preset_part = f"preset-{Path(preset).stem}" if preset != study.preset else ""
    nets = method.nets or study.nets or (None,)
    points = product(_grid_points(method.grid), nets, _grid_points(study.grid), study.seeds)
    for grid_options, net, grid_changes, seed in points:
        options = {**method.options, **grid_options}
        parts = [method.label, method.name, *_name_parts(options), net or "", preset_part]
        parts += [*_name_parts(grid_changes), f"s{seed}"]
        yield replace(
            config,
            method=method.name,
            label=method.label,
            options=options,
            net=net,
            seed=seed,
            preset=method.preset or config.preset,
            changes={**config.changes, **method.changes, **grid_changes},
            name=f"{config.name}/{_file_name(parts)}",
        )


def _name_parts(values: Table) -> list[str]:
    """Return a part of a run's name for each value, such as `alpha-8`."""
    return [f"{name}-{shorten(str(value))}" for name, value in sorted(values.items())]


def _file_name(parts: Sequence[str]) -> str:
    """Join the parts that are not empty to a name that any file system takes."""
    name = "_".join(filter(None, parts))
    return shorten(re.sub(r"[^A-Za-z0-9_.-]+", "-", name), LONGEST_NAME)


def _grid_points(grid: Table) -> list[dict[str, Any]]:
    """Return every choice of one value for each key."""
    points = []
    for values in product(*grid.values()):
        points.append(dict(zip(grid, values, strict=True)))
    return points


def is_built(run: RunSpec, builds: Path | str) -> bool:
    """Return whether the config of a run is built; at an address, as `pull_builds` found it."""
    folder = build_folder(below(builds, run.build))
    if not is_build(folder):
        return False
    return run.config in read_card(folder).configs


def build_missing(
    runs: Sequence[RunSpec],
    builds: Path | str,
    inputs: Inputs,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> BuildErrors:
    """Build the configs that are missing; return those that could not be built, and why."""
    missing = [run for run in runs if not is_built(run, builds)]
    errors: BuildErrors = {}
    for group in group_by_recipe(missing):
        errors |= _build_levels(group, builds, inputs, executor, progress)
    return errors


def group_by_recipe(runs: Sequence[RunSpec]) -> list[list[RunSpec]]:
    """Group runs that differ in the level alone, one of each config: what is built at once."""
    groups: dict[str, dict[str, RunSpec]] = {}
    for run in runs:
        key = repr((run.build, replace(run.recipe, levels=())))
        groups.setdefault(key, {})[run.config] = run
    return [[*group.values()] for group in groups.values()]


def _build_levels(
    runs: Sequence[RunSpec],
    builds: Path | str,
    inputs: Inputs,
    executor: Executor,
    progress: Progress,
) -> BuildErrors:
    """Build configs that differ in the level alone; one by one if they cannot be built at once."""
    first = runs[0]
    run_levels = tuple(run.level for run in runs if run.level is not None)
    recipe = replace(first.recipe, levels=run_levels) if run_levels else first.recipe
    try:
        build_at(recipe, inputs, below(builds, first.build), executor, progress)
    except (ValueError, LookupError, OSError) as error:
        if len(runs) == 1:
            return {(first.build, first.config): f"its build failed: {error}"}
        errors: BuildErrors = {}
        for run in runs:
            errors |= _build_levels([run], builds, inputs, executor, progress)
        return errors
    return {}
