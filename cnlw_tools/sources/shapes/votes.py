"""Simulated votes of twelve annotators, careful and hasty ones, on the candidates.

Annotator a errs on image i if           u < (1 - skill_a) hardness_i
annotator a is unsure instead if         u < shyness_a hardness_i

The factor hardness_i is HARDNESS[kind_i] * oddity_i: a look-alike is mistaken more often than an
empty picture, and the oddity is 1 for most images and large for a few on which people disagree,
which makes ties.
"""

import datetime
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cnlw_tools.prng import UInts, uniform
from cnlw_tools.sources.shapes.rng import image_keys

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Positions = NDArray[np.intp]

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
N_DAYS = 42
SECONDS_PER_HOUR = 3600
SECONDS_PER_DAY = 24 * SECONDS_PER_HOUR
FIRST_HOUR = 8  # of a working day
WORKING_HOURS = 9
HARDNESS = {  # of each kind of candidate
    "class": 0.8,
    "lookalike": 1.15,
    "related": 0.5,
    "poster": 0.35,
    "collage": 0.9,
    "blank": 0.1,
}
ODD_SHARE = 0.06  # of the images
ODDITY = 3.0  # odd images are this many times as hard

# Random streams of the votes
TURN_STREAM = 10
COUNT_STREAM = 11
ODDITY_STREAM = 12
ERROR_STREAM = 13
UNSURE_STREAM = 14
DAY_STREAM = 15
TIME_STREAM = 16


class Annotator(NamedTuple):
    """One person."""

    name: str
    skill: float  # probability of a right vote on an image of hardness 1
    shyness: float  # probability of being unsure about it
    zeal: float  # how much they vote, relative to the others


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


def make_votes(ids: Sequence[str], labels: NDArray[np.int32], kinds: Sequence[str]) -> pa.Table:
    """Let three to five annotators vote on each of n images.

    Args:
        ids: n ids of candidates
        labels: (n,) labels of the classes that were searched for
        kinds: what kind of thing each candidate shows; ``class`` is right, the others are wrong

    Returns:
        VOTES, one row a vote, by image and then by time
    """
    image_key = image_keys(ids)
    image, annotator = np.nonzero(_choose_annotators(image_key))  # (votes,) each
    key = image_key[image]
    shows_class = np.array([kind == "class" for kind in kinds])
    hardness = _hardness(image_key, kinds)
    says_yes = shows_class[image] ^ _errs(key, annotator, hardness[image])
    is_unsure = _is_unsure(key, annotator, hardness[image])
    seconds = _seconds_since_start(key, annotator)
    order = np.lexsort((annotator, seconds, np.array(ids)[image]))
    start = np.datetime64(START.replace(tzinfo=None), "us")
    times = start + seconds[order].astype("timedelta64[s]")
    columns = [
        [ids[row] for row in image[order]],
        labels[image[order]],
        [ANNOTATORS[row].name for row in annotator[order]],
        pa.array(says_yes[order], mask=is_unsure[order]),
        pa.array(times, VOTES.field("at").type),
    ]
    return pa.table(columns, VOTES)


def _choose_annotators(image_key: UInts) -> Bools:
    """Choose three to five annotators for each image, zealous ones more often: (n, annotators)."""
    turns = []
    for number, annotator in enumerate(ANNOTATORS):
        turns.append(uniform(image_key, TURN_STREAM, number) / annotator.zeal)
    turn = np.stack(turns, axis=1)  # (n, annotators)
    order = np.argsort(turn, axis=1, kind="stable")
    place = np.argsort(order, axis=1, kind="stable")
    u = uniform(image_key, COUNT_STREAM)
    n_votes = 3 + (u > 0.5) + (u > 0.8)  # (n,)
    return np.asarray(place < n_votes[:, None])


def _hardness(image_key: UInts, kinds: Sequence[str]) -> Floats:
    """Return (n,) how hard each image is."""
    is_odd = uniform(image_key, ODDITY_STREAM) < ODD_SHARE
    oddity = np.where(is_odd, ODDITY, 1.0)
    hardness_of_kind = np.array([HARDNESS[kind] for kind in kinds])
    return np.asarray(oddity * hardness_of_kind)


def _errs(key: UInts, annotator: Positions, hardness: Floats) -> Bools:
    """Return (votes,) whether the annotator errs."""
    fault = np.array([1 - person.skill for person in ANNOTATORS])[annotator]
    return np.asarray(_vote_uniforms(key, ERROR_STREAM, annotator) < fault * hardness)


def _is_unsure(key: UInts, annotator: Positions, hardness: Floats) -> Bools:
    """Return (votes,) whether the annotator is unsure."""
    shyness = np.array([person.shyness for person in ANNOTATORS])[annotator]
    return np.asarray(_vote_uniforms(key, UNSURE_STREAM, annotator) < shyness * hardness)


def _seconds_since_start(key: UInts, annotator: Positions) -> Ints:
    """Return (votes,) the time of each vote: six weeks of working days."""
    day = np.floor(_vote_uniforms(key, DAY_STREAM, annotator) * N_DAYS).astype(np.int64)
    hours = _vote_uniforms(key, TIME_STREAM, annotator) * WORKING_HOURS
    seconds = np.floor(hours * SECONDS_PER_HOUR).astype(np.int64)
    return day * SECONDS_PER_DAY + FIRST_HOUR * SECONDS_PER_HOUR + seconds


def _vote_uniforms(key: UInts, stream: int, annotator: Positions) -> Floats:
    """Return (votes,) the number of a stream for the image and the annotator of each vote."""
    uniforms = np.empty(len(key))
    for number in range(len(ANNOTATORS)):
        is_by_annotator = annotator == number
        uniforms[is_by_annotator] = uniform(key[is_by_annotator], stream, number)
    return uniforms
