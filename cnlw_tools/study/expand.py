"""The cells of a study: the runs that it asks for, and the builds that they need.

    cells = configs x methods x their option grids x nets x grid of preset changes x seeds

A cell is called by what it is, so a study that grows keeps the cells it has. A study without methods has a cell a
config, which is built and no more.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from cnlw_tools.build.build import build
from cnlw_tools.card.metadata import is_build, read_card
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.plan.plan import config_name, recipe_levels
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe, parse_recipe
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.study.spec import ConfigEntry, MethodEntry, Study, Table, split_config

CONFIG = "a config of the study"  # what errors call it
Broken = dict[tuple[str, str], str]  # build and config -> why it could not be built


@dataclass(frozen=True, slots=True)
class Cell:
    """One run."""

    build: str
    recipe: Recipe  # of the one level
    level: int | None
    config: str
    method: str  # none: it is built alone
    label: str  # what the report calls it; none: the method
    options: Table
    net: str | None
    seed: int
    preset: str
    changes: Table
    pretrained: bool
    name: str  # its folder


def cells(study: Study, root: Path) -> list[Cell]:
    """Return every cell in order; ``root`` holds pipelines/.

    Raises:
        ValueError, LookupError: a config that is no recipe, or two cells of one name
    """
    found = list(_cells(study, root))
    names = [cell.name for cell in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"two cells are called {name}: say each config, method, option and seed once"
            )
    return found


def _cells(study: Study, root: Path) -> Iterator[Cell]:
    built = []
    for config in study.configs:
        entry, recipe_keys = split_config(config, CONFIG)
        for recipe in _recipes(study, entry, recipe_keys, root):
            for level in recipe_levels(recipe):
                built.append((entry, _built_alone(study, entry, recipe, level)))
    _check_patterns(study, [cell.name for _, cell in built])
    for entry, cell in built:
        if not study.methods:
            yield cell
        for method in study.methods:
            if any(fnmatchcase(cell.name, pattern) for pattern in method.on or ["*"]):
                yield from _trained(study, entry, cell, method)


def _check_patterns(study: Study, names: Sequence[str]) -> None:
    """Raise if a method is to run on a config that does not exist."""
    for method in study.methods:
        for pattern in method.on:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ValueError(
                    f"{method.name}: on = {pattern!r}: no config is called so. "
                    f"There are: {', '.join(names)}"
                )


def _built_alone(study: Study, entry: ConfigEntry, recipe: Recipe, level: int | None) -> Cell:
    """Return the cell of a config that nothing learns from; it has the name of the config.

    The name begins with the dataset where that is not the study's.
    """
    config = config_name(recipe, level)
    of_study = recipe.dataset == study.dataset
    usual_preset = study.preset if of_study and study.preset else recipe.dataset
    return Cell(
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
        name=config if of_study else f"{recipe.dataset}/{config}",
    )


def _trained(study: Study, entry: ConfigEntry, cell: Cell, method: MethodEntry) -> Iterator[Cell]:
    """Yield the runs of a method on a config; what it says of the preset comes first."""
    preset = method.preset or entry.preset or study.preset
    prefix = [method.label] if method.label else []
    suffix = [f"preset-{Path(preset).stem}"] if preset != study.preset else []
    nets = method.nets or study.nets or (None,)
    trials = product(_product(method.grid), nets, _product(study.grid), study.seeds)
    for method_grid, net, preset_grid, seed in trials:
        options = {**method.options, **method_grid}
        parts = [
            *prefix,
            method.name,
            *_shown(options),
            *([net] if net else []),
            *suffix,
            *_shown(preset_grid),
            f"s{seed}",
        ]
        yield replace(
            cell,
            method=method.name,
            label=method.label,
            options=options,
            net=net,
            seed=seed,
            preset=method.preset or cell.preset,
            changes={**cell.changes, **method.changes, **preset_grid},
            name=f"{cell.name}/" + re.sub(r"[^A-Za-z0-9_.-]+", "-", "_".join(parts)),
        )


def _shown(said: Table) -> list[str]:
    return [f"{k}-{v}" for k, v in sorted(said.items())]


def _recipes(study: Study, entry: ConfigEntry, recipe_keys: Table, root: Path) -> Iterator[Recipe]:
    """Yield the recipes of a config: the dataset's for that noise, with the keys of the study."""
    if "noise" not in recipe_keys:
        raise ValueError(f'{CONFIG} names no noise: add noise = "..."')
    dataset = recipe_keys.get("dataset", study.dataset)
    path = root / "pipelines" / f"{dataset}_{recipe_keys['noise']}.toml"
    usual = read_toml(path, "recipe") if path.is_file() else {}
    keys = {**usual, **recipe_keys, "dataset": dataset}
    for grid in _product(entry.grid):
        options = {**usual.get("options", {}), **recipe_keys.get("options", {}), **grid}
        yield parse_recipe({**keys, "options": options}, CONFIG)


def _product(grid: Table) -> list[dict[str, Any]]:
    """Return every choice of one value a key."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def stands(cell: Cell, builds: Path) -> bool:
    """Is its config built?"""
    return is_build(builds / cell.build) and cell.config in read_card(builds / cell.build).configs


def build_missing(
    some: Sequence[Cell],
    builds: Path,
    inputs: Inputs,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> Broken:
    """Build the configs that are missing; return those that could not be, and why."""
    groups: dict[str, dict[str, Cell]] = {}
    for cell in some:
        if not stands(cell, builds):
            kind = repr((cell.build, replace(cell.recipe, levels=())))
            groups.setdefault(kind, {})[cell.config] = cell
    broken: Broken = {}
    for group in groups.values():
        broken |= _levels(list(group.values()), builds, inputs, executor, progress)
    return broken


def _levels(
    some: Sequence[Cell],
    builds: Path,
    inputs: Inputs,
    executor: Executor,
    progress: Progress,
) -> Broken:
    """Build configs that differ in the level alone: together, or each alone where one of them cannot be had."""
    levels = tuple(cell.level for cell in some if cell.level is not None)
    recipe = replace(some[0].recipe, levels=levels) if levels else some[0].recipe
    try:
        build(recipe, inputs, builds / some[0].build, executor, progress)
    except (ValueError, LookupError, OSError) as error:
        if len(some) == 1:
            return {(some[0].build, some[0].config): f"its build failed: {error}"}
        alone = [_levels([cell], builds, inputs, executor, progress) for cell in some]
        return {config: why for broken in alone for config, why in broken.items()}
    return {}
