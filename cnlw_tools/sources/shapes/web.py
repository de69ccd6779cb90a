"""What a search on the web finds: the class, look-alikes, related things, posters, collages and blanks."""

from functools import cache
from itertools import accumulate
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from cnlw_tools.sources.shapes import colours
from cnlw_tools.sources.shapes.chance import Chance
from cnlw_tools.sources.shapes.drawings import AROUND, CLASSES
from cnlw_tools.sources.shapes.ink import (
    LARGE,
    OVER,
    SIZE,
    Palette,
    Parts,
    Role,
    box,
    coloured,
    disc,
    draw,
    fill,
    line,
    turned,
)
from cnlw_tools.sources.shapes.scene import CROPPED, LISTING, SNAPSHOT, background, finished, scene

SHARES = {
    "class": 0.335,
    "lookalike": 0.4,
    "related": 0.115,
    "poster": 0.06,
    "collage": 0.05,
    "blank": 0.04,
}
LINES = (
    "SALE",
    "SHOP",
    "CLUB",
    "DAY",
    "STORE",
    "2 FOR 1",
    "FESTIVAL",
    "BEST OF",
    "MUSEUM",
    "THE BOOK",
    "REPAIR",
    "WEEKLY",
    "FREE",
)
BLANKS = [
    "NO IMAGE",
    "404",
    "REMOVED",
    "N / A",
    "NOT FOUND",
    "SORRY",
    "LOADING",
    "NO PHOTO",
    "",
    "",
]


class Find(NamedTuple):
    """What one candidate shows."""

    kind: str  # a key of SHARES
    thing: str  # a class, a look-alike, a related thing; empty for the rest


@cache
def find(image_id: str, name: str) -> Find:
    """Say what the candidate shows that a search for a class brought up."""
    chance = Chance(f"{image_id} find")
    at = chance.real()
    kind = next(
        (kind for kind, end in zip(SHARES, accumulate(SHARES.values()), strict=True) if at < end),
        "blank",
    )
    around = {
        "class": [name],
        "lookalike": [*AROUND[name].lookalikes],
        "related": [*AROUND[name].related],
    }
    return Find(kind, chance.pick(around.get(kind, [""])))


def candidate(image_id: str, name: str) -> Image.Image:
    """Draw one candidate."""
    kind, thing = find(image_id, name)
    chance = Chance(image_id)
    if kind == "poster":
        return poster(name, chance)
    if kind == "collage":
        return collage(name, chance)
    if kind == "blank":
        return blank(chance)
    drawing = CLASSES | AROUND[name].lookalikes | AROUND[name].related
    return dressed(
        scene(drawing[thing], chance, chance.pick([LISTING, LISTING, CROPPED, SNAPSHOT])), chance
    )


def dressed(image: Image.Image, chance: Chance) -> Image.Image:
    """Add what sites add: a watermark, a frame, a caption; mostly nothing."""
    dress = chance.real()
    if dress < 0.16:
        mark = _lettering("stock" if chance.yes() else "sample", 60, chance.whole(-3, 3) * 10)
        image.paste(
            (255, 255, 255),
            (0, chance.whole(-16, 16)),
            mark.point([round(i * 0.45) for i in range(256)]),
        )
    elif dress < 0.28:
        width = chance.whole(2, 5)
        ImageDraw.Draw(image).rectangle(
            (0, 0, SIZE - 1, SIZE - 1), None, chance.pick(colours.OBJECTS)[:3], width
        )
    elif dress < 0.36:
        bar, up = chance.whole(7, 12), chance.yes(0.3)
        at = (0, 0, SIZE, bar) if up else (0, SIZE - bar, SIZE, SIZE)
        image.paste(colours.shaken(chance, chance.pick(colours.GROUNDS))[:3], at)
    return image


def poster(name: str, chance: Chance) -> Image.Image:
    """Print the word on a poster."""
    paper = colours.shaken(chance, chance.pick(colours.OBJECTS + colours.GROUNDS))
    ink = colours.distinct(chance, [*colours.OBJECTS, colours.WHITE, colours.BLACK], paper, 330)
    palette: Palette = {
        Role.FIRST: paper,
        Role.SECOND: ink,
        Role.THIRD: colours.blend(paper, ink, 0.3),
    }
    image = coloured(draw(_ornament(chance), ground=Role.FIRST), palette).convert("RGB")
    angle = chance.pick([0, 0, 0, -8, 8, 12])
    word = name.upper() if chance.yes(0.7) else name.capitalize()
    image.paste(
        ink[:3], (0, chance.whole(-8, 2)), _lettering(word, chance.pick([46, 50, 54]), angle)
    )
    if chance.yes(0.8):
        second = _lettering(chance.pick(LINES), chance.pick([22, 28, 34]), angle)
        image.paste(ink[:3], (0, chance.whole(13, 19)), second)
    return finished(image, chance)


def collage(name: str, chance: Chance) -> Image.Image:
    """Put four to nine small pictures side by side: of everything but the class."""
    side, image = (
        chance.pick([2, 2, 3]),
        Image.new("RGB", (SIZE, SIZE), chance.pick(colours.STUDIO)[:3]),
    )
    gap, drawings = (
        chance.whole(0, 2),
        [*AROUND[name].lookalikes.values(), *AROUND[name].related.values()],
    )
    edges = [round(i * SIZE / side) for i in range(side + 1)]
    for i in range(side * side):
        (x, right), (y, low) = edges[i % side : i % side + 2], edges[i // side : i // side + 2]
        small = scene(chance.pick(drawings), chance, LISTING).resize(
            (right - x - gap, low - y - gap)
        )
        image.paste(small, (x, y))
    return image


def blank(chance: Chance) -> Image.Image:
    """Draw what stands where there is no picture."""
    grey = chance.whole(190, 245)
    paper = colours.shaken(chance, (grey, grey, grey, 255), 8)
    ink = colours.blend(paper, colours.BLACK, chance.real(0.2, 0.5))
    if chance.yes(0.15):
        return finished(background(chance)[0], chance)
    icon = turned(
        _icon(chance),
        0,
        chance.real(0.6, 0.9),
        complex(chance.real(-0.1, 0.1), chance.real(-0.3, 0.0)),
    )
    palette: Palette = {
        Role.FIRST: paper,
        Role.SECOND: ink,
        Role.THIRD: colours.blend(paper, ink, 0.4),
    }
    image = coloured(draw(icon, ground=Role.FIRST), palette).convert("RGB")
    words = chance.pick(BLANKS)
    if words:
        image.paste(ink[:3], (0, chance.whole(18, 24)), _lettering(words, 40, 0))
    return finished(image, chance)


def _ornament(chance: Chance) -> Parts:
    frame = line(
        Role.SECOND, 0.05, -0.88 - 0.88j, 0.88 - 0.88j, 0.88 + 0.88j, -0.88 + 0.88j, -0.88 - 0.88j
    )
    rays = [
        fill(Role.THIRD, 0.1j, z, z * 1.06j**0.25) for z in (2.2 * 1j ** (i / 3) for i in range(12))
    ]
    band = box(Role.THIRD, -1 - 0.42j, 1 + 0.24j)
    stars = [
        disc(Role.THIRD, complex(chance.real(-1, 1), chance.real(-1, 1)), chance.real(0.04, 0.16))
        for _ in range(12)
    ]
    edges = [box(Role.SECOND, -1 - 1j, 1 - 0.78j), box(Role.SECOND, -1 + 0.84j, 1 + 1j)]
    return chance.pick(
        [[frame], rays, [band], [*stars, frame], [disc(Role.THIRD, 0j, 0.8)], edges, [*rays, frame]]
    )


def _icon(chance: Chance) -> Parts:
    frame = line(Role.SECOND, 0.07, -0.6 - 0.5j, 0.6 - 0.5j, 0.6 + 0.5j, -0.6 + 0.5j, -0.6 - 0.5j)
    hill = fill(Role.THIRD, -0.5 + 0.4j, -0.15 - 0.1j, 0.1 + 0.2j, 0.28 + 0.0j, 0.5 + 0.4j)
    cross = [line(Role.SECOND, 0.06, z, -z) for z in (-0.6 - 0.5j, 0.6 - 0.5j)]
    wheel = [line(Role.SECOND, 0.12, z * 0.25, z * 0.5) for z in (1j ** (i / 2) for i in range(8))]
    return chance.pick(
        [[hill, frame, disc(Role.THIRD, 0.3 - 0.25j, 0.12)], [frame, *cross], wheel, [frame], []]
    )


@cache
def _lettering(text: str, width: int, angle: int) -> Image.Image:
    """Set a line in the middle, so many finished pixels wide but not too high, as a mask."""
    font = _font(40)
    size = min(19 * OVER, int(40 * width * OVER / font.getlength(text)))
    mask = Image.new("L", (LARGE, LARGE))
    ImageDraw.Draw(mask).text((LARGE / 2, LARGE / 2), text, 255, _font(size), anchor="mm")
    return (mask.rotate(angle) if angle else mask).reduce(OVER)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError(
            "Pillow was built without FreeType, which the posters of shapes need: install a wheel of Pillow"
        )
    return font
