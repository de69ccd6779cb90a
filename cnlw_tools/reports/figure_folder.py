"""The folder figures/ of a report: one set of pictures, and captions.txt, which names them all.

captions.txt has two paragraphs for each picture: the name of its files without the ending, and what
it shows. So the next report knows which files are of the one before, and deletes those that it does
not write again. Files of anybody else stay.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from cnlw_tools import files
from cnlw_tools.registry.plain_names import plain_name
from cnlw_tools.reports.context import Figure
from cnlw_tools.reports.figure_files import FigureFiles
from cnlw_tools.reports.plotting import FORMATS
from cnlw_tools.study.figures import FIGURES

CAPTIONS = "captions.txt"


def write_figures(
    folder: Path,
    figures: Mapping[str, Figure],
    figure_files: FigureFiles,
) -> None:
    """Write the panels of all figures and their captions; delete what an earlier report wrote.

    Args:
        folder: of the pictures
        figures: by name
        figure_files: formats and sizes

    Raises:
        OSError: the folder cannot be written
    """
    captions: dict[str, str] = {}  # by the name of the files without their ending
    new_paths: set[Path] = set()
    for name, figure in figures.items():
        subject = FIGURES[name].about
        for panel in figure.panels:
            stem = _unused_name(name, panel.title, captions)
            captions[stem] = f"{panel.title}. {panel.caption} {subject}."
            for file_format in figure_files.formats:
                path = folder / f"{stem}.{file_format}"
                with files.atomic_write(path) as draft:
                    draft.write_bytes(panel.save(file_format, figure_files.style))
                new_paths.add(path)
        for title, image in figure.images:
            stem = _unused_name(name, title, captions)
            captions[stem] = f"{title}. {subject}."
            path = folder / f"{stem}.png"
            with files.atomic_write(path) as draft:
                image.save(draft, "PNG")
            new_paths.add(path)
    _delete_earlier(folder, new_paths)
    _write_captions(folder / CAPTIONS, captions)


def _delete_earlier(folder: Path, new_paths: set[Path]) -> None:
    """Delete the pictures that captions.txt of an earlier report names, but for new ones."""
    for stem in _read_names(folder / CAPTIONS):
        for file_format in FORMATS:
            path = folder / f"{stem}.{file_format}"
            if path not in new_paths and path.is_file():
                path.unlink()


def _read_names(captions: Path) -> list[str]:
    """Return the names of pictures in captions.txt; none where a report wrote no such file."""
    if not captions.is_file():
        return []
    names = []
    for paragraph in captions.read_bytes().decode("utf-8", "replace").split("\n\n"):
        name = paragraph.strip()
        is_plain = re.fullmatch(r"[a-z0-9_]+", name) is not None
        if is_plain and name.partition("_")[0] in FIGURES:
            names.append(name)
    return names


def _write_captions(path: Path, captions: Mapping[str, str]) -> None:
    if not captions:
        path.unlink(missing_ok=True)
        return
    paragraphs = [f"{stem}\n\n{text}\n" for stem, text in captions.items()]
    with files.atomic_write(path) as draft:
        draft.write_text("\n".join(paragraphs), encoding="utf-8")


def _unused_name(figure: str, title: str, used: Mapping[str, str]) -> str:
    """Return a name for the files of a picture, with a number behind it if it is used."""
    name = f"{figure}_{plain_name(title, '_').strip('_')}"
    unused, n = name, 1
    while unused in used:
        n += 1
        unused = f"{name}_{n}"
    return unused
