"""``cnlw build``: from a recipe to a folder that `datasets` loads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import (
    WORKERS,
    GuessingCommand,
    find_root,
    read_inputs,
    read_recipe_flags,
    recipe_options,
    storage_options,
)

if TYPE_CHECKING:
    from cnlw_tools.builds.build import BuildSummary
    from cnlw_tools.card.metadata import ConfigCard

SHOWN_DIGITS = 10  # of the digest of a plan, so that the line of a config fits 80 columns


@click.command(cls=GuessingCommand, short_help="Build images with noisy labels.")
@recipe_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the build.  [default: builds/DATASET]",
)
@storage_options
@WORKERS
def build(
    recipe_name: str | None,
    root: Path | None,
    out: Path | None,
    workers: int | None,
    **flags: Any,
) -> None:
    """Build one level of noise, or all levels of a recipe.

    RECIPE is a TOML file or a name from `cnlw list recipes`. --dataset D and --noise N stand for
    the recipe D_N. Levels that the folder holds already are not built again.
    """
    from cnlw_tools.builds.build import build as run_build
    from cnlw_tools.executor import EXECUTORS
    from cnlw_tools.executor.progress import ProgressBars

    recipe = read_recipe_flags(recipe_name, find_root(root), flags)
    folder = out or Path("builds") / recipe.dataset
    inputs = read_inputs(root, flags["data_dir"], flags["donors"], flags["store"])
    with EXECUTORS["local"](workers) as executor, ProgressBars() as bars:
        summary = run_build(recipe, inputs, folder, executor, bars)
    _print_summary(summary)


def _print_summary(summary: "BuildSummary") -> None:
    from cnlw_tools.plans.statistics import describe_invertibility
    from cnlw_tools.sources.formats.listing import enumerate_names

    for name, config in summary.configs.items():
        click.echo(f"{name:12} {_describe_config(config)}")
        if config.level is None:
            click.echo(f"{name:12} {describe_invertibility(summary.matrices[name])}")
    if summary.classes_without_validation:
        names = enumerate_names([repr(name) for name in summary.classes_without_validation])
        click.echo(f"note: classes with too few images to have one in validation: {names}")
    total = summary.total_bytes / 1e6
    new = summary.new_bytes / 1e6
    configs = "this config" if len(summary.configs) == 1 else "these configs"
    click.echo(
        f"{summary.folder}: {total:.1f} MB of images and rows of {configs}, {new:.1f} MB of them "
        f"written in {summary.seconds:.1f} s; {summary.folder_bytes / 1e6:.1f} MB in all"
    )
    last_config = list(summary.configs)[-1]
    click.echo(f'load_dataset("{summary.folder}", "{last_config}")')


def _describe_config(config: "ConfigCard") -> str:
    """Return the share of noise, the rows of each split and the digest of the plan."""
    noise = f"{100 * config.rate:7.3f} % noisy"
    if config.changed is not None:
        noise += f" ({100 * config.changed:.3f} % changed since level 0)"
    rows = ", ".join(f"{split} {n_rows:,}" for split, n_rows in config.rows.items())
    return f"{noise}   {rows}   plan {config.digest[:SHOWN_DIGITS]}"
