"""A store is written in the format of img2dataset, and its output is imported into a store."""

import json
import tarfile
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.store import img2dataset
from cnlw_tools.store.store import Store, open_ledger

# The schema of a real run of img2dataset 1.47, with two columns of the user.
IMG2DATASET_COLUMNS = ["image_id", "licence", "url", "key", "status", "error_message"]
IMG2DATASET_COLUMNS += ["width", "height", "original_width", "original_height", "sha256"]


@pytest.fixture
def store(server, fetch_rows, tmp_path):
    """A store with three images, two failed downloads and a web page."""
    paths = {
        "a/1": "/ok/1",
        "b": "/body/png",
        "c": "/body/gif",
        "d": "/status/404",
        "e": "/body/html",
        "f": "/short",
    }
    fetch_rows({image_id: server.url + path for image_id, path in paths.items()})
    with Store(tmp_path / "store") as store:
        yield store


def test_export(store, tmp_path, monkeypatch):
    """A shard has three files, keys like those of img2dataset, and the original bytes."""
    monkeypatch.setattr(img2dataset, "SHARD_ROWS", 4)
    monkeypatch.setattr(img2dataset, "ROW_DIGITS", 1)

    counts = img2dataset.export_store(store, tmp_path / "out")

    assert {"success": 3, "failed_to_download": 2, "failed_to_resize": 1} == counts
    endings = (".parquet", ".tar", "_stats.json")
    files = [f"{shard:05d}{ending}" for shard in range(2) for ending in endings]
    assert files == sorted(p.name for p in (tmp_path / "out").iterdir())
    table = pq.read_table(tmp_path / "out" / "00000.parquet")
    assert IMG2DATASET_COLUMNS == table.column_names
    assert ["a/1", "b", "c", "d"] == table["image_id"].to_pylist()
    assert ["000000", "000001", "000002", "000003"] == table["key"].to_pylist()
    second_table = pq.read_table(tmp_path / "out" / "00001.parquet")
    assert ["000010", "000011"] == second_table["key"].to_pylist()
    assert ["success", "success", "success", "failed_to_download"] == table["status"].to_pylist()
    with tarfile.open(tmp_path / "out" / "00000.tar") as tar:
        names = []
        for i, suffix in enumerate(("jpg", "png", "gif")):
            names += [f"00000{i}.{suffix}", f"00000{i}.json"]
        assert names == tar.getnames()
        assert store.read("b") == tar.extractfile("000001.png").read()
        assert table.to_pylist()[1] == json.loads(tar.extractfile("000001.json").read())
    stats = json.loads((tmp_path / "out" / "00001_stats.json").read_text())
    keys = ("count", "successes", "failed_to_download", "failed_to_resize")
    assert [2, 0, 1, 1] == [stats[key] for key in keys]


def test_round_trip(store, tmp_path):
    """An exported store is imported with the same bytes, URIs and sizes, marked as original."""
    img2dataset.export_store(store, tmp_path / "out")

    with open_ledger(tmp_path / "again") as ledger:
        first = img2dataset.import_images(tmp_path / "out", ledger)
        timestamp = ledger.read_row("b").timestamp
        second = img2dataset.import_images(tmp_path / "out", ledger)

        assert ({"ok": 3}, 3) == (first.counts, first.skipped)
        assert {"ok": 3} == second.counts
        assert timestamp == ledger.read_row("b").timestamp  # nothing is imported again
        for image_id in ("a/1", "b", "c"):
            exported, imported = store.read_row(image_id), ledger.read_row(image_id)
            assert exported.sha256 == imported.sha256
            assert exported.uri == imported.uri
            assert exported.width == imported.width
            assert "uri" == imported.source
            assert store.read(image_id) == ledger.read(image_id)
    with pytest.raises(FileExistsError, match="is not empty: give a new folder"):
        img2dataset.export_store(store, tmp_path / "out")


def write_shard(folder, data, layout, original=b"another", suffix="jpg"):
    """Write a shard like img2dataset: an image for each id, with the sha256 of the original."""
    folder.mkdir()
    keys = [f"{i:09d}" for i in range(len(data))]
    columns = {
        "name": list(data),
        "license": ["CC0"] * len(data),
        "url": [f"http://x/{k}" for k in keys],
        "key": keys,
    }
    columns |= {
        "status": ["success"] * len(data),
        "sha256": [sha256(original).hexdigest()] * len(data),
    }
    columns |= {suffix: pa.array(data.values(), pa.binary())} if layout == "parquet" else {}
    pq.write_table(pa.table(columns), folder / "00000.parquet")
    (folder / "00000").mkdir(exist_ok=True)
    for key, body in zip(keys, data.values(), strict=True):
        (folder / "00000" / f"{key}.{suffix}").write_bytes(body)
        (folder / "00000" / f"{key}.json").write_text("{}")
    if layout == "webdataset":
        with tarfile.open(folder / "00000.tar", "w") as tar:
            for path in sorted((folder / "00000").iterdir()):
                tar.add(path, path.name)


@pytest.mark.parametrize("layout", ["files", "webdataset", "parquet"])
def test_reencoded_images(encode, tmp_path, layout):
    """In each format, bytes that differ from the download have the source `img2dataset`."""
    reencoded, original = encode("JPEG", 1), encode("JPEG", 2)
    images = {"a": reencoded, "b": original, "../c": reencoded, "d": b"<html>"}
    write_shard(tmp_path / "in", images, layout, original)

    with open_ledger(tmp_path / "s") as ledger:
        tally = img2dataset.import_images(tmp_path / "in", ledger, "name")

        assert {"ok": 2, "refused": 1, "not_image": 1} == tally.counts
        assert ["img2dataset", "uri"] == [ledger.read_row(i).source for i in "ab"]
        assert reencoded == ledger.read("a")
        assert {"license": "CC0"} == json.loads(ledger.read_row("a").licence)


@pytest.mark.parametrize("layout", ["files", "webdataset", "parquet"])
@pytest.mark.parametrize(("format", "suffix"), [("AVIF", "avif"), ("TIFF", "tif"), ("GIF", "")])
def test_first_bytes_decide(encode, tmp_path, layout, format, suffix):
    """Images of every format are imported; of files with another ending, the first bytes tell."""
    suffix = suffix or ("jpeg" if layout == "parquet" else "bin")
    write_shard(tmp_path / "in", {"a": encode(format)}, layout, suffix=suffix)

    with open_ledger(tmp_path / "s") as ledger:
        img2dataset.import_images(tmp_path / "in", ledger, "name")

        assert ledger.read("a") == encode(format)


def test_errors(encode, tmp_path):
    """Errors name a missing folder, column or image, and a damaged archive."""
    write_shard(tmp_path / "in", {"a": encode("JPEG")}, "files")
    with open_ledger(tmp_path / "s") as ledger:
        with pytest.raises(FileNotFoundError, match="no output of img2dataset"):
            img2dataset.import_images(tmp_path / "none", ledger)
        with pytest.raises(ValueError, match=r"column 'nam' is missing\. Did you mean 'name'"):
            img2dataset.import_images(tmp_path / "in", ledger, "nam")
        (tmp_path / "in" / "00000" / "000000000.jpg").unlink()
        with pytest.raises(ValueError, match="1 of its images are missing, such as 000000000"):
            img2dataset.import_images(tmp_path / "in", ledger, "name")
        (tmp_path / "in" / "00000.tar").write_bytes(b"no archive")
        with pytest.raises(ValueError, match="cannot be read as a tar archive"):
            img2dataset.import_images(tmp_path / "in", ledger, "name")


def test_a_huge_member_is_not_read(encode, tmp_path, monkeypatch):
    """A member of an archive that is longer than any image is an error that names it."""
    write_shard(tmp_path / "in", {"a": encode("JPEG")}, "webdataset")
    monkeypatch.setattr(img2dataset, "LARGEST_IMAGE", len(encode("JPEG")) - 1)

    with (
        open_ledger(tmp_path / "s") as ledger,
        pytest.raises(ValueError, match=r"00000\.tar: 000000000\.jpg: .*MB"),
    ):
        img2dataset.import_images(tmp_path / "in", ledger, "name")
