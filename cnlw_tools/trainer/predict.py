"""Predict the classes of a user's own images with the network of a run.

The network is the one that validation measured: `Method.predict`, with averages of weights if the
run has them, after the last epoch, or after the best one if the run kept its weights. Most methods
predict with their network alone, so only that is built. A method with a `predict` of its own is
built whole, with stand-ins for the data that it needs only to learn.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.methods import METHODS, Method, Task
from cnlw_tools.recipe.run_files import (
    BEST_WEIGHTS,
    CHECKPOINT,
    RunConfig,
    read_config,
    read_result,
)
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer import nets
from cnlw_tools.trainer.augment import compose
from cnlw_tools.trainer.batches import inference_batch_size
from cnlw_tools.trainer.errors import NonfinitePredictions
from cnlw_tools.trainer.nets.network import MakeNetwork, architecture_digest, build_own_network
from cnlw_tools.trainer.nets.weights import read_method_state, state_dict_mismatch
from cnlw_tools.trainer.network_input import NetworkInput, read_network_input
from cnlw_tools.trainer.stand_in import stand_in_task

MAX_PROBLEMS = 3  # that an error names
# Options of methods that require them, which the trainer handles instead of the method's class.
TRAINER_OPTIONS = ("noise_rate", "holdout")


class NamedImage(NamedTuple):
    """An image file by its name, which is read when it is needed."""

    name: str
    read: Callable[[], bytes]


class Predictor:
    """The network of a run, ready to predict.

    Args:
        run: folder of a run that has ended
        device: auto, cpu or cuda
        best: take the weights of the best epoch, which the run must have kept
        method: the class of a method of your own
        make_net: the function that makes a network of your own

    Raises:
        ValueError: the run has not ended or kept no such weights, a file of it is missing, or its
            method or network is one of your own and not given
        LookupError, OSError: the device, or a file that cannot be read
    """

    def __init__(
        self,
        run: Path,
        device: str = "auto",
        best: bool = False,
        method: type[Method] | None = None,
        make_net: MakeNetwork | None = None,
    ) -> None:
        self.device = devices.choose_device(device)
        devices.respect_quota()
        devices.keep_freed_memory()
        devices.enable_fast_kernels(self.device)
        config = read_config(run)
        self.input = read_network_input(run)
        state = read_method_state(_find_weights(run, best))
        method_class = method or _find_method(run, config)
        build_net = _network_maker(run, config, self.input, make_net)
        if method_class.predict is Method.predict:
            self.method = _load_network(run, build_net, state)
        else:
            task = stand_in_task(
                build_net,
                len(state["example_losses"]),
                len(self.input.classes),
                (self.input.height, self.input.width),
                int(config.preset["epochs"]),
                config.options.get("noise_rate"),
            )
            self.method = method_class(task, **without_trainer_options(config.options))
            _load_state(run, self.method, state)
        self.method.to(memory_format=torch.channels_last).to(self.device).eval()
        self._normaliser = self.input.normaliser(self.device)
        self._to_float = compose([])

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.uint8]) -> Tensor:
        """Return the probability of each class, (B, K), of images as the network takes them.

        Args:
            images: (B, 3, H, W)
        """
        batch = torch.from_numpy(images).to(self.device)
        keys = torch.zeros(len(batch), dtype=torch.int64, device=self.device)
        x = self._normaliser(self._to_float(batch, keys))
        with devices.autocast(self.device):
            logits = self.method.predict(x)
        n_nonfinite = int((~logits.isfinite()).any(1).sum())
        if n_nonfinite:
            raise NonfinitePredictions("your images", n_nonfinite, len(batch))
        return logits.float().softmax(1).cpu()


def predict_images(
    predictor: Predictor,
    images: Iterable[NamedImage],
    n_images: int,
    top: int = 1,
    threads: int = 1,
    progress: Progress = no_progress,
) -> pa.Table:
    """Return a row for each image: `image`, `prediction`, `confidence` and `problem`.

    The prediction is the name of a class, the confidence its probability. With a `top` of 3 there
    are `prediction_2`, `confidence_2` and so on. An image that cannot be read has only a problem.

    Args:
        predictor: the network
        images: to predict
        n_images: how many there are
        top: how many of the likeliest classes to return for each
        threads: how many threads read and decode
        progress: called with the stage, the images done and the images in all

    Raises:
        ValueError: no image can be read, or there are fewer classes than `top`
        OSError: this machine cannot read a file
    """
    network_input = predictor.input
    n_classes = len(network_input.classes)
    if not 1 <= top <= n_classes:
        raise ValueError(
            f"top = {top} is not allowed: give a number from 1 to {n_classes}, the number of "
            "classes"
        )
    batch_size = inference_batch_size(network_input.height, network_input.width)
    rows: list[dict[str, Any]] = []
    with ThreadPoolExecutor(threads) as pool:
        for chunk in _chunks(images, batch_size):
            pixels = list(pool.map(partial(_read_pixels, network_input), chunk))
            rows += _predict_chunk(predictor, chunk, pixels, top)
            progress("predict", len(rows), n_images)
    _check_any_read(rows)
    return pa.Table.from_pylist(rows, _schema(top))


def without_trainer_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a method's class takes, without those that the trainer handles."""
    return {name: value for name, value in options.items() if name not in TRAINER_OPTIONS}


def _find_weights(run: Path, best: bool) -> Path:
    """Return the file of a run with the weights to predict with.

    Raises:
        ValueError: the run has not ended, or it has not kept the best weights
    """
    if best:
        path = run / BEST_WEIGHTS
        if not path.exists():
            raise ValueError(
                f"{path}: this run did not keep the weights of its best epoch: "
                "train it with --keep-best, or predict with those of its last epoch"
            )
        return path
    if read_result(run) is None:
        raise ValueError(f"{run}: the run has not ended: finish it with `cnlw train --resume`")
    return run / CHECKPOINT


def _find_method(run: Path, config: RunConfig) -> type[Method]:
    """Return the method of a run.

    Raises:
        ValueError: it is one of your own
    """
    if config.method not in METHODS:
        raise ValueError(
            f"{run}: {config.method} is a method of your own, which the folder does not contain: "
            "use cnlw.predict(run, images, method=...) in Python, with its class"
        )
    return METHODS[config.method]


def _network_maker(
    run: Path,
    config: RunConfig,
    network_input: NetworkInput,
    make_net: MakeNetwork | None,
) -> Callable[[], nn.Module]:
    """Return a function that makes the network of a run, with new weights.

    Raises:
        ValueError: the network is one of your own, and not given or another one
    """
    n_classes = len(network_input.classes)
    image_size = (network_input.height, network_input.width)
    if config.architecture is None:
        return partial(nets.build_network, config.net, n_classes, image_size)
    remedy = "use cnlw.predict(run, images, net=...) in Python, with the function that makes it"
    if make_net is None:
        raise ValueError(
            f"{run}: {config.net} is a network of your own, which the folder does not contain: "
            f"{remedy}"
        )
    digest = architecture_digest(build_own_network(make_net, n_classes, image_size))
    if digest != config.architecture:
        raise ValueError(
            f"{run}: its network {config.net} has other layers than the one given: {remedy}"
        )
    return partial(build_own_network, make_net, n_classes, image_size)


def _load_network(
    run: Path, build_net: Callable[[], nn.Module], state: Mapping[str, Tensor]
) -> Method:
    """Return a method that predicts with the network alone."""
    method = Method(Task(build_net, n_examples=0, n_classes=0, epochs=1))
    net_state = {}
    for name, value in state.items():
        if name.startswith("net."):
            net_state[name.removeprefix("net.")] = value
    _load_state(run, method.net, net_state)
    return method


def _load_state(run: Path, module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Set the state of a network or a method.

    Raises:
        ValueError: it is of another version of the package
    """
    mismatch = state_dict_mismatch(module.state_dict(), state)
    if mismatch:
        raise ValueError(
            f"{run}: {mismatch} in its weights, because another version of the package wrote it: "
            "train it again"
        )
    module.load_state_dict(state)


def _chunks(images: Iterable[NamedImage], size: int) -> Iterator[list[NamedImage]]:
    """Yield images in lists of a size; the last may be shorter."""
    iterator = iter(images)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _read_pixels(network_input: NetworkInput, image: NamedImage) -> NDArray[np.uint8] | str:
    """Return the pixels of an image, (3, H, W), or why it cannot be read."""
    try:
        return network_input.read_pixels(image.read())
    except (ValueError, FileNotFoundError, PermissionError, IsADirectoryError) as error:
        return " ".join((getattr(error, "strerror", None) or str(error)).split())


def _predict_chunk(
    predictor: Predictor,
    images: Sequence[NamedImage],
    pixels: Sequence[NDArray[np.uint8] | str],
    top: int,
) -> list[dict[str, Any]]:
    """Return the rows of some images."""
    arrays = [array for array in pixels if not isinstance(array, str)]
    likeliest: Iterator[tuple[list[int], list[float]]] = iter(())
    if arrays:
        p = predictor.probabilities(np.stack(arrays))
        confidences, labels = p.topk(top, 1)
        likeliest = zip(labels.tolist(), confidences.tolist(), strict=True)
    rows = []
    for image, array in zip(images, pixels, strict=True):
        row: dict[str, Any] = {"image": image.name}
        if isinstance(array, str):
            row["problem"] = array
        else:
            row |= _name_classes(predictor.input.classes, *next(likeliest))
        rows.append(row)
    return rows


def _name_classes(
    classes: Sequence[str], labels: Sequence[int], confidences: Sequence[float]
) -> dict[str, Any]:
    """Return the columns of the likeliest classes of an image."""
    columns: dict[str, Any] = {}
    for rank, (label, confidence) in enumerate(zip(labels, confidences, strict=True), 1):
        columns[_column("prediction", rank)] = classes[label]
        columns[_column("confidence", rank)] = confidence
    return columns


def _schema(top: int) -> pa.Schema:
    fields = [pa.field("image", pa.string())]
    for rank in range(1, top + 1):
        fields.append(pa.field(_column("prediction", rank), pa.string()))
        fields.append(pa.field(_column("confidence", rank), pa.float32()))
    return pa.schema([*fields, pa.field("problem", pa.string())])


def _column(name: str, rank: int) -> str:
    return name if rank == 1 else f"{name}_{rank}"


def _check_any_read(rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise if no image could be read."""
    if any("problem" not in row for row in rows):
        return
    names = [f"{row['image']} ({row['problem']})" for row in rows[:MAX_PROBLEMS]]
    raise ValueError(
        f"none of the {len(rows):,} images can be read: {', '.join(names)}: "
        "give images that other programs can open"
    )
