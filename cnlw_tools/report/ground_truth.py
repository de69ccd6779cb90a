"""What the builds know: matrices, galleries, and which examples were noisy. Here alone a run meets the truth.

`examples.parquet` of a run says what each example weighed and cost, by its row in the split that was learned from.
The rows of a build are numbered as `datasets` reads them; that they are the ones the run learned from is proved by the
digest of its data: sha256 of the content keys, in order, and the labels in the same order (trainer/data.py).

    noisy by weight:  w < half the mean weight            precision = noisy and so marked / marked
    noisy by loss:    the k highest losses, k = number of noisy examples;  then precision = recall
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.card import metadata, sample_grid
from cnlw_tools.dataset import tables
from cnlw_tools.plan import plan
from cnlw_tools.registry import pick
from cnlw_tools.report.runs import Run

COLUMNS = ["label", "clean_label", "is_noisy", "origin", "image_id"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """A config of a build: rows of every split in the order of `datasets`."""

    build: Path
    config: str
    shards: dict[str, pa.Table]  # file -> its rows
    rows: pa.Table  # with `split`, files end to end

    @property
    def noisy(self) -> NDArray[np.bool_]:
        """Which training examples are noisy, by row."""
        train = self.rows.filter(pc.equal(self.rows["split"], "train"))
        return np.asarray(train["is_noisy"].to_numpy(), bool)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in label order."""
        return tables.read_classes(self.build / "tables" / "classes.csv")

    @property
    def matrix(self) -> Floats:
        """P(given label | true label) as realised, (C, C)."""
        return plan.realised(self.rows, len(self.classes)).matrix

    @property
    def foreign(self) -> list[str]:
        """Where noisy images come from: base, web ..."""
        return sorted(pc.unique(self.rows.filter(self.rows["is_noisy"])["origin"]).to_pylist())

    @cached_property
    def digest(self) -> str:
        """What a run that learned from `train` says of its data."""
        keys, labels = [], []
        for name in self.names("train"):
            shard = pq.read_table(self.build / "data" / name, columns=["image", "label"])
            images = shard["image"].combine_chunks().field("bytes").to_pylist()
            keys += [
                int.from_bytes(blake2b(image, digest_size=8).digest(), "little") for image in images
            ]
            labels += shard["label"].to_pylist()
        key, label = np.array(keys, np.uint64), np.array(labels, np.int64)
        order = np.lexsort((label, key))
        return sha256(key[order].tobytes() + label[order].tobytes()).hexdigest()

    def names(self, split: str) -> list[str]:
        """Return the files of a split in order."""
        segments = metadata.load(self.build).configs[self.config].segments.get(split, [])
        return [
            name for segment in segments for name in self.shards if name.startswith(f"{segment}-")
        ]

    def gallery(self, origin: str) -> Image.Image:
        """Draw clean images beside the noisy ones of an origin, by class."""
        of = pc.or_(pc.invert(self.rows["is_noisy"]), pc.equal(self.rows["origin"], origin))
        return sample_grid.sheet(
            self.config, self.build / "data", self.rows.filter(of), self.shards, self.classes
        )


class Noted(NamedTuple):
    """What a run noted of an epoch, (n,) each, nan where nothing; and what was noisy."""

    loss: Floats
    weight: Floats
    own: Floats
    noisy: NDArray[np.bool_]


class Detection(NamedTuple):
    """How well a run told noisy examples by what it noted of its last epoch; nan where nothing can be said."""

    precision: float  # of those that weighed little
    recall: float
    by_loss: float  # precision, and recall, of as many as there are, by loss
    seen: int  # examples drawn in that epoch


def load(build: Path, config: str) -> Truth:
    """Read what a build knows of a config.

    Raises:
        ValueError, LookupError, OSError: no build, no such config, a missing or damaged shard
    """
    card = metadata.load(build)
    segments = pick(card.configs, config, f"config of {build}").segments
    shards, parts = {}, []
    for split, names in segments.items():
        for name in (
            f for segment in names for f in sorted(card.shards) if f.startswith(f"{segment}-")
        ):
            try:
                shards[name] = pq.read_table(
                    build / "data" / name, columns=COLUMNS, partitioning=None
                )
            except pa.ArrowException as error:
                raise ValueError(
                    f"{build / 'data' / name}: damaged: see what `cnlw validate` says"
                ) from error
            parts.append(
                shards[name].append_column(
                    "split", pa.array([split] * len(shards[name]), pa.string())
                )
            )
    return Truth(build, config, shards, pa.concat_tables(parts).replace_schema_metadata())


def check(run: Run, truth: Truth) -> None:
    """Raise if the build is not the one the run learned from."""
    if run.config["data"]["train"] != truth.digest:
        raise ValueError(
            f"{run.name}: {truth.build} is not what it learned from any more: the truth is not joined"
        )


def noted(run: Run, truth: Truth, last: bool = False) -> Iterator[Noted]:
    """Join what a run noted of every epoch, or of the last alone, with the truth of its build.

    Raises:
        ValueError: the build is not the one the run learned from
    """
    paths = sorted((run.folder / "examples.parquet").glob("epoch-*.parquet"))
    noisy = truth.noisy
    for path in paths[-1:] if last else paths:
        check(run, truth)
        table = pq.read_table(path, partitioning=None)
        row = table["row"].to_numpy()
        columns = {"own": np.full(len(row), np.nan)}
        for name in {"loss", "weight", "own"} & {*table.column_names}:
            columns[name] = table[name].to_numpy().astype(np.float64)
        yield Noted(noisy=noisy[row], **columns)


def detection(run: Run, truth: Truth) -> Detection | None:
    """Say how well a run told what was noisy; none where it noted nothing.

    Raises:
        ValueError: the build is not the one the run learned from
    """
    found = [detect(last.loss, last.weight, last.noisy) for last in noted(run, truth, last=True)]
    return found[0] if found else None


def detect(loss: Floats, weight: Floats, noisy: NDArray[np.bool_]) -> Detection:
    """Return how well losses and weights, (n,), tell what is noisy, (n,); nan in both: not drawn.

    Examples of one loss at the cut count by the share of them that is noisy, as if drawn among themselves.
    """
    drawn = ~np.isnan(loss)
    loss, weight, noisy = loss[drawn], weight[drawn], noisy[drawn]
    k = int(noisy.sum())
    if not k:
        return Detection(np.nan, np.nan, np.nan, len(loss))
    cut = np.sort(loss)[-k]
    above, tied = loss > cut, loss == cut
    hits = noisy[above].sum() + (k - above.sum()) * noisy[tied].mean()
    marked = weight < weight.mean() / 2
    caught = float((marked & noisy).sum())
    precision = caught / marked.sum() if marked.any() else np.nan
    return Detection(
        float(precision), caught / k if marked.any() else np.nan, float(hits / k), len(loss)
    )
