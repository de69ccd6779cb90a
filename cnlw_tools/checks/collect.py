"""Reading a build once, images in parallel: first every shard, then every distinct image.

Nothing here judges. What cannot be read is kept as the sentence that says why.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path

import PIL
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cnlw_tools import files
from cnlw_tools.builds.parquet import IMAGE
from cnlw_tools.card import metadata
from cnlw_tools.checks.encoding import Comparison, compare, surplus
from cnlw_tools.checks.evidence import (
    COLUMN_NAMES,
    COLUMNS,
    Evidence,
    ImageInfo,
    Mismatch,
    ShardContent,
    Surplus,
)
from cnlw_tools.dataset import dataset
from cnlw_tools.executor import SERIAL, Executor, Progress, limits, no_progress
from cnlw_tools.executor.job import Job
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.files.parquet import PARQUET, check_decoded_size, open_parquet, read_table
from cnlw_tools.files.untrusted import first_line, translate_errors
from cnlw_tools.images.pixels import (
    Picture,
    Storage,
    decode,
    fingerprint,
    pixel_digest,
)
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_reader
from cnlw_tools.sources.composite import CompositeReader
from cnlw_tools.store.store import Store

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


@dataclass(frozen=True, slots=True)
class ShardRows:
    """Rows of one shard whose images are to be decoded."""

    file: str
    rows: list[int]


@dataclass(slots=True)
class ImageReport:
    """What came of decoding the images of one shard."""

    images: dict[str, ImageInfo] = field(default_factory=dict)  # by the sha256 of the bytes
    errors: dict[str, str] = field(default_factory=dict)  # by row
    mismatches: dict[str, Mismatch] = field(default_factory=dict)  # by row
    surplus: dict[str, Surplus] = field(default_factory=dict)  # by row
    compared: set[str] = field(default_factory=set)  # ids of images that equal their source's
    uncompared: set[str] = field(default_factory=set)  # ids of web images


def collect_evidence(
    folder: Path,
    inputs: Inputs | None = None,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> Evidence:
    """Read a build.

    Args:
        folder: of the build
        inputs: images to compare with; none: those that come with the package
        executor: where shards and images are read
        progress: is told how many of them are read

    Raises:
        ValueError: there is no build, or its card cannot be read; or the store has images that
            were resized for other builds
        FileNotFoundError: there is no store of web images where one was named
        OSError: this machine cannot read a file: no permission, no memory ...
    """
    card = metadata.read_card(folder)
    inputs = inputs or Inputs(files.default_root())
    if inputs.store is not None:
        with Store(inputs.store) as store:
            store.check_use(card.images)
    entries = _list_entries(folder)
    n_processes = min(executor.workers, limits.workers())  # of this machine
    evidence = Evidence(folder, card, inputs, n_processes, progress, entries)
    _read_tables(evidence)
    _draw_plans(evidence)
    _read_shards(evidence, executor, progress)
    _read_images(evidence, executor, progress)
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
    for name, config in evidence.card.configs.items():
        try:
            evidence.plans[name] = plan(evidence.recipe(name), evidence.dataset, config.level)
        except (LookupError, ValueError) as problem:
            evidence.plan_errors[name] = str(problem)


def _read_shards(evidence: Evidence, executor: Executor, progress: Progress) -> None:
    """Read every shard."""
    data = evidence.folder / "data"
    names = []
    for path in sorted(data.glob("*.parquet")):
        if path.is_file():
            names.append(path.name)
        else:  # of a device, reading would never end
            evidence.shard_errors[path.name] = "not a file"
    results = executor.map(partial(_read_shard, data), names)
    for done, (name, content) in enumerate(results, 1):
        progress("shards", done, len(names))
        if isinstance(content, ShardContent):
            evidence.shards[name] = content
        else:
            evidence.shard_errors[name] = content


def _read_shard(data: Path, name: str) -> tuple[str, ShardContent | str]:
    """Read one file, and hash it and its images; or return why it cannot be read."""
    path = data / name
    try:
        with open_parquet(path) as file, translate_errors(path, PARQUET):
            check_decoded_size(file, path)
            table = file.read()
            metadata = file.metadata
        rows = _checked_rows(table)
    except (pa.ArrowException, OSError, KeyError, ValueError) as problem:
        raise_machine_fault(problem, str(path))
        return name, first_line(problem).removeprefix(f"{path}: ")
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
    digests = [sha256(encoded).hexdigest() for encoded in distinct.dictionary.to_pylist()]
    return pa.array(digests, pa.string()).take(distinct.indices)


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


def _read_images(evidence: Evidence, executor: Executor, progress: Progress) -> None:
    """Decode every distinct image of an id once; compare it with the source if that is here."""
    donors = evidence.donors()
    same_pillow = evidence.card.made_with.get("pillow") == PIL.__version__
    task = ComparisonTask(
        data=evidence.folder / "data",
        tables=evidence.tables_folder,
        dataset=evidence.card.dataset if evidence.why_no_source() is None else None,
        open_donors=tuple(name for name, reason in donors.items() if not reason),
        all_donors=frozenset(donors),
        inputs=evidence.inputs,
        storage=evidence.card.images,
        tolerance=0 if same_pillow else TOLERANCE,
    )
    parts = list(_distinct_rows(evidence))
    for done, report in enumerate(executor.map(partial(_inspect_images, task), parts), 1):
        evidence.images |= report.images
        evidence.image_errors |= report.errors
        evidence.source_mismatches |= report.mismatches
        evidence.surplus |= report.surplus
        evidence.compared |= report.compared
        evidence.uncompared |= report.uncompared
        progress("images", done, len(parts))


def _distinct_rows(evidence: Evidence) -> Iterator[ShardRows]:
    """Yield, shard by shard, the first row of every pair of image and id."""
    pairs: set[tuple[str | None, str]] = set()
    for file, shard in sorted(evidence.shards.items()):
        fresh = []
        digests = shard.rows["sha256"].to_pylist()
        ids = shard.rows["image_id"].to_pylist()
        for row, pair in enumerate(zip(digests, ids, strict=True)):
            if pair not in pairs:
                pairs.add(pair)
                fresh.append(row)
        if fresh:
            yield ShardRows(file, fresh)


def _inspect_images(task: ComparisonTask, part: ShardRows) -> ImageReport:
    """Decode some images of one shard and compare them with their sources."""
    columns = ["image", "image_id", "origin"]
    table = read_table(task.data / part.file, columns)
    table = table.take(part.rows)
    ids, origins = table["image_id"].to_pylist(), table["origin"].to_pylist()
    encoded = table["image"].combine_chunks().field("bytes").to_pylist()
    reader = _open_reader(task)
    report = ImageReport()
    # By id, since neighbours in an archive are best read one after the other.
    for i in sorted(range(len(ids)), key=ids.__getitem__):
        location = f"data/{part.file} row {part.rows[i]}"
        try:
            image = _decode_image(encoded[i])
        except ValueError as problem:
            report.errors[location] = str(problem)
            continue
        info = ImageInfo(image.size, pixel_digest(image), fingerprint(image))
        report.images[sha256(encoded[i]).hexdigest()] = info
        try:
            original = _read_original(reader, ids[i], task.all_donors, origins[i])
            comparison = _compare(original, encoded[i], image, task)
        except (LookupError, ValueError, OSError) as problem:
            raise_machine_fault(problem, f"image {ids[i]} of the source")
            message = f"{ids[i]} cannot be read from its source: {problem}"
            report.mismatches[location] = Mismatch(ids[i], message)
            continue
        if original is None:
            if origins[i] == "web":
                report.uncompared.add(ids[i])
        elif comparison.is_same:
            report.compared.add(ids[i])
        else:
            message = f"{ids[i]} is not the image that the source has under this id"
            report.mismatches[location] = Mismatch(ids[i], message)
        if comparison.surplus:
            digest = sha256(encoded[i]).hexdigest()
            is_compared = original is not None
            report.surplus[location] = Surplus(ids[i], digest, comparison.surplus, is_compared)
    return report


def _decode_image(encoded: bytes | None) -> Image.Image:
    if encoded is None:
        raise ValueError("there are no bytes")
    return decode(encoded)


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
        raise LookupError("it is not in this store: give the --store of the build") from problem


def _compare(
    original: Picture | None, encoded: bytes, image: Image.Image, task: ComparisonTask
) -> Comparison:
    """Compare an image with the source's, if it is here; else say what its file holds."""
    if original is None:
        return Comparison(True, surplus(encoded))
    return compare(encoded, image, original, task.storage, task.tolerance)


@lru_cache(maxsize=1)
def _open_reader(task: ComparisonTask) -> CompositeReader:
    return open_reader(task.dataset, task.open_donors, task.inputs, task.tables)
