"""``cnlw build``: from a recipe to a folder that `datasets` loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import (
    ENGINE,
    SHARD,
    WORKERS,
    GuessingCommand,
    PathOrAddress,
    find_root,
    read_inputs,
    read_recipe_flags,
    recipe_options,
    storage_options,
)

if TYPE_CHECKING:
    from cnlw_tools.builds.build import BuildSummary, ShardSummary
    from cnlw_tools.card.metadata import ConfigCard
    from cnlw_tools.executor.work_shard import WorkShard

SHOWN_DIGITS = 10  # of the digest of a plan, so that the line of a config fits 80 columns


@click.command(cls=GuessingCommand)
@recipe_options
@click.option(
    "--out",
    type=PathOrAddress(path_type=Path),
    help="Folder to write the build to, or its address.  [default: builds/DATASET]",
)
@storage_options
@SHARD
@click.option(
    "--join",
    "joined_folders",
    type=PathOrAddress(path_type=Path),
    multiple=True,
    help="Take the files that --shard wrote to this folder or address; may be repeated.  "
    "[default: none]",
)
@click.option(
    "--previous",
    type=PathOrAddress(path_type=Path),
    metavar="BUILD",
    help="Earlier build, or its address; the card then says what changed.  [default: none]",
)
@ENGINE
@WORKERS
def build(
    recipe_name: str | None,
    root: Path | str | None,
    out: Path | str | None,
    shard: str | None,
    joined_folders: tuple[Path | str, ...],
    previous: Path | str | None,
    engine: str,
    workers: int | None,
    **flags: Any,
) -> None:
    """Build a dataset with noise at one or more levels; by default, at all levels of the recipe.

    RECIPE is a TOML file or a name from `cnlw list recipes`. Without RECIPE, give --noise N. The
    command then uses the recipe D_N of the dataset D (--dataset) or, if there is no such recipe,
    the default settings. Levels that the output folder (--out) already holds are not built again.

    With --shard 2/5, the command does the second of five parts of the work. The five commands can
    run at the same time. A final command without --shard completes the build and writes the card,
    which is the README.md that describes the build. All commands may share one --out. If each
    shard has its own, pass these folders to the final command with --join.
    """
    from cnlw_tools.cli.next_step import print_next, validate_command
    from cnlw_tools.executor import open_executor
    from cnlw_tools.executor.fork_server import BUILD_MODULES
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.executor.work_shard import parse_work_shard

    work_shard = None if shard is None else parse_work_shard(shard)
    if shard is not None:
        _check_shard_choices(shard, {"--join": joined_folders, "--previous": previous})
    recipe = read_recipe_flags(recipe_name, find_root(root), flags)
    folder = out or Path("builds") / recipe.dataset
    inputs = read_inputs(root, flags["data_dir"], flags["donors"], flags["store"])
    with open_executor(engine, workers, BUILD_MODULES) as executor, ProgressBars() as bars:
        # here, since another process begins to import the same when the executor is opened
        from cnlw_tools.builds.remote import build_at, build_shard_at

        if work_shard:
            shard_summary = build_shard_at(recipe, inputs, folder, work_shard, executor, bars)
        else:
            summary = build_at(recipe, inputs, folder, executor, bars, joined_folders, previous)
    if work_shard:
        _print_shard(shard_summary, work_shard, out)
    else:
        _print_summary(summary)
        place = summary.address or summary.folder
        print_next(validate_command(place, flags["data_dir"], flags["store"], flags["donors"]))


def _check_shard_choices(shard: str, choices_of_last: Mapping[str, Any]) -> None:
    """Raise if --shard is given with an option of the last command.

    Raises:
        ValueError: with the option
    """
    for option, value in choices_of_last.items():
        if value:
            raise ValueError(
                f"--shard {shard} cannot be given with {option}, which belongs to the final "
                "command: omit --shard"
            )


def _print_shard(summary: "ShardSummary", work_shard: "WorkShard", out: Path | str | None) -> None:
    """Print what one of several processes wrote."""
    from cnlw_tools.executor.progress import fit_parts
    from cnlw_tools.registry.counts import count_things

    place = out if isinstance(out, str) else summary.folder
    total, new = summary.total_bytes / 1e6, summary.new_bytes / 1e6
    n_files = f"{summary.n_files} of {count_things(summary.n_planned, 'file')}"
    text = (
        f"{place}: shard {work_shard} has {n_files}, {total:.1f} MB, {new:.1f} MB of them "
        f"written in {summary.seconds:.1f} s"
    )
    click.echo(fit_parts([text]))
    click.echo(
        "next: when all shards are done, the same command without --shard; if each shard has its "
        "own folder, with --join for the folder of each shard",
        err=True,
    )


def _print_summary(summary: "BuildSummary") -> None:
    """Print what was built, in lines that fit a terminal."""
    from cnlw_tools.cli.next_step import loading_call
    from cnlw_tools.executor.progress import fit_parts
    from cnlw_tools.plans.statistics import describe_invertibility
    from cnlw_tools.registry.counts import join_words

    for name, config in summary.configs.items():
        click.echo(fit_parts(_describe_config(name, config)))
        if config.level is None:
            click.echo(fit_parts([f"{name:12} {describe_invertibility(summary.matrices[name])}"]))
    if summary.classes_without_validation:
        names = join_words([repr(name) for name in summary.classes_without_validation])
        note = f"note: classes with too few images to have one in validation: {names}"
        click.echo(fit_parts([note]))
    click.echo(fit_parts([_describe_sizes(summary)]))
    place = summary.address or summary.folder
    click.echo(loading_call(place, list(summary.configs)[-1]))


def _describe_config(name: str, config: "ConfigCard") -> list[str]:
    """Return the share of noise, the rows of each split and the digest of the plan."""
    noise = f"{name:12} {100 * config.rate:7.3f} % noisy"
    if config.changed is not None:
        noise += f" ({100 * config.changed:.3f} % changed since level 0)"
    rows = ", ".join(f"{split} {n_rows:,}" for split, n_rows in config.rows.items())
    return [noise, rows, f"plan {config.digest[:SHOWN_DIGITS]}"]


def _describe_sizes(summary: "BuildSummary") -> str:
    """Return the bytes of these configs, of what is new, and of the whole folder."""
    from cnlw_tools.registry.counts import count_things

    total, new = summary.total_bytes / 1e6, summary.new_bytes / 1e6
    configs = "this config" if len(summary.configs) == 1 else "these configs"
    joined = f", {count_things(summary.n_joined, 'file')} joined" if summary.n_joined else ""
    place = summary.address or summary.folder
    return (
        f"{place}: {total:.1f} MB of images and rows of {configs}, {new:.1f} MB of them "
        f"written in {summary.seconds:.1f} s{joined}; {summary.folder_bytes / 1e6:.1f} MB in all"
    )
