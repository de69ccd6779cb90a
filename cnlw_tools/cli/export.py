"""``cnlw export``: one config of a build in the format of another program."""

from pathlib import Path

import click

from cnlw_tools.cli.options import PathOrAddress


@click.command()
@click.argument("exporter", metavar="FORMAT")
@click.argument("build", type=PathOrAddress(path_type=Path))
@click.argument("config")
@click.option(
    "--out",
    required=True,
    type=PathOrAddress(path_type=Path),
    help="New folder to write, or the address of one.",
)
@click.option(
    "-o",
    "option_texts",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the exporter (see `cnlw list exporters`); may be repeated.",
)
def export(
    exporter: str, build: Path | str, config: str, out: Path | str, option_texts: tuple[str, ...]
) -> None:
    """Write one config of a build in the format of another program.

    FORMAT is a name from `cnlw list exporters`. BUILD is the folder or address of the build, and
    CONFIG is the name of one of its configs, such as red_40. If --out is a local folder, it appears
    only when the export has finished.
    """
    from cnlw_tools.builds.exporters import export as write_export
    from cnlw_tools.card.remote import local_build
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.recipe.toml import parse_option

    options = dict(map(parse_option, option_texts))
    with ProgressBars() as bars:
        folder = local_build(build, progress=bars)
        notes = write_export(exporter, folder, config, out, options, bars)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    click.echo(out)
