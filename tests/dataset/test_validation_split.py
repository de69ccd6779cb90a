"""A validation split takes a share of each class, by the ids of its images."""

from fractions import Fraction
from math import floor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cnlw_tools.dataset.tables import MANIFEST
from cnlw_tools.dataset.validation_split import classes_without_validation, split_off_validation

NAMES = tuple(f"class {label}" for label in range(5))


def manifest(counts, twins=()):
    """Images of so many a class in train, and a test image; twins have the bytes of another."""
    rows = []
    for label, n in enumerate(counts):
        for i in range(n):
            image_id = f"{label}/{i}"
            digest = "the same bytes" if image_id in twins else f"bytes of {image_id}"
            rows.append({"image_id": image_id, "label": label, "split": "train", "sha256": digest})
    rows.append({"image_id": "t", "label": 0, "split": "test", "sha256": "bytes of t"})
    return pa.Table.from_pylist(rows, MANIFEST)


def chosen(base):
    return set(base.filter(pc.equal(base["split"], "validation"))["image_id"].to_pylist())


def n_chosen(base):
    labels = [int(image_id.split("/")[0]) for image_id in chosen(base)]
    return [labels.count(label) for label in range(len(NAMES))]


@pytest.mark.parametrize("percent", [1, 7, 20, 50, 90])
def test_each_class_gives_its_share(percent):
    """Rounded half up, at least one and never all; other splits and columns stay as they are."""
    counts = (50, 13, 3, 2, 1)
    base = manifest(counts)
    split = split_off_validation(base, percent, NAMES)
    expected = []
    for n in counts:
        share = floor(Fraction(percent * n, 100) + Fraction(1, 2))
        expected.append(min(max(share, 1), n - 1))

    assert n_chosen(split) == expected
    assert split.drop_columns("split").equals(base.drop_columns("split"))
    assert split.schema == base.schema
    assert split.filter(pc.equal(split["split"], "test"))["image_id"].to_pylist() == ["t"]
    assert classes_without_validation(split, NAMES) == ["class 4"]


def test_the_ids_alone_decide():
    """Another order of rows changes nothing; a larger share contains a smaller one."""
    base = manifest((40, 30, 20, 10, 5))
    shuffled = base.take(pa.array(np.random.default_rng(0).permutation(len(base))))
    small = chosen(split_off_validation(base, 20, NAMES))

    assert small == chosen(split_off_validation(shuffled, 20, NAMES))
    assert small < chosen(split_off_validation(base, 30, NAMES))


def test_images_that_are_added_move_few():
    """Of a hundred images a class, five more change at most one or two a class."""
    few = chosen(split_off_validation(manifest((100,) * 5), 20, NAMES))
    many = chosen(split_off_validation(manifest((105,) * 5), 20, NAMES))

    assert len(few) == 100
    assert len(few - many) <= 15
    assert len(few & many) >= 85


def test_twins_stay_in_train():
    """Validation shows no image that is in train too, in its class or in another one."""
    twins = {"0/1", "0/2", "1/0"}
    base = manifest((4, 3, 2, 2, 2), twins)

    for percent in (20, 50, 90):
        assert not chosen(split_off_validation(base, percent, NAMES)) & twins


def test_images_of_unknown_bytes_have_no_twins():
    """A manifest without sha256 gives the same split as one in which all bytes differ."""
    base = manifest((40, 30, 20, 10, 5))
    column = base.column_names.index("sha256")
    unknown = base.set_column(column, base.schema.field(column), pa.nulls(len(base), pa.string()))
    expected = chosen(split_off_validation(base, 20, NAMES))

    assert chosen(split_off_validation(unknown, 20, NAMES)) == expected


def test_what_cannot_be_split_is_an_error():
    """A split of that name, or classes of one image each."""
    once = split_off_validation(manifest((5, 5, 5, 5, 5)), 20, NAMES)

    with pytest.raises(ValueError, match="there is already a validation split, of 5 images: omit"):
        split_off_validation(once, 20, NAMES)
    with pytest.raises(ValueError, match="no class has two different images"):
        split_off_validation(manifest((1, 1, 1, 1, 1)), 20, NAMES)
    with pytest.raises(ValueError, match="no class has two different images"):
        split_off_validation(manifest((2, 1, 1, 1, 1), {"0/0", "0/1"}), 20, NAMES)
