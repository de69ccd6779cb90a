"""What one holds in the hand: look-alikes of keys and scissors, and what belongs to them."""

from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import (
    BODY,
    DARK,
    GLASS,
    LIGHT,
    METAL,
    NONE,
    SHADE,
    TRIM,
    WARM,
    WOOD,
)
from cnlw_tools.sources.shapes.vector_graphics import (
    Parts,
    arc,
    arc_points,
    blob,
    ellipse,
    mirror,
    polygon,
    rectangle,
    rotate,
    stroke,
    symmetric_polygon,
)


def wrench(rng: Rng) -> Parts:
    """A spanner: an open jaw at one end, a ring at the other."""
    jaw = [
        ellipse(BODY, -0.62 + 0j, 0.3),
        polygon(NONE, -1.0 - 0.14j, -0.58 - 0.14j, -0.58 + 0.14j, -1.0 + 0.14j),
    ]
    ring = (
        [ellipse(BODY, 0.72 + 0j, 0.24), ellipse(NONE, 0.72 + 0j, 0.12)]
        if rng.chance(0.7)
        else [ellipse(BODY, 0.8 + 0j, 0.1)]
    )
    return [stroke(BODY, rng.uniform(0.16, 0.2), -0.4 + 0j, 0.6 + 0j), *rotate(jaw, 0), *ring]


def magnifying_glass(rng: Rng) -> Parts:
    """A magnifying glass."""
    r = rng.uniform(0.36, 0.46)
    shine = arc(LIGHT, 0.06, -0.42 + 0j, r * 0.6, r * 0.6, 190, 250)
    rim = arc(rng.choice([METAL, BODY]), 0.11, -0.42 + 0j, r, r)
    return [
        stroke(METAL, 0.1, complex(r - 0.42, 0), 0.3 + 0j),
        stroke(BODY, 0.2, 0.36 + 0j, 0.84 + 0j),
        ellipse(GLASS, -0.42 + 0j, r),
        rim,
        shine,
    ]


def spoon(rng: Rng) -> Parts:
    """A spoon."""
    metal, r = rng.choice([METAL, BODY, WOOD]), rng.uniform(0.2, 0.28)
    bowl = [blob(metal, -0.95 + 0j, complex(-0.65, -r), -0.3 + 0j, complex(-0.65, r))]
    hollow = blob(
        SHADE if metal == BODY else LIGHT,
        -0.86 + 0j,
        complex(-0.66, -r * 0.6),
        -0.42 + 0j,
        complex(-0.66, r * 0.6),
    )
    return [
        stroke(metal, 0.1, -0.36 + 0j, 0.7 + 0j),
        stroke(metal, 0.15, 0.7 + 0j, 0.86 + 0j),
        *bowl,
        hollow,
    ]


def oar(rng: Rng) -> Parts:
    """An oar."""
    blade = polygon(
        BODY,
        -0.98 - 0.13j,
        -0.9 - 0.2j,
        -0.45 - 0.16j,
        -0.25 + 0j,
        -0.45 + 0.16j,
        -0.9 + 0.2j,
        -0.98 + 0.13j,
    )
    grip = stroke(TRIM, 0.13, 0.8 + 0j, 0.96 + 0j)
    stripe = rectangle(TRIM, complex(-0.8, -0.17), complex(rng.uniform(-0.7, -0.6), 0.17))
    return [stroke(WOOD, 0.1, -0.4 + 0j, 0.9 + 0j), blade, stripe, grip]


def corkscrew(rng: Rng) -> Parts:
    """A corkscrew with a wooden grip."""
    coil = [complex(-0.1 + 0.13 * i, 0.13 * (1 if i % 2 else -1)) for i in range(7)]
    grip = stroke(rng.choice([WOOD, BODY]), 0.22, complex(-0.6, -0.42), complex(-0.6, 0.42))
    return [
        stroke(METAL, 0.1, -0.6 + 0j, -0.2 + 0j),
        stroke(METAL, 0.075, -0.2 + 0j, *coil, 0.94 + 0j),
        grip,
    ]


def padlock(rng: Rng) -> Parts:
    """A padlock, shut or open."""
    lift = rng.choice([0.0, 0.0, 0.2])
    shackle = stroke(
        METAL,
        0.14,
        -0.36 + 0.1j,
        *arc_points(complex(0, -0.3 - lift), 0.36, 0.4, 180, 360),
        complex(0.36, 0.1 - 2 * lift),
    )
    hole = [
        ellipse(DARK, 0.34j, 0.13),
        polygon(DARK, 0.34j - 0.06, 0.34j + 0.06, 0.66j + 0.1, 0.66j - 0.1),
    ]
    return [
        shackle,
        rectangle(BODY, -0.62 - 0.08j, 0.62 + 0.86j),
        rectangle(SHADE, -0.62 - 0.08j, -0.44 + 0.86j),
        *hole,
    ]


def door(rng: Rng) -> Parts:
    """A panelled door."""
    panels = [
        rectangle(SHADE, complex(x, y), complex(x + 0.32, y + h))
        for x in (-0.4, 0.08)
        for y, h in ((-0.78, 0.6), (0.0, 0.7))
    ]
    knob = ellipse(WARM, complex(rng.choice([-0.42, 0.42]), 0.0), 0.07)
    return [
        rectangle(LIGHT, -0.62 - 0.98j, 0.62 + 0.98j),
        rectangle(BODY, -0.5 - 0.9j, 0.5 + 0.95j),
        *panels,
        knob,
    ]


def mail_box(rng: Rng) -> Parts:
    """A letter box on a post."""
    flag = (
        [stroke(TRIM, 0.08, 0.3 - 0.1j, 0.3 - 0.6j), rectangle(TRIM, 0.3 - 0.62j, 0.54 - 0.44j)]
        if rng.chance(0.7)
        else []
    )
    front = polygon(
        SHADE, -0.7 + 0.3j, *arc_points(-0.42 - 0.2j, 0.28, 0.28, 180, 360), -0.14 + 0.3j
    )
    case = polygon(
        BODY,
        -0.7 + 0.3j,
        *arc_points(-0.42 - 0.2j, 0.28, 0.28, 180, 270),
        *arc_points(0.42 - 0.2j, 0.28, 0.28, 270, 360),
        0.7 + 0.3j,
    )
    return [
        stroke(WOOD, 0.16, 0.3j, 0.98j),
        case,
        front,
        stroke(LIGHT, 0.06, -0.56 + 0j, -0.3 + 0j),
        *flag,
    ]


def pliers(rng: Rng) -> Parts:
    """Pliers: short jaws, long bent handles."""
    jaw = polygon(
        METAL, -0.12 + 0.0j, -0.16 - 0.2j, -0.02 - 0.72j, 0.05 - 0.7j, 0.06 - 0.1j, 0.12 + 0.1j
    )
    grip = stroke(BODY, rng.uniform(0.13, 0.17), 0.1 + 0.15j, 0.32 + 0.4j, 0.3 + 0.92j)
    half = rotate([jaw, grip], -rng.uniform(3, 10))
    return [*half, *mirror(half), ellipse(METAL, 0.0j, 0.17), ellipse(DARK, 0.0j, 0.06)]


def dividers(rng: Rng) -> Parts:
    """A pair of compasses: two legs from a hinge, one with a point, one with a lead."""
    gape = rng.uniform(12, 26)
    leg = [stroke(METAL, 0.1, 0j, 1.2j), stroke(BODY, 0.15, 0.1j, 0.6j)]
    point, lead = [*leg, stroke(DARK, 0.05, 1.2j, 1.5j)], [*leg, stroke(TRIM, 0.09, 1.2j, 1.46j)]
    top = [stroke(METAL, 0.1, -0.95j, -0.62j), ellipse(TRIM, -0.6j, 0.15)]
    return [*rotate(point, gape, 1, -0.6j), *rotate(lead, -gape, 1, -0.6j), *top]


def tweezers(rng: Rng) -> Parts:
    """Tweezers."""
    gape = rng.uniform(0.24, 0.4)
    half = [
        polygon(
            rng.choice([METAL, BODY]),
            0.05 + 0.9j,
            complex(gape, 0.1),
            -0.92j + 0.04,
            complex(gape - 0.13, 0.1),
            0.7j,
        )
    ]
    return [*half, *mirror(half), stroke(TRIM, 0.16, 0.78j, 0.92j)]


def tongs(rng: Rng) -> Parts:
    """Kitchen tongs: two bent arms, closing on two claws."""
    gape = rng.uniform(0.3, 0.46)
    claw = blob(
        BODY,
        complex(gape - 0.06, -0.5),
        complex(gape, -0.9),
        complex(0.06, -0.8),
        complex(gape - 0.2, -0.56),
    )
    half = [stroke(METAL, 0.14, 0.84j, complex(gape, 0.1), complex(gape - 0.06, -0.5)), claw]
    return [*half, *mirror(half), ellipse(TRIM, 0.84j, 0.13)]


def comb(rng: Rng) -> Parts:
    """A comb."""
    n = rng.integer(9, 13)
    teeth = [
        stroke(BODY, 0.07, complex(x, -0.2), complex(x, 0.4))
        for x in (-0.8 + 1.6 * i / (n - 1) for i in range(n))
    ]
    return [*teeth, polygon(BODY, -0.88 - 0.36j, 0.88 - 0.36j, 0.9 - 0.02j, -0.9 - 0.02j)]


def thread_spool(rng: Rng) -> Parts:
    """A spool of thread."""
    wound = [
        stroke(SHADE, 0.045, complex(-0.38, y), complex(0.38, y - 0.06))
        for y in (-0.3, -0.1, 0.1, 0.3, 0.5)
    ]
    loose = stroke(BODY, 0.05, 0.38 + 0.3j, 0.7 + 0.5j, complex(rng.uniform(0.5, 0.8), 0.9))
    ends = [symmetric_polygon(WOOD, complex(0.54, y), complex(0.54, y + 0.2)) for y in (-0.8, 0.6)]
    return [loose, symmetric_polygon(BODY, 0.4 - 0.64j, 0.4 + 0.64j), *wound, *ends]


def ruler(rng: Rng) -> Parts:
    """A ruler."""
    n = rng.integer(10, 16)
    marks = [
        stroke(
            DARK,
            0.04,
            complex(-0.88 + 1.76 * i / n, -0.2),
            complex(-0.88 + 1.76 * i / n, 0.12 if i % 4 == 0 else -0.02),
        )
        for i in range(n + 1)
    ]
    return [rectangle(rng.choice([BODY, WARM, WOOD]), -0.96 - 0.22j, 0.96 + 0.24j), *marks]
