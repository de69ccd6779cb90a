"""Columns that pages have of candidates: the votes on each, and what the web manifest says."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.browser.items import ListColumn, NumberColumn, TextColumn, choose_texts, text_column
from cnlw_tools.dataset.row_numbers import number_rows
from cnlw_tools.dataset.verdicts import CANDIDATE

ANSWERS = ("yes", "no", "unsure")
NO_NAME = "no name"  # of an annotator
PLAN_COLUMNS = frozenset({"image_id", "label", "split", "sha256", "dead", "withdrawn"})
Ints = NDArray[np.integer]


def vote_column(
    items: pa.Table, votes: pa.Table, further_fields: Mapping[str, TextColumn | NumberColumn] = {}
) -> ListColumn:
    """Return the votes on each item: annotator and answer, in the order of the table.

    Args:
        items: (n,) with image_id and label
        votes: of the VOTES schema
        further_fields: further fields of the votes
    """
    item_numbers, vote_numbers = number_rows([items, votes], CANDIDATE)
    order = np.argsort(vote_numbers, kind="stable")
    n_numbers = int(max(item_numbers.max(initial=-1), vote_numbers.max(initial=-1))) + 1
    counts = np.bincount(vote_numbers, minlength=n_numbers)
    fields: dict[str, TextColumn | NumberColumn] = {
        "annotator": text_column(votes["annotator"].take(pa.array(order)), NO_NAME),
        "answer": choose_texts(answer_codes(votes)[order], ANSWERS),
    }
    for name, column in further_fields.items():
        fields[name] = _take(column, order)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return ListColumn(fields, starts, item_numbers)


def hide_addresses(votes: pa.Table) -> pa.Table:
    """Return votes in which "person 1", "person 2" ... replace e-mail addresses of annotators.

    `cnlw votes import` replaces all names by numbers, but a table may come from elsewhere, and a
    page may be sent to somebody.
    """
    encoded = votes["annotator"].combine_chunks().dictionary_encode()
    names = []
    n_hidden = 0
    for name in encoded.dictionary.to_pylist():
        if "@" in name:
            n_hidden += 1
            name = f"person {n_hidden}"
        names.append(name)
    if not n_hidden:
        return votes
    column = pa.array(names, pa.string()).take(encoded.indices)
    return votes.set_column(votes.column_names.index("annotator"), "annotator", column)


def answer_codes(votes: pa.Table) -> NDArray[np.int64]:
    """Return (v,) the place of each vote in ANSWERS."""
    is_yes = pc.fill_null(votes["correct"], False).to_numpy()
    is_unsure = votes["correct"].is_null().to_numpy()
    return np.where(is_unsure, 2, np.where(is_yes, 0, 1))


def web_columns(items: pa.Table, web: pa.Table) -> dict[str, TextColumn]:
    """Return what a web manifest says of items, by its columns, and the host of each address.

    Args:
        items: (n,) with image_id and label
        web: the manifest; items that are not in it have empty texts
    """
    item_numbers, web_numbers = number_rows([items, web], CANDIDATE)
    row_of_number = np.full(
        int(max(item_numbers.max(initial=-1), web_numbers.max(initial=-1))) + 1, -1
    )
    row_of_number[web_numbers] = np.arange(len(web))
    rows = row_of_number[item_numbers]
    places = pa.array(rows, pa.int64(), mask=rows < 0)
    columns = {}
    for field in web.schema:
        if field.name in PLAN_COLUMNS or not _has_text(field.type):
            continue
        column = text_column(web[field.name].take(places))
        if column.values != [""]:
            columns[field.name] = column
    if "uri" in columns:
        columns["host"] = host_column(columns["uri"])
    return columns


def host_column(addresses: TextColumn) -> TextColumn:
    """Return the hosts of addresses; empty where there is none."""
    hosts = [find_host(address) for address in addresses.values]
    distinct = list(dict.fromkeys(hosts))
    number_of_host = {host: number for number, host in enumerate(distinct)}
    code_of_value = np.array([number_of_host[host] for host in hosts], np.int64)
    return TextColumn(distinct, code_of_value[addresses.codes])


def find_host(address: str) -> str:
    """Return the host of an address; an empty text if it has none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _take(column: TextColumn | NumberColumn, rows: Ints) -> TextColumn | NumberColumn:
    if isinstance(column, TextColumn):
        return TextColumn(column.values, column.codes[rows])
    return NumberColumn(column.numbers[rows], column.digits)


def _has_text(kind: pa.DataType) -> bool:
    """Return whether values of a type can be shown as a text."""
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return bool(is_text or is_number or pa.types.is_boolean(kind))
