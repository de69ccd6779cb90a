"""Clothing1M, with its lists beside the images or in a folder of their own."""

from collections import Counter

import pytest

from cnlw_tools.sources.clothing1m import Clothing1m


def test_splits_and_labels(lay_out):
    """Images that people labelled have one split and their label; the noisy label is a column."""
    source = Clothing1m(lay_out("clothing1m"))
    rows = {row["image_id"]: row for row in source.manifest().to_pylist()}

    assert source.classes() == ("T-Shirt", "Down Coat", "Vest")
    assert Counter(row["split"] for row in rows.values()) == {
        "train": 9,
        "probe": 3,
        "validation": 3,
        "test": 3,
    }
    facts = {}
    for image_id, row in rows.items():
        facts[image_id] = (row["label"], row["split"], row["noisy_label"])
    assert facts["images/1/noisy_train,4.jpg"] == (1, "train", 1)
    assert facts["images/0/clean_val,0.jpg"] == (0, "validation", 0)
    assert facts["images/1/clean_train,1.jpg"] == (1, "probe", 1)
    assert facts["images/1/clean_test,1.jpg"] == (1, "test", None)


def test_lists_beside_the_images(lay_out):
    """Lists may lie beside the images, as with the authors."""
    folder = lay_out("clothing1m")
    table = Clothing1m(folder).manifest()
    for path in list((folder / "annotations").iterdir()):
        path.rename(folder / path.name)

    assert Clothing1m(folder).manifest() == table


def test_no_label(lay_out):
    """The error for an image without a label names the image and the lists."""
    path = lay_out("clothing1m") / "annotations/clean_label_kv.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))

    with pytest.raises(
        ValueError,
        match=r"clean_test_key_list.txt: 'images/2/clean_test,2.jpg' has no label in clean_",
    ):
        Clothing1m(path.parents[1]).manifest()


@pytest.mark.parametrize(
    "name", ["category_names_eng.txt", "noisy_train_key_list.txt", "clean_label_kv.txt"]
)
def test_missing_list(lay_out, name):
    """The error for a missing list names it."""
    folder = lay_out("clothing1m")
    (folder / "annotations" / name).unlink()

    with pytest.raises(
        FileNotFoundError, match=f"there is no {name} here; clothing1m needs images/"
    ):
        Clothing1m(folder).manifest()
