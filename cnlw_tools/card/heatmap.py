"""A picture of label transition matrices: a row for each true class, a column for each given label.

The darker a cell, the larger its share. A cell has a number, in percent, where there is room for
one. The numbers of a row are rounded by the largest remainders, so that they add up to the
rounded sum of the row. A cell whose number is 0 stays empty.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnlw_tools.card.font import FAINT, INK, PAPER, drawable_names, load_font, shorten, wrap

# All lengths are in pixels.
USUAL_SIDE = 360  # of a matrix, if its cells are neither too small nor too many
MAX_SIDE = 720
MIN_CELL = 24  # side of a cell with a number
MAX_CLASSES_WITH_NUMBERS = MAX_SIDE // MIN_CELL
MARGIN = 16  # around a matrix
TITLE_HEIGHT = 34
AXIS_HEIGHT = 20  # of the title of an axis
MAX_NAME_WIDTH = 150
BAR_WIDTH, BAR_SPACE = 14, 64  # of the colour bar, and with its numbers

TITLE_SIZE, AXIS_SIZE, NOTE_SIZE = 15, 12, 12  # of letters
MIN_NAME_SIZE, MAX_NAME_SIZE = 11, 13
MIN_NUMBER_SIZE, MAX_NUMBER_SIZE = 10, 15
LINE_HEIGHT = 16  # of a note
N_LARGEST = 3  # pairs of classes that are named where cells have no numbers

DARK = np.array([30, 58, 138])  # the RGB colour of a share of 1
MIN_DARK_SHARE = 0.35  # the numbers of larger shares are white, to be legible on dark cells
BLANK = (228, 228, 231)  # the row of a class without a share
BAR_PERCENTS = (0, 1, 5, 10, 25, 50, 75, 100)
TRUE, GIVEN = "true label", "given label"

Matrix = NDArray[np.float64]
Pen = ImageDraw.ImageDraw


@dataclass(frozen=True, slots=True)
class Layout:
    """The lengths of one matrix and of what stands around it."""

    n_cells: int  # in a row
    classes_per_cell: int  # more than 1 where there are too many classes for the picture
    cell: int  # side
    name_size: int  # of letters
    name_width: int  # of the names left of the matrix, and the height of those below it

    @property
    def side(self) -> int:
        """Side of the matrix."""
        return self.n_cells * self.cell

    @property
    def left(self) -> int:
        """Width of what stands left of the matrix."""
        return AXIS_HEIGHT + self.name_width

    @property
    def bottom(self) -> int:
        """Height of what stands below the matrix."""
        return self.name_width + AXIS_HEIGHT

    @property
    def has_numbers(self) -> bool:
        """Whether cells are large enough for numbers."""
        return self.cell >= MIN_CELL

    @property
    def named_cells(self) -> range:
        """The rows of cells that have names; the first class of each is named."""
        step = math.ceil((self.name_size + 1) / self.cell)
        return range(0, self.n_cells, step)


def draw_matrices(
    matrices: Sequence[tuple[str, Matrix]],
    classes: Sequence[str],
    max_columns: int = 4,
) -> Image.Image:
    """Return one picture of several matrices.

    Args:
        matrices: title, which may be empty, and (C, C) shares whose rows sum to 1, or to 0 for a
            class of which nothing is known
        classes: (C,) names
        max_columns: matrices side by side
    """
    classes = drawable_names(classes)
    layout = choose_layout(classes)
    n_columns = min(max_columns, len(matrices))
    n_rows = math.ceil(len(matrices) / n_columns)
    title_height = TITLE_HEIGHT if any(title for title, _ in matrices) else MARGIN
    width = layout.left + layout.side + MARGIN
    full_width = MARGIN + n_columns * width + BAR_SPACE
    bar_left = full_width - BAR_SPACE
    notes = wrap(_describe_cells(matrices, layout), NOTE_SIZE, full_width - 2 * MARGIN)
    largest = [_largest_lines(matrix, classes, layout) for _, matrix in matrices]
    n_lines = max(map(len, largest))
    height = title_height + layout.side + layout.bottom + n_lines * LINE_HEIGHT
    full_height = n_rows * height + MARGIN + len(notes) * LINE_HEIGHT + MARGIN
    picture = Image.new("RGB", (full_width, full_height), PAPER)
    pen = ImageDraw.Draw(picture)
    for i, (title, matrix) in enumerate(matrices):
        row, column = divmod(i, n_columns)
        left = MARGIN + column * width + layout.left
        top = row * height + title_height
        middle = (left, top - title_height / 2)
        short_title = shorten(title, TITLE_SIZE, layout.side + MARGIN)
        pen.text(middle, short_title, INK, load_font(TITLE_SIZE), anchor="lm")
        _draw_matrix(picture, left, top, matrix, classes, layout)
        lines_top = top + layout.side + layout.bottom
        _write_lines(pen, left - layout.left, lines_top, largest[i])
    _draw_bar(picture, bar_left, title_height, layout.side)
    _write_lines(pen, MARGIN, n_rows * height + MARGIN, notes)
    return picture


def choose_layout(classes: Sequence[str]) -> Layout:
    """Return the lengths of a matrix of these classes."""
    n_classes = len(classes)
    classes_per_cell = math.ceil(n_classes / MAX_SIDE)
    n_cells = math.ceil(n_classes / classes_per_cell)
    if n_cells <= MAX_CLASSES_WITH_NUMBERS:
        cell = max(MIN_CELL, USUAL_SIDE // n_cells)
    else:
        cell = MAX_SIDE // n_cells
    name_size = min(MAX_NAME_SIZE, max(MIN_NAME_SIZE, int(0.5 * cell)))
    font = load_font(name_size)
    longest = max(font.getlength(name) for name in classes)
    name_width = 8 + min(MAX_NAME_WIDTH, math.ceil(longest))
    return Layout(n_cells, classes_per_cell, cell, name_size, name_width)


def merge_equal(matrices: Sequence[tuple[str, Matrix]]) -> list[tuple[list[str], Matrix]]:
    """Return each distinct matrix once, with the titles of all that equal it."""
    merged: dict[bytes, tuple[list[str], Matrix]] = {}
    for title, matrix in matrices:
        titles, _ = merged.setdefault(matrix.tobytes(), ([], matrix))
        titles.append(title)
    return list(merged.values())


def round_to_percent(matrix: Matrix) -> NDArray[np.int64]:
    """Return whole percents; each row has its rounded sum, by the largest remainders.

    Of equal remainders, the one furthest left is rounded up.
    """
    percents = 100 * matrix
    floors = np.floor(percents + 1e-9).astype(np.int64)
    remainders = percents - floors
    missing = np.rint(percents.sum(1)).astype(np.int64) - floors.sum(1)
    ranks = np.argsort(np.argsort(-remainders, 1, kind="stable"), 1)
    rounded_up = ranks < missing[:, None]
    rounded: NDArray[np.int64] = floors + rounded_up
    return rounded


def largest_confusions(matrix: Matrix) -> list[tuple[int, int]]:
    """Return the true and the given label of the largest shares beside the diagonal."""
    true_labels, given_labels = np.nonzero(matrix > 0)
    is_beside = true_labels != given_labels
    true_labels, given_labels = true_labels[is_beside], given_labels[is_beside]
    order = np.argsort(-matrix[true_labels, given_labels], kind="stable")[:N_LARGEST]
    return list(zip(true_labels[order].tolist(), given_labels[order].tolist(), strict=True))


def _describe_cells(matrices: Sequence[tuple[str, Matrix]], layout: Layout) -> str:
    """Return what a reader of the picture has to know of its cells."""
    sentences = ["Each row shows which given labels the images of a true label have, in percent."]
    if layout.has_numbers:
        sentences.append("An empty cell rounds to 0.")
    if layout.classes_per_cell > 1:
        n = layout.classes_per_cell
        sentences.append(f"A cell stands for {n} x {n} classes and shows their largest share.")
    if any(_is_blank(matrix).any() for _, matrix in matrices):
        sentences.append("A grey row belongs to a class of which no image counts here.")
    return " ".join(sentences)


def _largest_lines(matrix: Matrix, classes: Sequence[str], layout: Layout) -> list[str]:
    """Return lines that name the largest shares beside the diagonal, if cells have no numbers."""
    if layout.has_numbers:
        return []
    pairs = largest_confusions(matrix)
    if not pairs:
        return ["No label differs from the true one."]
    lines = []
    for true_label, given_label in pairs:
        pair = f"{classes[true_label]} labelled {classes[given_label]}"
        lines.append(f"{100 * matrix[true_label, given_label]:.1f} %: {pair}")
    return [shorten(line, NOTE_SIZE, layout.left + layout.side) for line in lines]


def _is_blank(matrix: Matrix) -> NDArray[np.bool_]:
    """Return (C,) which classes have no shares."""
    blank: NDArray[np.bool_] = ~(matrix.sum(1) > 0)  # nan is not a share either
    return blank


def _draw_matrix(
    picture: Image.Image,
    left: int,
    top: int,
    matrix: Matrix,
    classes: Sequence[str],
    layout: Layout,
) -> None:
    """Draw one matrix with its axes and, if there is room, its numbers."""
    pen = ImageDraw.Draw(picture)
    merged_cells = _merge_cells(matrix, layout)
    colours = _colours(merged_cells)
    colours[_is_blank(merged_cells)] = BLANK
    cells = Image.fromarray(colours).resize((layout.side, layout.side), Image.Resampling.NEAREST)
    picture.paste(cells, (left, top))
    right, bottom = left + layout.side, top + layout.side
    pen.rectangle((left - 1, top - 1, right, bottom), outline=FAINT)
    middle = layout.side / 2
    font = load_font(AXIS_SIZE)
    axis_y = bottom + layout.name_width + AXIS_HEIGHT / 2
    pen.text((left + middle, axis_y), GIVEN, FAINT, font, anchor="mm")
    axis_x = left - layout.name_width - AXIS_HEIGHT / 2
    _write_upwards(picture, (axis_x, top + middle), TRUE, FAINT, AXIS_SIZE, centred=True)
    for i in layout.named_cells:
        name = shorten(classes[i * layout.classes_per_cell], layout.name_size, MAX_NAME_WIDTH)
        centre = (i + 0.5) * layout.cell
        name_font = load_font(layout.name_size)
        pen.text((left - 5, top + centre), name, INK, name_font, anchor="rm")
        pen.line((left - 3, top + centre, left - 1, top + centre), FAINT)
        pen.line((left + centre, bottom, left + centre, bottom + 2), FAINT)
        end = (left + centre, bottom + 5)
        _write_upwards(picture, end, name, INK, layout.name_size)
    if layout.has_numbers:
        _write_numbers(pen, left, top, matrix, layout)


def _write_upwards(
    picture: Image.Image,
    position: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    size: int,
    centred: bool = False,
) -> None:
    """Write a text from bottom to top; the position is the middle of its end, or its centre."""
    font = load_font(size)
    length, height = math.ceil(font.getlength(text)) + 2, size + 6
    mask = Image.new("L", (length, height))
    ImageDraw.Draw(mask).text((length, height / 2), text, 255, font, anchor="rm")
    mask = mask.rotate(90, expand=True)
    x, y = position
    upper = y - length / 2 if centred else y
    picture.paste(colour, (round(x - height / 2), round(upper)), mask)


def _write_numbers(pen: Pen, left: int, top: int, matrix: Matrix, layout: Layout) -> None:
    """Write the share of each cell into it, in percent."""
    size = min(MAX_NUMBER_SIZE, max(MIN_NUMBER_SIZE, int(0.42 * layout.cell)))
    font = load_font(size)
    shares = np.where(_is_blank(matrix)[:, None], 0, matrix)
    percents = round_to_percent(shares)
    for i, j in np.argwhere(percents):
        x = left + (j + 0.5) * layout.cell
        y = top + (i + 0.5) * layout.cell
        colour = PAPER if matrix[i, j] > MIN_DARK_SHARE else INK
        pen.text((x, y), str(percents[i, j]), colour, font, anchor="mm")


def _draw_bar(picture: Image.Image, left: int, top: int, height: int) -> None:
    """Draw the colours of all shares, from 100 % at the top to 0 at the bottom."""
    pen = ImageDraw.Draw(picture)
    shades = np.linspace(1, 0, height)[:, None]
    column = Image.fromarray(_colours(shades**2))  # as far apart as they look
    picture.paste(column.resize((BAR_WIDTH, height)), (left, top))
    pen.rectangle((left - 1, top - 1, left + BAR_WIDTH, top + height), outline=FAINT)
    for percent in BAR_PERCENTS:
        y = top + (1 - math.sqrt(percent / 100)) * (height - 1)
        pen.line((left + BAR_WIDTH, y, left + BAR_WIDTH + 3, y), FAINT)
        unit = " %" if percent == 100 else ""
        place = (left + BAR_WIDTH + 6, y)
        pen.text(place, f"{percent}{unit}", INK, load_font(NOTE_SIZE), anchor="lm")


def _write_lines(pen: Pen, left: int, top: int, lines: Sequence[str]) -> None:
    """Write notes, one below the other."""
    font = load_font(NOTE_SIZE)
    for i, line in enumerate(lines):
        pen.text((left, top + i * LINE_HEIGHT), line, FAINT, font)


def _merge_cells(matrix: Matrix, layout: Layout) -> Matrix:
    """Return the largest share of each square of classes that one cell stands for."""
    n = layout.classes_per_cell
    if n == 1:
        return matrix
    padding = layout.n_cells * n - len(matrix)
    padded = np.pad(matrix, (0, padding))
    squares = padded.reshape(layout.n_cells, n, layout.n_cells, n)
    largest: Matrix = squares.max((1, 3))
    return largest


def _colours(matrix: Matrix) -> NDArray[np.uint8]:
    """Return RGB colours: white for 0, dark for 1; the square root shows small shares."""
    share = np.clip(np.nan_to_num(matrix), 0, 1)
    shade = np.sqrt(share)[..., None]
    difference = DARK - 255
    colours = np.round(255 + difference * shade)
    return colours.astype(np.uint8)
