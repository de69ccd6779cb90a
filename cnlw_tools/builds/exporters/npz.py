"""Arrays of pixels and labels, as `numpy.load` reads them.

    OUT/train.npz      images (n, H, W, 3) uint8 RGB; labels (n,) int64; image_ids (n,) and
                       classes (C,), texts

Rows are in the order in which `datasets` reads the config. Images are written one by one, so a
split need not fit into memory. With ``truth``, a file also has clean_labels (-1: nobody knows),
is_noisy, origins and replaces (empty: the image replaces none).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cnlw_tools.builds.exporters.base import ExportedConfig
from cnlw_tools.builds.exporters.file_names import safe_name
from cnlw_tools.builds.exporters.label_table import NO_LABEL
from cnlw_tools.images.pixels import decode

UNIX = 3  # the system that a zip archive names, the same on every machine


def export_npz(config: ExportedConfig, folder: Path, truth: bool = False) -> list[str]:
    """Arrays of pixels and labels for numpy, a file a split; all images must have one size.

    Args:
        config: what to write
        folder: an empty folder
        truth: the files also say what is true of each image

    Raises:
        ValueError: images of a split differ in size, or one cannot be decoded
    """
    for split, part in config.splits.items():
        with ZipFile(folder / f"{safe_name(split)}.npz", "x") as archive:
            _write_images(archive, _pixels(config, split), len(part.rows))
            for name, values in _columns(part.rows, config.classes, truth).items():
                with archive.open(_member(name), "w") as file:
                    np.lib.format.write_array(file, values, allow_pickle=False)
    return []


def _write_images(archive: ZipFile, images: Iterator[NDArray[np.uint8]], n_images: int) -> None:
    """Write the member `images` of an archive, one image at a time."""
    with archive.open(_member("images"), "w", force_zip64=True) as file:
        for i, pixels in enumerate(images):
            if i == 0:
                shape = (n_images, *pixels.shape)
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(pixels.tobytes())


def _pixels(config: ExportedConfig, split: str) -> Iterator[NDArray[np.uint8]]:
    """Yield the (H, W, 3) pixels of each row.

    Raises:
        ValueError: an image has another size than the first one, or cannot be decoded
    """
    first = None
    for row, image in config.images(split):
        image_id = row["image_id"]
        try:
            pixels = np.asarray(decode(image))
        except ValueError as error:
            raise ValueError(
                f"image {image_id!r} cannot be read ({error}): see what `cnlw validate` says"
            ) from error
        size = pixels.shape[:2]
        first = first or (image_id, size)
        if size != first[1]:
            raise ValueError(
                f"image {image_id!r} has {size[0]} x {size[1]} pixels, and image {first[0]!r} has "
                f"{first[1][0]} x {first[1][1]}, but an array holds images of one size: "
                "build with --size, or export webdataset or imagefolder"
            )
        yield pixels


def _columns(rows: pa.Table, classes: tuple[str, ...], truth: bool) -> dict[str, NDArray[Any]]:
    """Return the arrays beside the images."""
    columns = {
        "labels": rows["label"].to_numpy().astype(np.int64),
        "image_ids": _strings(rows["image_id"]),
        "classes": np.array(classes, np.str_),
    }
    if truth:
        clean_labels = pc.fill_null(rows["clean_label"], NO_LABEL)
        columns["clean_labels"] = clean_labels.to_numpy().astype(np.int64)
        columns["is_noisy"] = rows["is_noisy"].to_numpy()
        columns["origins"] = _strings(rows["origin"])
        columns["replaces"] = _strings(rows["replaces"])
    return columns


def _strings(column: pa.ChunkedArray) -> NDArray[np.str_]:
    """Return texts as an array that is read without pickles; a null is empty."""
    return np.array(pc.fill_null(column, "").to_pylist(), np.str_)


def _member(name: str) -> ZipInfo:
    """Return the entry of an array, without a time of day."""
    member = ZipInfo(f"{name}.npy")
    member.create_system = UNIX
    return member
