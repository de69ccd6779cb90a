"""From recipe to build: plans first, images late, the card last.

builds/shapes/
    README.md        the card: configs for `datasets`, what was made, proofs
    data/            shards, shared between configs (segments.py)
    tables/          the tables it was made from
    samples_red.png  what red noise looks like here
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import __version__, files, hashing
from cnlw_tools.build import segments, shards
from cnlw_tools.build.shards import Job
from cnlw_tools.build.staging import claim
from cnlw_tools.card import render, sample_grid
from cnlw_tools.card.metadata import CARD, BuildCard, ConfigCard, read_card
from cnlw_tools.dataset import dataset
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.images.pixels import Storage
from cnlw_tools.ingest.resolve import load_dataset, open_source
from cnlw_tools.plan.info import read_plan_info
from cnlw_tools.plan.plan import config_name, levels, plan, realised
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe, recorded_choices

Parts = list[tuple[str, segments.Segment]]  # split and segment


@dataclass(frozen=True, slots=True)
class Summary:
    """What a build did."""

    folder: Path
    configs: dict[str, ConfigCard]  # the ones asked for
    matrices: dict[str, NDArray[np.float64]]  # (C, C), promised, of each
    written: int  # bytes of shards written by this run
    size: int  # bytes of all shards of the asked configs
    seconds: float


def build(
    recipe: Recipe,
    inputs: Inputs,
    out: Path,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> Summary:
    """Build every level of a recipe into one folder; what stands there already is not written again.

    Args:
        recipe: what to build
        inputs: where its tables and images lie
        out: the folder of the build; made, completed, or added to
        executor: where images are read and shards are written
        progress: is told how many plans are drawn, and how many rows are written

    Raises:
        ValueError, LookupError, OSError: with value, place and remedy; what stood before stands as it was
    """
    begun = time.monotonic()
    found = load_dataset(recipe, inputs, executor)
    open_source(found.source, recipe, inputs.data_dir)
    plans = {}
    asked = levels(recipe, found)
    for i, level in enumerate(asked):
        plans[config_name(recipe, level)] = plan(recipe, found, level)
        progress("plans", i + 1, len(asked))
    how = Storage(recipe.size, recipe.resize, recipe.quality, recipe.shard_rows)
    with claim(out) as folder:
        record = _agree(folder, _standing(folder, recipe, how), found, plans)
        same = bool(record.configs) or _written(found, folder / "tables")
        dataset.write_tables(found, folder / "tables", overwrite=False)
        job = Job(folder / "data", found.source, recipe.donors, inputs, how, found.classes)
        cut = {name: list(segments.cut(p, how, recipe.layout)) for name, p in plans.items()}
        wanted = {
            file: rows
            for parts in cut.values()
            for _, s in parts
            for file, rows in s.files().items()
        }
        shunned = _tidied(job.folder, record, set(wanted) if same else set())
        for name in shunned & set(wanted):
            (job.folder / name).unlink()
        hashes = shards.write(job, wanted, executor, progress, shunned)
        written = sum((job.folder / name).stat().st_size for name in hashes)
        configs = {name: _config(plans[name], parts) for name, parts in cut.items()}
        known = {**record.shards, **hashes}
        hashes |= {file: files.digest(job.folder / file) for file in wanted if file not in known}
        record = replace(
            record,
            configs=dict(sorted({**record.configs, **configs}.items())),
            shards=dict(sorted({**record.shards, **hashes}.items())),
            tables={**record.tables, **found.digests},
        )
        shown = _noisiest(record, recipe.noise)
        if shown in plans and record.configs[shown].rate:
            rows = {
                file: rows for _, segment in cut[shown] for file, rows in segment.files().items()
            }
            sample_grid.write(
                folder / f"samples_{recipe.noise}.png",
                recipe.noise,
                job.folder,
                plans[shown],
                rows,
                found.classes,
            )
        render.write(folder, record, recipe, found.classes)
        size = sum((job.folder / name).stat().st_size for name in wanted)
    matrices = {name: read_plan_info(table).expected_matrix() for name, table in plans.items()}
    return Summary(out, configs, matrices, written, size, time.monotonic() - begun)


def last(builds: Path) -> Path:
    """Return the build with the newest card.

    Raises:
        FileNotFoundError: there is none
    """
    cards = sorted(builds.glob(f"*/{CARD}"), key=lambda p: p.stat().st_mtime_ns)
    if not cards:
        raise FileNotFoundError(
            f"{builds}: no build here yet: run `cnlw build --noise red --level 40`, or name one"
        )
    return cards[-1].parent


def _tidied(data: Path, record: BuildCard, useful: set[str]) -> set[str]:
    """Delete what killed builds left and this one has no use for; return the files that are not to be trusted."""
    shunned = set()
    for path in data.glob("*.parquet"):
        if path.name in record.shards:
            damaged = files.digest(path) != record.shards[path.name]
            shunned |= {path.name} if damaged else set()
        elif not segments.FILE.fullmatch(path.name):
            shunned.add(path.name)
        elif path.name not in useful:
            path.unlink()
    return shunned


def _written(found: Dataset, folder: Path) -> bool:
    """Write the tables of a new build; were they there already, from a killed build of the same data?"""
    left = {p.name: files.digest(p) for p in folder.glob("*")}
    shutil.rmtree(folder, ignore_errors=True)
    dataset.write_tables(found, folder)
    return left == {p.name: files.digest(p) for p in folder.glob("*")}


def _standing(folder: Path, recipe: Recipe, how: Storage) -> BuildCard:
    """Return what the folder says of itself, or an empty record, if it stores images as this recipe does."""
    if not (folder / CARD).exists():
        versions = {"cnlw_tools": __version__, "pillow": PIL.__version__, "pyarrow": pa.__version__}
        return BuildCard(versions, recipe.dataset, how, recipe.layout)
    record = read_card(folder)
    asked = {"dataset": recipe.dataset, "layout": recipe.layout, **asdict(how)}
    there = {"dataset": record.dataset, "layout": record.layout, **asdict(record.images)}
    for key, value in asked.items():
        if there[key] != value:
            raise ValueError(
                f"{folder}: was built with {key} {there[key]!r}, not {value!r}: give another --out"
            )
    return record


def _agree(
    folder: Path, record: BuildCard, found: Dataset, plans: Mapping[str, pa.Table]
) -> BuildCard:
    """Return the record, if its tables and its configs of the same names are the same as these."""
    digests = found.digests
    for name, digest in digests.items():
        if record.tables.get(name, digest) != digest:
            raise ValueError(
                f"{folder}: its table {name} differs from the one of {found.name} now: give another --out"
            )
    for name, table in plans.items():
        if name in record.configs and record.configs[name].digest != hashing.digest(table):
            raise ValueError(
                f"{folder}: config {name} stands there with other contents: give another --out"
            )
    return record


def _noisiest(record: BuildCard, noise: str) -> str:
    """Return the config to show of a noise: the one with most of it, whichever was built last."""
    names = [name for name, config in record.configs.items() if config.recipe.noise == noise]
    return min(names, key=lambda name: (-record.configs[name].rate, name))


def _config(table: pa.Table, parts: Parts) -> ConfigCard:
    """Describe a level: how it was drawn, and what noise was promised and realised."""
    info = read_plan_info(table)
    expected = info.expected_matrix()
    found = realised(table, len(expected))
    split_counts = pc.value_counts(table["split"]).to_pylist()
    names: dict[str, list[str]] = {}
    for split, segment in parts:
        names.setdefault(split, []).append(segment.name)
    return ConfigCard(
        recipe=Recipe(**recorded_choices(info.recipe)),
        level=info.level,
        digest=hashing.digest(table),
        rows={count["values"]: count["counts"] for count in split_counts},
        rate=found.rate,
        expected=info.rate,
        changed=info.changed,
        kept=_range(found.matrix),
        expected_kept=_range(expected),
        segments={split: sorted(found) for split, found in names.items()},
    )


def _range(matrix: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest share on the diagonal, over the classes that have images."""
    kept = np.diag(matrix)[matrix.sum(1) > 0]
    if not len(kept):
        return 0.0, 0.0
    return round(float(kept.min(initial=1)), 6), round(float(kept.max(initial=0)), 6)
