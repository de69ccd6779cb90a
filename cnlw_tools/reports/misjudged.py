"""Images whose loss misleads: clean ones with the highest loss, noisy ones with the lowest.

A method that trusts small losses takes the former for wrong. It takes the latter for right, having
learned their wrong labels. The losses are the cross-entropy of the given label in the last epoch of
one run of each method; examples without a loss are not shown.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from cnlw_tools.builds.ground_truth import Floats, Truth
from cnlw_tools.files.parquet import read_table
from cnlw_tools.images.pixels import decode
from cnlw_tools.registry.counts import count_things
from cnlw_tools.reports.context import ReportContext
from cnlw_tools.reports.detection import read_last_epoch
from cnlw_tools.reports.runs import RunFolder
from cnlw_tools.reports.trials import Trial

Ints = NDArray[np.int64]
N_IMAGES = 5  # of either kind
MAX_GALLERIES = 40
SIDE = 96  # pixels of the longer side of an image as shown
UNKNOWN = "not known"  # the true class of an image from elsewhere


class MisjudgedImage(NamedTuple):
    """One image with what was said of it."""

    image: Image.Image
    is_enlarged: bool  # in whole multiples, so that its pixels are to be seen
    given: str
    true: str
    loss: float


class MisjudgedGallery(NamedTuple):
    """The images whose loss misleads the most, of one run."""

    title: str
    run: str
    clean: list[MisjudgedImage]  # the highest loss first
    noisy: list[MisjudgedImage]  # the lowest loss first


def show_misjudged(context: ReportContext) -> tuple[list[MisjudgedGallery], list[str]]:
    """Return a gallery of each method on each kind of noise, at its noisiest config; and notes.

    The notes say what is not shown.
    """
    galleries: list[MisjudgedGallery] = []
    notes = []
    trials = _noisiest_trials(context)
    for trial in trials[:MAX_GALLERIES]:
        run = context.finished_runs(trial)[0]
        truth = context.truth(run)
        try:
            gallery = find_misjudged(trial, run, truth) if truth else None
        except (ValueError, OSError) as error:
            notes.append(str(error))
            continue
        if gallery:
            galleries.append(gallery)
    if len(trials) > MAX_GALLERIES:
        notes.append(f"{describe_unshown(len(trials) - MAX_GALLERIES)}.")
    return galleries, notes


def describe_unshown(n_methods: int) -> str:
    """Return how many methods are left out, without a full stop."""
    verb = "is" if n_methods == 1 else "are"
    return f"{count_things(n_methods, 'more method')} {verb} not shown"


def find_misjudged(trial: Trial, run: RunFolder, truth: Truth) -> MisjudgedGallery | None:
    """Return the images whose loss misleads the most; None if the run recorded no loss.

    Raises:
        ValueError, OSError: the build is not the one that the run learned from, or a file cannot be
            read
    """
    records = read_last_epoch(run, truth)
    if records is None:
        return None
    records = records.filter(pc.is_finite(records["loss"]))
    row = records["row"].to_numpy().astype(np.int64)
    loss = records["loss"].to_numpy().astype(np.float64)
    is_noisy = truth.noisy[row]
    order = np.lexsort((row, loss))  # of equal losses, the first row
    lowest_noisy = order[is_noisy[order]][:N_IMAGES]
    order = np.lexsort((row, -loss))
    highest_clean = order[~is_noisy[order]][:N_IMAGES]
    if not len(order):
        return None
    return MisjudgedGallery(
        title=f"{trial.method}: {trial.dataset}, {trial.config}",
        run=run.name,
        clean=_read_images(truth, row[highest_clean], loss[highest_clean]),
        noisy=_read_images(truth, row[lowest_noisy], loss[lowest_noisy]),
    )


def fit_image(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return an image as it is shown, and whether it is enlarged.

    Small images are enlarged in whole multiples, without blur; large ones are made smaller.
    """
    factor = SIDE // max(image.size)
    if factor > 1:
        size = (image.width * factor, image.height * factor)
        return image.resize(size, Image.Resampling.NEAREST), True
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image, False


def _noisiest_trials(context: ReportContext) -> list[Trial]:
    """Return the trial of each method with the most noise, for each dataset and kind of noise."""
    noisiest: dict[tuple[str, str, str], tuple[float, Trial]] = {}
    for trial in context.trials:
        run, *_ = context.finished_runs(trial)
        truth = context.truth(run)
        if truth is None or not truth.noisy.any():
            continue
        key = (trial.dataset, trial.noise, trial.method)
        share = float(truth.noisy.mean())
        if key not in noisiest or share > noisiest[key][0]:
            noisiest[key] = (share, trial)
    return [trial for _, trial in noisiest.values()]


def _read_images(truth: Truth, rows: Ints, losses: Floats) -> list[MisjudgedImage]:
    """Return images of the training split of a build, with what was said of them.

    Args:
        truth: of the build
        rows: (n,) of the training split, in the order of `datasets`
        losses: (n,)
    """
    train = truth.rows.filter(pc.equal(truth.rows["split"], "train"))
    labels = train.take(pa.array(rows))
    given_labels = labels["label"].to_pylist()
    true_labels = labels["clean_label"].to_pylist()
    encoded = _read_encoded(truth, rows)
    images = []
    for i, content in enumerate(encoded):
        image, is_enlarged = fit_image(decode(content))
        true_name = UNKNOWN if true_labels[i] is None else truth.classes[true_labels[i]]
        given_name = truth.classes[given_labels[i]]
        images.append(MisjudgedImage(image, is_enlarged, given_name, true_name, float(losses[i])))
    return images


def _read_encoded(truth: Truth, rows: Ints) -> list[bytes]:
    """Return the files of some images of the training split; each shard is read once."""
    encoded: dict[int, bytes] = {}
    start = 0
    for name in truth.file_names("train"):
        stop = start + len(truth.shards[name])
        rows_of_shard = [int(row) for row in rows if start <= row < stop]
        if rows_of_shard:
            column = read_table(truth.build / "data" / name, ["image"])["image"]
            for row in rows_of_shard:
                encoded[row] = column[row - start]["bytes"].as_py()
        start = stop
    return [encoded[int(row)] for row in rows]
