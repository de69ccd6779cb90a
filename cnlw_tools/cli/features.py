"""``cnlw features``: thumbnails as features, for noise that depends on the image."""

from pathlib import Path

import click

from cnlw_tools.cli.options import (
    DATA_DIR,
    ENGINE,
    ROOT,
    WORKERS,
    PathOrAddress,
    check_ending,
    read_inputs,
)
from cnlw_tools.registry.counts import count_things


@click.command()
@click.option("--dataset", default="shapes", show_default=True, help="Name of the dataset.")
@DATA_DIR
@click.option(
    "--size",
    type=click.IntRange(1, 64),
    metavar="PIXELS",
    default=8,
    show_default=True,
    help="Side of the thumbnails in pixels.",
)
@click.option(
    "--out",
    required=True,
    type=PathOrAddress(dir_okay=False, path_type=Path),
    help="File or address of the side table to write; its name ends in .parquet.",
)
@ROOT
@ENGINE
@WORKERS
def features(
    dataset: str,
    data_dir: Path | None,
    size: int,
    out: Path | str,
    root: Path | None,
    engine: str,
    workers: int | None,
) -> None:
    """Write a thumbnail of each training image, for noise that depends on the image.

    The command writes a side table. The column `features` has the pixels of the thumbnail of each
    image, as numbers from -1 to 1. `cnlw build --noise instance --side-table FILE` reads this
    table.
    """
    import pyarrow.compute as pc

    from cnlw_tools.dataset import tables
    from cnlw_tools.dataset.dataset import require_base_manifest
    from cnlw_tools.executor import open_executor
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.ingest.resolve import load_dataset, open_recipe_images
    from cnlw_tools.ingest.thumbnails import make_thumbnails
    from cnlw_tools.recipe.recipe import parse_recipe

    check_ending(out, ".parquet", "features")
    recipe = parse_recipe({"dataset": dataset, "noise": "instance"}, "the command line")
    inputs = read_inputs(root, data_dir)
    base = require_base_manifest(load_dataset(recipe, inputs))
    open_recipe_images(recipe, inputs)
    ids = base.filter(pc.equal(base["split"], "train"))["image_id"]
    with output_file(out) as path:
        with open_executor(engine, workers) as executor, ProgressBars() as bars:
            table = make_thumbnails(dataset, inputs, ids, size, executor, bars)
        tables.write_parquet(table, path)
    n_numbers = 3 * size * size
    n_images = count_things(len(table), "image")
    click.echo(f"{out}: column features, {n_numbers} numbers for each of {n_images}")
