"""A build as one zip file, for Zenodo or another archive of data.

The images and tables are compressed already, so the files are stored as they are. Names, order and
dates are fixed: the same build gives the same bytes.
"""

import shutil
import zipfile
from pathlib import Path

from cnlw_tools.builds.staging import is_of_build
from cnlw_tools.card.metadata import read_card
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files import atomic_write
from cnlw_tools.files.folders import list_names

SUFFIX = ".zip"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file can hold
UNIX = 3  # the system on which the rights mean something
RIGHTS = 0o644 << 16  # of every file: its owner writes, all read


def write_archive(folder: Path, path: Path, progress: Progress = no_progress) -> int:
    """Write a build as a zip file with one folder, and return its bytes.

    Args:
        folder: of the build, which is not checked here
        path: of the file, which ends with .zip; a file that is there is replaced
        progress: is told how many files are written

    Raises:
        ValueError: the folder holds no build, or the name does not end with .zip
        OSError: the file cannot be written
    """
    if path.suffix.lower() != SUFFIX:
        raise ValueError(f"{path} is not the name of an archive: it must end with {SUFFIX}")
    read_card(folder)
    top = path.stem
    names = [name for name in list_names(folder) if is_of_build(name)]
    with atomic_write(path) as draft, zipfile.ZipFile(draft, "w", allowZip64=True) as archive:
        for done, name in enumerate(names, 1):
            entry = zipfile.ZipInfo(f"{top}/{name}", EPOCH)
            entry.create_system = UNIX
            entry.external_attr = RIGHTS
            entry.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target)
            progress("archive", done, len(names))
    return path.stat().st_size
