"""The colours of a picture: lists picked by hand, and the palettes made from them."""

from collections.abc import Sequence

from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import Role
from cnlw_tools.sources.shapes.vector_graphics import Colour


def _parse_colours(text: str) -> list[Colour]:
    """Return the opaque colours of a text of hexadecimal numbers, RRGGBB."""
    colours = []
    for number in text.split():
        red, green, blue = bytes.fromhex(number)
        colours.append((red, green, blue, 255))
    return colours


OBJECT_COLOURS = _parse_colours(
    """
    e63946 f4a261 e9c46a 2a9d8f 264653 457b9d 8ecae6 219ebc ffb703 fb8500 6a4c93 ff70a6 588157
    a7c957 bc4749 f2e8cf 3d405b 81b29a f28482 9c6644 adb5bd f8f9fa 22223b d62246 4b1d3f 00798c
    edae49 d1495b 30638e 7fb069
    """
)
BACKGROUND_COLOURS = _parse_colours(
    """
    f1faee e8eddf cfdbd5 fefae0 faedcd d8e2dc ffe5d9 e2ece9 bee1e6 cddafd fff1e6 d6ccc2 b7c9b5
    a3b18a c9ada7 9a8c98 6d6875 577590 4d908e 335c67 2f3e46 1d3557 ddb892 b08968 f7d6bf c8b6ff
    ffcad4 a9def9 e4c1f9 fcf6bd 52796f 8d99ae
    """
)
LEAF_COLOURS = _parse_colours("386641 6a994e a7c957 52796f 84a98c 606c38 b5c99a 31572c")
WOOD_COLOURS = _parse_colours("9c6644 b08968 7f5539 ddb892 a47148 6f4518 c38e70")
STUDIO_COLOURS = _parse_colours("ffffff fafafa f2f2f2 f6f4f0 eef3f7 e9ecef")
BLACK = (0, 0, 0, 255)
WHITE = (255, 255, 255, 255)
INK = (18, 16, 30, 255)
DARK_GREY = (48, 46, 58, 255)
OFF_WHITE = (246, 243, 236, 255)
METAL_GREY = (168, 174, 184, 255)
GLASS_BLUE = (206, 230, 240, 255)
GLASS_ALPHA = 190
AMBER = (246, 174, 45, 255)
PASTRY = (196, 128, 72, 255)
MAX_JITTER = 14.0  # of each channel, if not told otherwise
N_ATTEMPTS = 12  # at a colour that contrasts
BRIGHT_SUM = 380  # of red, green and blue: brighter backgrounds get darker second colours


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours; a share of 0 gives the first, of 1 the second."""
    red, green, blue, alpha = [
        round(x + (y - x) * share) for x, y in zip(first, second, strict=True)
    ]
    return red, green, blue, alpha


def colour_distance(first: Colour, second: Colour) -> float:
    """Return how much two colours differ, from 0 to 765; the eye sees green best."""
    red = abs(first[0] - second[0])
    green = abs(first[1] - second[1])
    blue = abs(first[2] - second[2])
    return 0.9 * red + 1.5 * green + 0.6 * blue


def jitter(rng: Rng, colour: Colour, amount: float = MAX_JITTER) -> Colour:
    """Change each channel of a colour by at most an amount, and make it opaque."""
    red, green, blue = [
        min(255, max(0, round(value + (2 * amount * u - amount))))
        for value, u in zip(colour[:3], rng.take(3), strict=True)
    ]
    return red, green, blue, 255


def choose_contrasting(
    rng: Rng,
    colours: Sequence[Colour],
    reference: Colour,
    min_distance: float,
) -> Colour:
    """Choose a colour that differs enough from a reference; of twelve the farthest if none does."""
    n_colours = len(colours)
    candidates = [colours[int(n_colours * u)] for u in rng.take(N_ATTEMPTS)]
    for colour in candidates:
        if colour_distance(colour, reference) > min_distance:
            return jitter(rng, colour)
    farthest = max(candidates, key=lambda colour: colour_distance(colour, reference))
    return jitter(rng, farthest)


def object_palette(rng: Rng, background: Colour) -> dict[int, Colour]:
    """Return the colours of an object that stands before a background."""
    body = choose_contrasting(rng, OBJECT_COLOURS, background, 100)
    trim = choose_contrasting(rng, OBJECT_COLOURS, body, 130)
    wood = jitter(rng, rng.choice(WOOD_COLOURS))
    metal = jitter(rng, METAL_GREY, 30)
    pattern_base = trim if rng.chance() else WHITE
    palette: dict[int, Colour] = {
        Role.BODY: body,
        Role.TRIM: trim,
        Role.PATTERN: blend(body, pattern_base, rng.uniform(0.35, 0.8)),
        Role.SHADE: blend(body, BLACK, 0.24),
        Role.TINT: blend(body, WHITE, 0.4),
        Role.LINE: blend(body, INK, rng.uniform(0.7, 1.0)),
        Role.DARK: jitter(rng, DARK_GREY),
        Role.LIGHT: jitter(rng, OFF_WHITE, 8),
        Role.METAL: metal,
        Role.WOOD: wood,
        Role.GLASS: (*jitter(rng, GLASS_BLUE)[:3], GLASS_ALPHA),
        Role.LEAF: jitter(rng, rng.choice(LEAF_COLOURS)),
        Role.WARM: jitter(rng, AMBER, 18),
        Role.FOOD: jitter(rng, PASTRY, 18),
    }
    return palette | clutter_palette(rng, background)


def clutter_palette(rng: Rng, background: Colour) -> dict[int, Colour]:
    """Return the colours of clutter: a leaf's, a thing's, and a shade of the background."""
    thing = blend(rng.choice(OBJECT_COLOURS), background, rng.uniform(0.0, 0.5))
    leaf = jitter(rng, rng.choice(LEAF_COLOURS))
    shade = blend(background, BLACK if rng.chance() else WHITE, 0.3)
    return {
        Role.FIRST: leaf,
        Role.SECOND: thing,
        Role.THIRD: shade,
    }


def background_palette(rng: Rng) -> dict[int, Colour]:
    """Return three colours of a background that go together."""
    first = jitter(rng, rng.choice(BACKGROUND_COLOURS), 10)
    contrast = BLACK if sum(first[:3]) > BRIGHT_SUM else WHITE
    second = blend(first, contrast, rng.uniform(0.06, 0.2))
    third = blend(first, rng.choice(BACKGROUND_COLOURS), 0.55)
    return {
        Role.FIRST: first,
        Role.SECOND: second,
        Role.THIRD: third,
    }
