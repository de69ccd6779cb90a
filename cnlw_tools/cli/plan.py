"""``cnlw plan``: one level as a table, without an image."""

from pathlib import Path
from typing import Any

import click

from cnlw_tools.cli.options import (
    WORKERS,
    find_root,
    read_inputs,
    read_recipe_flags,
    recipe_options,
)


@click.command()
@recipe_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Parquet file.  [default: DATASET_CONFIG.parquet]",
)
@WORKERS
def plan(
    recipe: str | None, root: Path | None, out: Path | None, workers: int | None, **flags: Any
) -> None:
    """Write which image takes which slot under which label, for one level."""
    from cnlw_tools import hashing
    from cnlw_tools.dataset import tables
    from cnlw_tools.executor import EXECUTORS
    from cnlw_tools.ingest.resolve import load_dataset
    from cnlw_tools.plans.info import read_plan_info
    from cnlw_tools.plans.plan import config_name, recipe_levels
    from cnlw_tools.plans.plan import plan as draw
    from cnlw_tools.plans.statistics import describe_invertibility

    chosen = read_recipe_flags(recipe, find_root(root), flags)
    inputs = read_inputs(root, flags["data_dir"], flags["donors"], flags["store"])
    with EXECUTORS["local"](workers) as executor:
        found = load_dataset(chosen, inputs, executor)
    asked = recipe_levels(chosen, found)
    if len(asked) != 1:
        raise ValueError(
            f"a plan is one level, and here are {len(asked)}: give --level, such as --level 40"
        )
    level = asked[0]
    target = out or Path(f"{chosen.dataset}_{config_name(chosen, level)}.parquet")
    if target.suffix == ".csv":
        raise ValueError(
            f"{target}: a plan is a Parquet file: name it {target.with_suffix('.parquet').name}"
        )
    if target.exists():
        tables.read_plan(
            target
        )  # another plan may be replaced; anything else is an error that says so
    table = draw(chosen, found, level)
    tables.write_parquet(table, target)
    noisy = sum(table["is_noisy"].to_pylist())
    click.echo(f"{target}: {len(table):,} rows, {noisy:,} noisy, digest {hashing.digest(table)}")
    if swapped := len(read_plan_info(table).substituted):
        click.echo(
            f"{target}: {swapped:,} planned images are not there, and the next in their order stand in for them"
        )
    if level is None:
        click.echo(f"{target}: {describe_invertibility(read_plan_info(table).expected_matrix())}")
