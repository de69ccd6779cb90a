"""A loopback server whose routes are dead, slow, huge, corrupt, rate-limited and so on."""

import gzip
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnlw_tools.fetch import FetchOptions, Limits, fetch, patience, schedule
from cnlw_tools.fetch.address import parse_uri
from cnlw_tools.fetch.worker import worker_index
from cnlw_tools.store.manifest import Manifest
from cnlw_tools.store.store import Row, Store, open_ledger


def picture(seed: int = 0, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """Draw a smooth picture; each seed gives another."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def encoded(format: str, *args: int, frames: int = 1, **options: object) -> bytes:
    """Encode a picture, or an animation of several pictures."""
    file = io.BytesIO()
    if frames > 1:
        other_frames = [picture(i + 1) for i in range(frames - 1)]
        options |= {"save_all": True, "append_images": other_frames}
    picture(*args).save(file, format, **options)
    return file.getvalue()


JPEG = encoded("JPEG")
BODIES = {
    "html": b"<!DOCTYPE html><html><body>gone</body></html>",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "pdf": b"%PDF-1.4 ...",
    "empty": b"",
    "gif": encoded("GIF"),
    "png": encoded("PNG"),
    "webp": encoded("WEBP"),
    "bmp": encoded("BMP"),
    "moving-gif": encoded("GIF", frames=3),
    "moving-png": encoded("PNG", frames=3),
    "moving-webp": encoded("WEBP", frames=3),
    "mpo": encoded("MPO", frames=2),
    "cut-jpeg": JPEG[: len(JPEG) * 2 // 3],
    "cut-png": encoded("PNG")[:-200],
    "broken-png": encoded("PNG")[:60] + b"\0" * 400,
    "bomb": encoded("PNG", 0, (3000, 3000)),
}
COMPRESSED = {
    "ok": gzip.compress(JPEG),
    "twice": gzip.compress(gzip.compress(JPEG)),
    "bomb": gzip.compress(bytes(1 << 23)),
}


class Handler(BaseHTTPRequestHandler):
    """The routes: /NAME/ARGUMENT."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: "Server"

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        self.server.headers.append(dict(self.headers))
        name, _, argument = urlsplit(self.path).path[1:].partition("/")
        if name == "robots.txt":
            status, text = self.server.robots
            return self.answer(text.encode(), status)
        return getattr(self, f"do_{name}")(argument)

    def answer(self, body: bytes, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for key, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_ok(self, argument: str) -> None:
        self.answer(encoded("JPEG", int(argument or 0)), Content_Type="text/html")

    def do_body(self, argument: str) -> None:
        self.answer(BODIES[argument], Content_Type="image/jpeg")

    def do_archive(self, argument: str) -> None:
        """Redirect /archive/ to the capture of a URI, if that contains `archived`; others: 404."""
        date, _, uri = self.path.removeprefix("/archive/").partition("id_/")
        if "archived" not in uri:
            return self.answer(b"", 404)
        if date == "2020":
            return self.answer(b"", 302, Location=f"/archive/20200102030405id_/{uri}")
        headers = {"X_Archive_Orig_X_Robots_Tag": "noai"} if "noai" in uri else {}
        return self.answer(JPEG, **headers)

    def do_status(self, argument: str) -> None:
        self.answer(b"no", int(argument))

    def do_flaky(self, argument: str) -> None:
        """Fail n times: /flaky/n."""
        failing = self.server.requests[self.path] <= int(argument)
        self.answer(b"" if failing else JPEG, 500 if failing else 200)

    def do_busy(self, argument: str) -> None:
        """Reject the first request, with a Retry-After of one second."""
        if self.server.requests[self.path] == 1:
            self.server.times.append(time.monotonic())
            return self.answer(b"", 429, Retry_After=1)
        self.server.times.append(time.monotonic())
        return self.answer(JPEG)

    def do_closed(self, argument: str) -> None:
        self.answer(b"", 429, Retry_After=3600)

    def do_hop(self, argument: str) -> None:
        """Redirect n times: /hop/n."""
        n = int(argument)
        self.answer(b"", 302, Location=f"/hop/{n - 1}" if n > 1 else "/ok/7")

    def do_to(self, argument: str) -> None:
        """Redirect to a URL: /to?url=URL."""
        url = parse_qs(urlsplit(self.path).query).get("url")
        self.answer(b"", 301, Location=url[0] if url else None)

    def do_tag(self, argument: str) -> None:
        self.answer(JPEG, X_Robots_Tag=argument)

    def do_slow(self, argument: str) -> None:
        self.server.end.wait(5)
        self.close_connection = True

    def do_drip(self, argument: str) -> None:
        """Send a body one byte after another, slowly."""
        self.close_connection = True
        self.answer(b"", Content_Length=100_000)
        while not self.server.end.wait(0.05):
            self.wfile.write(b"x")
            self.wfile.flush()

    def do_head(self, argument: str) -> None:
        """Send headers without end."""
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.server.end.wait(0.05):
            self.wfile.write(b"X: y\r\n")
            self.wfile.flush()

    def do_short(self, argument: str) -> None:
        self.close_connection = True
        self.answer(JPEG, Content_Length=len(JPEG) + 10)

    def do_chunks(self, argument: str) -> None:
        """End in the middle of a chunk."""
        self.close_connection = True
        self.answer(b"100\r\nabc", Content_Length=None, Transfer_Encoding="chunked")

    def do_both(self, argument: str) -> None:
        """Announce a few bytes, and send chunks without end."""
        self.close_connection = True
        self.answer(b"", Content_Length=10, Transfer_Encoding="chunked")
        while not self.server.end.is_set():
            self.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    def do_endless(self, argument: str) -> None:
        self.close_connection = True
        self.answer(JPEG, Content_Length=None)
        while not self.server.end.is_set():
            self.wfile.write(b"x" * 65536)

    def do_announced(self, argument: str) -> None:
        self.close_connection = True
        self.answer(JPEG, Content_Length=10**12)

    def do_gzip(self, argument: str) -> None:
        self.answer(
            COMPRESSED[argument], Content_Encoding="gzip, gzip" if argument == "twice" else "gzip"
        )

    def do_garbage(self, argument: str) -> None:
        self.close_connection = True
        self.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")

    def do_bye(self, argument: str) -> None:
        """Close the connection after the answer, without a word."""
        self.close_connection = True
        self.answer(JPEG)

    def do_cut(self, argument: str) -> None:
        self.close_connection = True


class Server(ThreadingHTTPServer):
    """Records its requests."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.robots = 404, ""
        self.end = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that close the connection."""

    def images(self) -> Counter[str]:
        """Return the requests other than those of robots.txt."""
        return Counter({path: n for path, n in self.requests.items() if path != "/robots.txt"})


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.end.set()
        server.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server for one test."""
    with serving() as server:
        yield server


@pytest.fixture
def other_server(server: Server) -> Iterator[Server]:
    """A server that belongs to the other one of two workers."""
    with ExitStack() as stack:
        candidate = stack.enter_context(serving())
        while index_of_two(candidate) == index_of_two(server):
            candidate = stack.enter_context(serving())
        yield candidate


def index_of_two(server: Server) -> int:
    """Return which of two workers fetches from a server."""
    return worker_index(parse_uri(server.url), 2)


@pytest.fixture(autouse=True)
def short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second attempts come soon."""
    monkeypatch.setattr(schedule, "FIRST_BACK_OFF", 0.01)
    monkeypatch.setattr(patience, "MAX_WAIT", 0.1)


@pytest.fixture(params=[1, 2])
def n_cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a worker have one processor, or two: it divides its work among threads accordingly."""
    n = int(request.param)
    monkeypatch.setattr("cnlw_tools.fetch.worker.cores", lambda: n)
    return n


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encode a picture."""
    return encoded


@pytest.fixture(scope="session")
def bodies() -> dict[str, bytes]:
    """Bodies by name."""
    return BODIES


@pytest.fixture
def write_manifest(tmp_path: Path) -> Callable[..., Path]:
    """Write a manifest of ids and URIs."""

    def write(rows: dict[str | None, str | None], **columns: list[object]) -> Path:
        path = tmp_path / "urls.parquet"
        ids, uris = pa.array(list(rows), pa.string()), pa.array(list(rows.values()), pa.string())
        pq.write_table(pa.table({"image_id": ids, "uri": uris, **columns}), path)
        return path

    return write


@pytest.fixture
def fetch_rows(
    tmp_path: Path, write_manifest: Callable[..., Path]
) -> Callable[..., dict[str, Row]]:
    """Fetch URIs into a store, with short timeouts, and return all rows of its ledger by id."""

    def run(uris: dict[str, str], retry: str | None = None, **choices: object) -> dict[str, Row]:
        defaults = {"allow_private": True, "limits": Limits(2, 1, 3, 1_000_000)}
        options = FetchOptions(**defaults | choices)
        with open_ledger(tmp_path / "store") as ledger:
            fetch(Manifest(write_manifest(uris)), ledger, options, 8, retry)
        with Store(tmp_path / "store") as store:
            return {row.image_id: row for row in store.rows()}

    return run
