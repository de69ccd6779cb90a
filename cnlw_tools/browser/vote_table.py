"""Votes that people give in a browser go at once into annotations/NAME/votes.parquet.

A vote is answered when it is on the disk. Votes that wait are written together: one thread takes
all of them, joins them under the lock that imports use, and writes the table once. Between two
writes the table stays in memory. If somebody else wrote the file meanwhile, such as an import or a
second server, it is read again before a write, and before the page asks what comes next.

A person has one vote on a candidate, the later one, as in an import (ingest/import_votes.py). To
undo a vote means to put in its place what was there before, unless it was changed since.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.dataset import dataset, raw_votes, tables
from cnlw_tools.files.locks import wait_for_lock
from cnlw_tools.ingest.annotators import AnnotatorKey, key_path
from cnlw_tools.ingest.import_votes import require_candidates, votes_path, with_seconds

Ints = NDArray[np.int64]
Place = tuple[int, str]  # a candidate and the number of an annotator
Replaced = dict[tuple[Place, int | None], "Given | None"]  # by place and time of the later vote
Signature = tuple[int, int, int] | None  # of a file; none: there is no such file
YES, NO, UNSURE = range(3)  # columns of the counts
NOBODY = -1  # the code of a vote without an annotator
REPETITIVE = ["label", "annotator"]  # columns of which each value occurs often
MAX_REPLACED = 20_000  # votes that are known when they come once more
MAX_CHUNKS = 64  # of the table in memory


class Given(NamedTuple):
    """What a person said of a candidate."""

    correct: bool | None  # none: unsure
    at: int | None  # microseconds since 1970; none: not known
    seconds: float | None = None  # how long the picture was in view


class Change(NamedTuple):
    """A vote, or the undoing of one."""

    candidate: int  # row of the web manifest
    person: str  # the name, as `raw_votes.read_annotator` writes it
    given: Given | None  # what is to be there; none: no vote
    undone_at: int | None = None  # of an undoing: the time of the vote that is undone


class Outcome(NamedTuple):
    """What became of a change."""

    former: Given | None  # what was there before
    is_applied: bool  # false: a later vote is there


@dataclass(frozen=True)
class Standing:
    """The votes at one moment."""

    votes: pa.Table  # of the VOTES schema, with numbers of annotators, and maybe SECONDS
    candidate: Ints  # (v,) row of the web manifest that each is on
    annotator: Ints  # (v,) code of the annotator; NOBODY if there is none
    counts: Ints  # (n, 3) votes of yes, no and unsure on each candidate
    codes: dict[str, int]  # of annotators, by number

    def rows_of(self, number: str | None) -> Ints:
        """Return the rows of the votes of an annotator, (k,)."""
        code = self.codes.get(number or "", NOBODY - 1)
        return np.flatnonzero(self.annotator == code)

    def find(self, candidate: int, number: str) -> int | None:
        """Return the row of the vote of an annotator on a candidate, if there is one."""
        code = self.codes.get(number, NOBODY - 1)
        rows = np.flatnonzero((self.annotator == code) & (self.candidate == candidate))
        return int(rows[0]) if len(rows) else None

    def read(self, row: int) -> Given:
        """Return what a vote says."""
        vote = self.votes.slice(row, 1)
        seconds = None
        if tables.SECONDS.name in vote.column_names:
            seconds = vote[tables.SECONDS.name][0].as_py()
        return Given(vote["correct"][0].as_py(), vote["at"].cast(pa.int64())[0].as_py(), seconds)


class _Waiting(NamedTuple):
    """Changes that wait to be written."""

    changes: Sequence[Change]
    outcomes: Future[list[Outcome]]


class VoteTable:
    """The votes of a dataset, which several threads may change.

    Args:
        name: of the dataset
        root: the folder of manifests/ and annotations/

    Raises:
        LookupError: there is no such dataset in this folder
        ValueError: it has no candidates, or a table is not what it should be
    """

    def __init__(self, name: str, root: Path) -> None:
        dataset.check_writable(name, root)
        self.folder = root / "manifests" / name
        self.web_path = self.folder / "web.parquet"
        self.path = votes_path(name, root)
        self.key_path = key_path(name, root)
        self.n_written = 0  # votes that were given through this table, without those undone
        self._replaced: Replaced = {}
        self._mutex = Lock()
        self._waiting: list[_Waiting] = []
        self._writer = ThreadPoolExecutor(1, "votes")
        self._signatures: tuple[Signature, Signature] = (None, None)
        with wait_for_lock(self.folder):
            self._web_signature = _sign(self.web_path)
            self.dataset = dataset.read_dataset(name, root)
            require_candidates(self.dataset, root)
            self._load(self.dataset.votes)

    def close(self) -> None:
        """Write what waits, and end the thread that writes."""
        self._writer.shutdown()

    def number_of(self, person: str) -> str | None:
        """Return the number of a person who has one."""
        return self._key.find(person)

    def refresh(self) -> None:
        """Read the votes again if an import or another server has changed them.

        Raises:
            OSError: they cannot be read
            ValueError: the tables on the disk are no longer what they should be
        """
        if self._is_changed():
            self._writer.submit(self._reload).result()

    def apply(self, changes: Sequence[Change]) -> list[Outcome]:
        """Make changes, in their order; they are on the disk when this returns.

        Raises:
            OSError: they cannot be written, and none of them is made
            ValueError: the tables on the disk were changed, and are no longer what they should be
        """
        entry = _Waiting(changes, Future())
        with self._mutex:
            self._waiting.append(entry)
        self._writer.submit(self._write_waiting)
        return entry.outcomes.result()

    def _write_waiting(self) -> None:
        """Write all changes that wait now; those who wait get the outcomes, or the error."""
        with self._mutex:
            entries, self._waiting = self._waiting, []
        if not entries:
            return
        try:
            with wait_for_lock(self.folder):
                self._reload_if_changed()
                self._commit(entries)
        except BaseException as error:
            for entry in entries:
                entry.outcomes.set_exception(error)
            raise

    def _is_changed(self) -> bool:
        """Tell whether somebody else wrote the candidates, the votes or the key."""
        is_web_changed = _sign(self.web_path) != self._web_signature
        return is_web_changed or self._sign_files() != self._signatures

    def _reload(self) -> None:
        """Read the votes again under the lock."""
        if self._is_changed():  # not by a write of this table, which has ended by now
            with wait_for_lock(self.folder):
                self._reload_if_changed()

    def _reload_if_changed(self) -> None:
        """Read the votes again if somebody else wrote them."""
        if _sign(self.web_path) != self._web_signature:
            raise ValueError(
                f"{self.web_path}: the candidates were changed after this page was "
                "started: stop `cnlw votes annotate`, and start it again"
            )
        if self._sign_files() != self._signatures:
            votes = tables.VOTES.empty_table()
            if self.path.exists():
                votes = tables.read_votes(self.path, self.dataset.web)
            self._load(votes)

    def _load(self, votes: pa.Table) -> None:
        """Take over votes from the disk."""
        signatures = self._sign_files()
        key = AnnotatorKey(self.key_path)
        key.add_annotators(votes)
        votes = with_seconds(key.replace_numbers(votes), self.path).combine_chunks()
        candidate = _candidate_rows(votes, self.dataset.web)
        encoded = votes["annotator"].combine_chunks().dictionary_encode()
        codes = {number: code for code, number in enumerate(encoded.dictionary.to_pylist())}
        annotator = pc.fill_null(encoded.indices, NOBODY).to_numpy().astype(np.int64)
        counts = np.zeros((len(self.dataset.web), 3), np.int64)
        _add_answers(counts, candidate, votes, 1)
        self._key = key
        self._signatures = signatures
        self.standing = Standing(votes, candidate, annotator, counts, codes)

    def _commit(self, entries: Sequence[_Waiting]) -> None:
        """Write the table with the changes of some entries, under the lock."""
        draft = _Draft(self.standing, self.dataset.web, self._replaced)
        outcomes = []
        for entry in entries:
            people = dict.fromkeys(change.person for change in entry.changes)
            for person in people:
                if self._key.find(person) is None:
                    self._key.add_people([[person]], "the page")
            numbers = {person: self._key.find(person) or "" for person in people}
            outcomes.append([draft.apply(c, numbers[c.person]) for c in entry.changes])
        if draft.latest:
            standing = draft.finish()
            self._key.write()
            tables.write_parquet(standing.votes, self.path, REPETITIVE)
            self._signatures = self._sign_files()
            self.standing = standing
            self.n_written += draft.n_given
            self._remember(draft.newly_replaced)
        for entry, results in zip(entries, outcomes, strict=True):
            entry.outcomes.set_result(results)

    def _remember(self, newly_replaced: Replaced) -> None:
        """Keep what the last votes replaced, for votes that come once more."""
        self._replaced.update(newly_replaced)
        while len(self._replaced) > MAX_REPLACED:
            del self._replaced[next(iter(self._replaced))]

    def _sign_files(self) -> tuple[Signature, Signature]:
        return _sign(self.path), _sign(self.key_path)


class _Draft:
    """Votes that are about to be written: those of a standing, with changes."""

    def __init__(self, standing: Standing, web: pa.Table, replaced: Replaced) -> None:
        self.standing = standing
        self.web = web
        self.replaced = replaced  # by earlier changes
        self.newly_replaced: Replaced = {}
        self.latest: dict[Place, Given | None] = {}
        self.row: dict[Place, int | None] = {}  # in the standing
        self.n_given = 0  # less those undone

    def apply(self, change: Change, number: str) -> Outcome:
        """Make a change, unless a later vote is there."""
        place = (change.candidate, number)
        former = self._look_up(place)
        if _is_repeated(change, former):
            return Outcome(self._look_up_replaced(place, change), True)
        if _is_outdated(change, former):
            return Outcome(former, False)
        self.latest[place] = change.given
        if change.given is not None:
            self.newly_replaced[place, change.given.at] = former
        self.n_given += 1 if change.undone_at is None else -1
        return Outcome(former, True)

    def _look_up_replaced(self, place: Place, change: Change) -> Given | None:
        """Return what was there before a vote that came once more."""
        key = (place, change.given.at if change.given else None)
        return self.newly_replaced.get(key, self.replaced.get(key))

    def _look_up(self, place: Place) -> Given | None:
        """Return what an annotator has said of a candidate so far."""
        if place in self.latest:
            return self.latest[place]
        row = self.standing.find(*place)
        self.row[place] = row
        return None if row is None else self.standing.read(row)

    def finish(self) -> Standing:
        """Return the standing with the changes: replaced votes leave, and new ones come last."""
        old = self.standing
        stays = self._staying_rows()
        left = old.votes.take(np.flatnonzero(~stays))
        new = self._new_votes()
        new_candidate = np.array([candidate for candidate, _ in self._places()], np.int64)
        counts = old.counts.copy()
        _add_answers(counts, old.candidate[~stays], left, -1)
        _add_answers(counts, new_candidate, new, 1)
        codes = dict(old.codes)
        for _, number in self._places():
            codes.setdefault(number, len(codes))
        new_annotator = np.array([codes[number] for _, number in self._places()], np.int64)
        return Standing(
            _join(old.votes if stays.all() else old.votes.filter(pa.array(stays)), new),
            np.concatenate([old.candidate[stays], new_candidate]),
            np.concatenate([old.annotator[stays], new_annotator]),
            counts,
            codes,
        )

    def _staying_rows(self) -> NDArray[np.bool_]:
        """Return which votes of the standing stay, (v,)."""
        stays = np.ones(len(self.standing.votes), bool)
        for place in self.latest:
            row = self.row[place]
            if row is not None:
                stays[row] = False
        return stays

    def _places(self) -> list[Place]:
        """Return where the new votes are."""
        return [place for place, vote in self.latest.items() if vote is not None]

    def _new_votes(self) -> pa.Table:
        """Return the new votes, with their seconds if one has them."""
        places = self._places()
        votes = [vote for vote in self.latest.values() if vote is not None]
        rows = np.array([candidate for candidate, _ in places], np.int64)
        columns = [
            self.web["image_id"].take(rows),
            self.web["label"].take(rows),
            pa.array([number for _, number in places], pa.string()),
            pa.array([vote.correct for vote in votes], pa.bool_()),
            pa.array([vote.at for vote in votes], tables.VOTES.field("at").type),
            pa.array([vote.seconds for vote in votes], tables.SECONDS.type),
        ]
        schema = tables.VOTES.append(tables.SECONDS)
        return raw_votes.drop_empty_seconds(pa.table(columns, schema))


def now() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000


def _is_repeated(change: Change, former: Given | None) -> bool:
    """Tell whether a vote is there already, since an answer to it was lost."""
    if change.given is None or former is None or change.undone_at is not None:
        return False
    return (change.given.at, change.given.correct) == (former.at, former.correct)


def _is_outdated(change: Change, former: Given | None) -> bool:
    """Tell whether what is there is later than a change, or no longer what it undoes."""
    if change.undone_at is not None:
        return former is None or former.at != change.undone_at
    if former is None or former.at is None or former.at > now():  # of a clock that was ahead
        return False
    at = change.given.at if change.given else None
    return at is not None and at < former.at


def _join(votes: pa.Table, new: pa.Table) -> pa.Table:
    """Return votes with new ones behind them; without ``seconds`` where no vote has them."""
    joined = pa.concat_tables([votes, new], promote_options="default")
    if joined.column(0).num_chunks > MAX_CHUNKS:
        joined = joined.combine_chunks()
    return raw_votes.drop_empty_seconds(joined)


def _candidate_rows(votes: pa.Table, web: pa.Table) -> Ints:
    """Return the row of the candidate of each vote, (v,)."""
    vote_numbers, web_numbers = tables.number_candidates(votes, web)
    order = np.argsort(web_numbers)
    rows: Ints = order[np.searchsorted(web_numbers[order], vote_numbers)]
    return rows


def _add_answers(counts: Ints, candidate: Ints, votes: pa.Table, sign: int) -> None:
    """Add votes to the (n, 3) counts of yes, no and unsure, or take them away."""
    says_yes = pc.fill_null(votes["correct"], False).to_numpy()
    is_unsure = votes["correct"].is_null().to_numpy()
    answer = np.where(is_unsure, UNSURE, np.where(says_yes, YES, NO))
    np.add.at(counts, (candidate, answer), sign)


def _sign(path: Path) -> Signature:
    """Return what changes when a file is replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
