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
    """64 by 64, in colour, whatever was drawn before."""
    first = Shapes().read(image_id)
    second = Shapes().read(image_id)
    assert first.mode == "RGB"
    assert first.size == (64, 64)
    assert first.tobytes() == second.tobytes()


def test_another_process_draws_the_same():
    """Nothing depends on what a process remembers."""
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
def test_an_unknown_id_is_an_error_that_says_what_there_is(image_id):
    """The value, and the ids there are."""
    with pytest.raises(LookupError, match=r"mug-0001.*mug-web-0001") as error:
        Shapes().read(image_id)
    assert repr(image_id) in str(error.value)


def test_a_source_travels_to_another_process():
    """It is cheap to pickle."""
    assert (
        pickle.loads(pickle.dumps(Shapes())).read("key-0001").tobytes()
        == Shapes().read("key-0001").tobytes()
    )


def test_no_two_of_a_sample_are_equal():
    """Of every class, base and web."""
    ids = [i for name in CLASSES for i in (*base_ids(name)[:12], *web_ids(name)[:20])]
    assert len({digest(i) for i in ids}) == len(ids)


def test_every_picture_shows_something():
    """No picture of an object is flat."""
    for name in CLASSES:
        for image_id in base_ids(name)[:5]:
            assert max(ImageStat.Stat(Shapes().read(image_id)).stddev) > 8


def test_there_are_ten_classes():
    """Each with a neighbourhood on the web."""
    assert len(CLASSES) == 10
    assert list(CLASSES) == sorted(CLASSES) == sorted(NEIGHBOURS)


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_wrong_is_of_no_class(name):
    """Look-alikes come from outside the ten, at least three a class, and two related things."""
    lookalikes, related = NEIGHBOURS[name]
    assert len(lookalikes) >= 3
    assert len(related) >= 2
    assert not (lookalikes.keys() | related.keys()) & CLASSES.keys()
    assert not lookalikes.keys() & related.keys()
    assert not set(CLASSES.values()) & {*lookalikes.values(), *related.values()}


@pytest.mark.parametrize("name", CLASSES)
def test_web_ids_show_the_class_or_what_is_around_it(name):
    """And everything around it is found."""
    things = {candidate_content(i, name).thing for i in web_ids(name)}
    assert things == {name, *NEIGHBOURS[name].lookalikes, *NEIGHBOURS[name].related, ""}


def test_two_things_drawn_with_the_same_luck_differ():
    """What distinguishes classes is the object, not the scene."""
    mug, key = (draw_scene(drawing, Rng("same")) for drawing in (CLASSES["mug"], CLASSES["key"]))
    assert ImageChops.difference(mug, key).getbbox()


@pytest.mark.slow
def test_no_two_pictures_are_equal():
    """The first of each class, base and web, by the same numbers: nothing in one leaks into the other."""
    ids = [i for name in CLASSES for i in (*base_ids(name)[:25], *web_ids(name)[:25])]
    assert len(set(map(digest, ids))) == len(ids)
