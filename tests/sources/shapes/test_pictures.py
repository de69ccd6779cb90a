"""The pictures of shapes."""

import hashlib
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from PIL import ImageChops, ImageStat

from cnlw_tools.sources.shapes import Shapes
from cnlw_tools.sources.shapes.drawings import CLASSES, NEIGHBOURS
from cnlw_tools.sources.shapes.ids import base_ids, web_ids
from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.scene import draw_scene
from cnlw_tools.sources.shapes.web import KIND_SHARES, candidate_content


def first_of_kind(kind):
    """Return the first candidate for a mug that shows something of a kind."""
    for image_id in web_ids("mug"):
        if candidate_content(image_id, "mug").kind == kind:
            return image_id
    raise LookupError(kind)


ONE_OF_EACH_KIND = [first_of_kind(kind) for kind in KIND_SHARES]


def digest(image_id):
    """Hash the pixels of an image."""
    return hashlib.sha256(Shapes().read(image_id).tobytes()).digest()


@pytest.mark.parametrize("image_id", [*(f"{name}-0001" for name in CLASSES), *ONE_OF_EACH_KIND])
def test_an_id_always_gives_the_same_pixels(image_id):
    """Pictures are 64 by 64, in colour, and do not depend on what was drawn before."""
    first = Shapes().read(image_id)
    second = Shapes().read(image_id)
    assert first.mode == "RGB"
    assert first.size == (64, 64)
    assert first.tobytes() == second.tobytes()


def test_another_process_draws_the_same():
    """Nothing depends on the state of a process."""
    ids = [*ONE_OF_EACH_KIND, "key-0600"]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert list(pool.map(digest, ids)) == [digest(i) for i in ids]


@pytest.mark.parametrize(
    "image_id",
    [
        "",
        "mug",
        "mug-0000",
        "mug-0601",
        "mug-1",
        "Mug-0001",
        "cup-0001",
        "mug-web-0000",
        "mug-web-9999",
    ],
)
def test_an_unknown_id_is_an_error(image_id):
    """The error names the id, and says which ids there are."""
    with pytest.raises(LookupError, match=r"mug-0001.*mug-web-0001") as error:
        Shapes().read(image_id)
    assert repr(image_id) in str(error.value)


def test_a_source_travels_to_another_process():
    """A copy that was pickled draws the same."""
    copied = pickle.loads(pickle.dumps(Shapes()))
    assert copied.read("key-0001").tobytes() == Shapes().read("key-0001").tobytes()


def test_no_two_of_a_sample_are_equal():
    """Some pictures of every class, base and web, are all different."""
    ids = []
    for name in CLASSES:
        ids += base_ids(name)[:12] + web_ids(name)[:20]
    assert len({digest(image_id) for image_id in ids}) == len(ids)


def test_every_picture_shows_something():
    """No picture of an object has one colour."""
    for name in CLASSES:
        for image_id in base_ids(name)[:5]:
            statistics = ImageStat.Stat(Shapes().read(image_id))
            assert max(statistics.stddev) > 8


def test_there_are_ten_classes():
    """Each has neighbours on the web."""
    assert len(CLASSES) == 10
    assert list(CLASSES) == sorted(CLASSES) == sorted(NEIGHBOURS)


@pytest.mark.parametrize("name", CLASSES)
def test_neighbours_are_of_no_class(name):
    """A class has at least three look-alikes and two related things; none is a class."""
    lookalikes, related = NEIGHBOURS[name]
    assert len(lookalikes) >= 3
    assert len(related) >= 2
    assert not (lookalikes.keys() | related.keys()) & CLASSES.keys()
    assert not lookalikes.keys() & related.keys()
    assert not set(CLASSES.values()) & {*lookalikes.values(), *related.values()}


@pytest.mark.parametrize("name", CLASSES)
def test_web_ids_show_the_class_and_its_neighbours(name):
    """Every look-alike and every related thing is found."""
    lookalikes, related = NEIGHBOURS[name]
    things = {candidate_content(image_id, name).thing for image_id in web_ids(name)}
    assert things == {name, *lookalikes, *related, ""}


def test_two_things_drawn_with_the_same_numbers_differ():
    """The object distinguishes classes, not the scene."""
    mug = draw_scene(CLASSES["mug"], Rng("same"))
    key = draw_scene(CLASSES["key"], Rng("same"))
    assert ImageChops.difference(mug, key).getbbox()


@pytest.mark.slow
def test_no_two_pictures_are_equal():
    """The first pictures of each class, base and web, are all different."""
    ids = []
    for name in CLASSES:
        ids += base_ids(name)[:25] + web_ids(name)[:25]
    assert len(set(map(digest, ids))) == len(ids)
