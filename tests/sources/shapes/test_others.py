"""Things that are none of the classes."""

import pytest

from cnlw_tools.dataset import dataset
from cnlw_tools.sources.shapes import Shapes
from cnlw_tools.sources.shapes.drawings import CLASSES
from cnlw_tools.sources.shapes.others import THINGS, ShapesOthers


def test_it_is_a_dataset_of_its_own():
    """It has 75 things, none of them a class, and ids that always mean the same pictures."""
    source = ShapesOthers()
    empty = dataset.empty_dataset("shapes_others", source.classes())
    manifest = empty.with_base(source.manifest(), "").base
    ids = manifest["image_id"].to_pylist()

    assert len(source.classes()) == 75
    assert not {*THINGS} & {*CLASSES}
    assert len({*ids}) == 75 * 60
    assert not {*ids} & {*Shapes().manifest()["image_id"].to_pylist()}
    different_ids = [ids[row] for row in (0, 1, 59, 60, -1)]
    pictures = [ShapesOthers().read(image_id).tobytes() for image_id in different_ids]
    assert len({*pictures}) == 5
    assert ShapesOthers().read(ids[0]).tobytes() == pictures[0]


@pytest.mark.parametrize(
    "image_id", ["mug-0001", "oil-can-0061", "oil-can-0000", "oil-can-1", "oil-can-web-0001"]
)
def test_an_unknown_id(image_id):
    """The error for an unknown id says what ids are like."""
    with pytest.raises(LookupError, match="oil-can-0001"):
        ShapesOthers().read(image_id)
