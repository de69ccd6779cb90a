"""The colours of a picture: hand-picked lists, and the palette that one picture makes of them."""

from cnlw_tools.sources.shapes.chance import Chance
from cnlw_tools.sources.shapes.ink import Colour, Role


def _colours(text: str) -> list[Colour]:
    return [(int(h[:2], 16), int(h[2:4], 16), int(h[4:], 16), 255) for h in text.split()]


OBJECTS = _colours(
    "e63946 f4a261 e9c46a 2a9d8f 264653 457b9d 8ecae6 219ebc ffb703 fb8500 6a4c93 ff70a6 588157 a7c957 bc4749 f2e8cf "
    "3d405b 81b29a f28482 9c6644 adb5bd f8f9fa 22223b d62246 4b1d3f 00798c edae49 d1495b 30638e 7fb069"
)
GROUNDS = _colours(
    "f1faee e8eddf cfdbd5 fefae0 faedcd d8e2dc ffe5d9 e2ece9 bee1e6 cddafd fff1e6 d6ccc2 b7c9b5 a3b18a c9ada7 9a8c98 "
    "6d6875 577590 4d908e 335c67 2f3e46 1d3557 ddb892 b08968 f7d6bf c8b6ff ffcad4 a9def9 e4c1f9 fcf6bd 52796f 8d99ae"
)
LEAVES = _colours("386641 6a994e a7c957 52796f 84a98c 606c38 b5c99a 31572c")
WOODS = _colours("9c6644 b08968 7f5539 ddb892 a47148 6f4518 c38e70")
STUDIO = _colours("ffffff fafafa f2f2f2 f6f4f0 eef3f7 e9ecef")
BLACK, WHITE = (0, 0, 0, 255), (255, 255, 255, 255)


def blend(one: Colour, other: Colour, share: float) -> Colour:
    """Mix two colours; a share of 0 is the one, of 1 the other."""
    r, g, b, a = (round(x + (y - x) * share) for x, y in zip(one, other, strict=True))
    return r, g, b, a


def apart(one: Colour, other: Colour) -> float:
    """How far two colours lie apart, from 0 to 765."""
    (r, g, b, _), (s, h, c, _) = one, other
    return 0.9 * abs(r - s) + 1.5 * abs(g - h) + 0.6 * abs(b - c)


def shaken(chance: Chance, colour: Colour, by: float = 14) -> Colour:
    """Move a colour a little."""
    r, g, b = (min(255, max(0, round(x + chance.real(-by, by)))) for x in colour[:3])
    return r, g, b, 255


def distinct(chance: Chance, colours: list[Colour], other: Colour, by: float) -> Colour:
    """Pick a colour that lies some way from another; of twelve the farthest if none does."""
    picks = [chance.pick(colours) for _ in range(12)]
    far = (colour for colour in picks if apart(colour, other) > by)
    return shaken(chance, next(far, max(picks, key=lambda colour: apart(colour, other))))


def object_palette(chance: Chance, ground: Colour) -> dict[int, Colour]:
    """The colours of an object that stands before a ground."""
    body = distinct(chance, OBJECTS, ground, 100)
    trim = distinct(chance, OBJECTS, body, 130)
    wood, grey = shaken(chance, chance.pick(WOODS)), shaken(chance, (168, 174, 184, 255), 30)
    return {
        Role.BODY: body,
        Role.TRIM: trim,
        Role.PATTERN: blend(body, trim if chance.yes() else WHITE, chance.real(0.35, 0.8)),
        Role.SHADE: blend(body, BLACK, 0.24),
        Role.TINT: blend(body, WHITE, 0.4),
        Role.LINE: blend(body, (18, 16, 30, 255), chance.real(0.7, 1.0)),
        Role.DARK: shaken(chance, (48, 46, 58, 255)),
        Role.LIGHT: shaken(chance, (246, 243, 236, 255), 8),
        Role.METAL: grey,
        Role.WOOD: wood,
        Role.GLASS: (*shaken(chance, (206, 230, 240, 255))[:3], 190),
        Role.LEAF: shaken(chance, chance.pick(LEAVES)),
        Role.WARM: shaken(chance, (246, 174, 45, 255), 18),
        Role.FOOD: shaken(chance, (196, 128, 72, 255), 18),
    } | clutter_palette(chance, ground)


def clutter_palette(chance: Chance, ground: Colour) -> dict[int, Colour]:
    """The colours of what lies about: a leaf, a thing, and a shade of the ground."""
    thing = blend(chance.pick(OBJECTS), ground, chance.real(0.0, 0.5))
    return {
        Role.FIRST: shaken(chance, chance.pick(LEAVES)),
        Role.SECOND: thing,
        Role.THIRD: blend(ground, BLACK if chance.yes() else WHITE, 0.3),
    }


def ground_palette(chance: Chance) -> dict[int, Colour]:
    """Three colours of a background that go together."""
    first = shaken(chance, chance.pick(GROUNDS), 10)
    near = blend(first, BLACK if sum(first[:3]) > 380 else WHITE, chance.real(0.06, 0.2))
    return {
        Role.FIRST: first,
        Role.SECOND: near,
        Role.THIRD: blend(first, chance.pick(GROUNDS), 0.55),
    }
