"""``cnlw build``: from recipe or flags to a folder that `datasets` loads."""

from pathlib import Path
from typing import Any

import click

from cnlw_tools.cli.options import (
    WORKERS,
    find_root,
    read_inputs,
    read_recipe_flags,
    recipe_options,
    storage_options,
)


@click.command()
@recipe_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the build.  [default: builds/DATASET]"
)
@storage_options
@WORKERS
def build(
    recipe: str | None, root: Path | None, out: Path | None, workers: int | None, **flags: Any
) -> None:
    """Build one level of noise, or all; what stands already is not built again.

    RECIPE is a TOML file or a name from `cnlw list recipes`; --dataset D --noise N means the recipe D_N.
    """
    from cnlw_tools.builds.build import build as run
    from cnlw_tools.cli.progress import Bars
    from cnlw_tools.executor import EXECUTORS
    from cnlw_tools.plans.statistics import describe_invertibility

    chosen = read_recipe_flags(recipe, find_root(root), flags)
    target = out or Path("builds") / chosen.dataset
    inputs = read_inputs(root, flags["data_dir"], flags["donors"], flags["store"])
    with EXECUTORS["local"](workers) as executor, Bars() as bars:
        done = run(chosen, inputs, target, executor, bars)
    for name, config in done.configs.items():
        rows = ", ".join(f"{split} {n:,}" for split, n in config.rows.items())
        changed = (
            ""
            if config.changed is None
            else f" ({100 * config.changed:.3f} % changed since level 0)"
        )
        click.echo(
            f"{name:12} {100 * config.rate:7.3f} % noisy{changed}   {rows}   plan {config.digest[:16]}"
        )
        if config.level is None:
            click.echo(f"{name:12} {describe_invertibility(done.matrices[name])}")
    size, new = done.total_bytes / 1e6, done.new_bytes / 1e6
    click.echo(
        f"{size:.1f} MB in {done.folder}, {new:.1f} MB of it written now, in {done.seconds:.1f} s"
    )
    click.echo(f'load_dataset("{done.folder}", "{list(done.configs)[-1]}")')
