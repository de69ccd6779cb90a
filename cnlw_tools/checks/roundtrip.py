"""The last check: `datasets` reads every config as the shards hold it, in a temporary cache."""

import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, error
from cnlw_tools.executor import local
from cnlw_tools.files import scratch_folder
from cnlw_tools.files.machine_faults import raise_machine_fault

TEMPORARY = ", or set TMPDIR to another folder"
COLUMNS = ("image_id", "label")
RowCounts = Counter[tuple[str, str, int]]  # split, image id, label


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What `datasets` made of a config."""

    name: str
    rows: RowCounts
    problem: str = ""  # why it could not be loaded


def roundtrip(evidence: Evidence) -> Iterator[Finding]:
    """Load every config and compare splits, features and rows.

    Raises:
        OSError: the folder of temporary files is full, or this machine has another fault
    """
    classes = evidence.dataset.classes if evidence.dataset else ()
    with (
        scratch_folder() as cache,
        local.isolated(evidence.workers) as executor,
    ):
        task = partial(_load_config, evidence.folder.absolute(), cache, classes)
        configs = list(evidence.card.configs)
        for done, loaded in enumerate(executor.map(task, configs), 1):
            evidence.progress("reading back", done, len(configs))
            if loaded.problem:
                message = f"load_dataset: {loaded.problem}"
                yield error(message, loaded.name, fix="fix the errors above first")
                continue
            expected = _count_rows(evidence, loaded.name)
            if loaded.rows != expected:
                n_surplus = (loaded.rows - expected).total()
                n_missing = (expected - loaded.rows).total()
                message = "load_dataset gives other rows than the shards hold"
                yield error(message, loaded.name, n_surplus + n_missing)


def _count_rows(evidence: Evidence, config: str) -> RowCounts:
    rows = evidence.rows(config)
    columns = [rows[name].to_pylist() for name in ("split", *COLUMNS)]
    return Counter(zip(*columns, strict=True))


def _load_config(folder: Path, cache: Path, classes: tuple[str, ...], name: str) -> LoadedConfig:
    """Load one config; this runs in a process of its own."""
    # The import of `datasets` reads these variables.
    os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=str(cache))
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)  # the finding says what is wrong
    rows: RowCounts = Counter()
    try:
        splits = datasets.load_dataset(str(folder), name, cache_dir=str(cache / name))
        for split, loaded in splits.items():
            problem = _wrong_features(loaded, classes)
            if problem:
                return LoadedConfig(name, rows, f"{split}: {problem}")
            loaded[0]["image"].load()
            table = loaded.select_columns(list(COLUMNS)).with_format("arrow")[:]
            ids, labels = (table[column].to_pylist() for column in COLUMNS)
            rows.update((split, *row) for row in zip(ids, labels, strict=True))
    except Exception as problem:  # noqa: BLE001, what a reader would meet
        raise_machine_fault(problem, str(cache), TEMPORARY)
        first_line = str(problem).partition("\n")[0]
        return LoadedConfig(name, rows, f"{type(problem).__name__}: {first_line}")
    finally:
        shutil.rmtree(cache / name, ignore_errors=True)
    return LoadedConfig(name, rows)


def _wrong_features(loaded: Any, classes: tuple[str, ...]) -> str:
    """Return what is wrong with the features of a loaded split, or nothing."""
    import datasets

    if not isinstance(loaded.features["image"], datasets.Image):
        return "the column image is not an Image"
    if tuple(loaded.features["label"].names) != classes:
        return "the labels have other names than tables/classes.csv"
    return ""
