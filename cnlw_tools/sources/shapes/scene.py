"""One picture: background, shadow, object, light and grain, put together at the final size."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from cnlw_tools.sources.shapes import colours, grounds
from cnlw_tools.sources.shapes.chance import Chance
from cnlw_tools.sources.shapes.ink import SIZE, Colour, Parts, Role, coloured, draw, posed, textured

Drawing = Callable[[Chance], Parts]


class Look(NamedTuple):
    """How a scene is staged."""

    turn: float  # degrees to either side
    scale: tuple[float, float]  # half the object's width, in half widths of the picture
    drift: float  # from the centre, at most
    clutter: int  # things behind it, at most
    studio: float  # share of white, empty backgrounds


SNAPSHOT = Look(turn=48, scale=(0.45, 0.86), drift=0.28, clutter=5, studio=0.0)
LISTING = Look(turn=18, scale=(0.62, 0.95), drift=0.1, clutter=2, studio=0.55)
CROPPED = Look(turn=25, scale=(0.95, 1.2), drift=0.25, clutter=1, studio=0.2)


def scene(drawing: Drawing, chance: Chance, look: Look = SNAPSHOT) -> Image.Image:
    """Draw one object before a background."""
    back, ground = background(chance, look)
    roles = _object(drawing, chance, look)
    thing = coloured(roles, colours.object_palette(chance, ground))
    _shadow(back, thing, chance)
    back.paste(thing, (0, 0), thing)
    return finished(back, chance)


def background(chance: Chance, look: Look = SNAPSHOT) -> tuple[Image.Image, Colour]:
    """Draw what is behind, and say its main colour."""
    palette = colours.ground_palette(chance)
    if chance.yes(look.studio):
        colour = colours.shaken(chance, chance.pick(colours.STUDIO), 4)
        return Image.new("RGB", (SIZE, SIZE), colour[:3]), colour
    behind = coloured(draw(chance.pick(grounds.GROUNDS)(chance), ground=Role.FIRST), palette)
    things = grounds.clutter(chance, look.clutter)
    if things:
        layer = coloured(draw(things), colours.clutter_palette(chance, palette[Role.FIRST]))
        behind.alpha_composite(layer)
    return behind.convert("RGB"), palette[Role.FIRST]


def finished(image: Image.Image, chance: Chance) -> Image.Image:
    """Let light fall on a picture from some side, and give some pictures a grain."""
    image = ImageChops.multiply(image, _light(chance.whole(0, 15), chance.whole(0, 3)))
    return _grain(image, chance) if chance.yes(0.3) else image


def pose(chance: Chance, look: Look) -> tuple[complex, complex, complex]:
    """Mirror, stretch, shear, turn, scale and move: the affine map ``a z + b conj(z) + c``."""
    size, angle = chance.real(*look.scale), math.radians(chance.real(-look.turn, look.turn))
    turn = size * complex(math.cos(angle), math.sin(angle))
    stretch = complex(chance.real(-0.1, 0.1), chance.real(-0.08, 0.08))
    a, b = (turn, turn * stretch) if chance.yes() else (turn * stretch, -turn)
    return a, b, complex(chance.real(-look.drift, look.drift), chance.real(-look.drift, look.drift))


def _object(drawing: Drawing, chance: Chance, look: Look) -> Image.Image:
    parts = posed(drawing(chance), *pose(chance, look))
    outline = chance.pick([0.0, 0.0, 0.022, 0.03])
    if chance.yes(look.clutter / 12):
        parts += grounds.clutter(chance, 1)
    roles = draw(parts, outline)
    if chance.yes(0.35):
        textured(roles, _pattern(chance.whole(0, 31)))
    return roles


def _shadow(back: Image.Image, thing: Image.Image, chance: Chance) -> None:
    alpha = thing.getchannel("A").transform(
        (SIZE, SIZE),
        Image.Transform.AFFINE,
        (1, 0, -chance.whole(-3, 3), 0, 1, -chance.whole(1, 4)),
    )
    soft, depth = alpha.filter(ImageFilter.BoxBlur(2)), chance.real(0.15, 0.5)
    back.paste((20, 18, 30), (0, 0), soft.point([round(i * depth) for i in range(256)]))


def _grain(image: Image.Image, chance: Chance) -> Image.Image:
    cells = chance.pick([16, 32, 64])
    noise = (chance.numbers(cells * cells).reshape(cells, cells) * 2 - 1) * chance.real(6, 18)
    field = Image.fromarray((noise + 128).astype(np.uint8)).resize(
        (SIZE, SIZE), Image.Resampling.BILINEAR
    )
    return ImageChops.add(image, Image.merge("RGB", [field] * 3), offset=-128)


@cache
def _light(side: int, depth: int) -> Image.Image:
    """A ramp from white to grey, falling in one of 16 directions."""
    angle = math.radians(22.5 * side)
    across = np.linspace(-1, 1, SIZE)
    ramp = (across * math.cos(angle))[None, :] + (across * math.sin(angle))[
        :, None
    ]  # (y, x), -1.5 .. 1.5
    level = np.clip(255 - (ramp + 1) * (6 + 18 * depth), 0, 255)
    return Image.fromarray(np.repeat(level.astype(np.uint8)[..., None], 3, axis=2))


@cache
def _pattern(number: int) -> Image.Image:
    return draw(grounds.pattern(Chance(f"pattern {number}"))).point([0] + [255] * 255)
