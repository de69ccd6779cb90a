"""img2dataset's output: what we write is laid out as it writes, and what it wrote becomes a store."""

import json
import tarfile
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.store import img2dataset
from cnlw_tools.store.store import Store, open_ledger

# the schema of a real run of img2dataset 1.47, without caption and exif, with two columns of the user's
THEIRS = ["image_id", "licence", "url", "key", "status", "error_message"]
THEIRS += ["width", "height", "original_width", "original_height", "sha256"]


@pytest.fixture
def store(server, fetched, tmp_path):
    """A store of three images, two dead links and a page."""
    paths = {
        "a/1": "/ok/1",
        "b": "/body/png",
        "c": "/body/gif",
        "d": "/status/404",
        "e": "/body/html",
        "f": "/short",
    }
    fetched({k: server.url + path for k, path in paths.items()})
    with Store(tmp_path / "store") as store:
        yield store


def test_the_layout(store, tmp_path, monkeypatch):
    """Shards of tar, Parquet and counts; keys as it counts them; bytes as they came."""
    monkeypatch.setattr(img2dataset, "SHARD", 4)
    monkeypatch.setattr(img2dataset, "DIGITS", 1)

    said = img2dataset.export(store, tmp_path / "out")

    assert {"success": 3, "failed_to_download": 2, "failed_to_resize": 1} == said
    shards = [f"{n:05d}{end}" for n in range(2) for end in (".parquet", ".tar", "_stats.json")]
    assert shards == sorted(p.name for p in (tmp_path / "out").iterdir())
    table = pq.read_table(tmp_path / "out" / "00000.parquet")
    assert (THEIRS, ["a/1", "b", "c", "d"]) == (table.column_names, table["image_id"].to_pylist())
    assert ["000000", "000001", "000002", "000003"] == table["key"].to_pylist()
    assert ["000010", "000011"] == pq.read_table(tmp_path / "out" / "00001.parquet")[
        "key"
    ].to_pylist()
    assert ["success", "success", "success", "failed_to_download"] == table["status"].to_pylist()
    with tarfile.open(tmp_path / "out" / "00000.tar") as tar:
        names = [
            f"00000{i}.{end}"
            for i, kind in enumerate(("jpg", "png", "gif"))
            for end in (kind, "json")
        ]
        assert names == tar.getnames()
        assert store.read("b") == tar.extractfile("000001.png").read()
        assert table.to_pylist()[1] == json.loads(tar.extractfile("000001.json").read())
    stats = json.loads((tmp_path / "out" / "00001_stats.json").read_text())
    assert [2, 0, 1, 1] == [
        stats[k] for k in ("count", "successes", "failed_to_download", "failed_to_resize")
    ]


def test_out_and_in(store, tmp_path):
    """What was written is read back: bytes, URIs, sizes; the sources say that these are the original bytes."""
    img2dataset.export(store, tmp_path / "out")

    with open_ledger(tmp_path / "again") as ledger:
        first = img2dataset.adopt(tmp_path / "out", ledger)
        at = ledger.row("b").at
        second = img2dataset.adopt(tmp_path / "out", ledger)

        assert ({"ok": 3}, 3) == (first.counts, first.waiting)
        assert ({"ok": 3}, at) == (second.counts, ledger.row("b").at)  # nothing is taken in twice
        for image_id in ("a/1", "b", "c"):
            was, now = store.row(image_id), ledger.row(image_id)
            assert (was.sha256, was.uri, was.width, "uri") == (
                now.sha256,
                now.uri,
                now.width,
                now.source,
            )
            assert store.read(image_id) == ledger.read(image_id)
    with pytest.raises(FileExistsError, match="is not empty: give a new folder"):
        img2dataset.export(store, tmp_path / "out")


def shard(folder, data, layout, original=b"another"):
    """Write one shard as img2dataset does: an image under each id, with the sha256 of what it was made from."""
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
    columns |= {"jpg": pa.array(data.values(), pa.binary())} if layout == "parquet" else {}
    pq.write_table(pa.table(columns), folder / "00000.parquet")
    (folder / "00000").mkdir(exist_ok=True)
    for key, body in zip(keys, data.values(), strict=True):
        (folder / "00000" / f"{key}.jpg").write_bytes(body)
        (folder / "00000" / f"{key}.json").write_text("{}")
    if layout == "webdataset":
        with tarfile.open(folder / "00000.tar", "w") as tar:
            for path in sorted((folder / "00000").iterdir()):
                tar.add(path, path.name)


@pytest.mark.parametrize("layout", ["files", "webdataset", "parquet"])
def test_what_it_encoded_again_is_marked(encode, tmp_path, layout):
    """In each of its formats; bytes that are not those it downloaded are called its own."""
    body, kept = encode("JPEG", 1), encode("JPEG", 2)
    shard(tmp_path / "in", {"a": body, "b": kept, "../c": body, "d": b"<html>"}, layout, kept)

    with open_ledger(tmp_path / "s") as ledger:
        tally = img2dataset.adopt(tmp_path / "in", ledger, "name")

        assert {"ok": 2, "refused": 1, "not_image": 1} == tally.counts
        assert ["img2dataset", "uri"] == [ledger.row(i).source for i in "ab"]
        assert body == ledger.read("a")
        assert {"license": "CC0"} == json.loads(ledger.row("a").licence)


def test_errors(encode, tmp_path):
    """A folder, a column or an image that is missing, and a damaged archive, are named."""
    shard(tmp_path / "in", {"a": encode("JPEG")}, "files")
    with open_ledger(tmp_path / "s") as ledger:
        with pytest.raises(FileNotFoundError, match="no output of img2dataset"):
            img2dataset.adopt(tmp_path / "none", ledger)
        with pytest.raises(ValueError, match=r"column 'nam' is missing\. Did you mean 'name'"):
            img2dataset.adopt(tmp_path / "in", ledger, "nam")
        (tmp_path / "in" / "00000" / "000000000.jpg").unlink()
        with pytest.raises(ValueError, match="1 of its images are missing, such as 000000000"):
            img2dataset.adopt(tmp_path / "in", ledger, "name")
        (tmp_path / "in" / "00000.tar").write_bytes(b"no archive")
        with pytest.raises(ValueError, match="no tar archive, or a damaged one"):
            img2dataset.adopt(tmp_path / "in", ledger, "name")
