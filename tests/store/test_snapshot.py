"""The snapshot: a copy of the ledger as Parquet."""

import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.store import snapshot
from cnlw_tools.store.store import COLUMNS, Row, open_ledger, row_values

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
def test_contents(tmp_path, n):
    """The snapshot is what Arrow itself makes of the rows, in the order of ids."""
    with open_ledger(tmp_path / "s") as ledger:
        for row in reversed(ROWS[:n]):
            ledger.write_row(row)
        snapshot.write_snapshot(ledger)

    table = pq.read_table(tmp_path / "s" / snapshot.SNAPSHOT)
    table.validate(full=True)
    rows = [dict(zip(COLUMNS, row_values(row), strict=True)) for row in ROWS[:n]]
    for row in rows:
        row["at"] = int(row["at"] * 1e6)
        del row["mtime"]
    assert pa.Table.from_pylist(rows, snapshot.SCHEMA) == table


def test_blocks(tmp_path, monkeypatch):
    """The snapshot is written in blocks, each a row group."""
    monkeypatch.setattr(snapshot, "BLOCK_ROWS", 2)
    with open_ledger(tmp_path / "s") as ledger:
        for i in range(5):
            ledger.write_row(Row(str(i), None, "refused", "why", 0, float(i)))
        snapshot.write_snapshot(ledger)

    file = pq.ParquetFile(tmp_path / "s" / snapshot.SNAPSHOT)
    assert 3 == file.num_row_groups
    assert list("01234") == file.read()["image_id"].to_pylist()


def test_when_it_is_written(tmp_path):
    """It is written if there are new rows, if it is missing, or if the newest row is newer."""
    path = tmp_path / "s" / snapshot.SNAPSHOT
    with open_ledger(tmp_path / "s") as ledger:
        ledger.write_row(Row("a", None, "refused", "why", 0, time.time() - 60))
        snapshot.write_snapshot(ledger)
        past = time.time() - 30
        os.utime(path, (past, past))
        snapshot.write_snapshot(ledger)
        assert past == pytest.approx(path.stat().st_mtime)
        ledger.write_row(Row("b", None, "refused", "why", 0, time.time() - 10))
        snapshot.write_snapshot(ledger)
        assert 2 == pq.read_metadata(path).num_rows
        future = time.time() + 3600  # a clock that was set back, or that of a server
        os.utime(path, (future, future))
        ledger.write_row(Row("c", None, "refused", "why", 0, time.time()))
        snapshot.write_snapshot(ledger, has_new_rows=True)
        assert 3 == pq.read_metadata(path).num_rows
        path.unlink()
        snapshot.write_snapshot(ledger)
        assert 3 == pq.read_metadata(path).num_rows


WRITE = """
from pathlib import Path
from cnlw_tools.store import snapshot
from cnlw_tools.store.store import Row, open_ledger
with open_ledger(Path({store!r})) as ledger:
    ledger.write_row(Row("a", None, "refused", "why", 0, 0.0))
    snapshot.write_snapshot(ledger)
"""


WORKER = "import cnlw_tools.fetch.remote_worker"


@pytest.mark.parametrize(
    ("code", "module"), [(WORKER, "numpy"), (WORKER, "pyarrow"), (WRITE, "pandas")]
)
def test_slow_imports(tmp_path, code, module):
    """Workers import neither numpy nor Arrow, and a snapshot no pandas: half a second each."""
    code = code.format(store=str(tmp_path / "s"))
    subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; assert {module!r} not in sys.modules"],
        check=True,
    )
