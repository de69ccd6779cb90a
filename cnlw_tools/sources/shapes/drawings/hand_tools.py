"""Things for the hand: look-alikes of keys and scissors, and what belongs to them."""

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
    Part,
    Parts,
    arc,
    arc_points,
    blob,
    ellipse,
    horizontal_stroke,
    mirror,
    polygon,
    rectangle,
    rotate,
    stroke,
    symmetric_polygon,
    vertical_stroke,
)


def wrench(rng: Rng) -> Parts:
    """Draw a spanner: an open jaw at one end, and mostly a ring at the other."""
    head = ellipse(BODY, -0.62 + 0j, 0.3)
    jaw = rectangle(NONE, -1.0 - 0.14j, -0.58 + 0.14j)
    if rng.chance(0.7):
        ring = ellipse(BODY, 0.72 + 0j, 0.24)
        hole = ellipse(NONE, 0.72 + 0j, 0.12)
        end = [ring, hole]
    else:
        end = [ellipse(BODY, 0.8 + 0j, 0.1)]
    shaft = horizontal_stroke(BODY, rng.uniform(0.16, 0.2), 0, -0.4, 0.6)
    return [shaft, head, jaw, *end]


def magnifying_glass(rng: Rng) -> Parts:
    """Draw a magnifying glass."""
    radius = rng.uniform(0.36, 0.46)
    centre = -0.42 + 0j
    neck = stroke(METAL, 0.1, centre + radius, 0.3 + 0j)
    handle = horizontal_stroke(BODY, 0.2, 0, 0.36, 0.84)
    lens = ellipse(GLASS, centre, radius)
    rim = arc(rng.choice([METAL, BODY]), 0.11, centre, radius, radius)
    shine = arc(LIGHT, 0.06, centre, radius * 0.6, radius * 0.6, 190, 250)
    return [neck, handle, lens, rim, shine]


def spoon(rng: Rng) -> Parts:
    """Draw a spoon."""
    role = rng.choice([METAL, BODY, WOOD])
    half_width = rng.uniform(0.2, 0.28)
    handle = horizontal_stroke(role, 0.1, 0, -0.36, 0.7)
    handle_end = horizontal_stroke(role, 0.15, 0, 0.7, 0.86)
    bowl = blob(
        role,
        -0.95 + 0j,
        complex(-0.65, -half_width),
        -0.3 + 0j,
        complex(-0.65, half_width),
    )
    hollow = blob(
        SHADE if role == BODY else LIGHT,
        -0.86 + 0j,
        complex(-0.66, -half_width * 0.6),
        -0.42 + 0j,
        complex(-0.66, half_width * 0.6),
    )
    return [handle, handle_end, bowl, hollow]


def oar(rng: Rng) -> Parts:
    """Draw an oar with a striped blade."""
    shaft = horizontal_stroke(WOOD, 0.1, 0, -0.4, 0.9)
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
    stripe_end = complex(rng.uniform(-0.7, -0.6), 0.17)
    stripe = rectangle(TRIM, -0.8 - 0.17j, stripe_end)
    grip = horizontal_stroke(TRIM, 0.13, 0, 0.8, 0.96)
    return [shaft, blade, stripe, grip]


def corkscrew(rng: Rng) -> Parts:
    """Draw a corkscrew with a grip across."""
    turns = []
    for i in range(7):
        side = 1 if i % 2 else -1
        turns.append(complex(-0.1 + 0.13 * i, 0.13 * side))
    shaft = horizontal_stroke(METAL, 0.1, 0, -0.6, -0.2)
    worm = stroke(METAL, 0.075, -0.2 + 0j, *turns, 0.94 + 0j)
    grip = vertical_stroke(rng.choice([WOOD, BODY]), 0.22, -0.6, -0.42, 0.42)
    return [shaft, worm, grip]


def padlock(rng: Rng) -> Parts:
    """Draw a padlock, shut or open."""
    lift = rng.choice([0.0, 0.0, 0.2])
    shackle = stroke(
        METAL,
        0.14,
        -0.36 + 0.1j,
        *arc_points(complex(0, -0.3 - lift), 0.36, 0.4, 180, 360),
        complex(0.36, 0.1 - 2 * lift),
    )
    case = rectangle(BODY, -0.62 - 0.08j, 0.62 + 0.86j)
    shadow = rectangle(SHADE, -0.62 - 0.08j, -0.44 + 0.86j)
    keyhole = ellipse(DARK, 0.34j, 0.13)
    keyhole_slot = polygon(
        DARK,
        -0.06 + 0.34j,
        0.06 + 0.34j,
        0.1 + 0.66j,
        -0.1 + 0.66j,
    )
    return [shackle, case, shadow, keyhole, keyhole_slot]


def door(rng: Rng) -> Parts:
    """Draw a door with four panels."""
    frame = rectangle(LIGHT, -0.62 - 0.98j, 0.62 + 0.98j)
    leaf = rectangle(BODY, -0.5 - 0.9j, 0.5 + 0.95j)
    panels = []
    for left in (-0.4, 0.08):
        right = left + 0.32
        panels.append(rectangle(SHADE, complex(left, -0.78), complex(right, -0.78 + 0.6)))
        panels.append(rectangle(SHADE, complex(left, 0.0), complex(right, 0.7)))
    knob = ellipse(WARM, complex(rng.choice([-0.42, 0.42]), 0.0), 0.07)
    return [frame, leaf, *panels, knob]


def mail_box(rng: Rng) -> Parts:
    """Draw a letter box on a post, mostly with its flag up."""
    flag = []
    if rng.chance(0.7):
        flag_pole = vertical_stroke(TRIM, 0.08, 0.3, -0.1, -0.6)
        flag = [flag_pole, rectangle(TRIM, 0.3 - 0.62j, 0.54 - 0.44j)]
    post = vertical_stroke(WOOD, 0.16, 0, 0.3, 0.98)
    case = polygon(
        BODY,
        -0.7 + 0.3j,
        *arc_points(-0.42 - 0.2j, 0.28, 0.28, 180, 270),
        *arc_points(0.42 - 0.2j, 0.28, 0.28, 270, 360),
        0.7 + 0.3j,
    )
    front = polygon(
        SHADE,
        -0.7 + 0.3j,
        *arc_points(-0.42 - 0.2j, 0.28, 0.28, 180, 360),
        -0.14 + 0.3j,
    )
    slot = horizontal_stroke(LIGHT, 0.06, 0, -0.56, -0.3)
    return [post, case, front, slot, *flag]


def pliers(rng: Rng) -> Parts:
    """Draw pliers: short jaws and long bent handles."""
    jaw = polygon(
        METAL,
        -0.12 + 0.0j,
        -0.16 - 0.2j,
        -0.02 - 0.72j,
        0.05 - 0.7j,
        0.06 - 0.1j,
        0.12 + 0.1j,
    )
    grip = stroke(
        BODY,
        rng.uniform(0.13, 0.17),
        0.1 + 0.15j,
        0.32 + 0.4j,
        0.3 + 0.92j,
    )
    half = rotate([jaw, grip], -rng.uniform(3, 10))
    joint = ellipse(METAL, 0.0j, 0.17)
    rivet = ellipse(DARK, 0.0j, 0.06)
    return [*half, *mirror(half), joint, rivet]


def dividers(rng: Rng) -> Parts:
    """Draw a pair of compasses: two legs from a hinge, one with a point, one with a lead."""
    half_angle = rng.uniform(12, 26)
    hinge = -0.6j
    leg = vertical_stroke(METAL, 0.1, 0, 0, 1.2)
    sleeve = vertical_stroke(BODY, 0.15, 0, 0.1, 0.6)
    point = vertical_stroke(DARK, 0.05, 0, 1.2, 1.5)
    lead = vertical_stroke(TRIM, 0.09, 0, 1.2, 1.46)
    handle = vertical_stroke(METAL, 0.1, 0, -0.95, -0.62)
    joint = ellipse(TRIM, hinge, 0.15)
    return [
        *rotate([leg, sleeve, point], half_angle, shift=hinge),
        *rotate([leg, sleeve, lead], -half_angle, shift=hinge),
        handle,
        joint,
    ]


def tweezers(rng: Rng) -> Parts:
    """Draw tweezers."""
    bulge = rng.uniform(0.24, 0.4)
    arm = polygon(
        rng.choice([METAL, BODY]),
        0.05 + 0.9j,
        complex(bulge, 0.1),
        0.04 - 0.92j,
        complex(bulge - 0.13, 0.1),
        0.7j,
    )
    joint = vertical_stroke(TRIM, 0.16, 0, 0.78, 0.92)
    return [arm, *mirror([arm]), joint]


def tongs(rng: Rng) -> Parts:
    """Draw kitchen tongs: two bent arms that close on two claws."""
    bulge = rng.uniform(0.3, 0.46)
    wrist = complex(bulge - 0.06, -0.5)
    arm = stroke(METAL, 0.14, 0.84j, complex(bulge, 0.1), wrist)
    claw = blob(
        BODY,
        wrist,
        complex(bulge, -0.9),
        0.06 - 0.8j,
        complex(bulge - 0.2, -0.56),
    )
    half = [arm, claw]
    joint = ellipse(TRIM, 0.84j, 0.13)
    return [*half, *mirror(half), joint]


def comb(rng: Rng) -> Parts:
    """Draw a comb."""
    n_teeth = rng.integer(9, 13)
    teeth = []
    for i in range(n_teeth):
        x = -0.8 + 1.6 * i / (n_teeth - 1)
        teeth.append(vertical_stroke(BODY, 0.07, x, -0.2, 0.4))
    back = polygon(
        BODY,
        -0.88 - 0.36j,
        0.88 - 0.36j,
        0.9 - 0.02j,
        -0.9 - 0.02j,
    )
    return [*teeth, back]


def thread_spool(rng: Rng) -> Parts:
    """Draw a spool of thread with a loose end."""
    loose_end = stroke(
        BODY,
        0.05,
        0.38 + 0.3j,
        0.7 + 0.5j,
        complex(rng.uniform(0.5, 0.8), 0.9),
    )
    thread = symmetric_polygon(BODY, 0.4 - 0.64j, 0.4 + 0.64j)
    windings = []
    for y in (-0.3, -0.1, 0.1, 0.3, 0.5):
        windings.append(stroke(SHADE, 0.045, complex(-0.38, y), complex(0.38, y - 0.06)))
    rims = [_spool_rim(top) for top in (-0.8, 0.6)]
    return [loose_end, thread, *windings, *rims]


def _spool_rim(top: float) -> Part:
    return symmetric_polygon(WOOD, complex(0.54, top), complex(0.54, top + 0.2))


def ruler(rng: Rng) -> Parts:
    """Draw a ruler; every fourth mark is long."""
    n_marks = rng.integer(10, 16)
    marks = []
    for i in range(n_marks + 1):
        x = -0.88 + 1.76 * i / n_marks
        bottom = 0.12 if i % 4 == 0 else -0.02
        marks.append(vertical_stroke(DARK, 0.04, x, -0.2, bottom))
    body = rectangle(rng.choice([BODY, WARM, WOOD]), -0.96 - 0.22j, 0.96 + 0.24j)
    return [body, *marks]
