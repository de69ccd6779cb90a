"""A picture of label transition matrices: a row for each true class, a column for each given label.

The darker a cell, the larger its share.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnlw_tools.card.font import FAINT, INK, PAPER, load_font, shorten

# All lengths are in pixels.
MATRIX_SIDE = 360
MARGIN = 16  # around a matrix
NAME_WIDTH = 96  # the column of class names
TITLE_HEIGHT = 34

MAX_CLASSES_WITH_NUMBERS = 12  # with more classes, the shares are not written
MAX_CLASSES_WITH_NAMES = 24  # with more classes, the names are not written
TITLE_LETTER_SIZE = 15
MIN_LETTER_SIZE, MAX_LETTER_SIZE = 9, 15  # of names and numbers
DARK = np.array([30, 58, 138])  # the RGB colour of a share of 1
MIN_DARK_SHARE = 0.35  # the numbers of larger shares are white, to be legible on dark cells

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
    n_rows = math.ceil(len(matrices) / n_columns)
    has_title = any(title for title, _ in matrices)
    title_height = TITLE_HEIGHT if has_title else 0
    width = NAME_WIDTH + MATRIX_SIDE + MARGIN
    height = title_height + MATRIX_SIDE + MARGIN
    full_width = n_columns * width + MARGIN
    full_height = n_rows * height + MARGIN
    picture = Image.new("RGB", (full_width, full_height), PAPER)
    pen = ImageDraw.Draw(picture)
    font = load_font(TITLE_LETTER_SIZE)
    for i, (title, matrix) in enumerate(matrices):
        row, column = divmod(i, n_columns)
        left = MARGIN + column * width + NAME_WIDTH
        top = MARGIN + row * height
        if title:
            middle = (left, top + TITLE_HEIGHT / 2)
            pen.text(middle, title, INK, font, anchor="lm")
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
    side = (MATRIX_SIDE, MATRIX_SIDE)
    cells = Image.fromarray(_colours(matrix))
    cells = cells.resize(side, Image.Resampling.NEAREST)
    picture.paste(cells, (left, top))
    right, bottom = left + MATRIX_SIDE, top + MATRIX_SIDE
    pen.rectangle((left - 1, top - 1, right, bottom), outline=FAINT)
    if len(classes) <= MAX_CLASSES_WITH_NAMES:
        _write_names(pen, left, top, classes)
    if len(classes) <= MAX_CLASSES_WITH_NUMBERS:
        _write_numbers(pen, left, top, matrix)


def _write_names(
    pen: ImageDraw.ImageDraw,
    left: int,
    top: int,
    classes: Sequence[str],
) -> None:
    """Write the name of each class left of its row."""
    step = MATRIX_SIDE / len(classes)
    size = _letter_size(step)
    font = load_font(size)
    for i, name in enumerate(classes):
        y = top + (i + 0.5) * step
        text = shorten(name, size, NAME_WIDTH - 8)
        pen.text((left - 6, y), text, INK, font, anchor="rm")


def _write_numbers(
    pen: ImageDraw.ImageDraw,
    left: int,
    top: int,
    matrix: Matrix,
) -> None:
    """Write the share of each cell into it, in percent; cells with a share of 0 stay empty."""
    step = MATRIX_SIDE / len(matrix)
    font = load_font(_letter_size(step))
    for i, j in np.argwhere(matrix):
        share = matrix[i, j]
        x = left + (j + 0.5) * step
        y = top + (i + 0.5) * step
        colour = PAPER if share > MIN_DARK_SHARE else INK
        percent = f"{100 * share:.0f}"
        pen.text((x, y), percent, colour, font, anchor="mm")


def _letter_size(step: float) -> int:
    """Return the size of letters that fit rows of this height in pixels."""
    size = min(MAX_LETTER_SIZE, int(0.8 * step))
    return max(MIN_LETTER_SIZE, size)


def _colours(matrix: Matrix) -> NDArray[np.uint8]:
    """Return (C, C, 3) colours: white for 0, dark for 1; the square root shows small shares."""
    share = np.clip(matrix, 0, 1)
    shade = np.sqrt(share)[..., None]
    difference = DARK - 255
    colours = np.round(255 + difference * shade)
    return colours.astype(np.uint8)
