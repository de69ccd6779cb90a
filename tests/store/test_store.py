"""The image store: what it believes, and what it does not."""

import os
import shutil
import sqlite3
from dataclasses import replace
from hashlib import sha256

import pytest

from cnlw_tools.store.store import Row, Store, open_ledger


def ok(image_id: str, data: bytes, mtime: int | None = None) -> Row:
    """A row of an image."""
    digest = sha256(data).hexdigest()
    return Row(
        image_id,
        "http://x/",
        "ok",
        None,
        1,
        1e9,
        "http://x/",
        200,
        None,
        digest,
        len(data),
        "jpeg",
        1,
        1,
        b"",
        mtime,
    )


@pytest.fixture
def folder(tmp_path):
    """A store of one image and one failure."""
    with open_ledger(tmp_path / "store") as ledger:
        mtime = ledger.write_image("a", "jpeg", b"data")
        ledger.write_row(ok("a", b"data", mtime))
        ledger.write_row(Row("b", "http://y/", "http_404", "HTTP 404", 1, 1e9, status=404))
    return tmp_path / "store"


def file(folder):
    (found,) = (folder / "images").rglob("*.jpeg")
    return found


def believed(folder):
    with Store(folder) as store:
        return store.states(["a", "b", "c"])["a"].believed


def test_read(folder):
    """The bytes as they came, by id; an error says why there are none."""
    with Store(folder) as store:
        assert b"data" == store.read("a")
        with pytest.raises(LookupError, match="'b' is not there: http_404, HTTP 404"):
            store.read("b")
        with pytest.raises(LookupError, match="'c' was never fetched"):
            store.read("c")
        assert {"ok": 1, "http_404": 1} == store.counts()


@pytest.mark.parametrize("data", [b"", b"dat", b"dada"])
def test_a_file_that_changed_is_not_believed(folder, data):
    """Neither when it is read nor when a run begins, be it shorter or only different."""
    file(folder).write_bytes(data)

    assert not believed(folder)
    with Store(folder) as store, pytest.raises(OSError, match="has changed"):
        store.read("a")


def test_a_file_that_is_gone_is_not_believed(folder):
    """A row without its file is none."""
    file(folder).unlink()

    assert not believed(folder)


def test_a_copied_store_is_believed(folder, tmp_path):
    """Another time on the file is no reason to fetch it again, if its bytes are those."""
    os.utime(file(folder), (1, 1))

    assert believed(folder)


def test_no_id_is_a_path(tmp_path):
    """Whatever the id, the file lies in the store, and the same id has the same file."""
    names = ["../../evil", "/etc/passwd", "a/b", "..", "a" * 5000, "é", "con", "A", "a"]
    with open_ledger(tmp_path / "store") as ledger:
        for name in names:
            ledger.write_image(name, "jpeg", name.encode())
        assert names == [ledger.path(name, "jpeg").read_bytes().decode() for name in names]

    assert [tmp_path / "store"] == list(tmp_path.iterdir())
    assert len(names) == sum(p.is_file() for p in (tmp_path / "store" / "images").rglob("*"))


def test_two_at_once(folder):
    """A second fetch on a store says that there is a first; reading is allowed."""
    with open_ledger(folder) as ledger:
        with (
            pytest.raises(BlockingIOError, match="another fetch is at work here"),
            open_ledger(folder),
        ):
            pass
        ledger.write_row(ok("c", b""))
        with Store(folder) as store:
            assert 2 == store.counts()["ok"]


def test_repeated(folder):
    """Files that many ids have in common are counted."""
    with open_ledger(folder) as ledger:
        for i in range(5):
            ledger.write_row(ok(f"x{i}", b"gone"))
        assert {sha256(b"gone").hexdigest(): 5} == ledger.repeated(5)
        assert {} == ledger.repeated(6)


def test_foreign_folders(tmp_path):
    """A folder of something else stays as it was."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")

    with (
        pytest.raises(FileExistsError, match="holds something that is no image store"),
        open_ledger(tmp_path / "mine"),
    ):
        pass
    with pytest.raises(FileNotFoundError, match="no image store here"):
        Store(tmp_path / "mine")
    assert ["thesis.txt"] == [p.name for p in (tmp_path / "mine").iterdir()]


def test_damaged_ledger(folder):
    """A ledger that is no database is an error with its name."""
    (folder / "ledger.sqlite").write_bytes(b"x" * 5000)

    with (
        pytest.raises(OSError, match=r"ledger.sqlite: file is not a database"),
        open_ledger(folder),
    ):
        pass


def test_unfinished_transaction(folder, tmp_path):
    """What a kill leaves of a row that was being written is no row."""
    base = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("UPDATE ledger SET class = 'ok' WHERE image_id = 'b'")
    log = folder / "ledger.sqlite-wal"
    left = tmp_path / "left"
    shutil.copytree(folder, left)
    (left / log.name).write_bytes(log.read_bytes()[:-10])  # its last page is torn
    base.close()

    with open_ledger(left) as ledger:
        assert "http_404" == ledger.row("b").kind


def test_read_only(folder):
    """A store that may not be written can be read."""
    folder.chmod(0o555)
    try:
        with Store(folder) as store:
            assert b"data" == store.read("a")
    finally:
        folder.chmod(0o755)


def test_an_image_may_be_replaced(folder):
    """A row that comes again replaces the one before."""
    with open_ledger(folder) as ledger:
        ledger.write_row(replace(ledger.row("b"), attempts=7))
        assert 7 == ledger.row("b").attempts
        assert 2 == ledger.counts().total()
