"""Which files of a folder are the dataset, as `datasets` and the Hub would answer.

What the folder itself says comes first: `dataset_dict.json` and `state.json`, which `save_to_disk`
wrote, list the splits and the files of each; `configs` on top of README.md (or `.huggingface.yaml`)
name configs with patterns of files for each split. Otherwise names tell the split, by the first of
these rules that finds anything:

    data/SPLIT-00000-of-00002.parquet     files in data/
    train/x.parquet                       a folder whose name has the word
    x-train-0.parquet                     a file whose name has the word
    x.parquet                             all files are for training

Words may be in any case. Several copies of a split, which `datasets` would join, are an error, and
so is a missing part of `-of-00002`, which it would not notice. Hidden files and folders are never
read, nor is what other programs leave behind.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cnlw_tools.files.texts import read_json
from cnlw_tools.registry import pick
from cnlw_tools.sources.formats.dataset_card import Config, read_configs
from cnlw_tools.sources.formats.listing import enumerate_names, is_clutter, is_utf8
from cnlw_tools.sources.formats.split_names import SPLIT_OF_WORD
from cnlw_tools.sources.formats.table_files import ARROW_SUFFIXES, PARQUET_SUFFIXES

WORD_IN_NAME = re.compile(rf"(?<![^-._ 0-9])({'|'.join(SPLIT_OF_WORD)})(?![^-._ 0-9])")
PART_OF_SET = re.compile(r"(?P<stem>.*)-(?P<number>\d{5,})-of-(?P<total>\d{5,})(?P<rest>.*)")
PIECE = re.compile(r"\*+|\?|\[[^\]]+\]|[^*?\[]+|\[")  # of a pattern
SAVED_SPLITS = "dataset_dict.json"
SAVED_FILES = "state.json"
SUFFIXES = (*PARQUET_SUFFIXES, *ARROW_SUFFIXES)

PathsOfSplit = dict[str, list[str]]  # by the dataset's own name of the split; relative paths
PathTest = Callable[[str], bool]  # does a file of this path belong to the dataset?


class DataFiles(NamedTuple):
    """The files of a dataset."""

    files: Mapping[str, list[Path]]  # by the dataset's own name of the split
    config: Config  # what the card says about them
    left_out: Sequence[str] = ()  # relative paths of further data files, which no card spoke of


def find_data_files(folder: Path, config_name: str = "") -> DataFiles:
    """Return the files of each split of a dataset.

    Args:
        folder: of the dataset, or its only file
        config_name: which config, or which folder of one; needed only if there are several

    Raises:
        LookupError: there is no such config
        ValueError: it is not clear which files belong
        OSError: there are none, or some are missing
    """
    if folder.is_file():
        words = _words(folder.name.lower())
        return DataFiles({words[0] if words else "train": [folder]}, Config())
    paths = list_files(folder)
    config = _choose_config(folder, paths, config_name)
    if config.patterns:
        files = _match_patterns(folder, paths, config)
    else:
        prefix = f"{config.folder}/" if config.folder else ""
        paths = [path for path in paths if path.startswith(prefix)]
        _require_one_format(folder, paths)
        files = _read_saved(folder, paths) or _find_by_names(folder, paths, prefix)
    chosen_paths = [path for names in files.values() for path in names]
    _require_one_format(folder, chosen_paths)
    left_out = sorted(set(filter(_is_data_file, paths)).difference(chosen_paths))
    return DataFiles(_absolute(folder, files), config, [] if config.patterns else left_out)


def _absolute(folder: Path, files: PathsOfSplit) -> dict[str, list[Path]]:
    """Return the paths of each split; a name that is a word for a split is in lower case.

    Raises:
        ValueError: two names differ only in capital letters, or a path is not UTF-8
    """
    absolute = {}
    for split, paths in files.items():
        name = split.lower() if split.lower() in SPLIT_OF_WORD else split
        if name in absolute:
            raise ValueError(f"{folder}: two splits are called {name}: rename one")
        absolute[name] = [folder / path for path in paths]
        for path in absolute[name]:
            _require_readable(path)
    return absolute


def _require_readable(path: Path) -> None:
    if not all(map(is_utf8, path.parts)):
        raise ValueError(f"{str(path)!a}: this name is not UTF-8: rename it")


def list_files(folder: Path) -> list[str]:
    """Return the sorted relative paths of all files that are not hidden.

    Raises:
        OSError: a folder may not be read, or a link leads nowhere
        ValueError: a link to another folder hides data files
    """
    paths = []
    for parent, subfolders, names in os.walk(folder, onerror=_raise_error):
        subfolders[:] = sorted(name for name in subfolders if not _is_hidden(name))
        for name in subfolders:
            _reject_link(Path(parent, name))
        for name in names:
            if not _is_hidden(name):
                path = Path(parent, name)
                _reject_broken_link(path)
                paths.append(path.relative_to(folder).as_posix())
    return sorted(paths)


def _raise_error(error: OSError) -> None:
    """Raise an error that a walk through folders would pass over."""
    raise error


def _is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, or what a program leaves behind."""
    return name.startswith("__") or is_clutter(name)


def _reject_link(path: Path) -> None:
    """Raise if a folder is a link to data files: the walk does not follow it.

    A link to a folder that it lies in leads in a circle, and is passed over.
    """
    if not path.is_symlink() or path.parent.resolve().is_relative_to(path.resolve()):
        return
    if any(_is_data_file(name) for _, _, names in os.walk(path) for name in names):
        raise ValueError(
            f"{path}: links to folders are not followed, and this one leads to data files: "
            "put the folder itself there, or remove the link"
        )


def _reject_broken_link(path: Path) -> None:
    """Raise if a link leads nowhere: it may stand for a file or a folder of data."""
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(
            f"{path}: this is a broken link: complete your copy, or remove the link"
        )


def _is_data_file(path: str) -> bool:
    name = PurePosixPath(path).name
    is_cache = name.startswith("cache-") and name.endswith(".arrow")  # of `datasets`
    return name.lower().endswith(SUFFIXES) and not is_cache


def _choose_config(folder: Path, paths: Sequence[str], name: str) -> Config:
    """Return the config of this name, or the one that `datasets` would take without a name.

    Raises:
        LookupError: there is no config and no folder of this name
        ValueError: there are several, and no name is given
    """
    configs = read_configs(folder)
    if name:
        if name not in configs and any(path.startswith(f"{name}/") for path in paths):
            return Config(folder=name)
        default = configs.pop("", None)  # of a card that declares none
        if default is not None:
            folders = {path.partition("/")[0] for path in paths if "/" in path}
            configs = {key: Config(folder=key) for key in sorted(folders)} | {"default": default}
        return pick(configs, name, f"config or folder of {folder}")
    if len(configs) == 1:
        return next(iter(configs.values()))
    defaults = [key for key, config in configs.items() if config.is_default]
    if len(defaults) == 1:
        return configs[defaults[0]]
    if configs:
        raise ValueError(
            f"{folder}: it has the configs {', '.join(configs)}: choose one with "
            f"`cnlw import --config {next(iter(configs))}`"
        )
    return Config()


def _read_saved(folder: Path, paths: Sequence[str]) -> PathsOfSplit:
    """Return the files that `save_to_disk` lists; none where it wrote nothing.

    Raises:
        ValueError: two datasets were saved below the folder, or a list is damaged
        OSError: a file of a list is missing
    """
    if not any(path.lower().endswith(ARROW_SUFFIXES) for path in paths):
        return {}
    saved = [path for path in paths if PurePosixPath(path).name == SAVED_FILES]
    dictionaries = [path for path in paths if PurePosixPath(path).name == SAVED_SPLITS]
    if len(dictionaries) > 1:
        raise ValueError(
            f"{folder}: several datasets are saved here ({', '.join(dictionaries)}): "
            "give the folder of one"
        )
    if dictionaries:
        parent = PurePosixPath(dictionaries[0]).parent
        splits = _read_list(folder / dictionaries[0], "splits")
        return {split: _saved_files(folder, paths, parent / split) for split in splits}
    files: PathsOfSplit = {}
    for path in saved:
        parent = PurePosixPath(path).parent
        words = _words(parent.name.lower())
        if len(saved) > 1 and not words:
            raise ValueError(
                f"{folder / parent}: several datasets are saved here, and the name of this folder "
                "does not say which split it is: give the folder of one dataset"
            )
        split = words[0] if words else "train"
        files.setdefault(split, []).extend(_saved_files(folder, paths, parent))
    return files


def _saved_files(folder: Path, paths: Sequence[str], parent: PurePosixPath) -> list[str]:
    state = folder / parent / SAVED_FILES
    existing = set(paths)
    if not state.is_file():
        raise FileNotFoundError(f"{state}: the file is missing: save the dataset again")
    names = []
    for name in _read_list(state, "_data_files"):
        path = (parent / name).as_posix()
        if path not in existing:
            raise FileNotFoundError(
                f"{folder / path}: the file is missing, but {state} names it: complete your copy"
            )
        names.append(path)
    return names


def _read_list(path: Path, key: str) -> list[str]:
    """Return the names in a list of `save_to_disk`; a split without rows has no file."""
    remedy = "save the dataset again"
    content = read_json(path, remedy)
    values = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(values, list) or (key == "splits" and not values):
        raise ValueError(f"{path}: there is no list {key!r}: {remedy}, or remove this file")
    names = []
    for value in values:
        name = value.get("filename") if isinstance(value, Mapping) else value
        if not isinstance(name, str) or "/" in name or name.startswith("."):
            raise ValueError(f"{path}: {key!r} names {name!r}, which is not a file here: {remedy}")
        names.append(name)
    return names


def _match_patterns(folder: Path, paths: Sequence[str], config: Config) -> PathsOfSplit:
    """Return the files that the patterns of a config ask for.

    Raises:
        OSError: a pattern has no file, or a part of a set is missing
    """
    files: PathsOfSplit = {}
    for split, patterns in config.patterns.items():
        matches: dict[str, None] = {}
        for pattern in patterns:
            belongs = _pattern_test(config.folder, pattern)
            names = [path for path in paths if _is_data_file(path) and belongs(path)]
            if not names:
                raise FileNotFoundError(
                    f"{folder}: config {config.name!r} of its card asks for {pattern}, but there "
                    "is no Parquet or Arrow file of this name: complete your copy"
                )
            require_whole_sets(folder, names, belongs)
            repeats = [path for path in names if path in matches]
            if repeats:
                raise ValueError(
                    f"{folder}: config {config.name!r} of its card asks for {repeats[0]} twice "
                    f"for {split}: fix the patterns, so that each file belongs to a split once"
                )
            matches |= dict.fromkeys(names)
        files[split] = [*matches]
    return files


def _pattern_test(folder: str, pattern: str) -> PathTest:
    """Return the test whether a path matches a pattern; `**` stands for any number of folders."""
    parts = [part for part in f"{folder}/{pattern}".split("/") if part not in ("", ".")]
    expression = ""
    for part in parts[:-1]:
        expression += "(?:[^/]+/)*" if part == "**" else f"{_part_expression(part)}/"
    expression += ".*" if parts[-1] == "**" else _part_expression(parts[-1])
    matches = re.compile(expression, re.DOTALL).fullmatch
    return lambda path: matches(path) is not None


def _part_expression(part: str) -> str:
    """Return the regular expression of one part of a pattern, where `*` stops at a slash."""
    expression = ""
    for piece in PIECE.findall(part):
        if piece.startswith("*"):
            expression += "[^/]*"
        elif piece == "?":
            expression += "[^/]"
        elif len(piece) > 2 and piece.startswith("["):
            inner = re.sub(r"([\\\[&~|])", r"\\\1", piece[1:-1])
            expression += f"[^{inner[1:]}]" if inner.startswith(("!", "^")) else f"[{inner}]"
        else:
            expression += re.escape(piece)
    return expression


def _find_by_names(folder: Path, paths: Sequence[str], prefix: str) -> PathsOfSplit:
    """Return the files of each split, as their names tell it."""
    data_files = [path for path in paths if _is_data_file(path)]
    files: PathsOfSplit = {}
    for rule in (_split_of_set, _split_of_folders, _split_of_name):
        for path in data_files:
            word = rule(path.removeprefix(prefix))
            if word:
                files.setdefault(word, []).append(path)
        if files:
            break
    if not files and data_files:
        files = {"train": data_files}
    for names in files.values():
        require_whole_sets(folder, names, lambda _: True)
        _require_one_copy(folder, names)
    return files


def _split_of_set(path: str) -> str | None:
    """Return the split of data/SPLIT-00000-of-00001.parquet."""
    parent, _, name = path.rpartition("/")
    match = PART_OF_SET.fullmatch(name)
    return match["stem"] if match and parent == "data" else None


def _split_of_folders(path: str) -> str | None:
    """Return the word that the names of a file's folders have.

    Raises:
        ValueError: they have words for several splits
    """
    *folders, name = path.lower().split("/")
    words = [word for folder in reversed(folders) for word in _words(folder)]
    return _only_word(path, words, _words(name))


def _split_of_name(path: str) -> str | None:
    """Return the word that the name of a file has."""
    return _only_word(path, _words(PurePosixPath(path.lower()).name), [])


def _only_word(path: str, words: Sequence[str], further_words: Sequence[str]) -> str | None:
    splits = {SPLIT_OF_WORD[word] for word in (*words, *further_words)}
    if words and len(splits) > 1:
        raise ValueError(
            f"{path}: its name fits several splits ({', '.join((*words, *further_words))}): "
            "rename it, so that it fits one"
        )
    return words[0] if words else None


def _words(name: str) -> list[str]:
    """Return the words for splits in a name in lower case, between punctuation and digits."""
    return WORD_IN_NAME.findall(name)


def require_whole_sets(folder: Path, paths: Iterable[str], belongs: PathTest) -> None:
    """Check that no part of a set `-00000-of-00003` is missing or here twice.

    Args:
        folder: of the dataset
        paths: of the files that are here
        belongs: whether a file of a path would belong, too

    Raises:
        FileNotFoundError: parts are missing
        ValueError: a part is here twice
    """
    for (parent, stem, total), parts in _sets(paths).items():
        ending = PurePosixPath(parts[0][1]).suffix
        numbers = {number for number, _ in parts}
        if len(numbers) < len(parts):
            raise ValueError(
                f"{folder / parent}: a part of {stem}-...-of-{total} occurs twice: "
                f"{enumerate_names([path for _, path in parts])}: "
                "remove those that do not belong to the dataset"
            )
        absent = []
        for number in range(min(int(total), 10 * len(parts) + 1000)):
            path = str(PurePosixPath(parent, f"{stem}-{number:0{len(total)}d}-of-{total}{ending}"))
            if number not in numbers and belongs(path):
                absent.append(PurePosixPath(path).name)
        if absent:
            raise FileNotFoundError(
                f"{folder / parent}: these parts are missing: {enumerate_names(absent)}: "
                "complete your copy"
            )


def _sets(paths: Iterable[str]) -> dict[tuple[str, str, str], list[tuple[int, str]]]:
    """Return number and path of each part, by folder, stem and size of its set."""
    sets: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        match = PART_OF_SET.fullmatch(name)
        if match:
            key = (parent, match["stem"], match["total"])
            sets.setdefault(key, []).append((int(match["number"]), path))
    return sets


def _require_one_copy(folder: Path, paths: Sequence[str]) -> None:
    """Check that a split does not lie here several times.

    Raises:
        ValueError: it has several sets, or files of one name in several folders
    """
    sets = [f"{PurePosixPath(parent, stem)}-...-of-{n}" for parent, stem, n in _sets(paths)]
    by_name: dict[str, str] = {}
    repeats = []
    for path in paths:
        name = PurePosixPath(path).name
        if name in by_name:
            repeats += [by_name[name], path]
        by_name[name] = path
    copies = sets if len(sets) > 1 else repeats
    if copies:
        raise ValueError(
            f"{folder}: a split occurs several times: {enumerate_names(copies)}: "
            "choose a folder with `cnlw import --config FOLDER`, or remove what does not belong"
        )


def _require_one_format(folder: Path, paths: Sequence[str]) -> None:
    """Check that there are data files, and that they are all Parquet or all Arrow."""
    data_files = [path for path in paths if _is_data_file(path)]
    if not data_files:
        raise FileNotFoundError(
            f"{folder}: there is no Parquet or Arrow file here; the source hf needs Parquet files, "
            "or a folder that save_to_disk wrote"
        )
    is_parquet = [path.lower().endswith(PARQUET_SUFFIXES) for path in data_files]
    if any(is_parquet) and not all(is_parquet):
        raise ValueError(
            f"{folder}: it has both Parquet and Arrow files, "
            f"{data_files[is_parquet.index(True)]} and "
            f"{data_files[is_parquet.index(False)]}: remove those that do not belong to the dataset"
        )
