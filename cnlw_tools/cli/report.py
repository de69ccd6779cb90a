"""``cnlw report``: tables and figures of runs."""

from pathlib import Path

import click

from cnlw_tools.cli.options import ROOT, find_root
from cnlw_tools.study.spec import METRICS


@click.command(short_help="Write tables and figures of runs.")
@click.argument("runs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the report.  [default: RUNS/report]",
)
@click.option(
    "--select-by",
    type=click.Choice(METRICS),
    help="Result that selects the best trial of a method.  [default: the study's, or last]",
)
@click.option(
    "--group-by",
    multiple=True,
    metavar="OPTION",
    help="Option whose values make methods of their own; may be repeated.",
)
@ROOT
def report(
    runs: Path,
    out: Path | None,
    select_by: str | None,
    group_by: tuple[str, ...],
    root: Path | None,
) -> None:
    """Write tables, figures and a web page, index.html, of all runs below the folder RUNS."""
    from cnlw_tools.reports.write import write_report

    folder = out or runs / "report"
    for problem in write_report(runs, folder, find_root(root), select_by or "", group_by):
        click.echo(f"note: {problem}", err=True)
    click.echo(folder / "index.html")
