"""Pictures of matrices: a cell is as dark as its share, and says who was taken for whom."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cnlw_tools.card import heatmap
from cnlw_tools.card.font import load_font
from cnlw_tools.card.heatmap import (
    BAR_SPACE,
    MARGIN,
    MAX_SIDE,
    TITLE_HEIGHT,
    choose_layout,
    draw_matrices,
    largest_confusions,
    merge_equal,
    round_to_percent,
)

WHITE, DARK, GREY = (255, 255, 255), (30, 58, 138), (228, 228, 231)


def class_names(classes):
    return [f"class {i}" for i in range(classes)]


def corner(image, i, j, classes, title_height=TITLE_HEIGHT):
    """A pixel near the corner of a cell, where no number stands."""
    layout = choose_layout(class_names(classes))
    inset = min(3, layout.cell // 2)
    x = MARGIN + layout.left + j * layout.cell + inset
    return image.getpixel((x, title_height + i * layout.cell + inset))


@pytest.fixture
def written(monkeypatch):
    """All texts that are drawn."""
    texts = []
    draw = ImageDraw.ImageDraw.text

    def record(pen, position, text, *arguments, **options):
        texts.append(text)
        return draw(pen, position, text, *arguments, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    return texts


@pytest.mark.parametrize("classes", [2, 10, 30, 31, 100, 720])
def test_cells(classes):
    """One is dark, nothing is white, in the row of the true and the column of the given label."""
    matrix = np.eye(classes)
    matrix[0] = np.roll(matrix[0], 1)
    image = draw_matrices([("x", matrix)], class_names(classes))

    assert DARK == corner(image, 0, 1, classes)
    assert WHITE == corner(image, 0, 0, classes)
    assert DARK == corner(image, classes - 1, classes - 1, classes)


@pytest.mark.parametrize(("count", "across", "down"), [(1, 1, 1), (4, 4, 1), (5, 4, 2)])
def test_layout(count, across, down):
    """Four in a row, then the next row; the colour bar stands beside them, a note below."""
    image = draw_matrices([("x", np.eye(2))] * count, ["a", "b"])
    layout = choose_layout(["a", "b"])
    width = across * (layout.left + layout.side + MARGIN) + MARGIN + BAR_SPACE
    height = down * (TITLE_HEIGHT + layout.side + layout.bottom)

    assert image.width == width
    assert height < image.height < height + 5 * MARGIN


def test_darker_is_more():
    """Shades rise with the share."""
    matrix = np.array([[0.1, 0.9], [0.4, 0.6]])
    image = draw_matrices([("x", matrix)], ["a", "b"])
    shades = [sum(corner(image, i, j, 2)) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]

    assert sorted(shades, reverse=True) == shades
    assert len(set(shades)) == 4


@pytest.mark.parametrize("classes", [2, 10, 30, 100, 1000])
def test_axes_are_named_and_the_unit_stands_at_the_bar(written, classes):
    """Both axes have a title, the same classes are named on both, and the bar goes to 100 %."""
    draw_matrices([("x", np.eye(classes))], class_names(classes))
    names = [text for text in written if text.startswith("class ")]

    assert {"true label", "given label", "100 %", "0"} <= {*written}
    assert names == sorted(names, key=lambda name: int(name.split()[1]))
    assert {names.count(name) for name in names} == {2}  # left of a row and below a column
    if classes <= 30:
        assert len({*names}) == classes


@pytest.mark.parametrize("classes", [31, 50, 100, 196, 500, 720, 1000, 5000])
def test_names_do_not_touch(classes):
    """Where classes are many, only so many are named as there is room for, and the picture is finite."""
    layout = choose_layout(class_names(classes))
    rows = [*layout.named_cells]

    assert layout.side <= MAX_SIDE
    assert len(rows) >= 25
    assert (rows[1] - rows[0]) * layout.cell > layout.name_size
    assert layout.n_cells * layout.classes_per_cell >= classes


def test_no_name_leaves_the_picture():
    """A long name is shortened to its column."""
    layout = choose_layout(["a" * 200, "b"])

    assert layout.name_width <= heatmap.MAX_NAME_WIDTH + 8


@pytest.mark.parametrize("seed", range(5))
def test_rows_add_to_100(seed):
    """Rounded shares of a row add up to 100, and each is one of its two neighbours."""
    matrix = np.random.default_rng(seed).dirichlet(np.full(12, 0.3), 12)
    percents = round_to_percent(matrix)

    assert (percents.sum(1) == 100).all()
    assert (np.abs(percents - 100 * matrix) < 1).all()


def test_the_largest_remainders_are_rounded_up():
    """62.5, 25, 12.5: the first of equal remainders; halves to even would give 62, 25, 12."""
    matrix = np.array([[0.625, 0.25, 0.125], [1 / 3, 1 / 3, 1 / 3], [0, 0, 0]])

    assert round_to_percent(matrix).tolist() == [[63, 25, 12], [34, 33, 33], [0, 0, 0]]


def test_zeros_are_empty_however_they_came(written):
    """Neither a share of 0 nor one that is rounded to 0 has a number."""
    matrix = np.array([[0.998, 0.002, 0], [0, 1, 0], [0, 0, 1.0]])
    draw_matrices([("", matrix)], ["a", "b", "c"])

    assert [text for text in written if text == "0"] == ["0"]  # the end of the bar
    assert written.count("100") == 3


def test_a_class_without_images_is_grey_and_the_picture_says_so(written):
    """A row of zeros is no share of 0."""
    matrix = np.array([[1.0, 0], [0, 0]])
    image = draw_matrices([("x", matrix)], ["a", "b"])

    assert [corner(image, 1, j, 2) for j in (0, 1)] == [GREY, GREY]
    assert "A grey row" in " ".join(written)


def test_a_matrix_without_a_value_is_grey():
    """Nan is drawn as nothing known, without a warning."""
    image = draw_matrices([("x", np.full((2, 2), np.nan))], ["a", "b"])

    assert GREY == corner(image, 0, 0, 2)


def test_equal_matrices_come_once():
    """All titles of one matrix stand together, in order."""
    same, other = np.eye(2), np.array([[0.5, 0.5], [0, 1]])
    merged = merge_equal([("a", same), ("b", other), ("c", np.eye(2))])

    assert [titles for titles, _ in merged] == [["a", "c"], ["b"]]


def test_many_classes_share_a_cell_and_lose_no_confusion(written):
    """Of 1,000 classes four share a cell; one large share is seen, and named."""
    matrix = np.eye(1000)
    matrix[3] = 0.25 * np.eye(1000)[3] + 0.75 * np.eye(1000)[901]
    image = draw_matrices([("x", matrix)], class_names(1000))
    layout = choose_layout(class_names(1000))
    x = MARGIN + layout.left + 901 // layout.classes_per_cell * layout.cell
    y = TITLE_HEIGHT + 3 // layout.classes_per_cell * layout.cell
    alone = draw_matrices([("x", np.array([[0.25, 0.75], [0, 1]]))], ["a", "b"])

    assert image.getpixel((x, y)) == corner(alone, 0, 1, 2)
    assert "75.0 %: class 3 labelled class 901" in written
    assert "2 x 2 classes" in " ".join(written)


def test_largest_confusions_are_those_beside_the_diagonal():
    """The largest shares of other labels, largest first; none where no label differs."""
    matrix = np.array([[0.9, 0.1, 0], [0.5, 0.2, 0.3], [0, 0, 1]])

    assert largest_confusions(matrix) == [(1, 0), (1, 2), (0, 1)]
    assert largest_confusions(np.eye(3)) == []


def test_column_names_are_written_upwards():
    """The name of a column is its row's name turned to the left."""
    picture = Image.new("RGB", (40, 80), WHITE)
    heatmap._write_upwards(picture, (20, 5), "key", (0, 0, 0), 13)
    box = Image.eval(picture.convert("L"), lambda v: 255 - v).getbbox()

    assert box[3] - box[1] > 1.3 * (box[2] - box[0])
    assert box[1] >= 5
    assert box[3] - box[1] <= load_font(13).getlength("key") + 2
