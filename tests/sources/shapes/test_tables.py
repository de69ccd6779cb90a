"""The tables of shapes, as they are committed and as they are made."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from cnlw_tools.sources.shapes import Shapes, tables
from cnlw_tools.sources.shapes.drawings import CLASSES
from cnlw_tools.sources.shapes.votes import ANNOTATORS, VOTES
from cnlw_tools.sources.shapes.web import candidate_content

ROOT = Path(__file__).parents[3]
MANIFESTS, ANNOTATIONS = ROOT / "manifests" / "shapes", ROOT / "annotations" / "shapes"


@pytest.fixture(scope="module")
def web():
    """The committed candidates, with what each shows."""
    frame = pq.read_table(MANIFESTS / "web.parquet").to_pandas()
    contents = map(candidate_content, frame.image_id, frame["query"])
    frame["kind"] = [content.kind for content in contents]
    return frame


@pytest.fixture(scope="module")
def votes(web):
    """The committed votes, with what each picture shows."""
    frame = pq.read_table(ANNOTATIONS / "votes.parquet").to_pandas()
    return frame.merge(web[["image_id", "query", "kind"]], on="image_id")


@pytest.fixture(scope="module")
def tally(votes):
    """The number of yes, no and all votes on each candidate, with its class."""
    marks = votes.assign(yes=votes.correct == True, no=votes.correct == False, n=1)  # noqa: E712
    return marks.groupby(["query", "image_id"])[["yes", "no", "n"]].sum().reset_index()


@pytest.mark.parametrize(
    ("path", "make_table"),
    [
        (MANIFESTS / "base.parquet", tables.base_manifest),
        (MANIFESTS / "web.parquet", tables.web_manifest),
        (ANNOTATIONS / "votes.parquet", tables.vote_table),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_committed_tables_are_regenerated_identically(path, make_table):
    """Rows, their order, types and nullability are the same."""
    stored = pq.read_table(path)
    fresh = make_table()
    assert stored.schema.equals(fresh.schema, check_metadata=True)
    assert stored.equals(fresh)


def test_writing_twice_gives_the_same_bytes(tmp_path):
    """The options of the Parquet files are fixed."""
    for name in ("one", "two"):
        tables.write_tables(tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert [p.name for p in files] == [
        "votes.parquet",
        "base.parquet",
        "classes.csv",
        "web.parquet",
    ]
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()
    assert (tmp_path / "one/manifests/shapes/classes.csv").read_bytes() == (
        MANIFESTS / "classes.csv"
    ).read_bytes()


def test_labels_follow_the_alphabet():
    """They do so in the committed list of classes."""
    rows = list(csv.reader((MANIFESTS / "classes.csv").read_text().splitlines()))
    assert rows == [
        ["label", "name"],
        *([str(label), name] for label, name in enumerate(sorted(CLASSES))),
    ]


def test_the_schemas_are_those_of_the_design():
    """Required columns are not nullable, the others are."""
    required = {"image_id", "label", "split"}
    for schema in (tables.MANIFEST, tables.WEB_MANIFEST):
        assert {field.name for field in schema if not field.nullable} == required
    assert tables.WEB_MANIFEST.names == [*tables.MANIFEST.names, "query", "search", "rank"]
    assert VOTES.names == ["image_id", "label", "annotator", "correct", "at"]


def test_the_source_gives_the_base_manifest():
    """It has 500 images for training and 100 for validation per class."""
    frame = Shapes().manifest().to_pandas()
    counts = frame.groupby(["label", "split"]).size().unstack()
    assert counts[["train", "validation"]].to_numpy().tolist() == [[500, 100]] * 10
    assert frame.image_id.is_unique
    assert frame[["uri", "sha256"]].isna().all(axis=None)


def test_seven_hundred_candidates_and_more_a_class(web):
    """Each id comes once, with an address that cannot be reached."""
    assert (web.groupby("label").size() >= 700).all()
    assert web.image_id.is_unique
    assert (web["query"] == np.array(list(CLASSES))[web.label]).all()
    assert web.uri.str.fullmatch(r"https://images\.example/[a-z]+/[a-z]+-web-\d{4}\.jpg").all()
    assert set(web.split) == {"web"}


def test_search_by_word_finds_82_percent(web):
    """Image search finds the others, in every class."""
    share = (web.search == "text").groupby(web.label).mean()
    assert share.between(0.81, 0.83).all()
    assert set(web.search) == {"text", "image"}


def test_ranks_count_from_one_and_wrong_images_come_late(web):
    """Each query and search has its own ranks."""
    for _, rows in web.groupby(["query", "search"]):
        assert sorted(rows["rank"]) == list(range(1, len(rows) + 1))
    text = web[web.search == "text"]
    is_right = text.kind == "class"
    assert text[~is_right]["rank"].mean() > 1.5 * text[is_right]["rank"].mean()


def test_about_a_third_shows_the_class(web):
    """The share is about a third in every class."""
    assert (web.kind == "class").groupby(web.label).mean().between(0.3, 0.37).all()


def test_every_kind_of_wrong_image_occurs_in_every_class(web):
    """Look-alikes are the most frequent kind."""
    counts = web.groupby(["label", "kind"]).size().unstack()
    assert (counts >= 10).all(axis=None)
    rarer_counts = counts[["related", "poster", "collage", "blank"]].max(axis=1)
    assert (counts["lookalike"] > rarer_counts).all()


def test_at_least_425_usable_wrong_images_a_class(tally):
    """So many have more no than yes votes, even among those with three yes or no votes."""
    wrong = tally[tally.no > tally.yes]
    assert (wrong.groupby("query").size() >= 425).all()
    assert (wrong[wrong.yes + wrong.no >= 3].groupby("query").size() >= 425).all()


def test_three_to_five_votes_a_candidate_by_different_people(votes, tally, web):
    """No candidate is left out, and nobody votes twice on one."""
    assert set(tally.n) == {3, 4, 5}
    assert len(tally) == len(web)
    assert not votes.duplicated(["image_id", "annotator"]).any()


def test_there_are_ties_and_unsure_votes_in_every_class(votes, tally):
    """There are some, but few."""
    assert ((tally.yes == tally.no).groupby(tally["query"]).mean().between(0.004, 0.06)).all()
    assert votes.correct.isna().groupby(votes["query"]).mean().between(0.02, 0.1).all()


def test_votes_are_sorted_by_picture_and_time(votes):
    """Votes at the same time are sorted by annotator."""
    order = votes.sort_values(["image_id", "at", "annotator"], kind="stable").index
    assert (order == votes.index).all()
    assert votes["at"].notna().all()


def test_annotators_differ_in_reliability(votes):
    """They are right from three times in four to nearly always."""
    sure = votes[votes.correct.notna()]
    says_yes = sure.correct == True  # noqa: E712
    is_right = says_yes == (sure.kind == "class")
    reliability = is_right.groupby(sure.annotator).mean()
    assert len(reliability) == len(ANNOTATORS) == 12
    assert reliability.min() < 0.8
    assert reliability.max() > 0.96


def test_lookalikes_are_harder_than_blanks(votes):
    """People mistake a look-alike more often than an empty picture."""
    sure = votes[(votes.kind != "class") & votes.correct.notna()]
    error: pd.Series = (sure.correct == True).groupby(sure.kind).mean()  # noqa: E712
    assert error["lookalike"] > 3 * error["blank"]


def test_the_committed_files_are_small():
    """Together they take less than a megabyte."""
    paths = [*MANIFESTS.iterdir(), *ANNOTATIONS.iterdir()]
    assert sum(path.stat().st_size for path in paths) < 1_000_000
