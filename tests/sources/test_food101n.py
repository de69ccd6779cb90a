"""Food-101N: its images, its verdicts, and the test set of Food-101."""

import shutil

import pytest

from cnlw_tools.sources.food101n import Food101n


def read_rows(folder):
    """Return path, label, split and verdict of each image; the path without the first folder."""
    rows = []
    for row in Food101n(folder).manifest().to_pylist():
        path = row["image_id"].split("/", 1)[1]
        rows.append((path, row["label"], row["split"], row["correct"]))
    return rows


def test_splits_and_verdicts(lay_out):
    """Correct held-out images are validation, other images train; Food-101 gives the test split."""
    folder = lay_out("food101n")
    rows = read_rows(folder)
    name = "images/apple_pie/{:032x}.jpg".format

    assert Food101n(folder).classes() == ("apple_pie", "waffles")
    assert rows[:4] == [
        (name(0), 0, "train", None),
        (name(1), 0, "train", False),
        (name(2), 0, "train", True),
        (name(5), 0, "train", None),
    ]
    assert [row[2:] for row in rows[9:11]] == [("validation", True)] * 2
    assert rows[9][:2] == (name(4), 0)
    assert rows[11:] == [
        ("images/apple_pie/101.jpg", 0, "test", None),
        ("images/waffles/202.jpg", 1, "test", None),
    ]


def test_the_release_alone(lay_out):
    """Without Food-101 there is no test split; the folder of the release itself may be given."""
    folder = lay_out("food101n")
    rows = read_rows(folder)
    shutil.rmtree(folder / "food-101")
    manifest = Food101n(folder / "Food-101N_release").manifest()

    assert read_rows(folder) == rows[:-2]
    assert manifest["label"].to_pylist() == [row[1] for row in rows[:-2]]


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
            r"row 0: .* must consist of the name of an image and 0 or 1",
        ),
    ],
)
def test_damaged_list(lay_out, name, content, message):
    """The error for a damaged list says what is wrong with it."""
    folder = lay_out("food101n")
    (folder / "Food-101N_release/meta" / name).write_text(content)

    with pytest.raises(ValueError, match=message):
        Food101n(folder).manifest()
