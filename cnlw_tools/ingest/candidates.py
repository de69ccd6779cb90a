"""Candidates from a list of addresses: a CSV file with a class and a url becomes web.parquet.

    image_id   the first 16 hexadecimal digits of the sha256 of the url
    label      the number of the class
    split      web
    uri        the url
    ...        further columns of the list, as text

The id depends on nothing but the url, so the same list gives the same ids on every machine. A url
may be a candidate for several classes: a candidate is an image together with a class.

A longer list adds its new candidates behind those that the dataset has. These stay as they are,
since votes and stores refer to them; only further columns that were empty are filled in. Candidates
are compared by url and class, whatever their ids are.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.dataset import dataset, tables
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.row_numbers import first_places, number_rows
from cnlw_tools.dataset.row_selection import filter_rows, take_or_null
from cnlw_tools.dataset.tables import MANIFEST, ManifestInfo
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.files.locks import wait_for_lock
from cnlw_tools.files.texts import NumberedRow, stream_csv
from cnlw_tools.files.untrusted import translate_errors
from cnlw_tools.ingest.import_dataset import Import, check_dataset_name, import_source
from cnlw_tools.registry import suggest
from cnlw_tools.registry.counts import list_first, shorten
from cnlw_tools.sources import open_new_source
from cnlw_tools.sources.formats.listing import enumerate_names

FORM = "the columns are class,url, and any others, which are kept"
USUAL_WORDS = {  # how people call a column, in small letters, without blanks, - and _
    "class": ("label", "classname", "category", "name", "classid", "concept", "synset"),
    "url": ("uri", "link", "address", "imageurl", "imagelink", "href", "src", "contenturl"),
}
OWN_COLUMNS = frozenset({*MANIFEST.names, "dead", "withdrawn"})  # of web.parquet
ID_DIGITS = 16
URL = re.compile(r"https?://[^\s/?#]+([/?#][^\x00-\x1f\x7f]*)?", re.IGNORECASE)
MAX_URL = 8192  # characters
BLOCK_ROWS = 50_000  # whose values are Python objects at a time
URL_AND_CLASS = ["uri", "label"]  # what a candidate is compared by


class CandidateList(NamedTuple):
    """What a list of candidates holds."""

    candidates: pa.Table  # of the MANIFEST schema, with further columns of text
    n_repeated: int  # lines with the url and the class of an earlier one


class ImportedCandidates(NamedTuple):
    """What an import of candidates did."""

    path: Path  # of the candidates of the dataset
    n_candidates: int  # of the dataset, after the import
    n_new: int
    n_repeated: int  # lines with the url and the class of an earlier one
    classes_without: tuple[str, ...]  # the names of classes without a candidate


class NewDataset(NamedTuple):
    """What `create_dataset` did."""

    photographs: Import
    candidates: ImportedCandidates


def create_dataset(
    name: str,
    photographs: Path,
    candidates: Path,
    root: Path,
    *,
    validation: int = 0,
    skip_broken: Path | str | None = None,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> NewDataset:
    """Write the tables of photographs in class folders, and of candidates from the web.

    The list of candidates is read first, so that nothing is written if it has an error. If the
    dataset is there already, new candidates are added to it.

    Args:
        name: of the dataset
        photographs: class folders, or a CSV file; see sources/folder.py
        candidates: a CSV file with the columns class and url
        root: the folder that holds `manifests/`
        validation: percent of each class that moves from train to validation
        skip_broken: a CSV file, or its address, to list photographs in that cannot be used: leave
            these out
        executor, progress: where photographs are read, and what is told how many are done

    Raises:
        ValueError, LookupError: a line of the list, a photograph or the name is wrong
        OSError: the files are not there, or cannot be written
    """
    check_dataset_name(name)
    classes = open_new_source(ManifestInfo("folder"), photographs).classes()
    candidate_list = read_candidates(candidates, classes)
    imported = import_source(
        "folder",
        photographs,
        name,
        root,
        validation=validation,
        skip_broken=skip_broken,
        executor=executor,
        progress=progress,
    )
    return NewDataset(imported, _add_list(candidate_list, candidates, name, root))


def add_candidates(file: Path, name: str, root: Path) -> ImportedCandidates:
    """Add the candidates of a list to a dataset: all of them, or none in case of an error.

    Raises:
        LookupError: there is no such dataset
        ValueError: a line is wrong; the message has its number
        OSError: there is no such file, or the candidates cannot be written
    """
    dataset.check_writable(name, root)
    classes = tables.read_classes(root / "manifests" / name / "classes.csv")
    return _add_list(read_candidates(file, classes), file, name, root)


def _add_list(
    candidate_list: CandidateList, file: Path, name: str, root: Path
) -> ImportedCandidates:
    """Join the candidates of a list to those of a dataset, and write them if any changed."""
    folder = root / "manifests" / name
    path = folder / "web.parquet"
    with wait_for_lock(folder):
        existing = dataset.read_dataset(name, root)
        web = _join(existing.web, candidate_list.candidates, file)
        if not path.exists() or not web.equals(existing.web):
            existing.with_web(web, existing.votes, str(file))  # an error before anything is written
            tables.write_parquet(web, path)
    return ImportedCandidates(
        path,
        n_candidates=len(web),
        n_new=len(web) - len(existing.web),
        n_repeated=candidate_list.n_repeated,
        classes_without=_classes_without(web, existing),
    )


def _classes_without(web: pa.Table, existing: Dataset) -> tuple[str, ...]:
    counts = np.bincount(web["label"].to_numpy(), minlength=len(existing.classes))
    return tuple(existing.classes[label] for label in np.flatnonzero(counts == 0))


def _join(old: pa.Table, new: pa.Table, file: Path) -> pa.Table:
    """Return the old candidates with their further columns filled in, and the new ones after them.

    Raises:
        ValueError: a further column of the list has values of another type than the old one
    """
    new = _cast_further_columns(new, old.schema, file)
    old_numbers, new_numbers = number_rows([old, new], URL_AND_CLASS)
    place = np.full(len(old) + len(new), -1)  # by number: where in the list a candidate is
    place[new_numbers] = np.arange(len(new))
    row_in_list = place[old_numbers]
    for name in new.column_names:
        if name not in MANIFEST.names:
            old = _fill_column(old, name, take_or_null(new[name], row_in_list))
    is_new = ~np.isin(new_numbers, old_numbers)
    added = filter_rows(new, is_new)
    web = pa.concat_tables([old, added], promote_options="default")
    return web.replace_schema_metadata(old.schema.metadata)


def _fill_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """Return a table whose empty values in a column are filled in; the column may be missing."""
    if name not in table.column_names:
        return table.append_column(name, values)
    column = pc.coalesce(table[name], pa.chunked_array([values]))
    return table.set_column(table.column_names.index(name), name, column)


def _cast_further_columns(new: pa.Table, schema: pa.Schema, file: Path) -> pa.Table:
    """Return the list with its further columns in the types that the dataset has for them."""
    for name in new.column_names:
        if name not in MANIFEST.names and name in schema.names:
            target = schema.field(name).type
            place = f"{file}: column {name!r}"
            remedy = f"rename the column, since web.parquet has it as {target}"
            with translate_errors(place, str(target), remedy):
                column = new[name].cast(target)
            new = new.set_column(new.column_names.index(name), name, column)
    return new


def read_candidates(file: Path, classes: Sequence[str]) -> CandidateList:
    """Return the candidates of a list, each once, in the order of the file.

    Args:
        file: CSV in UTF-8; commas, semicolons, tabs or bars separate its columns
        classes: names of classes, by label

    Raises:
        ValueError: a line is wrong; the message has its number, the value and the remedy
        OSError: there is no such file
    """
    with stream_csv(file) as (names, rows):
        columns = _find_columns(names, file)
        reader = _LineReader(file, columns, label_words(classes), classes, len(names))
        parts = []
        while block := list(islice(rows, BLOCK_ROWS)):
            parts.append(reader.make_table(block))
    table = pa.concat_tables([reader.make_table([]), *parts])
    if not len(table):
        raise ValueError(f"{file}: there is no candidate: add a line for each; {FORM}")
    (numbers,) = number_rows([table], URL_AND_CLASS)
    is_first = first_places(numbers) == np.arange(len(table))
    return CandidateList(filter_rows(table, is_first), int(np.count_nonzero(~is_first)))


def make_image_id(url: str) -> str:
    """Return the id of the candidate at an address."""
    return sha256(url.encode()).hexdigest()[:ID_DIGITS]


def _find_columns(names: Sequence[str], file: Path) -> Mapping[str, int]:
    """Return the position of each column that has a name: class and url in small letters.

    Raises:
        ValueError: class or url is missing, a name occurs twice, or belongs to the manifest
    """
    positions: dict[str, int] = {}
    for position, name in enumerate(names):
        column = name.casefold() if name.casefold() in USUAL_WORDS else name
        if column in positions:
            raise ValueError(
                f"{file}: two columns are called {shorten(repr(column))}: rename one of them"
            )
        if column:
            positions[column] = position
    for column in USUAL_WORDS:
        if column not in positions:
            raise ValueError(_missing_column(column, list(positions), file))
    for column in positions:
        if column in OWN_COLUMNS:
            raise ValueError(
                f"{file}: the column {column!r} has the name of a column of web.parquet: rename "
                "it, or leave it out"
            )
    return positions


def _missing_column(column: str, names: Sequence[str], file: Path) -> str:
    """Return an error that names a column which may be meant, if there is one."""
    remedy = f"rename one, or add a first line with the names; {FORM}"
    for name in names:
        if re.sub(r"[\s_-]", "", name).casefold() in USUAL_WORDS[column]:
            remedy = f"if {name!r} is meant, rename it to {column!r}"
            break
    columns = list_first([shorten(repr(name)) for name in names]) or "none"
    return f"{file}: there is no column {column!r}; the columns are {columns}: {remedy}"


def label_words(classes: Sequence[str]) -> dict[str, int]:
    """Return the label that each word in the column ``class`` means.

    A word is the name of a class. A number is the label, unless a class has a number as its name:
    then it would be unclear which of the two is meant.
    """
    labels = {normalize("NFC", name): label for label, name in enumerate(classes)}
    if not any(name.isdecimal() for name in labels):
        labels |= {str(label): label for label in range(len(classes))}
    return labels


class _LineReader:
    """Makes candidates of lines."""

    def __init__(
        self,
        file: Path,
        columns: Mapping[str, int],
        labels: Mapping[str, int],
        classes: Sequence[str],
        n_columns: int,
    ) -> None:
        self.file = file
        self.labels = labels
        self.classes = classes
        self.n_columns = n_columns
        self.class_position = columns["class"]
        self.url_position = columns["url"]
        further = {name: i for name, i in columns.items() if name not in USUAL_WORDS}
        self.further_columns = further

    def make_table(self, rows: Sequence[NumberedRow]) -> pa.Table:
        """Return the candidates of rows; rows without any value are left out.

        Raises:
            ValueError: see `read_candidates`
        """
        labels = []
        urls = []
        values_of_rows = []
        for line, values in self._complete_rows(rows):
            labels.append(self._read_label(values[self.class_position], line))
            urls.append(self._read_url(values[self.url_position], line))
            values_of_rows.append(values)
        n_rows = len(urls)
        table = pa.table(
            [
                pa.array(map(make_image_id, urls), pa.string(), size=n_rows),
                pa.array(labels, pa.int32()),
                pa.repeat(pa.scalar("web"), n_rows),
                pa.array(urls, pa.string()),
                pa.nulls(n_rows, pa.string()),
            ],
            MANIFEST,
        )
        for name, position in self.further_columns.items():
            texts = [values[position] or None for values in values_of_rows]
            table = table.append_column(name, pa.array(texts, pa.string()))
        return table

    def _complete_rows(self, rows: Sequence[NumberedRow]) -> Iterator[NumberedRow]:
        """Yield the rows that have a value, each with as many values as there are columns."""
        for line, values in rows:
            if not any(values):
                continue
            n_missing = self.n_columns - len(values)
            if n_missing < 0 and any(values[n_missing:]):
                raise ValueError(
                    f"{self.file}: line {line}: {len(values)} values for {self.n_columns} "
                    'columns: put a value that contains a separator into quotes, "a,b.jpg"'
                )
            yield NumberedRow(line, values + [""] * n_missing)

    def _read_label(self, word: str, line: int) -> int:
        label = self.labels.get(word)
        if label is None:
            label = self.labels.get(normalize("NFC", word))
        if label is None:
            problem = f"unknown class {shorten(repr(word))}.{suggest(word, self.labels)}"
            if not word:
                problem = "there is no class."
            raise ValueError(
                f"{self.file}: line {line}: {problem} The classes are "
                f"{enumerate_names(self.classes)}: correct the class, remove the line, or import "
                "images of this class first"
            )
        return label

    def _read_url(self, text: str, line: int) -> str:
        if len(text) > MAX_URL:
            raise ValueError(
                f"{self.file}: line {line}: the url has {len(text):,} characters, and at most "
                f"{MAX_URL:,} are read: give a shorter one, or remove the line"
            )
        if not URL.fullmatch(text):
            problem = f"{text[:200]!r} is not an address" if text else "there is no url"
            raise ValueError(
                f"{self.file}: line {line}: {problem}: give one that begins with http:// or "
                "https://, or remove the line"
            )
        return text
