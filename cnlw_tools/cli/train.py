"""``cnlw train``: a method learns from a build."""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cnlw_tools.cli.options import (
    CACHE,
    DECODE_THREADS,
    DEVICE,
    KEEP_BEST,
    PRESET,
    ROOT,
    SEED,
    GuessingCommand,
    PathOrAddress,
    find_root,
    pop_preset_changes,
    preset_options,
    read_level,
)
from cnlw_tools.registry.counts import count_things, list_first

if TYPE_CHECKING:
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.trainer import Trainer
    from cnlw_tools.trainer.run import Metrics

BUILDS = Path("builds")
USUAL_CONFIG = "red_40"  # what is trained on where no config is named
MAX_NAMES = 5  # of other configs that are printed
MAX_CLASSES_WITHOUT_TOP5 = 5


@click.command(cls=GuessingCommand)
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
    type=PathOrAddress(path_type=Path),
    help="Folder of a build, or its address.  [default: the newest build below builds/]",
)
@click.option(
    "--config", help="Config of the build.  [default: the only config of the build, or else red_40]"
)
@click.option(
    "--noise",
    help="Noise of the config; give it with --level instead of --config.  [default: none]",
)
@click.option(
    "--level",
    metavar="PERCENT",
    help="Level of the config; give it with --noise.  [default: none]",
)
@preset_options
@SEED
@click.option(
    "--seeds",
    metavar="N",
    help="Train one run for each seed from 0 to N-1, or in a list such as 0,1,5.  [default: none]",
)
@DEVICE
@click.option(
    "-o",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Option of the method (see `cnlw list methods`); may be repeated.",
)
@PRESET
@click.option(
    "--out",
    type=PathOrAddress(path_type=Path),
    help="Folder or address of the run; with --seeds, the parent folder of s0, s1 ...  "
    "[default: runs/BUILD/CONFIG/METHOD_sSEED]",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume the run in the folder --out; give the same options as before.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Delete the files of the run in the folder --out, and begin again.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Train for the few epochs that the key `quick` of the preset states.",
)
@KEEP_BEST
@click.option("--pretrained", is_flag=True, help="Begin with weights learned on ImageNet.")
@click.option(
    "--weights",
    type=PathOrAddress(path_type=Path),
    help="Begin with the weights in a file, or with those of a run (path or address).  "
    "[default: none]",
)
@click.option(
    "--compile", is_flag=True, help="Compile the network, which pays off in long runs on a GPU."
)
@click.option(
    "--graph",
    is_flag=True,
    help="Run training steps as a CUDA graph, which helps if the GPU waits for the CPU.",
)
@ROOT
@CACHE
@DECODE_THREADS
def train(
    build: Path | str | None,
    config: str | None,
    noise: str | None,
    level: str | None,
    **flags: Any,
) -> None:
    """Train a method on one config of a build, and print the top-1 accuracy on validation images.

    To distribute one run over N devices, use `torchrun --nproc-per-node N -m cnlw_tools train ...`.
    """
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.recipe.toml import parse_option
    from cnlw_tools.trainer import Trainer

    flags["root"] = find_root(flags["root"])
    seeds = _read_seeds(flags.pop("seeds"))
    changes = pop_preset_changes(flags)
    options = dict(map(parse_option, flags.pop("options")))
    folder = build or _find_build(flags["root"])
    percent = read_level(level) if level is not None else None
    config, reason = _find_config(folder, config, noise, percent)
    trainer = Trainer(folder, config, changes=changes, options=options, **flags)
    with exit_when_stopped(), ProgressBars() as bars:
        if seeds is None:
            TrainingScreen(trainer, bars, reason).fit()
        else:
            _fit_seeds(trainer, seeds, bars, reason)
    if _is_first_rank():
        place = "runs" if trainer.out is None else str(trainer.out)
        click.echo(f"next: cnlw report {shlex.quote(place)}", err=True)


def _read_seeds(text: str | None) -> list[int] | None:
    """Return the list of seeds, if there are several."""
    from cnlw_tools.trainer.seeds import parse_seeds

    if text is None:
        return None
    if click.get_current_context().get_parameter_source("seed") != ParameterSource.DEFAULT:
        raise ValueError("--seed and --seeds cannot be used together: give one of the two")
    return parse_seeds(text)


def _fit_seeds(trainer: "Trainer", seeds: Sequence[int], bars: "ProgressBars", reason: str) -> None:
    """Train with each seed, and print the mean of each result with its interval."""
    from cnlw_tools.executor.progress import fit_parts
    from cnlw_tools.recipe.run_files import TAIL
    from cnlw_tools.reports.statistics import mean_interval
    from cnlw_tools.reports.tables import format_mean_interval
    from cnlw_tools.trainer.seeds import fit_all, trainers_of_seeds

    def fit(member: "Trainer") -> "Metrics":
        return TrainingScreen(member, bars, reason).fit()

    results = fit_all(trainers_of_seeds(trainer, seeds), fit)
    names = {"last": "last", "best": "best", "mean10": f"mean of the last {TAIL}"}
    n_epochs = min(int(result["reported_epochs"] or result["epochs"]) for result in results)
    if n_epochs < TAIL:
        names["mean10"] = f"mean of the last {n_epochs}"
    parts = [f"{len(seeds)} seeds, mean ± half the 95 % interval of top-1 in %:"]
    for name, title in names.items():
        interval = mean_interval([result[name] for result in results])
        parts.append(f"{title} {format_mean_interval(interval)}")
    if _is_first_rank():
        click.echo(fit_parts(parts))


class TrainingScreen:
    """Prints what is trained, a line an epoch, and the results.

    Args:
        trainer: of the run
        bars: of its steps
        reason: why it learns from this config, if nobody named one
    """

    def __init__(self, trainer: "Trainer", bars: "ProgressBars", reason: str) -> None:
        self.trainer, self.bars, self.reason = trainer, bars, reason
        self.has_begun = False
        self.seconds: list[float] = []  # of each epoch of this process

    def fit(self) -> "Metrics":
        """Train, and return the result."""
        from cnlw_tools.executor.progress import fit_parts
        from cnlw_tools.recipe.run_files import format_result

        result = self.trainer.fit(self._move, self._print_epoch)
        self.bars.close()
        if _is_first_rank():
            parts = [f"top-1 on validation: {format_result(result)}", str(self.trainer.place)]
            click.echo(fit_parts(parts))
            if self.trainer.keep_best:
                click.echo(fit_parts([_describe_best(self.trainer, result)]))
        return result

    def _move(self, stage: str, done: int, total: int) -> None:
        """Move the bar; with the first step of training, say what is trained."""
        if not self.has_begun and stage.startswith("epoch"):
            self.has_begun = True
            self.bars.close()
            if _is_first_rank():
                self._print_request()
        self.bars(stage, done, total)

    def _print_request(self) -> None:
        """Print what is trained, on what, how and where."""
        from cnlw_tools.executor.progress import fit_parts

        words = self.trainer.describe()
        lines = [f"trains {words['method']} on {words['data']}"]
        if self.reason:
            lines.append(f"       ({self.reason})")
        adapted = self.trainer.adapted_values
        preset = f"preset {words['preset']}"
        if adapted:
            preset += f" ({', '.join(f'{name} {value}' for name, value in adapted.items())})"
        parts = [words["net"], preset]
        if "epochs" not in adapted:
            parts.append(count_things(int(words["epochs"]), "epoch"))
        if "batch_size" not in adapted:
            parts.append(f"batch {words['batch']}")
        parts += [f"seed {words['seed']}", f"on {words['device']}"]
        lines.append(f"with   {', '.join(parts)}")
        lines.append(f"into   {words['folder']}")
        if self.trainer.note:
            lines.append(f"note   {self.trainer.note}")
        for line in lines:
            click.echo(fit_parts([line]), err=True)

    def _print_epoch(self, metrics: "Metrics") -> None:
        """Print a line of an epoch; top-5 means nothing for five classes or fewer."""
        from cnlw_tools.executor.progress import fit_parts, format_duration

        self.bars.close()
        self.seconds.append(metrics["seconds"])
        if not _is_first_rank():
            return
        n_epochs = self.trainer.epochs
        epoch = f"{metrics['epoch']:{len(str(n_epochs))}}/{n_epochs}"
        parts = [f"epoch {epoch}", f"loss {metrics['train_loss']:.4f}"]
        parts.append(f"top-1 {metrics['val_top1']:6.2f} %")
        if self.trainer.n_classes > MAX_CLASSES_WITHOUT_TOP5:
            parts.append(f"top-5 {metrics['val_top5']:6.2f} %")
        parts.append(f"{metrics['seconds']:.1f} s")
        n_left = n_epochs - metrics["epoch"]
        if n_left:
            seconds_left = n_left * sum(self.seconds) / len(self.seconds)
            parts.append(f"{format_duration(seconds_left)} left")
        click.echo(fit_parts(parts))


def _describe_best(trainer: "Trainer", result: "Metrics") -> str:
    """Return where the weights of the best epoch are, and which epoch that is."""
    from cnlw_tools.recipe.run_files import BEST_WEIGHTS, find_best_epoch, read_metrics

    history = read_metrics(trainer.folder)
    epoch = find_best_epoch(history, result["epochs"], result["reported_epochs"])
    return f"{trainer.place}/{BEST_WEIGHTS}: the weights of epoch {epoch}, the best on validation"


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


def _find_config(
    build: Path | str, config: str | None, noise: str | None, level: int | None
) -> tuple[str, str]:
    """Return the name of the config to train on, and why it is this one if nobody named it."""
    from cnlw_tools.card.metadata import read_card
    from cnlw_tools.card.remote import card_folder
    from cnlw_tools.recipe.recipe import Recipe, config_name

    if config is not None and (noise or level is not None):
        raise ValueError(
            f"--config {config} cannot be used together with --noise and --level: name the config "
            "in one of these two ways"
        )
    if (noise is None) != (level is None):
        raise ValueError("--noise and --level must be given together: give both, or give --config")
    if config is not None:
        return config, ""
    if noise is not None:
        return config_name(Recipe("any", noise), level, {}), ""
    names = sorted(read_card(card_folder(build)).configs)
    if names == [USUAL_CONFIG]:
        return USUAL_CONFIG, "the only config of the build"
    if USUAL_CONFIG in names:
        alternatives = [name for name in names if name != USUAL_CONFIG]
        listed = list_first(alternatives, MAX_NAMES)
        return USUAL_CONFIG, f"the usual config; --config names another: {listed}"
    if len(names) > 1:
        raise ValueError(
            f"{build} holds {len(names)} configs: name one by --config: {', '.join(names)}"
        )
    return names[0], "the only config of the build"


def _is_first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"
