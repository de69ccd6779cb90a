"""Votes on a real scale: CIFAR-10N, three signed labels an image (Wei et al., ICLR 2022); right is the official one."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cnlw_tools.dataset import agreement, tables, verdicts
from cnlw_tools.dataset.tables import MANIFEST, VOTES

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "cifar_n"
N, TIMES = 50_000, (1, 2, 3)
PUBLISHED = {1: 0.1723, 2: 0.1812, 3: 0.1764}

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="CIFAR-10N lies in ../shared/data/cifar_n, which is absent"
)


@pytest.fixture(scope="module")
def human():
    with np.load(FOLDER / "CIFAR-10_human.npz") as found:
        return dict(found)


@pytest.fixture(scope="module")
def web(human):
    """The images as candidates for their official labels."""
    ids = [f"{i:05d}" for i in range(N)]
    columns = [
        ids,
        human["clean_label"].astype(np.int32),
        ["web"] * N,
        pa.nulls(N, pa.string()),
        pa.nulls(N, pa.string()),
    ]
    return pa.table(columns, schema=MANIFEST)


def ballots(web, right, who):
    said = [
        web["image_id"],
        web["label"],
        pa.array(who, pa.string()),
        right,
        pa.nulls(N, VOTES.field("at").type),
    ]
    return pa.table(said, schema=VOTES)


@pytest.fixture(scope="module")
def signed(human, web):
    """The first, second and third vote on each image; the side table has ten images a row, in its own order."""
    with (FOLDER / "side_info_cifar10N.csv").open() as file:
        batches = list(csv.DictReader(file))
    order = np.load(FOLDER / "image_order_c10.npy")
    found = []
    for time in TIMES:
        who = np.empty(N, object)
        who[order] = np.repeat([batch[f"Worker{time}-id"] for batch in batches], 10)
        found.append(ballots(web, human[f"random_label{time}"] == human["clean_label"], who))
    return found


def wrong(found):
    """The share of verdicts that are no."""
    return round(pc.sum(pc.equal(found["shows"], False)).as_py() / N, 4)


def test_published_rates(signed):
    """The error rates of the first, second and third labels are the published ones."""
    assert PUBLISHED == {
        time: wrong(verdicts.compute_verdicts(said))
        for time, said in zip(TIMES, signed, strict=True)
    }


def test_aggregate(human, web):
    """The published aggregate, one vote of a consensus, errs at the published rate."""
    consensus = ballots(web, human["aggre_label"] == human["clean_label"], ["consensus"] * N)

    assert 0.0901 == wrong(
        verdicts.compute_verdicts(tables.check_votes(consensus, "CIFAR-10N", web))
    )


def test_worst(signed, web):
    """An image whose worst label is wrong is one that not all say yes to; 747 people, each once an image."""
    table = tables.check_votes(pa.concat_tables(signed), "CIFAR-10N", web)
    found = verdicts.compute_verdicts(table)

    assert 0.4021 == round(float(np.mean(found["yes"].to_numpy() < 3)), 4)
    assert (3 * N, 747) == (len(table), pc.count_distinct(table["annotator"]).as_py())


def test_agreement(human, signed):
    """Kappa and alpha of the ten-class labels and of yes and no, from all pairs of votes on an image."""
    labels = np.stack([human[f"random_label{time}"] for time in TIMES], 1)
    right = np.stack([said["correct"].to_numpy() for said in signed], 1)
    for given, kinds in ((labels, 10), (right, 2)):
        counts = (given[:, :, None] == np.arange(kinds)).sum(1)
        same = np.mean([given[:, a] == given[:, b] for a, b in ((0, 1), (0, 2), (1, 2))])
        share = np.bincount(given.ravel(), minlength=kinds) / given.size
        chance, pairs = (
            np.sum(share**2),
            np.sum(share * (given.size * share - 1)) / (given.size - 1),
        )

        assert (same - chance) / (1 - chance) == pytest.approx(agreement.fleiss_kappa(counts))
        assert (same - pairs) / (1 - pairs) == pytest.approx(agreement.krippendorff_alpha(counts))
