"""Several sources as one: the id says whose image it is."""

import pytest

from cnlw_tools import files
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import open_reader
from cnlw_tools.sources.composite import CompositeReader


class Named:
    """A source that says its name."""

    def __init__(self, name) -> None:
        self.name = name

    def read(self, image_id):
        """Return name and id."""
        return f"{self.name}:{image_id}".encode()


def test_routes():
    """A donor's name before the slash leads to the donor, anything else to the dataset's own source."""
    both = CompositeReader(Named("own"), {"a": Named("a"), "b": Named("b")})

    assert [both.read(i) for i in ("a/x", "b/x/y", "c/x", "a")] == [
        b"a:x",
        b"b:x/y",
        b"own:c/x",
        b"own:a",
    ]


def test_what_is_not_there():
    """Without its source an image is not to be had, and that can be asked before."""
    part = CompositeReader(None, {"a": Named("a")})
    known = frozenset({"a", "b"})

    assert [part.can_read(i, known) for i in ("a/x", "b/x", "x")] == [True, False, False]
    assert [CompositeReader(Named("own"), {}).can_read(i, known) for i in ("a/x", "c/x", "x")] == [
        False,
        True,
        True,
    ]
    with pytest.raises(LookupError, match="image 'x': the source of the dataset is not given"):
        part.read("x")


def test_a_store_has_what_it_holds():
    """Also where the dataset's own source is not here."""

    class Stock(Named):
        def has_image(self, image_id):
            return image_id == "w"

    part = CompositeReader(None, {}, Stock("web"))

    assert [part.can_read(i, frozenset()) for i in ("w", "x")] == [True, False]
    assert part.read("w") == b"web:w"


def test_opened():
    """Sources are opened by name."""
    found = open_reader("shapes", ["white"], Inputs(files.default_root()))

    assert found.read("white/gaussian-3x2-m1_1_1-s1_1_1-0").size == (3, 2)
    assert found.read("bicycle-0001").size == (64, 64)
