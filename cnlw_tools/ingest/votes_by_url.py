"""Votes in a list of candidates: a table that names them by class and url, as `cnlw new` reads it.

    class,url,annotator,correct
    rose,https://example.org/1.jpg,ann,no

So a list of candidates becomes a table of votes by two more columns. A row without an answer is no
vote.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.dataset import table_io
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.row_numbers import find_values
from cnlw_tools.dataset.row_selection import take_rows
from cnlw_tools.ingest.candidates import label_words

URL = pa.field("url", pa.string(), nullable=False)


def names_urls(table: pa.Table) -> bool:
    """Return whether a table of votes names candidates by class and url."""
    names = table.column_names
    return {"class", "url"} <= {*names} and not {"image_id", "label"} & {*names}


def name_candidates(
    table: pa.Table, file: Path, web_dataset: Dataset
) -> tuple[pa.Table, list[str]]:
    """Return the rows of a table that have an answer, with image_id and label in place of the url.

    The second value has the place of each of them in the file, for errors.

    Args:
        table: with the columns class and url
        file: what errors call it
        web_dataset: has the candidates

    Raises:
        ValueError: a class or a url is not in the dataset
    """
    words = pc.fill_null(table["class"].cast(pa.string()), "").to_pylist()
    label_of_word = label_words(web_dataset.classes)
    labels = np.array([label_of_word.get(word.strip(), -1) for word in words], np.int64)
    table_io.reject_bad_rows(
        file, "class", labels < 0, words, "there is no such class: give a name as in classes.csv"
    )
    urls = table_io.cast_column(file, URL, table["url"])
    rows = find_values(urls, web_dataset.web["uri"])
    remedy = "no candidate has this URL: add it with `cnlw import candidates`, or remove the row"
    table_io.reject_bad_rows(file, "url", rows < 0, urls, remedy)
    image_ids = take_rows(web_dataset.web.select(["image_id"]), rows)["image_id"]
    named = table.drop_columns(["class", "url"]).append_column("image_id", image_ids)
    named = named.append_column("label", pa.array(labels))
    is_answered = np.ones(len(named), bool)
    if "correct" in named.column_names:
        is_answered = named["correct"].is_valid().to_numpy()
    places = [f"row {row}" for row in np.flatnonzero(is_answered)]
    return named.filter(pa.array(is_answered)), places
