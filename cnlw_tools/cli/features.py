"""``cnlw features``: what images look like in a few numbers, for noise that asks for it."""

from pathlib import Path

import click

from cnlw_tools.cli.options import ROOT, WORKERS, read_inputs


@click.command()
@click.option("--dataset", default="shapes", show_default=True, help="Name of a dataset.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where your copy of the images lies."
)
@click.option(
    "--size",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Pixels of the thumbnails' side.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The side table, a .parquet file.",
)
@ROOT
@WORKERS
def features(
    dataset: str,
    data_dir: Path | None,
    size: int,
    out: Path,
    root: Path | None,
    workers: int | None,
) -> None:
    """Write thumbnails of the training images as features: a side table for `--noise instance --side-table FILE`."""
    import pyarrow.compute as pc

    from cnlw_tools.cli.progress import Bars
    from cnlw_tools.dataset import tables
    from cnlw_tools.executor import EXECUTORS
    from cnlw_tools.ingest.resolve import load_dataset
    from cnlw_tools.ingest.thumbnails import make_thumbnails
    from cnlw_tools.recipe.recipe import parse_recipe
    from cnlw_tools.registry import pick
    from cnlw_tools.sources import SOURCES

    if out.suffix != ".parquet":
        raise ValueError(f"{out}: features are a .parquet file: name it so")
    recipe = parse_recipe({"dataset": dataset, "noise": "instance"}, "the command line")
    inputs = read_inputs(root, data_dir)
    base = load_dataset(recipe, inputs).base
    pick(SOURCES, dataset, "source of images")
    if base is None:
        raise ValueError(f"{dataset}: its base manifest comes from the images: give --data-dir")
    ids = base.filter(pc.equal(base["split"], "train"))["image_id"]
    with EXECUTORS["local"](workers) as executor, Bars() as bars:
        table = make_thumbnails(dataset, inputs, ids, size, executor, bars)
    tables.write_parquet(table, out)
    click.echo(
        f"{out}: column features, {3 * size * size} numbers for each of {len(table):,} images"
    )
