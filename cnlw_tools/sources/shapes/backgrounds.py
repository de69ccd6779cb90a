"""Backgrounds and clutter, in the roles FIRST to THIRD, on the whole canvas -1-1j .. 1+1j."""

from collections.abc import Callable, Sequence

from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import FIRST, SECOND, THIRD, Role
from cnlw_tools.sources.shapes.vector_graphics import (
    Part,
    Parts,
    blob,
    ellipse,
    polygon,
    rectangle,
    rotate,
    stroke,
)

BEYOND = 2.0  # lines reach beyond the canvas, which may be rotated
EDGE = 1.1  # just outside the canvas
JOINT_WIDTH = 0.045  # of tiles and bricks


def plain(rng: Rng) -> Parts:
    """Draw nothing: one colour and the light."""
    return []


def table(rng: Rng) -> Parts:
    """Draw the edge of a table before a wall."""
    y = rng.uniform(0.2, 0.75)
    left = complex(-EDGE, y + rng.uniform(-0.15, 0.15))
    right = complex(EDGE, y)
    top = polygon(THIRD, left, right, 1.1 + 1.2j, -1.1 + 1.2j)
    edge = stroke(SECOND, 0.05, left, right)
    return [top, edge]


def tiles(rng: Rng) -> Parts:
    """Draw the joints of wall tiles."""
    side = rng.uniform(0.35, 0.6)
    joints = [_vertical_line(number * side) for number in range(-5, 6)]
    joints += [_horizontal_line(number * side, JOINT_WIDTH) for number in range(-5, 6)]
    angle = rng.uniform(-12, 12)
    shift = complex(rng.uniform(0, side), rng.uniform(0, side))
    return rotate(joints, angle, shift=shift)


def bricks(rng: Rng) -> Parts:
    """Draw the joints of bricks in rows."""
    height = rng.uniform(0.22, 0.34)
    width = rng.uniform(0.5, 0.8)
    joints = []
    for row in range(-5, 6):
        y = row * height
        joints.append(stroke(THIRD, JOINT_WIDTH, complex(-EDGE, y), complex(EDGE, y)))
    for row in range(-5, 5):
        row_shift = row % 2 * width / 2
        for column in range(-3, 3):
            x = column * width + row_shift
            top = complex(x, row * height)
            bottom = complex(x, (row + 1) * height)
            joints.append(stroke(THIRD, JOINT_WIDTH, top, bottom))
    return joints


def checks(rng: Rng) -> Parts:
    """Draw a chequered table cloth."""
    side = rng.uniform(0.3, 0.6)
    squares = []
    for column in range(-4, 4):
        for row in range(-4, 4):
            if (column + row) % 2:
                corner = complex(column, row) * side
                opposite = complex(column + 1, row + 1) * side
                squares.append(rectangle(SECOND, corner, opposite))
    return rotate(squares, rng.choice([0, 0, 45, 20, -15]))


def stripes(rng: Rng) -> Parts:
    """Draw the stripes of wallpaper or of a deck chair."""
    period = rng.uniform(0.25, 0.55)
    bars = []
    for number in range(-7, 7):
        corner = complex(number * period, -BEYOND)
        opposite = complex((number + 0.5) * period, BEYOND)
        bars.append(rectangle(SECOND, corner, opposite))
    return rotate(bars, rng.choice([0, 0, 90, 45, -45, 30]))


def foliage(rng: Rng) -> Parts:
    """Draw a hedge out of focus."""
    return [_random_disc(rng, (SECOND, THIRD, FIRST), 0.12, 0.4) for _ in range(22)]


def lights(rng: Rng) -> Parts:
    """Draw the lamps of a street at night, out of focus: few and large."""
    return [_random_disc(rng, (SECOND, THIRD), 0.08, 0.26) for _ in range(9)]


def planks(rng: Rng) -> Parts:
    """Draw the seams of a wooden floor."""
    width = rng.uniform(0.25, 0.5)
    seams = [_horizontal_line(row * width, 0.04) for row in range(-6, 7)]
    end_positions = [rng.uniform(-1, 1) for _ in range(12)]
    for row, x in enumerate(end_positions, start=-6):
        top = complex(x, row * width)
        bottom = complex(x, (row + 1) * width)
        seams.append(stroke(SECOND, 0.04, top, bottom))
    return rotate(seams, rng.choice([0, 90, 12, -12]))


def hills(rng: Rng) -> Parts:
    """Draw two soft hills under a sky."""
    far_y = rng.uniform(-0.2, 0.3) + 1
    near_y = rng.uniform(0.3, 0.7) + 1
    far_hill = ellipse(
        SECOND,
        complex(rng.uniform(-1, 0), far_y),
        rng.uniform(1.0, 1.5),
        1.0,
    )
    near_hill = ellipse(
        THIRD,
        complex(rng.uniform(0, 1), near_y),
        rng.uniform(1.2, 1.8),
        1.0,
    )
    return [far_hill, near_hill]


def dots(rng: Rng) -> Parts:
    """Draw polka dots."""
    distance = rng.uniform(0.35, 0.55)
    discs = []
    for column in range(-6, 7):
        for row in range(-6, 7):
            centre = complex(column + row % 2 / 2, row) * distance
            if abs(centre) < 1.5:
                discs.append(ellipse(SECOND, centre, distance * 0.22))
    return rotate(discs, rng.uniform(0, 45))


def window(rng: Rng) -> Parts:
    """Draw a window, or a picture, on a wall."""
    left = rng.uniform(-0.9, 0.1)
    top = rng.uniform(-1.1, -0.7)
    width = rng.uniform(0.6, 1.0)
    height = rng.uniform(0.8, 1.2)
    right = left + width
    bottom = top + height
    middle_x = left + width / 2
    middle_y = top + height / 2
    pane = rectangle(THIRD, complex(left, top), complex(right, bottom))
    upright_bar = stroke(SECOND, 0.07, complex(middle_x, top), complex(middle_x, bottom))
    level_bar = stroke(SECOND, 0.07, complex(left, middle_y), complex(right, middle_y))
    frame = stroke(SECOND, 0.07, *pane.points, pane.points[0])
    return [pane, upright_bar, level_bar, frame]


BACKGROUNDS: list[Callable[[Rng], Parts]] = [  # each is as likely as it is listed
    plain,
    table,
    tiles,
    bricks,
    checks,
    stripes,
    foliage,
    lights,
    planks,
    hills,
    dots,
    window,
    table,
    plain,
]


def clutter(rng: Rng, max_things: int) -> Parts:
    """Draw small things that lie about, mostly near the edge."""
    parts = []
    for _ in range(rng.integer(0, max_things)):
        parts += _random_thing(rng)
    return parts


def body_pattern(rng: Rng) -> Parts:
    """Draw what covers a patterned body: stripes, dots or checks."""
    draw_pattern = rng.choice([stripes, dots, checks])
    parts = draw_pattern(rng)
    angle = rng.integer(0, 3) * 45
    scale = rng.choice([0.35, 0.5, 0.7])
    return rotate(parts, angle, scale)


def _random_thing(rng: Rng) -> Parts:
    draw_thing = rng.choice([_leaf, _pebble, _stick, _crumbs, _card])
    parts = draw_thing(rng)
    angle = rng.uniform(0, 360)
    scale = rng.uniform(0.7, 1.3)
    return rotate(parts, angle, scale, _point_near_edge(rng))


def _leaf(rng: Rng) -> Parts:
    blade = blob(FIRST, -0.24 + 0j, -0.1j, 0.26 + 0j, 0.1j)
    vein = stroke(THIRD, 0.03, -0.3 + 0j, 0.2 + 0j)
    return [blade, vein]


def _pebble(rng: Rng) -> Parts:
    return [ellipse(SECOND, 0j, rng.uniform(0.08, 0.18), rng.uniform(0.07, 0.14))]


def _stick(rng: Rng) -> Parts:
    role = rng.choice([SECOND, THIRD])
    end = complex(0.4, rng.uniform(-0.1, 0.1))
    return [stroke(role, 0.07, -0.4 + 0j, end)]


def _crumbs(rng: Rng) -> Parts:
    return [ellipse(SECOND, 0.3 * _random_point(rng), 0.045) for _ in range(4)]


def _card(rng: Rng) -> Parts:
    paper = rectangle(THIRD, -0.2 - 0.14j, 0.2 + 0.14j)
    writing = stroke(SECOND, 0.04, -0.12 - 0.04j, 0.12 - 0.04j)
    return [paper, writing]


def _vertical_line(x: float) -> Part:
    return stroke(SECOND, JOINT_WIDTH, complex(x, -BEYOND), complex(x, BEYOND))


def _horizontal_line(y: float, width: float) -> Part:
    return stroke(SECOND, width, complex(-BEYOND, y), complex(BEYOND, y))


def _random_disc(
    rng: Rng,
    roles: Sequence[Role],
    min_radius: float,
    max_radius: float,
) -> Part:
    role = rng.choice(roles)
    centre = _random_point(rng)
    return ellipse(role, centre, rng.uniform(min_radius, max_radius))


def _random_point(rng: Rng) -> complex:
    x = rng.uniform(-1, 1)
    return complex(x, rng.uniform(-1, 1))


def _point_near_edge(rng: Rng) -> complex:
    """Return a point on a square around the centre, 0.6 to 1.0 of the canvas wide."""
    point = _random_point(rng)
    on_edge = point / max(abs(point.real), abs(point.imag))
    return on_edge * rng.uniform(0.6, 1.0)
