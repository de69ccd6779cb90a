"""Tar files of samples, as the library webdataset reads them.

    OUT/train-000000.tar       000000000.png, 000000000.cls, 000000000.json, 000000001.png ...

The key of a sample is the number of its row in the order in which `datasets` reads the config. The
image has the bytes that the build stores, `cls` is the given label, and `json` has image_id, label
and label_name; with ``truth`` also clean_label, is_noisy, origin and replaces. The same build gives
the same bytes.
"""

import json
from collections.abc import Iterable, Mapping
from io import BytesIO
from itertools import islice
from pathlib import Path
from tarfile import USTAR_FORMAT, TarFile, TarInfo

from cnlw_tools.builds.exporters.base import ExportedConfig, ExportedSplit, Row
from cnlw_tools.builds.exporters.file_names import image_suffix, safe_name
from cnlw_tools.builds.exporters.label_table import TRUTH_COLUMNS


def export_webdataset(
    config: ExportedConfig, folder: Path, truth: bool = False, shard_rows: int = 1000
) -> list[str]:
    """Tar files of samples (image, cls, json) for the library webdataset.

    Args:
        config: what to write
        folder: an empty folder
        truth: json also says what is true of each image
        shard_rows: samples in one file

    Returns:
        a note, if noisy and clean rows are in different files

    Raises:
        ValueError: shard_rows is below 1, or an image is in a format that PIL may not read
    """
    if shard_rows < 1:
        raise ValueError(f"shard_rows = {shard_rows} is not allowed: it must be at least 1")
    for split, part in config.splits.items():
        numbered_images = enumerate(config.images(split))
        for shard, first in enumerate(range(0, len(part.rows), shard_rows)):
            path = folder / f"{safe_name(split)}-{shard:06d}.tar"
            n_rows = min(shard_rows, len(part.rows) - first)
            samples = islice(numbered_images, n_rows)
            _write_shard(path, samples, config.classes, truth)
    return _describe_order(config.splits)


def _write_shard(
    path: Path,
    samples: Iterable[tuple[int, tuple[Row, bytes]]],
    classes: tuple[str, ...],
    truth: bool,
) -> None:
    """Write the files of some samples, each with its number, row and image."""
    with TarFile.open(path, "x", format=USTAR_FORMAT) as archive:
        for number, (row, image) in samples:
            facts = {"image_id": row["image_id"], "label": row["label"]}
            facts["label_name"] = classes[row["label"]]
            if truth:
                facts |= {name: row[name] for name in TRUTH_COLUMNS}
            key = f"{number:09d}"
            _add_file(archive, key + image_suffix(row["image_id"], image), image)
            _add_file(archive, f"{key}.cls", str(row["label"]).encode())
            _add_file(archive, f"{key}.json", json.dumps(facts).encode())


def _add_file(archive: TarFile, name: str, content: bytes) -> None:
    """Add a file without a time or an owner."""
    member = TarInfo(name)
    member.size = len(content)
    archive.addfile(member, BytesIO(content))


def _describe_order(splits: Mapping[str, ExportedSplit]) -> list[str]:
    """Return a note on splits in which rows of one kind stand together."""
    notes = []
    for split, part in splits.items():
        segments = {path.name.partition("-")[0] for path in part.shards}
        if len(segments) > 1:
            notes.append(
                f"{split}: noisy and clean rows are in different files: shuffle all of them, "
                "or build with --layout flat, which mixes them"
            )
    return notes
