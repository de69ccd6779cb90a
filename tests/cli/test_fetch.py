"""``cnlw fetch``, as a user types it."""

import http.server
import io
import json
import threading
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools.cli import main
from cnlw_tools.store.store import Store, open_ledger


class Handler(http.server.BaseHTTPRequestHandler):
    """A picture under /ok, nothing elsewhere."""

    def do_GET(self):
        self.server.seen[self.path] += 1
        out = io.BytesIO()
        Image.new("RGB", (8, 8), (9, 9, 9)).save(out, "PNG")
        self.send_response(200 if self.path.startswith("/ok") else 404)
        self.end_headers()
        self.wfile.write(out.getvalue())

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = Counter()
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cnlw(*arguments):
    return CliRunner().invoke(main, ["fetch", *map(str, arguments)])


def urls(path, rows):
    pq.write_table(pa.table({"image_id": list(rows), "uri": list(rows.values())}), path)
    return path


def test_json(server, here):
    """One object on one line; dead links are final; nothing lies beside the store; a second run asks nothing."""
    base = f"http://127.0.0.1:{server.server_port}"
    rows = {"a": f"{base}/ok", "b": f"{base}/gone", "c": "ftp://x/y", "../d": f"{base}/ok"}
    urls(here / "m.parquet", rows)

    said = [
        cnlw("--manifest", "m.parquet", "--store", "s", "--json", "--allow-private")
        for _ in range(2)
    ]

    assert [0, 0] == [run.exit_code for run in said], said[0].output
    assert [{"ok": 1, "errors": {"refused": 2, "http_404": 1}}] * 2 == [
        json.loads(run.stdout) for run in said
    ]
    assert 1 == said[0].stdout.count("\n")
    assert {"m.parquet", "s"} == {p.name for p in here.iterdir()}
    assert {"/robots.txt": 1, "/ok": 1, "/gone": 1} == server.seen


def test_two_at_once(here):
    """A second fetch on a store is refused, with a word."""
    urls(here / "m.parquet", {"a": "x"})

    with open_ledger(here / "s"):
        run = cnlw("--manifest", "m.parquet", "--store", "s", "--json")

    assert (1, "") == (run.exit_code, run.stdout)
    assert "another fetch is at work here" in run.stderr


def test_report(server, here):
    """What the store holds, by class, without asking anybody."""
    urls(here / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok", "b": "x"})
    cnlw("--manifest", "m.parquet", "--store", "s", "--allow-private")
    server.seen.clear()

    shown = cnlw("--store", "s", "--report")
    as_json = cnlw("--manifest", "m.parquet", "--store", "s", "--report", "--json")

    assert (
        "ok                    1   50.00 %\nrefused               1   50.00 %\n2 URLs; images in s\n"
        == shown.output
    )
    assert {"ok": 1, "errors": {"refused": 1}} == json.loads(as_json.stdout)
    assert not server.seen


def test_private_by_default(server, here):
    """Loopback is refused unless it is allowed, and can be asked for again then."""
    path = urls(here / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok"})

    assert {"ok": 0, "errors": {"refused": 1}} == json.loads(
        cnlw("--manifest", path, "--store", "s", "--json").stdout
    )
    assert not server.seen
    again = cnlw(
        "--manifest", path, "--store", "s", "--json", "--retry", "refused", "--allow-private"
    )
    assert {"ok": 1, "errors": {}} == json.loads(again.stdout)


def test_dataset(server, here, toy):
    """The candidates of a dataset, with all that their table says."""
    web = toy / "manifests" / "toy" / "web.parquet"
    table = pq.read_table(web)
    uris = [f"http://127.0.0.1:{server.server_port}/ok/{i}" for i in range(len(table))]
    table = table.set_column(table.column_names.index("uri"), "uri", pa.array(uris))
    pq.write_table(table.append_column("license", pa.array(["CC0"] * len(table))), web)

    run = cnlw("--dataset", "toy", "--root", toy, "--allow-private", "--per-host", 0)

    assert 0 == run.exit_code, run.output
    with Store(here / "stores" / "toy") as store:
        assert len(table) == store.counts()["ok"]
        assert {"license": "CC0"} == json.loads(store.row("w0.0").licence)
    assert f"{len(table)} images are placeholders, by their files: no build uses them" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to fetch: give --dataset D, or --manifest FILE.parquet and --store DIR"),
        (["--manifest", "m.parquet"], "nothing to fetch"),
        (["--manifest", "none.parquet", "--store", "s"], "none.parquet: there is no such file"),
        (
            ["--manifest", "m.parquet", "--store", "s", "--retry", "timeot"],
            "Did you mean 'timeout'?",
        ),
        (["--dataset", "shpes"], "Did you mean 'shapes'?"),
        (["--report", "--store", "s"], "s: no image store here"),
        (
            ["--manifest", "m.parquet", "--store", ".", "--json"],
            "holds something that is no image store",
        ),
        (
            ["--manifest", "m.parquet", "--store", "s", "--contact", "a\nb"],
            "a User-Agent is one line of ASCII",
        ),
    ],
)
def test_errors(here, arguments, said):
    """One line that says what to do, exit code 1, and nothing written."""
    urls(here / "m.parquet", {"a": "x"})

    run = cnlw(*arguments)

    assert (1, 1) == (run.exit_code, run.stderr.count("\n"))
    assert said in run.stderr
    assert ["m.parquet"] == [p.name for p in here.iterdir()]


def test_wayback(server, here):
    """Dead links come from the archive that is given, if --wayback says so; the row says where from."""
    base = f"http://127.0.0.1:{server.server_port}"
    urls(here / "m.parquet", {"a": f"{base}/gone"})
    call = [
        "--manifest",
        "m.parquet",
        "--store",
        "s",
        "--json",
        "--allow-private",
        "--archive",
        f"{base}/ok/",
    ]

    assert {"ok": 0, "errors": {"http_404": 1}} == json.loads(cnlw(*call).stdout)
    assert {"ok": 1, "errors": {}} == json.loads(cnlw(*call, "--wayback", "--retry", "404").stdout)
    shown = cnlw("--store", "s", "--report")

    assert "1 of the images are from an archive" in shown.output
    assert ["archive"] == pq.read_table(here / "s" / "ledger.parquet")["source"].to_pylist()


def test_img2dataset(server, here):
    """A store out as img2dataset's output, and in again as a store; known placeholders are counted."""
    urls(here / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok", "b": "x"})
    cnlw("--manifest", "m.parquet", "--store", "s", "--allow-private")
    with Store(here / "s") as store:
        (here / "gone.csv").write_text(f"sha256,what\n{store.row('a').sha256},grey\n")

    out = cnlw("--store", "s", "--export-img2dataset", "out")
    back = cnlw("--store", "t", "--import-img2dataset", "out", "--json")
    again = cnlw("--manifest", "m.parquet", "--store", "t", "--placeholders", "gone.csv")

    assert "1 of 2 images in out\n" == out.output
    assert {"ok": 1, "errors": {}} == json.loads(back.stdout)
    assert "1 rows are no success there" in back.stderr
    assert "1 images are placeholders" in again.stderr
