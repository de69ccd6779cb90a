"""One config of a build in the formats of other programs: one file a format; the table is below."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnlw_tools.builds.exporters.base import (
    ExportedConfig,
    ExportedSplit,
    Exporter,
    check_options,
    exporter_options,
    read_config,
)
from cnlw_tools.builds.exporters.imagefolder import export_imagefolder
from cnlw_tools.builds.exporters.labels import export_labels
from cnlw_tools.builds.exporters.npz import export_npz
from cnlw_tools.builds.exporters.webdataset import export_webdataset
from cnlw_tools.builds.staging import new_folder
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.registry import pick

__all__ = [
    "EXPORTERS",
    "ExportedConfig",
    "ExportedSplit",
    "Exporter",
    "export",
    "exporter_options",
]

EXPORTERS: Mapping[str, Exporter] = {
    "imagefolder": export_imagefolder,  # class folders of image files
    "labels": export_labels,  # arrays in the order of the source, without images
    "npz": export_npz,  # one array of all pixels
    "webdataset": export_webdataset,  # tar files of samples
}


def export(
    exporter: str,
    build: Path,
    config: str,
    out: Path | str,
    options: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> list[str]:
    """Write one config of a build, in the format of another program, into a new folder.

    Args:
        exporter: name of the format
        build: folder of the build
        config: name of the config, such as red_40
        out: the folder, which appears when it is complete, or an address
        options: of the exporter
        progress: is told how many images are read, and how many files are put at an address

    Returns:
        notes: what a user must know about the files

    Raises:
        LookupError: unknown exporter, or no such config
        ValueError: no build, one that is damaged, or an option that the exporter does not have
        OSError: ``out`` is there already or cannot be written
    """
    write = pick(EXPORTERS, exporter, "exporter")
    options = dict(options or {})
    check_options(exporter, write, options)
    exported_config = read_config(build, config, progress)
    with new_folder(out, progress) as folder:
        return write(exported_config, folder, **options)
