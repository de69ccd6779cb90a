"""A study is a TOML file in pipelines/studies/: which runs to train, and what to compare them with.

`[scale.NAME]` holds keys that override those above it: what fits a laptop, what the paper did.
expand.py turns a study into runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cnlw_tools.files.roots import find_toml_files, suggest_root
from cnlw_tools.recipe.keys import declared_keys, key, refuse_old_names
from cnlw_tools.recipe.strict import Check, matching, one_of, read_dataclass
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.registry import suggest
from cnlw_tools.study.figures import FIGURES

FOLDER = Path("pipelines") / "studies"
METRICS = ("last", "best", "mean10")  # the results of a run
Table = Mapping[str, Any]
Grid = Mapping[str, tuple[Any, ...]]


IS_GRID = Check(lambda grid: all(grid.values()), "a table of lists, none of them empty")
PRESET_NAME = Check(lambda _: True, "the name of a preset, or a path that ends in .toml")
FOLDER_NAME = matching(r"[\w.-]*", "the name of a folder")


@dataclass(frozen=True, slots=True)
class Published:
    """A table of published.json, and which of our runs stand beside its cells."""

    table: str = key(help="Name of a table in published.json.")
    columns: Mapping[str, str | tuple[str, ...]] = key(
        help="For each column of the table, our config, or several configs to average."
    )
    rows: Mapping[str, str] = key(
        help="For each row of the table, our method; empty if we do not run it.",
    )
    match: Table = key(
        default_factory=dict,
        help='Values that rows of the table must have, such as `dataset = "CIFAR10"`.',
        old_name="where",
    )
    metric: str = key("last", help="Result of our runs to compare.", check=one_of(*METRICS))
    split: str = key(
        "", help="Name of another validation split, such as ilsvrc12.", default_text="validation"
    )
    factor: float = key(
        1,
        old_name="times",
        help="Factor by which published numbers are multiplied: 100 if the paper gives shares.",
        check=Check(lambda factor: factor > 0, "a positive number"),
    )
    is_error: bool = key(
        False,
        help="Whether the paper gives error rates. They are compared with 100 - our accuracy.",
        old_name="error",
    )
    dataset: str = key("", help="Dataset of our runs.", default_text="the study's")


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """A method of a study: `[[methods]]`."""

    name: str = key(help="Name of the method; see `cnlw list methods`.")
    label: str = key("", help="Name of the method in the report.", default_text="its name")
    options: Table = key(default_factory=dict, help="Options of the method.")
    grid: Grid = key(
        default_factory=dict,
        help="Lists of values for options of the method; every combination is run.",
        check=IS_GRID,
    )
    configs: tuple[str, ...] = key(
        (),
        help="Configs on which to run the method; * stands for any characters.",
        default_text="all configs",
        old_name="on",
    )
    preset: str = key(
        "",
        help="Preset that says how to train: its name, or a .toml file.",
        check=PRESET_NAME,
        default_text="that of the config",
    )
    nets: tuple[str, ...] = key((), help="Networks to train.", default_text="those of the study")
    changes: Table = key(default_factory=dict, help="Keys of the preset, with new values.")


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """What a config of a study, `[[configs]]`, says beside the keys of its recipe."""

    grid: Grid = key(
        default_factory=dict,
        help="Lists of values for options of the noise; each combination is a config.",
        check=IS_GRID,
    )
    preset: str = key(
        "",
        help="Preset that says how to train: its name, or a .toml file.",
        check=PRESET_NAME,
        default_text="that of the study",
    )
    build: str = key(
        "", help="Folder of the build below builds/.", check=FOLDER_NAME, default_text="the study's"
    )
    changes: Table = key(default_factory=dict, help="Keys of the preset, with new values.")


@dataclass(frozen=True, slots=True)
class Study:
    """What to run."""

    dataset: str = key(help="Name of a dataset; see `cnlw list datasets`.")
    configs: tuple[Table, ...] = key(
        help="Tables `[[configs]]`: keys of a recipe and of a config (below).",
        check=Check(lambda configs: len(configs) > 0, "one or more tables: [[configs]]"),
    )
    methods: tuple[MethodEntry, ...] = key(
        help="Tables `[[methods]]` (below); with `methods = []`, the study only builds.",
    )
    nets: tuple[str, ...] = key((), help="Networks to train.", default_text="the preset's")
    seeds: tuple[int, ...] = key(
        (0,),
        help="Seeds of the runs.",
        check=Check(
            lambda seeds: len(seeds) > 0 and min(seeds) >= 0,
            "a list of whole numbers that are 0 or more",
        ),
    )
    preset: str = key(
        "",
        help="Preset that says how to train: its name, or a .toml file.",
        check=PRESET_NAME,
        default_text="the dataset's",
    )
    build: str = key(
        "",
        help="Folder of the dataset's build below builds/.",
        check=FOLDER_NAME,
        default_text="the dataset's name",
    )
    changes: Table = key(default_factory=dict, help="Keys of the preset, with new values.")
    grid: Grid = key(
        default_factory=dict,
        help="Lists of values for keys of the preset; every combination is run.",
        check=IS_GRID,
    )
    x_axis: str = key(
        "level",
        old_name="over",
        help="What the x axis shows: the level, an option or a key of the preset.",
    )
    y_axis: str = key("", help="What the y axis of the figure `grid` shows.", old_name="across")
    group_by: tuple[str, ...] = key(
        (),
        old_name="apart",
        help="Options whose values count as different methods, not as trials of one method.",
    )
    figures: tuple[str, ...] = key(
        ("over", "belts", "drop", "curves"), help="Figures of the report."
    )
    net_values: Mapping[str, float] = key(
        default_factory=dict,
        old_name="x",
        help="A number for each network, for the figure `scatter`.",
    )
    pretrained: bool = key(False, help="Begin with weights learned on ImageNet.")
    select_by: str = key(
        "last",
        old_name="rule",
        help="Result by which the best trial is selected.",
        check=one_of(*METRICS),
    )
    notes: tuple[str, ...] = key((), help="Footnotes of the report.")
    published: tuple[Published, ...] = key(
        (), help="Tables `[[published]]` (below) to compare with."
    )

    def build_folder(self, dataset: str) -> str:
        """Return the folder of a dataset's build below builds/."""
        return self.build if self.build and dataset == self.dataset else dataset


def read_study(path: Path, scale: str = "") -> Study:
    """Read a study, at one of its scales.

    Raises:
        ValueError: not TOML, an unknown or missing key, a value out of range, no such scale
        FileNotFoundError: there is no such file
    """
    return parse_study(read_toml(path, "study"), str(path), scale)


def study_scales(path: Path) -> list[str]:
    """Return the names of a study's scales."""
    return list(read_toml(path, "study").get("scale", {}))


def parse_study(raw: Table, source: str, scale: str = "") -> Study:
    """Check every value and return the study; ``source`` is what the errors call it.

    Raises:
        ValueError: an unknown or missing key, a value out of range, no such scale
    """
    keys = _at_scale(raw, source, scale)
    refuse_old_names(Study, keys, source)
    _refuse_old_names_inside(MethodEntry, keys.get("methods"), f"{source}: [[methods]]")
    _refuse_old_names_inside(Published, keys.get("published"), f"{source}: [[published]]")
    study = read_dataclass(Study, keys, source)
    for figure in study.figures:
        if figure not in FIGURES:
            raise ValueError(
                f"{source}: unknown figure {figure!r}.{suggest(figure, FIGURES)} "
                f"The choices are: {', '.join(FIGURES)}"
            )
        required_key = FIGURES[figure].required_key
        if required_key and not getattr(study, required_key):
            raise ValueError(
                f"{source}: the figure {figure!r} needs the key {required_key!r}: add it"
            )
    return study


def split_config(config: Table, source: str) -> tuple[ConfigEntry, dict[str, Any]]:
    """Split a config of a study into what it says beside its recipe, and keys of the recipe.

    Raises:
        ValueError: a value out of range
    """
    entry_keys: dict[str, Any] = {}
    recipe_keys: dict[str, Any] = {}
    for name, value in config.items():
        keys = entry_keys if name in declared_keys(ConfigEntry) else recipe_keys
        keys[name] = value
    return read_dataclass(ConfigEntry, entry_keys, source), recipe_keys


def study_names(root: Path) -> list[str]:
    """Return the names of the studies of a root, and of the package behind it."""
    return list(find_toml_files(root, FOLDER))


def find_study(name: str, root: Path) -> Path:
    """Return the file of a study, by its path or its name.

    Raises:
        LookupError: there is no such study; the message says which there are
    """
    if Path(name).is_file():
        return Path(name)
    paths = find_toml_files(root, FOLDER)
    if name not in paths:
        other_root = suggest_root(root, FOLDER / f"{name}.toml")
        raise LookupError(
            f"unknown study {name!r}.{suggest(name, paths)}{other_root} "
            f"The choices are: {', '.join(paths)}"
        )
    return paths[name]


def _refuse_old_names_inside(cls: type, entries: Any, source: str) -> None:
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping):
            refuse_old_names(cls, entry, source)


def _at_scale(raw: Table, source: str, scale: str) -> dict[str, Any]:
    """Return the keys of a study, with those of a scale in place of those above it."""
    scales = raw.get("scale", {})
    is_table = isinstance(scales, Mapping)
    if not is_table or not all(isinstance(keys, Mapping) for keys in scales.values()):
        raise ValueError(f"{source}: scale = {scales!r}: it must be tables: [scale.small]")
    common = {name: value for name, value in raw.items() if name != "scale"}
    if not scale and not scales:
        return common
    if scale not in scales:
        _reject_scale(source, scale, list(scales))
    return {**common, **scales[scale]}


def _reject_scale(source: str, scale: str, scales: list[str]) -> NoReturn:
    if not scales:
        raise ValueError(
            f"{source}: there is no scale {scale!r}: the study has none, so leave it out"
        )
    names = ", ".join(scales)
    if not scale:
        raise ValueError(f"{source}: no scale is named: give one with --scale: {names}")
    raise ValueError(
        f"{source}: there is no scale {scale!r}.{suggest(scale, scales)} The choices are: {names}"
    )
