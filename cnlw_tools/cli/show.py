"""``cnlw show``: what a plan or a build holds, or what people said of a dataset's candidates."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import ROOT, find_root
from cnlw_tools.cli.show_votes import show_votes

if TYPE_CHECKING:
    import pyarrow as pa


@click.command()
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--dataset", help="Show the votes of this dataset instead.")
@click.option("--config", "only", help="One config of a build.  [default: all]")
@click.option(
    "--matrix",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the realised matrices here, PNG.",
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="With --dataset: your copy of the images."
)
@ROOT
def show(
    path: Path | None,
    dataset: str | None,
    only: str | None,
    matrix: Path | None,
    data_dir: Path | None,
    root: Path | None,
) -> None:
    """Say what a plan or a build holds: rows, realised noise, sizes of classes; --matrix draws who was taken for whom.

    Without the shards' pixels; `cnlw validate` proves what this merely counts.

    --dataset D: how far people agree about its candidates, verdicts by class, annotators who stand out, and the
    highest level of red noise that each class has images for; as the recipe D_red says, if there is one.
    """
    if (path is None) == (dataset is None):
        raise click.UsageError("give a PATH, or a --dataset")
    if dataset is not None:
        show_votes(dataset, find_root(root), data_dir)
    if path is not None:
        _show(path, only, matrix)


def _show(path: Path, only: str | None, matrix: Path | None) -> None:
    from cnlw_tools.builds.diff import read_plans
    from cnlw_tools.registry import pick

    found = read_plans(path)
    chosen = found if only is None else {only: pick(found, only, "config")}
    names = _classes(path, chosen)
    for name, table in chosen.items():
        click.echo(f"{name:24} {_line(table, len(names))}")
    if matrix:
        _draw(matrix, chosen, names)
        click.echo(f"{matrix}: {len(chosen)} matrices, true class by given label, percent")


def _classes(path: Path, plans: Mapping[str, "pa.Table"]) -> tuple[str, ...]:
    """Return the class names; numbers where a plan alone does not say them."""
    from cnlw_tools.dataset import tables

    if path.is_dir():
        return tables.read_classes(path / "tables" / "classes.csv")
    return tuple(
        map(
            str,
            range(1 + max(table["label"].to_numpy().max(initial=0) for table in plans.values())),
        )
    )


def _line(table: "pa.Table", classes: int) -> str:
    import numpy as np
    import pyarrow.compute as pc

    from cnlw_tools.plans.statistics import realised_stats

    rates = realised_stats(table, classes)
    splits = ", ".join(_split(table, split) for split in pc.unique(table["split"]).to_pylist())
    given = np.bincount(
        table.filter(pc.equal(table["split"], "train"))["label"].to_numpy(), minlength=classes
    )
    noise = f"{100 * rates.rate:7.3f} % noisy, {100 * rates.foreign_rate:7.3f} % foreign images"
    return f"{noise}, {given.min():,} to {given.max():,} rows a given label; {splits}"


def _split(table: "pa.Table", split: str) -> str:
    """Say how many rows a split has, and beside train how many of them are noisy, if any."""
    import pyarrow.compute as pc

    rows = table.filter(pc.equal(table["split"], split))
    noisy = 0 if split == "train" else pc.sum(rows["is_noisy"]).as_py()
    return f"{split} {len(rows):,}" + (f" ({noisy:,} noisy)" if noisy else "")


def _draw(path: Path, plans: Mapping[str, "pa.Table"], classes: tuple[str, ...]) -> None:
    from cnlw_tools.card import heatmap
    from cnlw_tools.files import atomic_write
    from cnlw_tools.plans.statistics import realised_stats

    picture = heatmap.draw_matrices(
        [(name, realised_stats(table, len(classes)).matrix) for name, table in plans.items()],
        classes,
    )
    with atomic_write(path) as draft:
        picture.save(draft, "PNG")
