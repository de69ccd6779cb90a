"""``cnlw fetch`` on the command line."""

import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from cnlw_tools.cli import fetch as cli_fetch
from cnlw_tools.cli import main
from cnlw_tools.executor import fork_server, limits
from cnlw_tools.files import arrow, default_root
from cnlw_tools.store.pack import open_store
from cnlw_tools.store.store import Store, open_ledger


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves a picture under /ok, and 404 elsewhere."""

    def do_GET(self):
        self.server.requests[self.path] += 1
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (9, 9, 9)).save(file, "PNG")
        self.send_response(200 if self.path.startswith("/ok") else 404)
        self.end_headers()
        self.wfile.write(file.getvalue())

    def log_message(self, *args):
        """Print nothing."""


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = Counter()
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cnlw(*arguments):
    return CliRunner().invoke(main, ["fetch", *map(str, arguments)])


def write_manifest(path, uris):
    pq.write_table(pa.table({"image_id": list(uris), "uri": list(uris.values())}), path)
    return path


def test_json(server, folder):
    """The result is one line of JSON; a second run requests nothing; only the store is written."""
    url = f"http://127.0.0.1:{server.server_port}"
    rows = {"a": f"{url}/ok", "b": f"{url}/gone", "c": "ftp://x/y", "../d": f"{url}/ok"}
    write_manifest(folder / "m.parquet", rows)

    for _ in range(2):
        result = cnlw("--manifest", "m.parquet", "--store", "s", "--json", "--allow-private")

        assert 0 == result.exit_code, result.output
        assert {"ok": 1, "errors": {"refused": 2, "http_404": 1}} == json.loads(result.stdout)
        assert 1 == result.stdout.count("\n")
    assert {"m.parquet", "s"} == {p.name for p in folder.iterdir()}
    assert {"/robots.txt": 1, "/ok": 1, "/gone": 1} == server.requests


EARLY = [
    (["--manifest", "large.parquet"], 1),
    (["--manifest", "small.parquet"], 0),
    (["--manifest", "small.parquet", "--workers", "2"], 1),
    (["--manifest", "large.parquet", "--workers", "1"], 0),
    (["--manifest", "large.parquet", "--requests", "2"], 0),
    (["--manifest", "none.parquet", "--workers", "2"], 0),
    (["--manifest", "large.parquet", "--report"], 0),
]


@pytest.mark.parametrize(("arguments", "n_starts"), EARLY)
def test_processes_start_early_if_there_will_be_some(folder, monkeypatch, arguments, n_starts):
    """The fork server starts before Arrow is imported, and only if there is enough to fetch."""
    starts = []
    monkeypatch.setattr(fork_server, "start_fork_server", starts.append)
    monkeypatch.setattr(limits, "workers", lambda: 4)
    monkeypatch.setattr(arrow, "keep_pandas_out", lambda: 1 / 0)
    (folder / "large.parquet").write_bytes(bytes(100_000))
    (folder / "small.parquet").write_bytes(bytes(10_000))

    with pytest.raises(ZeroDivisionError):
        cli_fetch.fetch.main([*arguments, "--store", "s"], standalone_mode=False)

    assert n_starts * [fork_server.FETCH_MODULES] == starts


def test_lock(folder):
    """A second fetch on the same store is refused with an error."""
    write_manifest(folder / "m.parquet", {"a": "x"})

    with open_ledger(folder / "s"):
        run = cnlw("--manifest", "m.parquet", "--store", "s", "--json")

    assert (1, "") == (run.exit_code, run.stdout)
    assert "another fetch is running here" in run.stderr


def test_report(server, folder):
    """A report counts the outcomes in the store, and makes no request."""
    write_manifest(
        folder / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok", "b": "x"}
    )
    cnlw("--manifest", "m.parquet", "--store", "s", "--allow-private")
    server.requests.clear()

    text = cnlw("--store", "s", "--report")
    as_json = cnlw("--manifest", "m.parquet", "--store", "s", "--report", "--json")

    lines = [
        "ok                    1   50.00 %",
        "refused               1   50.00 %",
        "2 URLs; images in s",
    ]
    assert lines == text.stdout.splitlines()
    assert {"ok": 1, "errors": {"refused": 1}} == json.loads(as_json.stdout)
    assert not server.requests


def test_the_most_common_reasons_are_printed(server, folder):
    """Three at most, the most frequent first, after a fetch and in a report, beside the result."""
    url = f"http://127.0.0.1:{server.server_port}"
    rows = {"ok": f"{url}/ok", "gone": f"{url}/gone", "mail": "mailto:x"}
    rows |= {f"private {i}": f"http://127.0.0.1:1/{i}" for i in range(4)}
    rows |= {f"file {i}": f"ftp://x/{i}" for i in range(2)}
    write_manifest(folder / "m.parquet", rows)

    fetched = cnlw("--manifest", "m.parquet", "--store", "s", "--json")
    reported = cnlw("--store", "s", "--report", "--json")

    reasons = Counter()
    for row in Store(folder / "s").rows():
        if row.outcome != "ok":
            reasons[row.outcome, row.reason] += 1
    for run in (fetched, reported):
        _, _, printed = run.stderr.rpartition("the most common reasons in the store:\n")
        lines = printed.splitlines()
        assert len(lines) == min(3, len(reasons))
        for line in lines:
            outcome, n_urls, reason = re.match(r"  (\w+) (\d+): (.*)", line).groups()
            assert reasons[outcome, reason] == int(n_urls)
        most = max(reasons.values())
        assert lines[0].split()[1] == f"{most}:"
        assert len(run.stdout.splitlines()) == 1


def test_a_retry_of_nothing_says_so(server, folder):
    """If no URL has the outcome, one line says that nothing was requested."""
    write_manifest(folder / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok"})
    options = ["--manifest", "m.parquet", "--store", "s", "--allow-private", "--json"]
    cnlw(*options)

    run = cnlw(*options, "--retry", "404")

    assert (0, '{"ok": 1, "errors": {}}\n') == (run.exit_code, run.stdout)
    assert "no URL of the manifest has the outcome http_404: nothing to retry\n" == run.stderr


def test_private_by_default(server, folder):
    """Loopback is refused by default, and can be retried when it is allowed."""
    path = write_manifest(folder / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok"})

    refused = cnlw("--manifest", path, "--store", "s", "--json")
    still_refused = cnlw("--manifest", path, "--store", "s", "--json", "--allow-private")
    for run in (refused, still_refused):
        assert {"ok": 0, "errors": {"refused": 1}} == json.loads(run.stdout)
    assert "give --allow-private --retry refused" in refused.stderr
    assert "--retry refused makes the requests again" in still_refused.stderr
    assert not server.requests
    retried = cnlw(
        "--manifest", path, "--store", "s", "--json", "--retry", "refused", "--allow-private"
    )
    assert {"ok": 1, "errors": {}} == json.loads(retried.stdout)


def test_dataset(server, folder, toy):
    """The web candidates of a dataset are fetched, with their licences."""
    web = toy / "manifests" / "toy" / "web.parquet"
    table = pq.read_table(web)
    uris = [f"http://127.0.0.1:{server.server_port}/ok/{i}" for i in range(len(table))]
    table = table.set_column(table.column_names.index("uri"), "uri", pa.array(uris))
    pq.write_table(table.append_column("license", pa.array(["CC0"] * len(table))), web)

    run = cnlw("--dataset", "toy", "--root", toy, "--allow-private", "--per-host", 0)

    assert 0 == run.exit_code, run.output
    with Store(folder / "stores" / "toy") as store:
        assert len(table) == store.count_outcomes()["ok"]
        assert {"license": "CC0"} == json.loads(store.read_row("w0.0").licence)
    assert (
        f"{len(table)} images with the file of a placeholder: builds do not use any" in run.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to fetch: give --dataset D, or --manifest FILE.parquet and --store DIR"),
        (["--manifest", "m.parquet"], "nothing to fetch"),
        (["--manifest", "none.parquet", "--store", "s"], "none.parquet: there is no such file"),
        (
            ["--manifest", "m.parquet", "--store", "s", "--retry", "timeot"],
            "Did you mean 'timeout'?",
        ),
        (["--dataset", "shpes"], "Did you mean 'shapes'?"),
        (["--report", "--store", "s"], "s: there is no image store here"),
        (
            ["--manifest", "m.parquet", "--store", ".", "--json"],
            "contains something that is not an image store",
        ),
        (
            ["--manifest", "m.parquet", "--store", "s", "--contact", "a\nb"],
            "a User-Agent must be one line of ASCII",
        ),
        (
            ["--manifest", "m.parquet", "--store", "s", "--resize", "crop"],
            "--resize needs --keep: give --keep N as well",
        ),
        (
            ["--manifest", "m.parquet", "--store", "s", "--keep", "0"],
            "--keep 0 is not allowed: it must be pixels, from 1 to 8192",
        ),
        (
            ["--manifest", "m.parquet", "--store", "s", "--keep", "84", "--quality", "101"],
            "--quality 101 is not allowed: it must be from 1 to 100",
        ),
    ],
)
def test_errors(folder, arguments, message):
    """An error is one line that says what to do, with exit code 1, and nothing is written."""
    write_manifest(folder / "m.parquet", {"a": "x"})

    run = cnlw(*arguments)

    assert (1, 1) == (run.exit_code, run.stderr.count("\n"))
    assert message in run.stderr
    assert ["m.parquet"] == [p.name for p in folder.iterdir()]


def test_wayback(server, folder):
    """With --wayback, dead links come from the archive, and their rows say so."""
    url = f"http://127.0.0.1:{server.server_port}"
    write_manifest(folder / "m.parquet", {"a": f"{url}/gone"})
    arguments = [
        "--manifest",
        "m.parquet",
        "--store",
        "s",
        "--json",
        "--allow-private",
        "--archive",
        f"{url}/ok/",
    ]

    assert {"ok": 0, "errors": {"http_404": 1}} == json.loads(cnlw(*arguments).stdout)
    assert {"ok": 1, "errors": {}} == json.loads(
        cnlw(*arguments, "--wayback", "--retry", "404").stdout
    )
    report = cnlw("--store", "s", "--report")

    assert "1 image from an archive" in report.output
    assert ["archive"] == pq.read_table(folder / "s" / "ledger.parquet")["source"].to_pylist()


def test_keep(server, folder):
    """--keep stores resized images, an export says both sizes, and originals may not join."""
    write_manifest(folder / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok"})
    arguments = ["--manifest", "m.parquet", "--store", "s", "--allow-private", "--json"]

    kept = cnlw(*arguments, "--keep", 4, "--resize", "pad")
    exported = cnlw("--store", "s", "--export-img2dataset", "out")
    originals = cnlw(*arguments)
    imported = cnlw("--store", "s", "--import-img2dataset", "out")

    assert (0, '{"ok": 1, "errors": {}}\n') == (kept.exit_code, kept.stdout), kept.output
    with Store(folder / "s") as store:
        row = store.read_row("a")
        assert "--size 4 --resize pad --quality 95" == row.kept
        assert (4, 4) == Image.open(io.BytesIO(store.read("a"))).size
    assert 0 == exported.exit_code
    (record,) = pq.read_table(folder / "out" / "00000.parquet").to_pylist()
    assert (4, 8, row.sha256) == (record["width"], record["original_width"], record["sha256"])
    message = (
        "s: this store holds images resized for builds with --size 4 --resize pad --quality 95: "
        "give --keep 4 --resize pad --quality 95, or another --store"
    )
    for run in (originals, imported):
        assert (1, 1) == (run.exit_code, run.stderr.count("\n"))
        assert message in run.stderr


def test_img2dataset(server, folder):
    """A store is exported and imported again; known placeholders are counted."""
    write_manifest(
        folder / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok", "b": "x"}
    )
    cnlw("--manifest", "m.parquet", "--store", "s", "--allow-private")
    with Store(folder / "s") as store:
        (folder / "gone.csv").write_text(f"sha256,what\n{store.read_row('a').sha256},grey\n")

    exported = cnlw("--store", "s", "--export-img2dataset", "out")
    imported = cnlw("--store", "t", "--import-img2dataset", "out", "--json")
    fetched = cnlw("--manifest", "m.parquet", "--store", "t", "--placeholders", "gone.csv")

    assert "out: images of 1 of 2 URLs\n" == exported.output
    assert {"ok": 1, "errors": {}} == json.loads(imported.stdout)
    assert "1 row of the input without an image: skipped" in imported.stderr
    assert "1 image with the file of a placeholder" in fetched.stderr


SITES = {"2/3": "localhost", "3/3": "127.0.0.1"}  # by shard; the first of three has none


def start_shard(manifest, shard, store, *arguments):
    """Start a fetch of one shard in a process of its own."""
    command = [sys.executable, "-m", "cnlw_tools", "fetch", "--manifest", str(manifest)]
    command += ["--store", store, "--shard", shard, "--allow-private", *arguments]
    env = {**os.environ, "PYTHONPATH": str(default_root())}
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_processes_fetch_side_by_side_and_are_joined(server, folder):
    """One was killed and begun again; the last one fetches what a single fetch would have, and no more."""
    uris = {}
    for number in range(20):
        for name in SITES.values():
            uris[f"{name}{number}"] = f"http://{name}:{server.server_port}/ok/{name}{number}"
    manifest = write_manifest(folder / "m.parquet", uris)
    killed = start_shard(manifest, "2/3", "parts/2", "--per-host", "1")
    while not server.requests:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()

    processes = [start_shard(manifest, f"{i}/3", f"parts/{i}") for i in (1, 2, 3)]
    errors = [process.communicate()[1] for process in processes]
    assert [0, 0, 0] == [process.returncode for process in processes], errors
    assert "20 rows of sites of other shards" in errors[1]
    joined = cnlw("--store", "all", "--join", "parts", "--json")
    last = cnlw("--store", "all", "--manifest", manifest, "--allow-private", "--json")

    assert (0, 0) == (joined.exit_code, last.exit_code), joined.output + last.output
    assert "40 rows taken from 3 stores" in joined.stderr
    assert joined.stdout == last.stdout
    with Store("all") as store:
        assert sorted(uris) == store.image_ids()
        assert all(store.read(image_id) for image_id in uris)
    n_images = {path: n for path, n in server.requests.items() if path.startswith("/ok")}
    assert 40 == len(n_images)
    assert sum(n_images.values()) <= 40 + 4  # those in flight when the process was killed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--shard", "4/3", "--manifest", "m.parquet"],
            "shard '4/3' is not allowed: write it as 2/5",
        ),
        (
            ["--shard", "1/3", "--join", "x"],
            "--shard 1/3 and --join cannot be used together: omit --shard",
        ),
        (
            ["--join", "x"],
            "x: there is no image store here: give one, or a folder that holds stores",
        ),
        (["--shard", "", "--manifest", "m.parquet"], "shard '' is not allowed: write it as 2/5"),
        (
            ["--report", "--join", "x"],
            "--report cannot be used together with --join, because --report",
        ),
        (
            ["--report", "--shard", "1/3"],
            "--report cannot be used together with --shard, because --report",
        ),
        (
            ["--join", "x", "--retry", "404"],
            "--join cannot be used together with --retry, because --join",
        ),
        (
            ["--report", "--engine", "ray"],
            "--report cannot be used together with --engine, because --report",
        ),
        (
            ["--shard", "1/3", "--engine", "dask", "--manifest", "m.parquet"],
            "--shard 1/3 cannot be used together with --engine dask: the workers of a cluster",
        ),
        (["--engine", "dusk", "--manifest", "m.parquet"], "unknown engine 'dusk'. Did you mean"),
    ],
)
def test_wrong_shards_are_one_line(folder, arguments, message):
    """Nothing is written."""
    write_manifest(folder / "m.parquet", {"a": "http://127.0.0.1:1/"})
    result = cnlw("--store", "s", *arguments)

    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert ["m.parquet"] == [path.name for path in folder.iterdir()]


def test_mixed_counts_of_shards_in_a_store(server, folder):
    """One line, and nothing is requested."""
    manifest = write_manifest(
        folder / "m.parquet", {"a": f"http://127.0.0.1:{server.server_port}/ok"}
    )
    arguments = ["--store", "s", "--manifest", manifest, "--allow-private"]
    assert cnlw(*arguments, "--shard", "1/3").exit_code == 0

    result = cnlw(*arguments, "--shard", "1/2")

    assert result.exit_code == 1
    assert "divided in different ways, into 2 and 3 parts: give every" in " ".join(
        result.stderr.split()
    )
    assert not server.requests


WEB = "memory://bucket/web"


def web_manifest(server, folder):
    url = f"http://127.0.0.1:{server.server_port}"
    rows = {f"i{n}": f"{url}/ok{n}" for n in range(5)}
    return write_manifest(folder / "m.parquet", rows | {"b": f"{url}/gone", "c": "ftp://x/y"})


def test_a_store_at_an_address(server, folder, address):
    """It is filled once; a second run requests nothing, though this machine has no images."""
    web_manifest(server, folder)
    web = f"{address}/web"
    expected = {"ok": 5, "errors": {"http_404": 1, "refused": 1}}

    for _ in range(2):
        result = cnlw("--manifest", "m.parquet", "--store", web, "--json", "--allow-private")
        assert (0, expected) == (result.exit_code, json.loads(result.stdout)), result.output
    again = cnlw(
        *("--manifest", "m.parquet", "--store", web, "--json", "--allow-private"),
        *("--retry", "404", "--no-robots"),
    )
    report = cnlw("--store", web, "--report")
    shown = CliRunner().invoke(main, ["show", web])

    assert 1 == json.loads(again.stdout)["errors"]["http_404"]
    assert 2 == server.requests["/gone"]
    assert 1 == server.requests["/ok3"]
    assert [f"7 URLs; images in {web}"] == report.stdout.splitlines()[-1:]
    assert "ok                       5 URLs" in shown.output
    assert {"m.parquet", "cache"} == {path.name for path in folder.iterdir()}


def test_what_an_address_gets_is_what_a_folder_gets(server, folder, memory):
    """Small images too: the files have the same bytes, and of another size is an error."""
    web_manifest(server, folder)
    keep = ("--manifest", "m.parquet", "--allow-private", "--keep", "8", "--resize", "squash")
    for place in ("web", WEB):
        assert 0 == cnlw(*keep, "--store", place).exit_code

    with open_store("web") as local, open_store(WEB) as remote:
        for row in local.rows():
            other = remote.read_row(row.image_id)
            assert (row.outcome, row.kept_sha256, row.kept) == (
                other.outcome,
                other.kept_sha256,
                other.kept,
            )
        assert local.read("i3") == remote.read("i3")
    refused = cnlw("--manifest", "m.parquet", "--store", WEB)
    assert 1 == refused.exit_code
    assert f"{WEB}: this store holds images resized for builds with --size 8" in refused.output


def test_shards_share_an_address(server, folder, memory):
    """Each adds what it fetched; the last command requests nothing that they have."""
    web_manifest(server, folder)
    common = ("--manifest", "m.parquet", "--allow-private", "--json")
    for shard in ("1/2", "2/2"):
        assert 0 == cnlw(*common, "--store", WEB, "--shard", shard).exit_code
    server.requests.clear()

    last = cnlw(*common, "--store", WEB)

    assert {"ok": 5, "errors": {"http_404": 1, "refused": 1}} == json.loads(last.stdout)
    assert not server.requests


def test_stores_are_joined_at_addresses(server, folder, memory):
    """A folder into an address, and an address into a folder."""
    web_manifest(server, folder)
    cnlw("--manifest", "m.parquet", "--allow-private", "--store", "web")

    to_address = cnlw("--store", WEB, "--join", "web", "--json")
    back = cnlw("--store", "again", "--join", WEB, "--json")

    expected = {"ok": 5, "errors": {"http_404": 1, "refused": 1}}
    assert expected == json.loads(to_address.stdout) == json.loads(back.stdout)
    with Store("web") as store, Store("again") as again:
        assert store.read("i2") == again.read("i2")
    assert 0 == cnlw("--store", WEB, "--export-img2dataset", "out").exit_code
    imported = cnlw("--store", "memory://bucket/b", "--import-img2dataset", "out", "--json")
    assert {"ok": 5, "errors": {}} == json.loads(imported.stdout)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://nothing/web", "s3://nothing/web cannot be "),
        ("ftp://bucket/web", "no storage is known as ftp://: give s3:// (extra s3), gs:// (extra"),
        ("s3:/", "give"),
    ],
)
def test_an_address_that_cannot_be_written_is_one_line(server, folder, s3, place, message):
    """Nothing is requested, and nothing is made."""
    web_manifest(server, folder)

    run = cnlw("--manifest", "m.parquet", "--store", place, "--allow-private")

    assert (1, 1) == (run.exit_code, run.output.count("\n")), run.output
    assert message in run.output
    assert not server.requests


def test_an_address_without_rights_keeps_what_waits(server, folder, s3):
    """A storage that says no is asked once; what was fetched waits for the next run."""
    web_manifest(server, folder)
    options = ("--manifest", "m.parquet", "--store", "s3://bucket/web", "--allow-private", "--json")
    s3.fail({"method": "PUT", "status": 403, "times": 99})
    refused = cnlw(*options)
    assert not server.requests
    # The test of rights succeeds, and then they are taken away.
    s3.fail(
        {"method": "PUT", "status": 200, "times": 1}, {"method": "PUT", "status": 403, "times": 99}
    )
    lost = cnlw(*options)
    for run in (refused, lost):
        assert (1, 1) == (run.exit_code, run.output.count("\n")), run.output
        assert "s3://bucket/web cannot be written (" in run.output
        assert "check the rights of these credentials" in run.output
    assert 1 == server.requests["/ok3"]
    s3.fail()

    again = cnlw(*options)

    assert {"ok": 5, "errors": {"http_404": 1, "refused": 1}} == json.loads(again.stdout)
    assert 1 == server.requests["/ok3"]


def test_an_address_without_credentials_is_one_line(server, folder, s3, monkeypatch):
    """Nothing is requested before the user has set them up."""
    web_manifest(server, folder)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    run = cnlw("--manifest", "m.parquet", "--store", "s3://bucket/web", "--allow-private")

    assert (1, 1) == (run.exit_code, run.output.count("\n")), run.output
    assert "set up the credentials as the programs of this storage do" in run.output
    assert not server.requests


def test_an_address_is_no_place_for_an_engine(folder, memory):
    """The error says what to do."""
    run = cnlw("--manifest", "m.parquet", "--store", WEB, "--engine", "dask")
    assert 1 == run.exit_code
    assert f"`cnlw fetch --store {WEB} --join FOLDER`" in run.output
