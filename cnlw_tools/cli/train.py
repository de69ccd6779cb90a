"""``cnlw train``: a method learns from a build."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import (
    CACHE,
    DECODE_THREADS,
    DEVICE,
    PRESET,
    ROOT,
    SEED,
    find_root,
    pop_preset_changes,
    preset_options,
)

if TYPE_CHECKING:
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.trainer.run import Metrics

BUILDS = Path("builds")
USUAL_CONFIG = "red_40"  # what is trained on where no config is named


@click.command(short_help="Train a method on a build.")
@click.option(
    "--method",
    default="vanilla",
    show_default=True,
    help="Method to train; see `cnlw list methods`.",
)
@click.option(
    "--data",
    "build",
    metavar="BUILD",
    type=click.Path(path_type=Path),
    help="Folder of a build.  [default: the last one below builds/]",
)
@click.option("--config", help="Config of the build.  [default: its only one, else red_40]")
@click.option("--noise", help="Noise of the config; with --level, instead of --config.")
@click.option("--level", type=int, help="Level of the config in percent; with --noise.")
@preset_options
@SEED
@DEVICE
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the method, see `cnlw list methods`; may be repeated.",
)
@PRESET
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the run.  [default: runs/DATASET/CONFIG/METHOD]",
)
@click.option("--resume", is_flag=True, help="Resume the run in this folder.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Delete the run in this folder, its files alone, and begin again.",
)
@click.option("--quick", is_flag=True, help="Train a few epochs, to see that everything works.")
@click.option(
    "--keep-best",
    is_flag=True,
    help="Keep the weights of the epoch that is best on validation, in best.pt of the run.",
)
@click.option("--pretrained", is_flag=True, help="Begin with weights learned on ImageNet.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Begin with the weights of this file, or of the run in this folder.",
)
@click.option("--compile", is_flag=True, help="Compile the network; for long runs on a GPU.")
@ROOT
@CACHE
@DECODE_THREADS
def train(
    build: Path | None,
    config: str | None,
    noise: str | None,
    level: int | None,
    **flags: Any,
) -> None:
    """Train a method on one config of a build, and print its top-1 accuracy on validation.

    `torchrun --nproc-per-node N -m cnlw_tools train ...` trains on N devices together.
    """
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.recipe.run_files import format_result
    from cnlw_tools.recipe.toml import parse_option
    from cnlw_tools.trainer import Trainer

    flags["root"] = find_root(flags["root"])
    changes = pop_preset_changes(flags)
    options = dict(map(parse_option, flags.pop("options")))
    folder = build or _find_build(flags["root"])
    config = _find_config(folder, config, noise, level)
    trainer = Trainer(folder, config, changes=changes, options=options, **flags)
    if trainer.adapted_values and _is_first_rank():
        click.echo(f"the preset adapts to {folder}: {trainer.adapted_values}")
    with exit_when_stopped(), ProgressBars() as bars:
        result = trainer.fit(bars, lambda metrics: _print_epoch(bars, metrics))
    if _is_first_rank():
        click.echo(f"top-1 on validation: {format_result(result)}   {trainer.folder}")
        if trainer.keep_best:
            click.echo(_describe_best(trainer.folder, result))


def _describe_best(folder: Path, result: "Metrics") -> str:
    """Return where the weights of the best epoch are, and which epoch that is."""
    from cnlw_tools.recipe.run_files import BEST_WEIGHTS, find_best_epoch, read_metrics

    history = read_metrics(folder)
    epoch = find_best_epoch(history, result["epochs"], result["reported_epochs"])
    return f"{folder / BEST_WEIGHTS}: the weights of epoch {epoch}, the best on validation"


@contextmanager
def exit_when_stopped() -> Iterator[None]:
    """Exit with one line when a signal stopped training: with 143 for SIGTERM, 130 for Ctrl-C."""
    from cnlw_tools.trainer import TrainingStopped

    try:
        yield
    except TrainingStopped as stopped:
        click.echo(str(stopped), err=True)
        raise SystemExit(stopped.exit_code) from stopped


def _find_build(root: Path) -> Path:
    """Return the last build; where there is none, one of the embedded dataset is made."""
    from cnlw_tools.builds.build import last_build

    try:
        return last_build(BUILDS)
    except FileNotFoundError:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise  # all processes of torchrun would build it at once
        click.echo(f"{BUILDS}: no build here yet: building shapes, {USUAL_CONFIG}", err=True)
        return _build_shapes(root)


def _build_shapes(root: Path) -> Path:
    from cnlw_tools.builds.build import build
    from cnlw_tools.executor import EXECUTORS
    from cnlw_tools.recipe.inputs import Inputs
    from cnlw_tools.recipe.recipe import Recipe

    recipe = Recipe("shapes", "red", levels=(40,))
    with EXECUTORS["local"](None) as executor:
        return build(recipe, Inputs(root), BUILDS / "shapes", executor).folder


def _find_config(build: Path, config: str | None, noise: str | None, level: int | None) -> str:
    """Return the name of the config to train on."""
    from cnlw_tools.card.metadata import read_card
    from cnlw_tools.recipe.recipe import Recipe, config_name

    if config is not None and (noise or level is not None):
        raise ValueError(
            f"--config {config} excludes --noise and --level: use one way to name the config"
        )
    if (noise is None) != (level is None):
        raise ValueError("--noise and --level go together: give both, or --config")
    if config is not None:
        return config
    if noise is not None:
        return config_name(Recipe("any", noise), level, {})
    names = sorted(read_card(build).configs)
    if USUAL_CONFIG in names:
        return USUAL_CONFIG
    if len(names) > 1:
        raise ValueError(
            f"{build} holds {len(names)} configs: name one by --config: {', '.join(names)}"
        )
    return names[0]


def _is_first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _print_epoch(bars: "ProgressBars", metrics: "Metrics") -> None:
    bars.close()
    if _is_first_rank():
        click.echo(
            f"epoch {metrics['epoch']:3}   loss {metrics['train_loss']:.4f}   "
            f"top-1 {metrics['val_top1']:6.2f} %   top-5 {metrics['val_top5']:6.2f} %   "
            f"lr {metrics['lr']:.2g}   {metrics['seconds']:.1f} s   {metrics['peak_mb']} MB"
        )
