"""A pack: the images of a store in few files, in a folder or at an address."""

import os
import shutil
import sqlite3
import time
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from cnlw_tools.cli import main
from cnlw_tools.store import pack
from cnlw_tools.store.pack import LEDGER, PackedStore, open_store, pack_store
from cnlw_tools.store.store import Ledger, Row, Store, open_ledger
from cnlw_tools.store.writer import open_writer

IDS = [f"w{number:02d}" for number in range(23)]


def image(image_id: str) -> bytes:
    return 20 * sha256(image_id.encode()).digest()


def add_images(folder: Path, ids: list[str]) -> None:
    with open_ledger(folder) as ledger:
        add_to(ledger, ids)


def add_to(ledger: Ledger, ids: list[str]) -> None:
    for image_id in ids:
        data = image(image_id)
        digest = sha256(data).hexdigest()
        ledger.write_image(image_id, "jpeg", data)
        found = {
            "sha256": digest,
            "size": len(data),
            "format": "jpeg",
            "fingerprint": bytes(16),
        }
        ledger.write_row(Row(image_id, "http://x/", "ok", None, 1, 1e9, source="uri", **found))


@pytest.fixture(autouse=True)
def small_files(monkeypatch) -> None:
    """A file has ten images, and a row group four."""
    monkeypatch.setattr(pack, "IMAGES_PER_FILE", 10)
    monkeypatch.setattr(pack, "IMAGES_PER_GROUP", 4)


@pytest.fixture
def store(tmp_path) -> Path:
    """A store of 23 images and a failure."""
    add_images(tmp_path / "store", IDS)
    with open_ledger(tmp_path / "store") as ledger:
        ledger.write_row(Row("w05x", "http://y/", "http_404", "HTTP 404", 1, 1e9, status=404))
    (tmp_path / "store" / "placeholders.csv").write_text(f"sha256,what\n{64 * '0'},a logo\n")
    return tmp_path / "store"


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request, tmp_path) -> str:
    """Where packs may be: a folder, and each storage that can be served here."""
    if request.param == "folder":
        return str(tmp_path / "pack")
    request.getfixturevalue(request.param)
    return f"{request.param}://bucket/pack"


def pack_to(store: Path, place: str) -> pack.PackSummary:
    with Store(store) as opened:
        return pack_store(opened, place)


def test_a_pack_holds_what_its_store_holds(store, place):
    """Images, outcomes and lists are those of the store, whatever the order of reading."""
    told = []
    with Store(store) as opened:
        summary = pack_store(opened, place, lambda *news: told.append(news))

    assert pack.PackSummary(23, 3, 3) == summary
    assert [("images", 10, 23), ("images", 20, 23), ("images", 23, 23)] == told
    with open_store(place) as packed, Store(store) as opened:
        assert isinstance(packed, PackedStore)
        assert opened.image_ids() == packed.image_ids()
        assert list(opened.rows()) == list(packed.rows())
        for image_id in (*IDS[::5], *IDS, *reversed(IDS)):
            assert image(image_id) == packed.read_picture(image_id)
        assert (store / "placeholders.csv").read_bytes() == (
            packed.folder / "placeholders.csv"
        ).read_bytes()
        with pytest.raises(
            LookupError, match="there is no image 'w05x' here, because its fetch ended with http_40"
        ):
            packed.read("w05x")
        with pytest.raises(LookupError, match="'a' was never fetched"):
            packed.read("a")


def test_packing_again_writes_only_what_is_new(store, place):
    """Files that hold the same images are kept; others of the old pack are read for a day."""
    pack_to(store, place)
    assert pack.PackSummary(23, 3, 0) == pack_to(store, place)
    add_images(store, ["w99"])
    with open_store(place) as before:
        assert pack.PackSummary(24, 3, 1) == pack_to(store, place)
        assert image("w22") == before.read("w22")
    with open_store(place) as packed:
        assert image("w99") == packed.read("w99")


def test_two_packs_of_a_store_have_the_same_bytes(store, tmp_path, contents):
    """And so has one that was killed and packed again."""
    pack_to(store, str(tmp_path / "one"))
    killed = tmp_path / "two"
    shutil.copytree(tmp_path / "one", killed)
    (killed / LEDGER).unlink()
    next(iter((killed / "images").iterdir())).unlink()
    with pytest.raises(FileNotFoundError, match="no store of web images here"):
        PackedStore(killed)

    assert 1 == pack_to(store, str(killed)).n_new_files

    assert contents(tmp_path / "one") == contents(killed)


def test_files_that_a_pack_no_longer_needs_go_after_a_day(store, tmp_path):
    """A command that reads the old index may need them until then."""
    pack_to(store, str(tmp_path / "pack"))
    add_images(store, ["w99"])
    pack_to(store, str(tmp_path / "pack"))
    files = list((tmp_path / "pack" / "images").iterdir())
    assert 4 == len(files)
    two_days_ago = time.time() - 2 * pack.DAY
    for path in files:
        os.utime(path, (two_days_ago, two_days_ago))

    pack_to(store, str(tmp_path / "pack"))

    assert 3 == len(list((tmp_path / "pack" / "images").iterdir()))


def test_one_image_is_read_without_the_others(s3, store):
    """Of an address, only its row group is requested: no file is copied as a whole."""
    pack_to(store, "s3://bucket/pack")
    with open_store("s3://bucket/pack") as packed:
        s3.fail(
            {"method": "GET", "status": 503, "times": 2},
            {"method": "HEAD", "status": 500, "times": 1},
        )
        assert image("w13") == packed.read("w13")
        assert 6 >= len(s3.requests("GET"))
        s3.fail()
        assert image("w12") == packed.read("w12")
        assert [] == s3.requests("GET")


def test_images_in_many_files_are_requested_once(s3, store, monkeypatch):
    """In the order of ids, though each file has images of the whole range; more memory is freed."""
    numbers = [(7 * number) % 23 for number in range(23)]
    monkeypatch.setattr(pack, "IMAGES_PER_FILE", 23)
    pack_to(store, "s3://bucket/pack")
    with open_writer("s3://bucket/many") as writer:
        for start in range(0, 23, 6):
            ids = [IDS[number] for number in numbers[start : start + 6]]
            add_to(writer.ledger, ids)
            writer.put(only_full=False)
        writer.finish()

    n_requests = []
    for size in (1 << 20, 1):
        monkeypatch.setattr(pack, "BYTES_IN_MEMORY", size)
        with open_store("s3://bucket/many") as packed:
            assert 4 == len(packed.used_files())
            s3.fail()
            for image_id in IDS:
                assert image(image_id) == packed.read(image_id)
            n_requests.append(len(s3.requests("GET")))
            assert packed.n_bytes <= max(size, 4 * 640)
    assert 8 + 2 * 4 >= n_requests[0]  # 8 groups, and what is at the end of 4 files
    assert n_requests[1] > 23


def test_a_writer_that_fails_leaves_what_the_next_one_takes(memory, store, monkeypatch):
    """The files that were put are not put again, and the pack has the same bytes."""
    pack_to(store, "memory://bucket/calm")
    write = pack.write_images

    def fail_later(*arguments):
        if memory.exists("/bucket/pack/images"):
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(pack, "write_images", fail_later)
    with pytest.raises(KeyboardInterrupt):
        pack_to(store, "memory://bucket/pack")
    assert 1 == len(memory.find("/bucket/pack"))
    monkeypatch.setattr(pack, "write_images", write)

    assert 2 == pack_to(store, "memory://bucket/pack").n_new_files

    names = [name.removeprefix("/bucket/calm/") for name in memory.find("/bucket/calm")]
    for name in names:
        assert memory.cat_file(f"/bucket/calm/{name}") == memory.cat_file(f"/bucket/pack/{name}")


def test_a_damaged_image_is_noticed(store, tmp_path):
    """Its sha256 is that of the ledger, or it is an error that says what to do."""
    pack_to(store, str(tmp_path / "pack"))
    for path in (tmp_path / "pack" / "images").iterdir():
        path.write_bytes(path.read_bytes().replace(image("w13"), image("w14")))

    with open_store(tmp_path / "pack") as packed:
        with pytest.raises(OSError, match="of image 'w13' has changed: pack the store again with"):
            packed.read("w13")
        assert image("w14") == packed.read("w14")


def change_ledger(pack_folder: Path, sql: str) -> None:
    with sqlite3.connect(pack_folder / LEDGER) as database:
        database.execute(sql)
    database.close()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE places SET file = '../../x'", "file is '../../x', which cnlw never writes there"),
        ("UPDATE places SET file = 3", "file is 3, which cnlw never writes there"),
        ("UPDATE places SET row_group = -1", "row_group is -1, which cnlw never writes there"),
        ("UPDATE places SET row_group = 'x'", "row_group is 'x', which cnlw never writes there"),
        ("UPDATE places SET row_group = 99", r"images/\w+\.parquet"),
        ("DELETE FROM places", "pack: lacks image 'w13': pack the store again"),
        ("DROP TABLE places", "no such table: places"),
    ],
)
def test_a_ledger_that_no_command_wrote_is_an_error(store, tmp_path, sql, message):
    """No file outside the pack is read."""
    pack_to(store, str(tmp_path / "pack"))
    change_ledger(tmp_path / "pack", sql)

    with (
        open_store(tmp_path / "pack") as packed,
        pytest.raises((ValueError, OSError), match=message),
    ):
        packed.read("w13")


def test_a_pack_is_not_replaced_by_a_store_that_lacks_its_images(store, tmp_path):
    """What another machine added to a pack stays; the error says how to join the two."""
    pack_to(store, str(tmp_path / "pack"))
    add_images(tmp_path / "other", ["w00", "w01"])

    with pytest.raises(FileExistsError, match=r"has 21 images that .*other lacks, such as 'w02'"):
        pack_to(tmp_path / "other", str(tmp_path / "pack"))

    with open_store(tmp_path / "pack") as packed:
        assert image("w22") == packed.read("w22")


def test_a_pack_is_put_in_order_where_it_is(memory, store):
    """Files that two fetches put become files in the order of ids."""
    pack_to(store, "memory://bucket/calm")
    for ids in (IDS[::2], IDS[1::2]):
        with open_writer("memory://bucket/pack") as writer:
            add_to(writer.ledger, ids)
            writer.finish()

    with open_store("memory://bucket/pack") as packed:
        assert pack.PackSummary(23, 3, 3) == pack_store(packed, "memory://bucket/pack")

    with open_store("memory://bucket/pack") as packed, open_store("memory://bucket/calm") as calm:
        assert calm.used_files() == packed.used_files()
        assert all(image(image_id) == packed.read(image_id) for image_id in IDS)


def test_a_pack_is_packed_like_a_store(store, tmp_path, contents):
    """The second pack has the bytes of the first one."""
    pack_to(store, str(tmp_path / "one"))
    with open_store(tmp_path / "one") as packed:
        pack_store(packed, tmp_path / "two")

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_missing_file_of_images_is_an_error(store, tmp_path):
    """The error names the file and what to do."""
    pack_to(store, str(tmp_path / "pack"))
    for path in (tmp_path / "pack" / "images").iterdir():
        path.unlink()

    with (
        open_store(tmp_path / "pack") as packed,
        pytest.raises(ValueError, match=r"pack: lacks images/\w+\.parquet: pack the store again"),
    ):
        packed.read("w13")


def test_a_file_of_other_images_is_noticed(store, tmp_path):
    """The error names the image that the pack lacks."""
    pack_to(store, str(tmp_path / "pack"))
    with open_store(tmp_path / "pack") as packed:
        names = [packed.find_place(image_id)[0] for image_id in ("w03", "w13")]
    shutil.copy(tmp_path / "pack" / names[0], tmp_path / "pack" / names[1])

    with (
        open_store(tmp_path / "pack") as packed,
        pytest.raises(ValueError, match=r"pack: lacks image 'w13': pack the store again"),
    ):
        packed.read("w13")


def test_something_else_is_not_replaced(store, tmp_path):
    """A folder with other files is no place for a pack, and a pack is no place for a fetch."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match=r"is not a pack, because thesis.tex is there: use"):
        pack_to(store, str(tmp_path / "pack"))
    (tmp_path / "pack" / "thesis.tex").unlink()
    pack_to(store, str(tmp_path / "pack"))
    with (
        pytest.raises(FileExistsError, match="something that is not an image store"),
        open_ledger(tmp_path / "pack"),
    ):
        pass


def test_images_of_somebody_else_are_not_deleted(store, memory):
    """A folder `images` with other files is no pack, so nothing in it is taken for a leftover."""
    memory.pipe_file("/bucket/pack/images/cat.jpg", b"cat")
    with pytest.raises(FileExistsError, match=r"not a pack, because images/cat\.jpg is there: use"):
        pack_to(store, "memory://bucket/pack")
    assert ["/bucket/pack/images/cat.jpg"] == memory.find("/bucket/pack")


def test_the_ledger_that_is_packed_is_a_database_of_its_own(store, tmp_path):
    """It needs none of the files that SQLite keeps beside the ledger of a store."""
    pack_to(store, str(tmp_path / "pack"))
    with sqlite3.connect(f"file:{tmp_path}/pack/packed.sqlite?immutable=1", uri=True) as database:
        assert [("delete",)] == list(database.execute("PRAGMA journal_mode"))
        assert [(24,)] == list(database.execute("SELECT count(*) FROM ledger"))
    database.close()


def test_a_damaged_ledger_of_a_pack_is_called_by_its_name(store, tmp_path):
    """Not by that of the ledger of a store, which no pack has."""
    pack_to(store, str(tmp_path / "pack"))
    (tmp_path / "pack" / "packed.sqlite").write_bytes(b"damaged" * 1000)

    with pytest.raises(OSError, match=r"pack/packed\.sqlite"):
        open_store(tmp_path / "pack")


def test_the_command_says_what_it_packed(store, tmp_path):
    """Images, files, and how many of them are new; without a store it is an error."""
    packed = CliRunner().invoke(
        main, ["store", "pack", str(store), "--out", str(tmp_path / "pack")]
    )
    assert (0, f"{tmp_path}/pack: 23 images in 3 files, 3 of them new\n") == (
        packed.exit_code,
        packed.output,
    )
    missing = CliRunner().invoke(main, ["store", "pack", str(tmp_path), "--out", "memory://b/x"])
    assert 1 == missing.exit_code
    assert "no image store here" in missing.output
