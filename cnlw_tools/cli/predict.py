"""``cnlw predict``: the network of a run predicts the classes of your own images."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import DECODE_THREADS, DEVICE, LocalPath, PathOrAddress
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LINES = 10  # about images that cannot be read


@click.command()
@click.argument("run", type=PathOrAddress(file_okay=False, path_type=Path))
@click.argument("images", metavar="FOLDER", type=LocalPath(path_type=Path))
@click.option(
    "--out",
    default=Path("predictions.csv"),
    show_default=True,
    type=PathOrAddress(dir_okay=False, path_type=Path),
    help="File or address to write to, .csv or .parquet.",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Number of most likely classes to write for each image.",
)
@click.option(
    "--best",
    is_flag=True,
    help="Use the weights of the best epoch, which `cnlw train --keep-best` saved.",
)
@click.option(
    "--config",
    help="Config whose images are used, if FOLDER is a build.  [default: the config of the run]",
)
@DEVICE
@DECODE_THREADS
def predict(
    run: Path | str,
    images: Path,
    out: Path | str,
    top: int,
    best: bool,
    config: str | None,
    device: str,
    decode_threads: int | None,
) -> None:
    """Predict the classes of the images in FOLDER with the network of the run RUN.

    RUN is a folder or an address. FOLDER is a folder of image files (subfolders are searched), a
    single image, or a build. Images are resized and normalised like the validation images of the
    run, even if the build that the run used no longer exists. The output contains the path of each
    image (its id, if FOLDER is a build), the predicted class and the probability of this class. If
    an image cannot be read, the column `problem` says why, and the command continues.
    """
    from cnlw_tools.dataset import tables
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.reports.own_images import predict_own_images
    from cnlw_tools.trainer.predict import Predictor
    from cnlw_tools.trainer.run_upload import copy_run

    suffix = Path(out).suffix
    if suffix not in (".csv", ".parquet"):
        raise ValueError(
            f"{out}: predictions are written as .csv or .parquet: give a name with one of "
            "these endings"
        )
    write = tables.write_csv if suffix == ".csv" else tables.write_parquet
    with output_file(out) as path, ProgressBars() as bars:
        folder = copy_run(run)
        predictor = Predictor(folder, device, best)
        table = predict_own_images(folder, images, predictor, config, top, decode_threads, bars)
        write(table, path)
    n_unread = _print_problems(table, out)
    n_predicted = count_things(len(table) - n_unread, "image")
    unread = f"; {n_unread:,} cannot be read" if n_unread else ""
    click.echo(f"{out}: predictions of {n_predicted}{unread}")


def _print_problems(table: "pa.Table", out: Path | str) -> int:
    """Print which images cannot be read, and why; return how many there are."""
    rows = table.select(["image", "problem"]).to_pylist()
    problems = [row for row in rows if row["problem"]]
    for row in problems[:MAX_LINES]:
        click.echo(f"{row['image']}: {row['problem']}", err=True)
    n_more = len(problems) - MAX_LINES
    if n_more > 0:
        click.echo(f"and {n_more:,} more: see the column problem of {out}", err=True)
    return len(problems)
