"""What stands in a room or is played there: look-alikes of guitars and chairs, and what belongs to them."""

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
    Parts,
    arc,
    blob,
    ellipse,
    mirror,
    polygon,
    rectangle,
    rotate,
    stroke,
    symmetric_blob,
    symmetric_polygon,
)


def banjo(rng: Rng) -> Parts:
    """A banjo: a drum with a neck."""
    r = rng.uniform(0.38, 0.46)
    pegs = [ellipse(METAL, complex(x, y), 0.05) for x in (-0.14, 0.14) for y in (-0.92, -0.78)]
    drum = [
        ellipse(BODY, 0.48j, r),
        ellipse(LIGHT, 0.48j, r - 0.1),
        stroke(WOOD, 0.07, -0.12 + 0.62j, 0.12 + 0.62j),
    ]
    return [
        *pegs,
        *drum,
        polygon(WOOD, -0.07 - 0.98j, 0.07 - 0.98j, 0.08 + 0.14j, -0.08 + 0.14j),
        *_strings(0.62),
    ]


def violin(rng: Rng) -> Parts:
    """A violin with its bow."""
    wood = rng.choice([WOOD, WOOD, BODY])
    edge = (0.12 - 0.12j, 0.3 + 0.0j, 0.2 + 0.3j, 0.36 + 0.52j, 0.34 + 0.8j, 0.12 + 0.9j)
    holes = [
        stroke(DARK, 0.05, complex(x, 0.28), complex(x * 0.8, 0.38), complex(x, 0.5))
        for x in (-0.17, 0.17)
    ]
    hair = [
        stroke(WOOD, 0.05, 0.5 - 0.85j, 0.62 + 0.9j),
        stroke(LIGHT, 0.025, 0.56 - 0.8j, 0.68 + 0.85j),
    ]
    neck = [
        stroke(DARK, 0.11, -0.7j, 0.2j),
        ellipse(wood, -0.82j, 0.11),
        stroke(DARK, 0.11, 0.56j, 0.84j),
    ]
    return [*hair, symmetric_blob(wood, *edge), *holes, *neck, *_strings(0.6)]


def tennis_racket(rng: Rng) -> Parts:
    """A tennis racket, sometimes with a ball."""
    grid = [
        stroke(LIGHT, 0.025, complex(x, -0.8), complex(x, 0.1))
        for x in (-0.24, -0.12, 0.0, 0.12, 0.24)
    ]
    grid += [
        stroke(LIGHT, 0.025, complex(-0.32, y), complex(0.32, y))
        for y in (-0.7, -0.55, -0.4, -0.25, -0.1)
    ]
    throat = [stroke(BODY, 0.08, complex(x, 0.04), 0.4j) for x in (-0.2, 0.2)]
    ball = [ellipse(WARM, 0.6 + 0.3j, 0.16)] if rng.chance() else []
    return [
        *grid,
        *throat,
        arc(BODY, 0.1, -0.38j, 0.4, 0.52),
        stroke(TRIM, 0.15, 0.42j, 0.92j),
        *ball,
    ]


def frying_pan(rng: Rng) -> Parts:
    """A frying pan, sometimes with an egg."""
    egg = (
        [
            blob(LIGHT, -0.24 + 0.4j, 0.1 + 0.26j, 0.24 + 0.5j, 0.0 + 0.7j),
            ellipse(WARM, 0.46j, 0.11),
        ]
        if rng.chance()
        else []
    )
    return [
        stroke(rng.choice([WOOD, BODY]), 0.14, 0j, -0.92j),
        ellipse(METAL, 0.44j, 0.5),
        ellipse(DARK, 0.44j, 0.41),
        *egg,
    ]


def amplifier(rng: Rng) -> Parts:
    """An amplifier."""
    knobs = [ellipse(WARM, complex(x, -0.5), 0.075) for x in (-0.5, -0.25, 0.0, 0.25)]
    cloth = [
        ellipse(SHADE, 0.2j, 0.42),
        arc(METAL, 0.05, 0.2j, 0.42, 0.42),
        ellipse(DARK, 0.2j, rng.uniform(0.14, 0.2)),
    ]
    return [
        stroke(DARK, 0.1, -0.2 - 0.86j, 0.2 - 0.86j),
        rectangle(BODY, -0.8 - 0.8j, 0.8 + 0.8j),
        rectangle(DARK, -0.7 - 0.66j, 0.7 - 0.34j),
        *knobs,
        *cloth,
    ]


def music_note(rng: Rng) -> Parts:
    """One note or two."""
    head = rotate([ellipse(BODY, 0j, 0.26, 0.19)], -20, 1, -0.36 + 0.6j)
    if rng.chance():
        return [
            *head,
            stroke(BODY, 0.1, -0.14 + 0.55j, -0.14 - 0.8j),
            stroke(BODY, 0.13, -0.14 - 0.78j, 0.3 - 0.4j, 0.34 - 0.1j),
        ]
    other = rotate([ellipse(BODY, 0j, 0.24, 0.18)], -20, 1, 0.4 + 0.46j)
    stems = [
        stroke(BODY, 0.09, -0.14 + 0.55j, -0.14 - 0.6j),
        stroke(BODY, 0.09, 0.6 + 0.4j, 0.6 - 0.74j),
    ]
    return [
        *head,
        *other,
        *stems,
        polygon(BODY, -0.18 - 0.66j, 0.64 - 0.8j, 0.64 - 0.52j, -0.18 - 0.38j),
    ]


def drum(rng: Rng) -> Parts:
    """A drum with sticks."""
    n = rng.integer(3, 5)
    cords = [
        stroke(
            LIGHT,
            0.05,
            complex(-0.7 + 1.4 * i / n, 0.66 - 0.7 * (i % 2)),
            complex(-0.7 + 1.4 * (i + 1) / n, 0.66 - 0.7 * ((i + 1) % 2)),
        )
        for i in range(n)
    ]
    sticks = [
        stroke(WOOD, 0.07, -0.7 - 0.9j, 0.1 - 0.2j),
        stroke(WOOD, 0.07, 0.7 - 0.9j, -0.1 - 0.2j),
    ]
    return [
        symmetric_polygon(BODY, 0.76 - 0.1j, 0.76 + 0.7j),
        *cords,
        ellipse(LIGHT, -0.1j, 0.76, 0.24),
        arc(TRIM, 0.08, -0.1j, 0.76, 0.24),
        *sticks,
    ]


def stool(rng: Rng) -> Parts:
    """A stool: a round seat, legs, no back."""
    y, w = rng.uniform(-0.5, -0.1), rng.uniform(0.44, 0.6)
    legs = [stroke(WOOD, 0.11, complex(x * 0.6, y), complex(x, 0.9)) for x in (-w, 0.12, w)]
    rung = stroke(WOOD, 0.07, complex(-w * 0.85, 0.45), complex(w * 0.85, 0.45))
    return [
        rung,
        *legs,
        symmetric_polygon(SHADE, complex(w + 0.06, y), complex(w + 0.02, y + 0.14)),
        ellipse(BODY, complex(0, y), w + 0.08, 0.16),
    ]


def ladder(rng: Rng) -> Parts:
    """A ladder."""
    role, n, lean = rng.choice([WOOD, METAL, BODY]), rng.integer(4, 7), rng.uniform(0.0, 0.14)
    rungs = [complex(0.34 + lean * y, y) for y in (-0.75 + 1.5 * i / (n - 1) for i in range(n))]
    rails = [
        stroke(role, 0.1, complex(x * (0.34 - lean), -0.95), complex(x * (0.34 + lean), 0.95))
        for x in (-1, 1)
    ]
    return [*(stroke(role, 0.08, z, -z.conjugate()) for z in rungs), *rails]


def table(rng: Rng) -> Parts:
    """A table with four legs."""
    role, y = rng.choice([WOOD, BODY]), rng.uniform(-0.3, -0.1)
    top = polygon(
        role,
        complex(-0.6, y - 0.24),
        complex(0.74, y - 0.24),
        complex(0.96, y + 0.1),
        complex(-0.92, y + 0.1),
    )
    legs = [
        stroke(role, 0.1, complex(x, y), complex(x, low))
        for x, low in ((-0.54, 0.5), (0.66, 0.5), (-0.84, 0.84), (0.88, 0.84))
    ]
    vase = (
        [ellipse(TRIM, complex(0, y - 0.2), 0.14), ellipse(LEAF, complex(0, y - 0.44), 0.16)]
        if rng.chance(0.4)
        else []
    )
    return [
        *legs,
        top,
        rectangle(SHADE if role == BODY else role, complex(-0.92, y + 0.1), complex(0.96, y + 0.2)),
        *vase,
    ]


def bench(rng: Rng) -> Parts:
    """A park bench: wide, of planks."""
    planks = [
        stroke(rng.choice([WOOD, BODY]), 0.12, complex(-0.94, y), complex(0.94, y))
        for y in (-0.42, -0.24)
    ]
    seat = polygon(WOOD, -0.86 + 0.0j, 0.86 + 0.0j, 0.98 + 0.2j, -0.98 + 0.2j)
    irons = [
        stroke(DARK, 0.09, complex(x, -0.5), complex(x, 0.1), complex(x * 1.08, 0.6))
        for x in (-0.72, 0.72)
    ]
    return [
        *irons,
        *planks,
        seat,
        *(stroke(DARK, 0.09, complex(x, 0.2), complex(x, 0.66)) for x in (-0.9, 0.9)),
    ]


def easel(rng: Rng) -> Parts:
    """An easel with a canvas."""
    legs = [stroke(WOOD, 0.09, -0.95j, complex(x, 0.95)) for x in (-0.56, 0.0, 0.56)]
    picture = [
        rectangle(LIGHT, -0.5 - 0.6j, 0.5 + 0.24j),
        polygon(BODY, -0.5 + 0.24j, -0.2 - 0.2j, 0.1 + 0.1j, 0.3 - 0.1j, 0.5 + 0.24j),
    ]
    return [
        *legs,
        *picture,
        ellipse(WARM, complex(rng.uniform(-0.3, 0.3), -0.38), 0.1),
        stroke(WOOD, 0.09, -0.54 + 0.28j, 0.54 + 0.28j),
    ]


def cushion(rng: Rng) -> Parts:
    """A cushion."""
    corners = (
        -0.8 - 0.8j,
        0.0 - 0.62j,
        0.8 - 0.8j,
        0.62 + 0.0j,
        0.8 + 0.8j,
        0.0 + 0.62j,
        -0.8 + 0.8j,
        -0.62 + 0.0j,
    )
    marks = rng.choice(
        [
            [ellipse(TRIM, 0j, 0.12)],
            [stroke(TRIM, 0.09, -0.5 + 0j, 0.5 + 0j), stroke(TRIM, 0.09, -0.5j, 0.5j)],
            [],
        ]
    )
    return [*(ellipse(TRIM, z, 0.13) for z in corners[::2]), blob(BODY, *corners), *marks]


def sofa(rng: Rng) -> Parts:
    """A sofa."""
    back = blob(BODY, -0.8 - 0.4j, 0.8 - 0.4j, 0.82 + 0.4j, -0.82 + 0.4j)
    arm = blob(BODY, 0.66 - 0.05j, 0.92 - 0.05j, 0.94 + 0.56j, 0.66 + 0.56j)
    seats = [
        rectangle(TRIM if rng.chance(0.3) else TINT, complex(x, 0.1), complex(x + 0.64, 0.36))
        for x in (-0.66, 0.02)
    ]
    feet = [stroke(WOOD, 0.1, complex(x, 0.6), complex(x, 0.74)) for x in (-0.7, 0.7)]
    return [*feet, back, rectangle(SHADE, -0.7 + 0.3j, 0.7 + 0.58j), *seats, arm, *mirror([arm])]


def curtain(rng: Rng) -> Parts:
    """A pair of curtains on a rod."""
    n = rng.integer(3, 4)
    folds = [
        stroke(SHADE, 0.06, complex(0.3 + 0.6 * i / n, -0.7), complex(0.36 + 0.5 * i / n, 0.85))
        for i in range(1, n)
    ]
    half = [
        polygon(BODY, 0.12 - 0.78j, 0.88 - 0.78j, 0.9 + 0.88j, 0.4 + 0.88j, 0.44 + 0.2j),
        *folds,
        stroke(TRIM, 0.1, 0.42 + 0.2j, 0.88 + 0.16j),
    ]
    return [
        *half,
        *mirror(half),
        stroke(WOOD, 0.09, -0.98 - 0.84j, 0.98 - 0.84j),
        ellipse(WARM, -0.98 - 0.84j, 0.09),
        ellipse(WARM, 0.98 - 0.84j, 0.09),
    ]


def _strings(bridge: float) -> Parts:
    return [stroke(LIGHT, 0.018, complex(x, -0.74), complex(x, bridge)) for x in (-0.03, 0.03)]
