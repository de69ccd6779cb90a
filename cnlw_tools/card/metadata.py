"""What a build says about itself: the YAML block on top of its card, README.md.

`configs` is what `datasets.load_dataset` reads; `cnlw` is what `cnlw validate` proves. The sha256
of the shards are in `croissant.json`: the Hub refuses cards with a long block.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from cnlw_tools.card.about import About, to_block
from cnlw_tools.card.file_list import read_shard_hashes
from cnlw_tools.files import texts
from cnlw_tools.files.yaml_text import LARGEST_YAML, dump_yaml, parse_yaml
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.recipe import HIGHEST_LEVEL, RECORDED, Recipe
from cnlw_tools.recipe.strict import between, read_dataclass

CARD = "README.md"
DRAFT_SUFFIX = ".partial"  # the name of a new build ends with it until the build is complete
FENCE = "---\n"
REMEDY = "point at a folder that `cnlw build` made"


@dataclass(frozen=True, slots=True)
class ConfigCard:
    """What a card says about one config: one level of one noise."""

    recipe: Recipe  # with every option of the noise; only what decides the plan is written
    level: int | None = field(metadata={"check": between(0, HIGHEST_LEVEL)})  # percent
    digest: str  # of the plan
    rows: dict[str, int]  # by split
    rate: float  # realised share of wrong labels in train
    expected: float  # the share that the noise model expects
    # lowest and highest share, over the classes, of labels kept where the image stayed
    kept: tuple[float, float]
    expected_kept: tuple[float, float]  # the same of the expected matrix
    segments: dict[str, list[str]]  # split -> names of the segments in data/
    changed: float | None = None  # of published splits: share of rows that are not in level 0


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """In how many slots a config differs from the same one of an earlier build."""

    slots: int  # in either build
    differ: int  # slots in both with another image or label
    gone: int  # slots of the earlier build alone
    added: int  # slots of this build alone


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since an earlier build."""

    since: str  # its version; empty: nobody has written it down
    configs: dict[str, ConfigChanges]  # those that both builds have


@dataclass(frozen=True, slots=True)
class BuildCard:
    """All that a build says about itself."""

    made_with: dict[str, str]  # versions of this package, and of those that decide bytes
    dataset: str
    images: Storage
    layout: str = field(metadata={"old_values": {"bands": "shared"}})
    tables: dict[str, str] = field(default_factory=dict)  # name -> digest of the rows
    configs: dict[str, ConfigCard] = field(default_factory=dict)
    about: About = field(default_factory=About)
    # file -> sha256: in croissant.json; in the block of a card that an earlier version wrote
    shards: dict[str, str] = field(default_factory=dict)
    changes: Changes | None = None  # since an earlier build, if one was named


def front_matter(card: BuildCard, hub: Mapping[str, Any]) -> str:
    """Return the YAML block of a card; ``hub``: what else the Hub reads (licence, tags ...)."""
    configs = []
    for name, config in sorted(card.configs.items()):
        configs.append({"config_name": name, "data_files": data_files(config)})
    block = {**hub, "configs": configs, "cnlw": _to_block(card)}
    return f"{FENCE}{dump_yaml(block)}{FENCE}"


def _to_block(card: BuildCard) -> dict[str, Any]:
    """Return a card as plain values, of each recipe what decides the plan, without the shards."""
    block = asdict(replace(card, shards={}))
    del block["shards"]
    if card.changes is None:
        del block["changes"]
    block["about"] = to_block(card.about)
    for config in block["configs"].values():
        recipe = config["recipe"]
        config["recipe"] = {key: recipe[key] for key in RECORDED}
    return block


def data_files(config: ConfigCard) -> list[dict[str, Any]]:
    """Return what `datasets` reads of a config: the files of each split, under neutral names."""
    files = []
    for split, segments in config.segments.items():
        patterns = [f"data/{name}-*.parquet" for name in segments]
        files.append({"split": split, "path": patterns})
    return files


def config_shards(card: BuildCard, config: str) -> dict[str, list[str]]:
    """Return the files of each split of a config, in the order in which `datasets` reads them."""
    files = {}
    for split, segments in card.configs[config].segments.items():
        names: list[str] = []
        for segment in segments:
            names += [name for name in sorted(card.shards) if name.startswith(f"{segment}-")]
        files[split] = names
    return files


def read_card(folder: Path) -> BuildCard:
    """Read what a build says about itself, in its card and in the list of its files.

    Raises:
        ValueError: the folder holds no card, or not one that `cnlw build` wrote; or no such list
        OSError: one of the two cannot be read
    """
    card = _read_block_of_card(folder)
    return card if card.shards else replace(card, shards=read_shard_hashes(folder))


def _read_block_of_card(folder: Path) -> BuildCard:
    """Return what the block of a card says.

    Raises:
        ValueError, OSError: as `read_card`
    """
    head, _ = _read_parts(folder)
    return _parse_card(head, _source_of(folder))


@lru_cache(maxsize=16)
def _parse_card(head: str, source: str) -> BuildCard:
    """Parse the block of a card; a sweep and a report ask for the same card once a run."""
    block = _parse_block(head, source)
    card = read_dataclass(BuildCard, block.get("cnlw"), source, REMEDY)
    # the keys beside the plan are checked as those of a recipe that asks for such a build
    recipe = {
        "dataset": card.dataset,
        "noise": "any",
        "layout": card.layout,
        **asdict(card.images),
    }
    read_dataclass(Recipe, recipe, source, REMEDY)
    return card


def read_block(folder: Path) -> dict[str, Any]:
    """Return the whole YAML block of a card.

    Raises:
        ValueError: the folder holds no card, or one without such a block
        OSError: the card cannot be read
    """
    head, _ = _read_parts(folder)
    return _parse_block(head, _source_of(folder))


def _source_of(folder: Path) -> str:
    """Return how errors about a card begin."""
    return f"{folder / CARD}: not the card of a build"


def _parse_block(head: str, source: str) -> dict[str, Any]:
    block = parse_yaml(head.removeprefix(FENCE), source, REMEDY)
    if not isinstance(block, dict):
        raise ValueError(f"{source}: the block at its top has no keys: {REMEDY}")
    return block


def read_text(folder: Path) -> str:
    """Return a card without its YAML block: what people read.

    Raises:
        ValueError: the folder holds no card
        OSError: the card cannot be read
    """
    return _read_parts(folder)[1]


def _read_parts(folder: Path) -> tuple[str, str]:
    """Return the block of a card, and its text.

    Raises:
        ValueError: the folder holds no card, or one that is not UTF-8
        OSError: the card cannot be read
    """
    path = folder / CARD
    missing = f"{folder}: no build here (there is no {CARD}): {REMEDY}"
    if folder.name.endswith(DRAFT_SUFFIX) and folder.is_dir():
        name = folder.name.removesuffix(DRAFT_SUFFIX)
        missing = (
            f"{folder}: an unfinished build: run the `cnlw build` of {name} again to finish it"
        )
    try:
        if not path.is_file():
            raise ValueError(missing)
        content = texts.read_text(path, LARGEST_YAML, REMEDY)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(missing) from None
    except OSError as error:
        raise OSError(
            f"{path} cannot be read ({error.strerror}): check its permissions and the disk"
        ) from error
    content = content.replace("\r\n", "\n")  # as git may write it on Windows
    head, _, text = content.partition("\n" + FENCE)
    return head, text


def is_build(folder: Path) -> bool:
    """Return whether the folder holds a card that `cnlw build` wrote.

    Raises:
        OSError: there is a card, and it cannot be read
    """
    try:
        _read_block_of_card(folder)
    except ValueError:
        return False
    return True
