"""Food-101N: the release, its verdicts, and the test set of Food-101."""

import shutil

import pytest

from cnlw_tools.sources.food101n import Food101n


def facts(folder):
    rows = Food101n(folder).manifest().to_pylist()
    return [
        (row["image_id"].split("/", 1)[1], row["label"], row["split"], row["correct"])
        for row in rows
    ]


def test_splits_and_verdicts(lay_out):
    """Train keeps verdicts and loses what is held out; of that the right images validate; Food-101 tests."""
    folder = lay_out("food101n")
    found = facts(folder)
    name = "images/apple_pie/{:032x}.jpg".format

    assert Food101n(folder).classes() == ("apple_pie", "waffles")
    assert found[:4] == [
        (name(0), 0, "train", None),
        (name(1), 0, "train", False),
        (name(2), 0, "train", True),
        (name(5), 0, "train", None),
    ]
    assert [row[2:] for row in found[9:11]] == [("validation", True)] * 2
    assert found[9][:2] == (name(4), 0)
    assert found[11:] == [
        ("images/apple_pie/101.jpg", 0, "test", None),
        ("images/waffles/202.jpg", 1, "test", None),
    ]


def test_the_release_alone(lay_out):
    """Without Food-101 there is no test split; the folder of the release itself may be given."""
    folder = lay_out("food101n")
    found = facts(folder)
    shutil.rmtree(folder / "food-101")
    rows = Food101n(folder / "Food-101N_release").manifest().to_pylist()

    assert facts(folder) == found[:-2]
    assert [row["label"] for row in rows] == [row[1] for row in found[:-2]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("imagelist.tsv", "apple_pie/1.jpg", "begins with 'apple_pie/1.jpg', not with class_name"),
        ("imagelist.tsv", "", "begins with '', not with class_name"),
        (
            "imagelist.tsv",
            "class_name/key\ntea/1.jpg",
            "the class of train image 'tea/1.jpg' is not in classes.txt",
        ),
        (
            "verified_val.tsv",
            "class_name/key\tx\nwaffles/1.jpg\t2",
            r"row 0: .* is not an image and 0 or 1",
        ),
    ],
)
def test_damaged_list(lay_out, name, content, message):
    """Another list is an error that names what is wrong with it."""
    folder = lay_out("food101n")
    (folder / "Food-101N_release/meta" / name).write_text(content)

    with pytest.raises(ValueError, match=message):
        Food101n(folder).manifest()
