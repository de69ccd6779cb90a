"""The last check: `datasets` reads every config as the shards hold it, in a temporary cache."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, error
from cnlw_tools.dataset import hashing
from cnlw_tools.dataset.row_numbers import number_rows, surplus_rows
from cnlw_tools.dataset.row_selection import filter_rows
from cnlw_tools.dataset.shared_chunks import CHUNK_ROWS, ChunkStock
from cnlw_tools.executor import local
from cnlw_tools.files import scratch_folder
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.files.parquet import read_table
from cnlw_tools.plans.assemble import repeat_value

TEMPORARY = ", or set TMPDIR to another folder"
COLUMNS = pa.schema({"image_id": pa.string(), "label": pa.int64()})
ROWS = COLUMNS.append(pa.field("split", pa.string()))


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What `datasets` made of a config."""

    name: str
    digests: Mapping[str, str]  # of the rows of each split, in their order
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
            rows = evidence.rows(loaded.name)
            if loaded.digests != _split_digests(rows):
                n_differences = _count_differences(rows, read_table(_rows_file(cache, loaded.name)))
                if n_differences:
                    message = "load_dataset gives other rows than the shards hold"
                    yield error(message, loaded.name, n_differences)


def _split_digests(rows: pa.Table) -> dict[str, str]:
    """Return a digest of ids and labels in their order, by split."""
    digests = {}
    for split in pc.unique(rows["split"]).to_pylist():
        is_in_split = pc.equal(rows["split"], split).to_numpy()
        digests[split] = hashing.digest(filter_rows(rows.select(COLUMNS.names), is_in_split))
    return digests


def _count_differences(rows: pa.Table, others: pa.Table) -> int:
    """Return how many rows only one of two tables has, whatever their order."""
    numbers = number_rows([rows.select(ROWS.names), others.cast(ROWS)], ROWS.names)
    n_missing, _ = surplus_rows(*numbers)
    n_surplus, _ = surplus_rows(*reversed(numbers))
    return n_missing + n_surplus


def _rows_file(cache: Path, config: str) -> Path:
    """Return where the process that loads a config writes its rows."""
    return cache / f"{config}.parquet"


def _load_config(folder: Path, cache: Path, classes: tuple[str, ...], name: str) -> LoadedConfig:
    """Load one config and write its rows into the cache; this runs in a process of its own."""
    # The import of `datasets` reads these variables.
    os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=str(cache))
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)  # the finding says what is wrong
    parts, stock = [ROWS.empty_table()], ChunkStock()
    try:
        splits = datasets.load_dataset(str(folder), name, cache_dir=str(cache / name))
        for split, loaded in splits.items():
            problem = _wrong_features(loaded, classes)
            if problem:
                return LoadedConfig(name, {}, f"{split}: {problem}")
            loaded[0]["image"].load()
            columns = loaded.select_columns(COLUMNS.names).with_format("arrow")
            for batch in columns.iter(CHUNK_ROWS):
                split_column = repeat_value(split, len(batch))
                parts.append(stock.share(batch.cast(COLUMNS).append_column("split", split_column)))
        rows = pa.concat_tables(parts)
        pq.write_table(rows, _rows_file(cache, name))
    except Exception as problem:  # noqa: BLE001, what a reader would meet
        raise_machine_fault(problem, str(cache), TEMPORARY)
        first_line = str(problem).partition("\n")[0]
        return LoadedConfig(name, {}, f"{type(problem).__name__}: {first_line}")
    finally:
        shutil.rmtree(cache / name, ignore_errors=True)
    _parse_cards_faster()
    return LoadedConfig(name, _split_digests(rows))


def _parse_cards_faster() -> None:
    """Let libyaml parse the card for the further configs of this process.

    `datasets` parses the card for every config, which takes as long as all else for a small build.
    The parser in Python, which `datasets` uses, has just read the same card.
    """
    import yaml

    yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]


def _wrong_features(loaded: Any, classes: tuple[str, ...]) -> str:
    """Return what is wrong with the features of a loaded split, or nothing."""
    import datasets

    if not isinstance(loaded.features["image"], datasets.Image):
        return "the column image is not an Image"
    if tuple(loaded.features["label"].names) != classes:
        return "the labels have other names than tables/classes.csv"
    return ""
