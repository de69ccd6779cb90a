"""``cnlw rebuild``: a published build once more, from one's own images."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import (
    DATA_DIR,
    DONOR,
    ENGINE,
    ROOT,
    STORE,
    WORKERS,
    PathOrAddress,
    read_inputs,
)
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.builds.rebuild import RebuildSummary

N_EXAMPLES = 5


@click.command()
@click.argument("published", type=PathOrAddress(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=PathOrAddress(path_type=Path),
    help="Folder or address to write the new build to.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="NAME",
    help="Config to make; may be repeated.  [default: all configs]",
)
@click.option(
    "--list",
    "list_rows",
    is_flag=True,
    help="Print the id of every image that is missing or differs, and the reason.",
)
@DATA_DIR
@DONOR
@STORE
@ROOT
@ENGINE
@WORKERS
def rebuild(
    published: Path | str,
    out: Path | str,
    configs: tuple[str, ...],
    list_rows: bool,
    data_dir: Path | str | None,
    donors: tuple[str, ...],
    store: Path | str | None,
    root: Path | str | None,
    engine: str,
    workers: int | None,
) -> None:
    """Recreate a published build from your own copy of the images, and compare the files.

    PUBLISHED is the folder of the published build, its README.md, or its address, such as
    hf://datasets/OWNER/NAME. The command first reads only the card, the tables and croissant.json
    of the published build. The file croissant.json gives the sha256 of each published file. If a
    recreated file with images has a different sha256, the command compares the images in the two
    files; if PUBLISHED is an address, it downloads the published file for this purpose.

    If one of your images is missing, or if its sha256 differs from the one in the tables, nothing
    is written. The exit code is 0 if all files are identical, and 1 if a file differs or nothing is
    written.
    """
    from cnlw_tools.builds.rebuild import rebuild as make_again
    from cnlw_tools.card.remote import published_file, published_folder
    from cnlw_tools.executor import open_executor
    from cnlw_tools.executor.progress import ProgressBars

    inputs = read_inputs(root, data_dir, donors, store)
    with open_executor(engine, workers) as executor, ProgressBars() as bars:
        folder = published_folder(published, bars)
        summary = make_again(
            folder,
            inputs,
            out,
            configs,
            executor,
            bars,
            lambda name: published_file(published, name),
        )
    _print_summary(summary, published, list_rows)
    raise SystemExit(0 if summary.is_same else 1)


def _print_summary(summary: "RebuildSummary", published: Path | str, list_rows: bool) -> None:
    """Print whether the bytes are the same, and else what differs and what may be the cause."""
    files = count_things(summary.n_files, "file")
    if summary.n_kept:
        files_kept = count_things(summary.n_kept, "file")
        click.echo(
            f"note: {files_kept} in {summary.folder} were there before: only compared", err=True
        )
    if summary.is_same:
        click.echo(f"{summary.folder}: {files} with the sha256 that {published} lists")
        return
    if summary.folder is None:
        click.echo(
            f"nothing was written: {count_things(len(summary.rows), 'image')} of {published} "
            "are missing here or differ"
        )
    else:
        n_differing = len(summary.differing_files)
        click.echo(f"{summary.folder}: {n_differing} of {files} differ from {published}")
        for package, (published_version, version) in summary.other_versions.items():
            click.echo(
                f"note: {published} was made with {package} {published_version}; here it is "
                f"{version}"
            )
    rows = summary.rows if list_rows else summary.rows[:N_EXAMPLES]
    for row in rows:
        click.echo(f"{row.image_id}\t{row.reason}")
    n_hidden = len(summary.rows) - len(rows)
    if n_hidden:
        click.echo(f"and {count_things(n_hidden, 'more image')}; --list shows all")
