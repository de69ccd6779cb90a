"""What is round: look-alikes of clocks and of lamp heads, and what belongs to clocks."""

from cnlw_tools.sources.shapes.chance import Chance
from cnlw_tools.sources.shapes.ink import (
    Parts,
    Role,
    arc,
    around,
    blob,
    bow,
    box,
    disc,
    fill,
    lathe,
    line,
    round_lathe,
    turned,
)

BODY, TRIM, SHADE, TINT, DARK, LIGHT = (
    Role.BODY,
    Role.TRIM,
    Role.SHADE,
    Role.TINT,
    Role.DARK,
    Role.LIGHT,
)
METAL, WOOD, GLASS, WARM, FOOD = Role.METAL, Role.WOOD, Role.GLASS, Role.WARM, Role.FOOD


def compass(chance: Chance) -> Parts:
    """A pocket compass with its needle."""
    ring = [arc(WARM, 0.09, -0.92j, 0.13, 0.13)]
    marks = [line(DARK, 0.06, z * 0.85, z) for z in around(chance.pick([4, 8]), 0.6)]
    needle = turned(
        [fill(BODY, -0.5j, 0.13, -0.13), fill(METAL, 0.5j, 0.13, -0.13)], chance.real(0, 360)
    )
    return [
        *ring,
        disc(WARM, 0j, 0.82),
        disc(LIGHT, 0j, 0.68),
        *marks,
        *needle,
        disc(DARK, 0j, 0.07),
    ]


def pressure_gauge(chance: Chance) -> Parts:
    """A gauge on a pipe, with a red sector."""
    needle = turned([line(DARK, 0.08, 0.1j, -0.48j)], chance.real(-110, 110))
    marks = [line(DARK, 0.05, z * 0.86, z) for z in bow(0j, 0.58, 0.58, 150, 390)[::2]]
    pipe = [lathe(METAL, 0.14 + 0.7j, 0.14 + 0.98j), lathe(METAL, 0.26 + 0.82j, 0.26 + 0.92j)]
    sector = arc(TRIM, 0.11, 0j, 0.5, 0.5, -40, 30)
    return [
        *pipe,
        disc(BODY, 0j, 0.8),
        disc(LIGHT, 0j, 0.67),
        sector,
        *marks,
        *needle,
        disc(DARK, 0j, 0.09),
    ]


def plate(chance: Chance) -> Parts:
    """A plate between a fork and a table knife."""
    fork = [
        line(METAL, 0.07, -0.88 - 0.3j, -0.88 + 0.6j),
        *(line(METAL, 0.045, complex(x, -0.6), complex(x, -0.3)) for x in (-0.96, -0.88, -0.8)),
    ]
    knife = [
        blob(METAL, 0.84 - 0.6j, 0.96 - 0.3j, 0.92 + 0.05j, 0.84 + 0.05j),
        line(METAL, 0.07, 0.88 + 0j, 0.88 + 0.6j),
    ]
    rim = chance.pick(
        [[arc(BODY, 0.07, 0j, 0.56, 0.56)], [disc(TRIM, z, 0.07) for z in around(12, 0.53)]]
    )
    return [*fork, *knife, disc(LIGHT, 0j, 0.66), *rim, arc(METAL, 0.03, 0j, 0.4, 0.4)]


def coin(chance: Chance) -> Parts:
    """A coin with a crown or a number of its own."""
    edge = [line(SHADE, 0.04, z * 0.93, z) for z in around(40, 0.84)]
    crown = fill(
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
        line(WOOD, 0.14, -0.12 - 0.22j, 0.04 - 0.36j, 0.04 + 0.36j),
        line(WOOD, 0.12, -0.16 + 0.36j, 0.24 + 0.36j),
    ]
    metal = WARM if chance.yes(0.7) else METAL
    return [
        disc(metal, 0j, 0.86),
        *edge,
        arc(WOOD, 0.04, 0j, 0.68, 0.68),
        *(bar if chance.yes() else [crown]),
    ]


def dartboard(chance: Chance) -> Parts:
    """A dart board with a dart."""
    wedges = [
        fill(LIGHT if i % 2 else DARK, 0j, *bow(0j, 0.7, 0.7, i * 30, i * 30 + 30))
        for i in range(12)
    ]
    rings = [arc(BODY, 0.06, 0j, r, r) for r in (0.4, 0.68)]
    z = complex(chance.real(-0.3, 0.4), chance.real(-0.3, 0.4))
    dart = [line(METAL, 0.06, z, z + 0.3 - 0.2j), line(WARM, 0.12, z + 0.3 - 0.2j, z + 0.5 - 0.34j)]
    return [disc(DARK, 0j, 0.86), *wedges, *rings, disc(TRIM, 0j, 0.12), *dart]


def hourglass(chance: Chance) -> Parts:
    """An hourglass."""
    glass = lathe(GLASS, 0.44 - 0.74j, 0.42 - 0.4j, 0.06 + 0j, 0.42 + 0.4j, 0.44 + 0.74j)
    high = chance.real(-0.5, -0.25)
    sand = [
        lathe(FOOD, complex(-high * 0.85, high), 0.04 + 0j),
        lathe(FOOD, 0.02 + 0.3j, 0.38 + 0.7j),
    ]
    ends = [lathe(BODY, complex(0.58, y), complex(0.58, y + 0.16)) for y in (-0.9, 0.74)]
    return [
        line(WOOD, 0.08, -0.5 - 0.8j, -0.5 + 0.8j),
        line(WOOD, 0.08, 0.5 - 0.8j, 0.5 + 0.8j),
        glass,
        *sand,
        *ends,
    ]


def calendar(chance: Chance) -> Parts:
    """A wall calendar."""
    days = [
        box(LIGHT if i != 9 else BODY, z - 0.09 - 0.07j, z + 0.09 + 0.07j)
        for i, z in enumerate(_days(chance))
    ]
    rings = [line(METAL, 0.08, complex(x, -0.9), complex(x, -0.6)) for x in (-0.4, 0.0, 0.4)]
    return [
        box(TRIM, -0.76 - 0.74j, 0.76 + 0.84j),
        box(BODY, -0.76 - 0.74j, 0.76 - 0.34j),
        *days,
        *rings,
    ]


def bell(chance: Chance) -> Parts:
    """A hand bell."""
    cup = round_lathe(WARM, 0.2 - 0.3j, 0.34 + 0.0j, 0.42 + 0.4j, 0.7 + 0.62j)
    grip = lathe(chance.pick([WOOD, BODY]), 0.12 - 0.95j, 0.09 - 0.35j)
    return [disc(DARK, 0.7j, 0.14), cup, line(TRIM, 0.08, -0.36 + 0.3j, 0.36 + 0.3j), grip]


def table_fan(chance: Chance) -> Parts:
    """A fan on its foot."""
    blade = blob(BODY, 0j, -0.22 - 0.3j, -0.1 - 0.52j, 0.1 - 0.4j)
    n, start = chance.whole(3, 5), chance.real(0, 90)
    blades = [part for i in range(n) for part in turned([blade], start + 360 * i / n, 1, -0.3j)]
    wires = [arc(METAL, 0.03, -0.3j, r, r) for r in (0.4, 0.6)]
    foot = [line(METAL, 0.1, 0.2j, 0.86j), lathe(BODY, 0.3 + 0.82j, 0.42 + 0.95j)]
    return [*foot, disc(GLASS, -0.3j, 0.62), *blades, *wires, disc(TRIM, -0.3j, 0.11)]


def microphone(chance: Chance) -> Parts:
    """A microphone on a stand."""
    head = [
        blob(METAL, -0.95j, 0.28 - 0.7j, 0.22 - 0.3j, -0.22 - 0.3j, -0.28 - 0.7j),
        line(DARK, 0.07, -0.26 - 0.56j, 0.26 - 0.56j),
    ]
    grip = lathe(DARK, 0.19 - 0.34j, 0.1 + 0.3j)
    stand = [line(METAL, 0.07, 0.3j, 0.86j), lathe(BODY, 0.34 + 0.84j, 0.4 + 0.95j)]
    return [
        *stand,
        grip,
        *turned(head, chance.real(-4, 4)),
        line(TRIM, 0.09, -0.2 - 0.3j, 0.2 - 0.3j),
    ]


def palm_tree(chance: Chance) -> Parts:
    """A palm tree on a heap of sand."""
    frond = blob(Role.LEAF, 0j, 0.36 - 0.22j, 0.8 + 0.12j, 0.34 - 0.04j)
    top = complex(chance.real(-0.1, 0.2), -0.5)
    fronds = [
        part for a in (-165, -120, -65, -15, 20, 150) for part in turned([frond], a, 0.85, top)
    ]
    trunk = line(WOOD, 0.13, -0.1 + 0.86j, 0.0 + 0.3j, top)
    return [
        trunk,
        blob(FOOD, -0.6 + 0.9j, 0.0 + 0.7j, 0.6 + 0.9j, 0.0 + 0.98j),
        *fronds,
        disc(BODY, top + 0.1j, 0.09),
    ]


def light_bulb(chance: Chance) -> Parts:
    """A bulb without its lamp."""
    glass = round_lathe(
        WARM if chance.yes() else GLASS, 0.2 - 0.86j, 0.54 - 0.4j, 0.34 + 0.05j, 0.2 + 0.4j
    )
    wire = line(
        DARK, 0.05, -0.1 + 0.4j, -0.18 - 0.2j, -0.06 - 0.34j, 0.06 - 0.2j, 0.18 - 0.34j, 0.1 + 0.4j
    )
    cap = [lathe(METAL, complex(0.24, y), complex(0.22, y + 0.13)) for y in (0.4, 0.54, 0.68)]
    return [glass, wire, *cap, disc(DARK, 0.86j, 0.12, 0.07)]


def candle(chance: Chance) -> Parts:
    """A candle on a saucer."""
    high = chance.real(-0.4, -0.1)
    flame = blob(
        WARM,
        complex(0, high - 0.5),
        complex(0.13, high - 0.2),
        complex(0, high - 0.04),
        complex(-0.13, high - 0.2),
    )
    drip = blob(TINT, complex(0.1, high), complex(0.2, high), 0.18 + 0.3j)
    return [
        lathe(TRIM, 0.6 + 0.66j, 0.4 + 0.86j),
        lathe(BODY, complex(0.22, high), 0.22 + 0.72j),
        drip,
        flame,
    ]


def plug(chance: Chance) -> Parts:
    """A plug on its cable."""
    pins = [line(METAL, 0.09, complex(x, -0.9), complex(x, -0.4)) for x in (-0.2, 0.2)]
    cable = line(
        DARK, 0.1, 0.3j, complex(0.0, 0.6), complex(chance.real(-0.6, 0.6), 0.75), complex(0, 1.1)
    )
    return [
        *pins,
        cable,
        round_lathe(BODY, 0.44 - 0.42j, 0.44 + 0.05j, 0.16 + 0.4j),
        line(LIGHT, 0.06, -0.2 + 0j, 0.2 + 0j),
    ]


def _days(chance: Chance) -> list[complex]:
    return [
        complex(x, y) for y in (-0.14, 0.12, 0.38, 0.64) for x in (-0.54, -0.27, 0.0, 0.27, 0.54)
    ][: chance.whole(14, 20)]
