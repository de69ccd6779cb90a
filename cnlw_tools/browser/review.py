"""The review of votes: every candidate of a dataset, with its votes and its verdict.

Verdicts and the error rates of annotators are those of `cnlw votes report`. Annotators are numbers;
the file of their names is not read. Disagreement is the share of yes and no votes that are in the
minority: 0.5 is a tie.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.browser.candidate_columns import (
    answer_codes,
    hide_addresses,
    vote_column,
    web_columns,
)
from cnlw_tools.browser.items import (
    Fact,
    Filter,
    Items,
    NumberColumn,
    Sort,
    TextColumn,
    choose_texts,
    text_column,
)
from cnlw_tools.browser.numbered_pictures import ReadPictures
from cnlw_tools.dataset.agreement import outlying_annotators
from cnlw_tools.dataset.dataset import Dataset
from cnlw_tools.dataset.dawid_skene import NotConvergedError
from cnlw_tools.dataset.row_numbers import number_rows
from cnlw_tools.dataset.verdicts import CANDIDATE, annotator_error_rates, compute_verdicts
from cnlw_tools.recipe.inputs import ImageSource, Inputs
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.registry.counts import count_things
from cnlw_tools.sources import open_images
from cnlw_tools.sources.composite import CompositeReader
from cnlw_tools.store.pack import open_store

VERDICTS = ("shows it", "does not show it", "undecided", "no votes")
SHOWS, SHOWS_NOT, UNDECIDED, NO_VOTES = range(4)
SPREADS = ("all agree", "some disagree", "tie", "only unsure", "no votes")
STANCES = ("with the verdict", "against the verdict", "without a verdict")
SHARE_DIGITS = 2
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class VoteCounts(NamedTuple):
    """What the votes on n candidates come to."""

    yes: Ints  # (n,)
    no: Ints
    unsure: Ints
    verdict: Ints  # (n,) its place in VERDICTS


def make_review(dataset: Dataset, recipe: Recipe, inputs: Inputs) -> tuple[Items, ReadPictures]:
    """Return what the page of a dataset's votes shows, and the pictures of its candidates.

    Args:
        dataset: with candidates
        recipe: whose rules decide about verdicts
        inputs: where the images are: in a store, or where the source of the dataset reads them

    Raises:
        LookupError: there is no candidate
        ValueError, OSError: the images are not where they should be
    """
    web, votes = dataset.web, hide_addresses(dataset.votes)
    if not len(web):
        raise LookupError(
            f"{dataset.name} has no candidates, so there are no votes to review: add some with "
            f"`cnlw import candidates FILE --as {dataset.name}`"
        )
    pictures, has_picture = open_candidates(dataset, inputs)
    items = Items(
        title=f"{dataset.name}: votes",
        about=f"{count_things(len(web), 'candidate')}, {count_things(len(votes), 'vote')}; "
        f"verdict {recipe.verdict}, min_votes {recipe.min_votes}",
        n_items=len(web),
        name="id",
        caption=["given", "tally"],
        mark="verdict",
        noun="candidates",
        has_picture=has_picture,
    )
    counts = count_votes(web, votes, recipe)
    _add_verdicts(items, web, counts, dataset.classes)
    _add_votes(items, web, votes, counts)
    for name, column in web_columns(web, web).items():
        items.columns[f"web {name}"] = column
        items.facts.append(Fact(name, f"web {name}"))
    return items, pictures


def open_candidates(dataset: Dataset, inputs: Inputs) -> tuple[ReadPictures, Flags | None]:
    """Return the pictures of candidates, and which of them have one; none: all.

    Raises:
        ValueError, OSError: the images are not where they should be
    """
    ids = dataset.web["image_id"]
    if inputs.store is None:
        return ReadPictures(_open_source(dataset.name, inputs), ids.to_pylist()), None
    store = open_store(inputs.store)
    fetched = pa.array(store.image_ids(), pa.string())
    has_picture: Flags = pc.is_in(ids, fetched).to_numpy()
    return ReadPictures(CompositeReader(None, {}, store), ids.to_pylist()), has_picture


def _open_source(name: str, inputs: Inputs) -> ImageSource:
    """Return the source of a dataset, which has the pictures of its candidates.

    Raises:
        LookupError, ValueError, OSError: it cannot read them here
    """
    try:
        return open_images(name, inputs)
    except (ValueError, LookupError) as error:
        if inputs.data_dir is not None:
            raise
        raise FileNotFoundError(
            f"{name}: the pictures of its candidates are not here: fetch them with "
            f"`cnlw fetch --dataset {name}`, or give their --store or --data-dir"
        ) from error


def count_votes(web: pa.Table, votes: pa.Table, recipe: Recipe) -> VoteCounts:
    """Return the numbers of votes and the verdict of each candidate, in the order of the manifest.

    Raises:
        ValueError: the rule of verdicts needs annotators, and a vote names none
    """
    verdicts = compute_verdicts(votes, recipe.min_votes, recipe.verdict)
    candidates, voted = number_rows([web, verdicts], CANDIDATE)
    row_of_number = np.zeros(len(web) + len(verdicts), np.int64)
    row_of_number[candidates] = np.arange(len(web))
    rows = row_of_number[voted]
    shows = verdicts["shows"]
    decided = np.where(pc.fill_null(shows, True).to_numpy(), SHOWS, SHOWS_NOT)
    counts = VoteCounts(*(np.zeros(len(web), np.int64) for _ in VoteCounts._fields))
    counts.verdict[:] = NO_VOTES
    counts.verdict[rows] = np.where(shows.is_null().to_numpy(), UNDECIDED, decided)
    for name in ("yes", "no", "unsure"):
        getattr(counts, name)[rows] = verdicts[name].to_numpy()
    return counts


def _add_verdicts(items: Items, web: pa.Table, counts: VoteCounts, classes: Sequence[str]) -> None:
    """Add id, class, verdict, the numbers of votes, and how far they disagree."""
    n_decisive = counts.yes + counts.no
    minority = np.minimum(counts.yes, counts.no)
    share = np.divide(minority, n_decisive, where=n_decisive > 0, out=np.full(len(web), np.nan))
    is_tie = (counts.yes == counts.no) & (n_decisive > 0)
    spread = np.where(minority > 0, 1, 0)
    spread[is_tie] = 2
    spread[n_decisive == 0] = 3
    spread[n_decisive + counts.unsure == 0] = 4
    items.columns |= {
        "id": text_column(web["image_id"]),
        "given": choose_texts(web["label"].to_numpy(), classes),
        "verdict": choose_texts(counts.verdict, VERDICTS),
        "spread": choose_texts(spread, SPREADS),
        "tally": _tally_column(counts),
        "disagreement": NumberColumn(share, SHARE_DIGITS),
        "n_votes": NumberColumn((n_decisive + counts.unsure).astype(np.float64)),
    }
    items.filters += [
        Filter("given", "Class"),
        Filter("verdict", "Verdict"),
        Filter("spread", "Votes"),
    ]
    items.sorts += [
        Sort("disagreement", "disagreement, most first", "disagreement", descending=True),
        Sort("votes", "number of votes, most first", "n_votes", descending=True),
        Sort("fewvotes", "number of votes, fewest first", "n_votes"),
        Sort("given", "class", "given"),
        Sort("id", "id", "id"),
    ]
    items.facts += [
        Fact("id", "id"),
        Fact("class", "given"),
        Fact("verdict", "verdict"),
        Fact("votes", "tally"),
        Fact("disagreement", "disagreement"),
    ]


def _tally_column(counts: VoteCounts) -> TextColumn:
    """Return the numbers of votes in words."""
    numbers = np.stack([counts.yes, counts.no, counts.unsure], 1)
    distinct, codes = np.unique(numbers, axis=0, return_inverse=True)
    texts = []
    for yes, no, unsure in distinct.tolist():
        parts = [f"{yes} yes", f"{no} no"]
        if unsure:
            parts.append(f"{unsure} unsure")
        texts.append(", ".join(parts) if yes + no + unsure else "no votes")
    return choose_texts(codes.ravel(), texts)


def _add_votes(items: Items, web: pa.Table, votes: pa.Table, counts: VoteCounts) -> None:
    """Add who voted what, and whether that is the verdict."""
    if not len(votes):
        return
    candidates, voted = number_rows([web, votes], CANDIDATE)
    row_of_number = np.zeros(len(web) + len(votes), np.int64)
    row_of_number[candidates] = np.arange(len(web))
    verdict = counts.verdict[row_of_number[voted]]
    answer = answer_codes(votes)  # 0: yes, 1: no, as in VERDICTS; 2: unsure
    stance = np.where(answer == verdict, 0, 1)
    stance[(verdict > SHOWS_NOT) | (answer > SHOWS_NOT)] = 2
    column = vote_column(web, votes, {"stance": choose_texts(stance, STANCES)})
    items.columns["votes"] = column
    items.filters += [
        Filter("votes", "Annotator", "annotator", _describe_annotators(votes)),
        Filter("votes", "Voted", "answer"),
        Filter("votes", "Vote is", "stance"),
    ]
    items.facts.append(Fact("who", "votes", ["annotator", "answer", "stance"]))


def _describe_annotators(votes: pa.Table) -> list[tuple[str, str]]:
    """Return what the page calls each annotator, with a mark for those who err far more often.

    It is nothing but the number where a vote names no annotator, or the votes are so random that
    nobody's error rate can be estimated.
    """
    decisive = votes.filter(pc.is_valid(votes["correct"]))
    if decisive["annotator"].null_count or not len(decisive):
        return []
    try:
        table = annotator_error_rates(votes)
    except NotConvergedError:  # `cnlw votes report` says so
        return []
    errors, n_votes = table["error"].to_numpy(), table["votes"].to_numpy()
    texts = []
    stands_out = outlying_annotators(errors, n_votes)
    for row, name in enumerate(table["annotator"].to_pylist()):
        text = f"{name} ({n_votes[row]:,} votes, {100 * errors[row]:.0f} % wrong)"
        texts.append((name, f"{text}, stands out" if stands_out[row] else text))
    texts.sort(key=lambda pair: (not pair[1].endswith("stands out"), len(pair[0]), pair[0]))
    return texts
