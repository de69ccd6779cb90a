"""A picture of label transition matrices: a row for each true class, a column for each given label.

The larger a share, the darker its cell.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnlw_tools.card.font import FAINT, INK, PAPER, load_font, shorten

# in pixels
MATRIX_SIDE = 360
MARGIN = 16  # around a matrix
NAME_WIDTH = 96  # the column of class names
TITLE_HEIGHT = 34

MAX_NUMBERS, MAX_NAMES = 12, 24  # classes up to which shares, and names, are written
TITLE_SIZE, NUMBER_SIZE = 15, (9, 15)  # of letters; the second: smallest and largest
DARK = np.array([30, 58, 138])  # RGB of a share of 1
PALE = 0.35  # share above which a number is white

Matrix = NDArray[np.float64]


def draw_matrices(
    matrices: Sequence[tuple[str, Matrix]],
    classes: Sequence[str],
    max_columns: int = 4,
) -> Image.Image:
    """Return one picture of several matrices.

    Args:
        matrices: title, which may be empty, and (C, C) shares whose rows sum to 1
        classes: (C,) names
        max_columns: matrices side by side
    """
    n_columns = min(max_columns, len(matrices))
    n_rows = -(-len(matrices) // n_columns)
    has_title = any(title for title, _ in matrices)
    title_height = TITLE_HEIGHT if has_title else 0
    width = NAME_WIDTH + MATRIX_SIDE + MARGIN
    height = title_height + MATRIX_SIDE + MARGIN
    size = (n_columns * width + MARGIN, n_rows * height + MARGIN)
    picture = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(picture)
    for i, (title, matrix) in enumerate(matrices):
        row, column = divmod(i, n_columns)
        left = MARGIN + column * width + NAME_WIDTH
        top = MARGIN + row * height
        if title:
            middle = (left, top + TITLE_HEIGHT / 2)
            pen.text(middle, title, INK, load_font(TITLE_SIZE), anchor="lm")
        _draw_matrix(picture, left, top + title_height, matrix, classes)
    return picture


def _draw_matrix(
    picture: Image.Image,
    left: int,
    top: int,
    matrix: Matrix,
    classes: Sequence[str],
) -> None:
    """Draw one matrix with the names of its classes and, if there is room, its numbers."""
    pen = ImageDraw.Draw(picture)
    cells = Image.fromarray(_colours(matrix))
    side = (MATRIX_SIDE, MATRIX_SIDE)
    picture.paste(cells.resize(side, Image.Resampling.NEAREST), (left, top))
    frame = (left - 1, top - 1, left + MATRIX_SIDE, top + MATRIX_SIDE)
    pen.rectangle(frame, outline=FAINT)
    step = MATRIX_SIDE / len(classes)
    smallest, largest = NUMBER_SIZE
    size = max(smallest, min(largest, int(0.8 * step)))
    if len(classes) <= MAX_NAMES:
        for i, name in enumerate(classes):
            end = (left - 6, top + (i + 0.5) * step)
            text = shorten(name, size, NAME_WIDTH - 8)
            pen.text(end, text, INK, load_font(size), anchor="rm")
    if len(classes) <= MAX_NUMBERS:
        for (i, j), share in np.ndenumerate(matrix):
            if share:
                middle = (left + (j + 0.5) * step, top + (i + 0.5) * step)
                colour = PAPER if share > PALE else INK
                percent = f"{100 * share:.0f}"
                pen.text(middle, percent, colour, load_font(size), anchor="mm")


def _colours(matrix: Matrix) -> NDArray[np.uint8]:
    """Return (C, C, 3) colours: white for 0, dark for 1; the root makes small shares visible."""
    shade = np.sqrt(np.clip(matrix, 0, 1))[..., None]
    colours = 255 + (DARK - 255) * shade
    return np.round(colours).astype(np.uint8)
