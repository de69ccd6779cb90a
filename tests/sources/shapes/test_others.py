"""Things that are none of the classes."""

import pytest

from cnlw_tools.dataset import dataset
from cnlw_tools.sources.shapes import Shapes
from cnlw_tools.sources.shapes.drawings import CLASSES
from cnlw_tools.sources.shapes.others import THINGS, ShapesOthers


def test_it_is_a_dataset_of_its_own():
    """75 things, none of them a class; ids of its own, each a picture that is always the same."""
    source = ShapesOthers()
    found = (
        dataset.empty_dataset("shapes_others", source.classes())
        .with_base(source.manifest(), "")
        .base
    )
    ids = found["image_id"].to_pylist()

    assert len(source.classes()) == 75
    assert not {*THINGS} & {*CLASSES}
    assert len({*ids}) == 75 * 60
    assert not {*ids} & {*Shapes().manifest()["image_id"].to_pylist()}
    pictures = [ShapesOthers().read(ids[i]).tobytes() for i in (0, 1, 59, 60, -1, 0)]
    assert len({*pictures}) == 5


@pytest.mark.parametrize(
    "image_id", ["mug-0001", "oil-can-0061", "oil-can-0000", "oil-can-1", "oil-can-web-0001"]
)
def test_an_image_that_there_is_not(image_id):
    """The message says what ids are like."""
    with pytest.raises(LookupError, match="oil-can-0001"):
        ShapesOthers().read(image_id)
