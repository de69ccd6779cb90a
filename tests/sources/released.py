"""A small copy of the release of 2020, with the archives and lists that go with it."""

import json
import tarfile
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

WNIDS = {
    "n01704323": 0,
    "n04515003": 1,
    "n02101006": 2,
    "n01440764": None,
}  # the last one is not Mini-ImageNet's
EACH, TAKEN = (
    12,
    (1, 2, 5, 9, 10, 12),
)  # images of a class archive, and which of them the lists name
NUMBERS = [
    7,
    11,
    100,
    9,
    3,
    20,
    1000,
    15,
    4,
    30,
    2,
    99,
]  # in the names, in the order in which archives have them


def jpeg(seed: int) -> bytes:
    """A picture of its own for every seed."""
    out = BytesIO()
    colours = np.random.default_rng(seed).integers(0, 255, (3, 4, 3), np.uint8)
    Image.fromarray(colours).resize((40, 30), Image.Resampling.BICUBIC).save(out, "JPEG")
    return out.getvalue()


def packed(members: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            head = tarfile.TarInfo(name)
            head.size = len(data)
            archive.addfile(head, BytesIO(data))
    return out.getvalue()


def nth(wnid: str, k: int) -> bytes:
    """The k-th image of a class, from 1 on, by the numbers in the names."""
    return jpeg(hash_of(f"{wnid}_{sorted(NUMBERS)[k - 1]}"))


def hash_of(name: str) -> int:
    return crc32(name.encode())


def lists() -> dict[str, list[str]]:
    """Splits: level 0 all clean; red 20 with web images; blue 40 with flips."""
    clean = [(f"{wnid}{k:08d}.jpg", label or 0) for wnid, label in WNIDS.items() for k in TAKEN]
    web = [("w0a.jpg", 0), ("w1a.jpg", 1), ("w1b.jpg", 1), ("right.jpg", 2), ("two.jpg", 2)]
    red = clean[5:] + web
    blue = [
        (name, (label + 1) % 3) if i % 3 == 0 else (name, label)
        for i, (name, label) in enumerate(clean)
    ]
    held = [(f"ILSVRC2012_val_{i:08d}.jpg", i % 3) for i in range(1, 7)]
    found = {
        "red_noise_nl_0.0": clean,
        "red_noise_nl_0.2": red,
        "blue_noise_nl_0.0": clean,
        "blue_noise_nl_0.4": blue,
    }
    found["red_noise_nl_0.05"] = clean[1:] + web[:1]
    return {
        name: [f"{image} {label}" for image, label in rows]
        for name, rows in (found | {"clean_validation": held}).items()
    }


def annotation(image: str, label: int, clean: int = 0) -> dict[str, object]:
    uri = f"https://example.org/{image}.jpg"
    return {
        "image/uri": uri,
        "image/id": image,
        "image/class/label": label,
        "image/class/label/is_clean": clean,
    }


ANNOTATIONS = [
    [annotation("w0a", 0)],
    [annotation("w1a", 1)],
    [annotation("w1b", 1)],
    [annotation("right", 2, 1)],
    [annotation("two", 2), annotation("two", 0, 1)],
    [annotation("nowhere", 1)],
]


def mini_imagenet(folder: Path) -> Path:
    """The release, the archives of ILSVRC12, the three lists, and the web images, side by side."""
    split = folder / "dataset_no_images" / "mini-imagenet" / "split"
    split.mkdir(parents=True)
    for name, rows in lists().items():
        (split / name).write_text("\n".join(rows) + "\n")
    (split.parent / "class_name.txt").write_text("triceratops\nupright piano\nGordon setter\n")
    annotations = folder / "dataset_no_images" / "mini-imagenet-annotations.json"
    annotations.write_text(json.dumps({"name": "x", "version": "1.0", "data": ANNOTATIONS}))
    classes = {
        f"{w}.tar": packed({f"{w}_{n}.JPEG": jpeg(hash_of(f"{w}_{n}")) for n in NUMBERS})
        for w in WNIDS
    }
    (folder / "ILSVRC2012_img_train.tar").write_bytes(packed(classes))
    held = {f"ILSVRC2012_val_{i:08d}.JPEG": jpeg(i) for i in range(1, 9)}
    (folder / "ILSVRC2012_img_val.tar").write_bytes(packed(held))
    rows = [f"{wnid}{k:08d}.jpg,{wnid}" for wnid in WNIDS for k in TAKEN]
    for i, name in enumerate(("train.csv", "val.csv", "test.csv")):
        (folder / name).write_text("\n".join(["filename,label", *rows[i::3]]))
    (folder / "noisy_images").mkdir()
    for image in ("w0a", "w1a", "w1b", "right", "two"):
        (folder / "noisy_images" / f"{image}.jpg").write_bytes(jpeg(hash_of(image)))
    return folder
