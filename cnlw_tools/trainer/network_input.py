"""What a network takes: the file network_input.json in the folder of a run.

With it, `cnlw predict` needs no build. A user's image is treated like a validation image: it is
stored as the build stores images, decoded, brought to the size of the preset, and normalised.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cnlw_tools.card import metadata
from cnlw_tools.files.texts import parse_json, read_text
from cnlw_tools.images import pixels
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.run_files import NETWORK_INPUT
from cnlw_tools.recipe.strict import between, read_dataclass
from cnlw_tools.trainer.batches import BatchLoader, Normaliser, channel_tensor
from cnlw_tools.trainer.pixel_cache import Resizing

LARGEST_SIDE = 1 << 15  # of an image, in pixels
REMEDY = "an older version of the package wrote the run, or the file is lost: train it again"


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """What the network of a run takes, and what its outputs are called."""

    classes: tuple[str, ...]  # by label
    height: int = field(metadata={"check": between(1, LARGEST_SIDE)})  # of the images, in pixels
    width: int = field(metadata={"check": between(1, LARGEST_SIDE)})
    storage: Storage  # of the build
    resizing: Resizing  # of the preset
    mean: tuple[float, float, float]  # of each channel, where pixels are from 0 to 1
    std: tuple[float, float, float]
    of_each_image: bool = False  # mean and deviation are those of the image

    def read_pixels(self, data: bytes) -> NDArray[np.uint8]:
        """Return the pixels of an image file as the network takes them, (3, H, W).

        An image that would still have another size is squashed to that of the network.

        Raises:
            ValueError: the file is not an image, or a part of it is missing
        """
        image = pixels.decode(pixels.encode_picture(data, self.storage))
        if self.resizing.side is not None:
            image = pixels.resize(image, self.resizing.side, self.resizing.resize)
        if image.size != (self.width, self.height):
            image = pixels.squash(image, self.width, self.height)
        return np.asarray(image).transpose(2, 0, 1)

    def normaliser(self, device: torch.device) -> Normaliser:
        """Return the normaliser that the images of the run had."""
        mean = channel_tensor(self.mean, device)
        std = channel_tensor(self.std, device)
        return Normaliser(mean, std, self.of_each_image)


def describe_input(build: Path, resizing: Resizing, loader: BatchLoader) -> NetworkInput:
    """Return what a network takes that learns from a split of a build.

    Args:
        build: the folder of the build
        resizing: of the preset
        loader: of the split
    """
    height, width = loader.split.image_size
    mean = loader.normaliser.mean.flatten().tolist()
    std = loader.normaliser.std.flatten().tolist()
    return NetworkInput(
        classes=loader.split.class_names,
        height=height,
        width=width,
        storage=metadata.read_card(build).images,
        resizing=resizing,
        mean=(mean[0], mean[1], mean[2]),
        std=(std[0], std[1], std[2]),
        of_each_image=loader.normaliser.of_each_image,
    )


def input_to_json(network_input: NetworkInput) -> str:
    """Return what network_input.json holds."""
    return json.dumps(asdict(network_input), indent=1) + "\n"


def read_network_input(folder: Path) -> NetworkInput:
    """Read what the network of a run takes.

    Raises:
        ValueError: network_input.json is missing, or not what `cnlw train` writes
    """
    path = folder / NETWORK_INPUT
    try:
        text = read_text(path, remedy=REMEDY)
    except FileNotFoundError:
        raise ValueError(f"{path}: the file is missing: {REMEDY}") from None
    return read_dataclass(NetworkInput, parse_json(text, str(path), REMEDY), str(path), REMEDY)
