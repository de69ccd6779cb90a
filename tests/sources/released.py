"""A small copy of the release of 2020, with the archives and lists that go with it."""

import json
import tarfile
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

LABEL_OF_WNID = {
    "n01704323": 0,
    "n04515003": 1,
    "n02101006": 2,
    "n01440764": None,  # not a class of Mini-ImageNet
}
LISTED_NUMBERS = (1, 2, 5, 9, 10, 12)  # images of each class that the lists name
NAME_NUMBERS = [  # in the names of the images, in the order of the archives
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
]
WEB_IMAGES = ("w0a", "w1a", "w1b", "right", "two")


def draw_jpeg(seed: int) -> bytes:
    """Return a picture that no other seed has."""
    colours = np.random.default_rng(seed).integers(0, 255, (3, 4, 3), np.uint8)
    image = Image.fromarray(colours).resize((40, 30), Image.Resampling.BICUBIC)
    file = BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def draw_named_jpeg(name: str) -> bytes:
    """Return the picture of a name."""
    return draw_jpeg(crc32(name.encode()))


def pack_tar(members: dict[str, bytes]) -> bytes:
    """Return the bytes of a tar archive."""
    file = BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, BytesIO(data))
    return file.getvalue()


def nth_image(wnid: str, number: int) -> bytes:
    """Return an image of a class by its number from 1, in the order of the numbers in the names."""
    name_number = sorted(NAME_NUMBERS)[number - 1]
    return draw_named_jpeg(f"{wnid}_{name_number}")


def split_lists() -> dict[str, list[str]]:
    """Return the lines of each list: clean at level 0, red with web images, blue with flips."""
    clean = []
    for wnid, label in LABEL_OF_WNID.items():
        for number in LISTED_NUMBERS:
            clean.append((f"{wnid}{number:08d}.jpg", label or 0))
    web = [("w0a.jpg", 0), ("w1a.jpg", 1), ("w1b.jpg", 1), ("right.jpg", 2), ("two.jpg", 2)]
    blue = []
    for i, (name, label) in enumerate(clean):
        blue.append((name, (label + 1) % 3 if i % 3 == 0 else label))
    validation = [(f"ILSVRC2012_val_{i:08d}.jpg", i % 3) for i in range(1, 7)]
    splits = {
        "red_noise_nl_0.0": clean,
        "red_noise_nl_0.2": clean[5:] + web,
        "blue_noise_nl_0.0": clean,
        "blue_noise_nl_0.4": blue,
        "red_noise_nl_0.05": clean[1:] + web[:1],
        "clean_validation": validation,
    }
    lines = {}
    for split, rows in splits.items():
        lines[split] = [f"{image} {label}" for image, label in rows]
    return lines


def annotation(image: str, label: int, clean: int = 0) -> dict[str, object]:
    """Return a verdict on a web image, as the release has it."""
    return {
        "image/uri": f"https://example.org/{image}.jpg",
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
    """Write the release, the archives of ILSVRC12, the three lists and the web images."""
    _write_release(folder / "dataset_no_images")
    _write_archives(folder)
    _write_lists(folder)
    (folder / "noisy_images").mkdir()
    for image in WEB_IMAGES:
        (folder / "noisy_images" / f"{image}.jpg").write_bytes(draw_named_jpeg(image))
    return folder


def _write_release(folder: Path) -> None:
    split_folder = folder / "mini-imagenet" / "split"
    split_folder.mkdir(parents=True)
    for name, lines in split_lists().items():
        (split_folder / name).write_text("\n".join(lines) + "\n")
    class_list = "triceratops\nupright piano\nGordon setter\n"
    (folder / "mini-imagenet" / "class_name.txt").write_text(class_list)
    content = {"name": "x", "version": "1.0", "data": ANNOTATIONS}
    (folder / "mini-imagenet-annotations.json").write_text(json.dumps(content))


def _write_archives(folder: Path) -> None:
    class_archives = {}
    for wnid in LABEL_OF_WNID:
        images = {}
        for number in NAME_NUMBERS:
            images[f"{wnid}_{number}.JPEG"] = draw_named_jpeg(f"{wnid}_{number}")
        class_archives[f"{wnid}.tar"] = pack_tar(images)
    (folder / "ILSVRC2012_img_train.tar").write_bytes(pack_tar(class_archives))
    validation = {f"ILSVRC2012_val_{i:08d}.JPEG": draw_jpeg(i) for i in range(1, 9)}
    (folder / "ILSVRC2012_img_val.tar").write_bytes(pack_tar(validation))


def _write_lists(folder: Path) -> None:
    rows = []
    for wnid in LABEL_OF_WNID:
        rows += [f"{wnid}{number:08d}.jpg,{wnid}" for number in LISTED_NUMBERS]
    for i, name in enumerate(("train.csv", "val.csv", "test.csv")):
        (folder / name).write_text("\n".join(["filename,label", *rows[i::3]]))
