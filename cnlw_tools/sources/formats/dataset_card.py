"""What the card of a dataset says: which files each config has, its class names and its rows.

The card is the YAML on top of README.md; what `.huggingface.yaml` says comes before it, and what
the older `dataset_infos.json` says of class names and rows comes after it.
Source: huggingface.co/docs/hub/datasets-manual-configuration
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cnlw_tools.files.texts import read_json, read_text
from cnlw_tools.files.yaml_text import parse_yaml
from cnlw_tools.recipe.strict import SHORT

CARD = "README.md"
YAML_CARD = ".huggingface.yaml"
OLDER_CARD = "dataset_infos.json"
SAVED_INFO = "dataset_info.json"  # beside Arrow files
FRONT_MATTER = re.compile(r"\s*---[^\S\n]*\n(.*?)\n---[^\S\n]*(\n|\Z)", re.DOTALL)
LARGEST_CARD = 16 << 20  # bytes
FIX = "fix the card"
SELECTING_KEYS = ("filters", "on_bad_files")  # they leave rows out
SPLIT_NAME = re.compile(r"\w+(\.\w+)*")


class Config(NamedTuple):
    """One config: a part of the dataset that is loaded by itself."""

    name: str = ""
    folder: str = ""  # its patterns and files are relative to it; empty: the dataset's
    patterns: Mapping[str, Sequence[str]] = {}  # of files, by split; empty: as names tell
    is_default: bool = False
    class_names: Mapping[str, tuple[str, ...]] = {}  # by column, as the card gives them
    n_rows: Mapping[str, int] = {}  # by split, as the card counts them


def read_configs(folder: Path) -> dict[str, Config]:
    """Return the configs of a dataset by name; one without name or patterns if it declares none.

    Raises:
        ValueError: the card cannot be read, or asks for files that lie elsewhere
    """
    content = _read_card(folder)
    infos = _read_older_infos(folder) | _by_name(content.get("dataset_info"))
    declared = content.get("configs")
    if not declared:
        only_info = next(iter(infos.values())) if len(infos) == 1 else {}
        return {"": _with_info(Config(), infos.get("default", only_info))}
    place = f"{folder / CARD}: configs"
    if not isinstance(declared, list):
        raise ValueError(
            f"{place} = {SHORT.repr(declared)} is not allowed: it must be a list: fix the card"
        )
    configs: dict[str, Config] = {}
    for entry in declared:
        config = _read_config(entry, place)
        if config.name in configs:
            raise ValueError(f"{place}: two configs are called {config.name!r}: rename one")
        info = infos.get(config.name, {})
        configs[config.name] = _with_info(config, {"features": entry.get("features"), **info})
    return configs


def class_names(feature: Any) -> tuple[str, ...] | None:
    """Return the names of a ClassLabel, as Arrow's metadata or a card hold it; none without.

    One that is null, or whose number is passed over, is empty.
    """
    if not isinstance(feature, Mapping):
        return None
    names = feature.get("names")
    if isinstance(names, Mapping):  # a card counts them: {'0': rose, '1': tulip}
        try:
            name_of_number = {int(number): name for number, name in names.items()}
        except (TypeError, ValueError):
            return None
        names = [name_of_number.get(number) for number in range(len(name_of_number))]
    if not isinstance(names, list) or not names:
        return None
    return tuple("" if name is None else str(name) for name in names)


def read_saved_names(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the class names that `dataset_info.json` has beside Arrow files, by column.

    Raises:
        ValueError: it is not JSON
    """
    path = folder / SAVED_INFO
    content = read_json(path, "save the dataset again") if path.is_file() else {}
    features = content.get("features") if isinstance(content, Mapping) else None
    return _read_class_names(features)


def _read_older_infos(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return what `dataset_infos.json` says of each config; the only one is the default."""
    path = folder / OLDER_CARD
    content = read_json(path, FIX) if path.is_file() else {}
    infos = {}
    if isinstance(content, Mapping):
        infos = {name: info for name, info in content.items() if isinstance(info, Mapping)}
    return {"default": next(iter(infos.values()))} if len(infos) == 1 else infos


def _read_card(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = {}
    readme, yaml_card = folder / CARD, folder / YAML_CARD
    if readme.is_file():
        match = FRONT_MATTER.match(read_text(readme, LARGEST_CARD))
        if match:
            content |= _parse_card(match[1], readme)
    if yaml_card.is_file():
        content |= _parse_card(read_text(yaml_card, LARGEST_CARD), yaml_card)
    return content


def _parse_card(text: str, path: Path) -> dict[str, Any]:
    content = parse_yaml(text, str(path), FIX)
    if content is not None and not isinstance(content, dict):
        raise ValueError(
            f"{path}: the block at its top is {SHORT.repr(content)}, but must be YAML with "
            f"keys: {FIX}"
        )
    return content or {}


def _by_name(infos: Any) -> dict[str, Mapping[str, Any]]:
    """Return the entries of `dataset_info`, one or several, by the name of their config."""
    entries = infos if isinstance(infos, list) else [infos]
    by_name = {}
    for entry in entries:
        if isinstance(entry, Mapping):
            by_name[str(entry.get("config_name", "default"))] = entry
    return by_name


def _read_config(entry: Any, place: str) -> Config:
    """Return one entry of `configs`.

    Raises:
        ValueError: it is not what it should be, or asks for files that lie elsewhere
    """
    name = entry.get("config_name") if isinstance(entry, Mapping) else None
    if not isinstance(name, str):
        raise ValueError(f"{place}: {SHORT.repr(entry)} has no config_name: fix the card")
    for key in SELECTING_KEYS:
        if entry.get(key):
            raise ValueError(
                f"{place}: {name!r} has the key {key!r}, which leaves out rows: "
                "load the dataset with this config, save it with save_to_disk, and import that"
            )
    patterns = _read_patterns(entry.get("data_files"), f"{place}: data_files of {name!r}")
    folder = entry.get("data_dir") or ""
    for path in (folder, *(pattern for group in patterns.values() for pattern in group)):
        _require_inside(path, f"{place}: {name!r}")
    is_default = name == "default" or bool(entry.get("default"))
    return Config(name, str(folder).strip("/"), patterns, is_default)


def _read_patterns(data_files: Any, place: str) -> dict[str, list[str]]:
    """Return the patterns of each split: of one string, a list, or a list of splits."""
    if data_files is None:
        return {}
    entries = data_files if isinstance(data_files, list) else [data_files]
    patterns: dict[str, list[str]] = {}
    for entry in entries:
        split: Any = "train"
        paths = entry
        if isinstance(entry, Mapping):
            split, paths = entry.get("split"), entry.get("path")
        paths = paths if isinstance(paths, list) else [paths]
        is_name = isinstance(split, str) and SPLIT_NAME.fullmatch(split)
        if not is_name or not paths or not all(isinstance(path, str) for path in paths):
            raise ValueError(
                f"{place}: {SHORT.repr(entry)} is not a list of files: give paths, or entries "
                "with split and path"
            )
        if isinstance(entry, Mapping) and split in patterns:
            raise ValueError(
                f"{place}: the split {split} is listed twice: join its paths in one entry"
            )
        patterns.setdefault(split, []).extend(paths)
    if not patterns:
        raise ValueError(f"{place}: the list is empty: name the files, or leave it out")
    return patterns


def _require_inside(path: Any, place: str) -> None:
    is_path = isinstance(path, str)
    if not is_path or path.startswith("/") or ".." in path.split("/") or urlsplit(path).scheme:
        raise ValueError(
            f"{place} names {SHORT.repr(path)}, which is outside of the folder: copy the files "
            "into the folder, "
            "and give paths below it"
        )


def _with_info(config: Config, info: Mapping[str, Any]) -> Config:
    """Add the class names and the numbers of rows of an entry of `dataset_info`."""
    n_rows = {}
    for name, split in _by_key(info.get("splits")).items():
        count = split.get("num_examples")
        if isinstance(count, int):
            n_rows[name] = count
    return config._replace(class_names=_read_class_names(info.get("features")), n_rows=n_rows)


def _read_class_names(features: Any) -> dict[str, tuple[str, ...]]:
    """Return the class names of each column that has some."""
    names_of_column = {}
    for column, feature in _by_key(features).items():
        dtype = feature.get("dtype")
        label = dtype.get("class_label") if isinstance(dtype, Mapping) else feature
        names = class_names(label)
        if names:
            names_of_column[column] = names
    return names_of_column


def _by_key(entries: Any) -> dict[str, Mapping[str, Any]]:
    """Return the tables of a table by key, or of a list by what each calls its name."""
    if isinstance(entries, list):
        tables = [entry for entry in entries if isinstance(entry, Mapping)]
        return {str(table.get("name")): table for table in tables}
    if isinstance(entries, Mapping):
        return {str(key): value for key, value in entries.items() if isinstance(value, Mapping)}
    return {}
