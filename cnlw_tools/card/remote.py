"""Builds at an address such as ``s3://bucket/shapes``, for reading."""

import re
from pathlib import Path

from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.metadata import CARD, REMEDY, config_shards, read_card
from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.mirror import Mirror
from cnlw_tools.files.storage import is_address
from cnlw_tools.registry import pick

SHARDS = "data/"  # where they are in a build
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)  # OWNER/NAME


def local_build(
    build: Path | str, config: str | None = None, progress: Progress = no_progress
) -> Path:
    """Return the folder of a build; one at an address is copied into its mirror first.

    Args:
        build: the folder, or the address
        config: copy only what this config needs; None: everything
        progress: is told how many bytes came

    Raises:
        LookupError: the build has no such config
        ValueError, OSError: there is no build, or it cannot be read
    """
    if not is_address(build):
        return Path(build)
    mirror = Mirror(build)
    card = read_card(card_folder(build))
    if config is None:
        return mirror.read(progress=progress)
    pick(card.configs, config, f"config of {mirror.remote.address}")
    needed = {CARD, CROISSANT, "tables/classes.csv"}
    for names in config_shards(card, config).values():
        needed.update(f"data/{name}" for name in names)
    return mirror.read(needed.__contains__, progress)


def build_folder(build: Path | str) -> Path:
    """Return where `local_build` finds or makes the folder of a build; nothing is copied."""
    return Mirror(build).folder if is_address(build) else Path(build)


def published_folder(build: Path | str, progress: Progress = no_progress) -> Path:
    """Return the folder of a build; of one at an address, everything but shards is copied.

    Args:
        build: the folder, its card, or the address
        progress: is told how many bytes came

    Raises:
        ValueError, OSError: there is no build, or it cannot be read
    """
    if not is_address(build):
        return _folder_of(Path(build))
    card_folder(build)
    return Mirror(build).read(lambda name: not name.startswith(SHARDS), progress)


def _folder_of(path: Path) -> Path:
    """Return the folder of a build on this machine.

    Args:
        path: the folder, or its card

    Raises:
        FileNotFoundError: there is no such folder, but a repository may have this name
    """
    if path.name == CARD and path.is_file():
        return path.parent
    if not path.exists() and REPOSITORY.fullmatch(str(path)):
        raise FileNotFoundError(
            f"{path}: there is no such folder: correct the path, or, for a repository of the Hub, "
            f"give hf://datasets/{path}"
        )
    return path


def published_file(build: Path | str, name: str) -> Path | None:
    """Return a shard of a build, which is copied from an address; none if the build lacks it.

    Args:
        build: the folder, its card, or the address
        name: of the file in data/

    Raises:
        OSError: it cannot be read
    """
    if is_address(build):
        folder = Mirror(build).read(f"{SHARDS}{name}".__eq__)
    else:
        folder = _folder_of(Path(build))
    path = folder / SHARDS / name
    return path if path.exists() else None


def card_folder(build: Path | str) -> Path:
    """Return the folder of the card of a build.

    Of a build at an address, only the card and the list of its files are copied.

    Raises:
        ValueError, OSError: there is no build, or it cannot be read
    """
    if not is_address(build):
        return Path(build)
    mirror = Mirror(build)
    folder = mirror.read({CARD, CROISSANT}.__contains__)
    if not (folder / CARD).exists():
        raise ValueError(f"{mirror.remote.address}: no build here (there is no {CARD}): {REMEDY}")
    try:
        read_card(folder)
    except ValueError as error:  # it names the mirror, which the user does not know
        raise ValueError(str(error).replace(str(folder), mirror.remote.address)) from error
    return folder
