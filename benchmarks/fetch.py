"""How long fetching takes, and how much memory.

    python benchmarks/fetch.py [--images N] [--folder JPEGS] [--rounds N] [--img2dataset PYTHON]
                               [--originals] [--memory ROWS ...]

The server is on loopback, in a process of its own, and answers at once from memory. Every image is
a JPEG of 500 x 400 pixels, drawn or from the folder. `fetch --keep 84` includes sha256, decode
check, fingerprint, the image of 84 pixels that a build stores, its file and the ledger. With
--originals, a fetch of the originals is measured too, and the resizing that a build of them does
later. The floor is what decoding every image once and making its square takes. PYTHON is an
interpreter that has img2dataset 1.47, which fetches and resizes the same URLs, in turns with us;
the ratios are those of `fetch --keep 84` to it. Memory is measured with small
images, because it must not depend on their number. "clock" is wall time in seconds; "processor" is
the seconds of all processes except the server, whose seconds come last. As pip does for other
packages, the modules of this one are compiled first.
"""

import argparse
import compileall
import ctypes
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, NamedTuple

from PIL import Image

import cnlw_tools
from cnlw_tools.executor.local import processes
from cnlw_tools.images.pixels import Storage, encode_picture
from cnlw_tools.store.inspect import inspect_image
from cnlw_tools.store.store import Store

SIZE = (500, 400)
SMALL_SIZE = (24, 20)
N_DISTINCT = 100
SIDE = 84
KEEP = f"--keep {SIDE}"
BLOCK = 250  # images that a process resizes at a time
PR_SET_CHILD_SUBREAPER = 36  # of prctl, on Linux
IMG2DATASET_OPTIONS = {
    "input_format": "parquet",
    "url_col": "uri",
    "output_format": "files",
    "image_size": SIDE,
    "resize_mode": "border",
    "compute_hash": "sha256",
    "processes_count": 2,
    "number_sample_per_shard": 500,  # so that both of its processes have work to the end
    "enable_wandb": False,
}


class ServerProcess(NamedTuple):
    """The process of the server."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """Return the processor time that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])  # in its own code and in the system
        return ticks / os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """What a run took."""

    clock: float  # seconds
    processor: float  # seconds
    peak: float = 0.0  # MB


class Handler(StreamRequestHandler):
    """Answers /N.jpg with one of the JPEGs, and /smallN.jpg with a small one."""

    disable_nagle_algorithm = True
    bodies: tuple[bytes, ...] = ()
    small_body: bytes = b""

    def handle(self) -> None:
        """Serve one connection."""
        while line := self.rfile.readline():
            keep_open = line.rstrip().endswith(b"1.1")
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                keep_open &= header.lower().strip() != b"connection: close"
            body = self.find_body(line.split()[1])
            status = b"200 OK" if body else b"404 Not Found"
            headers = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            self.wfile.write(headers + body)
            if not keep_open:
                return

    def find_body(self, path: bytes) -> bytes:
        """Return the body of a path; empty if there is none."""
        name = path.strip(b"/").partition(b".")[0]
        if name.startswith(b"small"):
            return self.small_body
        if name.isdigit():
            return self.bodies[int(name) % len(self.bodies)]
        return b""


class Server(ThreadingTCPServer):
    """Serves many connections."""

    daemon_threads = True
    request_queue_size = 512


def encode_jpegs(folder: str, size: tuple[int, int] = SIZE) -> tuple[bytes, ...]:
    """Encode the pictures of a folder, or drawn ones, as JPEGs of one size."""
    bodies = []
    for image in read_pictures(Path(folder)) if folder else draw_pictures():
        file = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        bodies.append(file.getvalue())
    return tuple(bodies)


def read_pictures(folder: Path) -> list[Image.Image]:
    """Read the first JPEGs of a folder."""
    paths = sorted(folder.glob("*.JPEG"))[:N_DISTINCT]
    return [Image.open(path).convert("RGB") for path in paths]


def draw_pictures() -> list[Image.Image]:
    """Draw random pictures."""
    import numpy as np  # here and below: the processes that resize start faster without it

    rng = np.random.default_rng(0)
    shape = (40, 50, 3)
    return [Image.fromarray(rng.integers(0, 256, shape, np.uint8)) for _ in range(N_DISTINCT)]


def resize_images(store_path: str, ids: list[str]) -> int:
    """Resize some images of a store; return the number of bytes."""
    storage = Storage(SIDE)
    n_bytes = 0
    with Store(Path(store_path)) as store:
        for image_id in ids:
            n_bytes += len(encode_picture(store.read(image_id), storage))
    return n_bytes


def processor_seconds() -> float:
    """Return the processor time of all processes that this one has started and that have ended."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def adopt_orphans() -> None:
    """Let processes whose parent ends become children of this one, so that their time is known."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def read_children() -> set[int]:
    """Return the processes that this one has started or adopted, and that it has not waited for."""
    own = os.getpid()
    return set(map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split()))


def run_timed(command: list[str]) -> tuple[Cost, bytes]:
    """Run a command; return its cost, that of its processes included, and its output."""
    others = read_children()
    processor = processor_seconds()
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        peak = usage.ru_maxrss
    if status:
        raise SystemExit(f"{' '.join(command)}: exit code {os.waitstatus_to_exitcode(status)}")
    clock = time.perf_counter() - start
    while orphans := read_children() - others:
        _, _, usage = os.wait4(orphans.pop(), 0)
        peak = max(peak, usage.ru_maxrss)
    return Cost(clock, processor_seconds() - processor, peak / 1024), output


def write_manifest(folder: Path, port: int, n: int, prefix: str = "") -> Path:
    """Write a manifest of n URLs; the prefix `small` gives small images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"urls{prefix}{n}.parquet"
    ids = [f"i{i}" for i in range(n)]
    uris = [f"http://127.0.0.1:{port}/{prefix}{i}.jpg" for i in range(n)]
    pq.write_table(pa.table({"image_id": ids, "uri": uris}), path)
    return path


def fetch(manifest: Path, store: Path, n: int, *options: str) -> Cost:
    """Fetch the n images of a manifest."""
    command = [sys.executable, "-m", "cnlw_tools", "fetch", "--allow-private", "--json"]
    command += ["--manifest", str(manifest), "--store", str(store), "--per-host", "0", *options]
    cost, output = run_timed(command)
    if output != b'{"ok": %d, "errors": {}}\n' % n:
        raise SystemExit(f"not all images were fetched: {output!r}")
    return cost


def resize(store: Path, n: int) -> Cost:
    """Resize n images of a store, with two processes."""
    ids = [f"i{i}" for i in range(n)]
    blocks = [ids[start : start + BLOCK] for start in range(0, n, BLOCK)]
    processor = processor_seconds()
    start = time.perf_counter()
    with processes(2) as executor:
        list(executor.map(partial(resize_images, str(store)), blocks))
    clock = time.perf_counter() - start
    return Cost(clock, processor_seconds() - processor)


def run_img2dataset(python: str, manifest: Path, out: Path, n: int) -> Cost:
    """Fetch and resize the n images of a manifest with img2dataset."""
    command = [python, "-m", "img2dataset.main", f"--url_list={manifest}", f"--output_folder={out}"]
    for name, value in IMG2DATASET_OPTIONS.items():
        command.append(f"--{name}={value}")
    cost, _ = run_timed(command)
    n_written = sum(1 for _ in out.glob("*/*.jpg"))
    if n_written != n:
        raise SystemExit(f"img2dataset wrote {n_written} images of {n}")
    return cost


def race(
    folder: Path, server: ServerProcess, n: int, rounds: int, python: str, with_originals: bool
) -> None:
    """Fetch and resize, in turns with img2dataset if there is one; print the costs and ratios."""
    manifest = write_manifest(folder, server.port, n)
    for number in range(rounds):
        print(f"round {number + 1}, load before {os.getloadavg()[0]:.1f}")
        with tempfile.TemporaryDirectory(dir=folder) as name:
            store = Path(name) / "store"
            kept = Path(name) / "kept"
            ours = measure(server, n, KEEP, fetch, manifest, kept, n, "--keep", str(SIDE))
            if with_originals:
                measure(server, n, "originals", fetch, manifest, store, n)
                measure(server, n, "resize", resize, store, n)
            if python:
                out = Path(name) / "img2dataset"
                theirs = measure(
                    server, n, "img2dataset", run_img2dataset, python, manifest, out, n
                )
                print_ratio(ours, theirs)


def measure(
    server: ServerProcess, n: int, name: str, run: Callable[..., Cost], *arguments: Any
) -> Cost:
    """Return what a run of n images takes, and print it with what the server takes meanwhile."""
    served = server.processor_seconds()
    cost = run(*arguments)
    served = server.processor_seconds() - served
    print(
        f"  {name:12} {cost.clock:6.1f} s {n / cost.clock:6.0f}/s   "
        f"processor {cost.processor:6.1f} s   server {served:4.1f} s",
        flush=True,
    )
    return cost


def print_ratio(ours: Cost, theirs: Cost) -> None:
    """Print what part of the time of another program a run took."""
    clock = ours.clock / theirs.clock
    print(f"  ratio        {clock:6.2f}      processor {ours.processor / theirs.processor:.2f}")


def measure_floor(bodies: tuple[bytes, ...]) -> float:
    """Return the processor seconds that checking one image and making its square takes."""
    start = time.process_time()
    for body in bodies:
        inspect_image(body, keep=Storage(SIDE))
    return (time.process_time() - start) / len(bodies)


def main(args: argparse.Namespace) -> None:
    """Measure and print."""
    compileall.compile_dir(Path(cnlw_tools.__file__).parent, quiet=1)
    adopt_orphans()
    bodies = encode_jpegs(args.folder)
    floor = measure_floor(bodies)
    size = sum(map(len, bodies)) / len(bodies)
    command = [sys.executable, __file__, "--serve", "--folder", args.folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    server = ServerProcess(int(process.stdout.readline()), process.pid)
    print(
        f"{len(bodies)} JPEGs of {size / 1000:.0f} kB; floor {1000 * floor:.2f} ms each", flush=True
    )
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            race(folder, server, args.images, args.rounds, args.img2dataset, args.originals)
            for rows in args.memory:
                manifest = write_manifest(folder, server.port, rows, "small")
                cost = fetch(manifest, folder / f"m{rows}", rows)
                print(f"memory  {rows:6,} URLs: {cost.peak:.0f} MB at most", flush=True)
    finally:
        process.kill()


def serve(folder: str) -> None:
    """Print the port, and serve until the process is killed."""
    Handler.bodies = encode_jpegs(folder)
    Handler.small_body = encode_jpegs("", SMALL_SIZE)[0]
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=6_000)
    parser.add_argument("--folder", default="")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--img2dataset", default="", metavar="PYTHON")
    parser.add_argument("--originals", action="store_true")
    parser.add_argument("--memory", type=int, nargs="*", default=[1_000, 5_000, 20_000])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.folder)
    else:
        main(arguments)
