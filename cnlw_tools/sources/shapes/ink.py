"""The drawing vocabulary: parts in unit coordinates, posed by one affine map, drawn as a map of roles.

A point is a complex number, x to the right and y down; an object fills about -1-1j .. 1+1j. Every affine
map of the plane is ``a z + b conj(z) + c``, so a pose is three numbers. What is drawn is not colour but a
*role* (body, trim, metal ...), one byte a pixel on a canvas four times too large; a palette turns roles
into colours afterwards, and the reduction to the final size smooths the edges. Points are rounded to
whole pixels of the large canvas, so that the last bit of a sine decides nothing.
"""

import cmath
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import cache
from typing import NamedTuple

from PIL import Image, ImageChops, ImageDraw

SIZE = 64  # pixels of a finished picture
OVER = 4  # pixels of the large canvas for one of the finished picture
LARGE = SIZE * OVER

Colour = tuple[int, int, int, int]
Palette = Mapping[int, Colour]


class Role(IntEnum):
    """What a part is made of; ``NONE`` cuts a hole."""

    NONE = 0
    BODY = 1
    TRIM = 2
    PATTERN = 3  # the second colour of a textured body
    SHADE = 4  # the body, in shadow
    TINT = 5  # the body, in the light
    LINE = 6  # outlines
    DARK = 7
    LIGHT = 8
    METAL = 9
    WOOD = 10
    GLASS = 11
    LEAF = 12
    WARM = 13  # flames, brass, amber
    FOOD = 14
    FIRST = 15  # first to third: backgrounds and clutter
    SECOND = 16
    THIRD = 17


FLAT = frozenset(
    {Role.SHADE, Role.TINT, Role.NONE, Role.PATTERN, Role.FIRST, Role.SECOND, Role.THIRD}
)  # no outline
THIN = 0.09  # narrower strokes have no outline


class Part(NamedTuple):
    """A filled polygon, or a stroke along points if it has a width."""

    role: Role
    points: tuple[complex, ...]
    width: float = 0.0


Parts = list[Part]


def fill(role: Role, *points: complex) -> Part:
    """A polygon."""
    return Part(role, points)


def line(role: Role, width: float, *points: complex) -> Part:
    """A stroke with round ends."""
    return Part(role, points, width)


def bow(centre: complex, rx: float, ry: float, start: float, end: float) -> tuple[complex, ...]:
    """Points along an elliptic arc, in degrees clockwise from the right."""
    n = max(6, int(abs(end - start) * math.sqrt(max(rx, ry)) / 14))
    angles = (math.radians(start + (end - start) * i / n) for i in range(n + 1))
    return tuple(centre + complex(rx * math.cos(a), ry * math.sin(a)) for a in angles)


def arc(
    role: Role,
    width: float,
    centre: complex,
    rx: float,
    ry: float,
    start: float = 0,
    end: float = 360,
) -> Part:
    """A stroke along an elliptic arc; all the way round by default."""
    return Part(role, bow(centre, rx, ry, start, end), width)


def disc(role: Role, centre: complex, rx: float, ry: float | None = None) -> Part:
    """A filled circle or ellipse."""
    return Part(role, bow(centre, rx, rx if ry is None else ry, 0, 360)[:-1])


def box(role: Role, corner: complex, opposite: complex) -> Part:
    """A rectangle."""
    (x0, y0), (x1, y1) = (corner.real, corner.imag), (opposite.real, opposite.imag)
    return fill(role, corner, complex(x1, y0), opposite, complex(x0, y1))


def lathe(role: Role, *profile: complex) -> Part:
    """A shape that is the same on both sides of the upright axis, given by its right edge from top to bottom."""
    return fill(role, *profile, *(-z.conjugate() for z in reversed(profile)))


def smooth(points: Sequence[complex], steps: int = 5) -> tuple[complex, ...]:
    """Points along a closed Catmull-Rom spline through the given ones."""
    n, out = len(points), []
    for i in range(n):
        p, q, r, s = (points[(i + k) % n] for k in (-1, 0, 1, 2))
        for t in (k / steps for k in range(steps)):
            out.append(
                q + 0.5 * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)))
            )
    return tuple(out)


def blob(role: Role, *points: complex) -> Part:
    """A rounded shape through the points."""
    return Part(role, smooth(points))


def round_lathe(role: Role, *profile: complex) -> Part:
    """A rounded shape that is the same on both sides of the upright axis."""
    return blob(role, *lathe(role, *profile).points)


def posed(parts: Iterable[Part], a: complex, b: complex = 0j, c: complex = 0j) -> Parts:
    """Move every point z to ``a z + b conj(z) + c``, and scale the strokes alike."""
    size = math.sqrt(abs(abs(a) ** 2 - abs(b) ** 2))
    return [Part(r, tuple(a * z + b * z.conjugate() + c for z in p), w * size) for r, p, w in parts]


def turned(parts: Iterable[Part], degrees: float, size: float = 1.0, to: complex = 0j) -> Parts:
    """Turn clockwise about the origin, scale, and move."""
    return posed(parts, cmath.rect(size, math.radians(degrees)), 0j, to)


def mirrored(parts: Iterable[Part]) -> Parts:
    """Swap left and right."""
    return posed(parts, 0j, -1 + 0j)


def around(n: int, radius: float, start: float = -90.0) -> list[complex]:
    """The n corners of a regular polygon, the first one at the top."""
    return [cmath.rect(radius, math.radians(start + 360 * i / n)) for i in range(n)]


def draw(parts: Iterable[Part], outline: float = 0.0, ground: int = 0) -> Image.Image:
    """Draw parts, the first one lowest, as a large map of roles; outlines are in unit coordinates too."""
    image = Image.new("L", (LARGE, LARGE), ground)
    pen = ImageDraw.Draw(image)
    edge = round(outline * LARGE / 2)
    for role, points, width in parts:
        at = [(round((z.real + 1) * LARGE / 2), round((z.imag + 1) * LARGE / 2)) for z in points]
        lined = edge > 0 and role not in FLAT
        if width:
            if lined and width >= THIN / 2:
                _stroke(pen, at, Role.LINE, round(width * LARGE / 2) + 2 * edge)
            _stroke(pen, at, role, max(2, round(width * LARGE / 2)))
        else:
            pen.polygon(at, int(role))
            if lined:
                _stroke(pen, [*at, at[0]], Role.LINE, edge)
    return image


def coloured(roles: Image.Image, palette: Palette) -> Image.Image:
    """Turn a large map of roles into a finished RGBA picture; mixed while multiplied by alpha, as edges must be."""
    table, opacity = bytearray(3 * 256), [0] * 256
    for role, (*colour, alpha) in palette.items():
        table[3 * role : 3 * role + 3] = bytes(c * alpha // 255 for c in colour)
        opacity[role] = alpha
    image = roles.copy()
    image.putpalette(bytes(table))
    bands = image.convert("RGB").reduce(OVER).split()
    return Image.merge("RGBa", [*bands, roles.point(opacity).reduce(OVER)]).convert("RGBA")


def textured(roles: Image.Image, pattern: Image.Image) -> Image.Image:
    """Lay a pattern over the body."""
    mask = ImageChops.darker(roles.point(_only(Role.BODY)), pattern)
    roles.paste(int(Role.PATTERN), (0, 0), mask)
    return roles


@cache
def _only(role: Role) -> list[int]:
    return [255 * (i == role) for i in range(256)]


def _stroke(pen: ImageDraw.ImageDraw, at: list[tuple[int, int]], role: Role, width: int) -> None:
    pen.line(at, int(role), width)
    if width > 4:
        r = (width - 1) / 2
        for x, y in at:
            pen.ellipse((x - r, y - r, x + r, y + r), int(role))
