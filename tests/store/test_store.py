"""The image store: which of its files it trusts."""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256

import pytest

from cnlw_tools.store.store import Row, Store, open_ledger


def image_row(image_id: str, data: bytes, mtime: int | None = None) -> Row:
    """Return the row of an image."""
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
        ledger.write_row(image_row("a", b"data", mtime))
        ledger.write_row(Row("b", "http://y/", "http_404", "HTTP 404", 1, 1e9, status=404))
    return tmp_path / "store"


def image_file(folder):
    (path,) = (folder / "images").rglob("*.jpeg")
    return path


def file_intact(folder):
    with Store(folder) as store:
        return store.read_states(["a", "b", "c"])["a"].file_intact


def test_read(folder):
    """An image is read by its id; an error says why there is none."""
    with Store(folder) as store:
        assert b"data" == store.read("a")
        with pytest.raises(
            LookupError, match="there is no image 'b' here, because its fetch ended with http_404"
        ):
            store.read("b")
        with pytest.raises(LookupError, match="'c' was never fetched"):
            store.read("c")
        assert {"ok": 1, "http_404": 1} == store.count_outcomes()


@pytest.mark.parametrize("data", [b"", b"dat", b"dada"])
def test_damaged_file(folder, data):
    """A file that is shorter or different is noticed when it is read, and when a run starts."""
    image_file(folder).write_bytes(data)

    assert not file_intact(folder)
    with Store(folder) as store, pytest.raises(OSError, match="has changed"):
        store.read("a")


def test_missing_file(folder):
    """A row whose file is missing is not trusted."""
    image_file(folder).unlink()

    assert not file_intact(folder)


def test_copied_store(folder, tmp_path):
    """A file with another modification time but the same bytes is intact."""
    os.utime(image_file(folder), (1, 1))

    assert file_intact(folder)


def test_no_id_is_a_path(tmp_path):
    """Whatever the id is, its file is in the store, and each id has its own file."""
    names = ["../../evil", "/etc/passwd", "a/b", "..", "a" * 5000, "é", "con", "A", "a"]
    with open_ledger(tmp_path / "store") as ledger:
        for name in names:
            ledger.write_image(name, "jpeg", name.encode())
        assert names == [ledger.image_path(name, "jpeg").read_bytes().decode() for name in names]

    assert [tmp_path / "store"] == list(tmp_path.iterdir())
    assert len(names) == sum(p.is_file() for p in (tmp_path / "store" / "images").rglob("*"))


def test_lock(folder):
    """A second fetch on the same store is refused; reading is allowed."""
    with open_ledger(folder) as ledger:
        with (
            pytest.raises(BlockingIOError, match="another fetch is running here"),
            open_ledger(folder),
        ):
            pass
        ledger.write_row(image_row("c", b""))
        with Store(folder) as store:
            assert 2 == store.count_outcomes()["ok"]


def test_shared_files(folder):
    """Files that many ids share are counted."""
    with open_ledger(folder) as ledger:
        for i in range(5):
            ledger.write_row(image_row(f"x{i}", b"gone"))
        assert {sha256(b"gone").hexdigest(): 5} == ledger.shared_files(5)
        assert {} == ledger.shared_files(6)


def test_other_folders(tmp_path):
    """A folder that holds something else is not changed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")

    with (
        pytest.raises(FileExistsError, match="contains something that is not an image store"),
        open_ledger(tmp_path / "mine"),
    ):
        pass
    with pytest.raises(FileNotFoundError, match="no image store here"):
        Store(tmp_path / "mine")
    assert ["thesis.txt"] == [p.name for p in (tmp_path / "mine").iterdir()]


def test_a_folder_that_cannot_be_made(tmp_path):
    """The error names it and the remedy."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match=r"file cannot be created \(File exists\): choose another --s"),
        open_ledger(tmp_path / "file"),
    ):
        pass


def test_damaged_ledger(folder):
    """An error names a ledger that is not a database."""
    (folder / "ledger.sqlite").write_bytes(b"x" * 5000)

    with (
        pytest.raises(OSError, match=r"ledger.sqlite cannot be read .file is not a database"),
        open_ledger(folder),
    ):
        pass


def test_unfinished_transaction(folder, tmp_path):
    """A row that was only partly written when the process was killed is not read."""
    connection = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE ledger SET class = 'ok' WHERE image_id = 'b'")
    log = folder / "ledger.sqlite-wal"
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / log.name).write_bytes(log.read_bytes()[:-10])  # the last page is incomplete
    connection.close()

    with open_ledger(copy) as ledger:
        assert "http_404" == ledger.read_row("b").outcome


def test_read_only(folder):
    """A store without write permission can be read."""
    folder.chmod(0o555)
    try:
        with Store(folder) as store:
            assert b"data" == store.read("a")
    finally:
        folder.chmod(0o755)


def test_rows_are_replaced(folder):
    """A row replaces an earlier row with the same id."""
    with open_ledger(folder) as ledger:
        ledger.write_row(replace(ledger.read_row("b"), attempts=7))
        assert 7 == ledger.read_row("b").attempts
        assert 2 == ledger.count_outcomes().total()


def test_threads_read_and_write_at_the_same_time(tmp_path):
    """Threads that run the same query and write rows get no errors and no wrong rows.

    Python 3.12 lets two threads use one statement of a connection if nothing keeps them apart.
    """
    numbers = range(300)
    with open_ledger(tmp_path / "store") as ledger, ThreadPoolExecutor(8) as pool:
        ledger.write_row(Row("a", "http://x/", "ok", None, 1, 1e9, "http://x/", 200))

        def use_ledger(number):
            if number % 10 == 0:
                ledger.write_row(Row(f"b{number}", "http://y/", "timeout", "timed out", 1, 1e9))
            return ledger.answered_uris(200)

        assert [["http://x/"] for _ in numbers] == list(pool.map(use_ledger, numbers))
