"""One picture: background, shadow, object, light and grain, put together at the final size."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from cnlw_tools.sources.shapes import backgrounds, colours
from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import Role
from cnlw_tools.sources.shapes.vector_graphics import (
    SIZE,
    Colour,
    Parts,
    apply_opaque_palette,
    apply_palette,
    apply_pattern,
    draw_roles,
    transform,
)

Drawing = Callable[[Rng], Parts]

OUTLINES = (0.0, 0.0, 0.022, 0.03)  # widths in unit coordinates
SHADOW_COLOUR = (20, 18, 30)
BLUR = ImageFilter.BoxBlur(2)
ALL_BYTES = np.arange(256)
N_PATTERNS = 32
N_LIGHT_DIRECTIONS = 16
GRAIN_SIZES = (16, 32, 64)  # cells a side
PATTERN_PROBABILITY = 0.35
GRAIN_PROBABILITY = 0.3


class Staging(NamedTuple):
    """How scenes are staged."""

    max_angle: float  # degrees to either side
    scale: tuple[float, float]  # from, to: half the object's width in half widths of the picture
    max_shift: float  # from the centre, in half widths of the picture
    max_clutter: int  # things behind the object
    studio_probability: float  # of a white, empty background


SNAPSHOT = Staging(
    max_angle=48,
    scale=(0.45, 0.86),
    max_shift=0.28,
    max_clutter=5,
    studio_probability=0.0,
)
LISTING = Staging(
    max_angle=18,
    scale=(0.62, 0.95),
    max_shift=0.1,
    max_clutter=2,
    studio_probability=0.55,
)
CROPPED = Staging(
    max_angle=25,
    scale=(0.95, 1.2),
    max_shift=0.25,
    max_clutter=1,
    studio_probability=0.2,
)


def draw_scene(drawing: Drawing, rng: Rng, staging: Staging = SNAPSHOT) -> Image.Image:
    """Draw one object before a background."""
    picture, background_colour = draw_background(rng, staging)
    roles = _draw_object(drawing, rng, staging)
    palette = colours.object_palette(rng, background_colour)
    thing = apply_palette(roles, palette)
    _cast_shadow(picture, thing, rng)
    picture.paste(thing, (0, 0), thing)
    return add_light_and_grain(picture, rng)


def draw_background(rng: Rng, staging: Staging = SNAPSHOT) -> tuple[Image.Image, Colour]:
    """Draw a background with clutter, and return it with its main colour."""
    palette = colours.background_palette(rng)
    if rng.chance(staging.studio_probability):
        colour = colours.jitter(rng, rng.choice(colours.STUDIO_COLOURS), 4)
        return Image.new("RGB", (SIZE, SIZE), colour[:3]), colour
    main_colour = palette[Role.FIRST]
    draw_parts = rng.choice(backgrounds.BACKGROUNDS)
    parts = draw_parts(rng)
    if parts:
        picture = apply_opaque_palette(draw_roles(parts, background=Role.FIRST), palette)
    else:
        picture = Image.new("RGB", (SIZE, SIZE), main_colour[:3])
    things = backgrounds.clutter(rng, staging.max_clutter)
    if things:
        clutter_palette = colours.clutter_palette(rng, main_colour)
        clutter = apply_palette(draw_roles(things), clutter_palette)
        picture.paste(clutter, (0, 0), clutter)
    return picture, main_colour


def add_light_and_grain(picture: Image.Image, rng: Rng) -> Image.Image:
    """Return a picture lit from some side; some pictures also get a grain."""
    direction = rng.integer(0, N_LIGHT_DIRECTIONS - 1)
    strength = rng.integer(0, 3)
    lit = ImageChops.multiply(picture, _light(direction, strength))
    return _add_grain(lit, rng) if rng.chance(GRAIN_PROBABILITY) else lit


def random_pose(rng: Rng, staging: Staging) -> tuple[complex, complex, complex]:
    """Return a, b, c of an affine map that mirrors, stretches, rotates, scales and moves.

    The map is ``a z + b conj(z) + c``.
    """
    scale = rng.uniform(*staging.scale)
    angle = math.radians(rng.uniform(-staging.max_angle, staging.max_angle))
    rotation = scale * complex(math.cos(angle), math.sin(angle))
    stretch_x = rng.uniform(-0.1, 0.1)
    stretch = complex(stretch_x, rng.uniform(-0.08, 0.08))
    if rng.chance():
        a = rotation
        b = rotation * stretch
    else:  # mirrored
        a = rotation * stretch
        b = -rotation
    shift_x = rng.uniform(-staging.max_shift, staging.max_shift)
    shift_y = rng.uniform(-staging.max_shift, staging.max_shift)
    return a, b, complex(shift_x, shift_y)


def _draw_object(drawing: Drawing, rng: Rng, staging: Staging) -> Image.Image:
    """Return the map of roles of a posed object; sometimes a small thing lies on it."""
    parts = drawing(rng)
    posed = transform(parts, *random_pose(rng, staging))
    outline = rng.choice(OUTLINES)
    if rng.chance(staging.max_clutter / 12):
        posed += backgrounds.clutter(rng, 1)
    roles = draw_roles(posed, outline)
    if rng.chance(PATTERN_PROBABILITY):
        roles = apply_pattern(roles, _pattern_mask(rng.integer(0, N_PATTERNS - 1)))
    return roles


def _cast_shadow(picture: Image.Image, thing: Image.Image, rng: Rng) -> None:
    """Darken a picture beside a thing, in place: its silhouette, moved and blurred."""
    shift_x = rng.integer(-3, 3)
    shift_y = rng.integer(1, 4)
    box = (-shift_x, -shift_y, SIZE - shift_x, SIZE - shift_y)
    moved = thing.getchannel("A").crop(box)  # outside of the picture, it is 0
    blurred = moved.filter(BLUR)
    depth = rng.uniform(0.15, 0.5)
    darkened = np.rint(ALL_BYTES * depth).astype(np.uint8).tobytes()
    mask = Image.frombytes("L", (SIZE, SIZE), blurred.tobytes().translate(darkened))
    picture.paste(SHADOW_COLOUR, (0, 0), mask)


def _add_grain(picture: Image.Image, rng: Rng) -> Image.Image:
    """Return a picture with a random brightness added to square cells, blended at their borders."""
    n_cells = rng.choice(GRAIN_SIZES)
    uniforms = rng.uniforms(n_cells * n_cells).reshape(n_cells, n_cells)
    noise = (uniforms * 2 - 1) * rng.uniform(6, 18)
    cells = Image.fromarray((noise + 128).astype(np.uint8))
    grain = cells.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return ImageChops.add(picture, Image.merge("RGB", [grain] * 3), offset=-128)


@cache
def _light(direction: int, strength: int) -> Image.Image:
    """Return a ramp from white to grey that falls in one of 16 directions."""
    angle = math.radians(360 / N_LIGHT_DIRECTIONS * direction)
    position = np.linspace(-1, 1, SIZE)
    along_x = position * math.cos(angle)
    along_y = position * math.sin(angle)
    ramp = along_x[None, :] + along_y[:, None]  # (y, x), -1.5 .. 1.5
    darkening = (ramp + 1) * (6 + 18 * strength)
    brightness = np.clip(255 - darkening, 0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(brightness[..., None], 3, axis=2))


@cache
def _pattern_mask(number: int) -> NDArray[np.bool_]:
    """Return where a pattern covers the canvas (y, x)."""
    parts = backgrounds.body_pattern(Rng(f"pattern {number}"))
    return np.asarray(draw_roles(parts)) > 0
