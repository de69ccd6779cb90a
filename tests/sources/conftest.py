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
CARS = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012")


def jpeg(seed: int, size: tuple[int, int] = (20, 16)) -> bytes:
    """Return a picture that no other seed has."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(out, "JPEG", quality=95)
    return out.getvalue()


def put(path: Path, content: bytes | str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def pack(members: dict[str, bytes]) -> bytes:
    """Return a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def cifar100(folder: Path) -> Path:
    """Two batches."""
    draw = np.random.default_rng(0)
    for part, n in (("train", 20), ("test", 5)):
        fine = draw.integers(0, 100, n)
        raw = {"data": draw.integers(0, 256, (n, 3072), np.uint8), "fine_labels": fine.tolist()}
        put(
            folder / "cifar-100-python" / part,
            pickle.dumps({**raw, "coarse_labels": (fine // 5).tolist()}, 2),
        )
    return folder


def idx(values: np.ndarray) -> bytes:
    """Return the bytes of an idx file."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def mnist(folder: Path) -> Path:
    """Two zipped files and two plain ones."""
    draw = np.random.default_rng(0)
    for stem, n in (("train", 20), ("t10k", 5)):
        images, labels = (
            idx(draw.integers(0, 256, (n, 28, 28), np.uint8)),
            idx(np.arange(n, dtype=np.uint8) % 10),
        )
        put(folder / f"{stem}-images-idx3-ubyte.gz", gzip.compress(images))
        put(folder / f"{stem}-labels-idx1-ubyte", labels)
    return folder


def svhn(folder: Path) -> Path:
    """Three files of MATLAB; the digit 0 is the label 10."""
    draw = np.random.default_rng(0)
    for part, n in (("train", 20), ("test", 5), ("extra", 11)):
        y = (np.arange(n, dtype=np.uint8) % 10 + 1)[:, None]
        savemat(
            folder / f"{part}_32x32.mat",
            {"X": draw.integers(0, 256, (32, 32, 3, n), np.uint8), "y": y},
        )
    return folder


def records(rows: list[dict[str, object]]) -> np.ndarray:
    """Return rows as MATLAB keeps them."""
    found = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for i, row in enumerate(rows):
        found[0, i] = tuple(row.values())
    return found


def stanford_cars(folder: Path) -> Path:
    """The devkit and two folders; every car is the left half."""
    box = {"bbox_x1": 1, "bbox_y1": 1, "bbox_x2": 10, "bbox_y2": 16}
    for part, mat, n in (
        ("train", "cars_train_annos", 12),
        ("test", "cars_test_annos_withlabels", 4),
    ):
        rows = [{**box, "class": i % 3 + 1, "fname": f"{i + 1:05d}.jpg"} for i in range(n)]
        for i, row in enumerate(rows):
            put(folder / f"cars_{part}" / str(row["fname"]), jpeg(i + 100 * n))
        (folder / "devkit").mkdir(exist_ok=True)
        savemat(folder / "devkit" / f"{mat}.mat", {"annotations": records(rows)})
    return folder


def imagenet(folder: Path) -> Path:
    """The two archives and the devkit."""
    train = {
        f"{wnid}.tar": pack({f"{wnid}_{i}.JPEG": jpeg(100 * k + i) for i in (1, 2, 10, 33)})
        for k, wnid in enumerate(WNIDS)
    }
    put(folder / "ILSVRC2012_img_train.tar", pack(train))
    names = [f"ILSVRC2012_val_{i:08d}.JPEG" for i in range(1, 7)]
    put(
        folder / "ILSVRC2012_img_val.tar",
        pack({name: jpeg(900 + i) for i, name in enumerate(names)}),
    )
    ids = [490, 361, 171]  # the devkit numbers synsets in an order of its own
    meta = io.BytesIO()
    savemat(
        meta,
        {
            "synsets": records(
                [{"ILSVRC2012_ID": i, "WNID": w} for i, w in zip(ids, WNIDS, strict=True)]
            ).T
        },
    )
    truth = "".join(f"{ids[i % 3]}\n" for i in range(6))
    kit = "ILSVRC2012_devkit_t12/data"
    members = {
        f"{kit}/meta.mat": meta.getvalue(),
        f"{kit}/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
    }
    put(folder / "ILSVRC2012_devkit_t12.tar.gz", gzip.compress(pack(members)))
    return folder


def webvision(folder: Path) -> Path:
    """Sixty classes, two searches, its own validation and that of ILSVRC12."""
    wnids = [f"n{i:08d}" for i in range(60)]
    put(folder / "info/synsets.txt", "".join(f"{wnid} thing, object\n" for wnid in wnids))
    for part in ("google", "flickr"):
        listed = [
            (f"{part}/q{c:04d}/{part[0]} {c}_{i}.jpg", c)
            for c in (0, 3, 49, 50, 59)
            for i in range(3)
        ]
        put(
            folder / f"info/train_filelist_{part}.txt",
            "".join(f"{path} {c}\n" for path, c in listed),
        )
        for i, (path, _) in enumerate(listed):
            put(folder / path, jpeg(i + 1000 * (part == "google")))
    held = [(f"val{i:06d}.jpg", c) for i, c in enumerate((0, 3, 49, 50, 59))]
    put(folder / "info/val_filelist.txt", "".join(f"{name} {c}\n" for name, c in held))
    for i, (name, c) in enumerate(held):
        put(folder / "val_images_256" / name, jpeg(3000 + i))
        put(folder / f"imagenet/val/{wnids[c]}/ILSVRC2012_val_{i + 1:08d}.JPEG", jpeg(4000 + i))
    return folder


def clothing1m(folder: Path) -> Path:
    """Four lists; two images of people's lists have labels from the words too, one stands in the noisy list."""
    put(folder / "annotations/category_names_eng.txt", "T-Shirt\nDown Coat\nVest\n")
    keys = {
        part: [f"images/{i % 3}/{part},{i}.jpg" for i in range(n)]
        for part, n in (("noisy_train", 9), ("clean_train", 3), ("clean_val", 3), ("clean_test", 3))
    }
    for k, (part, found) in enumerate(keys.items()):
        for i, key in enumerate(found):
            put(folder / key, jpeg(100 * k + i))
        both = [keys["clean_val"][0]] if part == "noisy_train" else []
        put(folder / f"annotations/{part}_key_list.txt", "\n".join([*found, *both]))
    noisy = [*keys["noisy_train"], keys["clean_val"][0], keys["clean_train"][1]]
    put(
        folder / "annotations/noisy_label_kv.txt",
        "".join(f"{key} {i % 3}\n" for i, key in enumerate(noisy)),
    )
    clean = [key for part, found in keys.items() if part != "noisy_train" for key in found]
    put(
        folder / "annotations/clean_label_kv.txt",
        "".join(f"{key} {i % 3}\n" for i, key in enumerate(clean)),
    )
    return folder


def food101n(folder: Path) -> Path:
    """The release, and the test set of Food-101 beside it."""
    release, dishes = folder / "Food-101N_release", ("apple_pie", "waffles")
    keys = [f"{dish}/{i:032x}.jpg" for dish in dishes for i in range(6)]
    put(release / "meta/classes.txt", "class_name\n" + "\n".join(dishes))
    put(release / "meta/imagelist.tsv", "class_name/key\n" + "\n".join(keys))
    head = "class_name/key\tverification_label\n"
    other = f"waffles/{0:032x}.jpg"  # as in the release: a verdict on an image under another class than the list's
    put(
        release / "meta/verified_train.tsv",
        head + f"{keys[1]}\t0\n{keys[2]}\t1\n{other.replace('waf', 'wuf')}\t1\n",
    )
    put(release / "meta/verified_val.tsv", head + f"{keys[3]}\t0\n{keys[4]}\t1\n{keys[9]}\t1\n")
    put(folder / "food-101/meta/test.txt", "apple_pie/101\nwaffles/202\n")
    paths = [*(release / "images" / key for key in keys)]
    for i, path in enumerate(
        [*paths, *(folder / f"food-101/images/{k}.jpg" for k in ("apple_pie/101", "waffles/202"))]
    ):
        put(path, jpeg(i))
    return folder


def class_folders(folder: Path) -> Path:
    """Two classes, to train on and to validate, and files that are no images."""
    for i in range(12):
        part = "train" if i < 9 else "val"
        put(folder / part / ("rose", "tulip")[i % 2] / f"{i}.jpg", jpeg(i))
    put(folder / "train/rose/.hidden.jpg", b"")
    put(folder / "train/rose/notes.txt", "")
    return folder


def parquet(
    folder: Path, names: tuple[str, ...] | None = ("rose", "tulip", "Ram C-V Cargo")
) -> Path:
    """Two files to train on and one to test, as `datasets` writes them; row groups of four."""
    import datasets

    label = datasets.ClassLabel(names=list(names)) if names else datasets.Value("int64")
    features = datasets.Features({"image": datasets.Image(), "label": label})
    for k, (part, n) in enumerate(
        (("train-00000-of-00002", 10), ("train-00001-of-00002", 6), ("test-00000-of-00001", 5))
    ):
        rows = [
            {"image": {"bytes": jpeg(100 * k + i), "path": None}, "label": i % 3} for i in range(n)
        ]
        table = pa.Table.from_pylist(rows).cast(features.arrow_schema)
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(table, folder / "data" / f"{part}.parquet", row_group_size=4)
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
    """Return what writes a tiny copy of a dataset to a new folder."""

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
    """Return what draws a picture by number, puts a file, packs an archive, and lays rows out as MATLAB does."""
    return SimpleNamespace(picture=jpeg, put=put, pack=pack, records=records)
