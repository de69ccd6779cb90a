"""Where images come from: one file per source, and one line per dataset in the table below."""

from collections.abc import Mapping, Sequence

from cnlw_tools.recipe.inputs import ImageSource, Inputs
from cnlw_tools.registry import pick
from cnlw_tools.sources.base import Source
from cnlw_tools.sources.cifar10 import Cifar10
from cnlw_tools.sources.cifar100 import Cifar100, Cifar100Coarse
from cnlw_tools.sources.clothing1m import Clothing1m
from cnlw_tools.sources.composite import CompositeReader, Reader
from cnlw_tools.sources.folder import Folder
from cnlw_tools.sources.food101n import Food101n
from cnlw_tools.sources.hf import HuggingFace
from cnlw_tools.sources.imagenet import Imagenet
from cnlw_tools.sources.mini_imagenet import MiniImagenet
from cnlw_tools.sources.mnist import Mnist
from cnlw_tools.sources.shapes import Shapes
from cnlw_tools.sources.shapes.others import ShapesOthers
from cnlw_tools.sources.stanford_cars import StanfordCars, StanfordCarsCrop
from cnlw_tools.sources.svhn import Svhn, SvhnExtra
from cnlw_tools.sources.webvision import WebVision, WebVisionMini
from cnlw_tools.sources.white_noise import DISTRIBUTION_OF_DONOR, WhiteNoise
from cnlw_tools.store.store import Store

__all__ = ["SOURCES", "Source", "has_source", "open_donor", "open_reader", "open_source"]

SOURCES: Mapping[str, type[Source]] = {
    "shapes": Shapes,  # drawn from the image id alone
    "shapes_others": ShapesOthers,  # things of none of its classes
    "cifar10": Cifar10,  # the official folder of pickled batches
    "cifar100": Cifar100,
    "cifar100_coarse": Cifar100Coarse,  # its 20 superclasses
    "mnist": Mnist,
    "svhn": Svhn,
    "svhn_extra": SvhnExtra,  # with the easier digits
    "stanford_cars": StanfordCars,
    "stanford_cars_crop": StanfordCarsCrop,  # cut out by the boxes
    "imagenet": Imagenet,  # archives or class folders
    "mini_imagenet": MiniImagenet,  # 100 of its classes, and the release of 2020
    "webvision": WebVision,
    "webvision_mini": WebVisionMini,  # 50 classes of what Google found
    "clothing1m": Clothing1m,
    "food101n": Food101n,
    "folder": Folder,  # your own class folders, or a csv file
    "hf": HuggingFace,  # a dataset of Hugging Face
}


def has_source(name: str, inputs: Inputs) -> bool:
    """Return whether a source reads the images of this name: the user's object, or one of ours."""
    return name in SOURCES or (inputs.source is not None and inputs.source.name == name)


def open_source(name: str, inputs: Inputs) -> ImageSource:
    """Open the source of a name.

    Raises:
        LookupError: there is no such source
        ValueError, OSError: its images are not where they should be
    """
    if inputs.source is not None and inputs.source.name == name:
        return inputs.source
    return pick(SOURCES, name, "source of images")(inputs.data_dir)


def open_reader(source: str | None, donors: Sequence[str], inputs: Inputs) -> CompositeReader:
    """Open whatever the images of a dataset are read from: source, donors, and store of web images.

    Args:
        source: name of the dataset's source; none: leave it out
        donors: names of the donors to open
        inputs: where the images lie

    Raises:
        ValueError, OSError: one of them is not where it should be
    """
    source_reader = open_source(source, inputs) if source else None
    donor_readers = {name: open_donor(name, inputs) for name in donors}
    store_reader = Store(inputs.store) if inputs.store else None
    return CompositeReader(source_reader, donor_readers, store_reader)


def open_donor(name: str, inputs: Inputs) -> Reader:
    """Open the source of a donor, or white noise.

    Raises:
        LookupError: there is no such donor
        ValueError, OSError: its images are not where they should be
    """
    if name in DISTRIBUTION_OF_DONOR:
        return WhiteNoise()
    return SOURCES[name](inputs.donors.get(name))
