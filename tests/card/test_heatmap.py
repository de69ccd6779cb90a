"""Pictures of matrices: a cell is as dark as its share."""

import numpy as np
import pytest

from cnlw_tools.card.heatmap import MARGIN, MATRIX_SIDE, NAME_WIDTH, TITLE_HEIGHT, draw_matrices

WHITE, DARK = (255, 255, 255), (30, 58, 138)


def corner(image, i, j, classes):
    """A pixel near the corner of a cell, where no number stands."""
    step = MATRIX_SIDE / classes
    return image.getpixel(
        (int(MARGIN + NAME_WIDTH + j * step + 3), int(MARGIN + TITLE_HEIGHT + i * step + 3))
    )


@pytest.mark.parametrize("classes", [2, 10, 13, 100])
def test_cells(classes):
    """One is dark, nothing is white, in the row of the true and the column of the given label."""
    matrix = np.eye(classes)
    matrix[0] = np.roll(matrix[0], 1)
    image = draw_matrices([("x", matrix)], [f"class {i}" for i in range(classes)])

    assert DARK == corner(image, 0, 1, classes)
    assert WHITE == corner(image, 0, 0, classes)
    assert DARK == corner(image, classes - 1, classes - 1, classes)


@pytest.mark.parametrize(("count", "across", "down"), [(1, 1, 1), (4, 4, 1), (5, 4, 2)])
def test_layout(count, across, down):
    """Four in a row, then the next row."""
    image = draw_matrices([("x", np.eye(2))] * count, ["a", "b"])

    assert (
        across * (NAME_WIDTH + MATRIX_SIDE + MARGIN) + MARGIN,
        down * (TITLE_HEIGHT + MATRIX_SIDE + MARGIN) + MARGIN,
    ) == image.size


def test_darker_is_more():
    """Shades rise with the share."""
    matrix = np.array([[0.1, 0.9], [0.4, 0.6]])
    image = draw_matrices([("x", matrix)], ["a", "b"])
    shades = [sum(corner(image, i, j, 2)) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]

    assert sorted(shades, reverse=True) == shades
    assert len(set(shades)) == 4
