"""What a build says of itself: the YAML on top of its card, README.md.

`configs` is what `datasets.load_dataset` reads; `cnlw` is what `cnlw validate` proves.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

T = TypeVar("T", "Config", "Record")

CARD = "README.md"
FENCE = "---\n"
REMEDY = "point at a folder that `cnlw build` made"


@dataclass(frozen=True, slots=True)
class Config:
    """One level of one noise."""

    recipe: dict[str, Any]  # with the level drawn and every option
    level: int | None  # percent; none of noise that has none
    digest: str  # of the plan
    rows: dict[str, int]  # by split
    rate: float  # realised share of wrong labels in train
    expected: float  # the share that the noise model promised
    kept: list[
        float
    ]  # smallest and largest share, over classes, of given labels that are true where the image stayed
    expected_kept: list[float]  # the same of the promised matrix
    segments: dict[str, list[str]]  # split -> names of the segments in data/
    changed: float | None = (
        None  # of published splits: share of rows that stand otherwise, or not at all, in level 0
    )


@dataclass(frozen=True, slots=True)
class Record:
    """All that a build says of itself."""

    made_with: dict[str, str]  # versions of this package, and of what decides over bytes
    dataset: str
    images: dict[str, Any]  # size, resize, quality
    layout: str
    tables: dict[str, str] = field(default_factory=dict)  # name -> digest of the rows
    configs: dict[str, Config] = field(default_factory=dict)
    shards: dict[str, str] = field(default_factory=dict)  # file -> sha256


def front_matter(record: Record, about: Mapping[str, Any]) -> str:
    """Return the YAML block of a card; ``about``: what else the Hub reads (licence, tags ...)."""
    configs = [
        {"config_name": n, "data_files": data_files(c)} for n, c in sorted(record.configs.items())
    ]
    block = {**about, "configs": configs, "cnlw": asdict(record)}
    return (
        FENCE
        + yaml.dump(block, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=200)
        + FENCE
    )


def load(folder: Path) -> Record:
    """Read what a build says of itself.

    Raises:
        ValueError: the folder holds no card, or not one of ours
    """
    block = load_block(folder)
    try:
        raw = dict(block["cnlw"])
        configs = {name: _checked(Config(**config)) for name, config in raw.pop("configs").items()}
        return _checked(Record(**raw, configs=configs))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{folder / CARD}: not the card of a build ({type(error).__name__}: {error}): {REMEDY}"
        ) from error


def load_block(folder: Path) -> dict[str, Any]:
    """Return the whole YAML block of a card.

    Raises:
        ValueError: the folder holds no card, or one without such a block
    """
    card = folder / CARD
    try:
        head = card.read_text(encoding="utf-8").split("\n" + FENCE)[0]
        block = yaml.load(head.removeprefix(FENCE), _Loader)  # noqa: S506, the loader is a safe one
    except OSError:
        raise ValueError(f"{folder}: no build here (there is no {CARD}): {REMEDY}") from None
    except (IndexError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise ValueError(
            f"{card}: not the card of a build ({type(error).__name__}: {why}): {REMEDY}"
        ) from error
    if not isinstance(block, dict):
        raise ValueError(f"{card}: not the card of a build: {REMEDY}")
    return block


def is_build(folder: Path) -> bool:
    """Does the folder hold a card of ours?"""
    try:
        load(folder)
    except ValueError:
        return False
    return True


def _checked(said: T) -> T:
    """Return a record or config whose fields have the types that they should have."""
    for f, kind in get_type_hints(type(said)).items():
        value = getattr(said, f)
        if not isinstance(value, kind if isinstance(kind, UnionType) else get_origin(kind) or kind):
            raise TypeError(f"{f} is {value!r}")
        if get_origin(kind) is dict:
            inner = get_origin(get_args(kind)[1]) or get_args(kind)[1]
            for k, v in value.items():
                if inner is not Any and not isinstance(v, inner):
                    raise TypeError(f"{f}: {k} is {v!r}")
    return said


_Loader: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # ten times faster where libyaml is there
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def data_files(config: Config) -> list[dict[str, Any]]:
    """Return what `datasets` reads for a config: the files of each split, sorted by names that say nothing of noise."""
    return [
        {"split": split, "path": [f"data/{name}-*.parquet" for name in names]}
        for split, names in config.segments.items()
    ]
