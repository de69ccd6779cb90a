"""What one meets outside: look-alikes of umbrellas and bicycles, and what belongs to them."""

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
    Parts,
    arc,
    arc_points,
    blob,
    ellipse,
    mirror,
    polygon,
    rectangle,
    ring_points,
    stroke,
    symmetric_polygon,
)


def mushroom(rng: Rng) -> Parts:
    """A toadstool."""
    low, w = rng.uniform(0.0, 0.15), rng.uniform(0.7, 0.9)
    cap = polygon(
        BODY,
        *arc_points(complex(0, low), w, rng.uniform(0.7, 0.85), 180, 360),
        *arc_points(complex(0, low), w, 0.14, 0, 180),
    )
    spots = [
        ellipse(LIGHT, z, r)
        for z, r in (
            (-0.35 - 0.2j, 0.13),
            (0.1 - 0.42j, 0.15),
            (0.45 - 0.1j, 0.11),
            (-0.05 - 0.04j, 0.09),
        )
    ]
    return [
        blob(LIGHT, -0.18 + 0.1j, 0.18 + 0.1j, 0.26 + 0.86j, -0.26 + 0.86j),
        cap,
        *(spots if rng.chance(0.75) else []),
    ]


def parachute(rng: Rng) -> Parts:
    """A parachute with its load."""
    n = rng.integer(3, 5)
    edge = [complex(-0.86 + 1.72 * i / n, -0.12) for i in range(n + 1)]
    dome = polygon(BODY, *arc_points(-0.12j, 0.86, 0.8, 180, 360), *(z + 0.06j for z in edge[::-1]))
    stripe = polygon(TRIM, *arc_points(-0.12j, 0.3, 0.8, 180, 360), 0.3 - 0.06j, -0.3 - 0.06j)
    cords = [stroke(DARK, 0.035, z, 0.62j) for z in edge]
    return [*cords, dome, stripe, rectangle(WOOD, -0.17 + 0.58j, 0.17 + 0.92j)]


def jellyfish(rng: Rng) -> Parts:
    """A jellyfish."""
    n = rng.integer(4, 6)
    arms = [
        stroke(
            TRIM,
            0.09,
            *(complex(x + 0.07 * (-1) ** i, 0.2 * i - 0.1) for i in range(rng.integer(4, 6))),
        )
        for x in _spread(n, 0.5)
    ]
    dome = polygon(
        BODY, *arc_points(-0.05j, 0.72, 0.78, 180, 360), *arc_points(-0.05j, 0.72, 0.13, 0, 180)
    )
    return [
        *arms,
        dome,
        ellipse(TINT, -0.25 - 0.4j, 0.16, 0.1),
        ellipse(DARK, -0.2 - 0.1j, 0.06),
        ellipse(DARK, 0.2 - 0.1j, 0.06),
    ]


def tent(rng: Rng) -> Parts:
    """A tent."""
    peak = complex(rng.uniform(-0.15, 0.05), -0.7)
    front = polygon(BODY, peak, 0.42 + 0.7j, -0.8 + 0.7j)
    side = polygon(SHADE, peak, peak + 0.5 + 0.06j, 0.96 + 0.6j, 0.42 + 0.7j)
    return [
        stroke(WOOD, 0.07, peak - 0.14j, peak),
        side,
        front,
        polygon(DARK, peak + 0.3j, 0.06 + 0.7j, -0.42 + 0.7j),
    ]


def rain_cloud(rng: Rng) -> Parts:
    """A cloud with rain."""
    drops = [
        stroke(TRIM, 0.08, complex(x, y), complex(x - 0.1, y + 0.26))
        for x in _spread(rng.integer(3, 5), 0.5)
        for y in (0.26, 0.64)
    ]
    puffs = [
        ellipse(LIGHT, z, r)
        for z, r in ((-0.5 - 0.1j, 0.32), (0.5 - 0.1j, 0.3), (-0.1 - 0.4j, 0.42), (0.3 - 0.3j, 0.3))
    ]
    return [*drops, *puffs, blob(LIGHT, -0.6 - 0.1j, 0.6 - 0.1j, 0.6 + 0.16j, -0.6 + 0.16j)]


def rubber_boot(rng: Rng) -> Parts:
    """A rubber boot."""
    shaft = polygon(
        BODY, -0.5 - 0.9j, 0.12 - 0.9j, 0.14 + 0.3j, 0.7 + 0.44j, 0.86 + 0.8j, -0.5 + 0.8j
    )
    sole = stroke(DARK, 0.13, -0.48 + 0.84j, 0.84 + 0.84j)
    return [
        shaft,
        rectangle(TRIM, -0.52 - 0.92j, 0.14 - 0.7j),
        sole,
        stroke(TINT, 0.09, -0.34 - 0.5j, complex(-0.34, rng.uniform(0, 0.4))),
    ]


def sun_hat(rng: Rng) -> Parts:
    """A hat against the sun."""
    crown = polygon(
        WOOD if rng.chance() else BODY, *arc_points(0.2j, 0.5, rng.uniform(0.6, 0.8), 180, 360)
    )
    return [
        ellipse(crown.role, 0.24j, 0.95, 0.24),
        crown,
        polygon(TRIM, -0.5 + 0.05j, 0.5 + 0.05j, 0.51 + 0.24j, -0.51 + 0.24j),
    ]


def eyeglasses(rng: Rng) -> Parts:
    """Spectacles."""
    r, x = rng.uniform(0.34, 0.42), 0.5
    lens = [
        ellipse(GLASS if rng.chance(0.6) else DARK, complex(x, 0.1), r),
        arc(BODY, 0.11, complex(x, 0.1), r, r),
    ]
    temple = stroke(
        BODY, 0.09, complex(x + r, 0.0), complex(x + r + 0.06, -0.3), complex(x + r - 0.2, -0.5)
    )
    return [*lens, temple, *mirror([*lens, temple]), arc(BODY, 0.1, 0.1j, 0.14, 0.12, 180, 360)]


def kick_scooter(rng: Rng) -> Parts:
    """A scooter to kick along."""
    r = rng.uniform(0.16, 0.22)
    wheels = [
        p
        for x in (-0.68, 0.58)
        for p in (ellipse(DARK, complex(x, 0.72), r), ellipse(METAL, complex(x, 0.72), r * 0.4))
    ]
    pole = stroke(METAL, 0.09, 0.58 + 0.72j, 0.36 - 0.76j)
    deck = stroke(BODY, 0.13, -0.72 + 0.56j, 0.4 + 0.56j, 0.52 + 0.3j)
    return [
        pole,
        deck,
        *wheels,
        stroke(DARK, 0.1, 0.1 - 0.76j, 0.6 - 0.78j),
        stroke(TRIM, 0.12, 0.45 - 0.2j, 0.5 + 0.1j),
    ]


def pram(rng: Rng) -> Parts:
    """A perambulator."""
    wheels = [p for x in (-0.42, 0.42) for p in _tyre(complex(x, 0.68), rng.uniform(0.22, 0.28))]
    tub = polygon(BODY, -0.66 - 0.1j, 0.66 - 0.1j, 0.5 + 0.36j, -0.5 + 0.36j)
    hood = polygon(TRIM, 0.02 - 0.1j, *arc_points(0.02 - 0.1j, 0.64, 0.66, 270, 360))
    push = stroke(METAL, 0.08, -0.6 - 0.05j, -0.96 - 0.36j)
    return [
        push,
        stroke(METAL, 0.07, -0.42 + 0.68j, 0.3 + 0.3j),
        stroke(METAL, 0.07, 0.42 + 0.68j, -0.3 + 0.3j),
        *wheels,
        hood,
        tub,
    ]


def motorcycle(rng: Rng) -> Parts:
    """A motorcycle: thick tyres, tank, engine."""
    wheels = [
        p
        for x in (-0.6, 0.6)
        for p in (ellipse(DARK, complex(x, 0.42), 0.36), ellipse(METAL, complex(x, 0.42), 0.17))
    ]
    tank = blob(BODY, -0.1 - 0.1j, 0.2 - 0.36j, 0.46 - 0.16j, 0.2 + 0.06j)
    seat = blob(DARK, -0.76 - 0.16j, -0.3 - 0.2j, 0.0 + 0.0j, -0.4 + 0.1j)
    engine = [
        rectangle(METAL, -0.24 + 0.06j, 0.24 + 0.46j),
        stroke(METAL, 0.12, -0.1 + 0.5j, -0.9 + 0.54j),
    ]
    fork = [
        stroke(METAL, 0.1, 0.6 + 0.42j, 0.36 - 0.4j),
        stroke(DARK, 0.09, 0.36 - 0.44j, 0.14 - 0.56j),
    ]
    return [
        *wheels,
        *engine,
        *fork,
        seat,
        tank,
        ellipse(WARM, complex(0.54, -0.26), rng.uniform(0.1, 0.15)),
    ]


def handcart(rng: Rng) -> Parts:
    """A cart with two large wheels."""
    load = (
        [
            ellipse(LEAF if i % 2 else WARM, complex(x, -0.26), 0.2)
            for i, x in enumerate(_spread(4, 0.45))
        ]
        if rng.chance()
        else []
    )
    tub = polygon(rng.choice([WOOD, BODY]), -0.7 - 0.26j, 0.66 - 0.26j, 0.56 + 0.24j, -0.6 + 0.24j)
    wheels = [p for x in (-0.36, 0.34) for p in _tyre(complex(x, 0.46), 0.32)]
    return [*load, stroke(WOOD, 0.09, 0.5 + 0.1j, 0.98 - 0.3j), tub, *wheels]


def wheel(rng: Rng) -> Parts:
    """One wheel alone."""
    n = rng.integer(5, 9)
    spokes = [stroke(METAL, 0.045, z, 0j) for z in ring_points(n, 0.72)]
    return [
        *spokes,
        arc(DARK, 0.17, 0j, 0.78, 0.78),
        arc(BODY, 0.07, 0j, 0.66, 0.66),
        ellipse(TRIM, 0j, 0.13),
    ]


def helmet(rng: Rng) -> Parts:
    """A cyclist's helmet."""
    shell = polygon(
        BODY, *arc_points(0.15j, 0.84, rng.uniform(0.66, 0.78), 180, 360), 0.7 + 0.28j, -0.78 + 0.3j
    )
    vents = [
        blob(DARK, z, z + 0.14 - 0.16j, z + 0.36 - 0.14j, z + 0.2 + 0.06j)
        for z in (-0.6 - 0.05j, -0.22 - 0.22j, 0.2 - 0.12j)
    ]
    strap = stroke(DARK, 0.06, -0.4 + 0.26j, -0.1 + 0.86j, 0.34 + 0.26j)
    return [strap, shell, *vents, stroke(TRIM, 0.08, -0.78 + 0.24j, 0.76 + 0.22j)]


def traffic_cone(rng: Rng) -> Parts:
    """A traffic cone."""
    bands = [
        symmetric_polygon(
            LIGHT, complex(0.16 + 0.42 * (y + 0.6), y), complex(0.22 + 0.42 * (y + 0.6), y + 0.24)
        )
        for y in (-0.45, 0.1)
    ]
    return [
        symmetric_polygon(DARK, 0.8 + 0.74j, 0.84 + 0.9j),
        symmetric_polygon(WARM if rng.chance(0.6) else BODY, 0.1 - 0.86j, 0.62 + 0.78j),
        *bands,
    ]


def _tyre(hub: complex, r: float) -> Parts:
    rays = [stroke(METAL, 0.04, hub + z, hub - z) for z in ring_points(6, r)[:3]]
    return [*rays, arc(DARK, 0.08, hub, r, r), ellipse(METAL, hub, 0.06)]


def _spread(n: int, reach: float) -> list[float]:
    return [reach * (2 * i / (n - 1) - 1) for i in range(n)]
