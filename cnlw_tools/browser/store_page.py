"""The page of an image store: every address that was fetched, with its outcome and its picture."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePath

import numpy as np
import pyarrow as pa

from cnlw_tools.browser.candidate_columns import find_host
from cnlw_tools.browser.items import (
    Fact,
    Filter,
    Items,
    NumberColumn,
    Sort,
    TextColumn,
    text_column,
)
from cnlw_tools.browser.numbered_pictures import ReadPictures
from cnlw_tools.registry.counts import count_things
from cnlw_tools.sources.composite import CompositeReader
from cnlw_tools.store.store import Row, Store

KILOBYTE = 1000


def make_store_page(store: Store) -> tuple[Items, ReadPictures]:
    """Return what the page of a store shows, and its pictures.

    Raises:
        OSError: the ledger cannot be read
    """
    rows = list(store.rows())
    has_picture = np.array([row.outcome == "ok" for row in rows], bool)
    n_images = int(has_picture.sum())
    items = Items(
        title=PurePath(store.place).name,
        about=f"{count_things(n_images, 'image')} of {count_things(len(rows), 'address')} of the "
        f"store {store.place}",
        n_items=len(rows),
        name="id",
        caption=["result", "host"],
        mark="outcome",
        noun="addresses",
        has_picture=has_picture,
    )
    _add_texts(items, rows)
    _add_numbers(items, rows)
    ids = [row.image_id for row in rows]
    return items, ReadPictures(CompositeReader(None, {}, store), ids)


def _add_texts(items: Items, rows: Sequence[Row]) -> None:
    """Add what is a text in the ledger."""
    items.columns |= {
        "id": _texts([row.image_id for row in rows]),
        "result": _texts([_describe_result(row) for row in rows]),
        "outcome": by_frequency([row.outcome for row in rows]),
        "host": by_frequency([find_host(row.uri or "") for row in rows]),
        "format": by_frequency([row.format or "" for row in rows]),
        "source": by_frequency([row.source or "" for row in rows]),
        "status": by_frequency([str(row.status or "") for row in rows]),
        "reason": _texts([row.reason or "" for row in rows]),
        "uri": _texts([row.uri or "" for row in rows]),
        "final": _texts([_other_address(row) for row in rows]),
        "licence": _texts([row.licence or "" for row in rows]),
        "time": _texts([_describe_time(row.timestamp) for row in rows]),
    }
    items.filters += [
        Filter("outcome", "Outcome"),
        Filter("host", "Host"),
        Filter("format", "Format"),
        Filter("status", "HTTP status"),
        Filter("source", "Bytes from"),
    ]
    items.facts += [
        Fact("id", "id"),
        Fact("outcome", "outcome"),
        Fact("reason", "reason"),
        Fact("HTTP status", "status"),
        Fact("format", "format"),
        Fact("bytes from", "source"),
        Fact("address", "uri"),
        Fact("after redirects", "final"),
        Fact("licence", "licence"),
        Fact("fetched", "time"),
    ]


def _add_numbers(items: Items, rows: Sequence[Row]) -> None:
    """Add what is a number in the ledger; sizes are those of the originals."""
    sides = [(row.width or np.nan, row.height or np.nan) for row in rows]
    pixels = np.array([width * height for width, height in sides], np.float64)
    items.columns |= {
        "bytes": NumberColumn(np.array([row.size or np.nan for row in rows], np.float64)),
        "pixels": NumberColumn(pixels),
        "width": NumberColumn(np.array([width for width, _ in sides], np.float64)),
        "height": NumberColumn(np.array([height for _, height in sides], np.float64)),
        "attempts": NumberColumn(np.array([row.attempts for row in rows], np.float64)),
        "age": NumberColumn(_rank([row.timestamp for row in rows])),
    }
    items.sorts += [
        Sort("id", "id", "id"),
        Sort("large", "pixels, most first", "pixels", descending=True),
        Sort("small", "pixels, fewest first", "pixels"),
        Sort("bytes", "bytes, most first", "bytes", descending=True),
        Sort("new", "newest first", "age", descending=True),
        Sort("host", "host", "host"),
    ]
    items.facts += [
        Fact("width", "width"),
        Fact("height", "height"),
        Fact("bytes", "bytes"),
        Fact("requests", "attempts"),
    ]


def by_frequency(texts: Sequence[str]) -> TextColumn:
    """Return texts, the most frequent values first; of two such values, the smaller one."""
    counts = Counter(texts)
    values = sorted(counts, key=lambda text: (-counts[text], text))
    numbers = {value: number for number, value in enumerate(values)}
    return TextColumn(values, np.array([numbers[text] for text in texts], np.int64))


def _texts(texts: Sequence[str]) -> TextColumn:
    return text_column(pa.array(texts, pa.string()))


def _rank(times: Sequence[float]) -> np.ndarray:
    """Return the place of each time: seconds since 1970 are too large for 32 bits."""
    _, places = np.unique(np.array(times, np.float64), return_inverse=True)
    return places.astype(np.float64)


def _describe_result(row: Row) -> str:
    """Return what a fetch got: the size of an image, or the outcome."""
    if row.outcome != "ok":
        return row.outcome
    size = f"{row.width} × {row.height}" if row.width and row.height else "image"
    return f"{size}, {(row.size or 0) / KILOBYTE:,.0f} kB"


def _other_address(row: Row) -> str:
    """Return the address after redirects, if it is another one."""
    return row.final_uri or "" if row.final_uri != row.uri else ""


def _describe_time(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M UTC")
