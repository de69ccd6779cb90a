"""The memory of all requests together is limited, whatever the sites send."""

import gzip
import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from cnlw_tools.fetch import transfer
from cnlw_tools.files import default_root
from tests.fetch.conftest import Handler

MB = 1_000_000
ANNOUNCED = 31 * MB


class HostileHandler(Handler):
    """Sends as much as a request takes."""

    bodies: dict[str, bytes] = {}  # noqa: RUF012

    def do_bomb(self, argument):
        self.answer(self.bodies["gzip"], Content_Encoding="gzip")

    def do_huge(self, argument):
        self.answer(self.bodies["png"])

    def do_glass(self, argument):
        self.answer(self.bodies["rgba"])

    def do_long(self, argument):
        self.close_connection = True
        self.answer(b"\x89PNG\r\n\x1a\n", Content_Length=ANNOUNCED)
        self.wfile.write(bytes(ANNOUNCED - 8))


def draw_huge(mode):
    out = io.BytesIO()
    Image.new(mode, (8880, 8900)).save(out, "PNG", compress_level=1)
    return out.getvalue()


def measure_memory(pid):
    """Return the bytes that a process and those that it started hold in memory."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        pids = children.read_text().split()
    except (OSError, IndexError):  # it has ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(measure_memory, pids))


@pytest.mark.slow
def test_hostile_bodies(server, write_manifest, tmp_path):
    """50 hostile bodies at 50 requests take less than 1 GB in all processes together."""
    server.RequestHandlerClass = HostileHandler
    bodies = {"gzip": gzip.compress(bytes(100 * MB)), "png": draw_huge("RGB")}
    HostileHandler.bodies = bodies | {"rgba": draw_huge("RGBA")}
    n = {"bomb": 16, "endless": 16, "long": 16, "huge": 1, "glass": 1}
    uris = {f"{name}{i}": f"{server.url}/{name}/{i}" for name in n for i in range(n[name])}
    path = write_manifest(uris)
    options = "--requests 50 --timeout 120 --read-timeout 60 --per-host 0 --no-robots"
    command = [sys.executable, "-m", "cnlw_tools", "fetch", "--manifest", path, *options.split()]
    command += ["--store", tmp_path / "s", "--allow-private", "--json", "--workers", "2"]

    env = {**os.environ, "PYTHONPATH": str(default_root())}
    peak = 0
    with subprocess.Popen([*map(str, command)], env=env, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            peak = max(peak, measure_memory(process.pid))
            time.sleep(0.02)
        counts = json.loads(process.stdout.read())

    assert 100 < peak / MB < 1000
    errors = {"too_big": n["bomb"] + n["endless"], "decode": n["long"]}
    assert {"ok": n["huge"] + n["glass"], "errors": errors} == counts


def test_large_bodies_wait_for_each_other(server, fetch_rows, n_cores, monkeypatch):
    """Bodies that together are larger than the memory come all the same, one after another."""
    monkeypatch.setattr(transfer, "SMALL_BODY", 100)
    monkeypatch.setattr("cnlw_tools.fetch.resources.BODY_BYTES", 1000)

    uris = {f"{i}": f"{server.url}/ok/{i}" for i in range(40)}
    rows = fetch_rows(uris | {"e": f"{server.url}/endless", "g": f"{server.url}/gzip/ok"})

    assert {"ok": 41, "too_big": 1} == Counter(row.outcome for row in rows.values())


def test_a_large_body_that_ends_early_is_truncated(server, fetch_rows, monkeypatch):
    """A body that is read bit by bit is asked for again if it is shorter than announced."""
    monkeypatch.setattr(transfer, "SMALL_BODY", 100)

    rows = fetch_rows({"a": f"{server.url}/short", "b": f"{server.url}/ok/1"})

    assert ("truncated", 3) == (rows["a"].outcome, rows["a"].attempts)
    assert "ok" == rows["b"].outcome
