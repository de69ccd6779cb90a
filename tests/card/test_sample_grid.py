"""The picture of what noise looks like."""

from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cnlw_tools.card import sample_grid
from cnlw_tools.card.sample_grid import CELL, GAP, HEADER_HEIGHT, MAX_CLEAN, MAX_NOISY, NAME_WIDTH
from cnlw_tools.dataset.tables import PLAN
from tests.shard_files import write_shard

RIGHT = NAME_WIDTH + MAX_CLEAN * (CELL + GAP) + 3 * GAP


def made(folder, classes, each, noisy, origin="base"):
    """Draw a grid of one-coloured pictures: green ones are clean, red ones noisy."""
    rows, images = [], []
    for i in range(classes * each):
        wrong = i < noisy
        rows.append(
            {
                "image_id": f"i{i}",
                "label": i % classes,
                "clean_label": None,
                "origin": origin if wrong else "base",
                "replaces": None,
                "is_noisy": wrong,
                "split": "train",
            }
        )
        out = BytesIO()
        Image.new("RGB", (CELL, CELL), (200, 0, 0) if wrong else (0, 200, 0)).save(out, "PNG")
        images.append(out.getvalue())
    table = pa.Table.from_pylist(rows, PLAN)
    names = tuple(f"class {i}" for i in range(classes))
    folder.mkdir()
    write_shard(folder / "x.parquet", table, images, names)
    sample_grid.write_samples(
        folder / "grid.png", "red", folder, table, {"x.parquet": table}, names
    )
    with Image.open(folder / "grid.png") as image:
        return np.asarray(image.convert("RGB"))


def cells(sheet, row):
    """The colours of the middles of a row's cells: clean, noisy."""
    y = HEADER_HEIGHT + row * (CELL + GAP) + CELL // 2
    return [
        [tuple(int(v) for v in sheet[y, left + j * (CELL + GAP) + CELL // 2]) for j in range(count)]
        for left, count in ((NAME_WIDTH, MAX_CLEAN), (RIGHT, MAX_NOISY))
    ]


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_cells(tmp_path, classes):
    """Every class has a row, its clean images left and its noisy ones right."""
    sheet = made(tmp_path / "x", classes, 20, 10 * classes)

    assert sheet.shape[0] == HEADER_HEIGHT + classes * (CELL + GAP) + GAP
    for row in range(classes):
        assert cells(sheet, row) == [[(0, 200, 0)] * MAX_CLEAN, [(200, 0, 0)] * MAX_NOISY]


def test_few(tmp_path):
    """Where there are fewer images than cells, the rest stays empty."""
    assert cells(made(tmp_path / "x", 1, 3, 1), 0) == [
        [(0, 200, 0)] * 2 + [(255, 255, 255)] * 2,
        [(200, 0, 0)] + [(255, 255, 255)] * 7,
    ]


def test_no_noise(tmp_path):
    """Without noise the right side is empty."""
    assert cells(made(tmp_path / "x", 2, 5, 0), 1)[1] == [(255, 255, 255)] * MAX_NOISY


def test_many_classes(tmp_path):
    """Of many classes ten are shown, from the first to the last."""
    assert made(tmp_path / "x", 25, 2, 10).shape[0] == HEADER_HEIGHT + 10 * (CELL + GAP) + GAP
    assert sample_grid._spread_labels(25) == [0, 2, 5, 8, 10, 13, 16, 18, 21, 24]


def test_same_bytes(tmp_path):
    """The same rows give the same picture."""
    for name in "ab":
        made(tmp_path / name, 3, 4, 5)

    assert (tmp_path / "a" / "grid.png").read_bytes() == (tmp_path / "b" / "grid.png").read_bytes()


def test_small_images():
    """A small image is shown in whole multiples, on grey."""
    cell = np.asarray(sample_grid.fit_cell(Image.new("RGB", (32, 32), (9, 9, 9))))

    assert cell.shape == (CELL, CELL, 3)
    assert tuple(cell[CELL // 2, CELL // 2]) == (9, 9, 9)


def test_an_image_that_repeats_is_shown_once():
    """Copies of an image fill one cell of the picture, whatever labels they bear."""
    row = {"clean_label": 9, "origin": "base", "replaces": None, "is_noisy": True, "split": "train"}
    table = pa.Table.from_pylist(
        [{"image_id": f"i{i // 6}", "label": i % 3, **row} for i in range(300)], PLAN
    )
    shown: list[str] = []
    for label in range(3):
        shown += sample_grid._choose_images(table, label, shown)[1]

    assert shown == [f"i{i}" for i in range(3 * MAX_NOISY)]
