"""A build of published splits beside the packaged builder of TensorFlow Datasets.

    python benchmarks/tfds.py --tfds PYTHON [--release DIR] [--rounds N] [--colours red blue]

PYTHON is an interpreter that has tensorflow-datasets, tensorflow-cpu and opencv-python-headless.
Its builder `controlled_noisy_web_labels` prepares all ten levels of a colour, in turns with us:

    cnlw build --dataset mini_imagenet --noise COLOUR --published-splits --level all --size 84

Both read one synthetic release, which is drawn from a seed: 100 classes with 60 training images of
ILSVRC12, 40 web images and 20 validation images each, photographs of 500 x 375 pixels; and ten
levels of 6,000 rows a colour. Each level is drawn by itself, as if nobody had thought of sharing:
which images it replaces, by which web images, and to which labels it flips. At 80 % a class would
need 48 web images, and takes its 40. DIR keeps the release for the next run.

The floor is one call of `encode_picture` (decode at half the size, resize, encode) for each
distinct image. The last part draws red noise at ten levels, 50 training images a class, and divides
the seconds of the build by this floor. "clock" is wall time in seconds; "processor" is that of all
processes.
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
LEVELS = (0, 5, 10, 15, 20, 30, 40, 50, 60, 80)  # percent
N_CLEAN, N_WEB, N_VALIDATION = 60, 40, 20  # images of each class
WIDTH, HEIGHT = 500, 375
COARSE, GRAIN = (12, 16), 16  # grid of the colours of a picture; how much its pixels differ
SIDE = 84
DRAWN_PER_CLASS = 50  # training images of drawn noise: 80 % of them are the 40 web images
DRAWN_RECIPE = "drawn_red.toml"
LISTS = ("train", "val", "test")
N_FLOOR = 400  # images that the floor is measured with

Row = tuple[str, int]  # id of an image, label


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


def name_images(wnids: list[str]) -> Images:
    """Return the ids of all images."""
    clean, web, validation = [], [], []
    for label, wnid in enumerate(wnids):
        clean.append([f"{wnid}{number:08d}" for number in range(1, N_CLEAN + 1)])
        web.append([f"{label:04x}{number:012x}" for number in range(N_WEB)])
        first = 1 + N_VALIDATION * label
        numbers = range(first, first + N_VALIDATION)
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
        n_noisy = min(N_WEB, level * N_CLEAN // 100)
        is_noisy = np.zeros(N_CLEAN, bool)
        is_noisy[rng.permutation(N_CLEAN)[:n_noisy]] = True
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


def make_release(folder: Path) -> None:
    """Draw the release, and write it as its users have it: archives, lists, and web images."""
    wnids = read_wnids()
    images = name_images(wnids)
    pictures = draw_pictures(id for part in images for ids in part for id in ids)
    write_archives(folder, wnids, images, pictures)
    write_lists(folder, wnids, images)
    write_published(folder / "dataset_no_images", images)
    web_folder = folder / "noisy_images"
    web_folder.mkdir()
    for ids in images.web:
        for image_id in ids:
            (web_folder / f"{image_id}.jpg").write_bytes(pictures[image_id])
    write_recipe(folder / DRAWN_RECIPE)


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


def write_recipe(path: Path) -> None:
    """Write a recipe of red noise that is drawn."""
    path.write_text(
        'dataset = "mini_imagenet"\n'
        'noise = "red"\n'
        f"per_class = {DRAWN_PER_CLASS}\n"
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
    for level in LEVELS:
        n_rows = builder.info.splits[f"train_{level:02d}"].num_examples
        if n_rows != 100 * N_CLEAN:
            raise SystemExit(f"tfds: level {level} has {n_rows} rows")


def run_timed(command: list[str], out: Path) -> Cost:
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
    return Cost(clock, user + system, len(sizes), sum(sizes))


def list_data(out: Path) -> Iterator[Path]:
    """Yield the files that hold rows."""
    yield from out.rglob("data/*.parquet")
    yield from out.rglob("*.tfrecord*")


def build_published(release: Path, out: Path, colour: str, levels: str) -> Cost:
    """Build published levels of a colour."""
    command = [sys.executable, "-m", "cnlw_tools", "build", "--dataset", "mini_imagenet"]
    command += ["--noise", colour, "--published-splits", "--level", levels, "--size", str(SIDE)]
    command += ["--data-dir", str(release), "--out", str(out)]
    return run_timed(command, out)


def build_drawn(release: Path, out: Path) -> Cost:
    """Draw red noise at ten levels, and build it."""
    command = [sys.executable, "-m", "cnlw_tools", "build", str(release / DRAWN_RECIPE)]
    command += ["--data-dir", str(release), "--out", str(out)]
    return run_timed(command, out)


def run_tfds(python: str, release: Path, out: Path, colour: str) -> Cost:
    """Prepare a colour with TFDS."""
    command = [python, __file__, "--prepare", colour, "--release", str(release), "--out", str(out)]
    return run_timed(command, out)


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


def compare(folder: Path, release: Path, python: str, colour: str, floor: float) -> None:
    """Build a colour, prepare it with TFDS, and print both."""
    images = name_images(read_wnids())
    n_images = images.count() - (0 if colour == "red" else sum(map(len, images.web)))
    one_level = build_published(release, folder / "one", colour, "40")
    ours = build_published(release, folder / "ours", colour, "all")
    print(f"{colour}: {n_images:,} distinct images, load {os.getloadavg()[0]:.1f}")
    print(f"  floor        processor {n_images * floor:6.1f} s")
    print_cost("cnlw build", ours)
    print(f"  bytes {ours.n_bytes / one_level.n_bytes:.2f} x those of level 40 alone")
    if python:
        theirs = run_tfds(python, release, folder / "theirs", colour)
        print_cost("tfds", theirs)
        clock = ours.clock / theirs.clock
        print(
            f"  ratio {clock:6.2f}   processor {ours.processor / theirs.processor:.2f}", flush=True
        )


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
        release = args.release or Path(name) / "release"
        if not (release / DRAWN_RECIPE).exists():  # it is written last
            release.mkdir(parents=True)
            make_release(release)
        floor = measure_floor(release)
        print(f"floor {1000 * floor:.2f} ms an image", flush=True)
        for _ in range(args.rounds):
            for colour in args.colours:
                with tempfile.TemporaryDirectory(dir=name) as folder:
                    compare(Path(folder), release, args.tfds, colour, floor)
            with tempfile.TemporaryDirectory(dir=name) as folder:
                cost = build_drawn(release, Path(folder) / "drawn")
            n_images = 100 * (DRAWN_PER_CLASS + N_WEB + N_VALIDATION)
            print_cost("drawn red", cost)
            print(f"  processor {cost.processor / n_images / floor:.2f} x the floor", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tfds", default="", metavar="PYTHON")
    parser.add_argument("--release", type=Path, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--colours", nargs="*", default=["red", "blue"])
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        prepare_with_tfds(arguments.release, arguments.out, arguments.prepare)
    else:
        main(arguments)
