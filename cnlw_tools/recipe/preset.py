"""A preset is a TOML file in pipelines/train/ that says how to train: what a paper prescribes around a method.

The default preset of a dataset bears its name. Options of methods stand in `[methods.NAME]`, those of one level
of noise in `[methods.NAME.level.40]`: the level nearest to the asked one counts, the lower of two.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cnlw_tools.registry import suggest

FOLDER = Path("pipelines") / "train"


@dataclass(frozen=True, slots=True)
class Preset:
    """How to train; rates, decay and such as the papers count them."""

    net: str
    epochs: int
    quick: int = 1  # epochs of --quick
    batch_size: int = 128
    optimiser: str = "sgd"  # or adam
    lr: float = 0.1  # the highest
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    decays: str = "all"  # parameters, or kernels alone
    schedule: str = "cosine"  # `trainer.schedule`
    warmup: float = 0  # epochs
    ema: float = 0  # decay of the average of weights that is evaluated; 0: none
    size: int | None = None  # pixels; none: as stored
    resize: str = "squash"
    views: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"standard": ("crop", "flip")}
    )
    methods: Mapping[str, Any] = field(default_factory=dict)  # options by method


def _is(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _number(low: float, high: float = float("inf")) -> Callable[[Any], bool]:
    return lambda v: _is(v, int, float) and low <= v <= high


def _views(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and "plain" not in value  # methods rely on it: it changes nothing
        and all(
            isinstance(ops, list | tuple) and all(isinstance(op, str) for op in ops)
            for ops in value.values()
        )
    )


def _tables(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(inner, Mapping) for inner in value.values()
    )


def _methods(value: Any) -> bool:
    if not _tables(value):
        return False
    levels = [said.get("level", {}) for said in value.values()]
    return all(_tables(by) and all(str(level).isdecimal() for level in by) for by in levels)


CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "net": (lambda v: _is(v, str), "the name of a network"),
    "epochs": (lambda v: _is(v, int) and v > 0, "a whole number from 1 on"),
    "quick": (lambda v: _is(v, int) and v > 0, "a whole number from 1 on"),
    "batch_size": (lambda v: _is(v, int) and v > 0, "a whole number from 1 on"),
    "optimiser": (lambda v: v in ("sgd", "adam"), "sgd or adam"),
    "lr": (lambda v: _is(v, int, float) and 0 < v < 1e6, "a positive number"),
    "momentum": (_number(0, 1), "from 0 to 1"),
    "nesterov": (lambda v: _is(v, bool), "true or false"),
    "weight_decay": (_number(0), "a number from 0 on"),
    "decays": (lambda v: v in ("all", "kernels"), "all or kernels"),
    "schedule": (lambda v: _is(v, str), "a schedule"),
    "warmup": (_number(0), "epochs, from 0 on"),
    "ema": (_number(0, 1), "from 0 to 1"),
    "size": (lambda v: v is None or (_is(v, int) and 1 <= v <= 2048), "pixels, from 1 to 2048"),
    "resize": (lambda v: v in ("squash", "crop", "pad"), "squash, crop or pad"),
    "views": (_views, "a table of lists of augmentations, none called plain"),
    "methods": (
        _methods,
        "a table of options by method: [methods.NAME], and [methods.NAME.level.40] for a level",
    ),
}


def names(root: Path) -> list[str]:
    """Return the presets that there are."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.toml"))


def load(name: str, root: Path) -> Preset:
    """Read a preset by its name, or by the path of its file.

    Raises:
        FileNotFoundError: there is none; the message says which there are
        ValueError: not TOML, an unknown or missing key, or a value out of range
    """
    path = Path(name) if name.endswith(".toml") else root / FOLDER / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        known = names(root)
        there = f"{path}: there is no such preset.{suggest(name, known)}"
        raise FileNotFoundError(
            f"{there} There are: {', '.join(known)}; or give a path that ends in .toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from error
    return make(raw, str(path))


def make(raw: Mapping[str, Any], where: str) -> Preset:
    """Check every value and return the preset; ``where`` is what the errors call it.

    Raises:
        ValueError: an unknown or missing key, or a value out of range
    """
    known = [f.name for f in fields(Preset)]
    for key in raw:
        if key not in known:
            raise ValueError(
                f"{where}: unknown key {key!r}.{suggest(key, known)} There are: {', '.join(known)}"
            )
    for key in ("net", "epochs"):
        if key not in raw:
            raise ValueError(f"{where}: {key!r} is missing: add {key} = ...")
    for key, value in raw.items():
        fits, wanted = CHECKS[key]
        if not fits(value):
            raise ValueError(f"{where}: {key} = {value!r}: it must be {wanted}")
    values = dict(raw)
    if "views" in values:
        values["views"] = {name: tuple(ops) for name, ops in values["views"].items()}
    return Preset(**values)


def said(preset: Preset) -> dict[str, Any]:
    """Return what a run writes down of its preset; network and options of the method stand beside it."""
    return {k: v for k, v in asdict(preset).items() if k not in ("net", "methods", "quick")}


def changed(preset: Preset, changes: Mapping[str, Any], where: str = "the options given") -> Preset:
    """Return a preset with other values, checked; none changes nothing.

    Raises:
        ValueError: an unknown key, or a value out of range
    """
    values = {k: v for k, v in changes.items() if v is not None}
    make({"net": preset.net, "epochs": preset.epochs, **values}, where)
    return replace(preset, **values)


def options(preset: Preset, method: str, level: int | None) -> dict[str, Any]:
    """Return a preset's options of a method: the general ones, then those of the nearest level."""
    found = dict(preset.methods.get(method, {}))
    by_level = {int(k): v for k, v in found.pop("level", {}).items()}
    if by_level and level is not None:
        found |= by_level[min(by_level, key=lambda k: (abs(k - level), k))]
    return found
