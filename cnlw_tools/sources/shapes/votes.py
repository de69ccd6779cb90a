"""What a dozen people said of the candidates: some are careful, some hasty, and some pictures are hard.

Whether annotator a errs on picture i:   u < (1 - skill_a) * hard(kind_i) * odd_i
whether a is unsure instead:             u < shy_a * hard(kind_i) * odd_i

``hard`` says that a look-alike is mistaken more often than an empty picture; ``odd`` is 1 for most pictures
and large for a few on which people disagree, whence the ties.
"""

import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.prng import UInts, uniform
from cnlw_tools.sources.shapes.chance import id_keys

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

VOTES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("annotator", pa.string()),
        pa.field("correct", pa.bool_()),
        pa.field("at", pa.timestamp("us", "UTC")),
    ]
)
START = datetime.datetime(2021, 3, 1, tzinfo=datetime.UTC)
HARD = {
    "class": 0.8,
    "lookalike": 1.15,
    "related": 0.5,
    "poster": 0.35,
    "collage": 0.9,
    "blank": 0.1,
}
ODD, ODDITY = 0.06, 3.0  # so many pictures are so many times as hard


class Annotator(NamedTuple):
    """One person."""

    name: str
    skill: float  # how often right on a picture of average difficulty
    shy: float  # how often unsure
    zeal: float  # how much they do, compared with the others


ANNOTATORS = (
    Annotator("a01", 0.98, 0.02, 1.0),
    Annotator("a02", 0.97, 0.05, 1.6),
    Annotator("a03", 0.96, 0.01, 0.9),
    Annotator("a04", 0.95, 0.08, 1.2),
    Annotator("a05", 0.94, 0.03, 1.4),
    Annotator("a06", 0.93, 0.02, 0.7),
    Annotator("a07", 0.92, 0.10, 1.0),
    Annotator("a08", 0.90, 0.04, 1.3),
    Annotator("a09", 0.88, 0.06, 0.8),
    Annotator("a10", 0.85, 0.02, 0.6),
    Annotator("a11", 0.80, 0.12, 0.5),
    Annotator("a12", 0.75, 0.01, 0.4),
)


def votes(ids: list[str], labels: NDArray[np.int32], kinds: list[str]) -> pa.Table:
    """Let three to five annotators vote on each of n pictures; one row a vote, by picture and then by time."""
    key = id_keys(ids)
    item, who = np.nonzero(_asked(key))  # (votes,) each
    truth, hard = np.array([k == "class" for k in kinds]), _hardness(key, kinds)
    yes, unsure = _answers(key[item], who, truth[item], hard[item])
    at = _seconds(key[item], who)
    order = np.lexsort((who, at, np.array(ids)[item]))
    rows = (
        [ids[i] for i in item[order]],
        labels[item[order]],
        [ANNOTATORS[a].name for a in who[order]],
    )
    stamp = np.datetime64(START.replace(tzinfo=None), "us") + at[order].astype("timedelta64[s]")
    return pa.table(
        [*rows, pa.array(yes[order], mask=unsure[order]), pa.array(stamp, VOTES.field("at").type)],
        VOTES,
    )


def _asked(key: UInts) -> Bools:
    """Choose three to five annotators for each picture, the zealous more often: (n, 12)."""
    turn = np.stack(
        [uniform(key, 10, i) / person.zeal for i, person in enumerate(ANNOTATORS)], axis=1
    )
    place = np.argsort(np.argsort(turn, axis=1, kind="stable"), axis=1, kind="stable")
    u = uniform(key, 11)
    return np.asarray(place < (3 + (u > 0.5) + (u > 0.8))[:, None])


def _hardness(key: UInts, kinds: list[str]) -> Floats:
    odd = np.where(uniform(key, 12) < ODD, ODDITY, 1.0)
    return np.asarray(odd * np.array([HARD[k] for k in kinds]))


def _answers(key: UInts, who: NDArray[np.intp], truth: Bools, hard: Floats) -> tuple[Bools, Bools]:
    """Return what each vote says, and whether it says nothing."""
    fault = np.array([1 - person.skill for person in ANNOTATORS])[who]
    shy = np.array([person.shy for person in ANNOTATORS])[who]
    return truth ^ (_each(key, 13, who) < fault * hard), _each(key, 14, who) < shy * hard


def _seconds(key: UInts, who: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the time of each vote since the start: six weeks of working days."""
    day = np.floor(_each(key, 15, who) * 42).astype(np.int64)
    return day * 86400 + 8 * 3600 + np.floor(_each(key, 16, who) * 9 * 3600).astype(np.int64)


def _each(key: UInts, stream: int, who: NDArray[np.intp]) -> Floats:
    """Return the number of a stream that belongs to each vote's annotator."""
    out = np.empty(len(key))
    for i in range(len(ANNOTATORS)):
        out[who == i] = uniform(key[who == i], stream, i)
    return out
