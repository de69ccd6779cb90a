"""Things of a room: look-alikes of guitars and chairs, and what belongs to them."""

from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import (
    BODY,
    DARK,
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
    blob,
    ellipse,
    horizontal_stroke,
    mirror,
    polygon,
    rectangle,
    rotate,
    stroke,
    symmetric_blob,
    symmetric_polygon,
    vertical_stroke,
)


def banjo(rng: Rng) -> Parts:
    """Draw a banjo: a drum with a neck."""
    radius = rng.uniform(0.38, 0.46)
    pegs = []
    for x in (-0.14, 0.14):
        pegs.append(ellipse(METAL, complex(x, -0.92), 0.05))
        pegs.append(ellipse(METAL, complex(x, -0.78), 0.05))
    rim = ellipse(BODY, 0.48j, radius)
    skin = ellipse(LIGHT, 0.48j, radius - 0.1)
    bridge = horizontal_stroke(WOOD, 0.07, 0.62, -0.12, 0.12)
    neck = polygon(
        WOOD,
        -0.07 - 0.98j,
        0.07 - 0.98j,
        0.08 + 0.14j,
        -0.08 + 0.14j,
    )
    return [*pegs, rim, skin, bridge, neck, *_strings(0.62)]


def violin(rng: Rng) -> Parts:
    """Draw a violin with its bow."""
    wood = rng.choice([WOOD, WOOD, BODY])
    bow_stick = stroke(WOOD, 0.05, 0.5 - 0.85j, 0.62 + 0.9j)
    bow_hair = stroke(LIGHT, 0.025, 0.56 - 0.8j, 0.68 + 0.85j)
    body = symmetric_blob(
        wood,
        0.12 - 0.12j,
        0.3 + 0.0j,
        0.2 + 0.3j,
        0.36 + 0.52j,
        0.34 + 0.8j,
        0.12 + 0.9j,
    )
    sound_holes = [_sound_hole(x) for x in (-0.17, 0.17)]
    neck = vertical_stroke(DARK, 0.11, 0, -0.7, 0.2)
    scroll = ellipse(wood, -0.82j, 0.11)
    tailpiece = vertical_stroke(DARK, 0.11, 0, 0.56, 0.84)
    return [
        bow_stick,
        bow_hair,
        body,
        *sound_holes,
        neck,
        scroll,
        tailpiece,
        *_strings(0.6),
    ]


def _sound_hole(x: float) -> Part:
    return stroke(
        DARK,
        0.05,
        complex(x, 0.28),
        complex(x * 0.8, 0.38),
        complex(x, 0.5),
    )


def _strings(bridge_y: float) -> Parts:
    """Return two strings that end at the bridge."""
    return [vertical_stroke(LIGHT, 0.018, x, -0.74, bridge_y) for x in (-0.03, 0.03)]


def tennis_racket(rng: Rng) -> Parts:
    """Draw a tennis racket, sometimes with a ball."""
    strings = []
    for x in (-0.24, -0.12, 0.0, 0.12, 0.24):
        strings.append(vertical_stroke(LIGHT, 0.025, x, -0.8, 0.1))
    for y in (-0.7, -0.55, -0.4, -0.25, -0.1):
        strings.append(horizontal_stroke(LIGHT, 0.025, y, -0.32, 0.32))
    throat = [stroke(BODY, 0.08, complex(x, 0.04), 0.4j) for x in (-0.2, 0.2)]
    rim = arc(BODY, 0.1, -0.38j, 0.4, 0.52)
    grip = vertical_stroke(TRIM, 0.15, 0, 0.42, 0.92)
    balls = []
    if rng.chance():
        balls = [ellipse(WARM, 0.6 + 0.3j, 0.16)]
    return [*strings, *throat, rim, grip, *balls]


def frying_pan(rng: Rng) -> Parts:
    """Draw a frying pan, sometimes with an egg."""
    egg = _fried_egg() if rng.chance() else []
    handle = vertical_stroke(rng.choice([WOOD, BODY]), 0.14, 0, 0, -0.92)
    rim = ellipse(METAL, 0.44j, 0.5)
    bottom = ellipse(DARK, 0.44j, 0.41)
    return [handle, rim, bottom, *egg]


def _fried_egg() -> Parts:
    white = blob(
        LIGHT,
        -0.24 + 0.4j,
        0.1 + 0.26j,
        0.24 + 0.5j,
        0.0 + 0.7j,
    )
    yolk = ellipse(WARM, 0.46j, 0.11)
    return [white, yolk]


def amplifier(rng: Rng) -> Parts:
    """Draw an amplifier with its loudspeaker."""
    handle = horizontal_stroke(DARK, 0.1, -0.86, -0.2, 0.2)
    case = rectangle(BODY, -0.8 - 0.8j, 0.8 + 0.8j)
    panel = rectangle(DARK, -0.7 - 0.66j, 0.7 - 0.34j)
    knobs = [ellipse(WARM, complex(x, -0.5), 0.075) for x in (-0.5, -0.25, 0.0, 0.25)]
    cone = ellipse(SHADE, 0.2j, 0.42)
    ring = arc(METAL, 0.05, 0.2j, 0.42, 0.42)
    cap = ellipse(DARK, 0.2j, rng.uniform(0.14, 0.2))
    return [
        handle,
        case,
        panel,
        *knobs,
        cone,
        ring,
        cap,
    ]


def music_note(rng: Rng) -> Parts:
    """Draw a note with a flag, or two notes with a beam."""
    head = rotate([ellipse(BODY, 0j, 0.26, 0.19)], -20, shift=-0.36 + 0.6j)
    if rng.chance():
        stem = vertical_stroke(BODY, 0.1, -0.14, 0.55, -0.8)
        flag = stroke(BODY, 0.13, -0.14 - 0.78j, 0.3 - 0.4j, 0.34 - 0.1j)
        return [*head, stem, flag]
    right_head = rotate([ellipse(BODY, 0j, 0.24, 0.18)], -20, shift=0.4 + 0.46j)
    left_stem = vertical_stroke(BODY, 0.09, -0.14, 0.55, -0.6)
    right_stem = vertical_stroke(BODY, 0.09, 0.6, 0.4, -0.74)
    beam = polygon(
        BODY,
        -0.18 - 0.66j,
        0.64 - 0.8j,
        0.64 - 0.52j,
        -0.18 - 0.38j,
    )
    return [*head, *right_head, left_stem, right_stem, beam]


def drum(rng: Rng) -> Parts:
    """Draw a drum with two sticks; a cord zigzags around it."""
    n_cords = rng.integer(3, 5)
    cords = []
    for i in range(n_cords):
        start = _cord_end(i, n_cords)
        cords.append(stroke(LIGHT, 0.05, start, _cord_end(i + 1, n_cords)))
    shell = symmetric_polygon(BODY, 0.76 - 0.1j, 0.76 + 0.7j)
    skin = ellipse(LIGHT, -0.1j, 0.76, 0.24)
    hoop = arc(TRIM, 0.08, -0.1j, 0.76, 0.24)
    left_stick = stroke(WOOD, 0.07, -0.7 - 0.9j, 0.1 - 0.2j)
    right_stick = stroke(WOOD, 0.07, 0.7 - 0.9j, -0.1 - 0.2j)
    return [shell, *cords, skin, hoop, left_stick, right_stick]


def _cord_end(i: int, n_cords: int) -> complex:
    """Return where cord i begins: in turns at the bottom and at the top of the drum."""
    x = -0.7 + 1.4 * i / n_cords
    y = 0.66 - 0.7 * (i % 2)
    return complex(x, y)


def stool(rng: Rng) -> Parts:
    """Draw a stool: a round seat and legs, no back."""
    seat_y = rng.uniform(-0.5, -0.1)
    radius = rng.uniform(0.44, 0.6)
    legs = []
    for foot_x in (-radius, 0.12, radius):
        legs.append(stroke(WOOD, 0.11, complex(foot_x * 0.6, seat_y), complex(foot_x, 0.9)))
    rung = horizontal_stroke(WOOD, 0.07, 0.45, -radius * 0.85, radius * 0.85)
    seat_edge = symmetric_polygon(
        SHADE,
        complex(radius + 0.06, seat_y),
        complex(radius + 0.02, seat_y + 0.14),
    )
    seat = ellipse(BODY, complex(0, seat_y), radius + 0.08, 0.16)
    return [rung, *legs, seat_edge, seat]


def ladder(rng: Rng) -> Parts:
    """Draw a ladder, wider at the bottom."""
    role = rng.choice([WOOD, METAL, BODY])
    n_rungs = rng.integer(4, 7)
    lean = rng.uniform(0.0, 0.14)
    rungs = []
    for i in range(n_rungs):
        y = -0.75 + 1.5 * i / (n_rungs - 1)
        half_width = 0.34 + lean * y
        rungs.append(horizontal_stroke(role, 0.08, y, half_width, -half_width))
    rails = []
    for side in (-1, 1):
        top = complex(side * (0.34 - lean), -0.95)
        bottom = complex(side * (0.34 + lean), 0.95)
        rails.append(stroke(role, 0.1, top, bottom))
    return [*rungs, *rails]


def table(rng: Rng) -> Parts:
    """Draw a table with four legs, sometimes with a plant on it."""
    role = rng.choice([WOOD, BODY])
    y = rng.uniform(-0.3, -0.1)
    rear_y = y - 0.24
    front_y = y + 0.1
    top = polygon(
        role,
        complex(-0.6, rear_y),
        complex(0.74, rear_y),
        complex(0.96, front_y),
        complex(-0.92, front_y),
    )
    legs = []
    for x, foot in ((-0.54, 0.5), (0.66, 0.5), (-0.84, 0.84), (0.88, 0.84)):
        legs.append(vertical_stroke(role, 0.1, x, y, foot))
    plant = []
    if rng.chance(0.4):
        pot = ellipse(TRIM, complex(0, y - 0.2), 0.14)
        leaves = ellipse(LEAF, complex(0, y - 0.44), 0.16)
        plant = [pot, leaves]
    edge_role = SHADE if role == BODY else role
    edge = rectangle(edge_role, complex(-0.92, front_y), complex(0.96, y + 0.2))
    return [*legs, top, edge, *plant]


def bench(rng: Rng) -> Parts:
    """Draw a park bench: wide, of planks."""
    planks = []
    for y in (-0.42, -0.24):
        planks.append(horizontal_stroke(rng.choice([WOOD, BODY]), 0.12, y, -0.94, 0.94))
    seat = polygon(
        WOOD,
        -0.86 + 0.0j,
        0.86 + 0.0j,
        0.98 + 0.2j,
        -0.98 + 0.2j,
    )
    irons = [_bench_iron(x) for x in (-0.72, 0.72)]
    legs = [vertical_stroke(DARK, 0.09, x, 0.2, 0.66) for x in (-0.9, 0.9)]
    return [*irons, *planks, seat, *legs]


def _bench_iron(x: float) -> Part:
    """Return the iron of one side that carries the back and ends in a leg."""
    return stroke(
        DARK,
        0.09,
        complex(x, -0.5),
        complex(x, 0.1),
        complex(x * 1.08, 0.6),
    )


def easel(rng: Rng) -> Parts:
    """Draw an easel with a painting of mountains and the sun."""
    legs = [stroke(WOOD, 0.09, -0.95j, complex(foot_x, 0.95)) for foot_x in (-0.56, 0.0, 0.56)]
    canvas = rectangle(LIGHT, -0.5 - 0.6j, 0.5 + 0.24j)
    mountains = polygon(
        BODY,
        -0.5 + 0.24j,
        -0.2 - 0.2j,
        0.1 + 0.1j,
        0.3 - 0.1j,
        0.5 + 0.24j,
    )
    sun = ellipse(WARM, complex(rng.uniform(-0.3, 0.3), -0.38), 0.1)
    ledge = horizontal_stroke(WOOD, 0.09, 0.28, -0.54, 0.54)
    return [*legs, canvas, mountains, sun, ledge]


def cushion(rng: Rng) -> Parts:
    """Draw a cushion with a tassel at each corner."""
    corners = (-0.8 - 0.8j, 0.8 - 0.8j, 0.8 + 0.8j, -0.8 + 0.8j)
    tassels = [ellipse(TRIM, corner, 0.13) for corner in corners]
    pillow = blob(
        BODY,
        -0.8 - 0.8j,
        0.0 - 0.62j,
        0.8 - 0.8j,
        0.62 + 0.0j,
        0.8 + 0.8j,
        0.0 + 0.62j,
        -0.8 + 0.8j,
        -0.62 + 0.0j,
    )
    button = ellipse(TRIM, 0j, 0.12)
    level_band = horizontal_stroke(TRIM, 0.09, 0, -0.5, 0.5)
    upright_band = vertical_stroke(TRIM, 0.09, 0, -0.5, 0.5)
    marks = rng.choice([[button], [level_band, upright_band], []])
    return [*tassels, pillow, *marks]


def sofa(rng: Rng) -> Parts:
    """Draw a sofa with two seats."""
    back = blob(
        BODY,
        -0.8 - 0.4j,
        0.8 - 0.4j,
        0.82 + 0.4j,
        -0.82 + 0.4j,
    )
    right_arm = blob(
        BODY,
        0.66 - 0.05j,
        0.92 - 0.05j,
        0.94 + 0.56j,
        0.66 + 0.56j,
    )
    seats = []
    for left in (-0.66, 0.02):
        role = TRIM if rng.chance(0.3) else TINT
        seats.append(rectangle(role, complex(left, 0.1), complex(left + 0.64, 0.36)))
    feet = [vertical_stroke(WOOD, 0.1, x, 0.6, 0.74) for x in (-0.7, 0.7)]
    front = rectangle(SHADE, -0.7 + 0.3j, 0.7 + 0.58j)
    return [
        *feet,
        back,
        front,
        *seats,
        right_arm,
        *mirror([right_arm]),
    ]


def curtain(rng: Rng) -> Parts:
    """Draw a pair of curtains on a rod."""
    n_folds = rng.integer(3, 4)
    folds = []
    for i in range(1, n_folds):
        top = complex(0.3 + 0.6 * i / n_folds, -0.7)
        bottom = complex(0.36 + 0.5 * i / n_folds, 0.85)
        folds.append(stroke(SHADE, 0.06, top, bottom))
    cloth = polygon(
        BODY,
        0.12 - 0.78j,
        0.88 - 0.78j,
        0.9 + 0.88j,
        0.4 + 0.88j,
        0.44 + 0.2j,
    )
    tie = stroke(TRIM, 0.1, 0.42 + 0.2j, 0.88 + 0.16j)
    right_half = [cloth, *folds, tie]
    rod = horizontal_stroke(WOOD, 0.09, -0.84, -0.98, 0.98)
    left_knob = ellipse(WARM, -0.98 - 0.84j, 0.09)
    right_knob = ellipse(WARM, 0.98 - 0.84j, 0.09)
    return [
        *right_half,
        *mirror(right_half),
        rod,
        left_knob,
        right_knob,
    ]
