"""Several readers as one: the id of an image says which of them reads it."""

import pytest

from cnlw_tools import files
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_reader
from cnlw_tools.sources.composite import CompositeReader

NO_DONORS = frozenset()


class NamedReader:
    """A reader that returns its name instead of an image."""

    def __init__(self, name) -> None:
        self.name = name

    def read(self, image_id):
        """Return name and id."""
        return f"{self.name}:{image_id}".encode()


class NamedStore(NamedReader):
    """A store that has one image, called w."""

    def has_image(self, image_id):
        """Return whether it is that image."""
        return image_id == "w"

    def read_picture(self, image_id):
        """Return name and id."""
        return self.read(image_id)


def test_donors():
    """A donor's name before the slash leads to the donor, any other id to the dataset's source."""
    donors = {"a": NamedReader("a"), "b": NamedReader("b")}
    reader = CompositeReader(NamedReader("source"), donors)

    assert reader.read("a/x") == b"a:x"
    assert reader.read("b/x/y") == b"b:x/y"
    assert reader.read("c/x") == b"source:c/x"
    assert reader.read("a") == b"source:a"


def test_a_missing_source():
    """Without its source an image cannot be read, and can_read says so beforehand."""
    reader = CompositeReader(None, {"a": NamedReader("a")})
    donors = frozenset({"a", "b"})

    assert reader.can_read("a/x", donors)
    assert not reader.can_read("b/x", donors)
    assert not reader.can_read("x", donors)
    with pytest.raises(LookupError, match="image 'x': the images of the dataset are not given"):
        reader.read("x")


def test_missing_donors():
    """Without donors, their images cannot be read, but those of the source can."""
    reader = CompositeReader(NamedReader("source"), {})
    donors = frozenset({"a", "b"})

    assert not reader.can_read("a/x", donors)
    assert reader.can_read("c/x", donors)
    assert reader.can_read("x", donors)


def test_a_store():
    """The images of a store can be read even without the dataset's source."""
    reader = CompositeReader(None, {}, NamedStore("store"))

    assert reader.can_read("w", NO_DONORS)
    assert not reader.can_read("x", NO_DONORS)
    assert reader.read("w") == b"store:w"


def test_open_reader():
    """Sources are opened by name."""
    reader = open_reader("shapes", ["white"], Inputs(files.default_root()))

    assert reader.read("white/gaussian-3x2-m1_1_1-s1_1_1-0").size == (3, 2)
    assert reader.read("bicycle-0001").size == (64, 64)
