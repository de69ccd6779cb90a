"""``cnlw train``: a method learns from what `cnlw build` wrote."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import DECODE_THREADS, ROOT, SEED, find_root

if TYPE_CHECKING:
    from cnlw_tools.cli.progress import Bars
    from cnlw_tools.trainer.run import Metrics

BUILDS = Path("builds")
USUAL = "red_40"  # the config that is trained on where none is named


@click.command()
@click.option("--method", default="vanilla", show_default=True, help="`cnlw list methods`.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of a build.  [default: the last one]"
)
@click.option("--config", help="A config of it: red_40.  [default: its only one, else red_40]")
@click.option("--noise", help="Instead of --config, with --level.")
@click.option("--level", type=int, help="Percent.")
@click.option("--net", help="A network; `cnlw list nets`.  [default: the preset's]")
@click.option("--epochs", type=int, help="[default: the preset's]")
@click.option("--batch-size", type=int, help="Over all processes.  [default: the preset's]")
@click.option("--lr", type=float, help="Highest learning rate.  [default: the preset's]")
@click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Another seed is another run."
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the method; may come again.",
)
@click.option("--preset", help="How to train: a name, or a .toml file.  [default: the dataset's]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the run.  [default: runs/DATASET/CONFIG/METHOD]",
)
@click.option("--resume", is_flag=True, help="Go on with the run that is there.")
@click.option("--quick", is_flag=True, help="The preset's few epochs, to see that all works.")
@click.option("--pretrained", is_flag=True, help="Begin with the weights that torchvision offers.")
@click.option(
    "--weights", type=click.Path(path_type=Path), help="Begin with the weights of a file."
)
@click.option("--compile", is_flag=True, help="Compile the network; pays in long runs on a GPU.")
@ROOT
@DECODE_THREADS
def train(
    data: Path | None, config: str | None, noise: str | None, level: int | None, **flags: Any
) -> None:
    """Train a method on one config of a build; the result is top-1 on validation, in percent.

    Started by `torchrun --nproc-per-node N -m cnlw_tools train ...` it trains on N devices together.
    """
    from cnlw_tools.cli.progress import Bars
    from cnlw_tools.recipe.toml import parse_option
    from cnlw_tools.trainer import Trainer

    flags["root"] = find_root(flags["root"])
    build = _build(data, flags["root"])
    changes = {key: flags.pop(key) for key in ("epochs", "batch_size", "lr")}
    options = dict(map(parse_option, flags.pop("options")))
    trainer = Trainer(
        build, _config(build, config, noise, level), changes=changes, options=options, **flags
    )
    with stoppable(), Bars() as bars:
        result = trainer.fit(bars, lambda line: _echo(bars, line))
    if os.environ.get("RANK", "0") == "0":
        said = "  ".join(f"{name} {result[name]:.2f} %" for name in ("last", "best", "mean10"))
        click.echo(f"top-1 on validation: {said}   {trainer.folder}")


@contextmanager
def stoppable() -> Iterator[None]:
    """Say in a line that training was asked to stop, and leave with 143 for SIGTERM, 130 for Ctrl-C."""
    from cnlw_tools.trainer import TrainingStopped

    try:
        yield
    except TrainingStopped as stopped:
        click.echo(str(stopped), err=True)
        raise SystemExit(stopped.exit_code) from stopped


def _build(data: Path | None, root: Path) -> Path:
    """Return the build to train on: the one named, the last one, or the embedded dataset, built now."""
    from cnlw_tools.builds.build import build, last_build
    from cnlw_tools.executor import EXECUTORS
    from cnlw_tools.recipe import recipe
    from cnlw_tools.recipe.inputs import Inputs

    if data is not None:
        return data
    try:
        return last_build(BUILDS)
    except FileNotFoundError:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise  # processes of torchrun would build it all at once
        click.echo(f"{BUILDS}: no build here yet: building shapes, red_40", err=True)
        chosen = recipe.parse_recipe(
            {"dataset": "shapes", "noise": "red", "levels": [40]}, "cnlw train"
        )
        with EXECUTORS["local"](None) as executor:
            return build(chosen, Inputs(root), BUILDS / "shapes", executor).folder


def _config(build: Path, config: str | None, noise: str | None, level: int | None) -> str:
    """Return the config to train on."""
    from cnlw_tools.card import metadata
    from cnlw_tools.recipe.recipe import Recipe, config_name

    if config is not None and (noise or level is not None):
        raise ValueError(
            f"--config {config} and --noise or --level say the same twice: give one of them"
        )
    if (noise is None) != (level is None):
        raise ValueError("--noise and --level go together: give both, or --config")
    if noise is not None:
        return config_name(Recipe("any", noise), level, {})
    configs = metadata.read_card(build).configs
    if config is None and len(configs) > 1 and USUAL not in configs:
        raise ValueError(
            f"{build} holds {len(configs)} configs: name one by --config: {', '.join(sorted(configs))}"
        )
    return config or (USUAL if USUAL in configs else next(iter(configs)))


def _echo(bars: "Bars", line: "Metrics") -> None:
    """Print the metrics of an epoch."""
    bars.close()
    if os.environ.get("RANK", "0") == "0":
        top1, top5 = line["val_top1"], line["val_top5"]
        said = f"loss {line['train_loss']:.4f}   top-1 {top1:6.2f} %   top-5 {top5:6.2f} %   lr {line['lr']:.2g}"
        click.echo(
            f"epoch {line['epoch']:3}   {said}   {line['seconds']:.1f} s   {line['peak_mb']} MB"
        )
