"""What is round: look-alikes of clocks and of lamp heads, and what belongs to clocks."""

from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import (
    BODY,
    DARK,
    FOOD,
    GLASS,
    LEAF,
    LIGHT,
    METAL,
    SHADE,
    TINT,
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
    polygon,
    rectangle,
    ring_points,
    rotate,
    stroke,
    symmetric_blob,
    symmetric_polygon,
)


def compass(rng: Rng) -> Parts:
    """A pocket compass with its needle."""
    ring = [arc(WARM, 0.09, -0.92j, 0.13, 0.13)]
    marks = [stroke(DARK, 0.06, z * 0.85, z) for z in ring_points(rng.choice([4, 8]), 0.6)]
    needle = rotate(
        [polygon(BODY, -0.5j, 0.13, -0.13), polygon(METAL, 0.5j, 0.13, -0.13)], rng.uniform(0, 360)
    )
    return [
        *ring,
        ellipse(WARM, 0j, 0.82),
        ellipse(LIGHT, 0j, 0.68),
        *marks,
        *needle,
        ellipse(DARK, 0j, 0.07),
    ]


def pressure_gauge(rng: Rng) -> Parts:
    """A gauge on a pipe, with a red sector."""
    needle = rotate([stroke(DARK, 0.08, 0.1j, -0.48j)], rng.uniform(-110, 110))
    marks = [stroke(DARK, 0.05, z * 0.86, z) for z in arc_points(0j, 0.58, 0.58, 150, 390)[::2]]
    pipe = [
        symmetric_polygon(METAL, 0.14 + 0.7j, 0.14 + 0.98j),
        symmetric_polygon(METAL, 0.26 + 0.82j, 0.26 + 0.92j),
    ]
    sector = arc(TRIM, 0.11, 0j, 0.5, 0.5, -40, 30)
    return [
        *pipe,
        ellipse(BODY, 0j, 0.8),
        ellipse(LIGHT, 0j, 0.67),
        sector,
        *marks,
        *needle,
        ellipse(DARK, 0j, 0.09),
    ]


def plate(rng: Rng) -> Parts:
    """A plate between a fork and a table knife."""
    fork = [
        stroke(METAL, 0.07, -0.88 - 0.3j, -0.88 + 0.6j),
        *(stroke(METAL, 0.045, complex(x, -0.6), complex(x, -0.3)) for x in (-0.96, -0.88, -0.8)),
    ]
    knife = [
        blob(METAL, 0.84 - 0.6j, 0.96 - 0.3j, 0.92 + 0.05j, 0.84 + 0.05j),
        stroke(METAL, 0.07, 0.88 + 0j, 0.88 + 0.6j),
    ]
    rim = rng.choice(
        [[arc(BODY, 0.07, 0j, 0.56, 0.56)], [ellipse(TRIM, z, 0.07) for z in ring_points(12, 0.53)]]
    )
    return [*fork, *knife, ellipse(LIGHT, 0j, 0.66), *rim, arc(METAL, 0.03, 0j, 0.4, 0.4)]


def coin(rng: Rng) -> Parts:
    """A coin with a crown or a number of its own."""
    edge = [stroke(SHADE, 0.04, z * 0.93, z) for z in ring_points(40, 0.84)]
    crown = polygon(
        WOOD,
        -0.36 + 0.26j,
        -0.42 - 0.26j,
        -0.18 + 0.0j,
        -0.36j,
        0.18 + 0.0j,
        0.42 - 0.26j,
        0.36 + 0.26j,
    )
    bar = [
        stroke(WOOD, 0.14, -0.12 - 0.22j, 0.04 - 0.36j, 0.04 + 0.36j),
        stroke(WOOD, 0.12, -0.16 + 0.36j, 0.24 + 0.36j),
    ]
    metal = WARM if rng.chance(0.7) else METAL
    return [
        ellipse(metal, 0j, 0.86),
        *edge,
        arc(WOOD, 0.04, 0j, 0.68, 0.68),
        *(bar if rng.chance() else [crown]),
    ]


def dartboard(rng: Rng) -> Parts:
    """A dart board with a dart."""
    wedges = [
        polygon(LIGHT if i % 2 else DARK, 0j, *arc_points(0j, 0.7, 0.7, i * 30, i * 30 + 30))
        for i in range(12)
    ]
    rings = [arc(BODY, 0.06, 0j, r, r) for r in (0.4, 0.68)]
    z = complex(rng.uniform(-0.3, 0.4), rng.uniform(-0.3, 0.4))
    dart = [
        stroke(METAL, 0.06, z, z + 0.3 - 0.2j),
        stroke(WARM, 0.12, z + 0.3 - 0.2j, z + 0.5 - 0.34j),
    ]
    return [ellipse(DARK, 0j, 0.86), *wedges, *rings, ellipse(TRIM, 0j, 0.12), *dart]


def hourglass(rng: Rng) -> Parts:
    """An hourglass."""
    glass = symmetric_polygon(
        GLASS, 0.44 - 0.74j, 0.42 - 0.4j, 0.06 + 0j, 0.42 + 0.4j, 0.44 + 0.74j
    )
    high = rng.uniform(-0.5, -0.25)
    sand = [
        symmetric_polygon(FOOD, complex(-high * 0.85, high), 0.04 + 0j),
        symmetric_polygon(FOOD, 0.02 + 0.3j, 0.38 + 0.7j),
    ]
    ends = [
        symmetric_polygon(BODY, complex(0.58, y), complex(0.58, y + 0.16)) for y in (-0.9, 0.74)
    ]
    return [
        stroke(WOOD, 0.08, -0.5 - 0.8j, -0.5 + 0.8j),
        stroke(WOOD, 0.08, 0.5 - 0.8j, 0.5 + 0.8j),
        glass,
        *sand,
        *ends,
    ]


def calendar(rng: Rng) -> Parts:
    """A wall calendar."""
    days = [
        rectangle(LIGHT if i != 9 else BODY, z - 0.09 - 0.07j, z + 0.09 + 0.07j)
        for i, z in enumerate(_days(rng))
    ]
    rings = [stroke(METAL, 0.08, complex(x, -0.9), complex(x, -0.6)) for x in (-0.4, 0.0, 0.4)]
    return [
        rectangle(TRIM, -0.76 - 0.74j, 0.76 + 0.84j),
        rectangle(BODY, -0.76 - 0.74j, 0.76 - 0.34j),
        *days,
        *rings,
    ]


def bell(rng: Rng) -> Parts:
    """A hand bell."""
    cup = symmetric_blob(WARM, 0.2 - 0.3j, 0.34 + 0.0j, 0.42 + 0.4j, 0.7 + 0.62j)
    grip = symmetric_polygon(rng.choice([WOOD, BODY]), 0.12 - 0.95j, 0.09 - 0.35j)
    return [ellipse(DARK, 0.7j, 0.14), cup, stroke(TRIM, 0.08, -0.36 + 0.3j, 0.36 + 0.3j), grip]


def table_fan(rng: Rng) -> Parts:
    """A fan on its foot."""
    blade = blob(BODY, 0j, -0.22 - 0.3j, -0.1 - 0.52j, 0.1 - 0.4j)
    n, start = rng.integer(3, 5), rng.uniform(0, 90)
    blades = [part for i in range(n) for part in rotate([blade], start + 360 * i / n, 1, -0.3j)]
    wires = [arc(METAL, 0.03, -0.3j, r, r) for r in (0.4, 0.6)]
    foot = [stroke(METAL, 0.1, 0.2j, 0.86j), symmetric_polygon(BODY, 0.3 + 0.82j, 0.42 + 0.95j)]
    return [*foot, ellipse(GLASS, -0.3j, 0.62), *blades, *wires, ellipse(TRIM, -0.3j, 0.11)]


def microphone(rng: Rng) -> Parts:
    """A microphone on a stand."""
    head = [
        blob(METAL, -0.95j, 0.28 - 0.7j, 0.22 - 0.3j, -0.22 - 0.3j, -0.28 - 0.7j),
        stroke(DARK, 0.07, -0.26 - 0.56j, 0.26 - 0.56j),
    ]
    grip = symmetric_polygon(DARK, 0.19 - 0.34j, 0.1 + 0.3j)
    stand = [stroke(METAL, 0.07, 0.3j, 0.86j), symmetric_polygon(BODY, 0.34 + 0.84j, 0.4 + 0.95j)]
    return [
        *stand,
        grip,
        *rotate(head, rng.uniform(-4, 4)),
        stroke(TRIM, 0.09, -0.2 - 0.3j, 0.2 - 0.3j),
    ]


def palm_tree(rng: Rng) -> Parts:
    """A palm tree on a heap of sand."""
    frond = blob(LEAF, 0j, 0.36 - 0.22j, 0.8 + 0.12j, 0.34 - 0.04j)
    top = complex(rng.uniform(-0.1, 0.2), -0.5)
    fronds = [
        part for a in (-165, -120, -65, -15, 20, 150) for part in rotate([frond], a, 0.85, top)
    ]
    trunk = stroke(WOOD, 0.13, -0.1 + 0.86j, 0.0 + 0.3j, top)
    return [
        trunk,
        blob(FOOD, -0.6 + 0.9j, 0.0 + 0.7j, 0.6 + 0.9j, 0.0 + 0.98j),
        *fronds,
        ellipse(BODY, top + 0.1j, 0.09),
    ]


def light_bulb(rng: Rng) -> Parts:
    """A bulb without its lamp."""
    glass = symmetric_blob(
        WARM if rng.chance() else GLASS, 0.2 - 0.86j, 0.54 - 0.4j, 0.34 + 0.05j, 0.2 + 0.4j
    )
    wire = stroke(
        DARK, 0.05, -0.1 + 0.4j, -0.18 - 0.2j, -0.06 - 0.34j, 0.06 - 0.2j, 0.18 - 0.34j, 0.1 + 0.4j
    )
    cap = [
        symmetric_polygon(METAL, complex(0.24, y), complex(0.22, y + 0.13))
        for y in (0.4, 0.54, 0.68)
    ]
    return [glass, wire, *cap, ellipse(DARK, 0.86j, 0.12, 0.07)]


def candle(rng: Rng) -> Parts:
    """A candle on a saucer."""
    high = rng.uniform(-0.4, -0.1)
    flame = blob(
        WARM,
        complex(0, high - 0.5),
        complex(0.13, high - 0.2),
        complex(0, high - 0.04),
        complex(-0.13, high - 0.2),
    )
    drip = blob(TINT, complex(0.1, high), complex(0.2, high), 0.18 + 0.3j)
    return [
        symmetric_polygon(TRIM, 0.6 + 0.66j, 0.4 + 0.86j),
        symmetric_polygon(BODY, complex(0.22, high), 0.22 + 0.72j),
        drip,
        flame,
    ]


def plug(rng: Rng) -> Parts:
    """A plug on its cable."""
    pins = [stroke(METAL, 0.09, complex(x, -0.9), complex(x, -0.4)) for x in (-0.2, 0.2)]
    cable = stroke(
        DARK, 0.1, 0.3j, complex(0.0, 0.6), complex(rng.uniform(-0.6, 0.6), 0.75), complex(0, 1.1)
    )
    return [
        *pins,
        cable,
        symmetric_blob(BODY, 0.44 - 0.42j, 0.44 + 0.05j, 0.16 + 0.4j),
        stroke(LIGHT, 0.06, -0.2 + 0j, 0.2 + 0j),
    ]


def _days(rng: Rng) -> list[complex]:
    return [
        complex(x, y) for y in (-0.14, 0.12, 0.38, 0.64) for x in (-0.54, -0.27, 0.0, 0.27, 0.54)
    ][: rng.integer(14, 20)]
