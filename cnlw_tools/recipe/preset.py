"""A preset is a TOML file in pipelines/train/ that says how to train: what a paper prescribes.

The default preset of a dataset has the name of the dataset; of one without such a preset, it is
`any`. Options of methods stand in
`[methods.NAME]`, those for one level of noise in `[methods.NAME.level.40]`: the entry nearest to
the level that is trained on counts, the lower of two that are equally near.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cnlw_tools.files.roots import find_toml_file, find_toml_files, suggest_root
from cnlw_tools.files.texts import parse_toml
from cnlw_tools.recipe.keys import key
from cnlw_tools.recipe.strict import Check, between, one_of, read_dataclass
from cnlw_tools.recipe.toml import read_toml_text
from cnlw_tools.registry import suggest

FOLDER = Path("pipelines") / "train"
ANY = "any"  # the preset of datasets that have none of their own
ADAPTABLE = ("size", "batch_size", "lr", "epochs")  # in the order in which they are chosen


def _is_table_of_tables(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(v, Mapping) for v in value.values())


def _are_method_options(methods: Mapping[str, Any]) -> bool:
    if not _is_table_of_tables(methods):
        return False
    for options in methods.values():
        by_level = options.get("level", {})
        if not _is_table_of_tables(by_level) or not all(level.isdecimal() for level in by_level):
            return False
    return True


PIXEL_SCALES = ("dataset", "image", "range")
COUNT = between(1, expected="a whole number of at least 1")
SHARE = between(0, 1, "a number from 0 to 1")
NOT_NEGATIVE = between(0, expected="a number that is 0 or more")


@dataclass(frozen=True, slots=True)
class Preset:
    """How to train."""

    net: str = key(
        help="Network to train; see `cnlw list nets`.",
        option="--net",
        metavar="NAME",
    )
    epochs: int = key(
        help="Number of passes over the training set.",
        check=COUNT,
        option="--epochs",
        metavar="N",
    )
    quick: int = key(
        1,
        help="Epochs with --quick; with 1, a method with several stages runs only the first.",
        check=COUNT,
    )
    batch_size: int = key(
        128,
        help="Number of examples in one step, over all processes.",
        check=COUNT,
        option="--batch-size",
        metavar="N",
    )
    optimiser: str = key("sgd", help="Name of the optimiser.", check=one_of("sgd", "adam"))
    lr: float = key(
        0.1,
        help="Highest learning rate of the schedule.",
        check=Check(lambda rate: 0 < rate < 1e6, "a positive number"),
        option="--lr",
        metavar="RATE",
    )
    momentum: float = key(0.9, help="Momentum of SGD.", check=SHARE)
    nesterov: bool = key(False, help="Use Nesterov momentum.")
    weight_decay: float = key(5e-4, help="Weight decay (L2).", check=NOT_NEGATIVE)
    decays: str = key(
        "all",
        help="Parameters to decay: all, or only the kernels.",
        check=one_of("all", "kernels"),
    )
    schedule: str = key("cosine", help="Schedule of the learning rate (see below).")
    warmup: float = key(
        0,
        help="Epochs in which the learning rate rises from 0.",
        check=between(0, expected="a number of epochs, 0 or more"),
    )
    ema: float = key(
        0,
        help="Decay of a moving average of the weights, used for evaluation; 0: no average.",
        check=SHARE,
    )
    size: int | None = key(
        None,
        help="Width and height of the images in pixels.",
        check=between(1, 2048, "pixels, from 1 to 2048"),
        option="--size",
        metavar="N",
        default_text="as stored",
    )
    resize: str = key(
        "squash",
        help="Make images square: distort (squash), crop or pad them.",
        check=one_of("squash", "crop", "pad"),
    )
    pixel_scale: str = key(
        "dataset",
        help="Scale pixels over the dataset, over each image, or to a range (see below).",
        check=one_of(*PIXEL_SCALES),
    )
    views: Mapping[str, tuple[str, ...]] = key(
        default_factory=lambda: {"standard": ("crop", "flip")},
        help="Augmentations of each view of an image. The view `plain` has none.",
        check=Check(
            lambda views: "plain" not in views,
            "a table of lists of augmentations, none called plain",
        ),
    )
    adapt: tuple[str, ...] = key(
        (),
        help="Keys whose values are adapted to the dataset (see cnlw_tools/recipe/adapt.py).",
        check=Check(
            lambda names: names == tuple(name for name in ADAPTABLE if name in names),
            f"a list of some of {', '.join(ADAPTABLE)}, in this order",
        ),
        default_text="none",
    )
    methods: Mapping[str, Any] = key(
        default_factory=dict,
        help="Options of methods: `[methods.NAME]`, `[methods.NAME.level.40]`.",
        check=Check(
            _are_method_options,
            "a table of options by method: [methods.NAME], and [methods.NAME.level.40] for a level",
        ),
    )


def preset_names(root: Path) -> list[str]:
    """Return the names of the presets of a root, and of the package behind it."""
    return list(find_toml_files(root, FOLDER))


def read_preset(name: str, root: Path) -> Preset:
    """Read a preset by its name, or by the path of its file.

    Raises:
        FileNotFoundError: there is no such preset; the message says which there are
        ValueError: not TOML, an unknown or missing key, or a value out of range
    """
    path = Path(name) if name.endswith(".toml") else find_toml_file(root, FOLDER, name)
    if path is None or not path.exists():
        names = preset_names(root)
        other_root = suggest_root(root, FOLDER / f"{name}.toml")
        raise FileNotFoundError(
            f"{name}: there is no such preset.{suggest(name, names)}{other_root} The choices are: "
            f"{', '.join(names)}; or give a path that ends in .toml"
        )
    return _parse_text(read_toml_text(path, "preset"), str(path))


@lru_cache
def _parse_text(text: str, source: str) -> Preset:
    """Parse the text of a preset; the runs of a study name the same few files over and over."""
    return parse_preset(parse_toml(text, source), source)


def preset_name_of(dataset: str, root: Path) -> str:
    """Return the name of the preset of a dataset: its own, or the one that adapts to any images."""
    return dataset if find_toml_file(root, FOLDER, dataset) else ANY


def parse_preset(raw: Mapping[str, Any], source: str) -> Preset:
    """Check every value and return the preset; ``source`` is what the errors call it.

    Raises:
        ValueError: an unknown or missing key, or a value out of range
    """
    return read_dataclass(Preset, raw, source)


def recorded_preset(preset: Preset) -> dict[str, Any]:
    """Return what a run records of its preset; it records network and method options beside it."""
    values = asdict(preset)
    for name in ("net", "methods", "quick", "adapt"):
        del values[name]
    return values


def change_preset(
    preset: Preset, changes: Mapping[str, Any], source: str = "the options given"
) -> Preset:
    """Return a preset with other values, checked; a change to None is ignored.

    Raises:
        ValueError: an unknown key, or a value out of range
    """
    values = {name: value for name, value in changes.items() if value is not None}
    checked = parse_preset({"net": preset.net, "epochs": preset.epochs, **values}, source)
    return replace(preset, **{name: getattr(checked, name) for name in values})


def method_options(preset: Preset, method: str, level: int | None) -> dict[str, Any]:
    """Return a preset's options of a method: the general ones, then those of the nearest level."""
    options = dict(preset.methods.get(method, {}))
    by_level = {int(key): value for key, value in options.pop("level", {}).items()}
    if by_level and level is not None:
        nearest = min(by_level, key=lambda key: (abs(key - level), key))
        options |= by_level[nearest]
    return options
