"""``cnlw plan``: one level of noise as a table, without an image."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import (
    ENGINE,
    WORKERS,
    GuessingCommand,
    PathOrAddress,
    check_ending,
    find_root,
    plan_options,
    read_inputs,
    read_recipe_flags,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from cnlw_tools.dataset.dataset import Dataset


@click.command(cls=GuessingCommand)
@plan_options
@click.option(
    "--out",
    type=PathOrAddress(dir_okay=False, path_type=Path),
    help="Parquet file to write, or its address.  [default: DATASET_CONFIG.parquet]",
)
@click.option(
    "--labels",
    type=PathOrAddress(path_type=Path),
    help="Also write given and true labels, in dataset order, to this new folder or address.  "
    "[default: none]",
)
@ENGINE
@WORKERS
def plan(
    recipe_name: str | None,
    root: Path | None,
    out: Path | str | None,
    labels: Path | str | None,
    engine: str,
    workers: int | None,
    **flags: Any,
) -> None:
    """Write the table of one level: which image and which label the learner gets in each slot.

    A slot is a place in the training set; it belongs to one clean image.

    RECIPE is a TOML file or a name from `cnlw list recipes`. Without RECIPE, give --noise N. The
    command then uses the recipe D_N of the dataset D (--dataset) or, if there is no such recipe,
    the default settings. A plan has one level, so give --level if the recipe has several.
    """
    from cnlw_tools.builds.staging import reject_existing
    from cnlw_tools.dataset import tables
    from cnlw_tools.executor import open_executor
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.ingest.resolve import load_dataset
    from cnlw_tools.plans.plan import config_name, recipe_levels
    from cnlw_tools.plans.plan import plan as draw_plan

    if labels is not None:
        reject_existing(labels, "--labels")
    if out is not None:
        _check_place(out, labels)
    recipe = read_recipe_flags(recipe_name, find_root(root), flags)
    inputs = read_inputs(root, flags["data_dir"], flags["donors"], flags["store"])
    with open_executor(engine, workers) as executor:
        dataset = load_dataset(recipe, inputs, executor)
    levels = recipe_levels(recipe, dataset)
    if len(levels) != 1:
        raise ValueError(
            f"a plan has one level, but the recipe has {len(levels)}: "
            "give --level, such as --level 40"
        )
    place = out or Path(f"{recipe.dataset}_{config_name(recipe, levels[0])}.parquet")
    if out is None:
        _check_place(place, labels)
    table = draw_plan(recipe, dataset, levels[0])
    with output_file(place, tables.read_plan) as path:
        tables.write_parquet(table, path)
    if labels is not None:
        _write_labels(table, dataset, labels)
    _print_plan(table, place)


def _check_place(place: Path | str, labels: Path | str | None) -> None:
    """Raise if a plan may not be written there: it may replace another plan, and nothing else."""
    from cnlw_tools.dataset import tables
    from cnlw_tools.files.outputs import check_output
    from cnlw_tools.files.storage import is_inside

    if labels is not None and is_inside(place, labels):
        raise ValueError(
            f"--out {place} is in the folder that --labels {labels} creates: give another --out"
        )
    check_ending(place, ".parquet", "plans")
    check_output(place, tables.read_plan)


def _write_labels(table: "pa.Table", dataset: "Dataset", folder: Path | str) -> None:
    """Write the files of `cnlw export labels -o truth=true`; a plan needs no build."""
    import pyarrow.compute as pc

    from cnlw_tools.builds.exporters.labels import write_labels
    from cnlw_tools.builds.exporters.source_order import source_order
    from cnlw_tools.builds.staging import new_folder

    splits = {}
    for split in pc.unique(table["split"]).to_pylist():
        splits[split] = table.filter(pc.equal(table["split"], split))
    with new_folder(folder) as draft:
        order = source_order(dataset)
        notes = write_labels(draft, splits, order, dataset.classes, truth=True)
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _print_plan(table: "pa.Table", place: Path | str) -> None:
    from cnlw_tools.dataset import hashing
    from cnlw_tools.plans.info import read_plan_info
    from cnlw_tools.plans.statistics import describe_invertibility
    from cnlw_tools.registry.counts import count_things

    info = read_plan_info(table)
    n_noisy = sum(table["is_noisy"].to_pylist())
    n_rows = count_things(len(table), "row")
    click.echo(f"{place}: {n_rows}, {n_noisy:,} noisy, digest {hashing.digest(table)}")
    if info.substituted:
        click.echo(
            f"{place}: {len(info.substituted):,} planned images are not available; "
            "the next ones in order stand in for them"
        )
    if info.level is None:
        click.echo(f"{place}: {describe_invertibility(info.expected_matrix())}")
