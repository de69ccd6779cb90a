"""Checks of the card: is each of its claims what the tables and the files of the build give?

A user may add paragraphs to the text and keys to the block that the Hub reads. What `cnlw build`
wrote stays as it is.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from PIL import Image

from cnlw_tools import __version__
from cnlw_tools.builds.build import describe_config, noisiest_config
from cnlw_tools.card.hub import hub_keys, measure_shards
from cnlw_tools.card.metadata import CARD, ConfigCard, data_files, read_text
from cnlw_tools.card.render import card_text, list_pictures
from cnlw_tools.card.sample_grid import draw_samples
from cnlw_tools.checks.encoding import largest_difference, surplus
from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, abbreviate, error, note
from cnlw_tools.files import default_root
from cnlw_tools.files.machine_faults import raise_machine_fault
from cnlw_tools.images.pixels import decode
from cnlw_tools.plans.plan import config_name
from cnlw_tools.recipe.toml import read_toml

BUILD_AGAIN = "build it again"
WRITE_ANEW = "run the same `cnlw build` again, which rewrites the card"
REMOVE = "remove it from the block on top of the card"
OWN_KEYS = {"config_name", "data_files"}  # of a config in the block
OWN_WORDS = {"pretty_name", "tags"}  # of the block, that a user may change
HARMLESS_KEYS = {"default", "description"}  # that a user may add to a config
LOADER_KEYS = ("features",)  # of the block: they change what `datasets` reads
CLAIMS = ("kept", "expected_kept", "changed", "segments")  # that no other check compares
ROUNDING = 1.5e-6  # of the shares on the card
PROGRAMS = {"cnlw_tools", "pillow", "pyarrow"}  # whose versions the card has
VERSION = re.compile(r"\d+(\.\d+)+")
LETTER_TOLERANCE = 4  # mean difference of a block of a picture, of 255
MAX_SHOWN = 60  # letters of a paragraph


def card(evidence: Evidence) -> Iterator[Finding]:
    """The YAML block of the card says what the tables give, so `datasets` reads just that."""
    block = evidence.block
    yield from _check_loading(block, evidence.card.configs, evidence.is_old_card)
    for name in evidence.card.configs:
        yield from _check_config(evidence, name)
    yield from _check_versions(evidence)
    if not evidence.is_old_card:
        yield from _check_hub_keys(evidence)
    if evidence.source == evidence.card.dataset:  # else they are the user's own images
        yield from _check_licence(evidence.source, block.get("license"))


def _check_loading(
    block: Mapping[str, Any], configs: Mapping[str, ConfigCard], is_old_card: bool
) -> Iterator[Finding]:
    """`datasets` reads each described config from its own files, and nothing else."""
    if not configs:
        message = "no config is described: there is nothing to load"
        yield error(message, CARD, fix=BUILD_AGAIN)
    for key in (*LOADER_KEYS, "dataset_info") if is_old_card else LOADER_KEYS:
        if key in block:
            message = f"{key} changes what load_dataset reads"
            yield error(message, CARD, fix=REMOVE)
    entries = _listed_configs(block)
    yield from _check_entries(entries)
    listed = {str(entry.get("config_name")): entry.get("data_files") for entry in entries}
    for name, config in configs.items():
        if listed.get(name) != data_files(config):
            message = f"config {name}: its data_files are not its segments"
            yield error(message, CARD, fix=BUILD_AGAIN)
    undescribed = sorted(listed.keys() - configs.keys())
    if undescribed:
        message = f"configs that the card does not describe: {abbreviate(undescribed)}"
        yield error(message, CARD, len(undescribed), REMOVE)


def _check_entries(entries: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """No config is listed twice, or with options of the loader."""
    names = Counter(str(entry.get("config_name")) for entry in entries)
    for name, times in sorted(names.items()):
        if times > 1:
            yield error(f"config {name} is listed {times} times", CARD, fix=REMOVE)
    for entry in entries:
        options = sorted(map(str, entry.keys() - OWN_KEYS - HARMLESS_KEYS))
        if options:
            config = f"config {entry.get('config_name')}"
            message = f"{config}: {abbreviate(options)} changes what load_dataset reads"
            yield error(message, CARD, len(options), REMOVE)


def _listed_configs(block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the configs that `datasets` would read; anything else becomes one without keys."""
    configs = block.get("configs")
    entries = configs if isinstance(configs, list) else [configs]
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def _check_config(evidence: Evidence, name: str) -> Iterator[Finding]:
    """The name, the dataset and the numbers of a config are those of its plan."""
    config = evidence.card.configs[name]
    if config.recipe.dataset != evidence.card.dataset:
        message = f"config {name} is of another dataset than {evidence.card.dataset!r}"
        yield error(message, CARD, fix=BUILD_AGAIN)
    if name not in evidence.plans:
        return
    proper_name = config_name(evidence.recipe(name), config.level)
    if name != proper_name:
        message = f"config {name} should be called {proper_name}, by its recipe and level"
        yield error(message, CARD, fix=BUILD_AGAIN)
    expected = describe_config(evidence.plans[name], evidence.segments(name))
    for claim in CLAIMS:
        stated, actual = getattr(config, claim), getattr(expected, claim)
        if not _agree(stated, actual):
            message = f"{claim} is {_shorten(stated)}, but the plan gives {_shorten(actual)}"
            yield error(message, name, fix=WRITE_ANEW)


def _agree(stated: Any, actual: Any) -> bool:
    """Return whether two claims are the same; shares may be rounded."""
    if isinstance(stated, tuple) and isinstance(actual, tuple):
        return all(map(_agree, stated, actual))
    if isinstance(stated, float | int) and isinstance(actual, float | int):
        return bool(abs(stated - actual) <= ROUNDING)
    return bool(stated == actual)


def _check_versions(evidence: Evidence) -> Iterator[Finding]:
    """The card names the programs that made the build, as far as its files tell."""
    made_with = evidence.card.made_with
    if made_with.keys() != PROGRAMS or not all(map(VERSION.match, made_with.values())):
        message = f"made_with has no versions of {', '.join(sorted(PROGRAMS))}"
        yield error(message, CARD, fix=WRITE_ANEW)
        return
    stated = VERSION.match(made_with["pyarrow"])
    writers = [VERSION.search(shard.writer) for shard in evidence.shards.values()]
    versions = {writer.group() for writer in writers if writer}
    if versions and stated and stated.group() not in versions:
        message = f"the card says pyarrow {stated.group()}, but {min(versions)} wrote the files"
        yield error(message, CARD, fix=BUILD_AGAIN)


def _check_hub_keys(evidence: Evidence) -> Iterator[Finding]:
    """What the Hub reads of the card is what the metadata of the card give.

    Bytes are compared if every shard is the one that is listed; the check `hashes` names others.
    """
    card = evidence.card
    found = {name: shard.sha256 for name, shard in evidence.shards.items()}
    is_intact = all(found.get(name) == sha256 for name, sha256 in card.shards.items())
    for key, expected in hub_keys(card, measure_shards(evidence.folder, card)).items():
        stated = evidence.block.get(key)
        if key == "dataset_info" and not is_intact:
            stated, expected = _without_bytes(stated), _without_bytes(expected)
        if key not in OWN_WORDS and stated != expected:
            place, wrong, right = _find_difference(key, stated, expected)
            message = f"{place} is {_shorten(wrong)}, but the build gives {_shorten(right)}"
            yield _report(evidence, message, CARD)


def _find_difference(place: str, stated: Any, expected: Any) -> tuple[str, Any, Any]:
    """Return the first place in the block where two values differ, and what each has there."""
    if isinstance(stated, dict) and isinstance(expected, dict) and stated.keys() == expected.keys():
        for key, part in stated.items():
            if part != expected[key]:
                return _find_difference(f"{place}.{key}", part, expected[key])
    if isinstance(stated, list) and isinstance(expected, list) and len(stated) == len(expected):
        for number, part in enumerate(stated):
            if part != expected[number]:
                return _find_difference(f"{place}[{number}]", part, expected[number])
    return place, stated, expected


def _without_bytes(value: Any) -> Any:
    """Return a value of the block without the bytes of splits."""
    if isinstance(value, list):
        return [_without_bytes(part) for part in value]
    if isinstance(value, dict):
        return {key: _without_bytes(part) for key, part in value.items() if key != "num_bytes"}
    return value


def _check_licence(dataset: str, licence: object) -> Iterator[Finding]:
    """The licence is one that a recipe of the package gives the images, if it has such a recipe."""
    known = set()
    for path in sorted((default_root() / "pipelines").glob(f"{dataset}_*.toml")):
        recipe = read_toml(path, "recipe")
        if recipe.get("dataset") == dataset:
            known.add(recipe.get("licence", "unknown"))
    if known - {"unknown"} and licence not in (*known, "unknown"):
        message = f"the licence is {_shorten(licence)}, but recipes of the package say {min(known)}"
        yield error(message, CARD, fix=WRITE_ANEW)


def text(evidence: Evidence) -> Iterator[Finding]:
    """People read all paragraphs that `cnlw build` writes of these configs, in their order.

    Paragraphs of the user's own are a note, as nothing here proves them; so is any difference if
    another version of this package wrote the card.
    """
    actual = read_text(evidence.folder)
    pictures = list_pictures(evidence.folder)
    data = evidence.require_dataset()
    expected = card_text(
        evidence.card, data.classes, pictures, evidence.described_tables, data.imported_validation
    )
    missing, added = _compare_paragraphs(_paragraphs(expected), _paragraphs(actual))
    if missing:
        parts = abbreviate([_shorten(part) for part in missing])
        message = f"paragraphs are not what the metadata of the card give: {parts}"
        yield _report(evidence, message, CARD, len(missing))
    if added:
        parts = abbreviate([_shorten(part) for part in added])
        message = f"paragraphs that `cnlw build` did not write, so nothing proves them: {parts}"
        yield note(message, CARD, len(added), "read them; what you wrote yourself may stay")


def pictures(evidence: Evidence) -> Iterator[Finding]:
    """The sample picture of a noise is what `cnlw build` draws of its noisiest config."""
    for noise in sorted({config.recipe.noise for config in evidence.card.configs.values()}):
        path = evidence.folder / f"samples_{noise}.png"
        config = noisiest_config(evidence.card, noise)
        try:
            expected = _draw_picture(evidence, noise, config)
            picture = path.read_bytes() if path.is_file() else None
        except (pa.ArrowException, LookupError, ValueError, OSError) as problem:
            raise_machine_fault(problem, str(path))
            continue  # an image is damaged, which other checks report
        if expected and not picture:
            yield error("the sample picture is missing", path.name, fix=WRITE_ANEW)
        elif picture and not (expected and _shows(picture, expected)):
            message = f"it is not the picture of {config}"
            yield _report(evidence, message, path.name)


def _draw_picture(evidence: Evidence, noise: str, config: str) -> Image.Image | None:
    """Draw samples of a config; None of one without noise."""
    if config not in evidence.plans or not evidence.card.configs[config].rate:
        return None
    segments = [segment.name for _, segment in evidence.segments(config)]
    shards = {
        name: shard.rows
        for name, shard in sorted(evidence.shards.items())
        if name.partition("-")[0] in segments
    }
    data, plan = evidence.folder / "data", evidence.plans[config]
    return draw_samples(noise, data, plan, shards, evidence.require_dataset().classes)


def _shows(encoded: bytes, expected: Image.Image) -> bool:
    """Return whether a file is a PNG of a picture; another library may draw letters differently."""
    try:
        picture = decode(encoded)
    except ValueError:
        return False
    if surplus(encoded) or picture.size != expected.size:
        return False
    return largest_difference(picture, expected) <= LETTER_TOLERANCE


def _report(evidence: Evidence, message: str, location: str, count: int = 1) -> Finding:
    """Return an error, or a note where another version of this package wrote the card."""
    return (error if is_ours(evidence) else note)(message, location, count, WRITE_ANEW)


def is_ours(evidence: Evidence) -> bool:
    """Return whether this version of the package wrote the card."""
    same_version = evidence.card.made_with.get("cnlw_tools") == __version__
    return same_version and not evidence.is_old_card


def _paragraphs(text: str) -> list[str]:
    """Return what blank lines separate, without white space at the ends of lines."""
    lines = [line.rstrip() for line in text.splitlines()]
    parts = re.split(r"\n{2,}", "\n".join(lines))
    return [part.strip("\n") for part in parts if part.strip("\n")]


def _compare_paragraphs(
    expected: Sequence[str], actual: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the expected paragraphs that are missing in their order, and those added."""
    missing: list[str] = []
    added: list[str] = []
    start = 0
    for part in expected:
        if part in actual[start:]:
            end = actual.index(part, start)
            added += actual[start:end]
            start = end + 1
        else:
            missing.append(part)
    return missing, added + list(actual[start:])


def _shorten(value: object) -> str:
    """Return a value as the beginning of one line."""
    line = " ".join(str(value).split())
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}..."
