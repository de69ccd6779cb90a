"""Round things: look-alikes of clocks and lamps, and what belongs to these."""

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
    Part,
    Parts,
    arc,
    arc_points,
    blob,
    ellipse,
    horizontal_stroke,
    polygon,
    rectangle,
    ring_points,
    rotate,
    stroke,
    symmetric_blob,
    symmetric_polygon,
    vertical_stroke,
)


def compass(rng: Rng) -> Parts:
    """Draw a pocket compass with its needle."""
    ring = arc(WARM, 0.09, -0.92j, 0.13, 0.13)
    case = ellipse(WARM, 0j, 0.82)
    face = ellipse(LIGHT, 0j, 0.68)
    n_marks = rng.choice([4, 8])
    marks = [stroke(DARK, 0.06, end * 0.85, end) for end in ring_points(n_marks, 0.6)]
    north = polygon(BODY, -0.5j, 0.13, -0.13)
    south = polygon(METAL, 0.5j, 0.13, -0.13)
    needle = rotate([north, south], rng.uniform(0, 360))
    pin = ellipse(DARK, 0j, 0.07)
    return [ring, case, face, *marks, *needle, pin]


def pressure_gauge(rng: Rng) -> Parts:
    """Draw a gauge on a pipe, with a coloured sector."""
    pipe = symmetric_polygon(METAL, 0.14 + 0.7j, 0.14 + 0.98j)
    nut = symmetric_polygon(METAL, 0.26 + 0.82j, 0.26 + 0.92j)
    case = ellipse(BODY, 0j, 0.8)
    face = ellipse(LIGHT, 0j, 0.67)
    sector = arc(TRIM, 0.11, 0j, 0.5, 0.5, -40, 30)
    scale = arc_points(0j, 0.58, 0.58, 150, 390)
    marks = [stroke(DARK, 0.05, end * 0.86, end) for end in scale[::2]]
    needle = rotate([vertical_stroke(DARK, 0.08, 0, 0.1, -0.48)], rng.uniform(-110, 110))
    pin = ellipse(DARK, 0j, 0.09)
    return [
        pipe,
        nut,
        case,
        face,
        sector,
        *marks,
        *needle,
        pin,
    ]


def plate(rng: Rng) -> Parts:
    """Draw a plate between a fork and a knife."""
    fork_handle = vertical_stroke(METAL, 0.07, -0.88, -0.3, 0.6)
    tines = [vertical_stroke(METAL, 0.045, x, -0.6, -0.3) for x in (-0.96, -0.88, -0.8)]
    knife_blade = blob(
        METAL,
        0.84 - 0.6j,
        0.96 - 0.3j,
        0.92 + 0.05j,
        0.84 + 0.05j,
    )
    knife_handle = vertical_stroke(METAL, 0.07, 0.88, 0, 0.6)
    china = ellipse(LIGHT, 0j, 0.66)
    line = arc(BODY, 0.07, 0j, 0.56, 0.56)
    dots = [ellipse(TRIM, centre, 0.07) for centre in ring_points(12, 0.53)]
    decoration = rng.choice([[line], dots])
    hollow = arc(METAL, 0.03, 0j, 0.4, 0.4)
    return [
        fork_handle,
        *tines,
        knife_blade,
        knife_handle,
        china,
        *decoration,
        hollow,
    ]


def coin(rng: Rng) -> Parts:
    """Draw a coin with a crown or a one."""
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
    digit = stroke(WOOD, 0.14, -0.12 - 0.22j, 0.04 - 0.36j, 0.04 + 0.36j)
    foot_of_digit = horizontal_stroke(WOOD, 0.12, 0.36, -0.16, 0.24)
    metal = WARM if rng.chance(0.7) else METAL
    disc = ellipse(metal, 0j, 0.86)
    notches = [stroke(SHADE, 0.04, end * 0.93, end) for end in ring_points(40, 0.84)]
    rim = arc(WOOD, 0.04, 0j, 0.68, 0.68)
    relief = [digit, foot_of_digit] if rng.chance() else [crown]
    return [disc, *notches, rim, *relief]


def dartboard(rng: Rng) -> Parts:
    """Draw a dart board with a dart in it."""
    board = ellipse(DARK, 0j, 0.86)
    fields = [_dartboard_field(i) for i in range(12)]
    rings = [arc(BODY, 0.06, 0j, radius, radius) for radius in (0.4, 0.68)]
    bull = ellipse(TRIM, 0j, 0.12)
    tip_x = rng.uniform(-0.3, 0.4)
    tip = complex(tip_x, rng.uniform(-0.3, 0.4))
    grip = tip + 0.3 - 0.2j
    needle = stroke(METAL, 0.06, tip, grip)
    flight = stroke(WARM, 0.12, grip, tip + 0.5 - 0.34j)
    return [
        board,
        *fields,
        *rings,
        bull,
        needle,
        flight,
    ]


def _dartboard_field(i: int) -> Part:
    start = i * 30
    role = LIGHT if i % 2 else DARK
    return polygon(role, 0j, *arc_points(0j, 0.7, 0.7, start, start + 30))


def hourglass(rng: Rng) -> Parts:
    """Draw an hourglass."""
    sand_top = rng.uniform(-0.5, -0.25)
    left_post = vertical_stroke(WOOD, 0.08, -0.5, -0.8, 0.8)
    right_post = vertical_stroke(WOOD, 0.08, 0.5, -0.8, 0.8)
    glass = symmetric_polygon(
        GLASS,
        0.44 - 0.74j,
        0.42 - 0.4j,
        0.06 + 0j,
        0.42 + 0.4j,
        0.44 + 0.74j,
    )
    upper_sand = symmetric_polygon(FOOD, complex(-sand_top * 0.85, sand_top), 0.04 + 0j)
    lower_sand = symmetric_polygon(FOOD, 0.02 + 0.3j, 0.38 + 0.7j)
    lid = symmetric_polygon(BODY, 0.58 - 0.9j, complex(0.58, -0.9 + 0.16))
    base = symmetric_polygon(BODY, 0.58 + 0.74j, complex(0.58, 0.74 + 0.16))
    return [
        left_post,
        right_post,
        glass,
        upper_sand,
        lower_sand,
        lid,
        base,
    ]


def calendar(rng: Rng) -> Parts:
    """Draw a wall calendar; one of its days is marked."""
    days = []
    for number, centre in enumerate(_day_centres()[: rng.integer(14, 20)]):
        role = BODY if number == 9 else LIGHT
        days.append(rectangle(role, centre - 0.09 - 0.07j, centre + 0.09 + 0.07j))
    rings = [vertical_stroke(METAL, 0.08, x, -0.9, -0.6) for x in (-0.4, 0.0, 0.4)]
    sheet = rectangle(TRIM, -0.76 - 0.74j, 0.76 + 0.84j)
    title = rectangle(BODY, -0.76 - 0.74j, 0.76 - 0.34j)
    return [sheet, title, *days, *rings]


def _day_centres() -> list[complex]:
    """Return the middles of 20 days in four rows."""
    centres = []
    for y in (-0.14, 0.12, 0.38, 0.64):
        for x in (-0.54, -0.27, 0.0, 0.27, 0.54):
            centres.append(complex(x, y))
    return centres


def bell(rng: Rng) -> Parts:
    """Draw a hand bell."""
    clapper = ellipse(DARK, 0.7j, 0.14)
    cup = symmetric_blob(
        WARM,
        0.2 - 0.3j,
        0.34 + 0.0j,
        0.42 + 0.4j,
        0.7 + 0.62j,
    )
    band = horizontal_stroke(TRIM, 0.08, 0.3, -0.36, 0.36)
    grip = symmetric_polygon(rng.choice([WOOD, BODY]), 0.12 - 0.95j, 0.09 - 0.35j)
    return [clapper, cup, band, grip]


def table_fan(rng: Rng) -> Parts:
    """Draw a fan on its foot."""
    hub = -0.3j
    pole = vertical_stroke(METAL, 0.1, 0, 0.2, 0.86)
    foot = symmetric_polygon(BODY, 0.3 + 0.82j, 0.42 + 0.95j)
    blade = blob(
        BODY,
        0j,
        -0.22 - 0.3j,
        -0.1 - 0.52j,
        0.1 - 0.4j,
    )
    n_blades = rng.integer(3, 5)
    first_angle = rng.uniform(0, 90)
    blades = []
    for i in range(n_blades):
        blades += rotate([blade], first_angle + 360 * i / n_blades, shift=hub)
    wires = [arc(METAL, 0.03, hub, radius, radius) for radius in (0.4, 0.6)]
    cage = ellipse(GLASS, hub, 0.62)
    cap = ellipse(TRIM, hub, 0.11)
    return [
        pole,
        foot,
        cage,
        *blades,
        *wires,
        cap,
    ]


def microphone(rng: Rng) -> Parts:
    """Draw a microphone on a stand."""
    pole = vertical_stroke(METAL, 0.07, 0, 0.3, 0.86)
    foot = symmetric_polygon(BODY, 0.34 + 0.84j, 0.4 + 0.95j)
    grip = symmetric_polygon(DARK, 0.19 - 0.34j, 0.1 + 0.3j)
    grille = blob(
        METAL,
        -0.95j,
        0.28 - 0.7j,
        0.22 - 0.3j,
        -0.22 - 0.3j,
        -0.28 - 0.7j,
    )
    band = horizontal_stroke(DARK, 0.07, -0.56, -0.26, 0.26)
    head = rotate([grille, band], rng.uniform(-4, 4))
    collar = horizontal_stroke(TRIM, 0.09, -0.3, -0.2, 0.2)
    return [pole, foot, grip, *head, collar]


def palm_tree(rng: Rng) -> Parts:
    """Draw a palm tree on a heap of sand."""
    top = complex(rng.uniform(-0.1, 0.2), -0.5)
    trunk = stroke(WOOD, 0.13, -0.1 + 0.86j, 0.0 + 0.3j, top)
    sand = blob(
        FOOD,
        -0.6 + 0.9j,
        0.0 + 0.7j,
        0.6 + 0.9j,
        0.0 + 0.98j,
    )
    frond = blob(
        LEAF,
        0j,
        0.36 - 0.22j,
        0.8 + 0.12j,
        0.34 - 0.04j,
    )
    fronds = []
    for angle in (-165, -120, -65, -15, 20, 150):
        fronds += rotate([frond], angle, 0.85, top)
    coconut = ellipse(BODY, top + 0.1j, 0.09)
    return [trunk, sand, *fronds, coconut]


def light_bulb(rng: Rng) -> Parts:
    """Draw a bulb without its lamp."""
    glass = symmetric_blob(
        WARM if rng.chance() else GLASS,
        0.2 - 0.86j,
        0.54 - 0.4j,
        0.34 + 0.05j,
        0.2 + 0.4j,
    )
    filament = stroke(
        DARK,
        0.05,
        -0.1 + 0.4j,
        -0.18 - 0.2j,
        -0.06 - 0.34j,
        0.06 - 0.2j,
        0.18 - 0.34j,
        0.1 + 0.4j,
    )
    thread = []
    for top in (0.4, 0.54, 0.68):
        thread.append(symmetric_polygon(METAL, complex(0.24, top), complex(0.22, top + 0.13)))
    contact = ellipse(DARK, 0.86j, 0.12, 0.07)
    return [glass, filament, *thread, contact]


def candle(rng: Rng) -> Parts:
    """Draw a candle on a saucer."""
    top = rng.uniform(-0.4, -0.1)
    saucer = symmetric_polygon(TRIM, 0.6 + 0.66j, 0.4 + 0.86j)
    wax = symmetric_polygon(BODY, complex(0.22, top), 0.22 + 0.72j)
    drip = blob(TINT, complex(0.1, top), complex(0.2, top), 0.18 + 0.3j)
    flame = blob(
        WARM,
        complex(0, top - 0.5),
        complex(0.13, top - 0.2),
        complex(0, top - 0.04),
        complex(-0.13, top - 0.2),
    )
    return [saucer, wax, drip, flame]


def plug(rng: Rng) -> Parts:
    """Draw a plug on its cable."""
    pins = [vertical_stroke(METAL, 0.09, x, -0.9, -0.4) for x in (-0.2, 0.2)]
    bend = complex(rng.uniform(-0.6, 0.6), 0.75)
    cable = stroke(DARK, 0.1, 0.3j, 0.6j, bend, 1.1j)
    body = symmetric_blob(
        BODY,
        0.44 - 0.42j,
        0.44 + 0.05j,
        0.16 + 0.4j,
    )
    groove = horizontal_stroke(LIGHT, 0.06, 0, -0.2, 0.2)
    return [*pins, cable, body, groove]
