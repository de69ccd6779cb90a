"""The drawing vocabulary: parts in unit coordinates, affine maps of them, and maps of roles.

A point is a complex number, x to the right and y down; an object fills about -1-1j .. 1+1j. Every
affine map of the plane is

    z  ->  a z + b conj(z) + c

so a pose is three numbers. Parts have no colours but roles (body, trim, metal ...): they are drawn
as one byte per pixel on a canvas that is four times too large. A palette then turns roles into
colours, and the reduction to the final size smooths the edges. Points are rounded to whole pixels
of the large canvas, so that the last bit of a sine makes no difference.
"""

import cmath
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnlw_tools.sources.shapes.roles import Role

SIZE = 64  # pixels of a side of the finished picture
OVERSAMPLING = 4  # pixels of the canvas for one of the finished picture
CANVAS_SIZE = SIZE * OVERSAMPLING
SCALE = CANVAS_SIZE / 2  # pixels of the canvas for a unit of length
BLOCK_SIZE = OVERSAMPLING**2  # pixels of the canvas for one of the finished picture

ROLES_WITHOUT_OUTLINE = frozenset(
    {
        Role.SHADE,
        Role.TINT,
        Role.NONE,
        Role.PATTERN,
        Role.FIRST,
        Role.SECOND,
        Role.THIRD,
    }
)
OPAQUE_ROLES = (Role.FIRST, Role.SECOND, Role.THIRD)
# How many pixels of a block may have each of these roles, and the sums of the roles of a block.
BLOCK_COUNTS = np.array(
    [
        (BLOCK_SIZE - n_second - n_third, n_second, n_third)
        for n_third in range(BLOCK_SIZE + 1)
        for n_second in range(BLOCK_SIZE + 1 - n_third)
    ]
)
BLOCK_SUMS = BLOCK_COUNTS @ OPAQUE_ROLES
MIN_OUTLINED_WIDTH = 0.045  # narrower strokes have no outline
MIN_ROUND_WIDTH = 4  # pixels; wider strokes have round ends

Colour = tuple[int, int, int, int]  # red, green, blue, alpha
Palette = Mapping[int, Colour]  # the colour of each role
Pixels = list[float]  # x, y, x, y ... on the canvas, whole numbers
Box = tuple[int, int, int, int]  # left, top, right, bottom


class Part(NamedTuple):
    """A filled polygon, or a stroke along points if it has a width."""

    role: Role
    points: tuple[complex, ...]
    width: float = 0.0


Parts = list[Part]


def polygon(role: Role, *points: complex) -> Part:
    """Return a filled polygon."""
    return Part(role, points)


def stroke(role: Role, width: float, *points: complex) -> Part:
    """Return a stroke with round ends."""
    return Part(role, points, width)


def vertical_stroke(role: Role, width: float, x: float, top: float, bottom: float) -> Part:
    """Return an upright stroke."""
    return stroke(role, width, complex(x, top), complex(x, bottom))


def horizontal_stroke(role: Role, width: float, y: float, left: float, right: float) -> Part:
    """Return a level stroke."""
    return stroke(role, width, complex(left, y), complex(right, y))


def arc_points(
    centre: complex,
    radius_x: float,
    radius_y: float,
    start: float,
    end: float,
) -> tuple[complex, ...]:
    """Return points along an elliptic arc; angles are in degrees, clockwise from the right."""
    sweep = end - start
    largest_radius = max(radius_x, radius_y)
    n_steps = max(6, int(abs(sweep) * math.sqrt(largest_radius) / 14))
    unit_points = _unit_arc(start, sweep, n_steps)
    return tuple([centre + complex(radius_x * x, radius_y * y) for x, y in unit_points])


@lru_cache(maxsize=1024)
def _unit_arc(start: float, sweep: float, n_steps: int) -> list[tuple[float, float]]:
    """Return the cosines and sines of n + 1 angles in even steps."""
    points = []
    for step in range(n_steps + 1):
        angle = math.radians(start + sweep * step / n_steps)
        points.append((math.cos(angle), math.sin(angle)))
    return points


def arc(
    role: Role,
    width: float,
    centre: complex,
    radius_x: float,
    radius_y: float,
    start: float = 0,
    end: float = 360,
) -> Part:
    """Return a stroke along an elliptic arc; all the way round by default."""
    return Part(role, arc_points(centre, radius_x, radius_y, start, end), width)


def ellipse(role: Role, centre: complex, radius_x: float, radius_y: float | None = None) -> Part:
    """Return a filled ellipse; a circle if it has one radius."""
    if radius_y is None:
        radius_y = radius_x
    points = arc_points(centre, radius_x, radius_y, 0, 360)
    return Part(role, points[:-1])


def rectangle(role: Role, corner: complex, opposite: complex) -> Part:
    """Return a filled rectangle by two opposite corners."""
    return polygon(
        role,
        corner,
        complex(opposite.real, corner.imag),
        opposite,
        complex(corner.real, opposite.imag),
    )


def symmetric_polygon(role: Role, *right_edge: complex) -> Part:
    """Return a polygon with an upright axis of symmetry, by its right edge, top to bottom."""
    left_edge = [-point.conjugate() for point in reversed(right_edge)]
    return polygon(role, *right_edge, *left_edge)


def blob(role: Role, *points: complex) -> Part:
    """Return a rounded shape through the points."""
    return Part(role, spline_points(points))


def symmetric_blob(role: Role, *right_edge: complex) -> Part:
    """Return a rounded shape with an upright axis of symmetry, by its right edge."""
    return blob(role, *symmetric_polygon(role, *right_edge).points)


def spline_points(points: Sequence[complex], steps: int = 5) -> tuple[complex, ...]:
    """Return points along the closed Catmull-Rom spline through the given points.

    Between q and r, with p before and s behind them, the spline is

        q + t/2 (r - p + t (2 p - 5 q + 4 r - s + t (3 (q - r) + s - p)))       0 <= t < 1
    """
    n_points = len(points)
    curve = []
    for i in range(n_points):
        p = points[(i - 1) % n_points]
        q = points[i]
        r = points[(i + 1) % n_points]
        s = points[(i + 2) % n_points]
        cubic = 3 * (q - r) + s - p
        for step in range(steps):
            t = step / steps
            quadratic = 2 * p - 5 * q + 4 * r - s + t * cubic
            curve.append(q + 0.5 * t * (r - p + t * quadratic))
    return tuple(curve)


def transform(parts: Iterable[Part], a: complex, b: complex = 0j, c: complex = 0j) -> Parts:
    """Move every point z to ``a z + b conj(z) + c``, and scale the widths of strokes alike."""
    area_scale = abs(abs(a) ** 2 - abs(b) ** 2)
    width_scale = math.sqrt(area_scale)
    transformed = []
    for role, points, width in parts:
        if b:
            new_points = [a * z + b * z.conjugate() + c for z in points]
        else:
            new_points = [a * z + c for z in points]
        transformed.append(Part(role, tuple(new_points), width * width_scale))
    return transformed


def rotate(
    parts: Iterable[Part],
    degrees: float,
    scale: float = 1.0,
    shift: complex = 0j,
) -> Parts:
    """Rotate parts clockwise about the origin, then scale and move them."""
    return transform(parts, cmath.rect(scale, math.radians(degrees)), 0j, shift)


def move(parts: Iterable[Part], shift: complex, scale: float = 1.0) -> Parts:
    """Scale parts about the origin, then move them."""
    return rotate(parts, 0, scale, shift)


def mirror(parts: Iterable[Part]) -> Parts:
    """Swap left and right."""
    return transform(parts, 0j, -1 + 0j)


def ring_points(n: int, radius: float, start: float = -90.0) -> list[complex]:
    """Return n points evenly around the origin, clockwise from an angle, by default the top."""
    angles = [math.radians(start + 360 * i / n) for i in range(n)]
    return [cmath.rect(radius, angle) for angle in angles]


def draw_roles(
    parts: Sequence[Part],
    outline: float = 0.0,
    background: int = 0,
) -> Image.Image:
    """Draw parts on a new canvas, and return it as a map of roles.

    Args:
        parts: the first one lies lowest
        outline: width of the outlines in unit coordinates
        background: the role of what no part covers
    """
    image = Image.new("L", (CANVAS_SIZE, CANVAS_SIZE), background)
    pen = ImageDraw.Draw(image)
    outline_width = round(outline * SCALE)
    for part, pixels in zip(parts, _to_pixels(parts), strict=True):
        if part.width:
            _draw_stroke(pen, part, pixels, outline_width)
        else:
            _draw_polygon(pen, part, pixels, outline_width)
    return image


def apply_palette(roles: Image.Image, palette: Palette) -> Image.Image:
    """Turn a map of roles into a finished RGBA picture; the role 0 is transparent.

    Colours are multiplied by alpha while they are reduced, so that edges keep the colour of their
    part.
    """
    table = bytearray(4 * 256)
    for role, (red, green, blue, alpha) in palette.items():
        multiplied = (red * alpha // 255, green * alpha // 255, blue * alpha // 255, alpha)
        table[4 * role : 4 * role + 4] = bytes(multiplied)
    picture = Image.new("RGBA", (SIZE, SIZE))
    box = _covered_box(roles)
    if box:
        # RGBX has four channels that nothing else changes; RGBA would be multiplied once more.
        cropped = roles.crop(box)
        cropped.putpalette(bytes(table), "RGBA")
        reduced = cropped.convert("RGBX").reduce(OVERSAMPLING)
        covered = Image.frombytes("RGBa", reduced.size, reduced.tobytes())
        left, top = box[:2]
        position = (left // OVERSAMPLING, top // OVERSAMPLING)
        picture.paste(covered.convert("RGBA"), position)
    return picture


def apply_opaque_palette(roles: Image.Image, palette: Palette) -> Image.Image:
    """Turn a map of the roles FIRST, SECOND and THIRD alone into a finished RGB picture.

    A finished pixel is the mean of a block of 4 x 4 pixels. The sum of their roles says how many of
    them have each, so the mean is looked up by this sum:

        mean = (n1 colour1 + n2 colour2 + n3 colour3) / 16       n1 + n2 + n3 = 16
    """
    colours = np.array([(*palette[role][:3], 0) for role in OPAQUE_ROLES])
    means = (BLOCK_COUNTS @ colours + BLOCK_SIZE // 2) // BLOCK_SIZE
    table = np.zeros(BLOCK_SUMS.max() + 1, np.uint32)
    table[BLOCK_SUMS] = means.astype(np.uint8).view(np.uint32).ravel()
    pixels = table.take(_sum_blocks(np.asarray(roles)))
    return Image.frombytes("RGB", (SIZE, SIZE), pixels.tobytes(), "raw", "RGBX")


def apply_pattern(roles: Image.Image, pattern: NDArray[np.bool_]) -> Image.Image:
    """Turn the body of a map of roles into the role PATTERN wherever a pattern covers it.

    Args:
        roles: the map
        pattern: (y, x), one for each pixel of the canvas
    """
    pixels = np.asarray(roles)
    is_covered = (pixels == Role.BODY) & pattern
    return Image.fromarray(pixels + is_covered * np.uint8(Role.PATTERN - Role.BODY))


def _covered_box(roles: Image.Image) -> Box | None:
    """Return the box of what parts cover, in whole pixels of the finished picture."""
    box = roles.getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    return (
        left // OVERSAMPLING * OVERSAMPLING,
        top // OVERSAMPLING * OVERSAMPLING,
        -(-right // OVERSAMPLING) * OVERSAMPLING,
        -(-bottom // OVERSAMPLING) * OVERSAMPLING,
    )


def _sum_blocks(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the sum of each block of 4 x 4 pixels (y, x); that of 4 x 1 must not exceed 255."""
    rows = pixels.reshape(SIZE, OVERSAMPLING, CANVAS_SIZE)
    columns = rows[:, 0] + rows[:, 1] + rows[:, 2] + rows[:, 3]
    pairs = columns[:, ::2].astype(np.uint16) + columns[:, 1::2]
    sums: NDArray[np.uint16] = pairs[:, ::2] + pairs[:, 1::2]
    return sums


def _draw_polygon(
    pen: ImageDraw.ImageDraw,
    part: Part,
    pixels: Pixels,
    outline_width: int,
) -> None:
    pen.polygon(pixels, int(part.role))
    if outline_width > 0 and part.role not in ROLES_WITHOUT_OUTLINE:
        _draw_line(pen, pixels + pixels[:2], Role.LINE, outline_width)


def _draw_stroke(
    pen: ImageDraw.ImageDraw,
    part: Part,
    pixels: Pixels,
    outline_width: int,
) -> None:
    width = round(part.width * SCALE)
    has_outline = outline_width > 0 and part.role not in ROLES_WITHOUT_OUTLINE
    if has_outline and part.width >= MIN_OUTLINED_WIDTH:
        _draw_line(pen, pixels, Role.LINE, width + 2 * outline_width)
    _draw_line(pen, pixels, part.role, max(2, width))


def _to_pixels(parts: Sequence[Part]) -> list[Pixels]:
    """Round the points of each part to pixels of the canvas."""
    points = [point for part in parts for point in part.points]
    coordinates = np.array(points, np.complex128).view(np.float64)
    rounded = np.rint((coordinates + 1) * SCALE).tolist()
    pixels = []
    start = 0
    for part in parts:
        end = start + 2 * len(part.points)
        pixels.append(rounded[start:end])
        start = end
    return pixels


def _draw_line(pen: ImageDraw.ImageDraw, pixels: Pixels, role: Role, width: int) -> None:
    pen.line(pixels, int(role), width)
    if width > MIN_ROUND_WIDTH:
        radius = (width - 1) / 2
        joints = set(zip(pixels[::2], pixels[1::2], strict=True))
        for x, y in joints:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), int(role))
