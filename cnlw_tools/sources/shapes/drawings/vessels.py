"""Things that hold or pour: look-alikes of mugs and teapots, and what belongs to them."""

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
    horizontal_stroke,
    polygon,
    rectangle,
    rotate,
    stroke,
    symmetric_blob,
    symmetric_polygon,
    vertical_stroke,
)


def bucket(rng: Rng) -> Parts:
    """Draw a bucket with its bail up."""
    radius = rng.uniform(0.6, 0.72)
    half_height = rng.uniform(0.5, 0.62)
    bail_height = rng.uniform(0.6, 0.7)
    rim_y = 0.3 - half_height
    rim_centre = complex(0, rim_y)
    bail = arc(METAL, 0.06, rim_centre, radius, bail_height, 180, 360)
    tub = symmetric_polygon(
        BODY,
        complex(radius, rim_y),
        complex(radius * 0.68, half_height + 0.3),
    )
    hoop = symmetric_polygon(
        SHADE,
        complex(radius * 0.92, 0.1),
        complex(radius * 0.88, 0.22),
    )
    inside = ellipse(DARK, rim_centre, radius, 0.16)
    rim = arc(METAL, 0.06, rim_centre, radius, 0.16)
    return [bail, tub, hoop, inside, rim]


def beer_stein(rng: Rng) -> Parts:
    """Draw a glass of beer with an ear and a head of foam."""
    radius = rng.uniform(0.42, 0.52)
    ear = arc(GLASS, 0.15, complex(radius, 0.1), 0.32, 0.42, -95, 95)
    beer = symmetric_polygon(WARM, complex(radius, -0.55), complex(radius, 0.8))
    flutes = [vertical_stroke(LIGHT, 0.05, x, -0.3, 0.7) for x in (-0.22, 0.0, 0.22)]
    foam = []
    for i, x in enumerate((-radius, -radius / 3, radius / 3, radius)):
        y = -0.56 - 0.1 * (i % 2)
        foam.append(ellipse(LIGHT, complex(x, y), 0.22))
    return [ear, beer, *flutes, *foam]


def plant_pot(rng: Rng) -> Parts:
    """Draw a pot with a plant."""
    leaf = blob(
        LEAF,
        0j,
        -0.13 - 0.4j,
        -0.85j,
        0.13 - 0.4j,
    )
    angle_between = 120 // rng.integer(2, 5)
    leaves = []
    for angle in range(-60, 61, angle_between):
        leaves += rotate([leaf], angle, rng.uniform(0.8, 1.05))
    pot = symmetric_polygon(BODY, 0.5 + 0.05j, 0.36 + 0.9j)
    rim = symmetric_polygon(
        TRIM if rng.chance() else BODY,
        0.58 - 0.1j,
        0.56 + 0.16j,
    )
    return [*leaves, pot, rim]


def measuring_jug(rng: Rng) -> Parts:
    """Draw a glass jug with a scale and a lip."""
    water_y = rng.uniform(-0.2, 0.3)
    ear = arc(GLASS, 0.14, 0.5 + 0.1j, 0.36, 0.4, -95, 95)
    glass = polygon(
        GLASS,
        -0.8 - 0.75j,
        0.56 - 0.7j,
        0.46 + 0.8j,
        -0.46 + 0.8j,
        -0.56 - 0.45j,
    )
    water = symmetric_polygon(BODY, complex(0.5, water_y), 0.43 + 0.74j)
    marks = []
    for i, y in enumerate((-0.4, -0.2, 0.0, 0.2, 0.4, 0.6)):
        end = -0.12 - 0.1 * (i % 2)
        marks.append(horizontal_stroke(DARK, 0.05, y, -0.4, end))
    return [ear, glass, water, *marks]


def candle_jar(rng: Rng) -> Parts:
    """Draw a candle in a glass with a label."""
    jar = symmetric_polygon(GLASS, 0.5 - 0.3j, 0.5 + 0.8j)
    wax = symmetric_polygon(BODY, 0.44 - 0.02j, 0.44 + 0.76j)
    wick = vertical_stroke(DARK, 0.05, 0, -0.02, -0.36)
    flame = blob(
        WARM,
        -0.8j,
        0.12 - 0.5j,
        -0.34j,
        -0.12 - 0.5j,
    )
    label = rectangle(TRIM, -0.3 + 0.25j, 0.3 + 0.6j)
    writing = horizontal_stroke(DARK, 0.05, 0.42, -0.16, 0.16)
    return [jar, wax, wick, flame, label, writing]


def watering_can(rng: Rng) -> Parts:
    """Draw a watering can with a rose."""
    spout_end = 0.8 - 0.36j
    spout = stroke(BODY, 0.13, 0.3 + 0.6j, spout_end)
    rose = symmetric_polygon(TRIM, 0.07, 0.2 - 0.2j)
    ear = arc(BODY, 0.09, -0.46 + 0.1j, 0.36, 0.44, 60, 300)
    handle_height = rng.uniform(0.4, 0.55)
    handle = arc(BODY, 0.09, -0.1 - 0.1j, 0.36, handle_height, 180, 360)
    tank = polygon(
        BODY,
        -0.52 - 0.12j,
        0.36 - 0.12j,
        0.44 + 0.82j,
        -0.6 + 0.82j,
    )
    hoop = horizontal_stroke(SHADE, 0.08, 0.3, -0.55, 0.4)
    return [
        spout,
        *rotate([rose], 38, shift=spout_end),
        ear,
        handle,
        tank,
        hoop,
    ]


def kettle(rng: Rng) -> Parts:
    """Draw a kettle: a wide foot, a short beak, a bail over the lid."""
    bail_height = rng.uniform(0.56, 0.7)
    bail = arc(DARK, 0.12, -0.2j, 0.46, bail_height, 180, 360)
    beak = polygon(
        METAL,
        0.4 - 0.05j,
        0.9 - 0.3j,
        0.96 - 0.18j,
        0.5 + 0.3j,
    )
    dome = symmetric_blob(
        METAL,
        0.2 - 0.3j,
        0.52 - 0.04j,
        0.72 + 0.5j,
        0.7 + 0.82j,
    )
    band = symmetric_polygon(BODY, 0.72 + 0.5j, 0.74 + 0.7j)
    knob = ellipse(DARK, -0.36j, 0.1)
    shine = stroke(LIGHT, 0.06, -0.4 + 0.1j, -0.5 + 0.36j)
    return [bail, beak, dome, band, knob, shine]


def oil_can(rng: Rng) -> Parts:
    """Draw an oil can: a cone with a long thin spout."""
    ear = stroke(
        METAL,
        0.08,
        -0.1 - 0.3j,
        -0.6 - 0.2j,
        -0.78 + 0.3j,
        -0.55 + 0.5j,
    )
    spout = stroke(METAL, 0.08, -0.3j, 0.3 - 0.6j, 0.85 - 0.75j)
    cone = symmetric_polygon(
        BODY,
        0.12 - 0.42j,
        0.2 - 0.2j,
        0.6 + 0.5j,
    )
    base = symmetric_polygon(TRIM, 0.62 + 0.46j, 0.62 + 0.84j)
    return [ear, spout, cone, base]


def gravy_boat(rng: Rng) -> Parts:
    """Draw a sauce boat on its foot."""
    ear_height = rng.uniform(0.26, 0.36)
    ear = arc(BODY, 0.12, -0.66 - 0.05j, 0.26, ear_height, 60, 300)
    foot = symmetric_polygon(BODY, 0.2 + 0.46j, 0.36 + 0.74j)
    boat = blob(
        BODY,
        -0.7 - 0.2j,
        0.2 - 0.1j,
        0.96 - 0.36j,
        0.6 + 0.3j,
        0.0 + 0.52j,
        -0.56 + 0.34j,
    )
    sauce = polygon(
        FOOD,
        -0.56 - 0.16j,
        0.2 - 0.08j,
        0.78 - 0.28j,
        0.2 + 0.1j,
        -0.4 + 0.06j,
    )
    return [ear, foot, boat, sauce]


def goblet(rng: Rng) -> Parts:
    """Draw a wine glass."""
    stem = vertical_stroke(METAL, 0.08, 0, 0.04, 0.8)
    foot = symmetric_polygon(METAL, 0.1 + 0.78j, 0.42 + 0.92j)
    bowl = symmetric_blob(
        GLASS,
        0.38 - 0.9j,
        0.46 - 0.45j,
        0.3 - 0.08j,
        0.06 + 0.06j,
    )
    wine = symmetric_blob(
        TRIM,
        complex(0.42, rng.uniform(-0.5, -0.2)),
        0.36 - 0.14j,
        0.06 + 0.0j,
    )
    return [stem, foot, bowl, wine]


def trophy(rng: Rng) -> Parts:
    """Draw a cup that somebody won, with a star."""
    ears = [arc(WARM, 0.09, complex(x, -0.4), 0.24, 0.3) for x in (-0.46, 0.46)]
    stem = vertical_stroke(WARM, 0.16, 0, 0.1, 0.5)
    cup = symmetric_blob(
        WARM,
        0.5 - 0.82j,
        0.44 - 0.3j,
        0.1 + 0.05j,
        0.08 + 0.3j,
    )
    base = symmetric_polygon(BODY, 0.36 + 0.5j, 0.44 + 0.92j)
    star = []
    for i in range(10):
        direction = _direction(i * 1.1) * 1j
        distance = 1 if i % 2 else 0.45
        star.append(direction * distance * 0.22 - 0.4j)
    return [*ears, stem, cup, base, polygon(LIGHT, *star)]


def coffee_beans(rng: Rng) -> Parts:
    """Draw some coffee beans."""
    bean = blob(FOOD, -0.3 + 0j, -0.22j, 0.3 + 0j, 0.22j)
    slit = stroke(
        DARK,
        0.06,
        -0.26 + 0j,
        -0.05 - 0.05j,
        0.05 + 0.05j,
        0.26 + 0j,
    )
    centres = (
        -0.5 - 0.45j,
        0.35 - 0.55j,
        -0.05 + 0.0j,
        -0.55 + 0.5j,
        0.5 + 0.4j,
        0.02 + 0.75j,
    )
    n_beans = rng.integer(3, 6)
    beans = []
    for centre in centres[:n_beans]:
        beans += rotate([bean, slit], rng.uniform(0, 180), shift=centre)
    return beans


def doughnut(rng: Rng) -> Parts:
    """Draw a doughnut with icing and sprinkles."""
    sprinkles = []
    for i in range(11):
        role = TRIM if i % 2 else LIGHT
        sprinkle = horizontal_stroke(role, 0.07, 0, -0.07, 0.07)
        angle = rng.uniform(0, 180)
        sprinkles += rotate([sprinkle], angle, shift=_direction(i, 0.52))
    dough = ellipse(FOOD, 0j, 0.86)
    icing = ellipse(BODY, 0j, 0.76)
    inner_edge = ellipse(FOOD, 0j, 0.3)
    hole = ellipse(NONE, 0j, 0.22)
    return [dough, icing, *sprinkles, inner_edge, hole]


def _direction(i: float, radius: float = 1.0) -> complex:
    """Return point i of eleven on a circle, clockwise from the right."""
    angle = i * 360 / 11
    return arc_points(0j, radius, radius, angle, angle + 1)[0]


def tea_bag(rng: Rng) -> Parts:
    """Draw a tea bag with its tag."""
    bag = polygon(
        LIGHT,
        -0.2 - 0.1j,
        0.2 - 0.1j,
        0.5 + 0.1j,
        0.5 + 0.9j,
        -0.5 + 0.9j,
        -0.5 + 0.1j,
    )
    leaves = blob(
        FOOD,
        -0.4 + 0.5j,
        0.0 + 0.4j,
        0.4 + 0.5j,
        0.38 + 0.82j,
        -0.38 + 0.82j,
    )
    tag_x = rng.uniform(0.3, 0.6)
    thread = stroke(DARK, 0.04, 0j, -0.4 - 0.4j, complex(tag_x, -0.5))
    tag = rectangle(BODY, complex(tag_x - 0.25, -0.95), complex(tag_x + 0.25, -0.5))
    brand = ellipse(TRIM, complex(tag_x, -0.72), 0.12)
    return [thread, bag, leaves, tag, brand]


def lemon_slice(rng: Rng) -> Parts:
    """Draw a slice of lemon or of something like it."""
    segments = []
    for angle in range(rng.integer(0, 30), 360, 45):
        segments.append(polygon(WARM, 0j, *arc_points(0j, 0.62, 0.62, angle + 5, angle + 40)))
    peel = ellipse(BODY if rng.chance() else WARM, 0j, 0.84)
    pith = ellipse(LIGHT, 0j, 0.72)
    return [peel, pith, *segments]


def cake(rng: Rng) -> Parts:
    """Draw a piece of layer cake with a cherry."""
    side = polygon(
        FOOD,
        -0.8 - 0.1j,
        0.8 - 0.2j,
        0.8 + 0.7j,
        -0.8 + 0.7j,
    )
    creams = [horizontal_stroke(LIGHT, 0.1, y, -0.78, 0.78) for y in (0.12, 0.42)]
    icing_edge = stroke(BODY, 0.14, -0.78 - 0.06j, 0.78 - 0.12j)
    icing = polygon(BODY, -0.8 - 0.1j, 0.5 - 0.6j, 0.85 - 0.2j)
    cherry = ellipse(TRIM, 0.3 - 0.5j, 0.15)
    return [side, *creams, icing_edge, icing, cherry]
