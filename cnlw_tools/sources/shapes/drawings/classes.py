"""The ten classes. Each drawing is a list of parts, the lowest first; ``rng`` varies its make."""

from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import (
    BODY,
    DARK,
    LIGHT,
    METAL,
    NONE,
    SHADE,
    TINT,
    TRIM,
    WARM,
    WOOD,
    Role,
)
from cnlw_tools.sources.shapes.vector_graphics import (
    Part,
    Parts,
    arc,
    arc_points,
    blob,
    ellipse,
    mirror,
    polygon,
    rectangle,
    ring_points,
    rotate,
    stroke,
    symmetric_blob,
    symmetric_polygon,
)


def mug(rng: Rng) -> Parts:
    """A mug: a straight or tapering cup with an ear, often a band or a mark, sometimes steam."""
    w, h, taper = rng.uniform(0.5, 0.66), rng.uniform(0.55, 0.78), rng.uniform(-0.02, 0.14)
    ear = arc(
        BODY,
        0.17,
        complex(w - 0.02, 0.02),
        rng.uniform(0.28, 0.42),
        h * rng.uniform(0.5, 0.66),
        -92,
        92,
    )
    cup = symmetric_polygon(
        BODY, complex(w + taper, -h), complex(w, h * 0.75), complex(w - 0.12, h)
    )
    shadow = polygon(
        SHADE,
        complex(-w - taper, -h),
        complex(-w * 0.6, -h),
        complex(-w * 0.6, h),
        complex(0.12 - w, h),
    )
    rim = [
        ellipse(LIGHT, complex(0, -h), w + taper, 0.17),
        ellipse(WOOD, complex(0, -h + 0.02), w + taper - 0.1, 0.1),
    ]
    band = symmetric_polygon(
        TRIM, complex(w + taper * 0.6, -h * 0.3), complex(w + taper * 0.3, h * 0.3)
    )
    marks = rng.choice(
        [[], [band], [ellipse(TRIM, 0.1j, 0.24)], [ellipse(LIGHT, 0.1j, 0.28), _heart()]]
    )
    steam = [_steam(x, -h - 0.16) for x in (-0.22, 0.18)] if rng.chance(0.35) else []
    return [ear, cup, shadow, *marks, *rim, *steam]


def clock(rng: Rng) -> Parts:
    """A clock: rim, face, ticks and two hands; half of them are alarm clocks with bells and feet."""
    ticks = rng.choice([4, 12, 12])
    square = rng.chance(0.2)
    plate = [rectangle(BODY, -0.82 - 0.82j, 0.82 + 0.82j)] if square else [ellipse(BODY, 0j, 0.84)]
    marks = [stroke(DARK, 0.06, z * 0.84, z) for z in ring_points(ticks, 0.6)]
    hour, minute = (
        ring_points(12, 0.34)[rng.integer(0, 11)],
        ring_points(60, 0.52)[rng.integer(0, 59)],
    )
    hands = [stroke(DARK, 0.11, 0j, hour), stroke(DARK, 0.075, 0j, minute), ellipse(TRIM, 0j, 0.08)]
    if rng.chance(0.3):
        hands.insert(0, stroke(TRIM, 0.04, 0j, ring_points(60, 0.58)[rng.integer(0, 59)]))
    bells = _bells() if not square and rng.chance(0.5) else []
    face = ellipse(LIGHT, 0j, rng.uniform(0.64, 0.72))
    return [*bells, *plate, face, *marks, *hands]


def key(rng: Rng) -> Parts:
    """A key, lying: a bow with a hole, a shaft, two to four teeth."""
    r, thick = rng.uniform(0.3, 0.42), rng.uniform(0.13, 0.18)
    head = rng.choice([_round_bow, _square_bow, _trefoil])(r)
    shaft = stroke(BODY, thick, complex(-0.62 + r, 0), 0.92 + 0j)
    ends = (0.86, 0.69, 0.52, 0.35)[: rng.integer(2, 4)]
    teeth = [rectangle(BODY, x - 0.1, complex(x, rng.uniform(0.2, 0.36))) for x in ends]
    collar = (
        [stroke(TRIM, 0.1, complex(r - 0.5, -0.14), complex(r - 0.5, 0.14))] if rng.chance() else []
    )
    return [*teeth, shaft, *collar, *rotate(head, 0, 1, -0.62 + 0j)]


def umbrella(rng: Rng) -> Parts:
    """An open umbrella: scalloped canopy in panels, shaft, hooked handle."""
    n, top, low = rng.integer(3, 6), rng.uniform(-0.86, -0.66), rng.uniform(0.0, 0.14)
    edge = [complex(-0.92 + 1.84 * i / n, low) for i in range(n + 1)]
    dome = [*arc_points(complex(0, low), 0.92, low - top, 180, 360)]
    bays = [z for a, b in zip(edge[:0:-1], edge[-2::-1], strict=True) for z in _bay(a, b)]
    tip = complex(0, top)
    seams = [
        stroke(SHADE, 0.05, tip, complex(z.real * 0.6, (top + low) / 2 - 0.12), z)
        for z in edge[1:-1]
    ]
    coloured = (
        [_panel(tip, a, b) for a, b in zip(edge[1::2], edge[2::2], strict=False)]
        if rng.chance(0.6)
        else []
    )
    hook = rng.choice([1, -1])
    handle = stroke(
        WOOD, 0.1, 0.68j, *arc_points(complex(0.15 * hook, 0.76), -0.15 * hook, 0.16, 0, -190)
    )
    shaft = [stroke(METAL, 0.075, tip - 0.13j, 0.76j), handle]
    return [*shaft, polygon(BODY, *dome, *bays), *coloured, *seams]


def bicycle(rng: Rng) -> Parts:
    """A bicycle from the side: two wheels, a frame, saddle and handlebar; perhaps a basket or a step-through frame."""
    r = rng.uniform(0.36, 0.43)
    back, front = complex(-0.56, 0.34), complex(0.56, 0.34)
    pedal, seat, head = complex(-0.1, 0.36), complex(-0.24, -0.28), complex(0.38, -0.3)
    wheels = [part for hub in (back, front) for part in _spoked(hub, r, rng.integer(3, 5))]
    low = complex(-0.17, 0.04) if rng.chance(0.3) else seat * 0.9
    bars = [
        (back, pedal),
        (pedal, seat),
        (back, seat * 0.9),
        (low, head),
        (pedal, head * 0.8),
        (head, front),
    ]
    frame = [stroke(BODY, 0.085, a, b) for a, b in bars]
    saddle = [
        stroke(DARK, 0.1, complex(-0.42, -0.36), complex(-0.12, -0.34)),
        stroke(METAL, 0.06, seat, seat - 0.08j),
    ]
    stem = head - 0.18j
    grip = stroke(
        DARK,
        0.085,
        stem + complex(-0.14, 0.02),
        stem,
        stem + complex(0.12, 0.06),
        stem + complex(0.1, 0.16),
    )
    basket = (
        [polygon(WOOD, 0.46 - 0.42j, 0.86 - 0.42j, 0.8 - 0.12j, 0.52 - 0.12j)]
        if rng.chance(0.3)
        else []
    )
    return [
        *wheels,
        *frame,
        stroke(BODY, 0.07, head, stem),
        *saddle,
        *basket,
        grip,
        ellipse(TRIM, pedal, 0.1),
    ]


def scissors(rng: Rng) -> Parts:
    """Scissors: two blades about a pivot, each with a ring to hold."""
    gape, ring, long = rng.uniform(9, 27), rng.uniform(0.2, 0.26), rng.uniform(0.85, 1.0)
    blade = polygon(
        METAL,
        complex(-0.09, 0.1),
        complex(-0.1, -0.2),
        complex(0.0, -long),
        complex(0.09, -0.1),
        0.06 + 0.1j,
    )
    arm = stroke(BODY, 0.13, 0.06j, complex(0.14, 0.42))
    loop = arc(BODY, 0.125, complex(0.13, 0.66), ring * 0.86, ring * 1.1)
    half = [blade, arm, loop]
    return [*rotate(half, -gape), *mirror(rotate(half, -gape)), ellipse(TRIM, 0.02j, 0.075)]


def guitar(rng: Rng) -> Parts:
    """A guitar, upright: a waisted body with a sound hole or pickups, a fretted neck, a head with pegs."""
    return _electric(rng) if rng.chance(0.35) else _acoustic(rng)


def chair(rng: Rng) -> Parts:
    """A chair seen from the front and the side: back with slats or a panel, seat, four legs, perhaps arms."""
    top, foot, lean = rng.uniform(-0.95, -0.75), rng.uniform(0.8, 0.95), rng.uniform(0.1, 0.28)
    role, thick = rng.choice([BODY, WOOD]), rng.uniform(0.09, 0.13)
    left, right = complex(-0.5, 0.08), complex(0.34, 0.08)
    near_left, near_right = complex(-0.5 + lean - 0.06, 0.34), complex(0.34 + lean + 0.06, 0.34)
    rear = [stroke(role, thick * 0.9, z, complex(z.real, foot - 0.2)) for z in (left, right)]
    posts = [stroke(role, thick, z, complex(z.real, top)) for z in (left, right)]
    legs = [
        stroke(role, thick, z + 0.02j, complex(z.real * 1.04, foot))
        for z in (near_left, near_right)
    ]
    seat = polygon(
        TRIM if rng.chance(0.6) else role, left - 0.06, right + 0.03, near_right, near_left
    )
    front = polygon(
        SHADE if role == BODY else role,
        near_left,
        near_right,
        near_right + 0.09j,
        near_left + 0.09j,
    )
    return [*rear, *_chair_back(rng, role, top), *posts, *legs, front, seat]


def lamp(rng: Rng) -> Parts:
    """A lamp: a shade on a stem, on a desk or on the floor, or an anglepoise."""
    if rng.chance(0.3):
        return _desk_lamp(rng)
    tall = rng.chance(0.3)
    wide, top = (0.4, -0.9) if tall else (rng.uniform(0.52, 0.66), -0.86)
    low, neck = (
        (-0.4, rng.uniform(0.2, 0.28))
        if tall
        else (rng.uniform(-0.12, 0.02), rng.uniform(0.2, 0.4))
    )
    shade = symmetric_polygon(BODY, complex(neck, top), complex(wide, low))
    fold = polygon(
        TINT, complex(-neck * 0.5, top), complex(0, top), complex(0, low), complex(-wide * 0.6, low)
    )
    glow = [ellipse(WARM, complex(0, low), wide * 0.92, 0.1)]
    hem = (
        [symmetric_polygon(TRIM, complex(wide - 0.02, low - 0.1), complex(wide, low))]
        if rng.chance()
        else []
    )
    return [*_lamp_foot(rng, tall, low), *glow, shade, fold, *hem]


def teapot(rng: Rng) -> Parts:
    """A teapot: a round belly, a spout, an ear, a lid with a knob."""
    w, h, y = rng.uniform(0.52, 0.62), rng.uniform(0.44, 0.56), 0.2
    spout_end = complex(0.96, rng.uniform(-0.34, -0.18))
    spout = polygon(
        BODY,
        complex(0.3, 0.05),
        complex(0.66, 0.0),
        spout_end,
        spout_end + 0.12 + 0.08j,
        complex(0.4, 0.56),
    )
    ear = arc(BODY, 0.12, complex(-w + 0.02, y - 0.06), 0.3, 0.32, 70, 290)
    belly = ellipse(BODY, complex(0, y), w, h)
    light = blob(TINT, complex(-w * 0.7, y), complex(-w * 0.45, y - h * 0.6), complex(-w * 0.42, y))
    lid = symmetric_polygon(
        TRIM if rng.chance() else BODY, complex(0.12, y - h - 0.16), complex(0.34, y - h + 0.05)
    )
    foot = symmetric_polygon(SHADE, complex(w * 0.5, y + h - 0.05), complex(w * 0.56, y + h + 0.05))
    sash = stroke(TRIM, 0.08, *arc_points(complex(0, y), w * 0.92, 0.1, 0, 180))
    band = rng.choice([[], [sash], [ellipse(TRIM, complex(0.02, y + 0.06), 0.2)]])
    return [
        ear,
        spout,
        foot,
        belly,
        light,
        *band,
        lid,
        ellipse(TRIM, complex(0, y - h - 0.22), 0.1),
    ]


def _heart() -> Part:
    return blob(TRIM, 0.02j, 0.12 - 0.07j, 0.19 + 0.05j, 0.3j, -0.19 + 0.05j, -0.12 - 0.07j)


def _steam(x: float, y: float) -> Part:
    return stroke(
        LIGHT,
        0.07,
        complex(x, y),
        complex(x + 0.08, y - 0.1),
        complex(x - 0.04, y - 0.2),
        complex(x, y - 0.3),
    )


def _bells() -> Parts:
    bell = [stroke(METAL, 0.08, 0j, 0.9j), polygon(TRIM, *arc_points(0.0j, 0.26, 0.26, 180, 360))]
    feet = [stroke(METAL, 0.12, z, z * 1.22) for z in (0.5 + 0.72j, -0.5 + 0.72j)]
    return [*feet, *rotate(bell, 36, 1, 0.54 - 0.74j), *rotate(bell, -36, 1, -0.54 - 0.74j)]


def _round_bow(r: float) -> Parts:
    return [ellipse(BODY, 0j, r), ellipse(NONE, complex(-0.05, 0), r * 0.5)]


def _square_bow(r: float) -> Parts:
    return [
        blob(BODY, *(z * r * 1.15 for z in ring_points(4, 1.05, -45))),
        ellipse(NONE, complex(-r * 0.4, 0), r * 0.36),
    ]


def _trefoil(r: float) -> Parts:
    leaves = [z - 0.04 for z in ring_points(3, r * 0.62, 180)]
    return [
        *(ellipse(BODY, z, r * 0.6) for z in leaves),
        *(ellipse(NONE, z, r * 0.28) for z in leaves),
    ]


def _bay(a: complex, b: complex) -> tuple[complex, ...]:
    return arc_points((a + b) / 2, (a - b).real / 2, 0.09, 0, -180)


def _panel(tip: complex, a: complex, b: complex) -> Part:
    middle = [complex(z.real * 0.62, (tip.imag + z.imag) / 2 - 0.13) for z in (a, b)]
    return polygon(TRIM, tip + 0.03j, middle[1], *_bay(b, a), middle[0])


def _spoked(hub: complex, r: float, spokes: int) -> Parts:
    rays = [stroke(METAL, 0.03, hub + z, hub - z) for z in ring_points(2 * spokes, r)[:spokes]]
    return [*rays, arc(DARK, 0.085, hub, r, r), ellipse(METAL, hub, 0.06)]


def _acoustic(rng: Rng) -> Parts:
    w, waist = rng.uniform(0.44, 0.52), rng.uniform(0.26, 0.32)
    low, hole = 0.5, complex(0, 0.3)
    edge = (
        complex(0.16, -0.12),
        complex(0.36, 0.0),
        complex(waist, 0.26),
        complex(w, 0.56),
        complex(0.28, 0.92),
    )
    body = symmetric_blob(rng.choice([BODY, WOOD]), *edge)
    inner = [arc(TRIM, 0.04, hole, 0.17, 0.17), ellipse(DARK, hole, 0.14)]
    return [
        body,
        *inner,
        stroke(DARK, 0.09, complex(-0.2, low + 0.16), complex(0.2, low + 0.16)),
        *_neck(0.64),
    ]


def _electric(rng: Rng) -> Parts:
    horn = rng.uniform(-0.22, -0.08)
    right = (
        complex(0.1, 0.1),
        complex(0.34, horn + 0.06),
        complex(0.27, 0.26),
        complex(0.48, 0.6),
        complex(0.2, 0.9),
    )
    left = (
        complex(-0.28, 0.92),
        complex(-0.5, 0.62),
        complex(-0.3, 0.28),
        complex(-0.44, horn),
        complex(-0.12, 0.06),
    )
    guard = blob(
        LIGHT,
        complex(0.1, 0.2),
        complex(0.2, 0.4),
        complex(0.26, 0.7),
        complex(-0.12, 0.7),
        -0.1 + 0.2j,
    )
    pickups = [stroke(DARK, 0.1, complex(-0.16, y), complex(0.16, y)) for y in (0.36, 0.54)]
    return [blob(BODY, *right, *left), guard, *pickups, *_neck(0.68)]


def _neck(bridge: float) -> Parts:
    neck = [polygon(WOOD, -0.07 - 0.72j, 0.07 - 0.72j, 0.09 + 0.2j, -0.09 + 0.2j)]
    frets = [
        stroke(METAL, 0.025, complex(-0.07, y), complex(0.07, y))
        for y in (-0.56, -0.4, -0.26, -0.14, -0.04)
    ]
    pegs = [ellipse(METAL, complex(x, y), 0.055) for x in (-0.16, 0.16) for y in (-0.94, -0.8)]
    strings = [stroke(LIGHT, 0.018, complex(x, -0.7), complex(x, bridge)) for x in (-0.03, 0.03)]
    return [
        *neck,
        *pegs,
        polygon(TRIM, -0.13 - 0.98j, 0.13 - 0.98j, 0.09 - 0.7j, -0.09 - 0.7j),
        *frets,
        *strings,
    ]


def _chair_back(rng: Rng, role: Role, top: float) -> Parts:
    n = rng.integer(0, 4)
    if n == 0:
        return [
            polygon(
                TRIM,
                complex(-0.5, top),
                complex(0.34, top),
                complex(0.34, -0.2),
                complex(-0.5, -0.2),
            )
        ]
    rail = stroke(role, 0.14, complex(-0.5, top + 0.05), complex(0.34, top + 0.05))
    if rng.chance():
        return [
            rail,
            *(
                stroke(role, 0.1, complex(-0.5, y), complex(0.34, y))
                for y in _steps(n, top + 0.05, 0.0)
            ),
        ]
    return [
        *(stroke(role, 0.09, complex(x, top), complex(x, 0.08)) for x in _steps(n, -0.5, 0.34)),
        rail,
    ]


def _steps(n: int, start: float, end: float) -> list[float]:
    return [start + (end - start) * (i + 1) / (n + 1) for i in range(n)]


def _lamp_foot(rng: Rng, tall: bool, low: float) -> Parts:
    base = symmetric_polygon(DARK, complex(0.3, 0.84), complex(0.34, 0.94))
    if tall or rng.chance(0.3):
        return [stroke(METAL, 0.08, complex(0, low), 0.88j), base]
    vase = (
        complex(0.07, low),
        complex(0.1, 0.14),
        complex(rng.uniform(0.2, 0.38), 0.5),
        complex(0.16, 0.86),
    )
    return [symmetric_blob(rng.choice([TRIM, WOOD, METAL]), *vase), base]


def _desk_lamp(rng: Rng) -> Parts:
    elbow, hinge = complex(-0.5, rng.uniform(-0.1, 0.1)), complex(0.1, rng.uniform(-0.72, -0.6))
    arms = [stroke(METAL, 0.09, 0.84j - 0.1, elbow, hinge), ellipse(TRIM, elbow, 0.08)]
    cone = [
        ellipse(WARM, 0.46j, 0.38, 0.13),
        symmetric_polygon(BODY, -0.14j + 0.12, 0.46j + 0.42),
        ellipse(DARK, -0.14j, 0.13),
    ]
    base = symmetric_polygon(BODY, complex(0.4, 0.82), complex(0.46, 0.95))
    return [*arms, base, *rotate(cone, -rng.uniform(20, 50), 1, hinge)]
