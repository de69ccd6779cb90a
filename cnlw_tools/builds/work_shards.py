"""A build by several processes without a coordinator: who writes which file, and what each says.

A plan is deterministic, and its files are named by what they hold. So every process knows which
files are its own; it writes them into a folder that all share, or into one of its own:

    builds/shapes.partial/
        data/               files of all processes, or of one
        tables/             the same from all processes
        shard-2-of-5.json   what the second of five processes made, and with which programs

A last `cnlw build` without --shard takes what the records name, writes the rest and the card, and
deletes the records. A process copies images only from files of its own and of the card, so that the
work does not depend on which other process is faster.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from cnlw_tools import files
from cnlw_tools.builds.shards import ImageOwners
from cnlw_tools.builds.staging import RECORD_PREFIX
from cnlw_tools.card.metadata import DRAFT_SUFFIX
from cnlw_tools.executor.remote import SAME_VERSIONS, describe_difference, program_versions
from cnlw_tools.executor.work_shard import WorkShard, describe_mixed_counts
from cnlw_tools.files.texts import read_json
from cnlw_tools.recipe.strict import between, read_dataclass

RECORDS = f"{RECORD_PREFIX}*-of-*.json"
REMEDY = "delete it, and run the build of this shard again"


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What one of several processes says of the files that it wrote."""

    number: int = field(metadata={"check": between(1)})
    count: int = field(metadata={"check": between(1)})
    contents: str  # digest of the names of all files and of the tables: what is built
    made_with: dict[str, str]  # versions of this package, and of those that decide bytes
    hashes: dict[str, str] = field(default_factory=dict)  # file -> sha256; empty until the end

    @property
    def file_name(self) -> str:
        """The name of its file in the folder of the build."""
        return f"{RECORD_PREFIX}{self.number}-of-{self.count}.json"


Records = Mapping[Path, ShardRecord]  # by the path of the record


def digest_contents(planned_shards: Iterable[str], tables: Mapping[str, str]) -> str:
    """Return what processes that make the same build agree on.

    Args:
        planned_shards: names of all files of the configs that are built
        tables: digests of the tables that the build is made from
    """
    parts = json.dumps([sorted(planned_shards), sorted(tables.items())])
    return sha256(parts.encode()).hexdigest()


def make_record(work_shard: WorkShard, contents: str) -> ShardRecord:
    """Return the record of a process that has written nothing yet."""
    return ShardRecord(work_shard.number, work_shard.count, contents, program_versions())


def assign_files(planned_shards: Mapping[str, pa.Table], count: int) -> dict[str, int]:
    """Return the number of the process that writes each file, from 1 to ``count``.

    A file goes to the process with the file that it copies most images from, or else to the one
    with the fewest rows. Neither the order of the files nor what has been written matters.
    """
    owners = ImageOwners(
        {name: planned_shards[name]["image_id"] for name in sorted(planned_shards)}
    )
    numbers: dict[str, int] = {}
    n_rows = [0] * count
    for name in owners.files:
        owner = owners.main_owner(name)
        number = numbers.get(owner, 1 + n_rows.index(min(n_rows)))
        numbers[name] = number
        n_rows[number - 1] += len(planned_shards[name])
    return numbers


def read_records(folder: Path) -> dict[Path, ShardRecord]:
    """Return the records in the folder of a build, by path.

    Raises:
        ValueError: a file has the name of a record and is none
    """
    records = {}
    for path in sorted(folder.glob(RECORDS)):
        record = read_dataclass(ShardRecord, read_json(path, REMEDY), str(path), REMEDY)
        if path.name != record.file_name:
            shard = f"{record.number}/{record.count}"
            raise ValueError(
                f"{path} is the record of shard {shard}, not of the shard in its name: {REMEDY}"
            )
        records[path] = record
    return records


def find_records(folders: Sequence[Path]) -> dict[Path, ShardRecord]:
    """Return the records of shards that were written into folders of their own.

    Args:
        folders: that were given as --out to `cnlw build --shard`, or that hold such folders

    Raises:
        FileNotFoundError: a folder has no such record
        ValueError: a record cannot be read
    """
    records: dict[Path, ShardRecord] = {}
    for folder in folders:
        draft = Path(f"{folder}{DRAFT_SUFFIX}")
        places = [folder, draft, *sorted(folder.glob("*"))]
        records_below: dict[Path, ShardRecord] = {}
        for place in places:
            records_below |= read_records(place)
        records |= records_below
        if not records_below:
            raise FileNotFoundError(
                f"{folder}: there is no shard of a build here: give a folder that `cnlw build "
                "--shard` "
                "wrote, or one that holds such folders"
            )
    return records


def check_records(contents: str, records: Records) -> None:
    """Check that all records are of one build by as many processes, with the programs of this one.

    Args:
        contents: of the build, by `digest_contents`
        records: of the processes

    Raises:
        ValueError: a record is of another build, another count, or was made with other versions
    """
    for path, record in records.items():
        if record.contents != contents:
            raise ValueError(
                f"{path} belongs to another recipe or to other tables: use that recipe and those "
                "tables, or use another --out, or delete this file to discard that shard"
            )
        difference = describe_difference(record.made_with, program_versions())
        if difference:
            raise ValueError(f"{path}: this process has {difference}: {SAME_VERSIONS}")
    mixed = describe_mixed_counts({path: record.count for path, record in records.items()})
    if mixed:
        raise ValueError(f"{mixed}, or delete the records {RECORDS} of one division")


@contextmanager
def recorded_shard(
    folder: Path, record: ShardRecord, names: Collection[str]
) -> Iterator[dict[str, str]]:
    """Write the record of a process into the folder of a build; yield the hashes of an older one.

    If there is an error before the process has written a file, the record is deleted again.

    Args:
        folder: of the build
        record: of a process that has written nothing yet
        names: of its files

    Raises:
        ValueError: other records do not agree with this one
    """
    path = folder / record.file_name
    records = read_records(folder)
    check_records(record.contents, {path: record, **records})
    new_files = [folder / "data" / name for name in names]
    new_files = [file for file in new_files if not file.exists()]
    try:
        if path not in records:
            write_record(folder, record)
        check_records(record.contents, read_records(folder))  # of those that began just now, too
        yield dict(records.get(path, record).hashes)
    except BaseException:
        if path not in records and not any(file.exists() for file in new_files):
            path.unlink(missing_ok=True)
        raise


def write_record(folder: Path, record: ShardRecord) -> None:
    """Write a record into the folder of a build, whole or not at all."""
    with files.atomic_write(folder / record.file_name) as draft:
        draft.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")


def delete_records(folder: Path) -> None:
    """Delete the records in the folder of a build, once its card says what they said."""
    for path in folder.glob(RECORDS):
        path.unlink()


def record_hashes(records: Records, planned_shards: Collection[str]) -> dict[str, str]:
    """Return the sha256 of every file that some process says it wrote.

    Args:
        records: of the processes
        planned_shards: names of all files of the configs that are built

    Raises:
        ValueError: two processes wrote different bytes, or a file is not of the build
    """
    hashes: dict[str, str] = {}
    for path, record in records.items():
        for name, digest in record.hashes.items():
            if name not in planned_shards:
                raise ValueError(
                    f"{path}: it names {name!r}, which is not a file of this build: {REMEDY}"
                )
            if hashes.setdefault(name, digest) != digest:
                raise ValueError(
                    f"{path}: its file {name} differs from the same file of another shard: "
                    "compare the images "
                    "that the machines read, and build one of the shards again"
                )
    return hashes


def join_files(data: Path, records: Records, names: Iterable[str]) -> set[str]:
    """Take files that other folders hold into the folder of a build, as links or copies.

    A file that is damaged is left where it is, and the build writes it anew.

    Args:
        data: the folder of the shards of the build
        records: of the other folders
        names: of the files that the build needs

    Returns:
        the names of the files that were not there before
    """
    joined_files = set()
    for path, record in records.items():
        for name in names:
            digest = record.hashes.get(name)
            if digest is None or (data / name).exists():
                continue
            source = path.parent / "data" / name
            if source.is_file() and files.digest(source) == digest:
                files.link_or_copy(source, data / name)
                _check_copy(data / name, source, digest)
                joined_files.add(name)
    return joined_files


def _check_copy(path: Path, source: Path, digest: str) -> None:
    """Raise if a file was copied, not linked, and has other bytes than it should.

    Raises:
        OSError: the copy is damaged; it is deleted
    """
    if not path.samefile(source) and files.digest(path) != digest:
        path.unlink()
        raise OSError(f"{source}: its copy in {path.parent} is damaged: run the command again")
