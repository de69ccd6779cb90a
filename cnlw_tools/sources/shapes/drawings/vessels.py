"""What holds or pours: look-alikes of mugs and teapots, and what belongs to them."""

from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import (
    BODY,
    DARK,
    FOOD,
    GLASS,
    LEAF,
    LIGHT,
    METAL,
    NONE,
    SHADE,
    TRIM,
    WARM,
)
from cnlw_tools.sources.shapes.vector_graphics import (
    Parts,
    arc,
    arc_points,
    blob,
    ellipse,
    polygon,
    rectangle,
    rotate,
    stroke,
    symmetric_blob,
    symmetric_polygon,
)


def bucket(rng: Rng) -> Parts:
    """A bucket with its bail up."""
    w, h = rng.uniform(0.6, 0.72), rng.uniform(0.5, 0.62)
    bail = arc(METAL, 0.06, complex(0, -h + 0.3), w, rng.uniform(0.6, 0.7), 180, 360)
    tub = symmetric_polygon(BODY, complex(w, 0.3 - h), complex(w * 0.68, h + 0.3))
    hoop = symmetric_polygon(SHADE, complex(w * 0.92, 0.1), complex(w * 0.88, 0.22))
    return [
        bail,
        tub,
        hoop,
        ellipse(DARK, complex(0, 0.3 - h), w, 0.16),
        arc(METAL, 0.06, complex(0, 0.3 - h), w, 0.16),
    ]


def beer_stein(rng: Rng) -> Parts:
    """A glass of beer with an ear and a head of foam."""
    w, h = rng.uniform(0.42, 0.52), 0.8
    ear = arc(GLASS, 0.15, complex(w, 0.1), 0.32, 0.42, -95, 95)
    flutes = [stroke(LIGHT, 0.05, complex(x, -0.3), complex(x, 0.7)) for x in (-0.22, 0.0, 0.22)]
    foam = [
        ellipse(LIGHT, complex(x, -0.56 - 0.1 * (i % 2)), 0.22)
        for i, x in enumerate((-w, -w / 3, w / 3, w))
    ]
    return [ear, symmetric_polygon(WARM, complex(w, -0.55), complex(w, h)), *flutes, *foam]


def plant_pot(rng: Rng) -> Parts:
    """A pot with a plant."""
    leaves = [
        part
        for angle in range(-60, 61, 120 // rng.integer(2, 5))
        for part in rotate(
            [blob(LEAF, 0j, -0.13 - 0.4j, -0.85j, 0.13 - 0.4j)], angle, rng.uniform(0.8, 1.05)
        )
    ]
    return [
        *leaves,
        symmetric_polygon(BODY, 0.5 + 0.05j, 0.36 + 0.9j),
        symmetric_polygon(TRIM if rng.chance() else BODY, 0.58 - 0.1j, 0.56 + 0.16j),
    ]


def measuring_jug(rng: Rng) -> Parts:
    """A glass jug with a scale and a lip."""
    full = rng.uniform(-0.2, 0.3)
    ear = arc(GLASS, 0.14, 0.5 + 0.1j, 0.36, 0.4, -95, 95)
    glass = polygon(GLASS, -0.8 - 0.75j, 0.56 - 0.7j, 0.46 + 0.8j, -0.46 + 0.8j, -0.56 - 0.45j)
    water = symmetric_polygon(BODY, complex(0.5, full), 0.43 + 0.74j)
    marks = [
        stroke(DARK, 0.05, complex(-0.4, y), complex(-0.12 - 0.1 * (i % 2), y))
        for i, y in enumerate(_ladder())
    ]
    return [ear, glass, water, *marks]


def candle_jar(rng: Rng) -> Parts:
    """A candle in a glass."""
    flame = blob(WARM, -0.8j, 0.12 - 0.5j, -0.34j, -0.12 - 0.5j)
    label = rectangle(TRIM, -0.3 + 0.25j, 0.3 + 0.6j)
    return [
        symmetric_polygon(GLASS, 0.5 - 0.3j, 0.5 + 0.8j),
        symmetric_polygon(BODY, 0.44 - 0.02j, 0.44 + 0.76j),
        stroke(DARK, 0.05, -0.02j, -0.36j),
        flame,
        label,
        stroke(DARK, 0.05, -0.16 + 0.42j, 0.16 + 0.42j),
    ]


def watering_can(rng: Rng) -> Parts:
    """A watering can with a rose."""
    spout = [
        stroke(BODY, 0.13, 0.3 + 0.6j, complex(0.8, -0.36)),
        *rotate([symmetric_polygon(TRIM, 0.07, 0.2 - 0.2j)], 38, 1, 0.8 - 0.36j),
    ]
    ear = arc(BODY, 0.09, -0.46 + 0.1j, 0.36, 0.44, 60, 300)
    top = arc(BODY, 0.09, -0.1 - 0.1j, 0.36, rng.uniform(0.4, 0.55), 180, 360)
    tank = polygon(BODY, -0.52 - 0.12j, 0.36 - 0.12j, 0.44 + 0.82j, -0.6 + 0.82j)
    return [*spout, ear, top, tank, stroke(SHADE, 0.08, -0.55 + 0.3j, 0.4 + 0.3j)]


def kettle(rng: Rng) -> Parts:
    """A kettle: wide foot, short beak, a bail over the lid."""
    bail = arc(DARK, 0.12, -0.2j, 0.46, rng.uniform(0.56, 0.7), 180, 360)
    beak = polygon(METAL, 0.4 - 0.05j, 0.9 - 0.3j, 0.96 - 0.18j, 0.5 + 0.3j)
    dome = symmetric_blob(METAL, 0.2 - 0.3j, 0.52 - 0.04j, 0.72 + 0.5j, 0.7 + 0.82j)
    band = symmetric_polygon(BODY, 0.72 + 0.5j, 0.74 + 0.7j)
    return [
        bail,
        beak,
        dome,
        band,
        ellipse(DARK, -0.36j, 0.1),
        stroke(LIGHT, 0.06, -0.4 + 0.1j, -0.5 + 0.36j),
    ]


def oil_can(rng: Rng) -> Parts:
    """An oil can: a cone with a long thin spout."""
    spout = stroke(METAL, 0.08, -0.3j, complex(0.3, -0.6), complex(0.85, -0.75))
    cone = symmetric_polygon(BODY, 0.12 - 0.42j, 0.2 - 0.2j, 0.6 + 0.5j)
    base = symmetric_polygon(TRIM, 0.62 + 0.46j, 0.62 + 0.84j)
    ear = stroke(METAL, 0.08, -0.1 - 0.3j, -0.6 - 0.2j, complex(-0.78, 0.3), -0.55 + 0.5j)
    return [ear, spout, cone, base]


def gravy_boat(rng: Rng) -> Parts:
    """A sauce boat on its foot."""
    ear = arc(BODY, 0.12, -0.66 - 0.05j, 0.26, rng.uniform(0.26, 0.36), 60, 300)
    boat = blob(BODY, -0.7 - 0.2j, 0.2 - 0.1j, 0.96 - 0.36j, 0.6 + 0.3j, 0.0 + 0.52j, -0.56 + 0.34j)
    foot = symmetric_polygon(BODY, 0.2 + 0.46j, 0.36 + 0.74j)
    return [
        ear,
        foot,
        boat,
        polygon(FOOD, -0.56 - 0.16j, 0.2 - 0.08j, 0.78 - 0.28j, 0.2 + 0.1j, -0.4 + 0.06j),
    ]


def goblet(rng: Rng) -> Parts:
    """A wine glass."""
    full = rng.uniform(-0.5, -0.2)
    bowl = symmetric_blob(GLASS, 0.38 - 0.9j, 0.46 - 0.45j, 0.3 - 0.08j, 0.06 + 0.06j)
    wine = symmetric_blob(TRIM, complex(0.42, full), 0.36 - 0.14j, 0.06 + 0.0j)
    return [
        stroke(METAL, 0.08, 0.04j, 0.8j),
        symmetric_polygon(METAL, 0.1 + 0.78j, 0.42 + 0.92j),
        bowl,
        wine,
    ]


def trophy(rng: Rng) -> Parts:
    """A cup that somebody won."""
    ears = [arc(WARM, 0.09, complex(x, -0.4), 0.24, 0.3) for x in (-0.46, 0.46)]
    cup = symmetric_blob(WARM, 0.5 - 0.82j, 0.44 - 0.3j, 0.1 + 0.05j, 0.08 + 0.3j)
    base = symmetric_polygon(BODY, 0.36 + 0.5j, 0.44 + 0.92j)
    star = polygon(
        LIGHT, *(z * (1 if i % 2 else 0.45) * 0.22 - 0.4j for i, z in enumerate(_star()))
    )
    return [*ears, stroke(WARM, 0.16, 0.1j, 0.5j), cup, base, star]


def coffee_beans(rng: Rng) -> Parts:
    """Some coffee beans."""
    bean = [
        blob(FOOD, -0.3 + 0j, -0.22j, 0.3 + 0j, 0.22j),
        stroke(DARK, 0.06, -0.26 + 0j, -0.05 - 0.05j, 0.05 + 0.05j, 0.26 + 0j),
    ]
    spots = [-0.5 - 0.45j, 0.35 - 0.55j, -0.05 + 0.0j, -0.55 + 0.5j, 0.5 + 0.4j, 0.02 + 0.75j]
    return [
        part for z in spots[: rng.integer(3, 6)] for part in rotate(bean, rng.uniform(0, 180), 1, z)
    ]


def doughnut(rng: Rng) -> Parts:
    """A doughnut with icing and sprinkles."""
    sprinkles = [
        part
        for i in range(11)
        for part in rotate(
            [stroke(TRIM if i % 2 else LIGHT, 0.07, -0.07 + 0j, 0.07 + 0j)],
            rng.uniform(0, 180),
            1,
            _ray(i, 0.52),
        )
    ]
    return [
        ellipse(FOOD, 0j, 0.86),
        ellipse(BODY, 0j, 0.76),
        *sprinkles,
        ellipse(FOOD, 0j, 0.3),
        ellipse(NONE, 0j, 0.22),
    ]


def tea_bag(rng: Rng) -> Parts:
    """A tea bag with its tag."""
    bag = polygon(LIGHT, -0.2 - 0.1j, 0.2 - 0.1j, 0.5 + 0.1j, 0.5 + 0.9j, -0.5 + 0.9j, -0.5 + 0.1j)
    leaves = blob(FOOD, -0.4 + 0.5j, 0.0 + 0.4j, 0.4 + 0.5j, 0.38 + 0.82j, -0.38 + 0.82j)
    x = rng.uniform(0.3, 0.6)
    tag = [
        rectangle(BODY, complex(x - 0.25, -0.95), complex(x + 0.25, -0.5)),
        ellipse(TRIM, complex(x, -0.72), 0.12),
    ]
    return [stroke(DARK, 0.04, 0j, -0.4 - 0.4j, complex(x, -0.5)), bag, leaves, *tag]


def lemon_slice(rng: Rng) -> Parts:
    """A slice of lemon or of something like it."""
    wedges = [
        polygon(WARM, 0j, *arc_points(0j, 0.62, 0.62, a + 5, a + 40))
        for a in range(rng.integer(0, 30), 360, 45)
    ]
    return [ellipse(BODY if rng.chance() else WARM, 0j, 0.84), ellipse(LIGHT, 0j, 0.72), *wedges]


def cake(rng: Rng) -> Parts:
    """A piece of layer cake with a cherry."""
    side = polygon(FOOD, -0.8 - 0.1j, 0.8 - 0.2j, 0.8 + 0.7j, -0.8 + 0.7j)
    layers = [stroke(LIGHT, 0.1, complex(-0.78, y), complex(0.78, y)) for y in (0.12, 0.42)]
    top = polygon(BODY, -0.8 - 0.1j, 0.5 - 0.6j, 0.85 - 0.2j)
    return [
        side,
        *layers,
        stroke(BODY, 0.14, -0.78 - 0.06j, 0.78 - 0.12j),
        top,
        ellipse(TRIM, 0.3 - 0.5j, 0.15),
    ]


def _ladder() -> list[float]:
    return [-0.4, -0.2, 0.0, 0.2, 0.4, 0.6]


def _star() -> list[complex]:
    return [_ray(i * 1.1, 1.0) * 1j for i in range(10)]


def _ray(i: float, radius: float) -> complex:
    return arc_points(0j, radius, radius, i * 360 / 11, i * 360 / 11 + 1)[0]
