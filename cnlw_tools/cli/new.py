"""``cnlw new``: from photographs and a list of addresses to the tables of a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import ENGINE, NEW_TABLES_ROOT, WORKERS, LocalPath, PathOrAddress
from cnlw_tools.files.mirror import name_addresses
from cnlw_tools.recipe.recipe import MAX_VALIDATION
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.ingest.candidates import ImportedCandidates


@click.command()
@click.argument("name")
@click.argument("photographs", metavar="PHOTOS", type=LocalPath(path_type=Path))
@click.option(
    "--candidates",
    required=True,
    metavar="FILE",
    type=LocalPath(path_type=Path),
    help="CSV file with the columns class and url: the candidates from the web.",
)
@NEW_TABLES_ROOT
@click.option(
    "--validation",
    type=click.IntRange(1, MAX_VALIDATION),
    default=None,
    metavar="PERCENT",
    help="Move PERCENT of the photographs of each class to a split validation.  [default: none]",
)
@click.option(
    "--skip-broken",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Leave out photographs that cannot be decoded; list them in this file or address.  "
    "[default: none]",
)
@ENGINE
@WORKERS
def new(
    name: str,
    photographs: Path,
    candidates: Path,
    root: Path | str,
    validation: int | None,
    skip_broken: Path | str | None,
    engine: str,
    workers: int | None,
) -> None:
    """Make the dataset NAME from labelled photographs and candidates from the web.

    PHOTOS is a folder with one subfolder of images for each class, or a CSV file of paths and
    labels, as for `cnlw import folder`. The command writes tables and does not copy the
    photographs.

    A candidate is an image that a web search returned for a class. The CSV file of candidates has a
    line for each candidate, with its URL and its class, which is given by name or number. Other
    columns, such as the query or the licence, are kept.

    To add candidates, run the same command with a longer CSV file, or run `cnlw import candidates`,
    which does not read the photographs again. Votes on earlier candidates are kept. If a line of
    the CSV file is invalid, nothing is written.
    """
    from cnlw_tools.cli.next_step import find_project, print_next
    from cnlw_tools.executor import open_executor
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.files.roots import open_root
    from cnlw_tools.ingest.candidates import create_dataset

    with (
        open_root(root) as folder,
        open_executor(engine, workers) as executor,
        ProgressBars() as bars,
    ):
        result = create_dataset(
            name,
            photographs,
            candidates,
            folder,
            validation=validation or 0,
            skip_broken=skip_broken,
            executor=executor,
            progress=bars,
        )
    from cnlw_tools.cli.import_ import print_import

    print_import(result.photographs, root, skip_broken)
    print_candidates(result.candidates)
    print_next(find_project(name, root).fetch_command())


def print_candidates(result: "ImportedCandidates") -> None:
    """Print how many candidates a dataset has, and how many of them are new."""
    from cnlw_tools.sources.formats.listing import enumerate_names

    place = name_addresses(str(result.path))
    n_candidates = count_things(result.n_candidates, "candidate")
    repeated = f"; {count_things(result.n_repeated, 'repeated line')}" if result.n_repeated else ""
    click.echo(f"{place}: {n_candidates}, {result.n_new:,} of them new{repeated}")
    if result.classes_without:
        names = enumerate_names([repr(name) for name in result.classes_without])
        click.echo(f"note: classes without a candidate, so without red noise: {names}")
