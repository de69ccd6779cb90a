"""How plan, build and validate grow: python benchmarks/scale.py [ROWS ...] [--folder DIR]

Makes a dataset of ROWS training images and a fiftieth as many for validation: class folders of PNG
files with 8 x 8 pixels of random colours, 100 classes, with the sha256 of each, as `cnlw import`
would write it. Then it runs, one after the other,

    cnlw plan      one level of symmetric noise, 40 %
    cnlw build     the ten levels of the benchmark
    cnlw validate  the build beside its images

and prints for each the seconds of the processor, the memory of the largest process, how much of it
is its own, and the memory of all processes together (shared pages are counted once; looked at twice
a second). What is not its own are pages of files that it looks at, which the system takes back
whenever it needs memory. The ratio compares seconds a row with those of the size above: 1.0 is
linear. `--steps` leaves some out, and `--workers` says how many processes read and write images.
Images and builds are deleted, except in DIR.

`--rows-only` leaves out what images take, which is the same for each and may be shared by any number
of processes: no file is made, a source of our own gives the bytes of an image by its id, the build
stores them as they are, and the check takes each for decoded and compared. All that remains is the
work of the process that holds the rows, and the reading and writing of Parquet.

`--engines NAME ...` builds the images of ROWS in each engine with one worker and with two, and
prints the seconds of all processors, the seconds of the clock, and their ratio to `local` with as
many workers. `ray` runs in a network namespace of its own, because it may listen on all interfaces.
Nobody waits for its workers, so the system does not add their seconds to those of the command: the
seconds of every process that descends from it are read from /proc twenty times a second. The larger
of the two sums is printed. `--storage` builds the same into a folder, and into a bucket of the S3 server of the
tests on loopback, and reads both back with `cnlw validate`; the server's own seconds are not counted.

Floor: a build reads and writes each distinct image once, and a check decodes it once; a plan of n
rows sorts n 64-bit keys.
"""

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping, Sequence
from hashlib import sha256, shake_128
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import requests

from cnlw_tools.builds import shards
from cnlw_tools.builds.build import build
from cnlw_tools.checks import collect, validate
from cnlw_tools.checks.evidence import ImageInfo
from cnlw_tools.checks.inspections import ImageKey, Inspection
from cnlw_tools.dataset import tables
from cnlw_tools.executor import SERIAL
from cnlw_tools.ingest.resolve import load_dataset
from cnlw_tools.plans.plan import plan
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.recipe import parse_recipe

CLASSES = 100
SIDE = 8  # pixels
TRAIN, VALIDATION = "train", "val"  # folders
VALIDATION_SHARE = 50  # one image of so many
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BETWEEN_COUNTS = 0.05  # of the processor seconds of processes that may end unseen
OWN_NETWORK = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc"]
OWN_NETWORK += ["--kill-child", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
TICKS = os.sysconf("SC_CLK_TCK")  # a second
NAME = "scale"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
NOISE = "symmetric"
NAMES = tuple(f"{label:03d}" for label in range(CLASSES))
STEPS = ("plan", "build", "validate")
HEADER = ["rows", "command", "processor s", "largest process MB", "of these its own MB"]
HEADER += ["all processes MB", "s a row x"]
S3_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",  # it is not on loopback
}


class Cost(NamedTuple):
    """What a command took."""

    seconds: float  # of processors, all processes
    clock: float  # seconds from the command to its end
    largest: int  # bytes of the process that held most
    own: int  # bytes of the process that held most, without pages of files
    together: int  # bytes of all processes at one moment


def main() -> None:
    """Measure each size and print one row a command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="keep images and builds here")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rows-only", action="store_true")
    parser.add_argument("--run", choices=STEPS, help=argparse.SUPPRESS)  # in this process
    parser.add_argument("--engines", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--storage", action="store_true")
    arguments = parser.parse_args()
    if arguments.run:
        run_rows_only(arguments.run, arguments.folder)
        return
    if arguments.engines or arguments.storage:
        for n in arguments.rows:
            with tempfile.TemporaryDirectory() as temporary:
                folder = arguments.folder / str(n) if arguments.folder else Path(temporary)
                make_dataset(folder, n, rows_only=False)
                compare_engines(folder, n, arguments.engines)
                if arguments.storage:
                    compare_storage(folder, n)
        return
    print_line(HEADER)
    print_line(["---"] * len(HEADER))
    before: dict[str, float] = {}
    for n in arguments.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.folder / str(n) if arguments.folder else Path(temporary)
            make_dataset(folder, n, arguments.rows_only)
            if arguments.rows_only:
                run_it = [sys.executable, __file__, "--folder", str(folder), "--run"]
                commands = {step: [*run_it, step] for step in STEPS}
            else:
                commands = cnlw_commands(folder, arguments.workers)
            measure(folder, n, {step: commands[step] for step in arguments.steps}, before)


def cnlw_commands(folder: Path, workers: int, build: str = "") -> dict[str, list[str]]:
    """Return the command of each step; the build is in the folder, unless another place is given."""
    images, build = str(folder / "images"), build or str(folder / "build")
    made = ["--root", str(folder), "--dataset", NAME, "--noise", NOISE, "--data-dir", images]
    processes = ["--workers", str(workers)]
    plan_file = str(folder / "plan.parquet")
    start = [sys.executable, "-m", "cnlw_tools"]
    return {
        "plan": [*start, "plan", *made, "--level", "40", "--out", plan_file, *processes],
        "build": [*start, "build", *made, "--level", "all", "--out", build, *processes],
        "validate": [*start, "validate", build, "--data-dir", images, *processes],
    }


def measure(
    folder: Path, n: int, commands: Mapping[str, Sequence[str]], before: dict[str, float]
) -> None:
    """Run the commands on one dataset; ``before`` has the seconds a row of the size above."""
    for step, command in commands.items():
        if step == "build":
            shutil.rmtree(folder / "build", ignore_errors=True)
        cost = run(command)
        a_row = cost.seconds / n
        ratio = f"{a_row / before[step]:.2f}" if step in before else ""
        before[step] = a_row
        sizes = [f"{size / 1e6:,.0f}" for size in (cost.largest, cost.own, cost.together)]
        print_line([f"{n:,}", step, f"{cost.seconds:.1f}", *sizes, ratio])


def compare_engines(folder: Path, n: int, engines: Sequence[str]) -> None:
    """Build in each engine with one worker and with two; print what it takes beside `local`."""
    local: dict[int, Cost] = {}
    for engine in dict.fromkeys(["local", *engines]) if engines else ():
        for workers in (1, 2):
            shutil.rmtree(folder / "build", ignore_errors=True)
            command = [*cnlw_commands(folder, workers)["build"], "--engine", engine]
            cost = run([*OWN_NETWORK, *command] if engine == "ray" else command)
            base = local.setdefault(workers, cost)
            ratios = [f"{cost.seconds / base.seconds:.2f}", f"{cost.clock / base.clock:.2f}"]
            times = [f"{cost.seconds:.1f}", f"{cost.clock:.1f}"]
            print_line([f"{n:,}", engine, str(workers), *times, *ratios])


def compare_storage(folder: Path, n: int) -> None:
    """Build into a folder and into a bucket, and validate both; print what each takes."""
    server = Path(__file__).parents[1] / "tests" / "s3_server.py"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, server], text=True, **pipes) as process:
        address = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        os.environ |= S3_VARIABLES | {"AWS_ENDPOINT_URL": address}
        requests.put(f"{address}/bucket", timeout=10).raise_for_status()
        for name, build in (("folder", str(folder / "build")), ("S3", "s3://bucket/build")):
            with tempfile.TemporaryDirectory() as cache:
                os.environ["CNLW_CACHE"] = cache
                shutil.rmtree(folder / "build", ignore_errors=True)
                for step, command in cnlw_commands(folder, 1, build).items():
                    if step != "plan":
                        cost = run(command)
                        times = [f"{cost.seconds:.1f}", f"{cost.clock:.1f}"]
                        print_line([f"{n:,}", step, name, *times])
        process.stdin.close()


def print_line(cells: Sequence[str]) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def make_dataset(folder: Path, n: int, rows_only: bool) -> None:
    """Write images and tables of n training images, unless they are there."""
    manifests = folder / "manifests" / NAME
    if (manifests / "base.parquet").exists():
        return
    images = None if rows_only else folder / "images"
    parts = [
        make_images(images, TRAIN, n),
        make_images(images, VALIDATION, max(CLASSES, n // VALIDATION_SHARE)),
    ]
    labels = pa.array(range(CLASSES), pa.int32())
    tables.write_csv(pa.table({"label": labels, "name": NAMES}), manifests / "classes.csv")
    base = tables.with_info(pa.concat_tables(parts), {"source": NAME if rows_only else "folder"})
    tables.write_parquet(base, manifests / "base.parquet")


def make_images(folder: Path | None, split: str, n: int) -> pa.Table:
    """Write n images in class folders, if there is a folder; return their rows of the manifest."""
    if folder:
        for name in NAMES:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
    ids, digests = [], []
    for number in range(n):
        image_id = f"{split}/{number % CLASSES:03d}/{number:09d}.png"
        encoded = draw_image(image_id)
        if folder:
            (folder / image_id).write_bytes(encoded)
        ids.append(image_id)
        digests.append(sha256(encoded).hexdigest())
    columns = {
        "image_id": ids,
        "label": (np.arange(n) % CLASSES).astype(np.int32),
        "split": ["train" if split == TRAIN else "validation"] * n,
        "uri": pa.nulls(n, pa.string()),
        "sha256": digests,
    }
    return pa.table(columns, schema=tables.MANIFEST)


def draw_image(image_id: str) -> bytes:
    """Return the PNG of an id: pixels of random colours."""
    return encode_png(shake_128(image_id.encode()).digest(3 * SIDE * SIDE))


def encode_png(pixels: bytes) -> bytes:
    """Return a PNG of 8-bit RGB pixels that are stored as they are, without compression."""
    width = 3 * SIDE
    lines = b"".join(b"\0" + pixels[i : i + width] for i in range(0, len(pixels), width))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines, 0)), (b"IEND", b"")]
    chunks = []
    for kind, data in parts:
        crc = zlib.crc32(kind + data)
        chunks.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc))
    return SIGNATURE + b"".join(chunks)


def run(command: Sequence[str]) -> Cost:
    """Run a command to its end; return what it took."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    together = own = 0
    counted: dict[str, float] = {}  # seconds of the processor by process
    next_look = start
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        members = family(process.pid)
        counted |= dict(map(count_seconds, members))
        if time.monotonic() >= next_look:
            together = max(together, sum(map(held, members)))
            own = max(own, *map(held_by_itself, members))
            next_look = time.monotonic() + SECONDS_BETWEEN_LOOKS
        time.sleep(SECONDS_BETWEEN_COUNTS)
    if status:
        raise SystemExit(f"{' '.join(command)}: ended with {os.waitstatus_to_exitcode(status)}")
    largest = usage.ru_maxrss * 1024  # of the command and its processes, the largest
    seconds = max(usage.ru_utime + usage.ru_stime, sum(counted.values()))
    clock = time.monotonic() - start
    return Cost(seconds, clock, largest, own, max(together, largest))


def count_seconds(pid: int) -> tuple[str, float]:
    """Return a name that no other process has, and the seconds of the processor so far."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has just ended
        return "", 0.0
    fields = text.rpartition(") ")[2].split()  # from the third field on, the state
    user, system, start = int(fields[11]), int(fields[12]), fields[19]
    return f"{pid} {start}", (user + system) / TICKS


class Drawn:
    """A source of images that are drawn when they are read."""

    name = NAME

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        return NAMES

    def manifest(self) -> pa.Table:
        """Return the base manifest."""
        return pq.read_table(self.folder / "manifests" / NAME / "base.parquet")

    def read(self, image_id: str) -> bytes:
        """Return the PNG of an id."""
        return draw_image(image_id)


def run_rows_only(step: str, folder: Path) -> None:
    """Do one step in this process, without decoding an image."""
    inputs = Inputs(folder, source=Drawn(folder))
    choices = {"dataset": NAME, "noise": NOISE}
    if step == "plan":
        recipe = parse_recipe({**choices, "levels": [40]}, "the benchmark")
        table = plan(recipe, load_dataset(recipe, inputs, SERIAL), 40)
        tables.write_parquet(table, folder / "plan.parquet")
    elif step == "build":
        shards._encode_image = lambda _, image_id, __: draw_image(image_id)
        build(parse_recipe(choices, "the benchmark"), inputs, folder / "build")
    else:
        collect._inspect_images = take_for_same
        results = validate(collect.collect_evidence(folder / "build", inputs))
        for result in results:
            for finding in result.findings:
                print(result.name, finding, file=sys.stderr)


def take_for_same(
    task: collect.ComparisonTask, part: collect.ShardRows
) -> tuple[collect.ShardRows, list[tuple[int, Inspection]]]:
    """Report on images of a shard as if all had been decoded and compared, and no two were alike."""
    columns = ["image", "image_id", "origin"]
    table = pq.read_table(task.data / part.file, columns=columns).take(part.rows)
    encoded = table["image"].combine_chunks().field("bytes").to_pylist()
    inspections = []
    for i, image_id in enumerate(table["image_id"].to_pylist()):
        digest = sha256(encoded[i])
        key = ImageKey(image_id, "base", digest.hexdigest())
        info = ImageInfo((SIDE, SIDE), digest.hexdigest(), digest.digest()[:16])
        inspections.append((int(part.rows[i]), Inspection(key, info, is_compared=True)))
    return part, inspections


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    members = [pid]
    for member in members:
        try:
            lists = Path(f"/proc/{member}/task").glob("*/children")
            members += [int(word) for path in lists for word in path.read_text().split()]
        except OSError:  # it has just ended
            continue
    return members


def held(pid: int) -> int:
    """Return the bytes of a process; of shared pages its part."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has just ended
        return 0
    return int(text.partition("\nPss:")[2].split()[0]) * 1024


def held_by_itself(pid: int) -> int:
    """Return the bytes of a process that are no pages of files."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return 0
    _, found, rest = text.partition("\nRssAnon:")
    return int(rest.split()[0]) * 1024 if found else 0


if __name__ == "__main__":
    main()
