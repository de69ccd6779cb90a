"""The files of a build with their sha256, as `croissant.json` lists them."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from cnlw_tools.files.texts import parse_json, read_text
from cnlw_tools.recipe.strict import matching

CROISSANT = "croissant.json"
DATA = "data/"  # where the shards are
SHA256 = matching("[0-9a-f]{64}", "a sha256: 64 hex digits")
REMEDY = "copy it from where this build came from, or build again with another --out"


def read_shard_hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of each shard of a build, by its name in data/.

    Raises:
        ValueError: the build has no such list, or it is damaged
        OSError: the list cannot be read
    """
    path = folder / CROISSANT
    try:
        text = read_text(path, remedy=REMEDY)
    except FileNotFoundError:
        raise ValueError(
            f"{folder}: {CROISSANT}, which lists the files of the build, is missing: {REMEDY}"
        ) from None
    return dict(_parse_hashes(text, str(path)))


@lru_cache(maxsize=16)
def _parse_hashes(text: str, source: str) -> Mapping[str, str]:
    """Parse the list; a sweep and a report ask for the same one once a run."""
    block = parse_json(text, source, REMEDY)
    distribution = block.get("distribution") if isinstance(block, dict) else None
    if not isinstance(distribution, list):
        raise ValueError(f"{source}: its key `distribution` must be a list of files: {REMEDY}")
    hashes = {}
    for entry in distribution:
        name = _shard_name(entry)
        if name:
            hashes[name] = _sha256_of(entry, f"{source}: {name}")
    return dict(sorted(hashes.items()))


def _shard_name(entry: Any) -> str:
    """Return the name of a shard that an entry of the list describes; nothing if of other files."""
    if not isinstance(entry, dict) or entry.get("@type") != "cr:FileObject":
        return ""
    path = entry.get("contentUrl")
    if not isinstance(path, str) or not path.startswith(DATA):
        return ""
    return path.removeprefix(DATA)


def _sha256_of(entry: Mapping[str, Any], source: str) -> str:
    """Return the sha256 of an entry.

    Raises:
        ValueError: it has none, or its name leads to another folder
    """
    digest = entry.get("sha256")
    if "/" in entry["contentUrl"].removeprefix(DATA):
        raise ValueError(f"{source}: this file is not in {DATA}: {REMEDY}")
    if not isinstance(digest, str) or not SHA256.test(digest):
        raise ValueError(f"{source}: its sha256 must be 64 hex digits: {REMEDY}")
    return digest
