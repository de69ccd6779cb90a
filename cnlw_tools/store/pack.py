"""A pack: an image store in few large files, in a folder or at an address such as ``s3://b/web``.

    PACK/images/HASH.parquet     1,000 images each, in the order of their ids
    PACK/ledger.parquet          as in the store, for readers
    PACK/packed.sqlite           the ledger of the store
    PACK/placeholders.csv        as in the store, if it has one
    PACK/index.parquet           the first image of each row group of each file

A file of images is named by what it holds. So packing again writes only the files that are not
there, and a pack that was killed goes on. The index comes last: without it there is no pack. An
image is read together with the others of its row group, and nothing else is.
"""

import re
import shutil
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.arrow import binary_array
from cnlw_tools.files.drafts import DAY
from cnlw_tools.files.folders import Folder, open_folder
from cnlw_tools.files.mirror import local_copy
from cnlw_tools.files.parquet import read_plain_group, read_table
from cnlw_tools.files.storage import RemoteFile, is_address
from cnlw_tools.files.untrusted import BadFile
from cnlw_tools.store.placeholders import FILE_NAME as PLACEHOLDERS
from cnlw_tools.store.snapshot import SNAPSHOT, write_ledger_table
from cnlw_tools.store.store import Row, Store

INDEX = "index.parquet"
LEDGER = "packed.sqlite"  # another name than in a store, so that no fetch writes into a pack
SMALL_FILES = (INDEX, LEDGER, PLACEHOLDERS)  # what is copied from an address before images are read
IMAGES = "images/"
IMAGE_FILE = re.compile(r"images/[0-9a-f]{32}\.parquet")
IMAGES_PER_FILE = 1_000
IMAGES_PER_GROUP = 16  # what is read for one image: 2 MB of originals of 120 kB
GROUPS_IN_MEMORY = 8
IMAGE_SCHEMA = pa.schema([("image_id", pa.string()), ("image", pa.binary())])


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What packing did."""

    n_images: int
    n_files: int
    n_new_files: int  # those that were written now


@dataclass(frozen=True, slots=True)
class _FilePlan:
    """A file of images to write."""

    name: str
    ids: Sequence[str]


def pack_store(store: Store, out: Path | str, progress: Progress = no_progress) -> PackSummary:
    """Write all images and the ledger of a store into a folder, or to an address.

    Args:
        store: the store
        out: the folder or the address of the pack, which is made or brought up to date
        progress: is told how many images are packed

    Raises:
        OSError: an image of the store is damaged, the pack cannot be written, or something else is
            there; the pack that was there remains, until a new one is complete
    """
    folder = open_folder(out)
    there = folder.list_files()
    _require_pack(folder, there)
    plans = _plan_files(store)
    total = sum(len(plan.ids) for plan in plans)
    done = n_new = 0
    for plan in plans:
        if plan.name not in there:
            folder.write(plan.name, partial(_write_images, store, plan.ids))
            n_new += 1
        done += len(plan.ids)
        progress("images", done, total)
    folder.write(SNAPSHOT, partial(write_ledger_table, store))
    folder.write(LEDGER, store.copy_ledger)
    if (store.folder / PLACEHOLDERS).is_file():
        folder.write(PLACEHOLDERS, partial(shutil.copyfile, store.folder / PLACEHOLDERS))
    folder.write(INDEX, partial(_write_index, plans))
    _delete_others(folder, there, {plan.name for plan in plans})
    return PackSummary(total, len(plans), n_new)


def _require_pack(folder: Folder, there: Mapping[str, RemoteFile]) -> None:
    """Raise FileExistsError if something else than a pack is there."""
    for name in there:
        if name not in (*SMALL_FILES, SNAPSHOT) and not name.startswith(IMAGES):
            raise FileExistsError(
                f"{folder.address}: is not a pack, because {name} is there: use another --out"
            )


def _plan_files(store: Store) -> list[_FilePlan]:
    """Return the files of a pack; each is named by the ids and the digests of its images."""
    digests = {row.image_id: str(row.file_sha256) for row in store.rows() if row.outcome == "ok"}
    ids = list(digests)
    plans = []
    for start in range(0, len(ids), IMAGES_PER_FILE):
        part = ids[start : start + IMAGES_PER_FILE]
        contents = repr([(image_id, digests[image_id]) for image_id in part])
        name = sha256(contents.encode()).hexdigest()[:32]
        plans.append(_FilePlan(f"{IMAGES}{name}.parquet", part))
    return plans


def _write_images(store: Store, ids: Sequence[str], path: Path) -> None:
    """Write one file; the same images give the same bytes."""
    with pq.ParquetWriter(path, IMAGE_SCHEMA, compression="NONE", use_dictionary=False) as writer:
        for start in range(0, len(ids), IMAGES_PER_GROUP):
            part = ids[start : start + IMAGES_PER_GROUP]
            images = binary_array([store.read(image_id) for image_id in part])
            table = pa.Table.from_arrays(
                [_texts(part), images.cast(pa.binary())], schema=IMAGE_SCHEMA
            )
            writer.write_table(table)


def _write_index(plans: Sequence[_FilePlan], path: Path) -> None:
    """Write the first image of each row group, in the order of ids."""
    first_ids: list[str] = []
    names: list[str] = []
    for plan in plans:
        firsts = plan.ids[::IMAGES_PER_GROUP]
        first_ids += firsts
        names += [plan.name] * len(firsts)
    table = pa.Table.from_arrays([_texts(first_ids), _texts(names)], names=["first_id", "file"])
    pq.write_table(table, path, compression="ZSTD")


def _texts(values: Sequence[str]) -> pa.Array:
    return binary_array([value.encode() for value in values]).cast(pa.binary()).cast(pa.string())


def _delete_others(folder: Folder, there: Mapping[str, RemoteFile], names: Collection[str]) -> None:
    """Delete files of images that are not of the pack, a day after they were written.

    Until then, a command that has read the old index may need them.
    """
    for name in there:
        if name.startswith(IMAGES) and name not in names:
            timestamp = there[name].timestamp
            if timestamp is not None and time.time() - timestamp > DAY:
                folder.delete(name)


def _read_index(path: Path, remedy: str) -> tuple[list[str], list[str]]:
    """Return the first image of each row group, and the file that it is in.

    Raises:
        BadFile: it cannot be read, or is not one that `_write_index` wrote
    """
    index = read_table(path, ["first_id", "file"], remedy)
    first_ids, names = index["first_id"].to_pylist(), index["file"].to_pylist()
    if not all(isinstance(value, str) for value in (*first_ids, *names)):
        raise BadFile(f"{path}: a row has no image or no file: {remedy}")
    if first_ids != sorted(set(first_ids)):
        raise BadFile(f"{path}: its rows are not in the order of their images: {remedy}")
    for name in names:
        if not IMAGE_FILE.fullmatch(name):  # another one might lie outside the pack
            raise BadFile(f"{path}: {name!r} is no name of a file of images: {remedy}")
    return first_ids, names


def open_store(place: Path | str) -> Store:
    """Open the store or the pack in a folder, or the pack at an address, for reading.

    Raises:
        OSError, ValueError: neither is there, or it cannot be read
    """
    if is_address(place) or any((Path(place) / name).is_file() for name in (INDEX, LEDGER)):
        return PackedStore(place)
    return Store(place)


class PackedStore(Store):
    """A pack opened for reading."""

    remedy = "pack the store again with `cnlw store pack`"

    def __init__(self, place: Path | str) -> None:
        """Open a pack; of one at an address, all but the images is copied into the cache.

        Raises:
            OSError, ValueError: there is no pack, or it cannot be read
        """
        folder = local_copy(place, SMALL_FILES.__contains__)
        if not (folder / INDEX).is_file():
            raise FileNotFoundError(
                f"{place}: there is no pack here ({INDEX} is missing): make one with `cnlw "
                "store pack`"
            )
        if not (folder / LEDGER).is_file():
            raise FileNotFoundError(f"{place}: the pack lacks {LEDGER}: {self.remedy}")
        self.first_ids, self.names = _read_index(folder / INDEX, self.remedy)
        self.images = open_folder(place)
        self.footers: dict[str, pq.FileMetaData] = {}
        self.groups: OrderedDict[int, dict[str, bytes]] = OrderedDict()
        super().__init__(folder, LEDGER)

    def _read_bytes(self, row: Row) -> bytes:
        """Return the file of a row, whatever it holds.

        Raises:
            BadFile: the pack does not hold what its ledger says
        """
        number = bisect_right(self.first_ids, row.image_id) - 1
        images = self._read_group(number) if number >= 0 else {}
        if row.image_id not in images:
            raise BadFile(f"{self.images.address}: lacks image {row.image_id!r}: {self.remedy}")
        return images[row.image_id]

    def _read_group(self, number: int) -> dict[str, bytes]:
        """Return the images of a row group by id; the last ones that were read stay in memory."""
        if number not in self.groups:
            name = self.names[number]
            group = number - self.names.index(name)
            try:
                rows = self.images.read(name, partial(self._read_rows, name, group))
            except FileNotFoundError as error:
                raise BadFile(f"{self.images.address}: lacks {name}: {self.remedy}") from error
            ids, images = rows["image_id"].to_pylist(), rows["image"].to_pylist()
            self.groups[number] = dict(zip(ids, images, strict=True))
            if len(self.groups) > GROUPS_IN_MEMORY:
                self.groups.popitem(last=False)
        self.groups.move_to_end(number)
        return self.groups[number]

    def _read_rows(self, name: str, group: int, file: BinaryIO) -> pa.Table:
        place = f"{self.images.address}/{name}"
        footer = self.footers.get(name)
        rows, self.footers[name] = read_plain_group(
            file, place, group, ["image_id", "image"], footer
        )
        return rows
