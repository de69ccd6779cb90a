"""Checks of files: is everything there, as the card says it is, and in the form that `datasets` reads?"""

from collections.abc import Iterator

from cnlw_tools.build import parquet
from cnlw_tools.build.segments import cut_segments
from cnlw_tools.card.metadata import CARD, data_files, read_block
from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.checks.finding import Finding, error, some
from cnlw_tools.plan.plan import config_name

TABLES = "copy the tables of another build of the same data, or build anew"


def card(found: Evidence) -> Iterator[Finding]:
    """The block that `datasets` reads names the files that the rest of the card speaks of."""
    listed = read_block(found.folder).get("configs")
    entries = [c for c in listed if isinstance(c, dict)] if isinstance(listed, list) else []
    block = {str(c.get("config_name")): c.get("data_files") for c in entries}
    if not found.record.configs:
        yield error(
            "card", "no config is described: there is nothing to load", CARD, mend="build it again"
        )
    for name, config in found.record.configs.items():
        if name in found.plans and name != (true := _name(found, name)):
            yield error(
                "card",
                f"config {name} holds what {true} is the name of",
                CARD,
                mend="build it again",
            )
        if config.recipe.dataset != found.record.dataset:
            said = f"config {name} is of another dataset than {found.record.dataset!r}"
            yield error("card", said, CARD, mend="build it again")
        if block.pop(name, None) != data_files(config):
            yield error(
                "card",
                f"config {name}: its data_files are not its segments",
                CARD,
                mend="build it again",
            )
    if block:
        yield error(
            "card",
            f"configs that the card does not describe: {some(sorted(block))}",
            CARD,
            len(block),
        )


def _name(found: Evidence, config: str) -> str:
    """Name a config by its recipe and level."""
    return config_name(found.recipe(config), found.record.configs[config].level)


def segments(found: Evidence) -> Iterator[Finding]:
    """Every file holds what its name stands for, its rows in an order that has nothing to do with noise."""
    how = found.record.images
    seen: set[str] = set()
    for name, plan in found.plans.items():
        for split, segment in cut_segments(plan, how, found.record.layout):
            if segment.name not in found.record.configs[name].segments.get(split, []):
                yield error(
                    "segments",
                    f"{split} does not hold the segment {segment.name} of its plan",
                    name,
                )
            for file, rows in {} if segment.name in seen else segment.files().items():
                held = found.shards.get(file)
                if held and any(
                    held.rows[k].to_pylist() != rows[k].to_pylist() for k in ("image_id", "label")
                ):
                    yield error(
                        "segments",
                        "its rows are not those of its name, or in another order",
                        f"data/{file}",
                    )
            seen.add(segment.name)


def hashes(found: Evidence) -> Iterator[Finding]:
    """Every shard is there and has the sha256 that the card records; none is there that the card does not know."""
    for name, recorded in found.record.shards.items():
        if name in found.broken_shards:
            yield error("hashes", f"cannot be read: {found.broken_shards[name]}", f"data/{name}")
        elif name not in found.shards:
            yield error(
                "hashes",
                "the file is missing",
                f"data/{name}",
                mend="run the same `cnlw build` again",
            )
        elif found.shards[name].sha256 != recorded:
            yield error("hashes", "its sha256 is not the one on the card", f"data/{name}")
    unknown = sorted(set(found.shards) - set(found.record.shards))
    if unknown:
        mend = "a killed build left them: finish it, or delete them"
        yield Finding(
            "hashes",
            "note",
            f"files that the card does not know: {some(unknown)}",
            "data/",
            len(unknown),
            mend,
        )


def tables(found: Evidence) -> Iterator[Finding]:
    """The tables can be read and have the digests that the card records."""
    if found.dataset is None:
        yield error("tables", found.broken_tables, "tables/", mend=TABLES)
        return
    actual = found.dataset.digests
    for name in sorted({*actual, *found.record.tables}):
        if actual.get(name) != found.record.tables.get(name):
            yield error(
                "tables", "its digest is not the one on the card", f"tables/{name}", mend=TABLES
            )


def schema(found: Evidence) -> Iterator[Finding]:
    """Every shard has the columns, types and features that the export defines."""
    if found.dataset is None:
        return
    wanted = parquet.shard_schema(found.dataset.classes)
    for name, shard in sorted(found.shards.items()):
        if not shard.schema.equals(wanted, check_metadata=True):
            wrong = [
                f.name
                for f in wanted
                if f.name not in shard.schema.names or shard.schema.field(f.name) != f
            ]
            yield error(
                "schema",
                f"not the schema of the export ({some(wrong) or 'its metadata'})",
                f"data/{name}",
            )
        if shard.paths:
            yield error(
                "schema",
                "images have paths, which may tell the learner of noise",
                f"data/{name}",
                shard.paths,
            )
        if not shard.plain:
            yield error(
                "schema", "its images are compressed, or its pages are not indexed", f"data/{name}"
            )
