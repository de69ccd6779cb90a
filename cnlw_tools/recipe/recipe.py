"""A recipe is a TOML file that says what to build. It holds choices, never logic."""

import json
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np

from cnlw_tools.registry import suggest

BENCHMARK = (0, 5, 10, 15, 20, 30, 40, 50, 60, 80)  # levels of Jiang et al. (2020), percent
VERDICTS = ("majority", "dawid_skene")
RESIZE = ("squash", "crop", "pad", "short")
HIGHEST = 95  # percent


@dataclass(frozen=True, slots=True)
class Recipe:
    """One benchmark: a dataset, a kind of noise, its levels, and how images are stored."""

    dataset: str
    noise: str
    splits: str = "drawn"  # or official: the published lists of a release, read and not drawn
    needs: str = ""  # what --data-dir must hold; empty where the images come with the package
    levels: tuple[int, ...] = BENCHMARK  # percent
    seed: int = 0
    nested: bool = True  # false: every level draws anew, as the papers did
    per_class: int = 0  # images of each class that are looked at, the others are not there; 0: all. No config names it
    probe: int = 0  # images of each class that leave train for a trusted split
    verified: int = 0  # images of each class that leave train for a split of noisy labels known to be right or wrong
    clean: int = (
        0  # images that train is thinned to, classes in proportion, before the long tail; 0: all
    )
    longtail: float = 1  # times that the first class is larger than the last, after thinning
    side: str = ""  # file of per-image data that some noise asks for: given labels, features
    verdict: str = "majority"  # how votes become one: dataset/verdicts.py
    donors: tuple[str, ...] = ()  # datasets whose images some noise brings in
    min_votes: int = 1  # yes and no votes that a verdict takes
    search: tuple[
        str, ...
    ] = ()  # only candidates that were found so, by their column ``search``; none: all
    size: int | None = None  # pixels of the stored side; none: as the image came
    resize: str = "squash"
    quality: int = 95  # of JPEG, where an image has to be encoded again
    shard_rows: int = 1000  # images of one file; fewer where they are large
    layout: str = "bands"  # or flat: each config whole, for streaming
    licence: str = "unknown"  # of the images, an identifier for the card
    citation: str = ""  # BibTeX of the images
    options: Mapping[str, Any] = field(default_factory=dict)  # of the noise model


# keys that decide a plan, and so stand in the card of a build
RECORDED = (
    "dataset",
    "noise",
    "splits",
    "seed",
    "nested",
    "per_class",
    "probe",
    "verified",
    "clean",
    "longtail",
    "donors",
    "verdict",
    "min_votes",
    "search",
    "options",
)
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "dataset": (lambda v: _is(v, str) and NAME.fullmatch(v) is not None, "a lower-case name"),
    "noise": (lambda v: _is(v, str), "the name of a noise model"),
    "splits": (lambda v: v in ("drawn", "official"), "drawn or official"),
    "needs": (lambda v: _is(v, str), "a sentence"),
    "levels": (
        lambda v: (
            _is(v, tuple) and len(v) > 0 and all(_is(p, int) and 0 <= p <= HIGHEST for p in v)
        ),
        f"whole percents from 0 to {HIGHEST}",
    ),
    "seed": (lambda v: _is(v, int) and 0 <= v < 1 << 63, "a whole number from 0 on"),
    "nested": (lambda v: _is(v, bool), "true or false"),
    "per_class": (
        lambda v: _is(v, int) and v >= 0,
        "images of each class, a whole number from 0 on",
    ),
    "probe": (lambda v: _is(v, int) and v >= 0, "images of each class, a whole number from 0 on"),
    "verified": (
        lambda v: _is(v, int) and v >= 0,
        "images of each class, a whole number from 0 on",
    ),
    "clean": (lambda v: _is(v, int) and v >= 0, "images, a whole number from 0 on"),
    "longtail": (lambda v: _is(v, int | float) and 1 <= v < 1e9, "a ratio from 1 on"),
    "side": (lambda v: _is(v, str), "the path of a file"),
    "verdict": (lambda v: v in VERDICTS, f"one of {', '.join(VERDICTS)}"),
    "donors": (
        lambda v: (
            _is(v, tuple)
            and all(_is(d, str) and NAME.fullmatch(d) for d in v)
            and len({*v}) == len(v)
        ),
        "different lower-case names",
    ),
    "min_votes": (lambda v: _is(v, int) and v > 0, "a whole number from 1 on"),
    "search": (lambda v: _is(v, tuple) and all(_is(s, str) and s for s in v), "a list of words"),
    "size": (lambda v: v is None or (_is(v, int) and 1 <= v <= 8192), "pixels, from 1 to 8192"),
    "resize": (lambda v: v in RESIZE, f"one of {', '.join(RESIZE)}"),
    "quality": (lambda v: _is(v, int) and 1 <= v <= 100, "from 1 to 100"),
    "shard_rows": (lambda v: _is(v, int) and 1 <= v <= 1_000_000, "from 1 to 1000000"),
    "layout": (lambda v: v in ("bands", "flat"), "bands or flat"),
    "licence": (lambda v: _is(v, str), "an identifier"),
    "citation": (lambda v: _is(v, str), "BibTeX"),
    "options": (lambda v: isinstance(v, Mapping), "a table of options"),
}


def load(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ValueError: not TOML, an unknown or missing key, or a value out of range
        FileNotFoundError: there is no such file
    """
    return make(read(path), str(path))


def read(path: Path) -> dict[str, Any]:
    """Return what a recipe's file says, not yet checked.

    Raises:
        ValueError: not TOML
        FileNotFoundError: there is no such file
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: there is no such recipe; `cnlw list recipes` shows which there are"
        ) from None
    except IsADirectoryError:
        raise IsADirectoryError(f"{path}: a folder, not a recipe: name the .toml file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from error


def make(raw: Mapping[str, Any], where: str) -> Recipe:
    """Check every value and return the recipe; ``where`` is what the errors call it.

    Raises:
        ValueError: an unknown or missing key, or a value out of range
    """
    known = [f.name for f in fields(Recipe)]
    for key in raw:
        if key not in known:
            raise ValueError(
                f"{where}: unknown key {key!r}.{suggest(key, known)} There are: {', '.join(known)}"
            )
    for key in ("dataset", "noise"):
        if key not in raw:
            raise ValueError(f'{where}: {key!r} is missing: add {key} = "..."')
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    for key, value in values.items():
        fits, wanted = CHECKS[key]
        if not fits(value):
            raise ValueError(f"{where}: {key} = {raw[key]!r}: it must be {wanted}")
    if "options" in values:
        values["options"] = {
            name: _option(value, f"{where}: option {name}")
            for name, value in raw["options"].items()
        }
    return Recipe(**values)


def recorded_choices(recipe: Recipe) -> dict[str, Any]:
    """Return the choices of a recipe that decide a plan: what the card of a build says about it."""
    return {key: getattr(recipe, key) for key in RECORDED}


def config_name(
    recipe: Recipe,
    level: int | None,
    defaults: Mapping[str, Any],
    always: Collection[str] = frozenset(),
) -> str:
    """Name one level: ``red_40``; then the options that differ from the default, donors, such choices, and the seed.

    An option shows as its value (a word), its initial and value (a number), or its last word (true); one whose default
    is a share, from 0 to 1, in percent; a matrix as six digits of its digest. ``always``: options that show even so.
    """
    chosen = {k: recipe.options.get(k, default) for k, default in sorted(defaults.items())}
    shown = {k: v for k, v in chosen.items() if v != defaults[k] or k in always}
    parts = [recipe.noise, *([] if level is None else [f"{level:02d}"])]
    parts += [_short(k, v, defaults[k]) for k, v in shown.items()]
    parts += recipe.donors
    parts += [f"clean{recipe.clean}"] if recipe.clean else []
    parts += [f"longtail{recipe.longtail:g}"] if recipe.longtail != 1 else []
    parts += [f"probe{recipe.probe}"] if recipe.probe else []
    parts += [f"verified{recipe.verified}"] if recipe.verified else []
    parts += [] if recipe.verdict == "majority" else [_short("verdict", recipe.verdict, "")]
    parts += [_short("search", " ".join(sorted({*recipe.search})), "")] if recipe.search else []
    parts += [] if recipe.nested else ["independent"]
    parts += [f"s{recipe.seed}"] if recipe.seed else []
    return "_".join(parts)


def split_name(config: str) -> tuple[str, int | None]:
    """Part a config's name into the rest of it and its level: ``blue_40_probe10`` is ``blue_probe10`` at 40."""
    found = re.fullmatch(r"(.+?)_(\d\d)(_.*)?", config)
    return (found[1] + (found[3] or ""), int(found[2])) if found else (config, None)


def dump(said: Mapping[str, Any]) -> str:
    """Return the recipe as TOML, a key a line; a table within comes last."""
    plain = [
        f"{k} = {json.dumps(v)}"
        for k, v in said.items()
        if v is not None and not isinstance(v, Mapping)
    ]
    tables = [f"\n[{k}]\n{dump(v)}" for k, v in said.items() if isinstance(v, Mapping) and v]
    return "\n".join([*plain, *tables])


def option(text: str) -> tuple[str, Any]:
    """Read ``name=value`` as TOML would, a bare word being a string.

    Raises:
        ValueError: there is no equals sign
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"option {text!r}: write it as name=value")
    try:
        return name.strip(), tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value


def _option(value: Any, where: str) -> Any:
    """Return an option's value; a list of rows, or a .csv or .npy file of them, as a list of lists of floats.

    Raises:
        ValueError: rows that are no numbers or not of one length
        FileNotFoundError: there is no such file
    """
    try:
        if isinstance(value, str) and value.endswith((".csv", ".npy")):
            found = (
                np.load(value)
                if value.endswith(".npy")
                else np.loadtxt(value, delimiter=",", ndmin=2)
            )
        elif isinstance(value, list) and any(isinstance(row, list) for row in value):
            found = np.array(value)
        else:
            return value
        return np.atleast_2d(found.astype(np.float64)).tolist()
    except FileNotFoundError:
        raise FileNotFoundError(f"{where}: there is no file {value}") from None
    except (ValueError, TypeError, EOFError) as error:
        raise ValueError(
            f"{where}: give a matrix as rows of numbers, all of one length ({error})"
        ) from error


def _short(name: str, value: Any, default: Any) -> str:
    if isinstance(value, bool):
        return name.split("_")[-1] if value else f"no-{name.split('_')[-1]}"
    if isinstance(default, float):
        return f"{name[0]}{value * (100 if 0 <= default <= 1 else 1):g}"
    if isinstance(value, int | float):
        return f"{name[0]}{value}"
    if isinstance(value, list):
        return sha256(np.array(value, "<f8").tobytes()).hexdigest()[:6]
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower())


def _is(value: Any, kind: type | UnionType) -> bool:
    """isinstance, where true is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
