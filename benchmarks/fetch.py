"""How long fetching takes, and how much memory.

    python benchmarks/fetch.py [--images N] [--folder JPEGS] [--rounds N] [--img2dataset PYTHON] [--memory ROWS ...]

The server is on loopback, in a process of its own, and answers at once from memory. Every image is a JPEG of 500 x 400,
drawn, or from the folder; fetched is with sha256, decode check, fingerprint, file and ledger. Resizing to 84 px is the
step of a build that follows. Floor: one look at every byte by a decoder, and one resize. PYTHON is one that has
img2dataset 1.47; it fetches and resizes the same URLs, in turns with us. Memory is measured with small images: it is
their number that it must not depend on. Clock: wall seconds; processor: seconds of all processes but the server.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import NamedTuple

from PIL import Image

from cnlw_tools.executor import local
from cnlw_tools.images import pixels
from cnlw_tools.store.inspect import inspect_image
from cnlw_tools.store.store import Store

SIZE = (500, 400)
DISTINCT = 100
SIDE = 84
THEIRS = {  # shards of 500, so that both of its processes have work to the end
    **{"input_format": "parquet", "url_col": "uri", "output_format": "files", "image_size": SIDE},
    **{
        "resize_mode": "border",
        "compute_hash": "sha256",
        "processes_count": 2,
        "number_sample_per_shard": 500,
    },
    "enable_wandb": False,
}


class Cost(NamedTuple):
    """What a run took."""

    clock: float  # seconds
    processor: float  # seconds
    peak: float = 0.0  # MB


class Serve(StreamRequestHandler):
    """Answers /N.jpg with the JPEG of that number, again and again."""

    disable_nagle_algorithm = True
    bodies: tuple[bytes, ...] = ()
    small: bytes = b""

    def handle(self) -> None:
        """Serve one connection."""
        while line := self.rfile.readline():
            stays = line.rstrip().endswith(b"1.1")
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                stays &= header.lower().strip() != b"connection: close"
            number = line.split()[1].strip(b"/").partition(b".")[0]
            body = self.bodies[int(number) % len(self.bodies)] if number.isdigit() else b""
            body = self.small if number.startswith(b"small") else body
            status = b"200 OK" if body else b"404 Not Found"
            self.wfile.write(
                b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
            )
            if not stays:
                return


class Server(ThreadingTCPServer):
    """Many connections."""

    daemon_threads, request_queue_size = True, 512


def pictures(folder: str, size: tuple[int, int] = SIZE) -> tuple[bytes, ...]:
    """Encode pictures of a folder, or such as are drawn, as JPEGs of one size."""
    if folder:
        found = [
            Image.open(path).convert("RGB")
            for path in sorted(Path(folder).glob("*.JPEG"))[:DISTINCT]
        ]
    else:
        import numpy as np  # here and below: the processes that resize begin sooner without

        draw = np.random.default_rng(0)
        found = [
            Image.fromarray(draw.integers(0, 256, (40, 50, 3), np.uint8)) for _ in range(DISTINCT)
        ]
    out = []
    for image in found:
        file = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        out.append(file.getvalue())
    return tuple(out)


def resize(name: str, ids: list[str]) -> int:
    """Resize some images of a store."""
    how = pixels.Storage(SIDE)
    with Store(Path(name)) as store:
        return sum(len(pixels.encode_picture(store.read(i), how)) for i in ids)


def timed(command: list[str]) -> tuple[Cost, bytes]:
    """Run a command; return what it took, its processes included, and what it said."""
    before, begun = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    if status:
        raise SystemExit(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
    seconds = time.perf_counter() - begun
    after = getrusage(RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, spent, usage.ru_maxrss / 1024), said


def manifest(folder: Path, port: int, n: int, kind: str = "") -> Path:
    """Write n URLs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids, path = [f"i{i}" for i in range(n)], folder / f"urls{kind}{n}.parquet"
    table = pa.table(
        {"image_id": ids, "uri": [f"http://127.0.0.1:{port}/{kind}{i}.jpg" for i in range(n)]}
    )
    pq.write_table(table, path)
    return path


def fetch(urls: Path, store: Path, n: int) -> Cost:
    """Fetch n images."""
    command = [
        sys.executable,
        "-m",
        "cnlw_tools",
        "fetch",
        "--manifest",
        str(urls),
        "--store",
        str(store),
    ]
    cost, said = timed([*command, "--allow-private", "--per-host", "0", "--json"])
    if said != b'{"ok": %d, "errors": {}}\n' % n:
        raise SystemExit(f"not all was fetched: {said!r}")
    return cost


def resized(store: Path, n: int) -> Cost:
    """Resize n images of a store, by two processes."""
    blocks = [[f"i{i}" for i in range(lo, min(lo + 250, n))] for lo in range(0, n, 250)]
    before, begun = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    list(local.run(partial(resize, str(store)), blocks, 2))
    seconds, after = time.perf_counter() - begun, getrusage(RUSAGE_CHILDREN)
    return Cost(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def img2dataset(python: str, urls: Path, out: Path, n: int) -> Cost:
    """Let img2dataset fetch and resize n images."""
    command = [python, "-m", "img2dataset.main", f"--url_list={urls}", f"--output_folder={out}"]
    cost, _ = timed([*command, *(f"--{name}={value}" for name, value in THEIRS.items())])
    if (found := sum(1 for _ in out.glob("*/*.jpg"))) != n:
        raise SystemExit(f"img2dataset wrote {found} images of {n}")
    return cost


def race(place: Path, port: int, n: int, rounds: int, python: str) -> None:
    """Fetch and resize, in turns with img2dataset if there is one; print what each took, and the ratio."""
    urls = manifest(place, port, n)
    for number in range(rounds):
        load = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(dir=place) as name:
            got = fetch(urls, Path(name) / "s", n)
            small = resized(Path(name) / "s", n)
            theirs = img2dataset(python, urls, Path(name) / "t", n) if python else None
        both = Cost(got.clock + small.clock, got.processor + small.processor)
        print(f"round {number + 1}, load before {load:.1f}")
        for what, cost in {
            "fetch": got,
            "resize": small,
            "both": both,
            "img2dataset": theirs,
        }.items():
            if cost:
                print(
                    f"  {what:12} {cost.clock:6.1f} s {n / cost.clock:6.0f}/s   processor {cost.processor:6.1f} s"
                )
        if theirs:
            clock, processor = both.clock / theirs.clock, both.processor / theirs.processor
            print(f"  ratio        {clock:6.2f}      processor {processor:.2f}")


def main(args: argparse.Namespace) -> None:
    """Measure and print."""
    bodies, how = pictures(args.folder), pixels.Storage(SIDE)
    begun = time.process_time()
    for body in bodies:
        inspect_image(body), pixels.encode_picture(body, how)
    floor = (time.process_time() - begun) / len(bodies)
    command = [sys.executable, __file__, "--serve", "--folder", args.folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline())
    try:
        with tempfile.TemporaryDirectory() as name:
            size = sum(map(len, bodies)) / len(bodies) / 1000
            print(
                f"{len(bodies)} JPEGs of {size:.0f} kB; floor {1000 * floor:.2f} ms each",
                flush=True,
            )
            race(Path(name), port, args.images, args.rounds, args.img2dataset)
            for rows in args.memory:
                cost = fetch(
                    manifest(Path(name), port, rows, "small"), Path(name) / f"m{rows}", rows
                )
                print(f"memory  {rows:6,} URLs: {cost.peak:.0f} MB at most", flush=True)
    finally:
        process.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=6_000)
    parser.add_argument("--folder", default="")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--img2dataset", default="", metavar="PYTHON")
    parser.add_argument("--memory", type=int, nargs="*", default=[1_000, 5_000, 20_000])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        Serve.bodies, Serve.small = pictures(given.folder), pictures("", (24, 20))[0]
        with Server(("127.0.0.1", 0), Serve) as server:
            print(server.server_address[1], flush=True)
            server.serve_forever()
    else:
        main(given)
