"""Checks of files: is everything there, as the card says, and in the form that `datasets` reads?"""

from collections.abc import Iterator

import pyarrow as pa

from cnlw_tools.builds import parquet
from cnlw_tools.builds.segments import cut_segments
from cnlw_tools.card.metadata import CARD, data_files, read_block
from cnlw_tools.checks.evidence import Evidence, ShardContent
from cnlw_tools.checks.finding import Finding, abbreviate, error, note
from cnlw_tools.plans.plan import config_name

COPY_TABLES = "copy the tables of another build of the same data, or build anew"
BUILD_AGAIN = "build it again"
RUN_AGAIN = "run the same `cnlw build` again"
KEY_COLUMNS = ("image_id", "label")  # in which the rows of a shard are compared with its segment


def card(evidence: Evidence) -> Iterator[Finding]:
    """The block that `datasets` reads names the files that the rest of the card describes."""
    listed = _listed_data_files(evidence)
    configs = evidence.card.configs
    if not configs:
        message = "no config is described: there is nothing to load"
        yield error(message, CARD, fix=BUILD_AGAIN)
    for name, config in configs.items():
        proper_name = _proper_name(evidence, name)
        if name != proper_name:
            message = f"config {name} holds what should be called {proper_name}"
            yield error(message, CARD, fix=BUILD_AGAIN)
        if config.recipe.dataset != evidence.card.dataset:
            message = f"config {name} is of another dataset than {evidence.card.dataset!r}"
            yield error(message, CARD, fix=BUILD_AGAIN)
        if listed.get(name) != data_files(config):
            message = f"config {name}: its data_files are not its segments"
            yield error(message, CARD, fix=BUILD_AGAIN)
    undescribed = sorted(listed.keys() - configs.keys())
    if undescribed:
        message = f"configs that the card does not describe: {abbreviate(undescribed)}"
        yield error(message, CARD, len(undescribed))


def _listed_data_files(evidence: Evidence) -> dict[str, object]:
    """Return the data files of each config that `datasets` would read, by its name."""
    configs = read_block(evidence.folder).get("configs")
    if not isinstance(configs, list):
        return {}
    entries = [config for config in configs if isinstance(config, dict)]
    return {str(entry.get("config_name")): entry.get("data_files") for entry in entries}


def _proper_name(evidence: Evidence, config: str) -> str:
    """Return the name that a config has by its recipe and level; its own if it has no plan."""
    if config not in evidence.plans:
        return config
    return config_name(evidence.recipe(config), evidence.card.configs[config].level)


def segments(evidence: Evidence) -> Iterator[Finding]:
    """Every file holds the rows that its name promises, in an order independent of noise."""
    checked: set[str] = set()
    for name, plan in evidence.plans.items():
        recorded = evidence.card.configs[name].segments
        for split, segment in cut_segments(plan, evidence.card.images, evidence.card.layout):
            if segment.name not in recorded.get(split, []):
                message = f"{split} does not hold the segment {segment.name} of its plan"
                yield error(message, name)
            if segment.name in checked:
                continue
            checked.add(segment.name)
            for file, rows in segment.files().items():
                shard = evidence.shards.get(file)
                if shard and not _has_rows(shard, rows):
                    message = "its rows are not those of its name, or in another order"
                    yield error(message, f"data/{file}")


def _has_rows(shard: ShardContent, rows: pa.Table) -> bool:
    """Return whether a shard has these images and labels, in this order."""
    return all(shard.rows[column].to_pylist() == rows[column].to_pylist() for column in KEY_COLUMNS)


def hashes(evidence: Evidence) -> Iterator[Finding]:
    """Every shard is there with the sha256 on the card, and no shard is there that it lacks."""
    for name, recorded in evidence.card.shards.items():
        location = f"data/{name}"
        if name in evidence.shard_errors:
            yield error(f"cannot be read: {evidence.shard_errors[name]}", location)
        elif name not in evidence.shards:
            yield error("the file is missing", location, fix=RUN_AGAIN)
        elif evidence.shards[name].sha256 != recorded:
            yield error("its sha256 is not the one on the card", location)
    unknown = sorted(evidence.shards.keys() - evidence.card.shards.keys())
    if unknown:
        message = f"files that the card does not know: {abbreviate(unknown)}"
        fix = "a killed build left them: finish it, or delete them"
        yield note(message, "data/", len(unknown), fix)


def tables(evidence: Evidence) -> Iterator[Finding]:
    """The tables can be read and have the digests that the card records."""
    if evidence.dataset is None:
        yield error(evidence.tables_error, "tables/", fix=COPY_TABLES)
        return
    digests, recorded = evidence.dataset.digests, evidence.card.tables
    for name in sorted({*digests, *recorded}):
        if digests.get(name) != recorded.get(name):
            message = "its digest is not the one on the card"
            yield error(message, f"tables/{name}", fix=COPY_TABLES)


def schema(evidence: Evidence) -> Iterator[Finding]:
    """Every shard has the columns, types and features that a build writes."""
    expected = parquet.shard_schema(evidence.require_dataset().classes)
    for name, shard in sorted(evidence.shards.items()):
        location = f"data/{name}"
        if not shard.schema.equals(expected, check_metadata=True):
            difference = abbreviate(_different_fields(shard.schema, expected)) or "its metadata"
            yield error(f"not the schema of a build ({difference})", location)
        if shard.n_image_paths:
            message = "images have paths, which may tell the learner of noise"
            yield error(message, location, shard.n_image_paths)
        if not shard.is_streamable:
            yield error("its images are compressed, or its pages are not indexed", location)


def _different_fields(schema: pa.Schema, expected: pa.Schema) -> list[str]:
    """Return the names of expected fields that are missing or of another type."""
    names = []
    for field in expected:
        if field.name not in schema.names or schema.field(field.name) != field:
            names.append(field.name)
    return names
