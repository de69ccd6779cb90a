"""A picture of label transition matrices: a row a true class, a column a given label, the darker the more."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnlw_tools.export.font import FAINT, INK, PAPER, fitted, font

SIDE, MARGIN, NAME, HEAD = 360, 16, 96, 34  # pixels: a matrix, around it, the column of names, the title
NUMBERS, NAMES = 12, 24  # at most so many classes have their numbers, their names, written


def draw(matrices: Sequence[tuple[str, NDArray[np.float64]]], classes: Sequence[str], across: int = 4) -> Image.Image:
    """Return one picture of several matrices, each (C, C) with rows that sum to 1, under its title."""
    columns = min(across, len(matrices))
    rows = -(-len(matrices) // columns)
    width, height = NAME + SIDE + MARGIN, HEAD + SIDE + MARGIN
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + MARGIN), PAPER)
    for i, (title, matrix) in enumerate(matrices):
        left, top = MARGIN + i % columns * width, MARGIN + i // columns * height
        _one(sheet, left, top, title, matrix, classes)
    return sheet


def _one(
    sheet: Image.Image, left: int, top: int, title: str, matrix: NDArray[np.float64], classes: Sequence[str]
) -> None:
    pen = ImageDraw.Draw(sheet)
    pen.text((left + NAME, top + HEAD / 2), title, INK, font(15), anchor="lm")
    cells = Image.fromarray(_colours(matrix)).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    sheet.paste(cells, (left + NAME, top + HEAD))
    pen.rectangle((left + NAME - 1, top + HEAD - 1, left + NAME + SIDE, top + HEAD + SIDE), outline=FAINT)
    step = SIDE / len(classes)
    for i, name in enumerate(classes if len(classes) <= NAMES else ()):
        pen.text(
            (left + NAME - 6, top + HEAD + (i + 0.5) * step), fitted(name, 12, NAME - 8), INK, font(12), anchor="rm"
        )
    if len(classes) <= NUMBERS:
        for (i, j), share in np.ndenumerate(matrix):
            at = (left + NAME + (j + 0.5) * step, top + HEAD + (i + 0.5) * step)
            if share:
                pen.text(at, f"{100 * share:.0f}", PAPER if share > 0.35 else INK, font(12), anchor="mm")


def _colours(matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """White for 0, dark blue for 1; the root lets small shares be seen."""
    dark = np.array([30, 58, 138])
    shade = np.sqrt(np.clip(matrix, 0, 1))[..., None]
    return np.round(255 + (dark - 255) * shade).astype(np.uint8)
