"""``cnlw report``: what runs came to."""

from pathlib import Path

import click

from cnlw_tools.cli.options import ROOT, find_root


@click.command()
@click.argument("runs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the report.  [default: RUNS/report]"
)
@click.option(
    "--rule",
    type=click.Choice(["last", "best", "mean10"]),
    help="What the best trial of a method is chosen by.  [default: what the study says, or last]",
)
@click.option(
    "--apart", multiple=True, metavar="OPTION", help="An option that makes a method of its own."
)
@ROOT
def report(
    runs: Path, out: Path | None, rule: str | None, apart: tuple[str, ...], root: Path | None
) -> None:
    """Write tables, figures and a web page, index.html, of all runs below a folder."""
    from cnlw_tools.reports.write import write_report

    where = out or runs / "report"
    for problem in write_report(runs, where, find_root(root), rule or "", apart):
        click.echo(f"note: {problem}", err=True)
    click.echo(where / "index.html")
