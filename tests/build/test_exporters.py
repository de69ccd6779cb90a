"""What every exporter must keep: what was planned is what is read back."""

from io import BytesIO

import datasets
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cnlw_tools.build.exporters import EXPORTERS
from cnlw_tools.dataset.tables import PLAN

CLASSES = ("zero", "ünï, 'one'", "2")


def from_hf(path, cache):
    """Read a shard back: rows, and the pixels of each."""
    data = datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(cache)
    )
    assert data.features["label"].names == list(CLASSES)
    return [
        ({k: v for k, v in row.items() if k != "image"}, np.asarray(row["image"])) for row in data
    ]


READERS = {"hf": from_hf}
every = pytest.mark.parametrize("name", EXPORTERS)


def planned(n):
    rows = [
        {
            "image_id": f"i{i}",
            "label": i % 3,
            "clean_label": None if i % 2 else (i + i // 3) % 3,
            "origin": "web" if i % 2 else "base",
            "replaces": f"old {i}" if i % 2 else None,
            "is_noisy": bool(i % 2),
            "split": "train",
        }
        for i in range(n)
    ]
    return pa.Table.from_pylist(rows, PLAN)


def pictures(n):
    found = []
    for i in range(n):
        out = BytesIO()
        Image.fromarray(
            np.random.default_rng(i).integers(0, 256, (5 + i % 3, 4, 3), np.uint8)
        ).save(out, "PNG")
        found.append(out.getvalue())
    return found


def test_readers():
    """Every exporter is read back here."""
    assert set(READERS) == set(EXPORTERS)


@every
@pytest.mark.parametrize("n", [1, 2, 260])
def test_round_trip(name, n, tmp_path):
    """Rows come back in order, with their labels, what is null and all pixels."""
    rows, images = planned(n), pictures(n)

    EXPORTERS[name](tmp_path / "x.parquet", rows, images, CLASSES)
    found = READERS[name](tmp_path / "x.parquet", tmp_path / "cache")

    assert [row for row, _ in found] == [
        {k: row[k] for k in ("label", "clean_label", "is_noisy", "origin", "image_id", "replaces")}
        for row in rows.to_pylist()
    ]
    assert all(
        np.array_equal(pixels, Image.open(BytesIO(raw)))
        for (_, pixels), raw in zip(found, images, strict=True)
    )


@every
def test_same_bytes(name, tmp_path):
    """The same rows and images give the same bytes, in whatever chunks they come."""
    rows, images = planned(60), pictures(60)

    EXPORTERS[name](tmp_path / "a.parquet", rows, images, CLASSES)
    EXPORTERS[name](tmp_path / "b.parquet", pa.concat_tables([rows[:7], rows[7:]]), images, CLASSES)

    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
