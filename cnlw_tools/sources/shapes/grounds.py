"""Backgrounds and clutter, in the same vocabulary: roles FIRST to THIRD on the whole canvas -1-1j .. 1+1j."""

from collections.abc import Callable

from cnlw_tools.sources.shapes.chance import Chance
from cnlw_tools.sources.shapes.ink import Part, Parts, Role, blob, box, disc, fill, line, turned

FIRST, SECOND, THIRD = Role.FIRST, Role.SECOND, Role.THIRD


def plain(chance: Chance) -> Parts:
    """Nothing but the light."""
    return []


def table(chance: Chance) -> Parts:
    """The edge of a table before a wall."""
    y = chance.real(0.2, 0.75)
    left, right = complex(-1.1, y + chance.real(-0.15, 0.15)), complex(1.1, y)
    return [fill(THIRD, left, right, 1.1 + 1.2j, -1.1 + 1.2j), line(SECOND, 0.05, left, right)]


def tiles(chance: Chance) -> Parts:
    """The joints of wall tiles."""
    gap = chance.real(0.35, 0.6)
    grid = [line(SECOND, 0.045, complex(x * gap, -2), complex(x * gap, 2)) for x in range(-5, 6)]
    grid += [line(SECOND, 0.045, complex(-2, y * gap), complex(2, y * gap)) for y in range(-5, 6)]
    return turned(grid, chance.real(-12, 12), 1, complex(chance.real(0, gap), chance.real(0, gap)))


def bricks(chance: Chance) -> Parts:
    """Two sorts of brick in rows."""
    high, wide = chance.real(0.22, 0.34), chance.real(0.5, 0.8)
    rows = [
        line(THIRD, 0.045, complex(-1.1, y * high), complex(1.1, y * high)) for y in range(-5, 6)
    ]
    joints = [
        line(
            THIRD,
            0.045,
            complex(x * wide + y % 2 * wide / 2, y * high),
            complex(x * wide + y % 2 * wide / 2, (y + 1) * high),
        )
        for y in range(-5, 5)
        for x in range(-3, 3)
    ]
    return rows + joints


def checks(chance: Chance) -> Parts:
    """A table cloth."""
    gap = chance.real(0.3, 0.6)
    cells = [(x, y) for x in range(-4, 4) for y in range(-4, 4) if (x + y) % 2]
    cloth = [box(SECOND, complex(x, y) * gap, complex(x + 1, y + 1) * gap) for x, y in cells]
    return turned(cloth, chance.pick([0, 0, 45, 20, -15]))


def stripes(chance: Chance) -> Parts:
    """Wallpaper, or a deck chair."""
    gap = chance.real(0.25, 0.55)
    bars = [box(SECOND, complex(x * gap, -2), complex((x + 0.5) * gap, 2)) for x in range(-7, 7)]
    return turned(bars, chance.pick([0, 0, 90, 45, -45, 30]))


def foliage(chance: Chance) -> Parts:
    """A hedge out of focus."""
    roles = [SECOND, THIRD, FIRST]
    return [disc(chance.pick(roles), _anywhere(chance), chance.real(0.12, 0.4)) for _ in range(22)]


def lights(chance: Chance) -> Parts:
    """Lamps of a street at night, out of focus; few and large."""
    return [
        disc(chance.pick([SECOND, THIRD]), _anywhere(chance), chance.real(0.08, 0.26))
        for _ in range(9)
    ]


def planks(chance: Chance) -> Parts:
    """A wooden floor."""
    high = chance.real(0.25, 0.5)
    seams = [line(SECOND, 0.04, complex(-2, y * high), complex(2, y * high)) for y in range(-6, 7)]
    ends = [chance.real(-1, 1) for _ in range(12)]
    seams += [
        line(SECOND, 0.04, complex(x, (i - 6) * high), complex(x, (i - 5) * high))
        for i, x in enumerate(ends)
    ]
    return turned(seams, chance.pick([0, 90, 12, -12]))


def hills(chance: Chance) -> Parts:
    """Two soft hills under a sky."""
    far, near = chance.real(-0.2, 0.3), chance.real(0.3, 0.7)
    return [
        disc(SECOND, complex(chance.real(-1, 0), far + 1), chance.real(1.0, 1.5), 1.0),
        disc(THIRD, complex(chance.real(0, 1), near + 1), chance.real(1.2, 1.8), 1.0),
    ]


def dots(chance: Chance) -> Parts:
    """Polka dots."""
    gap = chance.real(0.35, 0.55)
    spots = [complex(x + y % 2 / 2, y) * gap for x in range(-6, 7) for y in range(-6, 7)]
    return turned([disc(SECOND, z, gap * 0.22) for z in spots if abs(z) < 1.5], chance.real(0, 45))


def window(chance: Chance) -> Parts:
    """A window, or a picture, on a wall."""
    x, y, w, h = (
        chance.real(-0.9, 0.1),
        chance.real(-1.1, -0.7),
        chance.real(0.6, 1.0),
        chance.real(0.8, 1.2),
    )
    frame = box(THIRD, complex(x, y), complex(x + w, y + h))
    bars = (
        [complex(x + w / 2, y), complex(x + w / 2, y + h)],
        [complex(x, y + h / 2), complex(x + w, y + h / 2)],
    )
    return [
        frame,
        *(line(SECOND, 0.07, *bar) for bar in bars),
        line(SECOND, 0.07, *frame.points, frame.points[0]),
    ]


GROUNDS: list[Callable[[Chance], Parts]] = [
    plain, table, tiles, bricks, checks, stripes, foliage, lights, planks, hills, dots, window, table, plain,
]  # fmt: skip


def clutter(chance: Chance, most: int) -> Parts:
    """Small things that lie about, mostly towards the edge; at most so many."""
    return [part for _ in range(chance.whole(0, most)) for part in _thing(chance)]


def _thing(chance: Chance) -> Parts:
    kind = chance.pick([_leaf, _pebble, _stick, _crumbs, _card])
    return turned(kind(chance), chance.real(0, 360), chance.real(0.7, 1.3), _rim(chance))


def _leaf(chance: Chance) -> Parts:
    return [
        blob(FIRST, -0.24 + 0j, -0.1j, 0.26 + 0j, 0.1j),
        line(THIRD, 0.03, -0.3 + 0j, 0.2 + 0j),
    ]


def _pebble(chance: Chance) -> Parts:
    return [disc(SECOND, 0j, chance.real(0.08, 0.18), chance.real(0.07, 0.14))]


def _stick(chance: Chance) -> Parts:
    return [
        line(chance.pick([SECOND, THIRD]), 0.07, -0.4 + 0j, complex(0.4, chance.real(-0.1, 0.1)))
    ]


def _crumbs(chance: Chance) -> Parts:
    return [disc(SECOND, 0.3 * _anywhere(chance), 0.045) for _ in range(4)]


def _card(chance: Chance) -> Parts:
    return [box(THIRD, -0.2 - 0.14j, 0.2 + 0.14j), line(SECOND, 0.04, -0.12 - 0.04j, 0.12 - 0.04j)]


def _anywhere(chance: Chance) -> complex:
    return complex(chance.real(-1, 1), chance.real(-1, 1))


def _rim(chance: Chance) -> complex:
    z = _anywhere(chance)
    return z / max(abs(z.real), abs(z.imag)) * chance.real(0.6, 1.0)


def pattern(chance: Chance) -> tuple[Part, ...]:
    """What a textured body is covered with: stripes, dots or checks."""
    kind = chance.pick([stripes, dots, checks])
    parts = kind(chance)
    return tuple(turned(parts, chance.whole(0, 3) * 45, chance.pick([0.35, 0.5, 0.7])))
