"""What the configs of a study hold, built or not: plans say it before any image is read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cnlw_tools.builds.build import check_same_storage, plan_build
from cnlw_tools.card.metadata import BuildCard, ConfigCard, config_shards, read_card
from cnlw_tools.executor import SERIAL, Executor
from cnlw_tools.study.expand import RunSpec, group_by_recipe, is_built
from cnlw_tools.study.workers import SweepPaths
from cnlw_tools.trainer.data import read_class_names
from cnlw_tools.trainer.image_sides import first_size

ConfigKey = tuple[str, str]  # folder of a build below that of all builds, and a config


@dataclass(frozen=True, slots=True)
class ConfigContent:
    """What a config holds."""

    rows: Mapping[str, int]  # examples by split
    n_classes: int
    stored_size: tuple[int, int] | None  # height and width of its images; None: unknown
    data: str  # equal for configs with the same images and labels in the same order
    is_planned: bool = False  # not built yet


@dataclass(frozen=True, slots=True)
class StudyConfigs:
    """The configs of a study that can be had, and why the others cannot."""

    contents: Mapping[ConfigKey, ConfigContent]
    errors: Mapping[ConfigKey, Exception]


def config_key(run: RunSpec) -> ConfigKey:
    """Return the build and the config of a run."""
    return run.build, run.config


def describe_configs(
    runs: Sequence[RunSpec], paths: SweepPaths, executor: Executor = SERIAL
) -> StudyConfigs:
    """Return what the configs of runs hold, without writing anything.

    Args:
        runs: of a study
        paths: where builds and their inputs lie
        executor: reads validation images, if there is a store of web images
    """
    contents: dict[ConfigKey, ConfigContent] = {}
    errors: dict[ConfigKey, Exception] = {}
    missing = []
    cards: dict[str, BuildCard] = {}
    for run in {config_key(run): run for run in runs}.values():
        if not is_built(run, paths.builds):
            missing.append(run)
            continue
        if run.build not in cards:
            cards[run.build] = read_card(paths.build_folder(run))
        try:
            contents[config_key(run)] = _built_content(run, cards[run.build], paths)
        except (ValueError, LookupError, OSError) as error:
            errors[config_key(run)] = error
    for group in group_by_recipe(missing):
        _describe_planned(group, paths, executor, contents, errors)
    return StudyConfigs(contents, errors)


def _built_content(run: RunSpec, card: BuildCard, paths: SweepPaths) -> ConfigContent:
    """Return what a config holds that is built.

    Raises:
        ValueError: the build stores its images in another way than the study asks for
    """
    build = paths.build_folder(run)
    check_same_storage(build, card, run.recipe)
    shards = config_shards(card, run.config)
    shard = build / "data" / shards["train"][0]
    image_size = first_size(build, run.config)
    config = card.configs[run.config]
    n_classes = len(read_class_names(shard))
    return ConfigContent(config.rows, n_classes, image_size, _data_of(config, card.dataset))


def _describe_planned(
    runs: Sequence[RunSpec],
    paths: SweepPaths,
    executor: Executor,
    contents: dict[ConfigKey, ConfigContent],
    errors: dict[ConfigKey, Exception],
) -> None:
    """Plan configs that differ in the level alone; one by one if they cannot be planned at once."""
    first = runs[0]
    levels = tuple(run.level for run in runs if run.level is not None)
    recipe = replace(first.recipe, levels=levels) if levels else first.recipe
    try:
        folder = paths.build_folder(first)
        classes, configs = plan_build(recipe, paths.inputs, folder, executor)
    except (ValueError, LookupError, OSError) as error:
        if len(runs) == 1:
            errors[config_key(first)] = error
            return
        for run in runs:
            _describe_planned([run], paths, executor, contents, errors)
        return
    image_size = None
    if recipe.size is not None and recipe.resize != "short":
        image_size = (recipe.size, recipe.size)
    for run in runs:
        config = configs[run.config]
        data = _data_of(config, recipe.dataset)
        contents[config_key(run)] = ConfigContent(config.rows, len(classes), image_size, data, True)


def _data_of(config: ConfigCard, dataset: str) -> str:
    """Return what names the data of a config: segments are named by what they hold."""
    return json.dumps([dataset, config.segments], sort_keys=True)
