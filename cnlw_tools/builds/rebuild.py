"""Make a published build again from one's own images, and say what differs.

The tables and the card of a build say which image is in each row, under which label, and how it is
stored. So two labs that have the same images make the same bytes. Three things are compared:

1. each plan, which is drawn again from the tables, with its digest on the card;
2. each image that a plan names, with its sha256 in the tables;
3. each file that is written, with its sha256 in the list of files of the published build.

Where a file differs and the published one is at hand, its images are compared row by row.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.builds.build import Published
from cnlw_tools.builds.changes import check_tables, draw_recorded_plan
from cnlw_tools.builds.diff import read_shard
from cnlw_tools.builds.remote import build_at
from cnlw_tools.builds.shards import store_remedy
from cnlw_tools.card.metadata import BuildCard, ConfigCard, config_shards, read_card
from cnlw_tools.card.remote import build_folder
from cnlw_tools.dataset.dataset import read_tables
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.executor.remote import program_versions
from cnlw_tools.files.folders import open_folder
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.files.outputs import check_output_folder
from cnlw_tools.files.storage import RemoteFile
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import BENCHMARK_LEVELS, Recipe
from cnlw_tools.registry import pick
from cnlw_tools.sources import open_reader

IMAGES_PER_TASK = 200
BAD_IMAGE = (LookupError, OSError, ValueError)  # what a reader raises

FindFile = Callable[[str], Path | None]  # the published file of a name in data/, if it can be had


class RowDifference(NamedTuple):
    """An image that is not what it was in the published build."""

    image_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RebuildSummary:
    """What a rebuild found."""

    # The folder or address of the new build; none if images are missing, and nothing was written.
    folder: Path | str | None
    n_files: int  # of the chosen configs
    n_kept: int  # of these, how many the folder had before, and are only compared
    differing_files: tuple[str, ...]  # names of files with other bytes
    rows: tuple[RowDifference, ...]  # images that are missing or differ
    other_versions: Mapping[str, tuple[str, str]]  # package -> version of the published build, here

    @property
    def is_same(self) -> bool:
        """Whether every file has the bytes of the published one."""
        return self.folder is not None and not self.differing_files


def rebuild(
    published: Path,
    inputs: Inputs,
    out: Path | str,
    configs: Collection[str] = (),
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
    find_file: FindFile | None = None,
) -> RebuildSummary:
    """Make configs of a published build again, and compare them with it.

    Args:
        published: folder with its card, its list of files and its tables
        inputs: where one's own images lie
        out: the folder or address of the new build; not written if an image is missing or differs
        configs: names of the configs; all if empty
        executor: where images are read and files are written
        progress: is told how many images are compared, and how many rows are written
        find_file: returns a file of the published build by its name in data/. Default: the folder

    Raises:
        LookupError: the published build has no such config
        ValueError: ``out`` is the published folder, the tables do not match the digests on the
            card, or this version of the package draws different plans
        OSError: this machine cannot read or write
    """
    _check_place(out, published)
    card = read_card(published)
    tables = published / "tables"
    chosen = _choose_configs(card, configs)
    plans = _draw_plans(published, card, chosen)
    names = sorted({name for config in chosen for name in _files_of(card, config)})
    versions = _other_versions(card)
    rows = _compare_images(card, plans, inputs, tables, executor, progress)
    if rows:
        return RebuildSummary(None, len(names), 0, (), tuple(rows), versions)
    known = Published(tables, card.about, card.changes)
    old_files = _find_files(out, names)
    for recipe in _recipes(card, chosen):
        build_at(recipe, inputs, out, executor, progress, published=known)
    n_kept = len(old_files.items() & _find_files(out, names).items())
    new_folder = build_folder(out)
    new_hashes = read_card(new_folder).shards
    differing = [name for name in names if new_hashes.get(name) != card.shards[name]]
    if find_file is None:
        find_file = partial(_find_below, published / "data")
    for name in differing:
        rows += _compare_files(new_folder / "data" / name, find_file(name))
    unique_rows = tuple(dict.fromkeys(rows))
    return RebuildSummary(out, len(names), n_kept, tuple(differing), unique_rows, versions)


def _check_place(out: Path | str, published: Path) -> None:
    """Raise if the new build cannot be written there, before images are compared.

    Raises:
        ValueError: this is the published build
        OSError: nothing can be written there
    """
    if published.resolve() == build_folder(out).resolve():
        raise ValueError(f"{out}: this is the published build: use another --out")
    check_output_folder(out)


def _choose_configs(card: BuildCard, configs: Collection[str]) -> dict[str, ConfigCard]:
    """Return the chosen configs of a card by name; all if none is chosen."""
    names = configs or card.configs
    return {name: pick(card.configs, name, "config of the build") for name in names}


def _draw_plans(
    published: Path, card: BuildCard, configs: Mapping[str, ConfigCard]
) -> list[pa.Table]:
    """Return the plan of each config, drawn from the tables of the published build."""
    data = read_tables(card.dataset, published / "tables", published / "tables")
    check_tables(published, card, data)
    return [
        draw_recorded_plan(published, card, name, config, data) for name, config in configs.items()
    ]


def _files_of(card: BuildCard, config: str) -> list[str]:
    """Return the names of the files of a config, of all splits."""
    return [name for names in config_shards(card, config).values() for name in names]


def _find_files(place: Path | str, names: Sequence[str]) -> dict[str, RemoteFile]:
    """Return size, version and time of each of some files that is there."""
    files = open_folder(place).list_files()
    return {name: files[f"data/{name}"] for name in names if f"data/{name}" in files}


def _other_versions(card: BuildCard) -> dict[str, tuple[str, str]]:
    """Return the packages that decide bytes and whose version here is another."""
    versions = {}
    for package, here in program_versions().items():
        there = card.made_with.get(package, "unknown")
        if there != here:
            versions[package] = (there, here)
    return versions


def _recipes(card: BuildCard, configs: Mapping[str, ConfigCard]) -> list[Recipe]:
    """Return the recipes of the configs, each with all of its levels."""
    levels: dict[str, list[int]] = {}
    recipes: dict[str, Recipe] = {}
    for config in configs.values():
        key = repr(config.recipe)
        recipes[key] = replace(config.recipe, layout=card.layout, **asdict(card.images))
        levels.setdefault(key, [])
        if config.level is not None:
            levels[key].append(config.level)
    return [
        replace(recipe, levels=tuple(sorted(levels[key])) or BENCHMARK_LEVELS)
        for key, recipe in recipes.items()
    ]


def _compare_images(
    card: BuildCard,
    plans: Sequence[pa.Table],
    inputs: Inputs,
    tables: Path,
    executor: Executor,
    progress: Progress,
) -> list[RowDifference]:
    """Return the images of the plans that are missing here, or differ from their sha256."""
    donors = sorted({name for config in card.configs.values() for name in config.recipe.donors})
    ids = pc.unique(pa.chunked_array([c for p in plans for c in p["image_id"].chunks], pa.string()))
    tasks = [ids[start : start + IMAGES_PER_TASK] for start in range(0, len(ids), IMAGES_PER_TASK)]
    open_reader(card.dataset, donors, inputs, tables)  # a folder that is missing is one error
    task = partial(_compare_some, card.dataset, tuple(donors), inputs, tables)
    rows: list[RowDifference] = []
    done = 0
    for n_images, differences in executor.map(task, [part.to_pylist() for part in tasks]):
        rows += differences
        done += n_images
        progress("compare", done, len(ids))
    if inputs.store is None:
        return _name_web_images(rows, plans, store_remedy(card.dataset))
    return rows


def _name_web_images(
    rows: Sequence[RowDifference], plans: Sequence[pa.Table], remedy: str
) -> list[RowDifference]:
    """Return rows whose reason says that an image is from the web, and lies in a store."""
    web_ids: set[str] = set()
    for plan in plans:
        web_ids.update(plan.filter(pc.equal(plan["origin"], "web"))["image_id"].to_pylist())
    named = []
    for row in rows:
        if row.image_id in web_ids:
            row = RowDifference(row.image_id, f"a web image, not among your images: {remedy}")
        named.append(row)
    return named


def _compare_some(
    dataset: str, donors: tuple[str, ...], inputs: Inputs, tables: Path, ids: Sequence[str]
) -> tuple[int, list[RowDifference]]:
    """Return how many images were read, and those that are missing or differ.

    Raises:
        MachineFault: this machine cannot read them now
    """
    reader = open_reader(dataset, donors, inputs, tables)
    differences = []
    for image_id in ids:
        try:
            reader.read(image_id)
        except BAD_IMAGE as error:
            raise_machine_fault(error, f"image {image_id!r}")
            differences.append(RowDifference(image_id, str(error)))
    return len(ids), differences


def _compare_files(path: Path, published: Path | None) -> list[RowDifference]:
    """Return the images whose stored bytes differ between two files with the same rows.

    Args:
        path: the file that was written here
        published: the published file; none: it cannot be had
    """
    if published is None:
        return []
    rows, other = read_shard(path), read_shard(published)
    differs = pc.not_equal(rows["image"], other["image"])
    reason = f"the stored image differs in {path.name}"
    return [RowDifference(name, reason) for name in rows["image_id"].filter(differs).to_pylist()]


def _find_below(folder: Path, name: str) -> Path | None:
    path = folder / name
    return path if path.exists() else None
