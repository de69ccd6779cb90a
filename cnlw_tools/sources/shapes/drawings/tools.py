"""What one holds in the hand: look-alikes of keys and scissors, and what belongs to them."""

from cnlw_tools.sources.shapes.chance import Chance
from cnlw_tools.sources.shapes.ink import (
    Parts,
    Role,
    arc,
    blob,
    bow,
    box,
    disc,
    fill,
    lathe,
    line,
    mirrored,
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
METAL, WOOD, GLASS, WARM, NONE = Role.METAL, Role.WOOD, Role.GLASS, Role.WARM, Role.NONE


def wrench(chance: Chance) -> Parts:
    """A spanner: an open jaw at one end, a ring at the other."""
    jaw = [
        disc(BODY, -0.62 + 0j, 0.3),
        fill(NONE, -1.0 - 0.14j, -0.58 - 0.14j, -0.58 + 0.14j, -1.0 + 0.14j),
    ]
    ring = (
        [disc(BODY, 0.72 + 0j, 0.24), disc(NONE, 0.72 + 0j, 0.12)]
        if chance.yes(0.7)
        else [disc(BODY, 0.8 + 0j, 0.1)]
    )
    return [line(BODY, chance.real(0.16, 0.2), -0.4 + 0j, 0.6 + 0j), *turned(jaw, 0), *ring]


def magnifying_glass(chance: Chance) -> Parts:
    """A magnifying glass."""
    r = chance.real(0.36, 0.46)
    shine = arc(LIGHT, 0.06, -0.42 + 0j, r * 0.6, r * 0.6, 190, 250)
    rim = arc(chance.pick([METAL, BODY]), 0.11, -0.42 + 0j, r, r)
    return [
        line(METAL, 0.1, complex(r - 0.42, 0), 0.3 + 0j),
        line(BODY, 0.2, 0.36 + 0j, 0.84 + 0j),
        disc(GLASS, -0.42 + 0j, r),
        rim,
        shine,
    ]


def spoon(chance: Chance) -> Parts:
    """A spoon."""
    metal, r = chance.pick([METAL, BODY, WOOD]), chance.real(0.2, 0.28)
    bowl = [blob(metal, -0.95 + 0j, complex(-0.65, -r), -0.3 + 0j, complex(-0.65, r))]
    hollow = blob(
        SHADE if metal == BODY else LIGHT,
        -0.86 + 0j,
        complex(-0.66, -r * 0.6),
        -0.42 + 0j,
        complex(-0.66, r * 0.6),
    )
    return [
        line(metal, 0.1, -0.36 + 0j, 0.7 + 0j),
        line(metal, 0.15, 0.7 + 0j, 0.86 + 0j),
        *bowl,
        hollow,
    ]


def oar(chance: Chance) -> Parts:
    """An oar."""
    blade = fill(
        BODY,
        -0.98 - 0.13j,
        -0.9 - 0.2j,
        -0.45 - 0.16j,
        -0.25 + 0j,
        -0.45 + 0.16j,
        -0.9 + 0.2j,
        -0.98 + 0.13j,
    )
    grip = line(TRIM, 0.13, 0.8 + 0j, 0.96 + 0j)
    stripe = box(TRIM, complex(-0.8, -0.17), complex(chance.real(-0.7, -0.6), 0.17))
    return [line(WOOD, 0.1, -0.4 + 0j, 0.9 + 0j), blade, stripe, grip]


def corkscrew(chance: Chance) -> Parts:
    """A corkscrew with a wooden grip."""
    coil = [complex(-0.1 + 0.13 * i, 0.13 * (1 if i % 2 else -1)) for i in range(7)]
    grip = line(chance.pick([WOOD, BODY]), 0.22, complex(-0.6, -0.42), complex(-0.6, 0.42))
    return [
        line(METAL, 0.1, -0.6 + 0j, -0.2 + 0j),
        line(METAL, 0.075, -0.2 + 0j, *coil, 0.94 + 0j),
        grip,
    ]


def padlock(chance: Chance) -> Parts:
    """A padlock, shut or open."""
    lift = chance.pick([0.0, 0.0, 0.2])
    shackle = line(
        METAL,
        0.14,
        -0.36 + 0.1j,
        *bow(complex(0, -0.3 - lift), 0.36, 0.4, 180, 360),
        complex(0.36, 0.1 - 2 * lift),
    )
    hole = [
        disc(DARK, 0.34j, 0.13),
        fill(DARK, 0.34j - 0.06, 0.34j + 0.06, 0.66j + 0.1, 0.66j - 0.1),
    ]
    return [
        shackle,
        box(BODY, -0.62 - 0.08j, 0.62 + 0.86j),
        box(SHADE, -0.62 - 0.08j, -0.44 + 0.86j),
        *hole,
    ]


def door(chance: Chance) -> Parts:
    """A panelled door."""
    panels = [
        box(SHADE, complex(x, y), complex(x + 0.32, y + h))
        for x in (-0.4, 0.08)
        for y, h in ((-0.78, 0.6), (0.0, 0.7))
    ]
    knob = disc(WARM, complex(chance.pick([-0.42, 0.42]), 0.0), 0.07)
    return [
        box(LIGHT, -0.62 - 0.98j, 0.62 + 0.98j),
        box(BODY, -0.5 - 0.9j, 0.5 + 0.95j),
        *panels,
        knob,
    ]


def mail_box(chance: Chance) -> Parts:
    """A letter box on a post."""
    flag = (
        [line(TRIM, 0.08, 0.3 - 0.1j, 0.3 - 0.6j), box(TRIM, 0.3 - 0.62j, 0.54 - 0.44j)]
        if chance.yes(0.7)
        else []
    )
    front = fill(SHADE, -0.7 + 0.3j, *bow(-0.42 - 0.2j, 0.28, 0.28, 180, 360), -0.14 + 0.3j)
    case = fill(
        BODY,
        -0.7 + 0.3j,
        *bow(-0.42 - 0.2j, 0.28, 0.28, 180, 270),
        *bow(0.42 - 0.2j, 0.28, 0.28, 270, 360),
        0.7 + 0.3j,
    )
    return [
        line(WOOD, 0.16, 0.3j, 0.98j),
        case,
        front,
        line(LIGHT, 0.06, -0.56 + 0j, -0.3 + 0j),
        *flag,
    ]


def pliers(chance: Chance) -> Parts:
    """Pliers: short jaws, long bent handles."""
    jaw = fill(
        METAL, -0.12 + 0.0j, -0.16 - 0.2j, -0.02 - 0.72j, 0.05 - 0.7j, 0.06 - 0.1j, 0.12 + 0.1j
    )
    grip = line(BODY, chance.real(0.13, 0.17), 0.1 + 0.15j, 0.32 + 0.4j, 0.3 + 0.92j)
    half = turned([jaw, grip], -chance.real(3, 10))
    return [*half, *mirrored(half), disc(METAL, 0.0j, 0.17), disc(DARK, 0.0j, 0.06)]


def dividers(chance: Chance) -> Parts:
    """A pair of compasses: two legs from a hinge, one with a point, one with a lead."""
    gape = chance.real(12, 26)
    leg = [line(METAL, 0.1, 0j, 1.2j), line(BODY, 0.15, 0.1j, 0.6j)]
    point, lead = [*leg, line(DARK, 0.05, 1.2j, 1.5j)], [*leg, line(TRIM, 0.09, 1.2j, 1.46j)]
    top = [line(METAL, 0.1, -0.95j, -0.62j), disc(TRIM, -0.6j, 0.15)]
    return [*turned(point, gape, 1, -0.6j), *turned(lead, -gape, 1, -0.6j), *top]


def tweezers(chance: Chance) -> Parts:
    """Tweezers."""
    gape = chance.real(0.24, 0.4)
    half = [
        fill(
            chance.pick([METAL, BODY]),
            0.05 + 0.9j,
            complex(gape, 0.1),
            -0.92j + 0.04,
            complex(gape - 0.13, 0.1),
            0.7j,
        )
    ]
    return [*half, *mirrored(half), line(TRIM, 0.16, 0.78j, 0.92j)]


def tongs(chance: Chance) -> Parts:
    """Kitchen tongs: two bent arms, closing on two claws."""
    gape = chance.real(0.3, 0.46)
    claw = blob(
        BODY,
        complex(gape - 0.06, -0.5),
        complex(gape, -0.9),
        complex(0.06, -0.8),
        complex(gape - 0.2, -0.56),
    )
    half = [line(METAL, 0.14, 0.84j, complex(gape, 0.1), complex(gape - 0.06, -0.5)), claw]
    return [*half, *mirrored(half), disc(TRIM, 0.84j, 0.13)]


def comb(chance: Chance) -> Parts:
    """A comb."""
    n = chance.whole(9, 13)
    teeth = [
        line(BODY, 0.07, complex(x, -0.2), complex(x, 0.4))
        for x in (-0.8 + 1.6 * i / (n - 1) for i in range(n))
    ]
    return [*teeth, fill(BODY, -0.88 - 0.36j, 0.88 - 0.36j, 0.9 - 0.02j, -0.9 - 0.02j)]


def thread_spool(chance: Chance) -> Parts:
    """A spool of thread."""
    wound = [
        line(SHADE, 0.045, complex(-0.38, y), complex(0.38, y - 0.06))
        for y in (-0.3, -0.1, 0.1, 0.3, 0.5)
    ]
    loose = line(BODY, 0.05, 0.38 + 0.3j, 0.7 + 0.5j, complex(chance.real(0.5, 0.8), 0.9))
    ends = [lathe(WOOD, complex(0.54, y), complex(0.54, y + 0.2)) for y in (-0.8, 0.6)]
    return [loose, lathe(BODY, 0.4 - 0.64j, 0.4 + 0.64j), *wound, *ends]


def ruler(chance: Chance) -> Parts:
    """A ruler."""
    n = chance.whole(10, 16)
    marks = [
        line(
            DARK,
            0.04,
            complex(-0.88 + 1.76 * i / n, -0.2),
            complex(-0.88 + 1.76 * i / n, 0.12 if i % 4 == 0 else -0.02),
        )
        for i in range(n + 1)
    ]
    return [box(chance.pick([BODY, WARM, WOOD]), -0.96 - 0.22j, 0.96 + 0.24j), *marks]
