"""Reading a build once, images in parallel: first every shard, then every distinct image.

Nothing here judges. What cannot be read is kept as the sentence that says why.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatch
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cnlw_tools import files
from cnlw_tools.builds.parquet import IMAGE
from cnlw_tools.builds.work_shards import assign_files
from cnlw_tools.card import metadata
from cnlw_tools.checks.digests import DIGEST, ImageRows
from cnlw_tools.checks.encoding import Comparison, compare, surplus
from cnlw_tools.checks.encoding import decode_file as decode
from cnlw_tools.checks.evidence import COLUMN_NAMES, COLUMNS, Evidence, ImageInfo, ShardContent
from cnlw_tools.checks.inspections import (
    FILES,
    SCHEMA,
    ImageKey,
    Inspection,
    add_inspection,
    add_known,
    check_records,
    make_record,
    read_inspections,
    read_records,
    write_inspections,
)
from cnlw_tools.dataset import dataset
from cnlw_tools.dataset.shared_chunks import ChunkStock
from cnlw_tools.executor import SERIAL, Executor, Progress, limits, no_progress
from cnlw_tools.executor.job import Job, NeededFolder, find_folders, require_folders
from cnlw_tools.executor.work_shard import WHOLE, WorkShard
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.files.mapped import release_pages
from cnlw_tools.files.outputs import changed_folder
from cnlw_tools.files.parquet import PARQUET, check_decoded_size, open_parquet, read_table
from cnlw_tools.files.untrusted import first_line, translate_errors
from cnlw_tools.images.pixels import (
    DecodedFile,
    Picture,
    Storage,
    fingerprint,
    pixel_digest,
)
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_reader
from cnlw_tools.sources.composite import CompositeReader
from cnlw_tools.store.pack import open_store

# Mean difference of a block from the source's, of 255, where another Pillow made the build. Between
# Pillow 11.0 and 13.0 photographs do not differ at all, and the drawn `shapes` by 0.3.
TOLERANCE = 2
REPOSITORY_FOLDERS = (".git", ".cache")  # of git and of the Hub's downloads, beside the card
REQUIRED_COLUMNS = ("label", "is_noisy", "origin", "image_id")  # without nulls


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonTask(Job):
    """What the reading of any image needs to know."""

    data: Path  # the folder of the shards
    tables: Path | None  # what the build was made from; none: they cannot be read
    dataset: str | None  # its name; none: its images are not here
    open_donors: tuple[str, ...]  # whose images are here
    all_donors: frozenset[str]
    inputs: Inputs
    storage: Storage
    tolerance: int  # mean difference of a block from the source's, of 255
    table_digests: Mapping[str, str]  # of the tables that the build was made from

    @property
    def compared_with(self) -> dict[str, Any]:
        """What decides the outcome of a look at an image, besides the image."""
        return {
            "dataset": self.dataset,
            "donors": list(self.open_donors),
            "store": self.inputs.store is not None,
            "storage": asdict(self.storage),
            "tolerance": self.tolerance,
            "tables": dict(self.table_digests),
        }


@dataclass(frozen=True, slots=True)
class ShardRows:
    """Rows of one shard whose images are to be decoded."""

    file: str
    rows: NDArray[np.integer]


def collect_evidence(
    folder: Path,
    inputs: Inputs | None = None,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
    joined_folders: Sequence[Path] = (),
) -> Evidence:
    """Read a build.

    Args:
        folder: of the build
        inputs: images to compare with; none: those that come with the package
        executor: where shards and images are read
        progress: is told how many of them are read
        joined_folders: where `inspect_shard` wrote what it saw; these images are only hashed

    Raises:
        ValueError: there is no build, or its card cannot be read; or the store has images that
            were resized for other builds; or a joined folder is of another build
        FileNotFoundError: there is no store of web images, or no joined folder, where one was named
        OSError: this machine cannot read a file: no permission, no memory ...
    """
    evidence = _open_build(folder, inputs, executor, progress)
    task = _comparison_task(evidence)
    known = read_inspections(joined_folders, task.compared_with)
    _draw_plans(evidence)
    _read_shards(evidence, executor, progress)
    images = ImageRows()
    parts = add_known(evidence, images, known)
    for file, row, inspection in _inspect_rows(task, parts, executor, progress):
        add_inspection(evidence, images, file, row, inspection)
    evidence.images = images.distinct()
    return evidence


def open_findings(place: Path | str, work_shard: WorkShard) -> AbstractContextManager[Path]:
    """Return a block that has the folder for the findings of one of several processes.

    At an address, they are put when the block ends.

    Args:
        place: the folder, or the address
        work_shard: which of the processes this is; each has a copy of its own of the address

    Raises:
        OSError: as for `changed_folder`
    """
    return changed_folder(place, f"findings {work_shard}", lambda name: fnmatch(name, FILES))


def inspect_shard(
    folder: Path,
    out: Path,
    work_shard: WorkShard,
    inputs: Inputs | None = None,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> tuple[Path, int, int]:
    """Look at the images of one of several processes that check a build; `collect_evidence` joins.

    Args:
        folder: of the build
        out: folder of the file that is written
        work_shard: which of the processes this is
        inputs, executor, progress: as for `collect_evidence`

    Returns:
        the file; the number of images in it; how many of them are damaged or differ

    Raises:
        ValueError, FileNotFoundError, OSError: as for `collect_evidence`
    """
    evidence = _open_build(folder, inputs, executor, progress)
    task = _comparison_task(evidence)
    record = make_record(work_shard, task.compared_with)
    check_records(task.compared_with, {out / record.file_name: record, **read_records(out)})
    files.check_writable(out)  # before hours of work
    _read_shards(evidence, executor, progress, work_shard)
    parts = add_known(evidence, ImageRows(), SCHEMA.empty_table())
    n_images = n_bad = 0

    def count(inspections: Iterable[Inspection]) -> Iterator[Inspection]:
        nonlocal n_images, n_bad
        for inspection in inspections:
            n_images += 1
            n_bad += bool(inspection.error or inspection.mismatch)
            yield inspection

    looks = _inspect_rows(task, parts, executor, progress)
    path = write_inspections(out, record, count(inspection for _, _, inspection in looks))
    return path, n_images, n_bad


def _open_build(
    folder: Path, inputs: Inputs | None, executor: Executor, progress: Progress
) -> Evidence:
    """Read the card and the tables of a build."""
    card = metadata.read_card(folder)
    inputs = inputs or Inputs(files.default_root())
    if inputs.store is not None:
        with open_store(inputs.store) as store:
            store.check_use(card.images)
    entries = _list_entries(folder)
    n_processes = min(executor.workers, limits.workers())  # of this machine
    evidence = Evidence(folder, card, inputs, n_processes, progress, entries)
    _read_tables(evidence)
    return evidence


def _list_entries(folder: Path) -> dict[str, str]:
    """Return what lies below a folder, by path: file, link, folder or other; links stay closed."""

    def stop(problem: OSError) -> None:
        raise_machine_fault(problem, str(problem.filename))

    entries = {}
    for parent, folders, names in os.walk(folder, onerror=stop):
        if Path(parent) == folder:
            folders[:] = [name for name in folders if name not in REPOSITORY_FOLDERS]
        for name in (*folders, *names):
            path = Path(parent, name)
            entries[path.relative_to(folder).as_posix()] = _kind(path.lstat().st_mode)
    return entries


def _kind(mode: int) -> str:
    """Return what a file is by its mode."""
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


def _read_tables(evidence: Evidence) -> None:
    """Read the tables of the dataset."""
    tables = evidence.folder / "tables"
    for path in sorted(tables.glob("*")):
        if path.exists() and not path.is_file():  # of a device, reading would never end
            evidence.tables_error = f"{path}: not a file"
            return
    try:
        evidence.dataset = dataset.read_tables(evidence.card.dataset, tables, tables)
    except (OSError, ValueError) as problem:
        raise_machine_fault(problem, str(tables))
        evidence.tables_error = str(problem)


def _draw_plans(evidence: Evidence) -> None:
    """Draw every plan again, from the tables in the build."""
    if evidence.dataset is None:
        return
    stock = ChunkStock()
    for name, config in evidence.card.configs.items():
        try:
            recipe = evidence.recipe(name)
            evidence.plans[name] = plan(recipe, evidence.dataset, config.level, stock)
            release_pages()
        except (LookupError, ValueError) as problem:
            evidence.plan_errors[name] = str(problem)


def _read_shards(
    evidence: Evidence,
    executor: Executor,
    progress: Progress,
    work_shard: WorkShard = WHOLE,
) -> None:
    """Read every shard, or those of one of several processes."""
    data = evidence.folder / "data"
    names = []
    for path in sorted(data.glob("*.parquet")):
        if path.is_file():
            names.append(path.name)
        else:  # of a device, reading would never end
            evidence.shard_errors[path.name] = "not a file"
    if work_shard.count > 1:
        names = _select_shards(data, names, work_shard)
    stock = ChunkStock()
    schemas: dict[bytes, pa.Schema] = {}  # nearly always the same one
    results = executor.map(partial(_read_shard, data), names)
    for done, (name, content) in enumerate(results, 1):
        progress("shards", done, len(names))
        if isinstance(content, ShardContent):
            schema = schemas.setdefault(content.schema.serialize().to_pybytes(), content.schema)
            evidence.shards[name] = replace(content, schema=schema, rows=stock.share(content.rows))
        else:
            evidence.shard_errors[name] = content


def _select_shards(data: Path, names: Sequence[str], work_shard: WorkShard) -> list[str]:
    """Return the files whose images one of several processes looks at: none looks at one twice."""
    ids = {}
    for name in names:
        try:
            ids[name] = read_table(data / name, ["image_id"])
        except (ValueError, OSError) as problem:  # for whoever runs the checks
            raise_machine_fault(problem, str(data / name))
    numbers = assign_files(ids, work_shard.count)
    return [name for name in ids if numbers[name] == work_shard.number]


def _read_shard(data: Path, name: str) -> tuple[str, ShardContent | str]:
    """Read one file, and hash it and its images; or return why it cannot be read."""
    path = data / name
    require_folders([NeededFolder(data)])  # elsewhere than here, it may be missing
    try:
        with open_parquet(path) as file, translate_errors(path, PARQUET):
            check_decoded_size(file, path)
            table = file.read()
            metadata = file.metadata
        rows = _checked_rows(table)
    except (pa.ArrowException, OSError, KeyError, ValueError) as problem:
        raise_machine_fault(problem, str(path))
        return name, first_line(problem).removeprefix(str(path)).lstrip(": ")
    images = table["image"].combine_chunks()
    n_paths = len(images) - images.field("path").null_count
    rows = rows.append_column("sha256", _hash_images(images.field("bytes")))
    digest = files.digest(data / name)
    streamable = _is_streamable(metadata)
    writer = metadata.created_by
    return name, ShardContent(name, digest, table.schema, streamable, writer, rows, n_paths)


def _checked_rows(table: pa.Table) -> pa.Table:
    """Return the columns besides the image, in their types.

    Raises:
        KeyError, ValueError: a column is missing, of another type, or has nulls where none may be
    """
    image_type = table.schema.field("image").type
    if image_type != IMAGE:
        raise ValueError(f"the column image is {image_type}")
    rows = table.select(COLUMN_NAMES).cast(COLUMNS)
    incomplete = [name for name in REQUIRED_COLUMNS if rows[name].null_count]
    if incomplete:
        raise ValueError(f"no value in some row of {', '.join(incomplete)}")
    return rows


def _hash_images(images: pa.Array) -> pa.Array:
    """Return the sha256 of each image's bytes; an image that repeats is hashed once."""
    distinct = images.dictionary_encode()
    digests = [sha256(encoded).digest() for encoded in distinct.dictionary.to_pylist()]
    return pa.array(digests, DIGEST).take(distinct.indices)


def _is_streamable(metadata: pq.FileMetaData) -> bool:
    """Return whether images are not compressed and the pages of every column are indexed."""
    for group_number in range(metadata.num_row_groups):
        group = metadata.row_group(group_number)
        for column_number in range(group.num_columns):
            column = group.column(column_number)
            is_image = column.path_in_schema == "image.bytes"
            if not column.has_offset_index:
                return False
            if is_image and column.compression != "UNCOMPRESSED":
                return False
    return True


def _comparison_task(evidence: Evidence) -> ComparisonTask:
    """Return what the reading of any image of a build needs to know."""
    donors, inputs = evidence.donors(), evidence.inputs
    images = (inputs.data_dir, inputs.store, *inputs.donors.values())
    same_pillow = evidence.card.made_with.get("pillow") == PIL.__version__
    return ComparisonTask(
        data=evidence.folder / "data",
        tables=evidence.tables_folder,
        dataset=evidence.card.dataset if evidence.why_no_source() is None else None,
        open_donors=tuple(name for name, reason in donors.items() if not reason),
        all_donors=frozenset(donors),
        inputs=inputs,
        storage=evidence.card.images,
        tolerance=0 if same_pillow else TOLERANCE,
        table_digests=evidence.dataset.digests if evidence.dataset else {},
        folders=find_folders((inputs.root, *images)),
    )


def _inspect_rows(
    task: ComparisonTask,
    rows: Mapping[str, NDArray[np.integer]],
    executor: Executor,
    progress: Progress,
) -> Iterator[tuple[str, int, Inspection]]:
    """Yield what a look at every image says, with the file and the row that show it.

    Args:
        task: what the reading of any image needs to know
        rows: that show an image that is to be looked at, by file
        executor: where images are decoded
        progress: is told how many files are done
    """
    parts = [ShardRows(file, numbers) for file, numbers in rows.items()]
    parts.sort(key=lambda part: len(part.rows), reverse=True)  # so all workers end together
    for done, (part, inspections) in enumerate(
        executor.map(partial(_inspect_images, task), parts), 1
    ):
        for row, inspection in inspections:
            yield part.file, row, inspection
        progress("images", done, len(parts))


def _inspect_images(
    task: ComparisonTask, part: ShardRows
) -> tuple[ShardRows, list[tuple[int, Inspection]]]:
    """Decode some images of one shard and compare them with their sources."""
    table = read_table(task.data / part.file, ["image", "image_id", "origin"]).take(part.rows)
    encoded = table["image"].combine_chunks().field("bytes").to_pylist()
    ids, origins = table["image_id"].to_pylist(), table["origin"].to_pylist()
    reader = _open_reader(task)
    inspections = []
    # By id, since neighbours in an archive are best read one after the other.
    for i in sorted(range(len(ids)), key=ids.__getitem__):
        digest = None if encoded[i] is None else sha256(encoded[i]).hexdigest()
        key = ImageKey(ids[i], origins[i], digest)
        inspection = _inspect_image(task, reader, key, encoded[i])
        inspections.append((int(part.rows[i]), inspection))
    return part, inspections


def _inspect_image(
    task: ComparisonTask, reader: CompositeReader, key: ImageKey, encoded: bytes | None
) -> Inspection:
    """Decode an image, and compare it with its source if that is here."""
    if encoded is None:
        return Inspection(key, error="there are no bytes")
    try:
        decoded = decode(encoded)
    except ValueError as problem:
        return Inspection(key, error=str(problem))
    image = decoded.image
    info = ImageInfo(image.size, pixel_digest(image), fingerprint(image))
    try:
        original = _read_original(reader, key.image_id, task.all_donors, key.origin)
        comparison = _compare(original, encoded, decoded, task)
    except (LookupError, ValueError, OSError) as problem:
        raise_machine_fault(problem, f"image {key.image_id} of the source")
        message = f"{key.image_id} cannot be read from its source: {problem}"
        return Inspection(key, info, mismatch=message)
    mismatch = ""
    if not comparison.is_same:
        mismatch = f"{key.image_id} is not the image that the source has under this id"
    is_compared = original is not None
    return Inspection(key, info, "", mismatch, is_compared, tuple(comparison.surplus))


def _read_original(
    reader: CompositeReader, image_id: str, donors: frozenset[str], origin: str
) -> Picture | None:
    """Return the image that its source has under this id; none where that source is not here.

    Some sources have web images as well; what they do not have lies in a store.

    Raises:
        LookupError, ValueError, OSError: every source that may have the image is here, and none
            can give it
    """
    if not reader.can_read(image_id, donors):
        return None
    try:
        return reader.read(image_id)
    except (LookupError, OSError) as problem:
        if origin != "web":
            raise
        if reader.store is None:
            return None
        raise LookupError(
            "the image is not in this store: give the --store of the build"
        ) from problem


def _compare(
    original: Picture | None, encoded: bytes, decoded: DecodedFile, task: ComparisonTask
) -> Comparison:
    """Compare an image with the source's, if it is here; else say what its file holds."""
    if original is None:
        return Comparison(True, surplus(encoded))
    return compare(encoded, decoded, original, task.storage, task.tolerance)


@lru_cache(maxsize=1)
def _open_reader(task: ComparisonTask) -> CompositeReader:
    require_folders(task.folders)
    return open_reader(task.dataset, task.open_donors, task.inputs, task.tables)
