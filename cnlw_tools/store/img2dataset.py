"""A store as img2dataset 1.47 would have written it, and what img2dataset wrote as a store.

    DIR/00000.parquet        a row a URL: the user's columns, url, key, status, error_message, sizes, sha256
    DIR/00000.tar            KEY.jpg and KEY.json an image (webdataset, which is what we write) or
    DIR/00000/KEY.jpg        files, or a column `jpg` in the Parquet file itself
    DIR/00000_stats.json     counts; written last, so a shard that has it is whole

A key is the number of the shard and the row's number in it. The sha256 is that of the bytes as they came, even where
img2dataset stored others: it encodes again unless told not to, so only bytes that have this sha256 are the original.
"""

import json
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cnlw_tools.files import atomic_write
from cnlw_tools.registry import suggest
from cnlw_tools.store import snapshot
from cnlw_tools.store.inspect import look
from cnlw_tools.store.manifest import LICENCE, wrong_id
from cnlw_tools.store.outcomes import Failed, Tally
from cnlw_tools.store.store import Ledger, Row, Store

ENDINGS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "bmp": "bmp"}
SHARD = 10_000  # rows; its own default
DIGITS = 4  # of a row in a key
UNREADABLE = frozenset(
    {"bomb", "animated", "not_image", "decode"}
)  # what it calls failed_to_resize
TEXTS = ("image_id", "licence", "url", "key", "status", "error_message")
SIZES = ("width", "height", "original_width", "original_height")
SCHEMA = pa.schema(
    [*((n, pa.string()) for n in TEXTS), *((n, pa.int32()) for n in SIZES), ("sha256", pa.string())]
)


def export(store: Store, folder: Path) -> Counter[str]:
    """Write a store as shards of webdataset, the images as they came; return how many rows of each status.

    Raises:
        FileExistsError: there is something in the folder
        OSError: a file of the store has changed, or the folder cannot be written
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder}: is not empty: give a new folder")
    rows = (Row(*row) for row in store.query("SELECT * FROM ledger ORDER BY image_id"))
    said: Counter[str] = Counter()
    shard = 0
    while block := list(islice(rows, SHARD)):
        said += _write(store, folder, shard, block)
        shard += 1
    return said


def adopt(
    folder: Path,
    ledger: Ledger,
    column: str = "image_id",
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Take in the images that img2dataset wrote, those of status success; what the store has stays as it is.

    Args:
        folder: its output, in any of its formats but tfrecord
        ledger: the store
        column: which one holds the ids; its keys are places in a list, and no ids
        progress: is told how far it has come

    Raises:
        OSError, ValueError: it is no such folder, or a shard is damaged or not whole
    """
    shards = sorted(p for p in folder.glob("*.parquet") if p.stem.isdecimal())
    if not shards:
        raise FileNotFoundError(
            f"{folder}: no output of img2dataset (00000.parquet ...) here: give its output_folder"
        )
    tally = Tally(sum(pq.read_metadata(path).num_rows for path in shards))
    for path in shards:
        rows = _rows(path, column)
        tally.waiting += pq.read_metadata(path).num_rows - len(rows)
        for key, data in _images(path, rows):
            tally.counts[_take_in(ledger, rows.pop(key), column, data)] += 1
            tally.fetched += 1
        if rows:
            key = next(iter(rows))
            raise ValueError(
                f"{path}: {len(rows)} of its images are missing, such as {key}: copy this shard again"
            )
        progress(tally)
    snapshot.write(ledger, tally.fetched > 0)
    return tally


def _write(store: Store, folder: Path, shard: int, block: list[Row]) -> Counter[str]:
    """Write one shard, its counts last."""
    metas = [_meta(row, f"{shard * 10**DIGITS + i:0{5 + DIGITS}d}") for i, row in enumerate(block)]
    with atomic_write(folder / f"{shard:05d}.tar") as draft, tarfile.open(draft, "w") as tar:
        for row, meta in zip(block, metas, strict=True):
            if row.kind == "ok":
                ending = "jpg" if row.format == "jpeg" else row.format
                _add(tar, f"{meta['key']}.{ending}", store.read(row.image_id), row.at)
                _add(tar, f"{meta['key']}.json", json.dumps(meta, indent=4).encode(), row.at)
    with atomic_write(folder / f"{shard:05d}.parquet") as draft:
        pq.write_table(pa.Table.from_pylist(metas, SCHEMA), draft)
    said, wrong = (
        Counter(meta["status"] for meta in metas),
        Counter(meta["error_message"] for meta in metas),
    )
    counts = {"count": len(block), "successes": said["success"]}
    counts |= {name: said[name] for name in ("failed_to_download", "failed_to_resize")}
    begun, end = min(row.at for row in block), max(row.at for row in block)
    times = {"duration": end - begun, "start_time": begun, "end_time": end}
    status = {message or "success": n for message, n in wrong.most_common()}
    with atomic_write(folder / f"{shard:05d}_stats.json") as draft:
        draft.write_text(json.dumps(counts | times | {"status_dict": status}, indent=4))
    return said


def _meta(row: Row, key: str) -> dict[str, Any]:
    """Return what img2dataset says of a row."""
    failed = "failed_to_resize" if row.kind in UNREADABLE else "failed_to_download"
    status = "success" if row.kind == "ok" else failed
    why = None if row.kind == "ok" else f"{row.kind}: {row.reason}"
    texts = dict(zip(TEXTS, (row.image_id, row.licence, row.uri, key, status, why), strict=True))
    sizes = dict(zip(SIZES, (row.width, row.height, row.width, row.height), strict=True))
    return texts | sizes | {"sha256": row.sha256}


def _add(tar: tarfile.TarFile, name: str, data: bytes, at: float) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(data), int(at)
    tar.addfile(member, BytesIO(data))


def _rows(path: Path, column: str) -> dict[str, Mapping[str, Any]]:
    """Return the rows of a shard that have an image, by key."""
    there = pq.read_schema(path).names
    for name in (column, "url", "key", "status"):
        if name not in there:
            near = suggest(name, there)
            raise ValueError(
                f"{path}: column {name!r} is missing.{near} There are: {', '.join(there)}"
            )
    table = pq.read_table(
        path, columns=[name for name in there if name not in ENDINGS], partitioning=None
    )
    return {row["key"]: row for row in table.to_pylist() if row["status"] == "success"}


def _images(path: Path, rows: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the images of a shard with their keys, wherever it keeps them."""
    tar, inside = path.with_suffix(".tar"), sorted(ENDINGS.keys() & set(pq.read_schema(path).names))
    if tar.is_file():
        yield from _packed(tar, rows)
    elif inside:
        for batch in pq.ParquetFile(path).iter_batches(64, columns=["key", inside[0]]):
            yield from (
                (row["key"], row[inside[0]]) for row in batch.to_pylist() if row["key"] in rows
            )
    elif path.with_suffix("").is_dir():
        for file in sorted(path.with_suffix("").iterdir()):
            if file.stem in rows and file.suffix[1:] in ENDINGS:
                yield file.stem, file.read_bytes()


def _packed(path: Path, rows: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r|") as tar:
            for member in tar:
                key, _, ending = member.name.rpartition(".")
                if (
                    member.isfile()
                    and key in rows
                    and ending in ENDINGS
                    and (file := tar.extractfile(member))
                ):
                    yield key, file.read()
    except tarfile.TarError as error:
        raise ValueError(
            f"{path}: no tar archive, or a damaged one ({error}): copy it again"
        ) from error


def _take_in(ledger: Ledger, said: Mapping[str, Any], column: str, data: bytes) -> str:
    """Store one image, and return its class."""
    image_id = None if said[column] is None else str(said[column])
    state = ledger.states([str(image_id)]).get(str(image_id))
    if state and state.kind == "ok" and state.believed:
        return "ok"
    licences = {k: v for k, v in said.items() if isinstance(v, str) and LICENCE.search(k)}
    licence = json.dumps(licences, ensure_ascii=False) if licences else None
    row = Row(
        image_id or f"(no id, key {said['key']})",
        said["url"],
        "ok",
        None,
        0,
        time.time(),
        licence=licence,
    )
    try:
        if wrong := wrong_id(image_id):
            raise Failed("refused", wrong)
        seen = look(data)
    except Failed as failed:
        ledger.write_row(replace(row, kind=failed.kind, reason=failed.reason))
        return failed.kind
    source = "uri" if said.get("sha256") == sha256(data).hexdigest() else "img2dataset"
    mtime = ledger.write_image(row.image_id, seen.format, data)
    known = {
        name: getattr(seen, name) for name in ("sha256", "format", "width", "height", "fingerprint")
    }
    ledger.write_row(replace(row, size=len(data), mtime=mtime, source=source, **known))
    return "ok"
