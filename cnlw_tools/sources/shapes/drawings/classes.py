"""The ten classes. Each drawing is a list of parts, the lowest first; ``rng`` varies its make."""

from collections.abc import Iterable

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
    horizontal_stroke,
    mirror,
    move,
    polygon,
    rectangle,
    ring_points,
    rotate,
    stroke,
    symmetric_blob,
    symmetric_polygon,
    vertical_stroke,
)


def mug(rng: Rng) -> Parts:
    """Draw a straight or tapering cup with an ear, often with a mark, sometimes with steam."""
    radius = rng.uniform(0.5, 0.66)
    height = rng.uniform(0.55, 0.78)  # above and below the middle
    taper = rng.uniform(-0.02, 0.14)
    rim_radius = radius + taper
    ear_width = rng.uniform(0.28, 0.42)
    ear_height = height * rng.uniform(0.5, 0.66)
    ear_centre = complex(radius - 0.02, 0.02)
    ear = arc(BODY, 0.17, ear_centre, ear_width, ear_height, -92, 92)
    cup = symmetric_polygon(
        BODY,
        complex(rim_radius, -height),
        complex(radius, height * 0.75),
        complex(radius - 0.12, height),
    )
    shadow = polygon(
        SHADE,
        complex(-rim_radius, -height),
        complex(-radius * 0.6, -height),
        complex(-radius * 0.6, height),
        complex(0.12 - radius, height),
    )
    rim = ellipse(LIGHT, complex(0, -height), rim_radius, 0.17)
    coffee = ellipse(WOOD, complex(0, -height + 0.02), rim_radius - 0.1, 0.1)
    marks = _mug_marks(rng, radius, height, taper)
    steam = []
    if rng.chance(0.35):
        steam = [_wisp(x, -height - 0.16) for x in (-0.22, 0.18)]
    return [
        ear,
        cup,
        shadow,
        *marks,
        rim,
        coffee,
        *steam,
    ]


def _mug_marks(rng: Rng, radius: float, height: float, taper: float) -> Parts:
    """Return nothing, a band, a dot, or a heart on a disc."""
    band = symmetric_polygon(
        TRIM,
        complex(radius + taper * 0.6, -height * 0.3),
        complex(radius + taper * 0.3, height * 0.3),
    )
    dot = ellipse(TRIM, 0.1j, 0.24)
    disc = ellipse(LIGHT, 0.1j, 0.28)
    heart = blob(
        TRIM,
        0.02j,
        0.12 - 0.07j,
        0.19 + 0.05j,
        0.3j,
        -0.19 + 0.05j,
        -0.12 - 0.07j,
    )
    return rng.choice([[], [band], [dot], [disc, heart]])


def _wisp(x: float, y: float) -> Part:
    """Return a wisp of steam that rises from a point."""
    return stroke(
        LIGHT,
        0.07,
        complex(x, y),
        complex(x + 0.08, y - 0.1),
        complex(x - 0.04, y - 0.2),
        complex(x, y - 0.3),
    )


def clock(rng: Rng) -> Parts:
    """Draw a rim, a face, ticks and two hands; half of the round ones are alarm clocks."""
    n_ticks = rng.choice([4, 12, 12])
    is_square = rng.chance(0.2)
    if is_square:
        case = rectangle(BODY, -0.82 - 0.82j, 0.82 + 0.82j)
    else:
        case = ellipse(BODY, 0j, 0.84)
    ticks = [stroke(DARK, 0.06, end * 0.84, end) for end in ring_points(n_ticks, 0.6)]
    hands = _clock_hands(rng)
    is_alarm_clock = not is_square and rng.chance(0.5)
    bells = _alarm_bells() if is_alarm_clock else []
    face = ellipse(LIGHT, 0j, rng.uniform(0.64, 0.72))
    return [*bells, case, face, *ticks, *hands]


def _clock_hands(rng: Rng) -> Parts:
    """Return the hands and their axis; sometimes there is a hand for the seconds."""
    hour_end = ring_points(12, 0.34)[rng.integer(0, 11)]
    minute_end = ring_points(60, 0.52)[rng.integer(0, 59)]
    hour_hand = stroke(DARK, 0.11, 0j, hour_end)
    minute_hand = stroke(DARK, 0.075, 0j, minute_end)
    axis = ellipse(TRIM, 0j, 0.08)
    second_hands = []
    if rng.chance(0.3):
        second_end = ring_points(60, 0.58)[rng.integer(0, 59)]
        second_hands = [stroke(TRIM, 0.04, 0j, second_end)]
    return [*second_hands, hour_hand, minute_hand, axis]


def _alarm_bells() -> Parts:
    """Return the feet of an alarm clock, and its two bells on their stalks."""
    foot = 0.5 + 0.72j
    right_foot = stroke(METAL, 0.12, foot, foot * 1.22)
    stalk = stroke(METAL, 0.08, 0j, 0.9j)
    dome = polygon(TRIM, *arc_points(0.0j, 0.26, 0.26, 180, 360))
    bell = [stalk, dome]
    return [
        right_foot,
        *mirror([right_foot]),
        *rotate(bell, 36, shift=0.54 - 0.74j),
        *rotate(bell, -36, shift=-0.54 - 0.74j),
    ]


def key(rng: Rng) -> Parts:
    """Draw a key that lies: a bow with a hole, a shaft, and two to four teeth."""
    bow_radius = rng.uniform(0.3, 0.42)
    thickness = rng.uniform(0.13, 0.18)
    draw_bow = rng.choice([_round_bow, _square_bow, _trefoil_bow])
    bow = draw_bow(bow_radius)
    shaft = horizontal_stroke(BODY, thickness, 0, -0.62 + bow_radius, 0.92)
    n_teeth = rng.integer(2, 4)
    teeth = []
    for right in (0.86, 0.69, 0.52, 0.35)[:n_teeth]:
        bottom = rng.uniform(0.2, 0.36)
        teeth.append(rectangle(BODY, complex(right - 0.1, 0), complex(right, bottom)))
    collars = []
    if rng.chance():
        collars = [vertical_stroke(TRIM, 0.1, bow_radius - 0.5, -0.14, 0.14)]
    return [*teeth, shaft, *collars, *move(bow, -0.62 + 0j)]


def _round_bow(radius: float) -> Parts:
    plate = ellipse(BODY, 0j, radius)
    hole = ellipse(NONE, -0.05 + 0j, radius * 0.5)
    return [plate, hole]


def _square_bow(radius: float) -> Parts:
    corners = [point * radius * 1.15 for point in ring_points(4, 1.05, -45)]
    plate = blob(BODY, *corners)
    hole = ellipse(NONE, complex(-radius * 0.4, 0), radius * 0.36)
    return [plate, hole]


def _trefoil_bow(radius: float) -> Parts:
    centres = [point - 0.04 for point in ring_points(3, radius * 0.62, 180)]
    leaves = [ellipse(BODY, centre, radius * 0.6) for centre in centres]
    holes = [ellipse(NONE, centre, radius * 0.28) for centre in centres]
    return [*leaves, *holes]


def umbrella(rng: Rng) -> Parts:
    """Draw an open umbrella: a scalloped canopy in panels, a shaft, and a hooked handle."""
    n_panels = rng.integer(3, 6)
    top = rng.uniform(-0.86, -0.66)
    bottom = rng.uniform(0.0, 0.14)
    tip = complex(0, top)
    rib_ends = [complex(-0.92 + 1.84 * i / n_panels, bottom) for i in range(n_panels + 1)]
    dome = arc_points(complex(0, bottom), 0.92, bottom - top, 180, 360)
    canopy = polygon(BODY, *dome, *_scallops(rib_ends))
    seams = [_umbrella_seam(tip, rib_end) for rib_end in rib_ends[1:-1]]
    panels = []
    if rng.chance(0.6):
        for left, right in zip(rib_ends[1::2], rib_ends[2::2], strict=False):
            panels.append(_umbrella_panel(tip, left, right))
    side = rng.choice([1, -1])
    hook = arc_points(complex(0.15 * side, 0.76), -0.15 * side, 0.16, 0, -190)
    handle = stroke(WOOD, 0.1, 0.68j, *hook)
    shaft = stroke(METAL, 0.075, tip - 0.13j, 0.76j)
    return [shaft, handle, canopy, *panels, *seams]


def _scallops(rib_ends: list[complex]) -> list[complex]:
    """Return the lower edge of the canopy from right to left: a bay between every two ribs."""
    points: list[complex] = []
    for right, left in zip(rib_ends[:0:-1], rib_ends[-2::-1], strict=True):
        points += _scallop(right, left)
    return points


def _scallop(first: complex, second: complex) -> tuple[complex, ...]:
    """Return the edge of one bay, from one rib to the next."""
    radius = (first - second).real / 2
    return arc_points((first + second) / 2, radius, 0.09, 0, -180)


def _umbrella_seam(tip: complex, rib_end: complex) -> Part:
    middle_y = (tip.imag + rib_end.imag) / 2 - 0.12
    middle = complex(rib_end.real * 0.6, middle_y)
    return stroke(SHADE, 0.05, tip, middle, rib_end)


def _umbrella_panel(tip: complex, left: complex, right: complex) -> Part:
    left_middle = complex(left.real * 0.62, (tip.imag + left.imag) / 2 - 0.13)
    right_middle = complex(right.real * 0.62, (tip.imag + right.imag) / 2 - 0.13)
    edge = _scallop(right, left)
    return polygon(TRIM, tip + 0.03j, right_middle, *edge, left_middle)


def bicycle(rng: Rng) -> Parts:
    """Draw a bicycle from the side: wheels, frame, saddle, handlebar; perhaps a basket."""
    wheel_radius = rng.uniform(0.36, 0.43)
    rear_hub = -0.56 + 0.34j
    front_hub = 0.56 + 0.34j
    pedal = -0.1 + 0.36j
    seat = -0.24 - 0.28j
    head = 0.38 - 0.3j
    stem = head - 0.18j
    rear_wheel = _spoked_wheel(rear_hub, wheel_radius, rng.integer(3, 5))
    front_wheel = _spoked_wheel(front_hub, wheel_radius, rng.integer(3, 5))
    seat_joint = seat * 0.9
    is_step_through = rng.chance(0.3)
    top_tube_start = -0.17 + 0.04j if is_step_through else seat_joint
    tubes = [
        (rear_hub, pedal),
        (pedal, seat),
        (rear_hub, seat_joint),
        (top_tube_start, head),
        (pedal, head * 0.8),
        (head, front_hub),
    ]
    frame = [stroke(BODY, 0.085, start, end) for start, end in tubes]
    saddle = stroke(DARK, 0.1, -0.42 - 0.36j, -0.12 - 0.34j)
    seat_post = stroke(METAL, 0.06, seat, seat - 0.08j)
    baskets = _bicycle_basket() if rng.chance(0.3) else []
    return [
        *rear_wheel,
        *front_wheel,
        *frame,
        stroke(BODY, 0.07, head, stem),
        saddle,
        seat_post,
        *baskets,
        _bicycle_handlebar(stem),
        ellipse(TRIM, pedal, 0.1),
    ]


def _spoked_wheel(hub: complex, radius: float, n_spokes: int) -> Parts:
    """Return a wheel; each spoke goes through the hub from rim to rim."""
    spokes = []
    for end in ring_points(2 * n_spokes, radius)[:n_spokes]:
        spokes.append(stroke(METAL, 0.03, hub + end, hub - end))
    tyre = arc(DARK, 0.085, hub, radius, radius)
    axle = ellipse(METAL, hub, 0.06)
    return [*spokes, tyre, axle]


def _bicycle_handlebar(stem: complex) -> Part:
    return stroke(
        DARK,
        0.085,
        stem + (-0.14 + 0.02j),
        stem,
        stem + (0.12 + 0.06j),
        stem + (0.1 + 0.16j),
    )


def _bicycle_basket() -> Parts:
    basket = polygon(
        WOOD,
        0.46 - 0.42j,
        0.86 - 0.42j,
        0.8 - 0.12j,
        0.52 - 0.12j,
    )
    return [basket]


def scissors(rng: Rng) -> Parts:
    """Draw two blades about a pivot, each with a ring to hold."""
    half_angle = rng.uniform(9, 27)
    ring_radius = rng.uniform(0.2, 0.26)
    length = rng.uniform(0.85, 1.0)
    blade = polygon(
        METAL,
        -0.09 + 0.1j,
        -0.1 - 0.2j,
        complex(0.0, -length),
        0.09 - 0.1j,
        0.06 + 0.1j,
    )
    arm = stroke(BODY, 0.13, 0.06j, 0.14 + 0.42j)
    ring = arc(BODY, 0.125, 0.13 + 0.66j, ring_radius * 0.86, ring_radius * 1.1)
    half = rotate([blade, arm, ring], -half_angle)
    pivot = ellipse(TRIM, 0.02j, 0.075)
    return [*half, *mirror(half), pivot]


def guitar(rng: Rng) -> Parts:
    """Draw an upright guitar: a waisted body, a fretted neck, and a head with pegs."""
    if rng.chance(0.35):
        return _electric_guitar(rng)
    return _acoustic_guitar(rng)


def _acoustic_guitar(rng: Rng) -> Parts:
    lower_radius = rng.uniform(0.44, 0.52)
    waist_radius = rng.uniform(0.26, 0.32)
    hole_centre = 0.3j
    body = symmetric_blob(
        rng.choice([BODY, WOOD]),
        0.16 - 0.12j,
        0.36 + 0.0j,
        complex(waist_radius, 0.26),
        complex(lower_radius, 0.56),
        0.28 + 0.92j,
    )
    rosette = arc(TRIM, 0.04, hole_centre, 0.17, 0.17)
    hole = ellipse(DARK, hole_centre, 0.14)
    bridge = horizontal_stroke(DARK, 0.09, 0.66, -0.2, 0.2)
    return [body, rosette, hole, bridge, *_guitar_neck(0.64)]


def _electric_guitar(rng: Rng) -> Parts:
    horn_y = rng.uniform(-0.22, -0.08)
    body = blob(
        BODY,
        0.1 + 0.1j,
        complex(0.34, horn_y + 0.06),
        0.27 + 0.26j,
        0.48 + 0.6j,
        0.2 + 0.9j,
        -0.28 + 0.92j,
        -0.5 + 0.62j,
        -0.3 + 0.28j,
        complex(-0.44, horn_y),
        -0.12 + 0.06j,
    )
    pick_guard = blob(
        LIGHT,
        0.1 + 0.2j,
        0.2 + 0.4j,
        0.26 + 0.7j,
        -0.12 + 0.7j,
        -0.1 + 0.2j,
    )
    pickups = [horizontal_stroke(DARK, 0.1, y, -0.16, 0.16) for y in (0.36, 0.54)]
    return [body, pick_guard, *pickups, *_guitar_neck(0.68)]


def _guitar_neck(bridge_y: float) -> Parts:
    """Return the neck, the head and the strings, which end at the bridge."""
    neck = polygon(
        WOOD,
        -0.07 - 0.72j,
        0.07 - 0.72j,
        0.09 + 0.2j,
        -0.09 + 0.2j,
    )
    head = polygon(
        TRIM,
        -0.13 - 0.98j,
        0.13 - 0.98j,
        0.09 - 0.7j,
        -0.09 - 0.7j,
    )
    pegs = []
    for x in (-0.16, 0.16):
        pegs.append(ellipse(METAL, complex(x, -0.94), 0.055))
        pegs.append(ellipse(METAL, complex(x, -0.8), 0.055))
    frets = []
    for y in (-0.56, -0.4, -0.26, -0.14, -0.04):
        frets.append(horizontal_stroke(METAL, 0.025, y, -0.07, 0.07))
    strings = [vertical_stroke(LIGHT, 0.018, x, -0.7, bridge_y) for x in (-0.03, 0.03)]
    return [neck, *pegs, head, *frets, *strings]


def chair(rng: Rng) -> Parts:
    """Draw a chair seen from the front and the side: slats or a panel, a seat, four legs."""
    top = rng.uniform(-0.95, -0.75)
    foot = rng.uniform(0.8, 0.95)
    lean = rng.uniform(0.1, 0.28)
    role = rng.choice([BODY, WOOD])
    thickness = rng.uniform(0.09, 0.13)
    rear_left = -0.5 + 0.08j
    rear_right = 0.34 + 0.08j
    front_left = complex(-0.5 + lean - 0.06, 0.34)
    front_right = complex(0.34 + lean + 0.06, 0.34)
    rear_legs = []
    posts = []
    for corner in (rear_left, rear_right):
        rear_legs.append(stroke(role, thickness * 0.9, corner, complex(corner.real, foot - 0.2)))
        posts.append(stroke(role, thickness, corner, complex(corner.real, top)))
    front_legs = []
    for corner in (front_left, front_right):
        leg_foot = complex(corner.real * 1.04, foot)
        front_legs.append(stroke(role, thickness, corner + 0.02j, leg_foot))
    seat = polygon(
        TRIM if rng.chance(0.6) else role,
        rear_left - 0.06,
        rear_right + 0.03,
        front_right,
        front_left,
    )
    seat_edge = polygon(
        SHADE if role == BODY else role,
        front_left,
        front_right,
        front_right + 0.09j,
        front_left + 0.09j,
    )
    return [
        *rear_legs,
        *_chair_back(rng, role, top),
        *posts,
        *front_legs,
        seat_edge,
        seat,
    ]


def _chair_back(rng: Rng, role: Role, top: float) -> Parts:
    """Return a panel, or a rail with slats that are level or upright."""
    n_slats = rng.integer(0, 4)
    if n_slats == 0:
        panel = rectangle(TRIM, complex(-0.5, top), 0.34 - 0.2j)
        return [panel]
    rail_y = top + 0.05
    rail = horizontal_stroke(role, 0.14, rail_y, -0.5, 0.34)
    if rng.chance():
        slats = []
        for y in _divisions(n_slats, rail_y, 0.0):
            slats.append(horizontal_stroke(role, 0.1, y, -0.5, 0.34))
        return [rail, *slats]
    slats = []
    for x in _divisions(n_slats, -0.5, 0.34):
        slats.append(vertical_stroke(role, 0.09, x, top, 0.08))
    return [*slats, rail]


def _divisions(n: int, start: float, end: float) -> Iterable[float]:
    """Return n values that divide an interval into equal parts."""
    return [start + (end - start) * (i + 1) / (n + 1) for i in range(n)]


def lamp(rng: Rng) -> Parts:
    """Draw a lampshade on a stem, on a table or on the floor, or an anglepoise lamp."""
    if rng.chance(0.3):
        return _desk_lamp(rng)
    if rng.chance(0.3):
        return _floor_lamp(rng)
    return _table_lamp(rng)


def _floor_lamp(rng: Rng) -> Parts:
    bottom = -0.4
    neck = rng.uniform(0.2, 0.28)
    shade = _lampshade(rng, -0.9, bottom, neck, 0.4)
    return [*_lamp_stem(bottom), *shade]


def _table_lamp(rng: Rng) -> Parts:
    radius = rng.uniform(0.52, 0.66)
    bottom = rng.uniform(-0.12, 0.02)
    neck = rng.uniform(0.2, 0.4)
    shade = _lampshade(rng, -0.86, bottom, neck, radius)
    if rng.chance(0.3):
        return [*_lamp_stem(bottom), *shade]
    vase_radius = rng.uniform(0.2, 0.38)
    vase = symmetric_blob(
        rng.choice([TRIM, WOOD, METAL]),
        complex(0.07, bottom),
        0.1 + 0.14j,
        complex(vase_radius, 0.5),
        0.16 + 0.86j,
    )
    return [vase, _lamp_base(), *shade]


def _lampshade(rng: Rng, top: float, bottom: float, neck: float, radius: float) -> Parts:
    """Return the glow below a shade, the shade, a fold in the light, and sometimes a hem."""
    shade = symmetric_polygon(BODY, complex(neck, top), complex(radius, bottom))
    fold = polygon(
        TINT,
        complex(-neck * 0.5, top),
        complex(0, top),
        complex(0, bottom),
        complex(-radius * 0.6, bottom),
    )
    glow = ellipse(WARM, complex(0, bottom), radius * 0.92, 0.1)
    hems = []
    if rng.chance():
        hem_top = complex(radius - 0.02, bottom - 0.1)
        hems = [symmetric_polygon(TRIM, hem_top, complex(radius, bottom))]
    return [glow, shade, fold, *hems]


def _lamp_stem(top: float) -> Parts:
    stem = vertical_stroke(METAL, 0.08, 0, top, 0.88)
    return [stem, _lamp_base()]


def _lamp_base() -> Part:
    return symmetric_polygon(DARK, 0.3 + 0.84j, 0.34 + 0.94j)


def _desk_lamp(rng: Rng) -> Parts:
    elbow = complex(-0.5, rng.uniform(-0.1, 0.1))
    hinge = complex(0.1, rng.uniform(-0.72, -0.6))
    arm = stroke(METAL, 0.09, -0.1 + 0.84j, elbow, hinge)
    joint = ellipse(TRIM, elbow, 0.08)
    glow = ellipse(WARM, 0.46j, 0.38, 0.13)
    cone = symmetric_polygon(BODY, 0.12 - 0.14j, 0.42 + 0.46j)
    cap = ellipse(DARK, -0.14j, 0.13)
    base = symmetric_polygon(BODY, 0.4 + 0.82j, 0.46 + 0.95j)
    angle = rng.uniform(20, 50)
    head = rotate([glow, cone, cap], -angle, shift=hinge)
    return [arm, joint, base, *head]


def teapot(rng: Rng) -> Parts:
    """Draw a round belly, a spout, an ear, and a lid with a knob."""
    belly_width = rng.uniform(0.52, 0.62)
    belly_height = rng.uniform(0.44, 0.56)
    middle = 0.2
    top = middle - belly_height
    bottom = middle + belly_height
    spout_end = complex(0.96, rng.uniform(-0.34, -0.18))
    spout = polygon(
        BODY,
        0.3 + 0.05j,
        0.66 + 0.0j,
        spout_end,
        spout_end + 0.12 + 0.08j,
        0.4 + 0.56j,
    )
    ear = arc(BODY, 0.12, complex(-belly_width + 0.02, middle - 0.06), 0.3, 0.32, 70, 290)
    belly = ellipse(BODY, complex(0, middle), belly_width, belly_height)
    shine = blob(
        TINT,
        complex(-belly_width * 0.7, middle),
        complex(-belly_width * 0.45, middle - belly_height * 0.6),
        complex(-belly_width * 0.42, middle),
    )
    lid = symmetric_polygon(
        TRIM if rng.chance() else BODY,
        complex(0.12, top - 0.16),
        complex(0.34, top + 0.05),
    )
    foot = symmetric_polygon(
        SHADE,
        complex(belly_width * 0.5, bottom - 0.05),
        complex(belly_width * 0.56, bottom + 0.05),
    )
    sash_points = arc_points(complex(0, middle), belly_width * 0.92, 0.1, 0, 180)
    sash = stroke(TRIM, 0.08, *sash_points)
    dot = ellipse(TRIM, complex(0.02, middle + 0.06), 0.2)
    marks = rng.choice([[], [sash], [dot]])
    knob = ellipse(TRIM, complex(0, top - 0.22), 0.1)
    return [ear, spout, foot, belly, shine, *marks, lid, knob]
