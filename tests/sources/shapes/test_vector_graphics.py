"""The drawing vocabulary, and what every drawing keeps to."""

import cmath

import numpy as np
import pytest
from PIL import Image

from cnlw_tools.sources.shapes.drawings import CLASSES, NEIGHBOURS
from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import Role
from cnlw_tools.sources.shapes.vector_graphics import (
    BLOCK_COUNTS,
    BLOCK_SUMS,
    CANVAS_SIZE,
    OPAQUE_ROLES,
    OVERSAMPLING,
    SIZE,
    apply_opaque_palette,
    apply_palette,
    draw_roles,
    ellipse,
    mirror,
    rectangle,
    rotate,
    stroke,
    transform,
)

RED = (255, 0, 0, 255)
DRAWINGS = dict(CLASSES)
for neighbours in NEIGHBOURS.values():
    DRAWINGS |= neighbours.lookalikes | neighbours.related


def test_a_rectangle_fills_its_share_of_the_canvas():
    """Unit coordinates run from -1 to 1."""
    roles = draw_roles([rectangle(Role.BODY, -0.5 - 0.5j, 0.5 + 0.5j)])
    assert roles.size == (CANVAS_SIZE, CANVAS_SIZE)
    assert roles.histogram()[Role.BODY] == pytest.approx(CANVAS_SIZE * CANVAS_SIZE / 4, rel=0.02)


def test_later_parts_cover_earlier_ones_and_none_cuts_a_hole():
    """A hole shows the background."""
    roles = draw_roles([ellipse(Role.BODY, 0j, 0.8), ellipse(Role.NONE, 0j, 0.4)])
    middle = CANVAS_SIZE // 2
    assert roles.getpixel((middle, middle)) == Role.NONE
    assert roles.getpixel((middle, CANVAS_SIZE // 5)) == Role.BODY


def test_a_palette_turns_roles_into_smooth_colours():
    """Edges are half transparent, and of the colour of what they belong to."""
    image = apply_palette(draw_roles([ellipse(Role.BODY, 0j, 0.5)]), {Role.BODY: RED})
    assert image.size == (SIZE, SIZE)
    assert image.getpixel((SIZE // 2, SIZE // 2)) == RED
    shades = {alpha for _, alpha in _red_and_alpha(image) if 0 < alpha < 255}
    assert len(shades) > 4
    assert all(red > 200 for red, alpha in _red_and_alpha(image) if alpha > 30)


def test_an_opaque_palette_gives_the_means_of_blocks():
    """What is looked up is what Pillow computes from all pixels."""
    draw = np.random.default_rng(0)
    roles = Image.fromarray(
        draw.choice(np.array(OPAQUE_ROLES, np.uint8), (CANVAS_SIZE, CANVAS_SIZE))
    )
    roles.paste(Role.THIRD, (0, 0, CANVAS_SIZE // 2, CANVAS_SIZE))  # the largest sum of a block
    palette = {role: (*draw.integers(0, 256, 3).tolist(), 255) for role in OPAQUE_ROLES}
    pixels = np.zeros((CANVAS_SIZE, CANVAS_SIZE, 3), np.uint8)
    for role, colour in palette.items():
        pixels[np.asarray(roles) == role] = colour[:3]
    expected = Image.fromarray(pixels).reduce(OVERSAMPLING)

    assert apply_opaque_palette(roles, palette).tobytes() == expected.tobytes()
    assert len({*BLOCK_SUMS.tolist()}) == len(BLOCK_COUNTS)


def test_a_transform_rotates_scales_moves_and_mirrors():
    """Each is one affine map, and strokes scale with it."""
    part = stroke(Role.BODY, 0.1, 0j, 1 + 0j)
    assert rotate([part], 90, 2.0, 1j)[0].points == pytest.approx((1j, 3j))
    assert rotate([part], 90, 2.0, 1j)[0].width == pytest.approx(0.2)
    assert mirror([part])[0].points == pytest.approx((0j, -1 + 0j))
    assert transform([part], cmath.rect(1, 1), 0j)[0].width == pytest.approx(0.1)


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_drawing_keeps_to_the_canvas_whatever_the_luck(name):
    """An object fills about the square from -1-1j to 1+1j."""
    for seed in range(20):
        parts = DRAWINGS[name](Rng(f"{name} {seed}"))
        coordinates = []
        for part in parts:
            for point in part.points:
                coordinates += [point.real, point.imag]
        assert -1.3 < min(coordinates) < -0.5
        assert 0.5 < max(coordinates) < 1.3


def _red_and_alpha(image: Image.Image) -> list[tuple[int, int]]:
    return list(zip(image.getchannel("R").tobytes(), image.getchannel("A").tobytes(), strict=True))
