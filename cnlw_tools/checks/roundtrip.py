"""The last check: `datasets.load_dataset` reads every config, in a temporary cache, as the shards hold it."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, error
from cnlw_tools.executor import local

COLUMNS = ("image_id", "label")


def roundtrip(found: Evidence) -> Iterator[Finding]:
    """Load every config and compare splits, features and rows."""
    names = list(found.record.configs)
    with (
        tempfile.TemporaryDirectory(prefix="cnlw-") as cache,
        local.isolated(found.workers) as executor,
    ):
        task = partial(
            _load,
            found.folder.absolute(),
            Path(cache),
            found.dataset.classes if found.dataset else (),
        )
        for name, loaded in executor.map(task, names):
            if isinstance(loaded, str):
                yield error(
                    "roundtrip", f"load_dataset: {loaded}", name, mend="mend the errors above first"
                )
                continue
            held = found.rows(name)
            wanted = Counter(zip(*(held[c].to_pylist() for c in ("split", *COLUMNS)), strict=True))
            if loaded != wanted:
                off = sum((loaded - wanted).values()) + sum((wanted - loaded).values())
                yield error(
                    "roundtrip", "load_dataset gives other rows than the shards hold", name, off
                )


def _load(
    folder: Path, cache: Path, classes: tuple[str, ...], name: str
) -> tuple[str, Counter[tuple[str, str, int]] | str]:
    """Load one config and return its rows, or what went wrong."""
    os.environ.update(
        HF_HUB_OFFLINE="1", HF_HOME=str(cache)
    )  # in a process of its own, before datasets reads them
    import datasets

    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(str(folder), name, cache_dir=str(cache / name))
        found: Counter[tuple[str, str, int]] = Counter()
        for split, rows in loaded.items():
            if not isinstance(rows.features["image"], datasets.Image):
                return name, f"{split}: the column image is no Image"
            if tuple(rows.features["label"].names) != classes:
                return name, f"{split}: the labels have other names than tables/classes.csv"
            rows[0]["image"].load()
            plain = rows.select_columns(list(COLUMNS)).with_format("arrow")[:]
            found.update(
                (split, *row) for row in zip(*(plain[c].to_pylist() for c in COLUMNS), strict=True)
            )
        return name, found
    except Exception as error:  # noqa: BLE001, whatever a reader of the build would meet is the finding
        return name, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    finally:
        shutil.rmtree(cache / name, ignore_errors=True)
