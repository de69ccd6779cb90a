"""A pack: an image store in few large files, in a folder or at an address such as ``s3://b/web``.

    PACK/images/HASH.parquet     up to 1,000 images each, in the order of their ids
    PACK/ledger.parquet          as in the store, for readers
    PACK/placeholders.csv        as in the store, if it has one
    PACK/packed.sqlite           the ledger of the store, and the table `places`: where images are

A file of images is named by what it holds. So packing again writes only the files that are not
there, and a pack that was killed goes on. The ledger comes last: without it there is no pack. An
image is read together with the others of its row group, and nothing else is.

`pack_store` puts the images in the order of their ids. A fetch into a pack (see remote.py) adds
files, each with images in this order.
"""

import re
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files import atomic_write, scratch_folder
from cnlw_tools.files.arrow import binary_array
from cnlw_tools.files.drafts import DAY
from cnlw_tools.files.folders import Folder, open_folder
from cnlw_tools.files.mirror import local_copy
from cnlw_tools.files.parquet import read_plain_group
from cnlw_tools.files.storage import RemoteFile, is_address
from cnlw_tools.files.untrusted import BadFile
from cnlw_tools.store.placeholders import FILE_NAME as PLACEHOLDERS
from cnlw_tools.store.snapshot import SNAPSHOT, write_ledger_table
from cnlw_tools.store.store import Ledger, Row, Store, open_ledger

LEDGER = "packed.sqlite"  # another name than in a store, so that no fetch writes into a local pack
SMALL_FILES = (LEDGER, PLACEHOLDERS)  # what is copied from an address before images are read
IMAGES = "images/"
CARD = "README.md"  # which a user may have written for a repository of the Hub
SHARD_FILE = re.compile(r"shard-(\d+)-of-(\d+)")  # a mark of `cnlw fetch --shard` (join.py)
FILE_HASH = re.compile(r"[0-9a-f]{32}")
IMAGE_FILE = re.compile(rf"{IMAGES}{FILE_HASH.pattern}\.parquet")
IMAGES_PER_FILE = 1_000
IMAGES_PER_GROUP = 16  # what is read for one image: 2 MB of originals of 120 kB
# Of row groups that were read. If images are read in the order of their ids, this holds a group of
# each file of a pack to which fetches have added files: 32 of originals, 800 of small images.
BYTES_IN_MEMORY = 64 << 20
IMAGE_SCHEMA = pa.schema([("image_id", pa.string()), ("image", pa.binary())])
PUT_PLACE = "INSERT OR REPLACE INTO places (image_id, file, row_group) VALUES (?, ?, ?)"

Place = tuple[str, str, int]  # image id, hash of its file, number of its row group


@dataclass(frozen=True, slots=True)
class PackSummary:
    """What packing did."""

    n_images: int
    n_files: int
    n_new_files: int  # those that were written now


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A file of images to write."""

    hash: str
    ids: Sequence[str]  # sorted

    @property
    def name(self) -> str:
        """Return the name of the file in the pack."""
        return file_name(self.hash)

    def places(self) -> Iterator[Place]:
        """Yield where each of the images is."""
        for number, image_id in enumerate(self.ids):
            yield image_id, self.hash, number // IMAGES_PER_GROUP


def file_name(file_hash: str) -> str:
    """Return the name of a file of images in a pack."""
    return f"{IMAGES}{file_hash}.parquet"


def plan_file(digests: Mapping[str, str]) -> FilePlan:
    """Return the plan of the file that holds some images.

    Args:
        digests: sha256 of the file of each image by its id, in the order of ids
    """
    contents = repr([IMAGES_PER_GROUP, *digests.items()])
    return FilePlan(sha256(contents.encode()).hexdigest()[:32], list(digests))


def pack_store(store: Store, out: Path | str, progress: Progress = no_progress) -> PackSummary:
    """Write all images and the ledger of a store into a folder, or to an address.

    Args:
        store: the store
        out: the folder or the address of the pack, which is made or brought up to date
        progress: is told how many images are packed

    Raises:
        OSError: an image of the store is damaged, the pack cannot be written, or it has images that
            the store lacks, or something else is there; the pack that was there remains, until a
            new one is complete
    """
    folder = open_folder(out)
    old_files = folder.list_files()
    require_pack(folder.address, old_files)
    if LEDGER in old_files:
        _require_subset(out, store)
    plans = _plan_files(store)
    total = sum(len(plan.ids) for plan in plans)
    done = n_new = 0
    for plan in plans:
        if plan.name not in old_files:
            folder.write(plan.name, partial(write_images, store, plan.ids))
            n_new += 1
        done += len(plan.ids)
        progress("images", done, total)
    folder.write(SNAPSHOT, partial(write_ledger_table, store))
    if (store.folder / PLACEHOLDERS).is_file():
        folder.write(PLACEHOLDERS, partial(shutil.copyfile, store.folder / PLACEHOLDERS))
    old_ledger = old_files.get(LEDGER)
    write = partial(write_packed_ledger, store, partial(_put_places, plans))
    folder.write_instead(LEDGER, write, old_ledger.version if old_ledger else None)
    delete_others(folder, old_files, {plan.name for plan in plans})
    return PackSummary(total, len(plans), n_new)


def require_pack(address: str, names: Collection[str]) -> None:
    """Raise FileExistsError if something other than a pack is there."""
    for name in names:
        is_ours = name in (*SMALL_FILES, SNAPSHOT, CARD) or SHARD_FILE.fullmatch(name)
        if not is_ours and not IMAGE_FILE.fullmatch(name):
            raise FileExistsError(
                f"{address} is not a pack, because {name} is there: use another address or folder"
            )


def _require_subset(out: Path | str, store: Store) -> None:
    """Raise FileExistsError if a pack has images that a store lacks, which it would lose."""
    with PackedStore(out) as pack:
        extra_ids = sorted({*pack.image_ids()} - {*store.image_ids()})
    if extra_ids:
        raise FileExistsError(
            f"{out}: this pack has {len(extra_ids):,} images that {store.folder} lacks, such as "
            f"{extra_ids[0]!r}: use another --out, or add the store to the pack with `cnlw fetch "
            "--store PACK --join STORE`"
        )


def _plan_files(store: Store) -> list[FilePlan]:
    """Return the files of a pack; each is named by the ids and the digests of its images."""
    digests = {row.image_id: str(row.file_sha256) for row in store.rows() if row.outcome == "ok"}
    ids = list(digests)
    plans = []
    for start in range(0, len(ids), IMAGES_PER_FILE):
        part = ids[start : start + IMAGES_PER_FILE]
        plans.append(plan_file({image_id: digests[image_id] for image_id in part}))
    return plans


def write_images(store: Store, ids: Sequence[str], path: Path) -> None:
    """Write one file; the same images give the same bytes."""
    with pq.ParquetWriter(path, IMAGE_SCHEMA, compression="NONE", use_dictionary=False) as writer:
        for start in range(0, len(ids), IMAGES_PER_GROUP):
            part = ids[start : start + IMAGES_PER_GROUP]
            images = binary_array([store.read(image_id) for image_id in part])
            table = pa.Table.from_arrays(
                [_texts(part), images.cast(pa.binary())], schema=IMAGE_SCHEMA
            )
            writer.write_table(table)


def write_packed_ledger(store: Store | None, change: Callable[[Ledger], None], path: Path) -> None:
    """Write a ledger with the places of its images; the same contents give the same bytes.

    Args:
        store: whose rows, and places if it is a pack, it begins with; none: it is empty
        change: writes rows and places into the ledger
        path: of the ledger
    """
    with scratch_folder() as folder:
        working = folder / "ledger"  # the folder itself is locked
        with open_ledger(working, exclusive=True) as draft:
            draft.create_places()
            if store is not None:
                draft.take_ledger(store)
            change(draft)
            draft.copy_ledger(path)


def _put_places(plans: Sequence[FilePlan], ledger: Ledger) -> None:
    ledger.change(("DELETE FROM places", [()]))
    for plan in plans:
        ledger.change((PUT_PLACE, plan.places()))


def _texts(values: Sequence[str]) -> pa.Array:
    return binary_array([value.encode() for value in values]).cast(pa.binary()).cast(pa.string())


def delete_others(folder: Folder, files: Mapping[str, RemoteFile], names: Collection[str]) -> None:
    """Delete files of images that are not of the pack, a day after they were written.

    Until then, a command that has read the old ledger may need them.
    """
    for name in files:
        if IMAGE_FILE.fullmatch(name) and name not in names:
            timestamp = files[name].timestamp
            if timestamp is not None and time.time() - timestamp > DAY:
                folder.delete(name)


def _count_bytes(images: Mapping[str, bytes]) -> int:
    return sum(map(len, images.values()))


def is_pack(place: Path | str) -> bool:
    """Return whether there is a pack in a folder, or at an address.

    Raises:
        ValueError, OSError: the address cannot be read
    """
    if is_address(place):
        return LEDGER in open_folder(place).list_files()
    return (Path(place) / LEDGER).is_file()


def open_store(place: Path | str) -> Store:
    """Open a store for reading: a folder that `cnlw fetch` wrote, or a pack.

    Args:
        place: folder of the store or of the pack, or address of the pack

    Raises:
        OSError, ValueError: there is no store or pack, or it cannot be read
    """
    return PackedStore(place) if is_address(place) or is_pack(place) else Store(place)


class PackedStore(Store):
    """A pack opened for reading."""

    remedy = (
        "pack the store again with `cnlw store pack`, or delete the file of this image in the pack "
        "and fetch again"
    )

    def __init__(self, place: Path | str, folder: Path | None = None) -> None:
        """Open a pack.

        Args:
            place: the folder or the address of the pack
            folder: where all of it but the images is, if it has been copied; otherwise, what is at
                an address is copied into the cache

        Raises:
            OSError, ValueError: there is no pack, or it cannot be read
        """
        if folder is None:
            folder = local_copy(place, SMALL_FILES.__contains__)
        if not (folder / LEDGER).is_file():
            raise FileNotFoundError(
                f"{place}: there is no store of web images here ({LEDGER} is missing): make one "
                "with `cnlw fetch` or `cnlw store pack`"
            )
        self.images = open_folder(place)
        self.footers: dict[str, pq.FileMetaData] = {}
        self.groups: OrderedDict[tuple[str, int], dict[str, bytes]] = OrderedDict()
        self.n_bytes = 0  # of these groups
        super().__init__(folder, LEDGER)

    @property
    def place(self) -> Path | str:
        """Return the folder, or the address, of the pack."""
        return self.images.address

    @cached_property
    def file_names(self) -> Collection[str]:
        """The files that are there."""
        return self.images.list_files().keys()

    def find_place(self, image_id: str) -> tuple[str, int] | None:
        """Return the file and the row group of an image, if the pack has it.

        Raises:
            BadFile: they are none that any command writes
        """
        sql = "SELECT file, row_group FROM places WHERE image_id = ?"
        place = next(self.query(sql, [image_id]), None)
        if place is None:
            return None
        file_hash, group = place
        if not isinstance(file_hash, str) or not FILE_HASH.fullmatch(file_hash):
            raise self._bad_value(image_id, "file", file_hash)  # it might lie outside the pack
        if not isinstance(group, int) or group < 0:
            raise self._bad_value(image_id, "row_group", group)
        return file_name(file_hash), group

    def rows_as_stored(self) -> Iterator[Row]:
        """Yield all rows, those of one row group one after the other."""
        sql = (
            f"SELECT {self.columns} FROM ledger LEFT JOIN places USING (image_id) "  # noqa: S608
            "ORDER BY file, row_group, image_id"
        )
        for values in self.query(sql):
            yield self._make_row(values)

    def used_files(self) -> set[str]:
        """Return the names of the files that images are in."""
        return {file_name(file_hash) for (file_hash,) in self.query("SELECT file FROM places")}

    def copy_image(self, row: Row, path: Path) -> None:
        """Write the file of a row to a path.

        Raises:
            OSError: it cannot be read or written
        """
        data = self.read(row.image_id)
        with atomic_write(path) as draft:
            draft.write_bytes(data)

    def _read_bytes(self, row: Row) -> bytes:
        """Return the file of a row, whatever it holds.

        Raises:
            BadFile: the pack does not hold what its ledger says
        """
        place = self.find_place(row.image_id)
        images = self._read_group(*place) if place else {}
        if row.image_id not in images:
            raise BadFile(f"{self.place}: lacks image {row.image_id!r}: {self.remedy}")
        return images[row.image_id]

    def _file_intact(self, row: Row) -> bool:
        """Return whether the file is there that has the image of a row, if it has one."""
        if row.outcome != "ok":
            return True
        place = self.find_place(row.image_id)
        return place is not None and place[0] in self.file_names

    def _read_group(self, name: str, group: int) -> dict[str, bytes]:
        """Return the images of a row group by id; the last ones that were read stay in memory."""
        key = name, group
        if key not in self.groups:
            try:
                rows = self.images.read(name, partial(self._read_rows, name, group))
            except FileNotFoundError as error:
                raise BadFile(f"{self.place}: lacks {name}: {self.remedy}") from error
            ids, images = rows["image_id"].to_pylist(), rows["image"].to_pylist()
            self.groups[key] = dict(zip(ids, images, strict=True))
            self.n_bytes += _count_bytes(self.groups[key])
            while self.n_bytes > BYTES_IN_MEMORY and len(self.groups) > 1:
                _, oldest = self.groups.popitem(last=False)
                self.n_bytes -= _count_bytes(oldest)
        self.groups.move_to_end(key)
        return self.groups[key]

    def _read_rows(self, name: str, group: int, file: BinaryIO) -> pa.Table:
        place = f"{self.images.address}/{name}"
        footer = self.footers.get(name)
        rows, self.footers[name] = read_plain_group(
            file, place, group, ["image_id", "image"], footer
        )
        return rows
