"""How long fetching takes, and how much memory: python benchmarks/fetch.py [IMAGES] [FOLDER OF JPEGS]

The server is on loopback, in a process of its own, and answers at once from memory. Every image is a JPEG of 500 x 400,
drawn, or from the folder; fetched is with sha256, decode check, fingerprint, file and ledger. Resizing to 84 px is the
step of a build that follows, measured apart. Floor: one look at every byte by a decoder. Memory is measured with small
images: it is their number that it must not depend on.
"""

import io
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from cnlw_tools import engine, images
from cnlw_tools.fetch import Store
from cnlw_tools.fetch.look import look

SIZE = (500, 400)
DISTINCT = 100


class Serve(StreamRequestHandler):
    """Answers /N.jpg with the JPEG of that number, again and again."""

    disable_nagle_algorithm = True
    bodies: tuple[bytes, ...] = ()
    small: bytes = b""

    def handle(self) -> None:
        """Serve one connection."""
        while line := self.rfile.readline():
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            number = line.split()[1].strip(b"/").partition(b".")[0]
            body = self.bodies[int(number) % len(self.bodies)] if number.isdigit() else b""
            body = self.small if number.startswith(b"small") else body
            status = b"200 OK" if body else b"404 Not Found"
            self.wfile.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


class Server(ThreadingTCPServer):
    """Many connections."""

    daemon_threads, request_queue_size = True, 256


def pictures(folder: str | None, size: tuple[int, int] = SIZE) -> tuple[bytes, ...]:
    """Encode pictures of a folder, or such as are drawn, as JPEGs of one size."""
    if folder:
        found = [Image.open(path).convert("RGB") for path in sorted(Path(folder).glob("*.JPEG"))[:DISTINCT]]
    else:
        draw = np.random.default_rng(0)
        found = [Image.fromarray(draw.integers(0, 256, (40, 50, 3), np.uint8)) for _ in range(DISTINCT)]
    out = []
    for image in found:
        file = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        out.append(file.getvalue())
    return tuple(out)


def resize(name: str, ids: list[str]) -> int:
    """Resize some images of a store."""
    how = images.Storage(84)
    with Store(Path(name)) as store:
        return sum(len(images.stored(store.read(i), how)) for i in ids)


def fetch(folder: Path, port: int, n: int, kind: str = "") -> tuple[float, float, float]:
    """Fetch n images; return seconds of the clock, of the processor, and MB at most."""
    ids, store = [f"i{i}" for i in range(n)], folder / f"store{kind}{n}"
    table = pa.table({"image_id": ids, "uri": [f"http://127.0.0.1:{port}/{kind}{i}.jpg" for i in range(n)]})
    pq.write_table(table, folder / "urls.parquet")
    command = [sys.executable, "-m", "cnlw_tools", "fetch", "--manifest", str(folder / "urls.parquet")]
    command += ["--store", str(store), "--allow-private", "--per-host", "0", "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status or said != b'{"ok": %d, "errors": {}}\n' % n:
        raise SystemExit(f"not all was fetched: {said!r}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(n: int, folder: str | None) -> None:
    """Measure and print."""
    bodies = pictures(folder)
    begun = time.process_time()
    for body in bodies:
        look(body)
    floor = (time.process_time() - begun) / len(bodies)
    process = subprocess.Popen([sys.executable, __file__, "serve", folder or ""], stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline())
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        size = np.mean([len(body) for body in bodies]) / 1000
        print(f"{len(bodies)} JPEGs of {size:.0f} kB; floor {1000 * floor:.2f} ms each")
        seconds, cpu, peak = fetch(place, port, n)
        print(f"fetch   {n:,} images: {seconds:6.1f} s ({n / seconds:5.0f}/s), {cpu:.1f} s of processor, {peak:.0f} MB")
        blocks = [[f"i{i}" for i in range(lo, min(lo + 250, n))] for lo in range(0, n, 250)]
        begun = time.perf_counter()
        list(engine.run(partial(resize, str(place / f"store{n}")), blocks, 2))
        print(f"resize  {n:,} images: {time.perf_counter() - begun:6.1f} s, two processes")
        for rows in (1_000, 5_000, 20_000):
            print(f"memory  {rows:6,} URLs: {fetch(place, port, rows, 'small')[2]:.0f} MB at most")
    process.kill()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        Serve.bodies, Serve.small = pictures(sys.argv[2] or None), pictures(None, (24, 20))[0]
        with Server(("127.0.0.1", 0), Serve) as server:
            print(server.server_address[1], flush=True)
            server.serve_forever()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 6_000, sys.argv[2] if len(sys.argv) > 2 else None)
