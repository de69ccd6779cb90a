"""Runs of a study that are the same run under two names: they are trained once.

They learn from the same images and labels, as red and blue noise of 0 % do, and all else that
decides their numbers is the same, by the rule of reports/trial_key.py: method, options,
preset, network, seed. The run that was trained is copied to the folders of the others.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cnlw_tools import files
from cnlw_tools.card.metadata import read_card
from cnlw_tools.files.locks import lock
from cnlw_tools.files.storage import below
from cnlw_tools.recipe.preset import Preset, method_options, recorded_preset
from cnlw_tools.recipe.run_files import (
    CHECKPOINT,
    CONFIG,
    RESULT,
    find_run_files,
    read_config,
)
from cnlw_tools.study.check import KNOWN_ERRORS, requested_preset
from cnlw_tools.study.configs import StudyConfigs, config_key
from cnlw_tools.study.expand import RunSpec
from cnlw_tools.study.workers import SweepPaths
from cnlw_tools.trainer.run_upload import copy_run as copy_from
from cnlw_tools.trainer.run_upload import open_run


def group_identical(
    runs: Sequence[RunSpec], paths: SweepPaths, configs: StudyConfigs
) -> list[list[RunSpec]]:
    """Group runs that are the same run, in the order of the first of each group.

    Args:
        runs: of a study
        paths: where presets lie
        configs: what the runs learn from; a run whose data are unknown is in a group of its own
    """
    groups: dict[str, list[RunSpec]] = {}
    for run in runs:
        groups.setdefault(_identity(run, paths, configs), []).append(run)
    return [*groups.values()]


def choose_leader(group: Sequence[RunSpec], paths: SweepPaths) -> RunSpec:
    """Return the run of a group to train: one that has ended, or has begun, or else the first."""
    for name in (RESULT, CHECKPOINT):
        for run in group:
            if (paths.run_folder(run) / name).is_file():
                return run
    return group[0]


def copy_run(source: RunSpec, target: RunSpec, paths: SweepPaths) -> None:
    """Give a run the files of one that has ended and is the same but for its name.

    Files are linked where the disk allows it. The result comes last, so a copy that is killed is
    not taken for a whole one.

    Raises:
        OSError: the folder cannot be written, or another run is at work there
        ValueError: the run that has ended cannot be read
    """
    source_folder = copy_from(below(paths.out, source.name))
    with open_run(below(paths.out, target.name)) as folder:
        message = f"{folder}: another run is at work here: wait for it, or give another --out"
        handle = lock(folder, message)
        try:
            _write_config(source_folder, folder, source, target, paths)
            names = [path.relative_to(source_folder) for path in find_run_files(source_folder)]
            names.sort(key=lambda name: name == Path(RESULT))
            for name in names:
                if name != Path(CONFIG):
                    files.link_or_copy(source_folder / name, folder / name)
        finally:
            os.close(handle)


def _identity(run: RunSpec, paths: SweepPaths, configs: StudyConfigs) -> str:
    """Return a text that is equal for runs whose numbers are bound to be equal."""
    content = configs.contents.get(config_key(run))
    if not run.method or content is None:
        return run.name
    try:
        preset = requested_preset(run, paths)
    except KNOWN_ERRORS:
        return run.name
    choices = {"data": content.data, **recorded_choices(run, preset)}
    return json.dumps(choices, sort_keys=True)


def recorded_choices(run: RunSpec, preset: Preset) -> dict[str, Any]:
    """Return what config.json records of the choices that a study makes for a run."""
    return {
        "method": run.method,
        "options": {**method_options(preset, run.method, run.level), **run.options},
        "net": preset.net,
        "seed": run.seed,
        "pretrained": run.pretrained,
        "preset": recorded_preset(preset),
    }


def _write_config(
    source_folder: Path, folder: Path, source: RunSpec, target: RunSpec, paths: SweepPaths
) -> None:
    """Write what was asked of the run that is copied, under the config of the other."""
    card = read_card(paths.build_folder(target)).configs[target.config]
    config = replace(
        read_config(source_folder),
        build=str(below(paths.builds, target.build)),
        config=target.config,
        noise=card.recipe.noise,
        level=card.level,
        copied_from=source.name,
    )
    with files.atomic_write(folder / CONFIG) as draft:
        draft.write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
