"""From a recipe to a build: plans first, images late, the card last.

builds/shapes/
    README.md        the card: configs for `datasets`, what was made, proofs
    croissant.json   its files and columns, for other programs
    data/            shards, shared between configs (segments.py)
    tables/          the tables it was made from
    samples_red.png  what red noise looks like here
"""

import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.builds.availability import WEB, explain_difference, match_availability
from cnlw_tools.builds.changes import find_changes
from cnlw_tools.builds.segments import SHARD_NAME, FileRows, Segment, SegmentStock
from cnlw_tools.builds.shards import WriteJob, delete_pool, write_shards
from cnlw_tools.builds.staging import locked_folder, shared_folder
from cnlw_tools.builds.work_shards import (
    Records,
    assign_files,
    check_records,
    delete_records,
    digest_contents,
    find_records,
    join_files,
    make_record,
    read_records,
    record_hashes,
    recorded_shard,
    write_record,
)
from cnlw_tools.card import render, sample_grid
from cnlw_tools.card.about import About, read_about
from cnlw_tools.card.metadata import CARD, BuildCard, Changes, ConfigCard, read_card
from cnlw_tools.dataset import dataset, hashing, table_io, tables
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.shared_chunks import ChunkStock
from cnlw_tools.dataset.validation_split import classes_without_validation
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.executor.remote import program_versions
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.files.mapped import release_pages
from cnlw_tools.images.pixels import Storage
from cnlw_tools.ingest.resolve import load_dataset, open_recipe_images
from cnlw_tools.plans.info import read_plan_info
from cnlw_tools.plans.plan import config_name, plan, recipe_levels
from cnlw_tools.plans.statistics import realised_stats
from cnlw_tools.plans.subsets import base_manifest
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import Recipe, recorded_choices, storage_choices
from cnlw_tools.sources import download_inputs, open_reader
from cnlw_tools.store.pack import open_store

Plans = Mapping[str, pa.Table]  # by config
Segments = Mapping[str, list[tuple[str, Segment]]]  # config -> split and segment


@dataclass(frozen=True, slots=True)
class BuildSummary:
    """What a build did."""

    folder: Path
    configs: dict[str, ConfigCard]  # of this recipe
    matrices: dict[str, NDArray[np.float64]]  # (C, C), expected, by config without a level
    new_bytes: int  # of the shards that were written now
    n_joined: int  # files that were taken from folders of other processes
    total_bytes: int  # of all shards of these configs
    folder_bytes: int  # of the whole build, with other configs, tables and card
    seconds: float
    classes_without_validation: list[str]  # those that were too small for the recipe to take one
    address: str = ""  # of a storage, where the folder is the mirror of one


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What one of several processes did for a build."""

    folder: Path  # without a card
    n_files: int  # of this process
    n_planned: int  # of all processes
    new_bytes: int  # of the files that were written now
    total_bytes: int  # of all files of this process
    seconds: float


@dataclass(frozen=True, slots=True)
class Published:
    """What a build takes from a published one, in place of the dataset's own."""

    tables: Path | None  # the folder of its tables; none: those of the dataset
    about: About  # what its card says of the dataset
    changes: Changes | None = None  # what its card says of an earlier build


def build(
    recipe: Recipe,
    inputs: Inputs,
    out: Path,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
    joined_folders: Sequence[Path] = (),
    published: Published | None = None,
    previous: Path | None = None,
) -> BuildSummary:
    """Build every level of a recipe into one folder; shards that are there are not written again.

    Args:
        recipe: what to build
        inputs: where its tables and images lie
        out: the folder of the build, which is made, completed, or added to
        executor: where images are read and shards are written
        progress: is told how many plans are drawn, and how many rows are written
        joined_folders: where `build_shard` wrote files of this build
        published: the tables of a published build, in place of those of the dataset
        previous: an earlier build; the card says what changed since then

    Raises:
        ValueError, LookupError, OSError: with value, place, remedy; an older build is not changed
    """
    start, joined = time.monotonic(), find_records(joined_folders)
    published = published or Published(None, read_about(recipe, inputs.root))
    inputs, data = _load_checked(recipe, inputs, executor, published.tables)
    plans = _draw_plans(recipe, data, progress)
    segments = _cut_plans(plans, _storage_of(recipe), recipe.layout)
    planned_shards = _planned_shards(segments)
    changes = find_changes(previous, plans) if previous else published.changes
    with locked_folder(out) as folder:
        old_card, data, has_new_marks = _open_build(folder, recipe, data, plans)
        old_hashes = _recorded_hashes(folder, joined, planned_shards, data) | old_card.shards
        same_tables = _write_tables(folder / "tables", data, old_card, has_new_marks)
        job = _make_job(folder, recipe, inputs, data, published.tables)
        untrusted = _find_untrusted(job.folder, old_hashes, executor)
        _remove_useless(job.folder, old_hashes, planned_shards, same_tables, untrusted)
        joined_files = join_files(job.folder, joined, planned_shards)
        hashes = write_shards(job, planned_shards, executor, progress, untrusted - joined_files)
        shards = _hash_shards(job.folder, planned_shards, {**old_hashes, **hashes})
        configs = _describe_configs(plans, segments)
        card = _extend_card(old_card, configs, shards, data.digests, published.about, changes)
        _write_samples(folder, recipe.noise, card, plans, segments, data.classes)
        render.write_card(folder, card, data.classes, data.imported_validation)
        delete_records(folder)
        sizes = _measure(folder, hashes, joined_files, planned_shards)
    left_out = _classes_without_validation(recipe, data)
    return BuildSummary(out, configs, _matrices(plans), *sizes, time.monotonic() - start, left_out)


def build_shard(
    recipe: Recipe,
    inputs: Inputs,
    out: Path,
    work_shard: WorkShard,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> ShardSummary:
    """Write the files of one of several processes that make a build; `build` writes the card.

    Args:
        recipe, inputs, executor, progress: as for `build`
        out: the folder of the build, which the processes share, or a folder for this one
        work_shard: which of the processes this is

    Raises:
        ValueError, LookupError, OSError: with value, place, remedy; an older build is not changed
    """
    start = time.monotonic()
    inputs, data = _load_checked(recipe, inputs, executor)
    plans = _draw_plans(recipe, data, progress)
    planned_shards = _planned_shards(_cut_plans(plans, _storage_of(recipe), recipe.layout))
    numbers = assign_files(planned_shards, work_shard.count)
    shards = planned_shards.select(n for n in numbers if numbers[n] == work_shard.number)
    with shared_folder(out) as folder:
        old_card, data, _ = _open_build(folder, recipe, data, plans)
        record = make_record(work_shard, digest_contents(planned_shards, data.digests))
        with recorded_shard(folder, record, shards) as old_hashes:
            _add_tables(folder / "tables", data)
            job = _make_job(folder, recipe, inputs, data)
            old_hashes |= old_card.shards
            untrusted_files = _find_untrusted(job.folder, old_hashes, executor, shards)
            hashes = write_shards(job, shards, executor, progress, untrusted_files, keep_pool=True)
            new_bytes = _total_size(job.folder, hashes)
            hashes = _hash_shards(job.folder, shards, {**old_hashes, **hashes})
            write_record(folder, replace(record, hashes={name: hashes[name] for name in shards}))
        total_bytes = _total_size(job.folder, shards)
    seconds = time.monotonic() - start
    sizes = (len(shards), len(planned_shards), new_bytes, total_bytes)
    place = out if folder == out.resolve() else out.parent / folder.name
    return ShardSummary(place, *sizes, seconds)


def plan_build(
    recipe: Recipe, inputs: Inputs, out: Path, executor: Executor = SERIAL
) -> tuple[tuple[str, ...], dict[str, ConfigCard]]:
    """Return the classes and the configs that a build would have, without writing anything.

    Args:
        recipe, inputs, out, executor: as for `build`

    Raises:
        ValueError, LookupError, OSError: the recipe cannot be had from these inputs, or the build
            that is there stores its images in another way
    """
    inputs, data = _load_checked(recipe, inputs, executor)
    plans = _draw_plans(recipe, data, no_progress)
    storage = _storage_of(recipe)
    _open_card(out, recipe)
    segments = _cut_plans(plans, storage, recipe.layout)
    return data.classes, _describe_configs(plans, segments)


def _load_checked(
    recipe: Recipe, inputs: Inputs, executor: Executor, tables: Path | None = None
) -> tuple[Inputs, Dataset]:
    """Return the dataset of a recipe, and inputs whose images lie here.

    What is missing fails before anything is written. ``tables``: those of a published build, if
    they are to be used.
    """
    inputs = download_inputs(recipe.dataset, inputs)
    if tables is not None:
        return inputs, dataset.read_tables(recipe.dataset, tables, tables)
    if inputs.store is not None:
        with open_store(inputs.store) as store:
            store.check_use(_storage_of(recipe))
    data = load_dataset(recipe, inputs, executor)
    _reject_addresses(data)
    open_recipe_images(recipe, inputs)
    open_reader(None, recipe.donors, inputs)
    return inputs, data


def _storage_of(recipe: Recipe) -> Storage:
    """Return how a recipe stores images."""
    return Storage(**{f.name: getattr(recipe, f.name) for f in fields(Storage)})


def _make_job(
    folder: Path, recipe: Recipe, inputs: Inputs, data: Dataset, tables: Path | None = None
) -> WriteJob:
    """Return what the writing of any file of a build needs to know."""
    storage = _storage_of(recipe)
    data_folder = folder / "data"
    return WriteJob(data_folder, data.name, recipe.donors, inputs, storage, data.classes, tables)


def last_build(builds: Path) -> Path:
    """Return the build with the newest card.

    Raises:
        FileNotFoundError: the folder has no build in it
    """
    cards = sorted(builds.glob(f"*/{CARD}"), key=lambda path: path.stat().st_mtime_ns)
    if not cards:
        raise FileNotFoundError(
            f"{builds}: there is no build here yet: run `cnlw build --noise red --level 40`, "
            "or name a build"
        )
    return cards[-1].parent


def _reject_addresses(data: Dataset) -> None:
    """Check that no e-mail address goes into the build with the votes.

    Raises:
        ValueError: an annotator, or another text of a vote, has an @ in it
    """
    for column, has_address in tables.find_addresses(data.votes).items():
        table_io.reject_bad_rows(
            f"annotations/{data.name}/votes.parquet",
            column,
            has_address,
            data.votes[column],
            "a build would publish this e-mail address. Fix: import this file once more with "
            "`cnlw votes import`, which makes numbers of annotators; remove other such columns",
        )


def _draw_plans(recipe: Recipe, data: Dataset, progress: Progress) -> dict[str, pa.Table]:
    """Return the plan of every level, by config; they share what is the same in several."""
    plans = {}
    stock = ChunkStock()
    levels = recipe_levels(recipe, data)
    for done, level in enumerate(levels, 1):
        plans[config_name(recipe, level)] = plan(recipe, data, level, stock)
        release_pages()
        progress("plans", done, len(levels))
    return plans


def _classes_without_validation(recipe: Recipe, dataset: Dataset) -> list[str]:
    """Return the classes of which the recipe's validation split has no image; none without it."""
    if not recipe.validation:
        return []
    return classes_without_validation(base_manifest(recipe, dataset), dataset.classes)


def _matrices(plans: Plans) -> dict[str, NDArray[np.float64]]:
    """Return the (C, C) expected matrix of each plan without a level, by config."""
    matrices = {}
    for name, table in plans.items():
        info = read_plan_info(table)
        if info.level is None:
            matrices[name] = info.expected_matrix()
    return matrices


def _open_build(
    folder: Path, recipe: Recipe, data: Dataset, plans: Plans
) -> tuple[BuildCard, Dataset, bool]:
    """Return the card of a build and the dataset, with which web images exist, as they agree on it.

    Returns:
        the card; the dataset; whether the build has yet to get the marks of the dataset

    Raises:
        ValueError: the build stores images in another way, or has other tables or other plans
    """
    card = _open_card(folder, recipe)
    new_card, data = match_availability(folder / "tables", card, data, recipe)
    _check_same_tables(folder, new_card, data)
    _check_same_plans(folder, new_card, plans)
    return new_card, data, new_card is not card


def _open_card(folder: Path, recipe: Recipe) -> BuildCard:
    """Return the card of the folder, or an empty one for a new build.

    Raises:
        ValueError: the build that is there stores its images in another way
    """
    if not (folder / CARD).exists():
        return BuildCard(program_versions(), recipe.dataset, _storage_of(recipe), recipe.layout)
    card = read_card(folder)
    check_same_storage(folder, card, recipe)
    return card


def check_same_storage(folder: Path, card: BuildCard, recipe: Recipe) -> None:
    """Raise if a build stores its images in another way than a recipe asks for.

    Raises:
        ValueError: with the choice that differs
    """
    new = {"dataset": recipe.dataset, **storage_choices(recipe)}
    old = {"dataset": card.dataset, "layout": card.layout, **asdict(card.images)}
    for key, value in new.items():
        if old[key] != value:
            built, asked = _describe_choice(key, old[key]), _describe_choice(key, value)
            raise ValueError(
                f"{folder} was built with {built}, but this command asks for {asked}: use "
                "another folder "
                "(--out of build, --builds of sweep), or ask for the same"
            )


def _describe_choice(key: str, value: object) -> str:
    """Return a choice in words: ``size 16``, or ``no size`` where images keep theirs."""
    return f"no {key}" if value is None else f"{key} {value}"


def _check_same_tables(folder: Path, card: BuildCard, data: Dataset) -> None:
    """Raise if the build was made from other tables."""
    for name, digest in data.digests.items():
        old_digest = card.tables.get(name, digest)
        if old_digest != digest:
            cause = explain_difference(folder / "tables", data) if name == WEB else ""
            if cause:
                raise ValueError(f"{folder}: {cause}, or use another --out")
            raise ValueError(
                f"{folder}: its table {name} differs from the table that {data.name} has now: "
                "use another --out"
            )


def _check_same_plans(folder: Path, card: BuildCard, plans: Plans) -> None:
    """Raise if the build has a config of the same name with other contents."""
    for name, table in plans.items():
        config = card.configs.get(name)
        if config is None:
            continue
        if config.digest != hashing.digest(table):
            raise ValueError(
                f"{folder} already has a config {name} with other contents: use another --out"
            )


def _write_tables(folder: Path, data: Dataset, card: BuildCard, has_new_marks: bool) -> bool:
    """Write the tables; return whether the shards that are there were made from the same ones.

    Shards without a card were left by a killed build, of these tables or of others.
    """
    if has_new_marks:
        tables.write_parquet(data.web, folder / "web.parquet")
    same_tables = True
    if not card.configs:
        old_hashes = _hash_files(folder)
        shutil.rmtree(folder, ignore_errors=True)
        dataset.write_tables(data, folder)
        same_tables = _hash_files(folder) == old_hashes
    dataset.write_tables(data, folder, overwrite=False)
    return same_tables


def _add_tables(folder: Path, data: Dataset) -> None:
    """Write the tables that are not there; other processes write the same ones.

    Raises:
        ValueError: a killed build left tables of other data
    """
    with files.scratch_folder() as scratch:
        dataset.write_tables(data, scratch)
        new_hashes = _hash_files(scratch)
    for name, digest in _hash_files(folder).items():
        if new_hashes.get(name, digest) != digest:
            raise ValueError(
                f"{folder / name} was left by a killed build of other data: use another --out, or "
                f"delete {folder.parent}"
            )
    dataset.write_tables(data, folder, overwrite=False)


def _hash_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a folder, by name."""
    hashes = {}
    for path in folder.glob("*"):
        hashes[path.name] = files.digest(path)
    return hashes


def _cut_plans(plans: Plans, storage: Storage, layout: str) -> Segments:
    """Return the segments of each plan, by config; a segment of several configs is there once."""
    stock = SegmentStock(storage, layout)
    return {name: list(stock.cut(table)) for name, table in plans.items()}


def _planned_shards(segments: Segments) -> FileRows:
    """Return the rows of every file that the configs need, by name."""
    distinct = {segment.name: segment for parts in segments.values() for _, segment in parts}
    shards = FileRows({})
    for segment in distinct.values():
        shards |= segment.files()
    return shards


def _recorded_hashes(
    folder: Path, joined: Records, planned_shards: Collection[str], data: Dataset
) -> dict[str, str]:
    """Return the sha256 of every file that other processes wrote here or into joined folders.

    Raises:
        ValueError: a process made another build, or made it in another way
    """
    records = {**read_records(folder), **joined}
    check_records(digest_contents(planned_shards, data.digests), records)
    return record_hashes(records, planned_shards)


def _find_untrusted(
    data: Path,
    hashes: Mapping[str, str],
    executor: Executor,
    names: Collection[str] | None = None,
) -> set[str]:
    """Return the names of files that no image may be taken from.

    Args:
        data: the folder of the shards
        hashes: sha256 of files that were written completely, as a card or a record says
        executor: where these files are read
        names: of further files that may have been written, by this process; none: any shards

    Returns:
        damaged files, and those that were not written by a build, or not by this process
    """
    paths = [path for path in data.glob("*.parquet") if path.name in hashes]
    untrusted_files = set()
    for path, digest in executor.map(_digest_file, paths):
        if digest != hashes[path.name]:
            untrusted_files.add(path.name)
    for path in data.glob("*.parquet"):
        is_planned = SHARD_NAME.fullmatch(path.name) and (names is None or path.name in names)
        if path.name not in hashes and not is_planned:
            untrusted_files.add(path.name)
    return untrusted_files


def _digest_file(path: Path) -> tuple[Path, str]:
    return path, files.digest(path)


def _remove_useless(
    data: Path,
    hashes: Mapping[str, str],
    planned_shards: Mapping[str, pa.Table],
    same_tables: bool,
    untrusted_files: Collection[str],
) -> None:
    """Delete what killed builds left and this one cannot use, and planned files that are damaged.

    Files that no build wrote remain.
    """
    if not same_tables:
        delete_pool(data)
    for path in data.glob("*.parquet"):
        if path.name in untrusted_files:
            is_useless = path.name in planned_shards
        elif path.name in hashes:
            is_useless = False
        else:
            is_useless = not (same_tables and path.name in planned_shards)
        if is_useless:
            path.unlink()


def _hash_shards(data: Path, names: Iterable[str], hashes: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes with those of files that are not among them, which a killed build left."""
    shards = dict(hashes)
    for name in names:
        if name not in shards:
            path = data / name
            shards[name] = files.digest(path)
    return shards


def _describe_configs(plans: Plans, segments: Segments) -> dict[str, ConfigCard]:
    """Return what the card says about each config."""
    configs = {}
    for name, table in plans.items():
        configs[name] = describe_config(table, segments[name])
    return configs


def describe_config(table: pa.Table, parts: Iterable[tuple[str, Segment]]) -> ConfigCard:
    """Describe a config: how it was drawn, and what noise was expected and realised."""
    info = read_plan_info(table)
    expected_matrix = info.expected_matrix()
    stats = realised_stats(table, len(expected_matrix))
    split_counts = pc.value_counts(table["split"]).to_pylist()
    segment_names: dict[str, list[str]] = {}
    for split, segment in parts:
        segment_names.setdefault(split, []).append(segment.name)
    return ConfigCard(
        recipe=Recipe(**recorded_choices(info.recipe)),
        level=info.level,
        digest=hashing.digest(table),
        rows={count["values"]: count["counts"] for count in split_counts},
        rate=stats.rate,
        expected=info.rate,
        changed=info.changed,
        kept=_diagonal_range(stats.matrix),
        expected_kept=_diagonal_range(expected_matrix),
        segments={split: sorted(names) for split, names in segment_names.items()},
    )


def _diagonal_range(matrix: NDArray[np.float64]) -> tuple[float, float]:
    """Return the smallest and largest share on the diagonal, over the classes that have images."""
    has_images = matrix.sum(1) > 0
    if not has_images.any():
        return 0.0, 0.0
    diagonal = np.diag(matrix)[has_images]
    lowest = float(diagonal.min(initial=1))
    highest = float(diagonal.max(initial=0))
    return round(lowest, 6), round(highest, 6)


def _extend_card(
    card: BuildCard,
    configs: Mapping[str, ConfigCard],
    shards: Mapping[str, str],
    tables: Mapping[str, str],
    about: About,
    changes: Changes | None,
) -> BuildCard:
    """Return the card with these configs, shards and tables, in alphabetical order.

    Changes that the card has of other configs remain.
    """
    if changes is not None and card.changes is not None:
        joined = dict(sorted({**card.changes.configs, **changes.configs}.items()))
        changes = replace(changes, configs=joined)
    return replace(
        card,
        about=about,
        changes=changes or card.changes,
        configs=dict(sorted({**card.configs, **configs}.items())),
        shards=dict(sorted({**card.shards, **shards}.items())),
        tables={**card.tables, **tables},
    )


def _write_samples(
    folder: Path,
    noise: str,
    card: BuildCard,
    plans: Plans,
    segments: Segments,
    classes: tuple[str, ...],
) -> None:
    """Draw samples of a noise, if its noisiest config is one of these and has noise at all."""
    config = noisiest_config(card, noise)
    if config not in plans or not card.configs[config].rate:
        return
    shards = _planned_shards({config: segments[config]})
    path = folder / f"samples_{noise}.png"
    sample_grid.write_samples(path, noise, folder / "data", plans[config], shards, classes)


def noisiest_config(card: BuildCard, noise: str) -> str:
    """Return the config with most of a noise, whichever was built last."""
    rates = {}
    for name, config in card.configs.items():
        if config.recipe.noise == noise:
            rates[name] = config.rate
    return min(rates, key=lambda name: (-rates[name], name))


def _measure(
    folder: Path,
    new_files: Iterable[str],
    joined_files: Collection[str],
    planned_shards: Iterable[str],
) -> tuple[int, int, int, int]:
    """Return the bytes of new shards, the number of joined ones, and the bytes of all planned ones
    and of the whole build.
    """
    data = folder / "data"
    folder_bytes = _total_size(folder, _list_files(folder))
    total_bytes = _total_size(data, planned_shards)
    return _total_size(data, new_files), len(joined_files), total_bytes, folder_bytes


def _list_files(folder: Path) -> list[str]:
    """Return the files below a folder, relative to it."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path.relative_to(folder)) for path in paths]


def _total_size(folder: Path, names: Iterable[str]) -> int:
    """Return the bytes of some files."""
    size = 0
    for name in names:
        path = folder / name
        size += path.stat().st_size
    return size
