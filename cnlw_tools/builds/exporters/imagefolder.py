"""Class folders of image files, as `torchvision.datasets.ImageFolder` and `datasets` read them.

    OUT/train/airplane/IMAGE_ID.png      one file a row, with the bytes that the build stores
    OUT/labels.csv                       file, image_id, label, label_name of every row

The folder of an image is its given label. Both readers number the classes by the alphabet;
`labels.csv` has the numbers of the build. Every split has a folder of each class, so that the
numbers are the same in all splits; where one is empty, ImageFolder needs allow_empty=True. An image
that repeats under one label is written again as IMAGE_ID~2, IMAGE_ID~3 ...
"""

from collections import Counter
from pathlib import Path

from cnlw_tools.builds.exporters.base import ExportedConfig
from cnlw_tools.builds.exporters.file_names import image_suffix, safe_name
from cnlw_tools.builds.exporters.label_table import label_cells, label_columns, open_csv

LABELS = "labels.csv"


def export_imagefolder(config: ExportedConfig, folder: Path, truth: bool = False) -> list[str]:
    """Class folders of image files, for torchvision's ImageFolder, and labels.csv.

    Args:
        config: what to write
        folder: an empty folder
        truth: labels.csv also says what is true of each image

    Raises:
        ValueError: two classes or images would have the same file name, or a format that
            ImageFolder does not read
    """
    with open_csv(folder / LABELS, ("file", *label_columns(truth))) as table:
        for split in config.splits:
            class_folders = _make_class_folders(folder / safe_name(split), config.classes)
            copies: Counter[tuple[str, int]] = Counter()
            for row, image in config.images(split):
                image_id, label = row["image_id"], row["label"]
                copies[image_id, label] += 1
                name = _file_name(image_id, image, copies[image_id, label])
                path = class_folders[label] / name
                _write_new(path, image, image_id)
                file = path.relative_to(folder).as_posix()
                table.writerow([file, *label_cells(row, config.classes, truth)])
    return []


def _make_class_folders(split_folder: Path, classes: tuple[str, ...]) -> list[Path]:
    """Make a folder for each class, in label order."""
    folders = []
    for name in classes:
        class_folder = split_folder / safe_name(name)
        try:
            class_folder.mkdir(parents=True)
        except FileExistsError:
            raise ValueError(
                f"class {name!r} and another would both get the folder {class_folder.name!r}: "
                "rename one in classes.csv and build again"
            ) from None
        folders.append(class_folder)
    return folders


def _file_name(image_id: str, image: bytes, copy: int) -> str:
    """Return the name of the n-th copy of an image, with the suffix of its format."""
    suffix = image_suffix(image_id, image)
    stem = safe_name(image_id.removesuffix(suffix))
    return f"{stem}{suffix}" if copy == 1 else f"{stem}~{copy}{suffix}"


def _write_new(path: Path, image: bytes, image_id: str) -> None:
    """Write a file that is not there yet."""
    try:
        with path.open("xb") as file:
            file.write(image)
    except FileExistsError:
        raise ValueError(
            f"image {image_id!r} and another of the class {path.parent.name!r} would both get the "
            f"file name {path.name!r}: rename one in the manifest and build again, or export labels"
        ) from None
