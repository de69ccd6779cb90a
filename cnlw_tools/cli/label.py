"""``cnlw label``: a network that saw a small clean share says what the images of train show."""

from pathlib import Path
from typing import Any

import click

from cnlw_tools.cli.options import DECODE_THREADS, ROOT, SEED, find_root
from cnlw_tools.cli.train import stoppable


@click.command()
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of a build with a split `probe`.",
)
@click.option("--config", required=True, help="A config of it, of level 0: blue_00_probe250.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The side table, a .parquet file.",
)
@click.option("--net", help="A network; `cnlw list nets`.  [default: the preset's]")
@click.option("--preset", help="How to train: a name, or a .toml file.  [default: the dataset's]")
@click.option("--epochs", type=int, help="[default: the preset's]")
@click.option("--batch-size", type=int, help="[default: the preset's]")
@click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Another seed is another run."
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@ROOT
@DECODE_THREADS
def label(
    data: Path,
    config: str,
    out: Path,
    net: str | None,
    epochs: int | None,
    batch_size: int | None,
    **flags: Any,
) -> None:
    """Train a network on the split `probe` and write its labels of all images but validation: semantic noise.

    The column is called like the network: `cnlw build --noise semantic --side-table OUT -o labels=NET`. The network's run
    lies beside the table, in OUT.labeller; the same command goes on with it.
    """
    import pyarrow as pa

    from cnlw_tools.cli.progress import Bars
    from cnlw_tools.dataset import tables
    from cnlw_tools.recipe import preset
    from cnlw_tools.trainer import Trainer
    from cnlw_tools.trainer.labeller import train_and_label

    if out.suffix != ".parquet":
        raise ValueError(f"{out}: labels are a .parquet file: name it so")
    flags["root"] = find_root(flags["root"])
    where: dict[str, Any] = {"split": "probe", "out": out.with_suffix(".labeller"), "resume": True}
    labeller = Trainer(
        data,
        config,
        net=net,
        changes={"epochs": epochs, "batch_size": batch_size},
        **where,
        **flags,
    )
    with stoppable(), Bars() as bars:
        found = train_and_label(labeller, bars)
    name = net or preset.read_preset(flags["preset"] or _dataset(data), flags["root"]).net
    tables.write_parquet(
        pa.table({"image_id": list(found), name: pa.array(found.values(), pa.int32())}), out
    )
    click.echo(f"{out}: column {name}, labels of {len(found):,} images")


def _dataset(build: Path) -> str:
    from cnlw_tools.card import metadata

    return metadata.read_card(build).dataset
