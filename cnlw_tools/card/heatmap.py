"""A picture of label transition matrices: a row a true class, a column a given label, the darker the more."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cnlw_tools.card.font import FAINT, INK, PAPER, fitted, font

SIDE, MARGIN, NAME, HEAD = (
    360,
    16,
    96,
    34,
)  # pixels: a matrix, around it, the column of names, the title
NUMBERS, NAMES = 12, 24  # at most so many classes have their numbers, their names, written


def draw(
    matrices: Sequence[tuple[str, NDArray[np.float64]]], classes: Sequence[str], across: int = 4
) -> Image.Image:
    """Return one picture of several matrices, each (C, C) with rows that sum to 1, under its title if it has one."""
    columns = min(across, len(matrices))
    rows = -(-len(matrices) // columns)
    head = HEAD if any(title for title, _ in matrices) else 0
    width, height = NAME + SIDE + MARGIN, head + SIDE + MARGIN
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + MARGIN), PAPER)
    for i, (title, matrix) in enumerate(matrices):
        left, top = MARGIN + i % columns * width, MARGIN + i // columns * height
        if title:
            ImageDraw.Draw(sheet).text(
                (left + NAME, top + HEAD / 2), title, INK, font(15), anchor="lm"
            )
        _one(sheet, left + NAME, top + head, matrix, classes)
    return sheet


def _one(
    sheet: Image.Image, left: int, top: int, matrix: NDArray[np.float64], classes: Sequence[str]
) -> None:
    pen = ImageDraw.Draw(sheet)
    sheet.paste(
        Image.fromarray(_colours(matrix)).resize((SIDE, SIDE), Image.Resampling.NEAREST),
        (left, top),
    )
    pen.rectangle((left - 1, top - 1, left + SIDE, top + SIDE), outline=FAINT)
    step = SIDE / len(classes)
    size = max(9, min(15, int(0.8 * step)))
    for i, name in enumerate(classes if len(classes) <= NAMES else ()):
        at = (left - 6, top + (i + 0.5) * step)
        pen.text(at, fitted(name, size, NAME - 8), INK, font(size), anchor="rm")
    for (i, j), share in np.ndenumerate(matrix) if len(classes) <= NUMBERS else ():
        at = (left + (j + 0.5) * step, top + (i + 0.5) * step)
        if share:
            pen.text(
                at, f"{100 * share:.0f}", PAPER if share > 0.35 else INK, font(size), anchor="mm"
            )


def _colours(matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """White for 0, dark blue for 1; the root lets small shares be seen."""
    dark = np.array([30, 58, 138])
    shade = np.sqrt(np.clip(matrix, 0, 1))[..., None]
    return np.round(255 + (dark - 255) * shade).astype(np.uint8)
