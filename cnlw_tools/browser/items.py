"""What a page of pictures shows: columns of values, how to filter and sort by them, as one script.

A page of n pictures has columns of n items. A text is stored once, and items have its number:

    TextColumn    values; codes: (n,) the number of each item's value
    NumberColumn  numbers: (n,), nan where there is none
    ListColumn    fields: columns of all entries, list after list; starts: where each list begins;
                  codes: (n,) the number of each item's list

A filter offers the values of a text column, or of a text field of a list column. Filters of one
list column hold for one entry together: a vote of annotator 7 *and* against the verdict. Arrays are
written in base 64, little-endian, in as few bytes as their numbers need.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

CODE_TYPES = (np.uint8, np.uint16, np.uint32)
SCRIPT_ESCAPES = {"<": "\\u003c", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True, eq=False)
class TextColumn:
    """A text for each item."""

    values: Sequence[str]  # each once
    codes: NDArray[np.integer]  # (n,)

    def to_block(self) -> dict[str, Any]:
        """Return what the script says of it."""
        return {"kind": "text", "values": list(self.values), "codes": encode_codes(self.codes)}


@dataclass(frozen=True, slots=True, eq=False)
class NumberColumn:
    """A number for each item, or none: nan."""

    numbers: NDArray[np.floating]  # (n,)
    digits: int = 0  # behind the point, where a number is shown

    def to_block(self) -> dict[str, Any]:
        """Return what the script says of it."""
        numbers = np.ascontiguousarray(self.numbers, "<f4")
        return {"kind": "number", "numbers": _to_base64(numbers), "digits": self.digits}


@dataclass(frozen=True, slots=True, eq=False)
class ListColumn:
    """A list of entries for each item; items may share a list."""

    fields: Mapping[str, TextColumn | NumberColumn]  # of all entries
    starts: NDArray[np.integer]  # (lists + 1,) the last one is the number of entries
    codes: NDArray[np.integer]  # (n,)

    def to_block(self) -> dict[str, Any]:
        """Return what the script says of it."""
        fields = {name: column.to_block() for name, column in self.fields.items()}
        return {
            "kind": "list",
            "fields": fields,
            "starts": encode_codes(self.starts),
            "codes": encode_codes(self.codes),
        }


Column = TextColumn | NumberColumn | ListColumn


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice of one value."""

    column: str
    label: str  # what it is called
    field: str = ""  # of a list column
    texts: Sequence[tuple[str, str]] = ()  # value, what it is called; these are offered first

    @property
    def name(self) -> str:
        """The name in the page and in its address."""
        return self.field or self.column

    def to_block(self) -> dict[str, Any]:
        """Return what the script says of it."""
        return {
            "name": self.name,
            "column": self.column,
            "field": self.field,
            "label": self.label,
            "texts": [list(pair) for pair in self.texts],
        }


@dataclass(frozen=True, slots=True)
class Sort:
    """An order: by a text or a number, or by the mean of a number over the entries of a list."""

    name: str  # in the page and in its address
    label: str
    column: str
    field: str = ""  # of a list column
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """What the viewer says of a picture: the value of a column, or the entries of a list."""

    label: str
    column: str
    fields: Sequence[str] = ()  # of a list column, in the order in which they are shown


@dataclass(slots=True)
class Items:
    """All that a page shows, without the pictures. It is filled part by part."""

    title: str
    about: str  # a sentence
    n_items: int
    name: str  # the column of what a picture is called
    caption: Sequence[str]  # text columns: the first line, and what the second line joins
    mark: str  # the text column whose value marks a picture, such as "wrong"
    noun: str = "pictures"  # what the page counts
    columns: dict[str, Column] = field(default_factory=dict)
    filters: list[Filter] = field(default_factory=list)
    sorts: list[Sort] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    has_picture: NDArray[np.bool_] | None = None  # (n,); none: all have

    def name_of(self, index: int) -> str:
        """Return what a picture is called."""
        column = self.columns[self.name]
        return column.values[column.codes[index]] if isinstance(column, TextColumn) else str(index)


def encode_items(
    items: Items,
    suffixes: TextColumn | None = None,
    has_thumbnail: NDArray[np.bool_] | None = None,
) -> str:
    """Return the script that defines ``ITEMS``.

    Args:
        items: what the page shows
        suffixes: the endings of the files of the pictures; none: a server answers to .jpg
        has_thumbnail: (n,) there is a small copy of the picture; none: a server makes it
    """
    block = {
        "title": items.title,
        "about": items.about,
        "count": items.n_items,
        "columns": {name: column.to_block() for name, column in items.columns.items()},
        "name": items.name,
        "caption": list(items.caption),
        "mark": items.mark,
        "noun": items.noun,
        "filters": [choice.to_block() for choice in items.filters],
        "sorts": [_to_dict(sort) for sort in items.sorts],
        "facts": [_to_dict(fact) for fact in items.facts],
        "hasPicture": _encode_flags(items.has_picture),
        "suffixes": None if suffixes is None else suffixes.to_block(),
        "hasThumbnail": _encode_flags(has_thumbnail),
    }
    return f"const ITEMS = {to_script(block)};\n"


def to_script(value: Any) -> str:
    """Return a value as JSON that may stand in a script and in a page."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter, escape in SCRIPT_ESCAPES.items():
        text = text.replace(letter, escape)
    return text.encode(errors="replace").decode()  # a path may have bytes that are no UTF-8


def encode_codes(codes: NDArray[Any]) -> dict[str, Any]:
    """Return whole numbers from 0 as the bytes of a number, and all of them in base 64."""
    highest = int(codes.max(initial=0))
    kind = next(kind for kind in CODE_TYPES if highest <= np.iinfo(kind).max)
    array = np.ascontiguousarray(codes, np.dtype(kind).newbyteorder("<"))
    return {"bytes": array.itemsize, "data": _to_base64(array)}


def text_column(column: pa.Array | pa.ChunkedArray, missing: str = "") -> TextColumn:
    """Return texts; a value is numbered when it occurs first.

    Args:
        column: (n,) of texts
        missing: what stands for a null
    """
    texts = pc.fill_null(column.cast(pa.string()), missing)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    encoded = texts.dictionary_encode()
    return TextColumn(encoded.dictionary.to_pylist(), encoded.indices.to_numpy())


def choose_texts(codes: NDArray[np.integer], texts: Sequence[str]) -> TextColumn:
    """Return texts by their numbers in a list, which may have texts that no item has."""
    used, new_codes = np.unique(codes, return_inverse=True)
    return TextColumn([texts[code] for code in used], new_codes)


def list_column(
    item_of_entry: NDArray[np.integer],
    fields: Mapping[str, TextColumn | NumberColumn],
    n_items: int,
) -> ListColumn:
    """Return a list for each item.

    Args:
        item_of_entry: (entries,) in order
        fields: of the entries
        n_items: how many there are
    """
    counts = np.bincount(item_of_entry, minlength=n_items)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return ListColumn(fields, starts, np.arange(n_items))


def _encode_flags(flags: NDArray[np.bool_] | None) -> dict[str, Any] | None:
    return None if flags is None else encode_codes(flags.astype(np.uint8))


def _to_dict(value: Sort | Fact) -> dict[str, Any]:
    names = value.__dataclass_fields__
    return {name: getattr(value, name) for name in names}


def _to_base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()
