"""What makes two runs one trial: all that decides over their numbers is the same, save the seed.

That is the data by their digests, wherever the build lies; the config; the method with its options;
the network, a user's own by the digest of its layers; the code of a user's method or network;
the weights that it began with; the values of the preset, so the size of images and the epochs; the
split that was learned; the number of ranks.
A copy of a run has the same seed too, and the same numbers: it is not a second seed.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cnlw_tools.recipe.run_files import Metrics, RunConfig

PRESET_PREFIX = "preset."  # of options that are values of the preset
DIGITS = 8  # of a digest, in a name
TIMINGS = ("seconds", "peak_mb")  # metrics that differ between equal runs
# Keys of config.json that decide nothing, or that older runs lack.
NO_CHOICES = (
    "build",
    "command",
    "versions",
    "split",
    "marks_noise",
    "copied_from",
    "keep_best",
    "is_staged",
)

BuildData = Mapping[tuple[str, str], set[str]]  # config and split -> digests


def name_datasets(
    configs: Sequence[RunConfig], study_builds: Collection[Path] = ()
) -> dict[str, str]:
    """Return the name of the dataset of each build: equal data have one name, others have two.

    It is the name of the build's folder, or, where folders of that name hold other data, its path.

    Args:
        configs: of all runs
        study_builds: resolved paths whose datasets keep the name of the folder
    """
    data_of: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for config in configs:
        for split, digest in config.data.items():
            data_of[config.build][config.config, split].add(digest)
    builds = list(dict.fromkeys(config.build for config in configs))
    in_study = {build: Path(build).resolve() in study_builds for build in builds}
    builds.sort(key=lambda build: not in_study[build])
    datasets: list[list[str]] = []
    for build in builds:
        for members in datasets:
            first = members[0]
            may_join = not in_study[build] or _folder_name(build) == _folder_name(first)
            if may_join and all(_is_same_dataset(build, m, data_of) for m in members):
                members.append(build)
                break
        else:
            datasets.append([build])

    counts = Counter(_folder_name(members[0]) for members in datasets)
    names = {}
    for members in datasets:
        first = members[0]
        is_unique = counts[_folder_name(first)] == 1 or in_study[first]
        name = _folder_name(first) if is_unique else Path(first).as_posix()
        names.update(dict.fromkeys(members, name))
    return names


def _is_same_dataset(build: str, second_build: str, data_of: Mapping[str, BuildData]) -> bool:
    """Say whether builds agree on what both hold; if that is nothing, whether names are equal."""
    common = data_of[build].keys() & data_of[second_build].keys()
    if any(data_of[build][key].isdisjoint(data_of[second_build][key]) for key in common):
        return False
    return bool(common) or _folder_name(build) == _folder_name(second_build)


def _folder_name(build: str) -> str:
    return Path(build).resolve().name


def settings(config: RunConfig) -> dict[str, Any]:
    """Return what decides over the numbers of a run beside data, method and options, by name."""
    net = config.net
    if config.architecture is not None:
        net = f"{net} {config.architecture[:DIGITS]}"
    values = {"net": net, "pretrained": config.pretrained, "ranks": config.ranks}
    if config.weights is not None:
        values["weights"] = config.weights[:DIGITS]
    if config.split not in (None, "train"):
        values["split"] = config.split
    for name, value in config.preset.items():
        values[PRESET_PREFIX + name] = value
    return values


def data_digest(config: RunConfig) -> str:
    """Return one digest of all splits; a holdout is a part of the training set, not data more."""
    digests = {split: digest for split, digest in config.data.items() if split != "holdout"}
    return _digest(digests)


def run_digest(config: RunConfig, history: Sequence[Metrics], result: object) -> str:
    """Return a digest of what a run was asked and what it measured, without times and places."""
    choices = {key: value for key, value in asdict(config).items() if key not in NO_CHOICES}
    return _digest([choices, [numbers_of(metrics) for metrics in history], result])


def numbers_of(metrics: Metrics) -> dict[str, float]:
    """Return the metrics of an epoch that the seed decides."""
    return {name: value for name, value in metrics.items() if name not in TIMINGS}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
