"""What one look at an image says, and the files in which `cnlw validate --shard` keeps it.

To decode an image and to compare it with its source is nearly all the work of `cnlw validate`. What
comes of it depends only on the image and on its id. So several processes do it without a
coordinator, each for its part of the files, and write

    DIR/shard-2-of-5.parquet

A last `cnlw validate --join DIR` hashes every file and every image itself, takes what these files
say of images with the same id and the same sha256, looks at the others, and runs all checks.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools import files
from cnlw_tools.checks.digests import ImageRows
from cnlw_tools.checks.evidence import (
    HAS_NO_SOURCE,
    IS_SAME,
    Evidence,
    ImageInfo,
    Mismatch,
    Surplus,
)
from cnlw_tools.executor.remote import SAME_VERSIONS, describe_difference, program_versions
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.files.parquet import read_schema, read_table
from cnlw_tools.files.texts import parse_json
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.recipe.strict import between, read_dataclass
from cnlw_tools.registry.counts import join_words

FILES = "shard-*-of-*.parquet"
REMEDY = "delete it, and run `cnlw validate --shard` of this part again"
REQUIRED = ("error", "mismatch", "is_compared", "surplus")  # without nulls
RECORD_KEY = b"cnlw"  # of the metadata of a file
SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "origin": pa.string(),
        "sha256": pa.string(),
        "error": pa.string(),
        "width": pa.int64(),
        "height": pa.int64(),
        "pixel_digest": pa.string(),
        "fingerprint": pa.binary(),
        "mismatch": pa.string(),
        "is_compared": pa.bool_(),
        "surplus": pa.list_(pa.string()),
    }
)


class ImageKey(NamedTuple):
    """What decides how an image looks and what it is compared with."""

    image_id: str
    origin: str
    sha256: str | None  # of the bytes; none: there are no bytes


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one look at an image says."""

    key: ImageKey
    info: ImageInfo | None = None  # none: it cannot be decoded
    error: str = ""  # why it cannot be decoded
    mismatch: str = ""  # why it is not the image that its source has under its id
    is_compared: bool = False  # with its source, which is here
    surplus: tuple[str, ...] = ()  # what its file holds besides its pixels


@dataclass(frozen=True, slots=True)
class InspectionRecord:
    """What a file says of the process that wrote it."""

    number: int = field(metadata={"check": between(1)})
    count: int = field(metadata={"check": between(1)})
    made_with: dict[str, str]  # versions of this package, and of those that read images
    compared_with: dict[str, Any]  # the build, and which sources were here

    @property
    def file_name(self) -> str:
        """The name of the file."""
        return f"shard-{self.number}-of-{self.count}.parquet"


def make_record(work_shard: WorkShard, compared_with: Mapping[str, Any]) -> InspectionRecord:
    """Return the record of a process."""
    versions = program_versions()
    return InspectionRecord(work_shard.number, work_shard.count, versions, dict(compared_with))


def add_inspection(
    evidence: Evidence, images: ImageRows, file: str, row: int, inspection: Inspection
) -> None:
    """Add what a look at an image says to the evidence.

    Args:
        evidence: of the build, with its shards
        images: is given the row of the image, if it decodes
        file, row: that show the image
        inspection: of the image
    """
    image_id, origin, digest = inspection.key
    location = f"data/{file} row {row}"
    info = inspection.info
    if info is None or digest is None:
        evidence.image_errors[location] = inspection.error
        return
    pixels = bytes.fromhex(info.pixel_digest)
    images.add(bytes.fromhex(digest), *info.size, pixels, info.fingerprint)
    outcomes = evidence.outcomes_of(file)
    if inspection.mismatch:
        evidence.source_mismatches[location] = Mismatch(image_id, inspection.mismatch)
    elif inspection.is_compared:
        outcomes[row] = IS_SAME
    elif origin == "web":
        outcomes[row] = HAS_NO_SOURCE
    if inspection.surplus:
        parts, is_compared = inspection.surplus, inspection.is_compared
        evidence.surplus[location] = Surplus(image_id, digest, parts, is_compared)


def write_inspections(
    folder: Path, record: InspectionRecord, inspections: Sequence[Inspection]
) -> Path:
    """Write the file of a process, whole or not at all; return its path."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for inspection in sorted(inspections, key=lambda item: str(item.key)):
        for name, value in zip(SCHEMA.names, _to_values(inspection), strict=True):
            columns[name].append(value)
    metadata = {RECORD_KEY: json.dumps(asdict(record))}
    table = pa.table(columns, SCHEMA.with_metadata(metadata))
    path = folder / record.file_name
    with files.atomic_write(path) as draft:
        pq.write_table(table, draft, compression="zstd")
    return path


def _to_values(inspection: Inspection) -> tuple[Any, ...]:
    """Return the values of a row."""
    key, info = inspection.key, inspection.info
    width, height = info.size if info else (None, None)
    pixels, print_ = (info.pixel_digest, info.fingerprint) if info else (None, None)
    outcome = (inspection.mismatch, inspection.is_compared, inspection.surplus)
    return (*key, inspection.error, width, height, pixels, print_, *outcome)


def read_records(folder: Path) -> dict[Path, InspectionRecord]:
    """Return what the files of a folder say of the processes that wrote them, by path.

    Raises:
        ValueError: a file has such a name and is none
    """
    records = {}
    for path in sorted(folder.glob(FILES)):
        metadata = read_schema(path, REMEDY).metadata or {}
        raw = parse_json(metadata.get(RECORD_KEY, b"null"), str(path), REMEDY)
        records[path] = read_dataclass(InspectionRecord, raw, str(path), REMEDY)
    return records


def check_records(
    compared_with: Mapping[str, Any], records: Mapping[Path, InspectionRecord]
) -> None:
    """Check that all files are of one build, one number of processes, and the same programs.

    Args:
        compared_with: the build that is checked now, and which sources are here
        records: of the files, by path

    Raises:
        ValueError: with the file that does not fit
    """
    counts = sorted({record.count for record in records.values()})
    for path, record in records.items():
        if record.compared_with != json.loads(json.dumps(compared_with)):
            raise ValueError(
                f"{path} belongs to another build, or to other sources: give the same --data-dir, "
                "--donor and --store, or another folder"
            )
        difference = describe_difference(record.made_with, program_versions())
        if difference:
            raise ValueError(f"{path}: this process has {difference}: {SAME_VERSIONS}")
        if len(counts) > 1:
            numbers = join_words([str(count) for count in counts])
            raise ValueError(
                f"{path.parent} contains shards of {numbers} parts: give every process the "
                f"same number, or delete the files {FILES} of one number"
            )


def read_inspections(
    folders: Sequence[Path], compared_with: Mapping[str, Any]
) -> dict[ImageKey, Inspection]:
    """Return what processes wrote into some folders.

    Args:
        folders: that were given as --out to `cnlw validate --shard`
        compared_with: the build that is checked now, and which sources are here

    Raises:
        FileNotFoundError: a folder has no such file
        ValueError: a file cannot be read, or is of another build, other sources or other programs
    """
    records: dict[Path, InspectionRecord] = {}
    for folder in folders:
        records_of_folder = read_records(folder)
        if not records_of_folder:
            raise FileNotFoundError(
                f"{folder}: there is no shard of a check here: give a folder that `cnlw "
                "validate --shard` "
                "wrote"
            )
        records |= records_of_folder
    check_records(compared_with, records)
    inspections = {}
    for path in records:
        for inspection in _read_file(path):
            inspections[inspection.key] = inspection
    return inspections


def _read_file(path: Path) -> list[Inspection]:
    """Return what one file says.

    Raises:
        ValueError: it is damaged
    """
    table = read_table(path, SCHEMA.names, REMEDY)
    with translate_errors(path, "a file of inspections", REMEDY):
        return [_to_inspection(row) for row in table.cast(SCHEMA).to_pylist()]


def _to_inspection(row: Mapping[str, Any]) -> Inspection:
    """Return what a row says.

    Raises:
        ValueError: it says what `write_inspections` does not write
    """
    for name in REQUIRED:
        if row[name] is None:
            raise ValueError(f"a row without {name}")
    info = None
    is_decoded = row["pixel_digest"] is not None
    if is_decoded == bool(row["error"]):
        raise ValueError("a row with both pixels and an error, or with neither")
    if is_decoded:
        size = (row["width"], row["height"])
        if None in size or min(size) < 1:
            raise ValueError(f"an image of {size[0]} x {size[1]} pixels")
        info = ImageInfo(size, row["pixel_digest"], row["fingerprint"])
        if (len(bytes.fromhex(info.pixel_digest)), len(info.fingerprint)) != (32, 16):
            raise ValueError("a sha256 or a fingerprint of another length")
    key = ImageKey(row["image_id"], row["origin"], row["sha256"])
    outcome = (row["mismatch"], row["is_compared"], tuple(row["surplus"]))
    return Inspection(key, info, row["error"], *outcome)
