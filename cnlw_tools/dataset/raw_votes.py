"""Votes as people and programs write them: one rule a column, whatever the type of a value.

    image_id   text
    label      a whole number: 3, 3.0, "3"
    annotator  a name or a number: 7, 7.0 and "7" are one, and so are the two Unicode forms of a
               name and an e-mail address in capital and small letters; empty: none. Spellings of
               a name that differ in capitals or blanks are one person (`fold_annotator`), unless
               the key of the dataset has numbers for both (ingest/annotators.py)
    correct    true, yes, 1, false, no, 0 ..., in capital or small letters; empty: unsure
    seconds    a number of at least 0: how long the picture was in view; empty: not measured
    at         ISO 8601 with or without an offset (none: UTC), or a number of seconds, milliseconds,
               microseconds or nanoseconds since 1970; from 2000 to 2099, so the units cannot be
               mistaken for each other; empty: none

Any other value is an error that shows the value and the place. Nothing is guessed.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
import pyarrow as pa

from cnlw_tools.dataset.table_io import reject_bad_rows
from cnlw_tools.dataset.tables import SECONDS, VOTES

YES = frozenset({"true", "t", "yes", "y", "1", "1.0"})
NO = frozenset({"false", "f", "no", "n", "0", "0.0"})
UNSURE = frozenset({"unsure"})
MISSING = frozenset({"", "null", "none", "nan", "nat", "na", "<na>"})  # as pandas and others write
NUMBER_POINT_ZERO = re.compile(r"([0-9]+)\.0+")
WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?")
DECIMAL_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]*)?")
MAX_LABEL = (1 << 31) - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_TIME = datetime(2000, 1, 1, tzinfo=UTC)
END_OF_TIME = datetime(2100, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MAX_SECONDS = 10**9  # 32 years
UNITS_PER_SECOND = (1, 10**3, 10**6, 10**9)


class Rule(NamedTuple):
    """How to read the values of a column."""

    read: Callable[[Any], Any]  # raises ValueError for a value that it does not understand
    remedy: str


def read_columns(
    columns: Mapping[str, Sequence[Any]],
    path: str,
    places: Sequence[str] | None = None,
) -> pa.Table:
    """Return votes, of the VOTES schema; with a column ``seconds`` if a vote has them.

    Args:
        columns: by name, (n,) values each; a column that may be empty may be missing
        path: what error messages call the file
        places: (n,) where in the file a vote is, for error messages; rows if not given

    Raises:
        ValueError: a value is not understood
    """
    n_votes = len(columns["image_id"])
    arrays = []
    for field in VOTES:
        values = columns.get(field.name, [None] * n_votes)
        arrays.append(_read_column(values, field, path, places))
    votes = pa.table(arrays, VOTES)
    if SECONDS.name in columns:
        seconds = _read_column(columns[SECONDS.name], SECONDS, path, places)
        votes = votes.append_column(SECONDS, seconds)
    return drop_empty_seconds(votes)


def drop_empty_seconds(votes: pa.Table) -> pa.Table:
    """Return votes without their column ``seconds`` if none of them has a value there."""
    name = SECONDS.name
    if name in votes.column_names and votes[name].null_count == len(votes):
        return votes.drop_columns([name])
    return votes


def _read_column(
    values: Sequence[Any],
    field: pa.Field,
    path: str,
    places: Sequence[str] | None,
) -> pa.Array:
    rule = RULES[field.name]
    read_once = lru_cache(None, typed=True)(rule.read)  # equal values many times
    results = []
    is_bad = np.zeros(len(values), bool)
    for row, value in enumerate(values):
        try:
            results.append(read_once(value))
        except (ValueError, TypeError):  # a list or an object of JSON cannot be looked up
            is_bad[row] = True
    reject_bad_rows(path, field.name, is_bad, values, rule.remedy, places)
    return pa.array(results, field.type)


def read_text(value: Any) -> str:
    """Return a text that is not blank and can be stored as UTF-8."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    value.encode()
    return value


def read_label(value: Any) -> int:
    """Return a whole number of 32 bits."""
    number = _read_whole_number(value)
    if abs(number) > MAX_LABEL:
        raise ValueError(value)
    return number


def read_annotator(value: Any) -> str | None:
    """Return a name or a number as text, in one form; none if it is missing."""
    if not isinstance(value, str):
        return None if _is_missing(value) else str(_read_whole_number(value))
    if not value.strip():
        return None
    name = normalize("NFC", read_text(value).strip())
    match = NUMBER_POINT_ZERO.fullmatch(name)
    if match is not None:
        return match[1]
    return name.lower() if "@" in name else name


def fold_annotator(name: str) -> str:
    """Return what all spellings of a person's name share, whatever their capitals and blanks.

    Args:
        name: as `read_annotator` returns it
    """
    return normalize("NFC", " ".join(name.split()).casefold())


def read_verdict(value: Any) -> bool | None:
    """Return whether the image shows the class; none: unsure."""
    if _is_missing(value):
        return None
    word = str(value).strip().casefold()
    if word in YES:
        return True
    if word in NO:
        return False
    if word in UNSURE or word in MISSING:
        return None
    raise ValueError(value)


def read_time(value: Any) -> datetime | None:
    """Return a time; none if it is missing."""
    if isinstance(value, str):
        value = _read_time_text(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime) or _is_missing(value):
        return None if _is_missing(value) else _read_timestamp(value)
    instant = value if value.tzinfo else value.replace(tzinfo=UTC)
    if not FIRST_TIME <= instant < END_OF_TIME:
        raise ValueError(value)
    return instant.astimezone(UTC)


def read_seconds(value: Any) -> float | None:
    """Return a duration in seconds; none if it is missing."""
    if isinstance(value, str):
        text = value.strip()
        value = None if text.casefold() in MISSING else float(text.replace("_", "?"))
    if _is_missing(value):
        return None
    if not _is_finite_number(value) or not 0 <= value <= MAX_SECONDS:
        raise ValueError(value)
    return float(value)


def _read_whole_number(value: Any) -> int:
    """Return a whole number that is written as such or with zeros behind the point."""
    if isinstance(value, str):
        match = WHOLE_NUMBER.fullmatch(value.strip())
        if match is None:
            raise ValueError(value)
        return int(match[1])
    if not _is_finite_number(value) or value != int(value):
        raise ValueError(value)
    return int(value)


def _read_time_text(text: str) -> Any:
    """Return what a text says: a time, a number, or none."""
    if text[4:5] == "-":  # the usual form first: it is the fastest
        return datetime.fromisoformat(text)
    if text.casefold() in MISSING:
        return None
    if DECIMAL_NUMBER.fullmatch(text):
        return Decimal(text)
    return datetime.fromisoformat(text)


def _read_timestamp(value: Any) -> datetime:
    """Return the time that a number stands for in one of the units."""
    if not _is_finite_number(value):
        raise ValueError(value)
    begin = (FIRST_TIME - EPOCH) // MICROSECOND
    end = (END_OF_TIME - EPOCH) // MICROSECOND
    for units in UNITS_PER_SECOND:
        microseconds = round(Decimal(value) * 10**6 / units)
        if begin <= microseconds < end:
            return EPOCH + microseconds * MICROSECOND
    raise ValueError(value)


def _is_finite_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, float | Decimal) and math.isfinite(value)


def _is_missing(value: Any) -> bool:
    """Tell whether a value stands for no value: None, NaN, NaT."""
    return value is None or value != value


RULES: Mapping[str, Rule] = {
    "image_id": Rule(read_text, "an id is a text that is not empty: give it as in the manifest"),
    "label": Rule(read_label, "a label is a whole number from 0, as in classes.csv"),
    "annotator": Rule(read_annotator, "an annotator is a name or a number"),
    "correct": Rule(
        read_verdict, "a verdict is true or false, yes or no, 1 or 0, or empty: unsure"
    ),
    "at": Rule(
        read_time,
        "a time is ISO 8601, such as 2026-01-31T12:00:00+01:00, or seconds since 1970, and in the "
        "years 2000 to 2099; or leave it empty",
    ),
    "seconds": Rule(read_seconds, "give seconds as a number of at least 0, or leave it empty"),
}
