"""A build of published splits beside the packaged builder of TensorFlow Datasets.

    python benchmarks/tfds.py --tfds PYTHON [--releases DIR] [--rounds N] [--colours red blue]

PYTHON is an interpreter that has tensorflow-datasets, tensorflow-cpu and opencv-python-headless.
Its builder `controlled_noisy_web_labels` prepares all ten levels of a colour, in turns with us:

    cnlw build --dataset mini_imagenet --noise COLOUR --published-splits --level all --size 84

Both read one synthetic release, which is drawn from a seed: 100 classes with 60 training images of
ILSVRC12, 40 web images and 20 validation images each, photographs of 500 x 375 pixels; and ten
levels of 6,000 rows a colour. Each level is drawn by itself, as if nobody had thought of sharing:
which images it replaces, by which web images, and to which labels it flips. At 80 % a class would
need 48 web images, and takes its 40. DIR keeps the releases for the next run.

A second release has a fifth of the images. The line through both says how long the release of 2020
would take, which has 525,000 rows a colour.

The floor is one call of `encode_picture` (decode at half the size, resize, encode) for each
distinct image. The last part draws red noise at ten levels for five sixths of the training images,
and divides the seconds of the build by this floor. "clock" is wall time in seconds; "processor" is
that of all processes.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

SEED = 2020
N_CLASSES = 100
LEVELS = (0, 5, 10, 15, 20, 30, 40, 50, 60, 80)  # percent
WIDTH, HEIGHT = 500, 375
COARSE, GRAIN = (12, 16), 16  # grid of the colours of a picture; how much its pixels differ
SIDE = 84
DRAWN_RECIPE = "drawn_red.toml"
LISTS = ("train", "val", "test")
N_FLOOR = 400  # images that the floor is measured with
FULL_ROWS = 525_000  # of the release of 2020, ten levels and validation, a colour

Row = tuple[str, int]  # id of an image, label


class Size(NamedTuple):
    """How many images of each class a release has."""

    clean: int
    web: int
    validation: int

    @property
    def drawn(self) -> int:
        """Training images of drawn noise: 80 % of them are as many as there are web images."""
        return self.web * 100 // max(LEVELS)

    @property
    def n_rows(self) -> int:
        """Rows of all levels of a colour, and of validation."""
        return N_CLASSES * (len(LEVELS) * self.clean + self.validation)

    def n_images(self, colour: str) -> int:
        """Distinct images of a colour."""
        n_web = self.web if colour == "red" else 0
        return N_CLASSES * (self.clean + n_web + self.validation)


LARGE, SMALL = Size(60, 40, 20), Size(12, 8, 4)


class Cost(NamedTuple):
    """What a run took and left."""

    clock: float  # seconds
    processor: float  # seconds
    n_files: int
    n_bytes: int


class Images(NamedTuple):
    """The ids of the images of a release, by class."""

    clean: list[list[str]]
    web: list[list[str]]
    validation: list[list[str]]

    def count(self) -> int:
        """Return the number of images."""
        return sum(len(ids) for part in self for ids in part)


def name_images(wnids: list[str], size: Size) -> Images:
    """Return the ids of all images."""
    clean, web, validation = [], [], []
    for label, wnid in enumerate(wnids):
        clean.append([f"{wnid}{number:08d}" for number in range(1, size.clean + 1)])
        web.append([f"{label:04x}{number:012x}" for number in range(size.web)])
        first = 1 + size.validation * label
        numbers = range(first, first + size.validation)
        validation.append([f"ILSVRC2012_val_{number:08d}" for number in numbers])
    return Images(clean, web, validation)


def draw_jpeg(image_id: str) -> bytes:
    """Return the picture of an id: soft colours with grain, about as large as a photograph."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng([SEED, *image_id.encode()])
    colours = rng.integers(0, 256, (*COARSE, 3), np.uint8)
    soft = Image.fromarray(colours).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    grain = rng.integers(-GRAIN, GRAIN + 1, (HEIGHT, WIDTH, 1), np.int16)
    pixels = np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def draw_jpegs(ids: list[str]) -> list[tuple[str, bytes]]:
    """Return some ids, each with its picture."""
    return [(image_id, draw_jpeg(image_id)) for image_id in ids]


def draw_level(images: Images, colour: str, level: int) -> list[Row]:
    """Return the rows of one published level."""
    import numpy as np

    rng = np.random.default_rng([SEED, *colour.encode(), level])
    n_classes = len(images.clean)
    rows = []
    for label, clean_ids in enumerate(images.clean):
        n_clean = len(clean_ids)
        n_noisy = min(len(images.web[label]), level * n_clean // 100)
        is_noisy = np.zeros(n_clean, bool)
        is_noisy[rng.permutation(n_clean)[:n_noisy]] = True
        web_ids = iter(rng.permutation(images.web[label])[:n_noisy])
        for image_id, noisy in zip(clean_ids, is_noisy, strict=True):
            if not noisy:
                rows.append((image_id, label))
            elif colour == "red":
                rows.append((str(next(web_ids)), label))
            else:
                step = int(rng.integers(1, n_classes))
                rows.append((image_id, (label + step) % n_classes))
    return rows


def make_release(folder: Path, size: Size) -> None:
    """Draw a release, and write it as its users have it: archives, lists, and web images."""
    wnids = read_wnids()
    images = name_images(wnids, size)
    pictures = draw_pictures(id for part in images for ids in part for id in ids)
    write_archives(folder, wnids, images, pictures)
    write_lists(folder, wnids, images)
    write_published(folder / "dataset_no_images", images)
    web_folder = folder / "noisy_images"
    web_folder.mkdir()
    for ids in images.web:
        for image_id in ids:
            (web_folder / f"{image_id}.jpg").write_bytes(pictures[image_id])
    write_recipe(folder / DRAWN_RECIPE, size)


def read_wnids() -> list[str]:
    """Return the WordNet ids of the classes, in label order."""
    import csv

    from cnlw_tools import files

    path = files.default_root() / "manifests" / "mini_imagenet" / "classes.csv"
    with path.open(newline="") as file:
        return [row["wnid"] for row in csv.DictReader(file)]


def draw_pictures(ids: Iterable[str]) -> dict[str, bytes]:
    """Return the picture of each id, drawn by all processors."""
    from cnlw_tools.executor import EXECUTORS

    pictures: dict[str, bytes] = {}
    all_ids = list(ids)
    blocks = [all_ids[start : start + 250] for start in range(0, len(all_ids), 250)]
    with EXECUTORS["local"](None) as executor:
        for block in executor.map(draw_jpegs, blocks):
            pictures.update(block)
    return pictures


def write_archives(
    folder: Path, wnids: list[str], images: Images, pictures: Mapping[str, bytes]
) -> None:
    """Write the training archive, which holds one for each class, and the validation archive."""
    with tarfile.open(folder / "ILSVRC2012_img_train.tar", "w") as archive:
        for wnid, ids in zip(wnids, images.clean, strict=True):
            members = {f"{wnid}_{int(id[9:])}.JPEG": pictures[id] for id in ids}
            add_member(archive, f"{wnid}.tar", pack_tar(members))
    with tarfile.open(folder / "ILSVRC2012_img_val.tar", "w") as archive:
        for ids in images.validation:
            for image_id in ids:
                add_member(archive, f"{image_id}.JPEG", pictures[image_id])


def pack_tar(members: Mapping[str, bytes]) -> bytes:
    """Return a tar archive of some files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members.items():
            add_member(archive, name, data)
    return file.getvalue()


def add_member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a file to a tar archive."""
    header = tarfile.TarInfo(name)
    header.size = len(data)
    archive.addfile(header, io.BytesIO(data))


def write_lists(folder: Path, wnids: list[str], images: Images) -> None:
    """Write the three lists of Mini-ImageNet; each names every third class."""
    for number, name in enumerate(LISTS):
        lines = ["filename,label"]
        for wnid, ids in zip(wnids[number::3], images.clean[number::3], strict=True):
            lines += [f"{image_id}.jpg,{wnid}" for image_id in ids]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def write_published(folder: Path, images: Images) -> None:
    """Write the lists of the levels, and the verdicts on the web images."""
    split_folder = folder / "mini-imagenet" / "split"
    split_folder.mkdir(parents=True)
    for colour in ("red", "blue"):
        for level in LEVELS:
            path = split_folder / f"{colour}_noise_nl_{level / 100}"
            write_rows(path, draw_level(images, colour, level))
    validation = []
    for label, ids in enumerate(images.validation):
        validation += [(image_id, label) for image_id in ids]
    write_rows(split_folder / "clean_validation", validation)
    verdicts = []
    for label, ids in enumerate(images.web):
        for image_id in ids:
            verdict = {
                "image/id": image_id,
                "image/uri": f"https://example.org/{image_id}.jpg",
                "image/class/label": label,
                "image/class/label/is_clean": 0,
            }
            verdicts.append([verdict])
    content = {"name": "synthetic", "version": "1.0", "data": verdicts}
    (folder / "mini-imagenet-annotations.json").write_text(json.dumps(content))


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write a published list."""
    path.write_text("".join(f"{image_id}.jpg {label}\n" for image_id, label in rows))


def write_recipe(path: Path, size: Size) -> None:
    """Write a recipe of red noise that is drawn."""
    path.write_text(
        'dataset = "mini_imagenet"\n'
        'noise = "red"\n'
        f"per_class = {size.drawn}\n"
        f"levels = {list(LEVELS)}\n"
        f"size = {SIDE}\n"
    )


def prepare_with_tfds(release: Path, out: Path, colour: str) -> None:
    """Prepare a colour with the packaged builder; it reads the lists of the release."""
    import tensorflow_datasets as tfds

    lists = {f"mini_{name}": str(release / f"{name}.csv") for name in LISTS}
    tfds.download.DownloadManager.download = lambda self, urls: lists  # it has no network here
    builder = tfds.builder(f"controlled_noisy_web_labels/mini_imagenet_{colour}", data_dir=str(out))
    options = tfds.download.DownloadConfig(manual_dir=str(release))
    builder.download_and_prepare(download_config=options)
    n_rows = sum(split.num_examples for split in builder.info.splits.values())
    print(n_rows)


def run_timed(command: list[str], out: Path) -> tuple[Cost, str]:
    """Run a command that writes a folder; return its cost, that of its processes included."""
    before = os.times()
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True)
    clock = time.perf_counter() - start
    after = os.times()
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{result.stderr}")
    user = after.children_user - before.children_user
    system = after.children_system - before.children_system
    sizes = [path.stat().st_size for path in list_data(out)]
    return Cost(clock, user + system, len(sizes), sum(sizes)), result.stdout


def list_data(out: Path) -> Iterator[Path]:
    """Yield the files that hold rows."""
    yield from out.rglob("data/*.parquet")
    yield from out.rglob("*.tfrecord*")


def build_published(release: Path, out: Path, colour: str, levels: str) -> Cost:
    """Build published levels of a colour."""
    command = [sys.executable, "-m", "cnlw_tools", "build", "--dataset", "mini_imagenet"]
    command += ["--noise", colour, "--published-splits", "--level", levels, "--size", str(SIDE)]
    command += ["--data-dir", str(release), "--out", str(out)]
    return run_timed(command, out)[0]


def build_drawn(release: Path, out: Path) -> Cost:
    """Draw red noise at ten levels, and build it."""
    command = [sys.executable, "-m", "cnlw_tools", "build", str(release / DRAWN_RECIPE)]
    command += ["--data-dir", str(release), "--out", str(out)]
    return run_timed(command, out)[0]


def run_tfds(python: str, release: Path, out: Path, colour: str, size: Size) -> Cost:
    """Prepare a colour with TFDS."""
    command = [python, __file__, "--prepare", colour, "--releases", str(release), "--out", str(out)]
    cost, output = run_timed(command, out)
    n_rows = output.split()[-1]  # behind its messages
    if n_rows != str(size.n_rows):
        raise SystemExit(f"tfds: {n_rows} rows, and the release has {size.n_rows}")
    return cost


def measure_floor(release: Path) -> float:
    """Return the processor seconds that an image takes to be decoded, resized and encoded."""
    from cnlw_tools.images.pixels import Storage, encode_picture

    paths = sorted((release / "noisy_images").iterdir())[:N_FLOOR]
    pictures = [path.read_bytes() for path in paths]
    storage = Storage(SIDE)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        for picture in pictures:
            encode_picture(picture, storage)
        seconds.append(time.process_time() - start)
    return min(seconds) / len(pictures)


def compare(folder: Path, releases: Mapping[Size, Path], python: str, colour: str) -> None:
    """Build a colour of each release, prepare it with TFDS, and print the costs."""
    ours, theirs = {}, {}
    for size, release in releases.items():
        out = folder / f"{size.clean}"
        print(f"{colour}: {size.n_rows:,} rows, load {os.getloadavg()[0]:.1f}")
        floor = size.n_images(colour) * measure_floor(release)
        print(f"  {'floor':32}   processor {floor:6.1f} s")
        ours[size] = build_published(release, out / "ours", colour, "all")
        print_cost("cnlw build", ours[size])
        if python:
            theirs[size] = run_tfds(python, release, out / "theirs", colour, size)
            print_cost("tfds", theirs[size])
            print_ratio(ours[size], theirs[size])
    one_level = build_published(releases[LARGE], folder / "one", colour, "40")
    print(f"  bytes {ours[LARGE].n_bytes / one_level.n_bytes:.2f} x those of level 40 alone")
    if python:
        print(f"{colour}: {FULL_ROWS:,} rows, by arithmetic")
        print_ratio(extrapolate(ours), extrapolate(theirs))


def extrapolate(costs: Mapping[Size, Cost]) -> Cost:
    """Return the cost of the release of 2020, on the line through those of two releases."""
    small, large = costs[SMALL], costs[LARGE]
    steps = (FULL_ROWS - LARGE.n_rows) / (LARGE.n_rows - SMALL.n_rows)
    clock = large.clock + steps * (large.clock - small.clock)
    processor = large.processor + steps * (large.processor - small.processor)
    return Cost(clock, processor, 0, 0)


def print_ratio(ours: Cost, theirs: Cost) -> None:
    """Print how many times as long as TFDS we take."""
    clock = ours.clock / theirs.clock
    processor = ours.processor / theirs.processor
    print(f"  ratio        clock {clock:8.2f}   processor {processor:8.2f}", flush=True)


def print_cost(name: str, cost: Cost) -> None:
    """Print one line."""
    print(
        f"  {name:12} clock {cost.clock:6.1f} s   processor {cost.processor:6.1f} s"
        f"   {cost.n_bytes / 1e6:6.1f} MB in {cost.n_files} files",
        flush=True,
    )


def main(args: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        releases = {}
        for size in (SMALL, LARGE):
            releases[size] = (args.releases or Path(name)) / f"release{size.clean}"
            if not (releases[size] / DRAWN_RECIPE).exists():  # it is written last
                releases[size].mkdir(parents=True)
                make_release(releases[size], size)
        floor = measure_floor(releases[LARGE])
        print(f"floor {1000 * floor:.2f} ms an image", flush=True)
        for _ in range(args.rounds):
            for colour in args.colours:
                with tempfile.TemporaryDirectory(dir=name) as folder:
                    compare(Path(folder), releases, args.tfds, colour)
            with tempfile.TemporaryDirectory(dir=name) as folder:
                cost = build_drawn(releases[LARGE], Path(folder) / "drawn")
            n_images = N_CLASSES * (LARGE.drawn + LARGE.web + LARGE.validation)
            floor = measure_floor(releases[LARGE])  # anew: the machine may have slowed down
            print_cost("drawn red", cost)
            print(f"  processor {cost.processor / n_images / floor:.2f} x the floor", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tfds", default="", metavar="PYTHON")
    parser.add_argument("--releases", type=Path, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--colours", nargs="*", default=["red", "blue"])
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        prepare_with_tfds(arguments.releases, arguments.out, arguments.prepare)
    else:
        main(arguments)
