"""Annotators become numbers, so that no name and no address of a person goes into a build.

    annotators/NAME.csv    number, name: the key of the dataset NAME, in the project folder

Files of votes call a person by number, by name or by e-mail address, and an export of Label Studio
by number and address at once. The key has a row for each of these names. All names of a person have
one number, which stays. A name that is a small number stays as it is, unless another person has
this number already. `consensus`, who stands for published verdicts, is not a person.

Spellings of a name that differ in capitals or blanks are one person. If the key of an earlier
version has two such spellings with a number for each, both keep their numbers.

Only imports read the key. Only its owner can read the file, and git passes it over.
"""

import csv
import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa

from cnlw_tools.dataset import table_io
from cnlw_tools.dataset.raw_votes import fold_annotator
from cnlw_tools.files import atomic_write

NOBODY = "consensus"
SMALL_NUMBER = re.compile("0|[1-9][0-9]{0,8}")
KEY = pa.schema(
    [
        pa.field("number", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
    ]
)
Person = Sequence[str]  # all names that a file has for one person


class AnnotatorKey:
    """The numbers of the annotators of a dataset.

    Args:
        path: of the file; without it the key is empty

    Raises:
        ValueError: the file is not a key
        PermissionError: the file may not be read
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.numbers = _read_numbers(path)  # by name
        self.moved: dict[str, str] = {}  # numbers of people who turned out to have another one
        self.used = set(self.numbers.values())
        self._spellings: dict[str, str] = {}  # the first spelling of each name
        for name in self.numbers:
            self._add_spelling(name)
        self._candidates = map(str, count(1))

    def find(self, name: str) -> str | None:
        """Return the number of a person, if one of the spellings of the name has one."""
        if name in self.numbers or is_number(name):
            return self.numbers.get(name)
        spelling = self._spellings.get(fold_annotator(name))
        return None if spelling is None else self.numbers[spelling]

    def add_people(self, people: Iterable[Person], file: str) -> None:
        """Give a number to each person of a file of votes.

        People whose name can be their number come first.

        Raises:
            ValueError: a person had another address before
        """
        for names in sorted(people, key=self._needs_number):
            numbers = [number for number in map(self.find, names) if number is not None]
            number = numbers[0] if numbers else self._new_number(names[0])
            self._check_address(number, names, file)
            for other_number in numbers[1:]:
                self._move(other_number, number)
            for name in names:
                self.numbers[name] = number
                self._add_spelling(name)

    def add_annotators(self, votes: pa.Table) -> None:
        """Give a number to each annotator of the dataset's own votes who has none.

        Votes that an earlier version imported may have names.
        """
        for annotator in annotator_names(votes):
            if annotator not in self.used:
                self.add_people([[annotator]], str(self.path))

    def replace_names(self, votes: pa.Table) -> pa.Table:
        """Return the votes of a file with numbers instead of names."""
        return _replace_annotators(votes, self.numbers.__getitem__)

    def replace_numbers(self, votes: pa.Table) -> pa.Table:
        """Return the dataset's own votes with the numbers that annotators have now."""

        def number_now(annotator: str) -> str:
            if is_number(annotator):
                return self.moved.get(annotator, annotator)
            return self.numbers[annotator]

        return _replace_annotators(votes, number_now)

    def name_of(self, number: str) -> str:
        """Return the first name of an annotator."""
        return self._names_of(number)[0]

    def write(self) -> None:
        """Write the key, readable by its owner only, unless names and numbers are the same.

        Raises:
            OSError: it cannot be written
        """
        rows = [(number, name) for name, number in self.numbers.items()]
        if all(number == name for number, name in rows):
            return
        rows.sort(key=lambda row: (len(row[0]), row))
        with atomic_write(self.path.with_name(".gitignore")) as draft:
            draft.write_text("*\n")
        with atomic_write(self.path) as draft:
            draft.chmod(0o600)
            with draft.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(KEY.names)
                writer.writerows(rows)

    def _add_spelling(self, name: str) -> None:
        if not is_number(name):
            self._spellings.setdefault(fold_annotator(name), name)

    def _needs_number(self, person: Person) -> bool:
        """Tell whether a person's name cannot be the number."""
        return not is_number(person[0]) or person[0] in self.used

    def _names_of(self, number: str) -> list[str]:
        return [name for name, own_number in self.numbers.items() if own_number == number]

    def _new_number(self, name: str) -> str:
        """Return a number that nobody has: the name, if it is such a number."""
        number = name
        if not is_number(name) or name in self.used:
            number = next(candidate for candidate in self._candidates if candidate not in self.used)
        self.used.add(number)
        return number

    def _move(self, old_number: str, number: str) -> None:
        """Give all votes of a number to another one, which is the same person."""
        for name in self._names_of(old_number):
            self.numbers[name] = number
        self.moved[old_number] = number

    def _check_address(self, number: str, names: Person, file: str) -> None:
        if len(names) == 1:
            return
        old_addresses = [name for name in self._names_of(number) if "@" in name]
        new_addresses = [name for name in names if "@" in name and name not in old_addresses]
        if old_addresses and new_addresses:
            raise ValueError(
                f"{file}: annotator {names[0]} is {new_addresses[0]} here, but "
                f"{old_addresses[0]} in {self.path}: if this is one person, add the row "
                f"{number},{new_addresses[0]} there; if not, give one of them another number in "
                "the export"
            )


def key_path(dataset_name: str, root: Path) -> Path:
    """Return where the key of a dataset lies."""
    return root / "annotators" / f"{dataset_name}.csv"


def annotator_names(votes: pa.Table) -> list[str]:
    """Return the annotators of votes in the order of their first votes."""
    names: list[str] = votes["annotator"].unique().drop_null().to_pylist()
    return names


def is_number(name: str) -> bool:
    """Tell whether a name says nothing about a person."""
    return SMALL_NUMBER.fullmatch(name) is not None or name == NOBODY


def _read_numbers(path: Path) -> dict[str, str]:
    """Return the numbers of a key by name."""
    if not path.exists():
        return {}
    if not os.access(path, os.R_OK):
        raise PermissionError(
            f"{path}: only the owner of this file can read it: import votes as that user, or "
            "ask them to "
            "let you read and write it"
        )
    key = table_io.read_table(path, KEY)
    table_io.reject_duplicates(path, key, ["name"], "keep one row of each name")
    numbers: list[str] = key["number"].to_pylist()
    is_bad = np.array([not is_number(number) for number in numbers], bool)
    remedy = "a number has at most nine digits"
    table_io.reject_bad_rows(path, "number", is_bad, numbers, remedy)
    return dict(zip(key["name"].to_pylist(), numbers, strict=True))


def _replace_annotators(votes: pa.Table, new_name: Callable[[str], str]) -> pa.Table:
    encoded = votes["annotator"].combine_chunks().dictionary_encode()
    names = [new_name(name) for name in encoded.dictionary.to_pylist()]
    annotators = pa.array(names, pa.string()).take(encoded.indices)
    position = votes.column_names.index("annotator")
    return votes.set_column(position, votes.schema.field(position), annotators)
