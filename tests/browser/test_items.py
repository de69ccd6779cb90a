"""Columns of a page of pictures, and the script that they become."""

import json
import math
import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.browser.items import (
    Filter,
    Items,
    ListColumn,
    NumberColumn,
    TextColumn,
    choose_texts,
    encode_codes,
    encode_items,
    list_column,
    text_column,
    to_script,
)
from tests.browser.scripts import read_codes, read_column, read_script

ATTACK = "</script><script>alert(1)</script><!--\u2028\u2029'\"\\"


def make_items(n: int, **columns) -> Items:
    items = Items("title", "about", n, "id", ["id"], "id")
    items.columns.update(columns)
    return items


@given(st.lists(st.none() | st.text()))
def test_texts_come_back(texts: list[str | None]) -> None:
    """Whatever a stranger wrote; a null is the text that stands for it."""
    texts = [text if text is None else text.encode(errors="replace").decode() for text in texts]
    column = text_column(pa.chunked_array([pa.array(texts, pa.string())]), "none")
    script = encode_items(make_items(len(texts), id=column))

    expected = ["none" if text is None else text for text in texts]
    assert read_column(read_script(script)["columns"]["id"]) == expected
    assert len(set(column.values)) == len(column.values)


@given(st.lists(st.integers(0, (1 << 32) - 1)))
def test_codes_come_back_in_as_few_bytes_as_they_need(numbers: list[int]) -> None:
    """One byte up to 255, two up to 65,535, four up to 2^32 - 1."""
    block = encode_codes(np.array(numbers, np.int64))

    assert read_codes(block) == numbers
    highest = max(numbers, default=0)
    assert block["bytes"] == (1 if highest < 256 else 2 if highest < 65_536 else 4)


def test_numbers_come_back() -> None:
    """A missing one is nan, which JSON has not."""
    column = NumberColumn(np.array([0.5, math.nan, -1e9]), digits=2)

    assert read_column(column.to_block()) == [0.5, None, -1e9]
    assert column.to_block()["digits"] == 2


def test_lists_come_back() -> None:
    """Items may share a list, and a list may be empty."""
    fields = {
        "who": TextColumn(["a", "b"], np.array([0, 1, 1])),
        "n": NumberColumn(np.array([1.0, 2.0, 3.0])),
    }
    column = ListColumn(fields, np.array([0, 1, 1, 3]), np.array([2, 0, 1, 2]))

    long = [{"who": "b", "n": 2.0}, {"who": "b", "n": 3.0}]
    assert read_column(column.to_block()) == [long, [{"who": "a", "n": 1.0}], [], long]


@given(st.lists(st.integers(0, 4)).map(sorted))
def test_each_item_has_the_list_of_its_entries(item_of_entry: list[int]) -> None:
    """An item without an entry has an empty list."""
    numbers = np.arange(len(item_of_entry), dtype=float)
    column = list_column(np.array(item_of_entry, np.int64), {"n": NumberColumn(numbers)}, n_items=6)

    expected = []
    for item in range(6):
        expected.append([{"n": float(i)} for i, owner in enumerate(item_of_entry) if owner == item])
    assert read_column(column.to_block()) == expected


def test_texts_by_number_are_only_those_in_use() -> None:
    """So no choice of a page is empty from the start."""
    column = choose_texts(np.array([3, 1, 3]), ["a", "b", "c", "d"])

    assert column.values == ["b", "d"]
    assert read_column(column.to_block()) == ["d", "b", "d"]


def test_no_text_can_end_the_script() -> None:
    """Neither a tag nor a line separator stands in the script as it is."""
    column = text_column(pa.array([ATTACK]))
    items = make_items(1, id=column)
    items.title = items.about = ATTACK
    items.filters.append(Filter("id", ATTACK, texts=[(ATTACK, ATTACK)]))
    script = encode_items(items)

    assert "<" not in script
    assert len(script.splitlines()) == 1
    block = read_script(script)
    assert block["title"] == ATTACK
    assert block["filters"][0]["texts"] == [[ATTACK, ATTACK]]


def test_a_number_that_json_lacks_is_an_error() -> None:
    """Rather than a script that no browser reads."""
    with pytest.raises(ValueError, match="JSON"):
        to_script({"x": math.nan})
    assert json.loads(to_script({"x": "<"})) == {"x": "<"}


def test_a_path_that_is_no_text_can_be_shown() -> None:
    """A name of a folder may be any bytes, but a script is UTF-8."""
    assert '{"x":"b?d"}' == to_script({"x": os.fsdecode(b"b\xffd")})
