"""Rows as numbers: two rows have one number exactly if all of their values are equal."""

from collections import Counter
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.dataset import row_numbers
from cnlw_tools.dataset.row_numbers import (
    choose_parts,
    find_values,
    first_places,
    group_repeats,
    number_rows,
    repeats_before,
    surplus_rows,
)

SCHEMA = pa.schema({"id": pa.string(), "label": pa.int64(), "is_noisy": pa.bool_()})
IDS = st.one_of(st.none(), st.sampled_from(["", "a", "b", "null"]))
LABELS = st.one_of(st.none(), st.sampled_from([0, 1, -1, 1 << 62]))
BAGS = st.lists(st.tuples(IDS, LABELS, st.booleans()), max_size=12)
NUMBERS = st.lists(st.integers(0, 4), max_size=12).map(lambda values: np.array(values, np.int64))


def as_table(rows):
    """Return rows as a table in two chunks."""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    table = pa.table(columns, schema=SCHEMA)
    return pa.concat_tables([table.slice(0, 1), table.slice(1)])


@pytest.mark.parametrize("largest", [1 << 62, 4])
@pytest.mark.parametrize("part_rows", [1 << 18, 2])
@pytest.mark.parametrize("columns", [["id", "label", "is_noisy"], ["label", "is_noisy", "id"]])
@given(BAGS, BAGS)
def test_equal_rows_have_one_number(largest, part_rows, columns, first, second):
    """Of one table or of two, nulls included, in parts, and counted anew on the way or not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_numbers, "LARGEST_NUMBER", largest)
        patch.setattr(row_numbers, "PART_ROWS", part_rows)
        numbers = number_rows([as_table(first), as_table(second)], columns)
    pairs = {*zip([*first, *second], [int(n) for part in numbers for n in part], strict=True)}

    assert [len(first), len(second)] == [len(part) for part in numbers]
    assert len({*first, *second}) == len(pairs) == len({number for _, number in pairs})


@given(BAGS, BAGS)
def test_a_surplus_is_that_of_two_counters(first, second):
    """How many rows one bag has more often than another, and the first of them."""
    surplus = Counter(first) - Counter(second)
    rows = [row for row in first if row in surplus]

    n_surplus, place = surplus_rows(*number_rows([as_table(first), as_table(second)], SCHEMA.names))

    assert surplus.total() == n_surplus
    if rows:
        assert rows[0] == first[place]


@pytest.mark.parametrize("part_rows", [1 << 18, 2])
@given(st.lists(IDS, max_size=12), st.lists(IDS, max_size=12))
def test_a_value_is_found_at_its_first_place(part_rows, values, among):
    """In parts or at once; -1 for a value that is not there, and for null."""
    columns = [pa.array(values, pa.string()), pa.chunked_array([among], pa.string())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_numbers, "PART_ROWS", part_rows)
        found = find_values(*columns)

    for value, place in zip(values, found.tolist(), strict=True):
        known = value is not None and value in among
        assert (among.index(value) if known else -1) == place


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(32), pa.int64()])
def test_parts_are_of_similar_size(kind):
    """Ids, sha256 and numbers are spread evenly, and slices are where the whole is."""
    if kind == pa.int64():
        values = pa.array(range(1000))
    else:
        values = pa.array([sha256(str(i).encode()).digest() for i in range(1000)], pa.binary(32))
        texts = [value.hex() for value in values.to_pylist()]
        values = values if kind == pa.binary(32) else pa.array(texts, kind)
    parts = choose_parts(pa.chunked_array([values]), 4)
    in_slices = choose_parts(pa.chunked_array([values.slice(0, 300), values.slice(300)]), 4)

    assert parts.tolist() == in_slices.tolist()
    assert 180 < np.bincount(parts, minlength=4).min()


@given(NUMBERS)
def test_places_and_repeats_are_those_of_a_loop(numbers):
    """The first place of each number, how often it came before, and the groups of repeated ones."""
    values = numbers.tolist()
    groups: dict[int, list[int]] = {}
    for row, value in enumerate(values):
        groups.setdefault(value, []).append(row)

    assert [values.index(value) for value in values] == first_places(numbers).tolist()
    assert [values[:i].count(value) for i, value in enumerate(values)] == repeats_before(
        numbers
    ).tolist()
    assert [rows for rows in groups.values() if len(rows) > 1] == [
        rows.tolist() for rows in group_repeats(numbers)
    ]
