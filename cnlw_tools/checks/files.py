"""Checks of files: is everything there, as the card says, and in the form that `datasets` reads?"""

from collections.abc import Iterator
from fnmatch import fnmatch

import pyarrow as pa

from cnlw_tools.builds import parquet
from cnlw_tools.builds.work_shards import RECORDS
from cnlw_tools.card.file_list import CROISSANT
from cnlw_tools.card.metadata import CARD
from cnlw_tools.checks.evidence import Evidence, has_same_rows
from cnlw_tools.checks.finding import Finding, abbreviate, error, note
from cnlw_tools.dataset.tables import find_addresses
from cnlw_tools.files import TEMPORARY_PREFIX
from cnlw_tools.files.locks import LOCK_FILE

ALL_FILES = "all files"
CLASSES = "tables/classes.csv"
FOLDERS = {"data", "tables"}
OUR_FOLDERS = ("data/", "tables/")  # nobody else puts a file there
PROGRAM_SUFFIXES = (".py", ".pyc", ".so")
LOADER_FILES = (".huggingface.yaml", "dataset_infos.json")  # that `datasets` reads unasked
HUB_FILES = {".gitattributes", ".gitignore", "LICENSE"}  # of any repository
SYSTEM_FILES = {".DS_Store", "Thumbs.db", "desktop.ini"}  # that folders get by being looked at
DELETE = "delete them"
FINISH = "finish the build that left them"
IMPORT_VOTES = "replace names by numbers with `cnlw votes import`, and build again"
COPY_TABLES = "copy the tables of another build of the same data, or build again"
RUN_AGAIN = "run the same `cnlw build` again"


def inventory(evidence: Evidence) -> Iterator[Finding]:
    """The folder holds the files that the build lists, and no others that are run or loaded.

    Links may lead out of the folder, and to other files tomorrow. A file of the user's own beside
    the card is a note.
    """
    digests = evidence.dataset.digests if evidence.dataset else evidence.card.tables
    tables = digests.keys() - {"classes"}
    expected = {CARD, CLASSES, *(f"tables/{name}.parquet" for name in tables)}
    expected |= {CROISSANT, *(f"data/{name}" for name in evidence.card.shards)}
    pictures = {f"samples_{config.recipe.noise}.png" for config in evidence.card.configs.values()}
    unknown = evidence.entries.keys() - expected - pictures - FOLDERS
    drafts = {path for path in unknown if _is_litter(_name(path))}
    programs = {path for path in unknown if _is_program(path)}
    own = {path for path in unknown - drafts - programs if not path.startswith(OUR_FOLDERS)}
    surplus = unknown - drafts - programs - own
    links = {path for path, kind in evidence.entries.items() if kind not in ("file", "folder")}
    for message, paths, fix in (
        ("links or devices instead of plain files", links, "put the file itself there"),
        ("files that a reader may run, or follow as instructions", programs, DELETE),
        ("files that the build does not list", surplus, f"{DELETE}, or {FINISH}"),
    ):
        if paths:
            listed = abbreviate(sorted(paths))
            yield error(f"{message}: {listed}", ALL_FILES, len(paths), fix)
    for message, paths, fix in (
        ("temporary files of a killed build or of the system", drafts, f"{FINISH}, or delete them"),
        ("files that `cnlw build` did not write, so nothing proves them", own - HUB_FILES, ""),
    ):
        if paths:
            listed = abbreviate(sorted(paths))
            yield note(f"{message}: {listed}", ALL_FILES, len(paths), fix)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_litter(name: str) -> bool:
    """Return whether no reader looks at a file of this name."""
    is_record = fnmatch(name, RECORDS)  # of a build by several processes
    is_temporary = name.startswith((TEMPORARY_PREFIX, "._")) or name == LOCK_FILE
    return is_record or is_temporary or name in SYSTEM_FILES


def _is_program(path: str) -> bool:
    """Return whether `datasets`, or a user, would run a file or follow what it says."""
    return path.endswith(PROGRAM_SUFFIXES) or _name(path) in LOADER_FILES


def segments(evidence: Evidence) -> Iterator[Finding]:
    """Every file holds the rows of its segment, in an order that does not depend on the noise."""
    checked: set[str] = set()
    for name in evidence.plans:
        recorded = evidence.card.configs[name].segments
        for split, segment in evidence.segments(name):
            if segment.name not in recorded.get(split, []):
                message = f"{split} does not hold the segment {segment.name} of its plan"
                yield error(message, name)
            if segment.name in checked:
                continue
            checked.add(segment.name)
            for file, rows in segment.files().items():
                shard = evidence.shards.get(file)
                if shard and not has_same_rows(shard.rows, rows):
                    message = "its rows are not those of its segment, or are in another order"
                    yield error(message, f"data/{file}")


def hashes(evidence: Evidence) -> Iterator[Finding]:
    """Every shard is there with the sha256 that `croissant.json` lists."""
    for name, recorded in evidence.card.shards.items():
        location = f"data/{name}"
        if name in evidence.shard_errors:
            yield error(evidence.shard_errors[name], location)
        elif name not in evidence.shards:
            yield error("the file is missing", location, fix=RUN_AGAIN)
        elif evidence.shards[name].sha256 != recorded:
            yield error(f"its sha256 is not the one that {CROISSANT} lists", location)


def tables(evidence: Evidence) -> Iterator[Finding]:
    """The tables can be read, have the digests that the card records, and name no annotator."""
    if evidence.dataset is None:
        yield error(evidence.tables_error, "tables/", fix=COPY_TABLES)
        return
    digests, recorded = evidence.dataset.digests, evidence.card.tables
    for name in sorted({*digests, *recorded}):
        if digests.get(name) != recorded.get(name):
            message = "its digest is not the one on the card"
            yield error(message, f"tables/{name}", fix=COPY_TABLES)
    for column, has_address in find_addresses(evidence.dataset.votes).items():
        if has_address.any():
            message = f"e-mail addresses in column {column!r}: do not publish this build"
            yield error(message, "tables/votes", int(has_address.sum()), IMPORT_VOTES)


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
