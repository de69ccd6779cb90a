"""The release of 2020, Controlled Noisy Web Labels: verdicts on web images, and lists of splits.

dataset_no_images/                      or its zip; images are not part of it
    mini-imagenet-annotations.json      {"data": [[{"image/id", "image/uri", "image/class/label",
                                        "image/class/label/is_clean"}]]}
    mini-imagenet/class_names.txt       a class a line, in label order; or class_name.txt
    mini-imagenet/split/                red_noise_nl_0.4, blue_noise_nl_0.05, clean_validation ...:
                                        lines "ID.jpg LABEL"

Its users also have it with images: ``split/`` beside ``all_images/``, or class folders in
``training/red_noise_nl_0.4/`` and ``validation/``. All of these layouts are read. Image ids have no
ending here. A web image may be annotated for two classes, and need not be in a split. Source: Jiang
et al., "Beyond synthetic noise", ICML 2020.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import Path as ZipPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.dataset import raw_votes, table_io, tables
from cnlw_tools.files.archives import ArchivePath, open_zip, read_path
from cnlw_tools.files.texts import LARGEST_JSON, parse_json
from cnlw_tools.files.untrusted import COPY_AGAIN, translate_errors
from cnlw_tools.images.formats import IMAGE_SUFFIX
from cnlw_tools.sources.formats.listing import is_clutter, list_folder
from cnlw_tools.sources.formats.text_lists import letters_and_digits

LARGEST_LIST = 64 << 20  # bytes; a list of all images of the release has 2 MB
ZIP_NAME = "dataset_no_images.zip"
ROOT_FOLDERS = ("dataset_no_images", ".", "cnlw", "dataset_no_images/dataset_no_images")
SPELLINGS = {  # how the release writes the name of a dataset
    "mini_imagenet": ("mini-imagenet", "mini_imagenet"),
    "stanford_cars": ("stanford_cars", "stanford-cars"),
}
WEB_IMAGE_FOLDERS = ("noisy_images", "dataset_no_images/noisy_images", "all_images")  # with ID.jpg
CLASS_LISTS = ("class_names.txt", "class_name.txt")
NOISY_SPLIT = re.compile(r"(red|blue)_noise_nl_\d(\.\d+)?")
VALIDATION_SPLIT = "clean_validation"
LIST_LINE = r"^\s*(?P<image_id>\S.*) (?P<label>[0-9]{1,9})\s*$"
SPLIT = pa.schema([tables.PUBLISHED_SPLITS.field(name) for name in ("image_id", "label")])
ANNOTATION_KEYS = frozenset(
    {"image/class/label", "image/class/label/is_clean", "image/id", "image/uri"}
)

Annotation = Mapping[str, Any]
LabelOf = Callable[[str], int]  # the label of a class folder, by its name


class Release:
    """What a folder holds of the release for one dataset; false where it holds nothing."""

    def __init__(self, data_dir: Path, dataset: str) -> None:
        self.data_dir = data_dir
        self.spellings = SPELLINGS.get(dataset, ())
        self.training_folder = data_dir / "training"
        self.validation_folder = data_dir / "validation"

    def __bool__(self) -> bool:
        return bool(self.annotations or self.split_lists or self.split_folders)

    @cached_property
    def roots(self) -> list[ArchivePath]:
        """Where the release may lie: folders, then the inside of the zip.

        Raises:
            ValueError: the zip is damaged
        """
        roots: list[ArchivePath] = []
        for name in ROOT_FOLDERS:
            if (self.data_dir / name).is_dir():
                roots.append(self.data_dir / name)
        packed = self.data_dir if self.data_dir.suffix == ".zip" else self.data_dir / ZIP_NAME
        if packed.is_file():
            roots += _zip_folders(packed)
        return roots

    @cached_property
    def annotations(self) -> ArchivePath | None:
        """The file of verdicts, if there is one."""
        for spelling in sorted(self.spellings):
            for root in self.roots:
                path = root / f"{spelling}-annotations.json"
                if path.is_file():
                    return path
        return None

    @cached_property
    def split_lists(self) -> Mapping[str, ArchivePath]:
        """The lists of splits, by the name of the split."""
        folders = [root / spelling / "split" for root in self.roots for spelling in self.spellings]
        folders.append(self.data_dir / "split")
        for folder in folders:
            if folder.is_dir():
                return {path.name: path for path in folder.iterdir() if _is_split(path.name)}
        return {}

    @cached_property
    def split_folders(self) -> Mapping[str, Path]:
        """The folders of splits that hold class folders, by the name of the split."""
        folders = {}
        if self.training_folder.is_dir():
            for folder in self.training_folder.iterdir():
                if _is_split(folder.name):
                    folders[folder.name] = folder
        if self.validation_folder.is_dir():
            folders[VALIDATION_SPLIT] = self.validation_folder
        return folders

    def check_class_order(self, classes: Sequence[str]) -> None:
        """Check that labels mean the same in the release and here.

        A class list of the release with as many classes as ours must name them in our order.

        Raises:
            ValueError: a class has another label in the release
        """
        for root in self.roots:
            for spelling in self.spellings:
                for name in CLASS_LISTS:
                    path = root / spelling / name
                    if path.is_file():
                        _check_class_list(path, classes)

    def read_split(self, name: str, label_of: LabelOf) -> pa.Table:
        """Return the image ids and labels of a split, as a table of SPLIT.

        Args:
            name: of the split, a key of ``split_lists`` or ``split_folders``
            label_of: returns the label of a class folder by its name

        Raises:
            ValueError: a line of the list is not an id and a label
        """
        if name in self.split_lists:
            return _read_list(self.split_lists[name])
        rows = list(_read_class_folders(self.split_folders[name], self.data_dir, label_of))
        image_ids = [image_id for image_id, _ in rows]
        labels = [label for _, label in rows]
        return pa.table([image_ids, labels], SPLIT)

    def read_published_splits(self, label_of: LabelOf) -> pa.Table:
        """Return all noisy splits as one table, tables.PUBLISHED_SPLITS."""
        parts = [tables.PUBLISHED_SPLITS.empty_table()]
        names = {*self.split_lists, *self.split_folders} - {VALIDATION_SPLIT}
        for name in sorted(names):
            split = self.read_split(name, label_of)
            noise, level = _noise_and_level(name)
            columns = [
                pa.repeat(noise, len(split)),
                pa.repeat(pa.scalar(level, pa.int32()), len(split)),
                split["image_id"],
                split["label"],
            ]
            parts.append(pa.table(columns, tables.PUBLISHED_SPLITS))
        return pa.concat_tables(parts).combine_chunks()

    def read_validation_labels(self, label_of: LabelOf) -> dict[str, int] | None:
        """Return the label of each validation image by its id; none without a validation split."""
        if VALIDATION_SPLIT not in {*self.split_lists, *self.split_folders}:
            return None
        split = self.read_split(VALIDATION_SPLIT, label_of)
        return dict(zip(split["image_id"].to_pylist(), split["label"].to_pylist(), strict=True))

    def read_candidates(self) -> tuple[pa.Table, pa.Table] | None:
        """Return the web manifest and the consensus as votes; none where there are no verdicts.

        If web images lie beside the release, the column ``dead`` marks the candidates without one.

        Raises:
            ValueError: the file is not the release's
        """
        if self.annotations is None:
            return None
        web, votes = read_annotations(self.annotations)
        if self.image_paths:
            dead = [image_id not in self.image_paths for image_id in web["image_id"].to_pylist()]
            web = web.append_column("dead", pa.array(dead))
        return web, votes

    @cached_property
    def image_paths(self) -> Mapping[str, Path]:
        """Where images lie beside the release, by id.

        Empty files do not count: some users' copies hold one for each dead link. An image that lies
        in several folders is read from the first.

        Raises:
            ValueError: a folder has two images of one id
        """
        folders = [self.data_dir / name for name in WEB_IMAGE_FOLDERS]
        folders += [self.training_folder, self.validation_folder]
        paths: dict[str, Path] = {}
        for folder in reversed(folders):
            images = list_folder(folder, self.data_dir).images if folder.is_dir() else []
            for image in images:
                path = folder / image
                if not path.stat().st_size:
                    continue
                first_path = paths.get(path.stem)
                if first_path is not None and first_path.parent == path.parent:
                    names = f"{first_path.name} and {path.name}"
                    raise ValueError(f"{folder}: {names} have the same id: remove the wrong one")
                paths[path.stem] = path
        return paths

    def read(self, image_id: str) -> bytes:
        """Return an image that lies beside the release.

        Raises:
            LookupError: there is no such image
        """
        if image_id not in self.image_paths:
            raise LookupError(
                f"{self.data_dir}: the web image {image_id!r} is not here: put it at "
                f"{WEB_IMAGE_FOLDERS[0]}/{image_id}.jpg, or mark it dead in the web manifest"
            )
        return self.image_paths[image_id].read_bytes()


def read_annotations(path: ArchivePath) -> tuple[pa.Table, pa.Table]:
    """Return the web manifest and the votes that a file of verdicts holds.

    Each verdict becomes one vote of the annotator ``consensus``. A pair of image and label that is
    listed twice, with two verdicts, is unsure.

    Raises:
        ValueError: the file is not the release's
    """
    annotations = list(_flat_annotations(path))
    candidates, verdicts = _read_verdicts(annotations, path)
    verdict_of: dict[tuple[str, int], bool | None] = {}
    uri_of: dict[tuple[str, int], str | None] = {}
    for candidate, verdict, uri in zip(
        candidates, verdicts, _read_uris(annotations, path), strict=True
    ):
        is_same = verdict_of.get(candidate, verdict) == verdict
        verdict_of[candidate] = verdict if is_same else None
        uri_of.setdefault(candidate, uri)
    n_candidates = len(verdict_of)
    image_ids = [image_id for image_id, _ in verdict_of]
    labels = [label for _, label in verdict_of]
    unknown = [None] * n_candidates
    web = {
        "image_id": image_ids,
        "label": labels,
        "split": ["web"] * n_candidates,
        "uri": list(uri_of.values()),
        "sha256": unknown,
    }
    votes = {
        "image_id": image_ids,
        "label": labels,
        "annotator": ["consensus"] * n_candidates,
        "correct": list(verdict_of.values()),
        "at": unknown,
    }
    return pa.table(web, tables.MANIFEST), pa.table(votes, tables.VOTES)


def _read_verdicts(
    annotations: Sequence[Annotation], path: ArchivePath
) -> tuple[list[tuple[str, int]], list[bool | None]]:
    """Return image id and label of each annotation, and whether the image shows its class."""
    columns = {
        "image_id": [annotation["image/id"] for annotation in annotations],
        "label": [annotation["image/class/label"] for annotation in annotations],
        "correct": [annotation["image/class/label/is_clean"] for annotation in annotations],
    }
    votes = raw_votes.read_columns(columns, str(path), _places(annotations))
    image_ids = _without_suffixes(votes["image_id"]).to_pylist()
    candidates = list(zip(image_ids, votes["label"].to_pylist(), strict=True))
    return candidates, votes["correct"].to_pylist()


def _read_uris(annotations: Sequence[Annotation], path: ArchivePath) -> list[str | None]:
    uris = [annotation["image/uri"] for annotation in annotations]
    is_bad = np.array([not isinstance(uri, str | None) for uri in uris], bool)
    remedy = "a uri is a text, or null"
    table_io.reject_bad_rows(str(path), "uri", is_bad, uris, remedy, _places(annotations))
    return uris


def _places(annotations: Sequence[Annotation]) -> list[str]:
    return [f"annotation {number}" for number in range(len(annotations))]


def _zip_folders(path: Path) -> list[ZipPath]:
    """Return the root of a zip file and the folders in it."""
    root = ZipPath(open_zip(path, path))
    folders = [inner for inner in root.iterdir() if inner.is_dir()]
    return [root, *folders]


def _check_class_list(path: ArchivePath, classes: Sequence[str]) -> None:
    """Check that a list which is as long as ours does not give one of our classes another label."""
    text = read_path(path, LARGEST_LIST).decode("utf-8", errors="replace")
    lines = text.strip().splitlines()
    release_names = [letters_and_digits(name) for name in lines]
    our_names = [letters_and_digits(name) for name in classes]
    if len(release_names) != len(our_names):
        return
    for label, name in enumerate(release_names):
        if name != our_names[label] and name in our_names:
            raise ValueError(
                f"{path}: label {label} is {lines[label]!r} in this list, but {classes[label]!r} "
                "in the package, so labels would refer to other classes: copy this list again"
            )


def _is_split(name: str) -> bool:
    return name == VALIDATION_SPLIT or NOISY_SPLIT.fullmatch(name) is not None


def _noise_and_level(split: str) -> tuple[str, int]:
    """Return what the name of a split says: red_noise_nl_0.05 -> red, 5 percent."""
    noise, _, fraction = split.partition("_noise_nl_")
    return noise, round(100 * float(fraction))


def _read_list(path: ArchivePath) -> pa.Table:
    """Return the id and the label of each line of a list, as a table of SPLIT."""
    data = read_path(path, LARGEST_LIST)
    with translate_errors(str(path), "text in UTF-8"):
        lines = pa.array(data.decode("utf-8").splitlines(), pa.string())
    is_blank = pc.match_substring_regex(lines, r"^\s*$")
    rows = pc.extract_regex(lines, LIST_LINE)
    is_bad = pc.and_not(rows.is_null(), is_blank)
    if pc.any(is_bad).as_py():
        number = pc.index(is_bad, True).as_py()
        raise ValueError(
            f"{path}: line {number + 1}: {lines[number].as_py()!r} must consist of the name of an "
            "image and a label: copy this list again"
        )
    rows = rows.drop_null()
    image_ids = _without_suffixes(rows.field("image_id"))
    return pa.table([image_ids, rows.field("label").cast(pa.int32())], SPLIT)


def _without_suffixes(names: pa.Array) -> pa.Array:
    """Return the names of image files without their endings."""
    return pc.replace_substring_regex(names, rf"(?i)([^/]){IMAGE_SUFFIX.pattern}$", r"\1")


def _read_class_folders(folder: Path, root: Path, label_of: LabelOf) -> Iterator[tuple[str, int]]:
    """Yield the id and the label of each image in class folders."""
    class_folders = [path for path in folder.iterdir() if path.is_dir()]
    for class_folder in sorted(class_folders):
        if is_clutter(class_folder.name):
            continue
        label = label_of(class_folder.name)
        for image in list_folder(class_folder, root).images:
            yield Path(image).stem, label


def _flat_annotations(path: ArchivePath) -> Iterator[Annotation]:
    """Yield every annotation; the file has them one by one or in lists."""
    try:
        items = parse_json(read_path(path, LARGEST_JSON), str(path), COPY_AGAIN)["data"]
        for item in items:
            annotations: Iterable[Any] = item if isinstance(item, list) else [item]
            for annotation in annotations:
                missing = ANNOTATION_KEYS - annotation.keys()
                if missing:
                    raise ValueError(
                        f"{path}: an annotation has no {min(missing)!r}: copy this file again"
                    )
                yield annotation
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: these are not the annotations of the release ({error!r}): copy this file "
            "again"
        ) from error
