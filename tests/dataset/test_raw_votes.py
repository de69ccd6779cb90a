"""Each value of a vote is read by one rule; what no rule reads is an error with its place."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from cnlw_tools.dataset import raw_votes

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())
WRONG_LABELS = (1.9, "1.9", "cat", "", None, True, 10**30, "1" * 30, 2**31, -(2**31) - 1, 10**400)
WRONG_LABELS += (float("nan"), float("inf"), "1e3", [1], {"label": 1}, "0x3")
REFUSED_NUMBERS = (0, 1, 12, 10**30, 946684799, 4102444800, -SECONDS, float("inf"))
REFUSED_TEXTS = ("1999-12-31T23:59:59Z", "2100-01-01", "1970-01-01T00:00:00Z", "01/02/2026", "9e99")
REFUSED_TEXTS += ("yesterday", "0001-01-01", "2026-13-01", "9999-12-31T23:59:59-23:59", "12:00")


def read(**columns):
    """Return the votes of columns."""
    complete = {"image_id": ["a"], "label": [0]} | columns
    return raw_votes.read_columns(complete, "votes.csv")


@pytest.mark.parametrize(
    ("verdict", "values"),
    [
        (True, [True, 1, 1.0, "true", "True", "TRUE", "yes", " Yes ", "y", "1", "1.0"]),
        (False, [False, 0, 0.0, "false", "False", "FALSE", "no", "N", "0", "0.0", Decimal(0)]),
        (None, [None, float("nan"), "", " ", "unsure", "null", "NaN", "None", pd.NaT]),
    ],
)
def test_verdicts(verdict, values):
    """The word false is false, whatever its letters; nothing at all is unsure."""
    assert [verdict] * len(values) == [raw_votes.read_verdict(value) for value in values]


@pytest.mark.parametrize("value", ["cat", "2", 2, -1, 0.5, "truee", [], {}, "да"])
def test_no_verdict(value):
    """Any other value is an error that shows file, row and value."""
    with pytest.raises(ValueError, match=r"votes.csv: column 'correct', row 0: .*yes or no"):
        read(correct=[value])


@pytest.mark.parametrize("value", [3, 3.0, "3", "3.0", " 3 ", "+3", Decimal("3.00"), "3."])
def test_labels(value):
    """A whole number is a label in every notation."""
    assert [3] == read(label=[value])["label"].to_pylist()


@pytest.mark.parametrize(
    "value",
    WRONG_LABELS,
)
def test_no_label(value):
    """Another label is an error that shows file, row and value."""
    with pytest.raises(ValueError, match=r"votes.csv: column 'label', row 0: .*whole number"):
        read(label=[value])


@pytest.mark.parametrize("value", [None, "", "  ", 5, 1.0, "\ud800"])
def test_no_id(value):
    """An id that is missing or no text is an error, never the text None."""
    with pytest.raises(ValueError, match=r"column 'image_id', row 0: .*an id is a text"):
        read(image_id=[value])


@pytest.mark.parametrize(
    "value",
    [
        SECONDS,
        float(SECONDS),
        SECONDS * 10**3,
        SECONDS * 10**6,
        SECONDS * 10**9,
        str(SECONDS),
        f"{SECONDS}.0",
        f"{SECONDS}000",
        "2027-01-01T12:00:00Z",
        "2027-01-01T14:00:00+02:00",
        "2027-01-01 03:30:00-0830",
        "2027-01-01 12:00:00",
        "2027-01-01 12:00:00.000000000+00:00",
        "20270101T120000Z",
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=5))),
        pd.Timestamp(NOON),
        pd.Timestamp("2027-01-01 12:00"),
    ],
)
def test_times(value):
    """Seconds, milliseconds, ISO 8601 with offsets and the forms of pandas are one time."""
    assert [NOON] == read(at=[value])["at"].to_pylist()


def test_fractions_of_seconds():
    """A microsecond is kept, of numbers too."""
    expected = [datetime(2027, 1, 1, 12, 0, 0, 250_001, UTC)] * 3
    values = [f"{SECONDS}.250001", SECONDS + 0.250001, "2027-01-01T12:00:00.250001999Z"]

    assert expected == [raw_votes.read_time(value) for value in values]


@pytest.mark.parametrize("value", [None, "", "NaT", "nan", pd.NaT, np.nan, "null"])
def test_no_time(value):
    """A vote need not have a time."""
    assert read(at=[value])["at"].to_pylist() == [None]


def test_a_day():
    """A date is its midnight."""
    midnight = datetime(2027, 1, 1, tzinfo=UTC)

    assert [midnight] * 2 == [raw_votes.read_time(day) for day in ("2027-01-01", date(2027, 1, 1))]


@pytest.mark.parametrize(
    "value",
    [*REFUSED_NUMBERS, *REFUSED_TEXTS, datetime(1970, 1, 1), True, []],
)
def test_refused_times(value):
    """Years before 2000 and from 2100, and what is no time, are errors; nothing becomes 1970."""
    with pytest.raises(ValueError, match=r"column 'at', row 0: .*years 2000 to 2099"):
        read(at=[value])


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([7, 7.0, "7", "7.0", " 7 "], "7"),
        (["Ann@X.org", "ann@x.org "], "ann@x.org"),
        (["Jos\u00e9", "Jose\u0301"], "Jos\u00e9"),
        (["007"], "007"),
        ([None, "", " ", float("nan")], None),
    ],
)
def test_annotators(values, name):
    """An annotator has one name in every notation; leading zeros stay."""
    assert [name] * len(values) == [raw_votes.read_annotator(value) for value in values]


@pytest.mark.parametrize("value", [True, 7.5, ["ann"], {"id": 7}])
def test_no_annotator(value):
    """What is neither name nor number is an error."""
    with pytest.raises(ValueError, match=r"column 'annotator', row 0: .*a name or a number"):
        read(annotator=[value])


def test_places():
    """The error counts the bad values and names the place of the first."""
    columns = {"image_id": ["a"] * 4, "label": [0, 1.9, 2, "x"]}
    places = [f"task {number}" for number in (3, 5, 5, 9)]

    with pytest.raises(ValueError, match=r"x.json: column 'label', task 5: 1.9 \(2 such rows\)"):
        raw_votes.read_columns(columns, "x.json", places)


def test_numbers_of_json():
    """A number that JSON reads as infinite is no label."""
    with pytest.raises(ValueError, match="row 0: inf"):
        read(label=[json.loads("1e400")])


def test_no_votes():
    """A table without rows has no votes."""
    assert 0 == len(raw_votes.read_columns({"image_id": [], "label": []}, "x"))


def test_seconds():
    """A number of at least 0 is read in every notation; without one, the column is left out."""
    values = [2, 2.5, "2.5", " 1e1 ", Decimal("0.25"), 0, None, "", "nan", np.nan]
    votes = read(image_id=["a"] * 10, label=[0] * 10, seconds=values)

    expected = [2, 2.5, 2.5, 10, 0.25, 0, None, None, None, None]
    assert expected == votes["seconds"].to_pylist()
    assert "seconds" not in read(seconds=[None]).column_names
    assert "seconds" not in read().column_names


@pytest.mark.parametrize("value", [-1, "-0.5", True, "fast", "1_000", "inf", 10**10, []])
def test_no_seconds(value):
    """Another value is an error that shows file, row and value."""
    with pytest.raises(ValueError, match=r"votes.csv: column 'seconds', row 0: .*at least 0"):
        read(seconds=[value])
