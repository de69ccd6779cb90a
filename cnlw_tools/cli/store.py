"""``cnlw store``: what can be done with a store of web images."""

from pathlib import Path

import click

from cnlw_tools.cli.options import PathOrAddress
from cnlw_tools.registry.counts import count_things


@click.group()
def store() -> None:
    """Pack a store of web images into few large files."""


@store.command(short_help="Write a store as a few large files.")
@click.argument("place", metavar="STORE", type=PathOrAddress(file_okay=False, path_type=Path))
@click.option(
    "--out",
    required=True,
    type=PathOrAddress(file_okay=False, path_type=Path),
    help="Folder or address to write the files to.",
)
def pack(place: Path | str, out: Path | str) -> None:
    """Write the images of STORE as Parquet files of 1,000 images each, and copy its ledger.

    The result is called a pack. The option --store of `cnlw build` and `cnlw validate` accepts a
    pack in place of a store. These commands read single images from the pack, even if it is in
    remote storage such as s3://bucket/pack. If you pack a store again, Parquet files that are
    already in the pack are not written again.
    """
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.store.pack import open_store, pack_store

    with open_store(place) as opened, ProgressBars() as bars:
        summary = pack_store(opened, out, bars)
    n_images = count_things(summary.n_images, "image")
    n_files = count_things(summary.n_files, "file")
    click.echo(f"{out}: {n_images} in {n_files}, {summary.n_new_files:,} of them new")
