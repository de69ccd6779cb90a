"""Exchange with img2dataset 1.47: write a store in its output format, and import its output.

    DIR/00000.parquet        one row per URL: the user's columns, url, key, status, sha256 ...
    DIR/00000.tar            KEY.jpg and KEY.json per image (webdataset: the export writes this), or
    DIR/00000/KEY.jpg        files, or a column `jpg` in the Parquet file
    DIR/00000_stats.json     counts; written last, so a shard that has this file is complete

A key is the number of the shard followed by the number of the row in the shard. The column sha256
is of the bytes that were downloaded. The stored bytes may differ, since img2dataset encodes images
again by default; they are the original ones only if they have this sha256.
"""

import json
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.files import atomic_write
from cnlw_tools.files.archives import open_tar
from cnlw_tools.files.parquet import (
    open_parquet,
    read_batches,
    read_n_rows,
    read_schema,
    read_table,
)
from cnlw_tools.files.untrusted import COPY_AGAIN, check_size, read_bytes, translate_errors
from cnlw_tools.images.formats import HEAD, IMAGE_SUFFIX, is_image_file, recognise_format
from cnlw_tools.images.pixels import read_size
from cnlw_tools.registry import suggest
from cnlw_tools.store.inspect import Inspection, inspect_image
from cnlw_tools.store.manifest import LICENCE_COLUMN, find_id_problem
from cnlw_tools.store.outcomes import FetchError, Tally
from cnlw_tools.store.snapshot import write_snapshot
from cnlw_tools.store.store import Ledger, Row, Store

SHARD_ROWS = 10_000  # the default of img2dataset
SHARD_DIGITS = 5  # digits of the shard's number in a key
ROW_DIGITS = 4  # digits of the row's number in a key
LARGEST_IMAGE = 256 << 20  # bytes of a file; a photograph of 100 megapixels has 60 MB
READ_BATCH_ROWS = 64  # images that are read from Parquet at a time
# Outcomes for which img2dataset has the status failed_to_resize.
UNREADABLE_OUTCOMES = frozenset({"bomb", "animated", "not_image", "decode"})
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("licence", pa.string()),
        ("url", pa.string()),
        ("key", pa.string()),
        ("status", pa.string()),
        ("error_message", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("original_width", pa.int32()),
        ("original_height", pa.int32()),
        ("sha256", pa.string()),
    ]
)

Record = Mapping[str, Any]  # a row of img2dataset's Parquet file


def export_store(store: Store, folder: Path) -> Counter[str]:
    """Write a store as webdataset shards with the files of its images; return the rows by status.

    Raises:
        FileExistsError: the folder is not empty
        OSError: a file of the store has changed, or the folder cannot be written
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder}: the folder is not empty: give a new folder")
    rows = store.rows()
    status_counts: Counter[str] = Counter()
    shard = 0
    while block := list(islice(rows, SHARD_ROWS)):
        status_counts += _write_shard(store, folder, shard, block)
        shard += 1
    return status_counts


def import_images(
    folder: Path,
    ledger: Ledger,
    id_column: str = "image_id",
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Import images from the output of img2dataset, except those that the store already has.

    Rows whose status is not `success` are skipped. The store holds originals.

    Args:
        folder: the output of img2dataset, in any of its formats except tfrecord
        ledger: the store to write to
        id_column: the column with the image ids; keys are not ids but positions in a list
        progress: is called with the counts after each shard

    Raises:
        OSError, ValueError: the folder has no output of img2dataset, or a shard is damaged or
            incomplete
    """
    paths = sorted(path for path in folder.glob("*.parquet") if path.stem.isdecimal())
    if not paths:
        raise FileNotFoundError(
            f"{folder}: there is no output of img2dataset (00000.parquet ...) here: "
            "give its output_folder"
        )
    n_rows = {path: read_n_rows(path, COPY_AGAIN) for path in paths}
    ledger.check_keep(None)
    tally = Tally(sum(n_rows.values()))
    for path in paths:
        records = _read_successes(path, id_column)
        tally.skipped += n_rows[path] - len(records)
        _import_shard(path, records, ledger, id_column, tally)
        progress(tally)
    write_snapshot(ledger, tally.fetched > 0)
    return tally


def _write_shard(store: Store, folder: Path, shard: int, rows: Sequence[Row]) -> Counter[str]:
    """Write one shard; return its rows by status."""
    name = f"{shard:0{SHARD_DIGITS}d}"
    records = []
    for i, row in enumerate(rows):
        records.append(_make_record(store, row, key=f"{name}{i:0{ROW_DIGITS}d}"))
    with atomic_write(folder / f"{name}.tar") as draft, tarfile.open(draft, "w") as tar:
        for row, record in zip(rows, records, strict=True):
            if row.outcome == "ok":
                _add_image(tar, row, record, store.read(row.image_id))
    with atomic_write(folder / f"{name}.parquet") as draft:
        pq.write_table(pa.Table.from_pylist(records, SCHEMA), draft)
    stats = _make_stats(rows, records)
    with atomic_write(folder / f"{name}_stats.json") as draft:
        draft.write_text(json.dumps(stats, indent=4))
    return Counter(record["status"] for record in records)


def _make_record(store: Store, row: Row, key: str) -> Record:
    """Return a row of the ledger as img2dataset would write it."""
    message = None
    width, height = row.width, row.height
    if row.outcome == "ok" and row.kept:
        height, width = read_size(store.read(row.image_id))
    if row.outcome == "ok":
        status = "success"
    else:
        status = "failed_to_resize" if row.outcome in UNREADABLE_OUTCOMES else "failed_to_download"
        message = f"{row.outcome}: {row.reason}"
    return {
        "image_id": row.image_id,
        "licence": row.licence,
        "url": row.uri,
        "key": key,
        "status": status,
        "error_message": message,
        "width": width,
        "height": height,
        "original_width": row.width,
        "original_height": row.height,
        "sha256": row.sha256,
    }


def _make_stats(rows: Sequence[Row], records: Sequence[Record]) -> dict[str, Any]:
    """Return the statistics that img2dataset writes for a shard."""
    statuses = Counter(record["status"] for record in records)
    messages = Counter(record["error_message"] for record in records)
    start = min(row.timestamp for row in rows)
    end = max(row.timestamp for row in rows)
    return {
        "count": len(rows),
        "successes": statuses["success"],
        "failed_to_download": statuses["failed_to_download"],
        "failed_to_resize": statuses["failed_to_resize"],
        "duration": end - start,
        "start_time": start,
        "end_time": end,
        "status_dict": {message or "success": n for message, n in messages.most_common()},
    }


def _add_image(tar: tarfile.TarFile, row: Row, record: Record, data: bytes) -> None:
    suffix = "jpg" if row.file_format == "jpeg" else row.file_format
    _add_file(tar, f"{record['key']}.{suffix}", data, row.timestamp)
    text = json.dumps(record, indent=4)
    _add_file(tar, f"{record['key']}.json", text.encode(), row.timestamp)


def _add_file(tar: tarfile.TarFile, name: str, data: bytes, timestamp: float) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mtime = int(timestamp)
    tar.addfile(member, BytesIO(data))


def _read_successes(path: Path, id_column: str) -> dict[str, Record]:
    """Return the rows of a shard that have an image, by key."""
    names = read_schema(path, COPY_AGAIN).names
    for name in (id_column, "url", "key", "status"):
        if name not in names:
            suggestion = suggest(name, names)
            columns = ", ".join(names)
            raise ValueError(
                f"{path}: column {name!r} is missing.{suggestion} The columns are: {columns}"
            )
    without_images = [name for name in names if not _is_image_name(name)]
    table = read_table(path, without_images, COPY_AGAIN)
    successes = {}
    with translate_errors(path, "a table of img2dataset"):
        for record in table.to_pylist():
            if record["status"] == "success":
                successes[record["key"]] = record
    return successes


def _import_shard(
    path: Path, records: dict[str, Record], ledger: Ledger, id_column: str, tally: Tally
) -> None:
    """Store the images of one shard, and count them in ``tally``."""
    for key, data in _read_images(path, records):
        outcome = _import_image(ledger, records.pop(key), id_column, data)
        tally.counts[outcome] += 1
        tally.fetched += 1
    if records:
        key = next(iter(records))
        raise ValueError(
            f"{path}: {len(records)} of its images are missing, such as {key}: "
            "copy this shard again"
        )


def _read_images(path: Path, keys: Mapping[str, Record]) -> Iterator[tuple[str, bytes]]:
    """Yield key and bytes of each image of a shard in any of the formats."""
    tar = path.with_suffix(".tar")
    folder = path.with_suffix("")
    image_columns = sorted(filter(_is_image_name, read_schema(path, COPY_AGAIN).names))
    if tar.is_file():
        yield from _read_tar(tar, keys)
    elif image_columns:
        yield from _read_column(path, image_columns[0], keys)
    elif folder.is_dir():
        for file in sorted(folder.iterdir()):
            if file.stem in keys and is_image_file(str(file)):
                yield file.stem, read_bytes(file, LARGEST_IMAGE)


def _is_image_name(name: str) -> bool:
    """Return whether a column, or the ending of a file, is called like an image format."""
    return IMAGE_SUFFIX.fullmatch(f".{name}") is not None


def _read_column(
    path: Path, image_column: str, keys: Mapping[str, Record]
) -> Iterator[tuple[str, bytes]]:
    columns = ["key", image_column]
    with open_parquet(path, COPY_AGAIN) as file:
        for batch in read_batches(file, path, READ_BATCH_ROWS, columns, COPY_AGAIN):
            for row in batch.to_pylist():
                if row["key"] in keys and isinstance(row[image_column], bytes):
                    yield row["key"], row[image_column]


def _read_tar(path: Path, keys: Mapping[str, Record]) -> Iterator[tuple[str, bytes]]:
    with path.open("rb") as packed, open_tar(packed, path) as tar:
        for member in tar:
            key, _, suffix = member.name.rpartition(".")
            if key not in keys or not member.isfile():
                continue
            if file := tar.extractfile(member):
                head = file.read(HEAD)
                if _is_image_name(suffix) or recognise_format(head):
                    check_size(f"{path}: {member.name}", member.size, LARGEST_IMAGE)
                    yield key, head + file.read()


def _import_image(ledger: Ledger, record: Record, id_column: str, data: bytes) -> str:
    """Store one image; return its outcome."""
    image_id = None if record[id_column] is None else str(record[id_column])
    if image_id is not None and _is_stored(ledger, image_id):
        return "ok"
    row = Row(
        image_id=image_id or f"(no id, key {record['key']})",
        uri=record["url"],
        outcome="ok",
        reason=None,
        attempts=0,
        timestamp=time.time(),
        licence=_licence(record),
    )
    try:
        if problem := find_id_problem(image_id):
            raise FetchError("refused", problem)
        inspection = inspect_image(data)
    except FetchError as error:
        ledger.write_row(replace(row, outcome=error.outcome, reason=error.reason))
        return error.outcome
    is_original = record.get("sha256") == inspection.sha256
    source = "uri" if is_original else "img2dataset"
    ledger.write_row(_store_image(ledger, row, data, inspection, source))
    return "ok"


def _store_image(ledger: Ledger, row: Row, data: bytes, inspection: Inspection, source: str) -> Row:
    """Write the file of an image; return its row, completed with the properties of the file."""
    return replace(
        row,
        sha256=inspection.sha256,
        format=inspection.format,
        width=inspection.width,
        height=inspection.height,
        fingerprint=inspection.fingerprint,
        size=len(data),
        mtime=ledger.write_image(row.image_id, inspection.format, data),
        source=source,
    )


def _is_stored(ledger: Ledger, image_id: str) -> bool:
    state = ledger.read_states([image_id]).get(image_id)
    return state is not None and state.outcome == "ok" and state.file_intact


def _licence(record: Record) -> str | None:
    """Return the columns on licences and authors as JSON, or None if there are no such columns."""
    texts = {}
    for name, value in record.items():
        if isinstance(value, str) and LICENCE_COLUMN.search(name):
            texts[name] = value
    return json.dumps(texts, ensure_ascii=False) if texts else None
