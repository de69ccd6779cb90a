"""What the tables of a build hold, as far as its card and `croissant.json` describe them."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools import files
from cnlw_tools.files.parquet import read_n_rows, read_schema, read_table

Columns = tuple[tuple[str, pa.DataType], ...]  # names and types

CLASSES = "classes.csv"
CLASS_COLUMNS: Columns = (("label", pa.int32()), ("name", pa.string()))
WITHDRAWN = "withdrawn"  # the table of the images that were left out
DEAD = "dead"  # the column of candidates that could not be fetched
REMEDY = "copy it from another build of the same data, or build again"


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of tables/."""

    name: str  # such as votes.parquet
    sha256: str
    columns: Columns


@dataclass(frozen=True, slots=True)
class Candidates:
    """Images that a search found, and what people said of them."""

    n: int
    n_dead: int | None  # could not be fetched; None: nobody tried
    n_votes: int
    n_judged: int  # candidates with a vote
    n_annotators: int  # that have a number; votes without one are not counted
    votes_of_one: tuple[int, int]  # fewest and most votes on a candidate that has any


@dataclass(frozen=True, slots=True)
class BuildTables:
    """The tables of a build."""

    files: tuple[TableFile, ...]  # by name
    candidates: Candidates
    n_withdrawn: int = 0  # images that were left out


def describe_tables(folder: Path) -> BuildTables:
    """Describe the tables of a build.

    Args:
        folder: of the tables

    Raises:
        ValueError, OSError: a table is missing or damaged
    """
    table_files = []
    for path in sorted(folder.iterdir()):
        if path.name == CLASSES:
            columns: Columns = CLASS_COLUMNS
        elif path.suffix == ".parquet":
            schema = read_schema(path, REMEDY)
            columns = tuple((field.name, field.type) for field in schema)
        else:
            continue
        table_files.append(TableFile(path.name, files.digest(path), columns))
    withdrawn = folder / f"{WITHDRAWN}.parquet"
    n_withdrawn = read_n_rows(withdrawn, REMEDY) if withdrawn.exists() else 0
    return BuildTables(tuple(table_files), _count_candidates(folder), n_withdrawn)


def _count_candidates(folder: Path) -> Candidates:
    """Count candidates, those that are dead, and votes."""
    web, votes = folder / "web.parquet", folder / "votes.parquet"
    n = read_n_rows(web, REMEDY) if web.exists() else 0
    n_dead = None
    if n and DEAD in read_schema(web, REMEDY).names:
        n_dead = pc.sum(read_table(web, [DEAD], REMEDY)[DEAD], min_count=0).as_py()
    if not votes.exists() or not read_n_rows(votes, REMEDY):
        return Candidates(n, n_dead, 0, 0, 0, (0, 0))
    table = read_table(votes, ["image_id", "label", "annotator"], REMEDY)
    counts = table.group_by(["image_id", "label"]).aggregate([([], "count_all")])["count_all"]
    n_annotators = pc.count_distinct(table["annotator"], mode="only_valid").as_py()
    extremes = pc.min_max(counts).as_py()
    n_votes_of_one = (extremes["min"], extremes["max"])
    return Candidates(n, n_dead, len(table), len(counts), n_annotators, n_votes_of_one)
