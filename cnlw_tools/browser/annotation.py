"""What the page for votes works on: candidates, their pictures, and sure examples of each class.

Pictures of candidates come from an image store, or from the source of the dataset if this draws
them. Beside a candidate, the page shows photographs of its class from the user's training images
or, where these are not given, candidates of which all votes say that they show the class.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
import pyarrow as pa

from cnlw_tools.browser.candidates import (
    N_EXAMPLES,
    Candidates,
    Flags,
    find_available,
    find_copies,
    lots,
)
from cnlw_tools.browser.pictures import LARGE, THUMBNAIL, remember
from cnlw_tools.browser.vote_table import VoteTable
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.files.machine_faults import find_fault
from cnlw_tools.images.pixels import Picture
from cnlw_tools.ingest.recipes import resolve_recipe
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import SOURCES, has_source, open_images, read_source_info
from cnlw_tools.sources.checked import CheckedSource
from cnlw_tools.store.pack import open_store
from cnlw_tools.store.store import Store, usual_store

Item = TypeVar("Item")
Result = TypeVar("Result")


class Photographs:
    """The user's own training images, which show what a class looks like.

    Args:
        base: the base manifest
        source: reads its images
    """

    def __init__(self, base: pa.Table, source: CheckedSource) -> None:
        self.base = base
        self.source = source
        self.label = base["label"].to_numpy()
        self.is_training = np.equal(base["split"].to_numpy(), "train")
        self.lot = lots(base)
        self.thumbnail = remember(self.read, THUMBNAIL)

    def rows_of(self, label: int) -> list[int]:
        """Return the rows of the photographs that the page shows of a class."""
        rows = np.flatnonzero(self.is_training & (self.label == label))
        example_rows: list[int] = rows[np.argsort(self.lot[rows])][:N_EXAMPLES].tolist()
        return example_rows

    def read(self, row: int) -> Picture:
        """Return a photograph.

        Raises:
            LookupError, OSError, ValueError: it cannot be read, or is not that of the manifest
        """
        return self.source.read(self.base["image_id"][row].as_py())


class _WatchedExecutor:
    """Runs tasks by another executor, and tells how many are done.

    A single task runs in this process, since other ones take a while to start.
    """

    def __init__(self, executor: Executor, progress: Progress) -> None:
        self.executor = executor
        self.progress = progress
        self.workers = executor.workers

    def map(self, task: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield the result of the task for each item as it comes, in any order."""
        executor = self.executor if len(items) > 1 else SERIAL
        self.progress("compare", 0, len(items))
        for n_done, result in enumerate(executor.map(task, items), 1):
            self.progress("compare", n_done, len(items))
            yield result


class Annotation:
    """A dataset whose candidates people vote on.

    Args:
        table: the votes
        candidates: those that people are asked about
        is_available: (n,) the candidates that people may vote on, also those that look like others
        store: of their pictures; none: the source draws them
        source: of the dataset, if its images can be read
        photographs: of its classes, if there are any
    """

    def __init__(
        self,
        table: VoteTable,
        candidates: Candidates,
        is_available: Flags,
        store: Store | None,
        source: CheckedSource | None,
        photographs: Photographs | None,
    ) -> None:
        self.table = table
        self.candidates = candidates
        self.is_available = is_available
        self.photographs = photographs
        self.classes = table.dataset.classes
        self.web = table.dataset.web
        self.row_of_candidate = _index_candidates(self.web)
        self.picture = remember(self._read, LARGE)
        self.thumbnail = remember(self._read, THUMBNAIL)
        self._store = store
        self._source = source
        self._lock = Lock()  # a store is read by one thread at a time

    def examples(self, label: int) -> list[str]:
        """Return the addresses of pictures that show a class for sure, relative to the page."""
        if self.photographs is not None:
            rows = self.photographs.rows_of(label)
            if rows:
                return [f"photographs/{row}.jpg" for row in rows]
        rows = self.candidates.sure_examples(self.table.standing, label)
        return [f"thumbnails/{row}.jpg" for row in rows]

    def is_outage(self, error: BaseException) -> bool:
        """Tell whether an error is one of the disk or the machine, rather than of one picture."""
        is_gone = self._store is not None and not self._store.ledger_path.exists()
        return is_gone or find_fault(error) is not None

    def _read(self, row: int) -> Picture:
        """Return the picture of a candidate.

        Raises:
            LookupError, OSError, ValueError: it cannot be read
        """
        image_id = self.web["image_id"][row].as_py()
        if self._store is not None:
            with self._lock:
                return self._store.read_picture(image_id)
        if self._source is not None:
            return self._source.read(image_id)
        raise LookupError(f"image {image_id!r}: there is no store of web images")


@contextmanager
def open_annotation(
    name: str,
    root: Path,
    store_place: Path | str,
    data_dir: Path | None,
    n_votes: int,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> Iterator[Annotation]:
    """Open what a page for votes needs; the votes are on the disk when the block ends.

    Args:
        name: of the dataset
        root: the folder of manifests/ and annotations/
        store_place: folder or address of the store of web images, or of a pack
        data_dir: the user's own images, if they are here
        n_votes: votes of yes and no that each candidate should have
        executor: reads validation images, if there are many
        progress: is told how many parts of them were read

    Raises:
        LookupError: no such dataset, or none of its candidates has a picture
        ValueError, OSError: a table, the store or the images are not what they should be
    """
    inputs = Inputs(root, data_dir)
    table = VoteTable(name, root)
    try:
        source = _open_source(name, inputs)
        store = _find_store(name, inputs, store_place, source is not None)
        try:
            watched = _WatchedExecutor(executor, progress)
            yield _make_annotation(table, inputs, store, store_place, source, n_votes, watched)
        finally:
            if store is not None:
                store.connection.close()
    finally:
        table.close()


def _make_annotation(
    table: VoteTable,
    inputs: Inputs,
    store: Store | None,
    store_place: Path | str,
    source: CheckedSource | None,
    n_votes: int,
    executor: Executor,
) -> Annotation:
    dataset = table.dataset
    is_available = find_available(dataset.web, store)
    base = dataset.base
    if inputs.data_dir is not None:
        place = store_place if store else None
        whole = _load_with_images(dataset.name, inputs, place, executor)
        base = whole.base
        if store is not None:
            is_available &= ~whole.web["dead"].to_numpy()
    if not is_available.any():
        raise _no_pictures(dataset, inputs.root, store_place)
    is_asked = is_available.copy()
    if store is not None:
        is_asked &= ~find_copies(dataset.web, store, is_available, table.standing.counts)
    candidates = Candidates(dataset.web, is_asked, n_votes, len(dataset.classes))
    photographs = Photographs(base, source) if base is not None and source is not None else None
    return Annotation(table, candidates, is_available, store, source, photographs)


def _open_source(name: str, inputs: Inputs) -> CheckedSource | None:
    """Return the source of a dataset; none if its images are not here."""
    if not has_source(name, inputs):
        return None
    layout = SOURCES[read_source_info(name, inputs).source].layout
    if inputs.data_dir is None and layout:
        return None
    return open_images(name, inputs)


def _find_store(name: str, inputs: Inputs, place: Path | str, has_source: bool) -> Store | None:
    """Return the store of web images; none where the source of the dataset draws them.

    Raises:
        OSError, ValueError: there is no store, and nothing else has the pictures
    """
    try:
        return open_store(place)
    except FileNotFoundError as error:
        if has_source and inputs.data_dir is None:
            return None
        raise FileNotFoundError(
            f"{place}: there are no pictures to vote on here: fetch the candidates first with "
            f"`{fetch_command(name, inputs.root, place)}`, or give their --store"
        ) from error


def fetch_command(name: str, root: Path, store_place: Path | str) -> str:
    """Return the command that fetches the candidates of a dataset."""
    parts = ["cnlw", "fetch", "--dataset", name, "--root", str(root)]
    if store_place != usual_store(name):
        parts += ["--store", str(store_place)]
    return shlex.join(parts)


def _load_with_images(
    name: str, inputs: Inputs, store_place: Path | str | None, executor: Executor
) -> Dataset:
    """Return the dataset as a build with red noise sees it: without copies of validation images."""
    recipe = resolve_recipe(None, {"dataset": name, "noise": "red"}, inputs)
    return load_dataset(recipe, Inputs(inputs.root, inputs.data_dir, store=store_place), executor)


def _no_pictures(dataset: Dataset, root: Path, store_place: Path | str) -> LookupError:
    return LookupError(
        f"{store_place}: none of the {len(dataset.web):,} candidates of {dataset.name} has a "
        "picture that a build may use: fetch them with "
        f"`{fetch_command(dataset.name, root, store_place)}`"
    )


def _index_candidates(web: pa.Table) -> dict[tuple[str, int], int]:
    """Return the row of each candidate, by image id and label."""
    candidates = zip(web["image_id"].to_pylist(), web["label"].to_pylist(), strict=True)
    return {candidate: row for row, candidate in enumerate(candidates)}
