"""A ledger that no run wrote, or one of a newer version, is an error in one line."""

import sqlite3

import pytest

from cnlw_tools.files.untrusted import BadFile
from cnlw_tools.store.snapshot import write_snapshot
from cnlw_tools.store.store import Row, Store, open_ledger


@pytest.fixture
def folder(tmp_path):
    """A store with one image and one dead link."""
    with open_ledger(tmp_path / "store") as ledger:
        mtime = ledger.write_image("a", "png", b"data")
        image = {"size": 4, "format": "png", "width": 1, "height": 1, "mtime": mtime}
        row = Row("a", "http://x/a", "ok", None, 1, 1.5, sha256="0" * 64, **image)
        ledger.write_row(Row(**{**row_dict(row), "fingerprint": bytes(16)}))
        ledger.write_row(Row("b", "http://x/b", "http_404", "gone", 1, 2))
    return tmp_path / "store"


def row_dict(row):
    return {name: getattr(row, name) for name in row.__slots__}


def change(folder, sql):
    connection = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    connection.executescript(sql)
    connection.close()


def read_all(folder):
    """Read everything that commands read of a store."""
    with Store(folder) as store:
        list(store.rows())
        store.read_states(["a", "b"])
        list(store.fingerprints())
        store.count_outcomes()
        write_snapshot(store, has_new_rows=True)


def test_a_sound_ledger_is_read(folder):
    """What a run wrote is read, with an index that somebody added too."""
    change(folder, "CREATE INDEX mine ON ledger (class)")

    read_all(folder)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("ALTER TABLE ledger ADD COLUMN future", "column 'future': a newer version of cnlw"),
        (
            "ALTER TABLE ledger RENAME TO old; CREATE VIEW ledger AS WITH RECURSIVE n(i) AS "
            "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            "it contains the table old, which cnlw never writes there",
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON ledger BEGIN SELECT 1; END",
            "it contains the trigger t",
        ),
        (
            "ALTER TABLE ledger ADD COLUMN c AS (1)",
            "it contains the computed column c, which cnlw never writes there",
        ),
        ("UPDATE ledger SET fingerprint = NULL", "image 'a': fingerprint is None"),
        ("UPDATE ledger SET fingerprint = x'00'", "image 'a': fingerprint is b'.x00'"),
        ("UPDATE ledger SET size = 'x'", "image 'a': size is 'x', which cnlw never writes there"),
        ("UPDATE ledger SET at = 'x'", "image 'a': timestamp is 'x'"),
        ("UPDATE ledger SET at = NULL", "image 'a': timestamp is None"),
        ("UPDATE ledger SET class = 7", "image 'a': outcome is 7"),
        ("UPDATE ledger SET format = 'png/../../../x'", "image 'a': format is 'png/"),
        ("UPDATE ledger SET format = char(0)", "image 'a': format is"),
        ("UPDATE ledger SET kept_format = '/x'", "image 'a': kept_format is '/x'"),
        ("UPDATE ledger SET uri = x'ff'", "image 'a': uri is b'.xff'"),
    ],
)
def test_a_ledger_that_no_run_wrote(folder, sql, reason):
    """It names the ledger, what is wrong in it and a remedy, and nothing runs without end."""
    change(folder, sql)

    with pytest.raises(BadFile, match=rf"ledger\.sqlite: {reason}"):
        read_all(folder)


@pytest.mark.parametrize("sql", ["UPDATE ledger SET width = 9e99", "UPDATE ledger SET at = 'x'"])
def test_a_snapshot_of_odd_values(folder, sql):
    """The snapshot of a ledger with values that do not fit is an error, too."""
    change(folder, sql)

    with Store(folder) as store, pytest.raises(BadFile, match=r"ledger\.sqlite cannot be read "):
        write_snapshot(store, has_new_rows=True)


def test_a_ledger_of_an_earlier_version(folder):
    """Without the column `source`, it is read, and a run adds it."""
    change(folder, "ALTER TABLE ledger DROP COLUMN source")

    with Store(folder) as store:
        assert [None, None] == [row.source for row in store.rows()]
    with open_ledger(folder) as ledger:
        ledger.write_row(Row("c", None, "dns", None, 1, 3.0, source="uri"))
        assert "uri" == ledger.read_row("c").source
