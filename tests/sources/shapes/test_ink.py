import cmath

import pytest
from PIL import Image

from cnlw_tools.sources.shapes.chance import Chance, id_keys
from cnlw_tools.sources.shapes.drawings import AROUND, CLASSES
from cnlw_tools.sources.shapes.ink import (
    LARGE,
    SIZE,
    Role,
    box,
    coloured,
    disc,
    draw,
    line,
    mirrored,
    posed,
    turned,
)

RED = (255, 0, 0, 255)
DRAWINGS = CLASSES | {k: v for a in AROUND.values() for k, v in (a.lookalikes | a.related).items()}


def test_a_box_fills_its_share_of_the_canvas():
    """Unit coordinates run from -1 to 1."""
    roles = draw([box(Role.BODY, -0.5 - 0.5j, 0.5 + 0.5j)])
    assert roles.size == (LARGE, LARGE)
    assert roles.histogram()[Role.BODY] == pytest.approx(LARGE * LARGE / 4, rel=0.02)


def test_later_parts_cover_earlier_ones_and_none_cuts_a_hole():
    """A hole shows the background."""
    roles = draw([disc(Role.BODY, 0j, 0.8), disc(Role.NONE, 0j, 0.4)])
    assert roles.getpixel((LARGE // 2, LARGE // 2)) == Role.NONE
    assert roles.getpixel((LARGE // 2, LARGE // 5)) == Role.BODY


def test_a_palette_turns_roles_into_smooth_colours():
    """Edges are half transparent, and of the colour of what they belong to."""
    image = coloured(draw([disc(Role.BODY, 0j, 0.5)]), {Role.BODY: RED})
    assert image.size == (SIZE, SIZE)
    assert image.getpixel((SIZE // 2, SIZE // 2)) == RED
    shades = {alpha for _, alpha in _pixels(image) if 0 < alpha < 255}
    assert len(shades) > 4
    assert all(red > 200 for red, alpha in _pixels(image) if alpha > 30)


def test_a_pose_turns_scales_moves_and_mirrors():
    """Each is one affine map, and strokes scale with it."""
    part = line(Role.BODY, 0.1, 0j, 1 + 0j)
    assert turned([part], 90, 2.0, 1j)[0].points == pytest.approx((1j, 3j))
    assert turned([part], 90, 2.0, 1j)[0].width == pytest.approx(0.2)
    assert mirrored([part])[0].points == pytest.approx((0j, -1 + 0j))
    assert posed([part], cmath.rect(1, 1), 0j)[0].width == pytest.approx(0.1)


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_drawing_keeps_to_the_canvas_whatever_the_luck(name):
    """An object fills about the square from -1-1j to 1+1j."""
    for i in range(20):
        points = [z for part in DRAWINGS[name](Chance(f"{name} {i}")) for z in part.points]
        low, high = (
            min(min(z.real, z.imag) for z in points),
            max(max(z.real, z.imag) for z in points),
        )
        assert -1.3 < low < -0.5
        assert 0.5 < high < 1.3


def test_chance_follows_from_the_text_alone():
    """Same text, same numbers; another text, others; more than one block of them."""
    one, other = Chance("a"), Chance("a")
    row = [one.real() for _ in range(300)]
    assert row == [other.real() for _ in range(300)]
    assert len(set(row)) == 300
    assert Chance("b").real() not in row
    assert 0.4 < sum(row) / 300 < 0.6


def test_chance_stays_in_its_bounds():
    """Whole numbers include both ends."""
    chance = Chance("bounds")
    assert {chance.whole(2, 4) for _ in range(100)} == {2, 3, 4}
    assert {chance.pick("abc") for _ in range(100)} == set("abc")
    assert all(-1 <= chance.real(-1, 2) < 2 for _ in range(100))


def test_keys_of_many_ids_do_not_depend_on_each_other():
    """Neither on their order."""
    assert id_keys(["a", "bc"]).tolist() == [id_keys(["a"])[0], id_keys(["bc"])[0]]


def _pixels(image: Image.Image) -> list[tuple[int, int]]:
    return list(zip(image.getchannel("R").tobytes(), image.getchannel("A").tobytes(), strict=True))
