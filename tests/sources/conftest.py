"""Tiny copies of the datasets, laid out exactly as their authors pack them."""

import gzip
import io
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from tests.sources.released import mini_imagenet

WNIDS = ("n01440764", "n01443537", "n02012849")
DEVKIT_NUMBERS = (490, 361, 171)  # of these classes: the devkit has an order of its own


def draw_jpeg(seed: int, size: tuple[int, int] = (20, 16)) -> bytes:
    """Return a picture that no other seed has."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    image = Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


def put(path: Path, content: bytes | str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def put_lines(path: Path, lines: list[str]) -> None:
    """Write a text file whose lines all have an end."""
    put(path, "".join(f"{line}\n" for line in lines))


def pack_tar(members: dict[str, bytes]) -> bytes:
    """Return the bytes of a tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return file.getvalue()


def pack_idx(values: np.ndarray) -> bytes:
    """Return the bytes of an idx file."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    return header + values.tobytes()


def matlab_records(rows: list[dict[str, object]]) -> np.ndarray:
    """Return rows as an array of MATLAB's records."""
    records = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for i, row in enumerate(rows):
        records[0, i] = tuple(row.values())
    return records


def cifar100(folder: Path, n_train: int = 20) -> Path:
    """Write two batches."""
    rng = np.random.default_rng(0)
    for part, n in (("train", n_train), ("test", 5)):
        fine_labels = rng.integers(0, 100, n)
        batch = {
            "data": rng.integers(0, 256, (n, 3072), np.uint8),
            "fine_labels": fine_labels.tolist(),
            "coarse_labels": (fine_labels // 5).tolist(),
        }
        put(folder / "cifar-100-python" / part, pickle.dumps(batch, 2))
    return folder


def mnist(folder: Path) -> Path:
    """Write two compressed files of images and two plain ones of labels."""
    rng = np.random.default_rng(0)
    for stem, n in (("train", 20), ("t10k", 5)):
        images = pack_idx(rng.integers(0, 256, (n, 28, 28), np.uint8))
        labels = pack_idx(np.arange(n, dtype=np.uint8) % 10)
        put(folder / f"{stem}-images-idx3-ubyte.gz", gzip.compress(images))
        put(folder / f"{stem}-labels-idx1-ubyte", labels)
    return folder


def svhn(folder: Path) -> Path:
    """Write three MATLAB files; the digit 0 has the label 10."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 20), ("test", 5), ("extra", 11)):
        labels = np.arange(n, dtype=np.uint8) % 10 + 1
        variables = {
            "X": rng.integers(0, 256, (32, 32, 3, n), np.uint8),
            "y": labels[:, None],
        }
        savemat(folder / f"{part}_32x32.mat", variables)
    return folder


def stanford_cars(folder: Path) -> Path:
    """Write the devkit and two folders of images; each box is the left half."""
    _write_cars(folder, "cars_train", "cars_train_annos.mat", 12)
    _write_cars(folder, "cars_test", "cars_test_annos_withlabels.mat", 4)
    return folder


def _write_cars(folder: Path, image_folder: str, annotations: str, n: int) -> None:
    rows = []
    for i in range(n):
        name = f"{i + 1:05d}.jpg"
        put(folder / image_folder / name, draw_jpeg(i + 100 * n))
        rows.append(
            {
                "bbox_x1": 1,
                "bbox_y1": 1,
                "bbox_x2": 10,
                "bbox_y2": 16,
                "class": i % 3 + 1,
                "fname": name,
            }
        )
    (folder / "devkit").mkdir(exist_ok=True)
    savemat(folder / "devkit" / annotations, {"annotations": matlab_records(rows)})


def imagenet(folder: Path) -> Path:
    """Write the two archives and the devkit."""
    class_archives = {}
    for label, wnid in enumerate(WNIDS):
        images = {}
        for number in (1, 2, 10, 33):
            images[f"{wnid}_{number}.JPEG"] = draw_jpeg(100 * label + number)
        class_archives[f"{wnid}.tar"] = pack_tar(images)
    validation = {}
    for i in range(6):
        validation[f"ILSVRC2012_val_{i + 1:08d}.JPEG"] = draw_jpeg(900 + i)
    put(folder / "ILSVRC2012_img_train.tar", pack_tar(class_archives))
    put(folder / "ILSVRC2012_img_val.tar", pack_tar(validation))
    put(folder / "ILSVRC2012_devkit_t12.tar.gz", gzip.compress(_pack_devkit()))
    return folder


def _pack_devkit() -> bytes:
    rows = []
    for number, wnid in zip(DEVKIT_NUMBERS, WNIDS, strict=True):
        rows.append({"ILSVRC2012_ID": number, "WNID": wnid})
    meta = io.BytesIO()
    savemat(meta, {"synsets": matlab_records(rows).T})
    numbers = "".join(f"{DEVKIT_NUMBERS[i % 3]}\n" for i in range(6))
    data = "ILSVRC2012_devkit_t12/data"
    members = {
        f"{data}/meta.mat": meta.getvalue(),
        f"{data}/ILSVRC2012_validation_ground_truth.txt": numbers.encode(),
    }
    return pack_tar(members)


def webvision(folder: Path) -> Path:
    """Write sixty classes, two searches, its own validation set and that of ILSVRC12."""
    labels = (0, 3, 49, 50, 59)  # of the images
    wnids = [f"n{i:08d}" for i in range(60)]
    put_lines(folder / "info/synsets.txt", [f"{wnid} thing, object" for wnid in wnids])
    _write_search(folder, "google", labels, first_seed=1000)
    _write_search(folder, "flickr", labels, first_seed=0)
    lines = []
    for i, label in enumerate(labels):
        name = f"val{i:06d}.jpg"
        lines.append(f"{name} {label}")
        put(folder / "val_images_256" / name, draw_jpeg(3000 + i))
        ilsvrc_name = f"{wnids[label]}/ILSVRC2012_val_{i + 1:08d}.JPEG"
        put(folder / "imagenet" / "val" / ilsvrc_name, draw_jpeg(4000 + i))
    put_lines(folder / "info/val_filelist.txt", lines)
    return folder


def _write_search(folder: Path, search: str, labels: tuple[int, ...], first_seed: int) -> None:
    lines = []
    for label in labels:
        for i in range(3):
            path = f"{search}/q{label:04d}/{search[0]} {label}_{i}.jpg"
            put(folder / path, draw_jpeg(first_seed + len(lines)))
            lines.append(f"{path} {label}")
    put_lines(folder / f"info/train_filelist_{search}.txt", lines)


def clothing1m(folder: Path) -> Path:
    """Write four lists and their images.

    Two images that people labelled have noisy labels, too, and one of them is in the noisy list.
    """
    lists = {}
    for name, n in (("noisy_train", 9), ("clean_train", 3), ("clean_val", 3), ("clean_test", 3)):
        lists[name] = [f"images/{i % 3}/{name},{i}.jpg" for i in range(n)]
    for number, paths in enumerate(lists.values()):
        for i, path in enumerate(paths):
            put(folder / path, draw_jpeg(100 * number + i))
    shared_path = lists["clean_val"][0]
    noisy_paths = [*lists["noisy_train"], shared_path, lists["clean_train"][1]]
    clean_paths = [*lists["clean_train"], *lists["clean_val"], *lists["clean_test"]]
    lists["noisy_train"].append(shared_path)
    annotations = folder / "annotations"
    put(annotations / "category_names_eng.txt", "T-Shirt\nDown Coat\nVest\n")
    for name, paths in lists.items():
        put(annotations / f"{name}_key_list.txt", "\n".join(paths))
    for kind, paths in (("noisy", noisy_paths), ("clean", clean_paths)):
        lines = [f"{path} {i % 3}" for i, path in enumerate(paths)]
        put_lines(annotations / f"{kind}_label_kv.txt", lines)
    return folder


def food101n(folder: Path) -> Path:
    """Write the dataset, and the test set of Food-101 beside it.

    As in the release, there is a verdict on an image that is not in the list.
    """
    release = folder / "Food-101N_release"
    dishes = ["apple_pie", "waffles"]
    keys = [f"{dish}/{i:032x}.jpg" for dish in dishes for i in range(6)]
    unlisted_key = f"wuffles/{0:032x}.jpg"
    header = "class_name/key\tverification_label\n"
    train_verdicts = f"{keys[1]}\t0\n{keys[2]}\t1\n{unlisted_key}\t1\n"
    validation_verdicts = f"{keys[3]}\t0\n{keys[4]}\t1\n{keys[9]}\t1\n"
    put(release / "meta/classes.txt", "\n".join(["class_name", *dishes]))
    put(release / "meta/imagelist.tsv", "\n".join(["class_name/key", *keys]))
    put(release / "meta/verified_train.tsv", header + train_verdicts)
    put(release / "meta/verified_val.tsv", header + validation_verdicts)
    put(folder / "food-101/meta/test.txt", "apple_pie/101\nwaffles/202\n")
    paths = [release / "images" / key for key in keys]
    paths += [
        folder / "food-101/images" / name for name in ("apple_pie/101.jpg", "waffles/202.jpg")
    ]
    for seed, path in enumerate(paths):
        put(path, draw_jpeg(seed))
    return folder


def class_folders(folder: Path) -> Path:
    """Write two classes with training and validation images, and files that are not images."""
    for i in range(12):
        split = "train" if i < 9 else "val"
        class_name = ("rose", "tulip")[i % 2]
        put(folder / split / class_name / f"{i}.jpg", draw_jpeg(i))
    put(folder / "train/rose/.hidden.jpg", b"")
    put(folder / "train/rose/notes.txt", "")
    return folder


def parquet(
    folder: Path, names: tuple[str, ...] | None = ("rose", "tulip", "Ram C-V Cargo")
) -> Path:
    """Write two training files and a test file, as `datasets` does, in row groups of four."""
    import datasets

    label = datasets.ClassLabel(names=list(names)) if names else datasets.Value("int64")
    features = datasets.Features({"image": datasets.Image(), "label": label})
    n_rows = {"train-00000-of-00002": 10, "train-00001-of-00002": 6, "test-00000-of-00001": 5}
    (folder / "data").mkdir()
    for number, (name, n) in enumerate(n_rows.items()):
        rows = []
        for i in range(n):
            image = {"bytes": draw_jpeg(100 * number + i), "path": None}
            rows.append({"image": image, "label": i % 3})
        table = pa.Table.from_pylist(rows).cast(features.arrow_schema)
        pq.write_table(table, folder / "data" / f"{name}.parquet", row_group_size=4)
    return folder


LAYOUTS = {
    "cifar100": cifar100,
    "cifar100_coarse": cifar100,
    "mnist": mnist,
    "svhn": svhn,
    "svhn_extra": svhn,
    "stanford_cars": stanford_cars,
    "stanford_cars_crop": stanford_cars,
    "imagenet": imagenet,
    "mini_imagenet": mini_imagenet,
    "webvision": webvision,
    "webvision_mini": webvision,
    "clothing1m": clothing1m,
    "food101n": food101n,
    "folder": class_folders,
    "hf": parquet,
}


@pytest.fixture
def lay_out(tmp_path, cifar_maker) -> Callable[..., Path]:
    """A function that writes a tiny copy of a dataset to a new folder."""

    def write(name: str, **options: object) -> Path:
        folder = tmp_path / f"{name} of mine"
        folder.mkdir()
        if name == "cifar10":
            cifar_maker(folder, each=3)
            return folder
        return LAYOUTS[name](folder, **options)

    return write


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Functions that draw a picture by number, write a file, and pack archives and records."""
    return SimpleNamespace(
        picture=draw_jpeg,
        put=put,
        pack=pack_tar,
        records=matlab_records,
    )
