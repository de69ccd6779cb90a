"""Where the images of a dataset lie on this machine, so that commands can print the next one whole.

    places/NAME.json    {"data_dir": "/home/ann/photos"}, in the project folder

Nothing is read from these places: a build reads the folder that --data-dir names. Git ignores the
file, since a path holds on one machine only.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cnlw_tools.files import atomic_write
from cnlw_tools.files.texts import read_json
from cnlw_tools.recipe.strict import read_dataclass

REMEDY = "delete this file, which only completes the commands that are printed"


@dataclass(frozen=True, slots=True)
class Places:
    """The places of a dataset."""

    data_dir: str  # folder or file of the images that were imported


def write_places(name: str, root: Path, data_dir: Path) -> None:
    """Remember the images of a dataset, unless they are on the Hub.

    Raises:
        OSError: the file cannot be written
    """
    if not data_dir.exists():
        return
    path = _places_path(name, root)
    text = json.dumps(asdict(Places(str(data_dir.resolve())))) + "\n"
    with atomic_write(path.with_name(".gitignore")) as draft:
        draft.write_text("*\n")
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")


def find_data_dir(name: str, root: Path) -> Path | None:
    """Return where the images of a dataset are; None if that is not known, or they are gone.

    The path is relative if it is below the current folder.

    Raises:
        ValueError: the file does not say it
    """
    path = _places_path(name, root)
    if not path.is_file():
        return None
    places = read_dataclass(Places, read_json(path, REMEDY), str(path), REMEDY)
    data_dir = Path(places.data_dir)
    if not data_dir.exists():
        return None
    working_folder = Path.cwd().resolve()
    return (
        data_dir.relative_to(working_folder)
        if data_dir.is_relative_to(working_folder)
        else data_dir
    )


def _places_path(name: str, root: Path) -> Path:
    return root / "places" / f"{name}.json"
