"""A picture of a few images by id: each in a row, with what is known of it beside it."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from cnlw_tools.card.font import FAINT, INK, PAPER, load_font, shorten, wrap
from cnlw_tools.card.sample_grid import GAP, STEP, fit_cell

# in pixels
TEXT_LEFT = STEP + 2 * GAP
TEXT_WIDTH = 560
TEXT_SIZE = 13  # of letters
LINE_HEIGHT = 18


def draw_images(rows: Sequence[tuple[Image.Image, str, str]]) -> Image.Image:
    """Return a picture of images.

    Args:
        rows: an image, its id, and what is known of it, for each row
    """
    font = load_font(TEXT_SIZE)
    lines_of_row = [wrap(text, TEXT_SIZE, TEXT_WIDTH) for _, _, text in rows]
    heights = [max(STEP, LINE_HEIGHT * (len(lines) + 1) + GAP) for lines in lines_of_row]
    width = TEXT_LEFT + TEXT_WIDTH + GAP
    picture = Image.new("RGB", (width, GAP + sum(heights)), PAPER)
    pen = ImageDraw.Draw(picture)
    top = GAP
    for (image, image_id, _), lines, height in zip(rows, lines_of_row, heights, strict=True):
        picture.paste(fit_cell(image), (GAP, top))
        name = shorten(image_id, TEXT_SIZE, TEXT_WIDTH)
        pen.text((TEXT_LEFT, top), name, INK, font)
        for i, line in enumerate(lines, 1):
            pen.text((TEXT_LEFT, top + i * LINE_HEIGHT), line, FAINT, font)
        top += height
    return picture
