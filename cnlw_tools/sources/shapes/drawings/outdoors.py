"""Things of the open air: look-alikes of umbrellas and bicycles, and what belongs to them."""

from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import (
    BODY,
    DARK,
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
    mirror,
    polygon,
    rectangle,
    ring_points,
    stroke,
    symmetric_polygon,
    vertical_stroke,
)


def mushroom(rng: Rng) -> Parts:
    """Draw a toadstool, mostly with spots."""
    cap_y = rng.uniform(0.0, 0.15)
    cap_radius = rng.uniform(0.7, 0.9)
    cap_centre = complex(0, cap_y)
    cap_height = rng.uniform(0.7, 0.85)
    cap = polygon(
        BODY,
        *arc_points(cap_centre, cap_radius, cap_height, 180, 360),
        *arc_points(cap_centre, cap_radius, 0.14, 0, 180),
    )
    stem = blob(
        LIGHT,
        -0.18 + 0.1j,
        0.18 + 0.1j,
        0.26 + 0.86j,
        -0.26 + 0.86j,
    )
    spots = []
    if rng.chance(0.75):
        spots = [
            ellipse(LIGHT, -0.35 - 0.2j, 0.13),
            ellipse(LIGHT, 0.1 - 0.42j, 0.15),
            ellipse(LIGHT, 0.45 - 0.1j, 0.11),
            ellipse(LIGHT, -0.05 - 0.04j, 0.09),
        ]
    return [stem, cap, *spots]


def parachute(rng: Rng) -> Parts:
    """Draw a parachute with its load."""
    n_panels = rng.integer(3, 5)
    edge = [complex(-0.86 + 1.72 * i / n_panels, -0.12) for i in range(n_panels + 1)]
    cords = [stroke(DARK, 0.035, point, 0.62j) for point in edge]
    lower_edge = [point + 0.06j for point in reversed(edge)]
    dome = polygon(BODY, *arc_points(-0.12j, 0.86, 0.8, 180, 360), *lower_edge)
    stripe = polygon(
        TRIM,
        *arc_points(-0.12j, 0.3, 0.8, 180, 360),
        0.3 - 0.06j,
        -0.3 - 0.06j,
    )
    load = rectangle(WOOD, -0.17 + 0.58j, 0.17 + 0.92j)
    return [*cords, dome, stripe, load]


def jellyfish(rng: Rng) -> Parts:
    """Draw a jellyfish with wavy arms and two eyes."""
    n_arms = rng.integer(4, 6)
    arms = [_wavy_arm(x, rng.integer(4, 6)) for x in _spread(n_arms, 0.5)]
    dome = polygon(
        BODY,
        *arc_points(-0.05j, 0.72, 0.78, 180, 360),
        *arc_points(-0.05j, 0.72, 0.13, 0, 180),
    )
    shine = ellipse(TINT, -0.25 - 0.4j, 0.16, 0.1)
    left_eye = ellipse(DARK, -0.2 - 0.1j, 0.06)
    right_eye = ellipse(DARK, 0.2 - 0.1j, 0.06)
    return [*arms, dome, shine, left_eye, right_eye]


def _wavy_arm(x: float, n_points: int) -> Part:
    points = []
    for i in range(n_points):
        side = (-1) ** i
        points.append(complex(x + 0.07 * side, 0.2 * i - 0.1))
    return stroke(TRIM, 0.09, *points)


def tent(rng: Rng) -> Parts:
    """Draw a tent from its front and its side."""
    peak = complex(rng.uniform(-0.15, 0.05), -0.7)
    pole = stroke(WOOD, 0.07, peak - 0.14j, peak)
    front = polygon(BODY, peak, 0.42 + 0.7j, -0.8 + 0.7j)
    side = polygon(
        SHADE,
        peak,
        peak + 0.5 + 0.06j,
        0.96 + 0.6j,
        0.42 + 0.7j,
    )
    entrance = polygon(DARK, peak + 0.3j, 0.06 + 0.7j, -0.42 + 0.7j)
    return [pole, side, front, entrance]


def rain_cloud(rng: Rng) -> Parts:
    """Draw a cloud with two rows of rain drops."""
    drops = []
    for x in _spread(rng.integer(3, 5), 0.5):
        for y in (0.26, 0.64):
            drops.append(stroke(TRIM, 0.08, complex(x, y), complex(x - 0.1, y + 0.26)))
    puffs = [
        ellipse(LIGHT, -0.5 - 0.1j, 0.32),
        ellipse(LIGHT, 0.5 - 0.1j, 0.3),
        ellipse(LIGHT, -0.1 - 0.4j, 0.42),
        ellipse(LIGHT, 0.3 - 0.3j, 0.3),
    ]
    base = blob(
        LIGHT,
        -0.6 - 0.1j,
        0.6 - 0.1j,
        0.6 + 0.16j,
        -0.6 + 0.16j,
    )
    return [*drops, *puffs, base]


def rubber_boot(rng: Rng) -> Parts:
    """Draw a rubber boot."""
    boot = polygon(
        BODY,
        -0.5 - 0.9j,
        0.12 - 0.9j,
        0.14 + 0.3j,
        0.7 + 0.44j,
        0.86 + 0.8j,
        -0.5 + 0.8j,
    )
    top_band = rectangle(TRIM, -0.52 - 0.92j, 0.14 - 0.7j)
    sole = horizontal_stroke(DARK, 0.13, 0.84, -0.48, 0.84)
    shine = vertical_stroke(TINT, 0.09, -0.34, -0.5, rng.uniform(0, 0.4))
    return [boot, top_band, sole, shine]


def sun_hat(rng: Rng) -> Parts:
    """Draw a hat against the sun, with a ribbon."""
    role = WOOD if rng.chance() else BODY
    crown_height = rng.uniform(0.6, 0.8)
    crown = polygon(role, *arc_points(0.2j, 0.5, crown_height, 180, 360))
    brim = ellipse(role, 0.24j, 0.95, 0.24)
    ribbon = polygon(
        TRIM,
        -0.5 + 0.05j,
        0.5 + 0.05j,
        0.51 + 0.24j,
        -0.51 + 0.24j,
    )
    return [brim, crown, ribbon]


def eyeglasses(rng: Rng) -> Parts:
    """Draw spectacles, some of them dark."""
    radius = rng.uniform(0.34, 0.42)
    centre = 0.5 + 0.1j
    outer_x = centre.real + radius
    lens = ellipse(GLASS if rng.chance(0.6) else DARK, centre, radius)
    rim = arc(BODY, 0.11, centre, radius, radius)
    temple = stroke(
        BODY,
        0.09,
        complex(outer_x, 0.0),
        complex(outer_x + 0.06, -0.3),
        complex(outer_x - 0.2, -0.5),
    )
    right_half = [lens, rim, temple]
    bridge = arc(BODY, 0.1, 0.1j, 0.14, 0.12, 180, 360)
    return [*right_half, *mirror(right_half), bridge]


def kick_scooter(rng: Rng) -> Parts:
    """Draw a scooter for children."""
    radius = rng.uniform(0.16, 0.22)
    rear_wheel = _solid_wheel(-0.68 + 0.72j, radius, radius * 0.4)
    front_wheel = _solid_wheel(0.58 + 0.72j, radius, radius * 0.4)
    pole = stroke(METAL, 0.09, 0.58 + 0.72j, 0.36 - 0.76j)
    deck = stroke(BODY, 0.13, -0.72 + 0.56j, 0.4 + 0.56j, 0.52 + 0.3j)
    handlebar = stroke(DARK, 0.1, 0.1 - 0.76j, 0.6 - 0.78j)
    label = stroke(TRIM, 0.12, 0.45 - 0.2j, 0.5 + 0.1j)
    return [
        pole,
        deck,
        *rear_wheel,
        *front_wheel,
        handlebar,
        label,
    ]


def pram(rng: Rng) -> Parts:
    """Draw a perambulator with its hood up."""
    left_wheel = _spoked_wheel(-0.42 + 0.68j, rng.uniform(0.22, 0.28))
    right_wheel = _spoked_wheel(0.42 + 0.68j, rng.uniform(0.22, 0.28))
    tub = polygon(
        BODY,
        -0.66 - 0.1j,
        0.66 - 0.1j,
        0.5 + 0.36j,
        -0.5 + 0.36j,
    )
    hood_hinge = 0.02 - 0.1j
    hood = polygon(TRIM, hood_hinge, *arc_points(hood_hinge, 0.64, 0.66, 270, 360))
    push_bar = stroke(METAL, 0.08, -0.6 - 0.05j, -0.96 - 0.36j)
    left_strut = stroke(METAL, 0.07, -0.42 + 0.68j, 0.3 + 0.3j)
    right_strut = stroke(METAL, 0.07, 0.42 + 0.68j, -0.3 + 0.3j)
    return [
        push_bar,
        left_strut,
        right_strut,
        *left_wheel,
        *right_wheel,
        hood,
        tub,
    ]


def motorcycle(rng: Rng) -> Parts:
    """Draw a motorcycle: thick tyres, a tank, an engine."""
    rear_wheel = _solid_wheel(-0.6 + 0.42j, 0.36, 0.17)
    front_wheel = _solid_wheel(0.6 + 0.42j, 0.36, 0.17)
    engine = rectangle(METAL, -0.24 + 0.06j, 0.24 + 0.46j)
    exhaust = stroke(METAL, 0.12, -0.1 + 0.5j, -0.9 + 0.54j)
    fork = stroke(METAL, 0.1, 0.6 + 0.42j, 0.36 - 0.4j)
    handlebar = stroke(DARK, 0.09, 0.36 - 0.44j, 0.14 - 0.56j)
    seat = blob(
        DARK,
        -0.76 - 0.16j,
        -0.3 - 0.2j,
        0.0 + 0.0j,
        -0.4 + 0.1j,
    )
    tank = blob(
        BODY,
        -0.1 - 0.1j,
        0.2 - 0.36j,
        0.46 - 0.16j,
        0.2 + 0.06j,
    )
    headlight = ellipse(WARM, 0.54 - 0.26j, rng.uniform(0.1, 0.15))
    return [
        *rear_wheel,
        *front_wheel,
        engine,
        exhaust,
        fork,
        handlebar,
        seat,
        tank,
        headlight,
    ]


def handcart(rng: Rng) -> Parts:
    """Draw a cart with two large wheels, sometimes with a load of fruit."""
    load = []
    if rng.chance():
        for i, x in enumerate(_spread(4, 0.45)):
            role = LEAF if i % 2 else WARM
            load.append(ellipse(role, complex(x, -0.26), 0.2))
    tub = polygon(
        rng.choice([WOOD, BODY]),
        -0.7 - 0.26j,
        0.66 - 0.26j,
        0.56 + 0.24j,
        -0.6 + 0.24j,
    )
    handle = stroke(WOOD, 0.09, 0.5 + 0.1j, 0.98 - 0.3j)
    left_wheel = _spoked_wheel(-0.36 + 0.46j, 0.32)
    right_wheel = _spoked_wheel(0.34 + 0.46j, 0.32)
    return [*load, handle, tub, *left_wheel, *right_wheel]


def wheel(rng: Rng) -> Parts:
    """Draw one wheel alone."""
    n_spokes = rng.integer(5, 9)
    spokes = [stroke(METAL, 0.045, end, 0j) for end in ring_points(n_spokes, 0.72)]
    tyre = arc(DARK, 0.17, 0j, 0.78, 0.78)
    rim = arc(BODY, 0.07, 0j, 0.66, 0.66)
    hub = ellipse(TRIM, 0j, 0.13)
    return [*spokes, tyre, rim, hub]


def helmet(rng: Rng) -> Parts:
    """Draw a cyclist's helmet."""
    height = rng.uniform(0.66, 0.78)
    shell = polygon(
        BODY,
        *arc_points(0.15j, 0.84, height, 180, 360),
        0.7 + 0.28j,
        -0.78 + 0.3j,
    )
    vents = [_vent(left) for left in (-0.6 - 0.05j, -0.22 - 0.22j, 0.2 - 0.12j)]
    strap = stroke(DARK, 0.06, -0.4 + 0.26j, -0.1 + 0.86j, 0.34 + 0.26j)
    edge = stroke(TRIM, 0.08, -0.78 + 0.24j, 0.76 + 0.22j)
    return [strap, shell, *vents, edge]


def _vent(left: complex) -> Part:
    return blob(
        DARK,
        left,
        left + 0.14 - 0.16j,
        left + 0.36 - 0.14j,
        left + 0.2 + 0.06j,
    )


def traffic_cone(rng: Rng) -> Parts:
    """Draw a traffic cone with two bands."""
    base = symmetric_polygon(DARK, 0.8 + 0.74j, 0.84 + 0.9j)
    cone = symmetric_polygon(
        WARM if rng.chance(0.6) else BODY,
        0.1 - 0.86j,
        0.62 + 0.78j,
    )
    bands = [_cone_band(y) for y in (-0.45, 0.1)]
    return [base, cone, *bands]


def _cone_band(top: float) -> Part:
    """Return a band that is as wide as the cone at its height."""
    slope = 0.42 * (top + 0.6)
    return symmetric_polygon(
        LIGHT,
        complex(0.16 + slope, top),
        complex(0.22 + slope, top + 0.24),
    )


def _solid_wheel(hub: complex, tyre_radius: float, rim_radius: float) -> Parts:
    tyre = ellipse(DARK, hub, tyre_radius)
    rim = ellipse(METAL, hub, rim_radius)
    return [tyre, rim]


def _spoked_wheel(hub: complex, radius: float) -> Parts:
    """Return a wheel with three spokes from rim to rim."""
    spokes = []
    for end in ring_points(6, radius)[:3]:
        spokes.append(stroke(METAL, 0.04, hub + end, hub - end))
    tyre = arc(DARK, 0.08, hub, radius, radius)
    axle = ellipse(METAL, hub, 0.06)
    return [*spokes, tyre, axle]


def _spread(n: int, reach: float) -> list[float]:
    """Return n values evenly spaced from -reach to reach."""
    return [reach * (2 * i / (n - 1) - 1) for i in range(n)]
