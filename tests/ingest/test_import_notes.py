"""What an import says of a dataset, though it is no error."""

import pytest

from cnlw_tools.ingest.import_notes import describe_oddities
from cnlw_tools.sources.base import make_manifest


@pytest.mark.parametrize(
    ("labels", "splits", "digests", "notes"),
    [
        ([0, 1, 2], ["train"] * 3, "abc", []),
        ([0, 0, 1], ["train"] * 3, "aab", []),
        (
            [0, 0, 2],
            ["train"] * 3,
            "aba",
            ["1 image found in several classes, so one label of each is wrong: 0 and 2 ..."],
        ),
        (
            [1, 1, 2, 2],
            ["train", "validation", "train", "test"],
            "aabb",
            [
                "2 images found in several splits, so a network is tested on images that it saw: 0 and"
            ],
        ),
        (
            [1, 2],
            ["train", "test"],
            "aa",
            ["1 image found in several cl", "1 image found in several"],
        ),
    ],
)
def test_equal_images(labels, splits, digests, notes):
    """Images that are equal and have several labels or splits are counted, and two are named."""
    ids = [str(row) for row in range(len(labels))]
    manifest = make_manifest(ids, labels, splits, sha256=list(digests))

    lines = describe_oddities(manifest, ["Cat", "bird", "dog"])
    lines = [line for line in lines if "without" not in line]

    assert len(lines) == len(notes)
    assert all(line.startswith(note) for line, note in zip(lines, notes, strict=True))


def test_similar_names():
    """Classes that differ only in capital letters are named."""
    labels = [0, 1, 2, 3]
    manifest = make_manifest(list("abcd"), labels, ["train"] * 4, sha256=list("0123"))

    lines = describe_oddities(manifest, ["Cat", "a", "A", "cat"])

    assert lines == ["classes that differ only in capital letters: 'Cat' and 'cat'"]


def test_unseen_classes():
    """Classes that have no image to train on are named."""
    splits = ["train", "validation", "test"]
    manifest = make_manifest(list("abc"), [0, 1, 2], splits, sha256=list("012"))

    lines = describe_oddities(manifest, ["ant", "bee", "cat"])

    assert lines == ["classes without an image to train on: 'bee', 'cat'"]
