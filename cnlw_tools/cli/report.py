"""``cnlw report``: tables and figures of runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import ENGINE, ROOT, PathOrAddress, find_root
from cnlw_tools.files.mirror import name_addresses
from cnlw_tools.study.spec import METRICS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from cnlw_tools.executor import Executor
    from cnlw_tools.reports.figure_files import FigureFiles


@click.command()
@click.argument("runs", type=PathOrAddress(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=PathOrAddress(path_type=Path),
    help="Folder or address of the report.  [default: RUNS/report]",
)
@click.option(
    "--select-by",
    type=click.Choice(METRICS),
    help="Accuracy by which a trial is best: last, best, or mean of the last 10 epochs.  "
    "[default: the study's, or last]",
)
@click.option(
    "--group-by",
    multiple=True,
    metavar="OPTION",
    help="Option of a method whose values count as different methods; may be repeated.",
)
@click.option(
    "--format",
    "formats",
    metavar="LIST",
    help="Formats of the files in figures/: svg, pdf, png, or a list such as "
    "svg,pdf.  [default: svg]",
)
@click.option(
    "--width",
    metavar="LENGTH",
    help="Width of each figure in figures/, such as 3.25in, 8.3cm, 84mm or 234pt.  "
    "[default: the width on the web page]",
)
@click.option(
    "--font-size",
    type=float,
    metavar="POINTS",
    help="Size of all text in figures/.  [default: 9]",
)
@click.option(
    "--list-noisy",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    help="File or address (.csv, .parquet) for a list of images classified as noisy.  "
    "[default: none]",
)
@click.option(
    "--hub",
    metavar="OWNER/NAME",
    help="Also write results to hub/, as files for this dataset on the Hugging Face Hub.  "
    "[default: none]",
)
@ROOT
@ENGINE
def report(
    runs: Path | str,
    out: Path | str | None,
    select_by: str | None,
    group_by: tuple[str, ...],
    formats: str | None,
    width: str | None,
    font_size: float | None,
    list_noisy: Path | str | None,
    hub: str | None,
    root: Path | None,
    engine: str,
) -> None:
    """Write tables, figures and a web page (index.html) about all runs in RUNS.

    RUNS is a folder or an address such as `s3://bucket/runs`. Runs in its subfolders are included.
    """
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.files.storage import below
    from cnlw_tools.reports.remote import copy_runs, report_folder
    from cnlw_tools.reports.write import write_report

    figure_files = _check_options(formats, width, font_size, list_noisy, hub)
    place = out or below(runs, "report")
    with ProgressBars() as bars:
        run_folder = copy_runs(runs, bars)
    with _open_engine(engine) as executor, report_folder(place) as folder:
        problems = write_report(
            run_folder,
            folder,
            find_root(root),
            select_by or "",
            group_by,
            figure_files,
            executor,
            hub or "",
        )
    for problem in problems:
        click.echo(f"note: {name_addresses(problem)}", err=True)
    if list_noisy is not None:
        _list_noisy(run_folder, list_noisy)
    for name, is_asked in {"figures": formats is not None, "hub": hub is not None}.items():
        if is_asked:
            click.echo(below(place, name))
    click.echo(below(place, "index.html"))


def _check_options(
    formats: str | None,
    width: str | None,
    font_size: float | None,
    list_noisy: Path | str | None,
    hub: str | None,
) -> "FigureFiles":
    """Return formats and sizes of figures, after a check of the options that name files.

    Raises:
        ValueError: an option has a value that it cannot have
    """
    from cnlw_tools.files.outputs import check_output
    from cnlw_tools.reports.classified_as_noisy import check_list_path
    from cnlw_tools.reports.figure_files import choose_figure_files
    from cnlw_tools.reports.hub_results import check_repository

    if list_noisy is not None:
        check_list_path(Path(list_noisy))
        check_output(list_noisy)
    if hub is not None:
        check_repository(hub)
    names = [name.strip() for name in formats.split(",")] if formats is not None else []
    return choose_figure_files(names, width, font_size)


def _open_engine(engine: str) -> "AbstractContextManager[Executor]":
    """Open the executor that reads runs: a cluster, or this process, which is as fast for few."""
    from cnlw_tools.executor import LOCAL, open_executor

    return open_executor(engine, workers=1 if engine == LOCAL else None)


def _list_noisy(runs: Path, place: Path | str) -> None:
    """Write which examples the methods classify as noisy, and print how many there are."""
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.registry.counts import count_things
    from cnlw_tools.reports.classified_as_noisy import write_classified_as_noisy

    problems: list[str] = []
    with output_file(place) as path:
        n_examples = write_classified_as_noisy(runs, path, problems.append)
    for problem in problems:
        click.echo(f"note: {name_addresses(problem)}", err=True)
    click.echo(f"{place}: {count_things(n_examples, 'example')} classified as noisy")
