"""What a web search finds: the class, look-alikes, related things, posters, collages, blanks."""

from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from cnlw_tools.sources.shapes import colours
from cnlw_tools.sources.shapes.drawings import CLASSES, NEIGHBOURS
from cnlw_tools.sources.shapes.rng import Rng
from cnlw_tools.sources.shapes.roles import FIRST, SECOND, THIRD
from cnlw_tools.sources.shapes.scene import (
    CROPPED,
    LISTING,
    SNAPSHOT,
    Drawing,
    add_light_and_grain,
    draw_background,
    draw_scene,
)
from cnlw_tools.sources.shapes.vector_graphics import (
    CANVAS_SIZE,
    OVERSAMPLING,
    SIZE,
    Colour,
    Palette,
    Part,
    Parts,
    apply_opaque_palette,
    draw_roles,
    ellipse,
    move,
    polygon,
    rectangle,
    stroke,
)

KIND_SHARES = {  # of the candidates
    "class": 0.335,
    "lookalike": 0.4,
    "related": 0.115,
    "poster": 0.06,
    "collage": 0.05,
    "blank": 0.04,
}
POSTER_LINES = (
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
BLANK_TEXTS = (
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
)
STAGINGS = (LISTING, LISTING, CROPPED, SNAPSHOT)
# What sites add, by a uniform number: the mark of the first of these bounds that is above it
WATERMARK_BELOW = 0.16
FRAME_BELOW = 0.28
CAPTION_BELOW = 0.36
WATERMARK_OPACITY = 0.45
REFERENCE_FONT_SIZE = 40
MAX_FONT_SIZE = 19  # finished pixels


class CandidateContent(NamedTuple):
    """What a candidate shows."""

    kind: str  # a key of KIND_SHARES
    thing: str  # a class, a look-alike or a related thing; empty for the other kinds


@cache
def candidate_content(image_id: str, class_name: str) -> CandidateContent:
    """Return what a candidate shows that a search for a class found."""
    rng = Rng(f"{image_id} find")
    kind = _choose_kind(rng.uniform())
    neighbours = NEIGHBOURS[class_name]
    things = {
        "class": [class_name],
        "lookalike": list(neighbours.lookalikes),
        "related": list(neighbours.related),
    }
    return CandidateContent(kind, rng.choice(things.get(kind, [""])))


def _choose_kind(u: float) -> str:
    """Return the kind in whose part of the interval [0, 1) a number lies."""
    end = 0.0
    for kind, share in KIND_SHARES.items():
        end += share
        if u < end:
            return kind
    return "blank"


def draw_candidate(image_id: str, class_name: str) -> Image.Image:
    """Draw one candidate that a search for a class found."""
    content = candidate_content(image_id, class_name)
    rng = Rng(image_id)
    if content.kind == "poster":
        return draw_poster(class_name, rng)
    if content.kind == "collage":
        return draw_collage(class_name, rng)
    if content.kind == "blank":
        return draw_blank(rng)
    drawing = _drawings(class_name)[content.thing]
    picture = draw_scene(drawing, rng, rng.choice(STAGINGS))
    return add_site_marks(picture, rng)


def _drawings(class_name: str) -> dict[str, Drawing]:
    """Return the drawings of all classes and of what a search for one of them finds."""
    neighbours = NEIGHBOURS[class_name]
    return CLASSES | neighbours.lookalikes | neighbours.related


def add_site_marks(picture: Image.Image, rng: Rng) -> Image.Image:
    """Add what web sites add: a watermark, a frame or a caption bar; mostly nothing."""
    u = rng.uniform()
    if u < WATERMARK_BELOW:
        _add_watermark(picture, rng)
    elif u < FRAME_BELOW:
        _add_frame(picture, rng)
    elif u < CAPTION_BELOW:
        _add_caption_bar(picture, rng)
    return picture


def _add_watermark(picture: Image.Image, rng: Rng) -> None:
    text = "stock" if rng.chance() else "sample"
    angle = rng.integer(-3, 3) * 10
    y = rng.integer(-16, 16)
    picture.paste(colours.WHITE[:3], (0, y), _watermark_mask(text, angle))


def _add_frame(picture: Image.Image, rng: Rng) -> None:
    width = rng.integer(2, 5)
    colour = rng.choice(colours.OBJECT_COLOURS)
    border = (0, 0, SIZE - 1, SIZE - 1)
    ImageDraw.Draw(picture).rectangle(border, None, colour[:3], width)


def _add_caption_bar(picture: Image.Image, rng: Rng) -> None:
    height = rng.integer(7, 12)
    is_at_top = rng.chance(0.3)
    box = (0, 0, SIZE, height) if is_at_top else (0, SIZE - height, SIZE, SIZE)
    colour = colours.jitter(rng, rng.choice(colours.BACKGROUND_COLOURS))
    picture.paste(colour[:3], box)


def draw_poster(class_name: str, rng: Rng) -> Image.Image:
    """Draw a poster with the word that was searched for."""
    paper_colours = colours.OBJECT_COLOURS + colours.BACKGROUND_COLOURS
    ink_colours = [*colours.OBJECT_COLOURS, colours.WHITE, colours.BLACK]
    paper = colours.jitter(rng, rng.choice(paper_colours))
    ink = colours.choose_contrasting(rng, ink_colours, paper, 330)
    picture = _print_parts(_poster_ornament(rng), paper, ink, 0.3)
    angle = rng.choice([0, 0, 0, -8, 8, 12])
    word = class_name.upper() if rng.chance(0.7) else class_name.capitalize()
    y = rng.integer(-8, 2)
    picture.paste(ink[:3], (0, y), _text_mask(word, rng.choice([46, 50, 54]), angle))
    if rng.chance(0.8):
        line = rng.choice(POSTER_LINES)
        mask = _text_mask(line, rng.choice([22, 28, 34]), angle)
        y = rng.integer(13, 19)
        picture.paste(ink[:3], (0, y), mask)
    return add_light_and_grain(picture, rng)


def draw_collage(class_name: str, rng: Rng) -> Image.Image:
    """Put four or nine small pictures of neighbours of a class side by side."""
    n_columns = rng.choice([2, 2, 3])
    paper = rng.choice(colours.STUDIO_COLOURS)
    collage = Image.new("RGB", (SIZE, SIZE), paper[:3])
    gap = rng.integer(0, 2)
    neighbours = NEIGHBOURS[class_name]
    drawings = [*neighbours.lookalikes.values(), *neighbours.related.values()]
    edges = [round(column * SIZE / n_columns) for column in range(n_columns + 1)]
    for row in range(n_columns):
        top, bottom = edges[row : row + 2]
        for column in range(n_columns):
            left, right = edges[column : column + 2]
            picture = draw_scene(rng.choice(drawings), rng, LISTING)
            size = (right - left - gap, bottom - top - gap)
            collage.paste(picture.resize(size), (left, top))
    return collage


def draw_blank(rng: Rng) -> Image.Image:
    """Draw what a site shows instead of a picture: an icon and a message, or a background."""
    brightness = rng.integer(190, 245)
    paper = colours.jitter(rng, (brightness, brightness, brightness, 255), 8)
    ink = colours.blend(paper, colours.BLACK, rng.uniform(0.2, 0.5))
    if rng.chance(0.15):
        background, _ = draw_background(rng)
        return add_light_and_grain(background, rng)
    icon = _missing_image_icon(rng)
    scale = rng.uniform(0.6, 0.9)
    shift_x = rng.uniform(-0.1, 0.1)
    shift = complex(shift_x, rng.uniform(-0.3, 0.0))
    picture = _print_parts(move(icon, shift, scale), paper, ink, 0.4)
    text = rng.choice(BLANK_TEXTS)
    if text:
        y = rng.integer(18, 24)
        picture.paste(ink[:3], (0, y), _text_mask(text, 40, 0))
    return add_light_and_grain(picture, rng)


def _print_parts(parts: Parts, paper: Colour, ink: Colour, tint: float) -> Image.Image:
    """Draw parts in two inks on paper: the role SECOND in the ink, THIRD in a tint of it."""
    palette: Palette = {
        FIRST: paper,
        SECOND: ink,
        THIRD: colours.blend(paper, ink, tint),
    }
    roles = draw_roles(parts, background=FIRST)
    return apply_opaque_palette(roles, palette)


def _poster_ornament(rng: Rng) -> Parts:
    """Return one of seven ornaments."""
    frame = stroke(
        SECOND,
        0.05,
        -0.88 - 0.88j,
        0.88 - 0.88j,
        0.88 + 0.88j,
        -0.88 + 0.88j,
        -0.88 - 0.88j,
    )
    rays = _poster_rays()
    band = rectangle(THIRD, -1 - 0.42j, 1 + 0.24j)
    discs = [_random_disc(rng) for _ in range(12)]
    top_bar = rectangle(SECOND, -1 - 1j, 1 - 0.78j)
    bottom_bar = rectangle(SECOND, -1 + 0.84j, 1 + 1j)
    sun = ellipse(THIRD, 0j, 0.8)
    ornaments = [
        [frame],
        rays,
        [band],
        [*discs, frame],
        [sun],
        [top_bar, bottom_bar],
        [*rays, frame],
    ]
    return rng.choice(ornaments)


def _poster_rays() -> Parts:
    """Return twelve rays from near the centre to beyond the edge."""
    rays = []
    for number in range(12):
        first_end = 2.2 * 1j ** (number / 3)
        second_end = first_end * 1.06j**0.25
        rays.append(polygon(THIRD, 0.1j, first_end, second_end))
    return rays


def _random_disc(rng: Rng) -> Part:
    x = rng.uniform(-1, 1)
    y = rng.uniform(-1, 1)
    return ellipse(THIRD, complex(x, y), rng.uniform(0.04, 0.16))


def _missing_image_icon(rng: Rng) -> Parts:
    """Return one of five icons; the last is empty."""
    frame = stroke(
        SECOND,
        0.07,
        -0.6 - 0.5j,
        0.6 - 0.5j,
        0.6 + 0.5j,
        -0.6 + 0.5j,
        -0.6 - 0.5j,
    )
    hills = polygon(
        THIRD,
        -0.5 + 0.4j,
        -0.15 - 0.1j,
        0.1 + 0.2j,
        0.28 + 0.0j,
        0.5 + 0.4j,
    )
    sun = ellipse(THIRD, 0.3 - 0.25j, 0.12)
    falling = stroke(SECOND, 0.06, -0.6 - 0.5j, 0.6 + 0.5j)
    rising = stroke(SECOND, 0.06, 0.6 - 0.5j, -0.6 + 0.5j)
    waiting_wheel = []
    for number in range(8):
        direction = 1j ** (number / 2)
        waiting_wheel.append(stroke(SECOND, 0.12, direction * 0.25, direction * 0.5))
    icons = [
        [hills, frame, sun],
        [frame, falling, rising],
        waiting_wheel,
        [frame],
        [],
    ]
    return rng.choice(icons)


@cache
def _watermark_mask(text: str, angle: int) -> Image.Image:
    """Return a half transparent mask of a text in the middle."""
    opacity = [round(value * WATERMARK_OPACITY) for value in range(256)]
    return _text_mask(text, 60, angle).point(opacity)


@cache
def _text_mask(text: str, width: int, angle: int) -> Image.Image:
    """Return a finished-size mask of a line of text in the middle.

    Args:
        text: the line
        width: finished pixels; less if the letters would be too high
        angle: degrees, counter-clockwise
    """
    reference_length = _load_font(REFERENCE_FONT_SIZE).getlength(text)
    fitting_size = int(REFERENCE_FONT_SIZE * width * OVERSAMPLING / reference_length)
    size = min(MAX_FONT_SIZE * OVERSAMPLING, fitting_size)
    mask = Image.new("L", (CANVAS_SIZE, CANVAS_SIZE))
    centre = (CANVAS_SIZE / 2, CANVAS_SIZE / 2)
    ImageDraw.Draw(mask).text(centre, text, 255, _load_font(size), anchor="mm")
    rotated = mask.rotate(angle) if angle else mask
    return rotated.reduce(OVERSAMPLING)


@cache
def _load_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError(
            "Pillow was built without FreeType, which is needed to draw the posters among the "
            "images of shapes: "
            "install Pillow from a wheel"
        )
    return font
