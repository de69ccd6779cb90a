"""How plan, build and validate grow with rows: python benchmarks/scale.py [ROWS ...] [--folder DIR]

Makes a dataset of ROWS training images and a fiftieth as many for validation: class folders of PNG
files with 8 x 8 pixels of random colours, 100 classes, with the sha256 of each, as `cnlw import`
would write it. Then it runs, one after the other,

    cnlw plan      one level of symmetric noise, 40 %
    cnlw build     the ten levels of the benchmark
    cnlw validate  the build beside its images

and prints for each the seconds of the processor, the memory of the largest process, and that of all
processes together (shared pages are counted once; looked at twice a second). The ratio compares
seconds a row with those of the size above: 1.0 is linear. `--steps` leaves some out, and
`--workers` says how many processes read and write images. Images and builds are deleted, except in
DIR.

`--rows-only` leaves out what images take, which is the same for each and may be shared by any number
of processes: no file is made, a source of our own gives the bytes of an image by its id, the build
stores them as they are, and the check takes each for decoded and compared. All that remains is the
work of the process that holds the rows, and the reading and writing of Parquet.

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
NAME = "scale"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
NOISE = "symmetric"
NAMES = tuple(f"{label:03d}" for label in range(CLASSES))
STEPS = ("plan", "build", "validate")


class Cost(NamedTuple):
    """What a command took."""

    seconds: float  # of processors, all processes
    largest: int  # bytes of the process that held most
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
    arguments = parser.parse_args()
    if arguments.run:
        run_rows_only(arguments.run, arguments.folder)
        return
    print("| rows | command | processor s | largest process MB | all processes MB | s a row x |")
    print("|---" * 6 + "|", flush=True)
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


def cnlw_commands(folder: Path, workers: int) -> dict[str, list[str]]:
    """Return the command of each step."""
    images, build = str(folder / "images"), str(folder / "build")
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
        sizes = f"{cost.largest / 1e6:.0f} | {cost.together / 1e6:.0f}"
        print(f"| {n:,} | {step} | {cost.seconds:.1f} | {sizes} | {ratio} |", flush=True)


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
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    together = 0
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        together = max(together, sum(map(held, family(process.pid))))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if status:
        raise SystemExit(f"{' '.join(command)}: ended with {os.waitstatus_to_exitcode(status)}")
    largest = usage.ru_maxrss * 1024  # of the command and its processes, the largest
    return Cost(usage.ru_utime + usage.ru_stime, largest, max(together, largest))


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


if __name__ == "__main__":
    main()
