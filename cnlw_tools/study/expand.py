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
from cnlw_tools.plan.plan import config_name, levels
from cnlw_tools.recipe import recipe as recipes
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.study.spec import CHECKS, Study, Table, is_grid

OURS = {  # what a config says beside its recipe
    "grid": (is_grid, "a table of lists"),
    "preset": CHECKS["preset"],
    "build": CHECKS["build"],
    "changes": CHECKS["changes"],
}
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
    built = [
        (said, _built_alone(study, said, recipe, level))
        for said in study.configs
        for recipe in _recipes(study, said, root)
        for level in levels(recipe)
    ]
    _named(study, [one.name for _, one in built])
    for said, one in built:
        if not study.methods:
            yield one
        for method in study.methods:
            if any(fnmatchcase(one.name, wanted) for wanted in method.get("on", ["*"])):
                yield from _trained(study, said, one, method)


def _named(study: Study, names: Sequence[str]) -> None:
    """Raise if a method is asked for on a config that there is not."""
    for method in study.methods:
        for wanted in method.get("on", []):
            if not any(fnmatchcase(name, wanted) for name in names):
                there = ", ".join(names)
                raise ValueError(
                    f"{method['name']}: on = {wanted!r}: no config is called so. There are: {there}"
                )


def _built_alone(study: Study, said: Table, recipe: Recipe, level: int | None) -> Cell:
    """Return the cell of a config that nothing learns from, called like it; below its dataset, if not the study's."""
    config = config_name(recipe, level)
    return Cell(
        build=said.get("build") or study.folder(recipe.dataset),
        recipe=recipe if level is None else replace(recipe, levels=(level,)),
        level=level,
        config=config,
        method="",
        label="",
        options={},
        net=None,
        seed=0,
        preset=said.get("preset")
        or (study.preset if recipe.dataset == study.dataset else "")
        or recipe.dataset,
        changes={**study.changes, **said.get("changes", {})},
        pretrained=study.pretrained,
        name=config if recipe.dataset == study.dataset else f"{recipe.dataset}/{config}",
    )


def _trained(study: Study, said: Table, one: Cell, method: Table) -> Iterator[Cell]:
    """Yield the runs of a method on a config; what it says of the preset goes before what the config and study say."""
    preset = method.get("preset", said.get("preset", study.preset))
    own = [f"preset-{Path(preset).stem}"] if preset != study.preset else []
    labelled = [method["label"]] if "label" in method else []
    nets = method.get("nets", study.nets) or (None,)
    for tried, net, grid, seed in product(
        _product(method.get("grid", {})), nets, _product(study.grid), study.seeds
    ):
        options = {**method.get("options", {}), **tried}
        shown = [
            *labelled,
            method["name"],
            *_shown(options),
            *([net] if net else []),
            *own,
            *_shown(grid),
            f"s{seed}",
        ]
        yield replace(
            one,
            method=method["name"],
            label=method.get("label", ""),
            options=options,
            net=net,
            seed=seed,
            preset=method.get("preset", one.preset),
            changes={**one.changes, **method.get("changes", {}), **grid},
            name=f"{one.name}/" + re.sub(r"[^A-Za-z0-9_.-]+", "-", "_".join(shown)),
        )


def _shown(said: Table) -> list[str]:
    return [f"{k}-{v}" for k, v in sorted(said.items())]


def _recipes(study: Study, said: Table, root: Path) -> Iterator[Recipe]:
    """Yield the recipes of a config: the dataset's for that noise, if there is one, and what the study says."""
    where = "a config of the study"
    if "noise" not in said:
        raise ValueError(f'{where} names no noise: add noise = "..."')
    for key, (fits, wanted) in OURS.items():
        if key in said and not fits(said[key]):
            raise ValueError(f"{where}: {key} = {said[key]!r}: it must be {wanted}")
    grid = said.get("grid", {})
    dataset = said.get("dataset", study.dataset)
    path = root / "pipelines" / f"{dataset}_{said['noise']}.toml"
    usual = recipes.read(path) if path.is_file() else {}
    said = {**usual, **{k: v for k, v in said.items() if k not in OURS}, "dataset": dataset}
    for chosen in _product(grid):
        options = {**usual.get("options", {}), **said.get("options", {}), **chosen}
        yield recipes.make({**said, "options": options}, where)


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
