"""The release of 2020, Controlled Noisy Web Labels: verdicts on web images, and lists of who is in which split.

dataset_no_images/                      or its zip; images are not part of it
    mini-imagenet-annotations.json      {"data": [[{"image/id", "image/uri", "image/class/label", ".../is_clean"}]]}
    mini-imagenet/class_names.txt       a class a line, in the order of the labels; or class_name.txt
    mini-imagenet/split/                red_noise_nl_0.4, blue_noise_nl_0.05 ..., clean_validation: "ID.jpg LABEL"

Its users have it otherwise, too, with images: ``split/`` beside ``all_images/``, or folders of classes in
``training/red_noise_nl_0.4/`` and ``validation/``. All of these are read. Ids have no ending here. A web image may be
annotated for two classes, and be in no split. Source: Jiang et al., "Beyond synthetic noise", ICML 2020.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile
from zipfile import Path as Inside

import pyarrow as pa

from cnlw_tools.dataset import tables
from cnlw_tools.images.pixels import SUFFIXES

ZIP, FOLDERS = (
    "dataset_no_images.zip",
    ("dataset_no_images", ".", "cnlw", "dataset_no_images/dataset_no_images"),
)
NAMES = {
    "mini_imagenet": ("mini-imagenet", "mini_imagenet"),
    "stanford_cars": ("stanford_cars", "stanford-cars"),
}
IMAGES = (
    "noisy_images",
    "dataset_no_images/noisy_images",
    "all_images",
)  # where web images lie, ID.jpg
CLASSES = ("class_names.txt", "class_name.txt")
NOISY = re.compile(r"(red|blue)_noise_nl_(\d(?:\.\d+)?)")
HELD = "clean_validation"
Place = Path | Inside


class Release:
    """What a folder holds of the release for one dataset; false where it holds nothing."""

    def __init__(self, data_dir: Path, dataset: str) -> None:
        self.data_dir, self.names = data_dir, NAMES.get(dataset, ())

    def __bool__(self) -> bool:
        return bool(self.annotations or self.lists or self.folders)

    @cached_property
    def roots(self) -> list[Place]:
        """Where the release may lie: folders, and the inside of the zip."""
        found: list[Place] = [
            self.data_dir / name for name in FOLDERS if (self.data_dir / name).is_dir()
        ]
        packed = self.data_dir if self.data_dir.suffix == ".zip" else self.data_dir / ZIP
        if packed.is_file():
            try:
                whole = Inside(ZipFile(packed))
            except BadZipFile as error:
                raise ValueError(
                    f"{packed}: no zip archive, or a damaged one ({error}): copy it again"
                ) from error
            found += [whole, *(p for p in whole.iterdir() if p.is_dir())]
        return found

    @cached_property
    def annotations(self) -> Place | None:
        """The file of verdicts."""
        stems = {name.replace("_", "-") for name in self.names}
        paths = [root / f"{stem}-annotations.json" for root in self.roots for stem in sorted(stems)]
        paths += [
            root / f"{stem.replace('-', '_')}-annotations.json"
            for root in self.roots
            for stem in sorted(stems)
        ]
        return next((path for path in paths if path.is_file()), None)

    @cached_property
    def lists(self) -> Mapping[str, Place]:
        """The lists of splits, by name."""
        folders = [root / name / "split" for root in self.roots for name in self.names]
        folders += [self.data_dir / "split"]
        there = next((folder for folder in folders if folder.is_dir()), None)
        return (
            {path.name: path for path in there.iterdir() if _is_split(path.name)} if there else {}
        )

    @cached_property
    def folders(self) -> Mapping[str, Path]:
        """The folders of classes of splits, by name."""
        training, held = self.data_dir / "training", self.data_dir / "validation"
        found = (
            {p.name: p for p in training.iterdir() if _is_split(p.name)}
            if training.is_dir()
            else {}
        )
        return found | ({HELD: held} if held.is_dir() else {})

    def agree(self, classes: Sequence[str]) -> None:
        """Insist that labels mean the same here: a whole class list of the release names our classes in our order.

        Raises:
            ValueError: a class has another label there
        """
        paths = [
            root / name / file for root in self.roots for name in self.names for file in CLASSES
        ]
        for path in (path for path in paths if path.is_file()):
            said = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            theirs, ours = list(map(_plain, said)), list(map(_plain, classes))
            moved = [
                i
                for i, (name, own) in enumerate(zip(theirs, ours, strict=False))
                if name != own and name in ours
            ]
            if moved and len(theirs) == len(ours):
                other = f"label {moved[0]} is {said[moved[0]]!r}, and {classes[moved[0]]!r} here"
                raise ValueError(
                    f"{path}: {other}: all labels would mean other classes: copy this list again"
                )

    def split(self, name: str, label_of: Callable[[str], int]) -> list[tuple[str, int]]:
        """Return the ids and labels of a split; label_of: from the name of a class folder.

        Raises:
            ValueError: a line that is no id and label
        """
        return list(
            _lines(self.lists[name])
            if name in self.lists
            else _walked(self.folders[name], label_of)
        )

    def official(self, label_of: Callable[[str], int]) -> pa.Table:
        """Return all noisy splits as one table, tables.OFFICIAL."""
        rows: dict[str, list[Any]] = {name: [] for name in tables.OFFICIAL.names}
        for name in sorted(({*self.lists} | {*self.folders}) - {HELD}):
            kind, share = _parts(name)
            found = self.split(name, label_of)
            rows["noise"] += [kind] * len(found)
            rows["level"] += [share] * len(found)
            rows["image_id"] += [image for image, _ in found]
            rows["label"] += [label for _, label in found]
        return pa.table(rows, tables.OFFICIAL)

    def validation(self, label_of: Callable[[str], int]) -> dict[str, int] | None:
        """Return the label of each validation image; none where the release does not say."""
        known = HELD in self.lists or HELD in self.folders
        return dict(self.split(HELD, label_of)) if known else None

    def candidates(self) -> tuple[pa.Table, pa.Table] | None:
        """Return the web manifest and the consensus as votes; none where there are no verdicts.

        An image and label that is listed twice with two verdicts is unsure. Column ``dead``: the image is not there.

        Raises:
            ValueError: the file is not the release's
        """
        if self.annotations is None:
            return None
        web, votes = consensus(self.annotations)
        if self.images:
            dead = [image not in self.images for image in web["image_id"].to_pylist()]
            web = web.append_column("dead", pa.array(dead))
        return web, votes

    @cached_property
    def images(self) -> Mapping[str, Path]:
        """Where images lie beside the release, by id; an empty file, as some leave for a dead link, is none."""
        folders = [self.data_dir / name for name in IMAGES if (self.data_dir / name).is_dir()]
        folders += [
            folder
            for folder in (self.data_dir / "training", self.data_dir / "validation")
            if folder.is_dir()
        ]
        return {
            p.stem: p for folder in reversed(folders) for p in _pictures(folder) if p.stat().st_size
        }

    def read(self, image_id: str) -> bytes:
        """Return an image that lies beside the release.

        Raises:
            LookupError: it does not
        """
        if image_id not in self.images:
            there = f"it would be {IMAGES[0]}/{image_id}.jpg: fetch it, or mark it dead in the web manifest"
            raise LookupError(f"{self.data_dir}: the web image {image_id!r} is not here; {there}")
        return self.images[image_id].read_bytes()


def consensus(path: Place) -> tuple[pa.Table, pa.Table]:
    """Return the web manifest and the votes that a file of verdicts holds.

    Raises:
        ValueError: the file is not the release's
    """
    verdicts: dict[tuple[str, int], bool | None] = {}
    uris: dict[tuple[str, int], str] = {}
    for row in _annotated(path):
        key = (str(row["image/id"]).removesuffix(".jpg"), int(row["image/class/label"]))
        clean = bool(row["image/class/label/is_clean"])
        verdicts[key] = clean if verdicts.get(key, clean) == clean else None
        uris.setdefault(key, str(row["image/uri"]))
    n, ids = len(verdicts), [image for image, _ in verdicts]
    of = {"image_id": ids, "label": [label for _, label in verdicts]}
    web = pa.table(
        {**of, "split": ["web"] * n, "uri": list(uris.values()), "sha256": [None] * n},
        tables.MANIFEST,
    )
    said = {
        **of,
        "annotator": ["consensus"] * n,
        "correct": list(verdicts.values()),
        "at": [None] * n,
    }
    return web, pa.table(said, tables.VOTES)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_split(name: str) -> bool:
    return name == HELD or NOISY.fullmatch(name) is not None


def _parts(name: str) -> tuple[str, int]:
    """red_noise_nl_0.05 -> red, 5."""
    kind, share = NOISY.fullmatch(name).groups()  # type: ignore[union-attr]  # `_is_split` has looked
    return kind, round(100 * float(share))


def _lines(path: Place) -> Iterator[tuple[str, int]]:
    for row, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        image, _, label = line.strip().rpartition(" ")
        if line.strip() and not (image and label.isdecimal()):
            raise ValueError(
                f"{path}: line {row + 1}: {line!r} is not an image and a label: copy this list again"
            )
        if line.strip():
            yield re.sub(r"\.(jpg|JPEG)$", "", image), int(label)


def _walked(folder: Path, label_of: Callable[[str], int]) -> Iterator[tuple[str, int]]:
    for within in sorted(p for p in folder.iterdir() if p.is_dir()):
        label = label_of(within.name)
        yield from ((path.stem, label) for path in sorted(_pictures(within)))


def _pictures(folder: Path) -> Iterator[Path]:
    for at, _, names in os.walk(folder):
        yield from (Path(at) / name for name in names if Path(name).suffix.lower() in SUFFIXES)


def _annotated(path: Place) -> Iterator[Mapping[str, Any]]:
    """Yield every annotation, flat."""
    wanted = {"image/id", "image/uri", "image/class/label", "image/class/label/is_clean"}
    try:
        items = json.loads(path.read_text(encoding="utf-8"))["data"]
        for item in items:
            for row in item if isinstance(item, list) else [item]:
                if missing := sorted(wanted - row.keys()):
                    raise ValueError(
                        f"{path}: an annotation has no {missing[0]!r}: copy this file again"
                    )
                yield row
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: not the annotations of the release ({error!r}): copy this file again"
        ) from error
