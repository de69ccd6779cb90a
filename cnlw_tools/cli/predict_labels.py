"""``cnlw predict-labels``: labels by a network that learned from a few clean ones."""

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
    PathOrAddress,
    check_ending,
    find_root,
    pop_preset_changes,
    preset_options,
)
from cnlw_tools.cli.train import exit_when_stopped
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command("predict-labels")
@click.option(
    "--data",
    "build",
    required=True,
    metavar="BUILD",
    type=PathOrAddress(path_type=Path),
    help="Folder or address of a build that has a split `probe`.",
)
@click.option(
    "--config",
    required=True,
    help="Config to train on and to label; its level must be 0, as in blue_00_probe250.",
)
@click.option(
    "--out",
    required=True,
    type=PathOrAddress(dir_okay=False, path_type=Path),
    help="File or address of the side table to write; its name ends in .parquet.",
)
@preset_options
@PRESET
@SEED
@DEVICE
@ROOT
@CACHE
@DECODE_THREADS
def predict_labels(
    build: Path | str,
    config: str,
    out: Path | str,
    **flags: Any,
) -> None:
    """Train a network on the split `probe`, and write the labels that it predicts.

    The network labels all images except those of validation splits. The command writes a side table
    for semantic noise; its column of labels is named after the network. To use the labels, run
    `cnlw build --noise semantic --side-table OUT -o labels=NET`, where NET is this name. The
    training run is kept in a folder beside OUT, such as labels.labeller for labels.parquet. If the
    command is interrupted, run it again to resume.
    """
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.files.storage import with_ending
    from cnlw_tools.trainer import Trainer
    from cnlw_tools.trainer.labeller import train_and_label

    check_ending(out, ".parquet", "labels")
    flags["root"] = find_root(flags["root"])
    changes = pop_preset_changes(flags)
    labeller = Trainer(
        build,
        config,
        changes=changes,
        split="probe",
        out=with_ending(out, ".labeller"),
        resume=True,
        **flags,
    )
    with output_file(out) as path:
        with exit_when_stopped(), ProgressBars() as bars:
            labels = train_and_label(labeller, bars)
        column = changes["net"] or _preset_net(flags["preset"], build, flags["root"])
        _write_labels(labels, column, path)
    click.echo(f"{out}: column {column}, labels of {count_things(len(labels), 'image')}")


def _preset_net(preset: str | None, build: Path | str, root: Path) -> str:
    """Return the network of a preset; by default, of the one of the build's dataset."""
    from cnlw_tools.card.metadata import read_card
    from cnlw_tools.card.remote import card_folder
    from cnlw_tools.recipe.preset import preset_name_of, read_preset

    name = preset or preset_name_of(read_card(card_folder(build)).dataset, root)
    return read_preset(name, root).net


def _write_labels(labels: "Mapping[str, int]", column: str, path: Path) -> None:
    import pyarrow as pa

    from cnlw_tools.dataset import tables

    columns = {"image_id": list(labels), column: pa.array(labels.values(), pa.int32())}
    tables.write_parquet(pa.table(columns), path)
