"""The Parquet copy of the ledger."""

import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.store import snapshot
from cnlw_tools.store.store import COLUMNS, VALUES, Row, open_ledger

ROWS = [
    Row(
        "a",
        "http://x/",
        "ok",
        None,
        3,
        1e9,
        "http://y/é",
        200,
        "{}",
        "00",
        2**33,
        "jpeg",
        1,
        2,
        b"\x00\xff",
        7,
        "uri",
    ),
    Row("b", "http://y/", "http_404", "HTTP 404", 1, 1e9 + 0.000001, status=404),
    Row("ü", None, "refused", "", 0, 0.0),
]


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_all_that_the_ledger_holds(tmp_path, n):
    """Every column in its type, missing values too, in the order of ids; Arrow's own function makes the same."""
    with open_ledger(tmp_path / "s") as ledger:
        for row in reversed(ROWS[:n]):
            ledger.write_row(row)
        snapshot.write(ledger)

    table = pq.read_table(tmp_path / "s" / snapshot.NAME)
    table.validate(full=True)
    rows = [dict(zip(COLUMNS, VALUES(row), strict=True)) for row in ROWS[:n]]
    for row in rows:
        row["at"] = int(row["at"] * 1e6)
        del row["mtime"]
    assert pa.Table.from_pylist(rows, snapshot.SCHEMA) == table


def test_many_rows(tmp_path, monkeypatch):
    """It is written block by block."""
    monkeypatch.setattr(snapshot, "BLOCK", 2)
    with open_ledger(tmp_path / "s") as ledger:
        for i in range(5):
            ledger.write_row(Row(str(i), None, "refused", "why", 0, float(i)))
        snapshot.write(ledger)

    file = pq.ParquetFile(tmp_path / "s" / snapshot.NAME)
    assert 3 == file.num_row_groups
    assert list("01234") == file.read()["image_id"].to_pylist()


def test_it_is_written_where_there_is_something_newer(tmp_path):
    """Not by a run that changed nothing; again where it is missing, or older than a row of a run that was killed."""
    path = tmp_path / "s" / snapshot.NAME
    with open_ledger(tmp_path / "s") as ledger:
        ledger.write_row(Row("a", None, "refused", "why", 0, time.time() - 60))
        snapshot.write(ledger)
        os.utime(path, (before := time.time() - 30, before))
        snapshot.write(ledger)
        assert before == pytest.approx(path.stat().st_mtime)
        ledger.write_row(Row("b", None, "refused", "why", 0, time.time() - 10))
        snapshot.write(ledger)
        assert 2 == pq.read_metadata(path).num_rows
        os.utime(
            path, (ahead := time.time() + 3600, ahead)
        )  # a clock that was set back, or a server's that is ahead
        ledger.write_row(Row("c", None, "refused", "why", 0, time.time()))
        snapshot.write(ledger, new=True)
        assert 3 == pq.read_metadata(path).num_rows
        path.unlink()
        snapshot.write(ledger)
        assert 3 == pq.read_metadata(path).num_rows


WRITE = """
from pathlib import Path
from cnlw_tools.store import snapshot
from cnlw_tools.store.store import Row, open_ledger
with open_ledger(Path({store!r})) as ledger:
    ledger.write_row(Row("a", None, "refused", "why", 0, 0.0))
    snapshot.write(ledger)
"""


AWAY = "import cnlw_tools.fetch.remote_worker"


@pytest.mark.parametrize(
    ("what", "without"), [(AWAY, "numpy"), (AWAY, "pyarrow"), (WRITE, "pandas")]
)
def test_what_is_not_imported(tmp_path, what, without):
    """A process that asks sites begins without numpy and Arrow, and a snapshot needs no pandas: half a second each."""
    run = what.format(store=str(tmp_path / "s"))
    subprocess.run(
        [sys.executable, "-c", f"{run}\nimport sys; assert {without!r} not in sys.modules"],
        check=True,
    )
