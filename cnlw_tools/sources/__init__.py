"""Where images come from: one file per source, and one line per dataset in the table below."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cnlw_tools.dataset.dataset import DONOR_PREFIX, base_manifest_path, read_manifest_info
from cnlw_tools.dataset.tables import ManifestInfo
from cnlw_tools.recipe.inputs import ImageSource, Inputs, SourceOptions
from cnlw_tools.registry import ImportOnUse, pick
from cnlw_tools.sources.base import LocalSource, Source
from cnlw_tools.sources.checked import CheckedSource
from cnlw_tools.sources.composite import CompositeReader, Reader
from cnlw_tools.sources.white_noise import DISTRIBUTION_OF_DONOR, WhiteNoise
from cnlw_tools.store.pack import open_store

__all__ = [
    "SOURCES",
    "Source",
    "download_inputs",
    "has_source",
    "left_out",
    "open_donor",
    "open_donor_images",
    "open_images",
    "open_new_source",
    "open_reader",
    "open_source",
    "options_of",
    "read_source_info",
]

SOURCES: Mapping[str, type[Source]] = ImportOnUse(
    __name__,
    {
        "shapes": "shapes:Shapes",  # drawn from the image id alone
        "shapes_others": "shapes.others:ShapesOthers",  # things of none of its classes
        "cifar10": "cifar10:Cifar10",  # the official folder of pickled batches
        "cifar100": "cifar100:Cifar100",
        "cifar100_coarse": "cifar100:Cifar100Coarse",  # its 20 superclasses
        "mnist": "mnist:Mnist",
        "svhn": "svhn:Svhn",
        "svhn_extra": "svhn:SvhnExtra",  # with the easier digits
        "stanford_cars": "stanford_cars:StanfordCars",
        "stanford_cars_crop": "stanford_cars:StanfordCarsCrop",  # cut out by the boxes
        "imagenet": "imagenet:Imagenet",  # archives or class folders
        "mini_imagenet": "mini_imagenet:MiniImagenet",  # 100 classes, and the release of 2020
        "webvision": "webvision:WebVision",
        "webvision_mini": "webvision:WebVisionMini",  # 50 classes of what Google found
        "clothing1m": "clothing1m:Clothing1m",
        "food101n": "food101n:Food101n",
        "folder": "folder:Folder",  # your own class folders, or a CSV file
        "hf": "hf:HuggingFace",  # a dataset of Hugging Face
    },
)


def has_source(name: str, inputs: Inputs, manifest: Path | None = None) -> bool:
    """Return whether a source reads the images of a dataset; see `open_source`."""
    return _is_own(name, inputs) or read_source_info(name, inputs, manifest).source in SOURCES


def read_source_info(name: str, inputs: Inputs, manifest: Path | None = None) -> ManifestInfo:
    """Return which source reads the images of a dataset: as its base manifest says.

    Args:
        name: of the dataset
        inputs: where its tables lie
        manifest: the file of the base manifest. Default: the one in the folder of tables

    Raises:
        ValueError: the manifest cannot be read
    """
    return read_manifest_info(manifest or base_manifest_path(name, inputs.root), name)


def open_source(name: str, inputs: Inputs, manifest: Path | None = None) -> ImageSource:
    """Open the source of a dataset: the user's object, or the one that the base manifest names.

    The arguments are those of `read_source_info`.

    Raises:
        LookupError: there is no such source
        ValueError, OSError: its images are not where they should be
    """
    if inputs.source is not None and _is_own(name, inputs):
        return inputs.source
    info = read_source_info(name, inputs, manifest)
    if inputs.data_dir is None and name != info.source:
        _require_no_folder(name, info.source)
    return open_new_source(info, inputs.data_dir)


def _require_no_folder(name: str, source: str) -> None:
    """Raise if a source reads a folder: the message has the name that the user gave the dataset.

    Raises:
        LookupError: there is no such source
        ValueError: it needs the folder
    """
    cls = pick(SOURCES, source, "source of images")
    if issubclass(cls, LocalSource):
        raise ValueError(f"{name} needs --data-dir: {cls.layout}{cls.or_labels}")


def open_new_source(info: ManifestInfo, data_dir: Path | None) -> Source:
    """Open a source as a base manifest names it.

    Raises:
        LookupError: there is no such source
        ValueError, OSError: its images are not where they should be, or it has no such option
    """
    cls = pick(SOURCES, info.source, "source of images")
    if issubclass(cls, LocalSource) and cls.takes_options:
        open_part: Callable[[Path | None, SourceOptions], Source] = cls
        return open_part(data_dir, info.options)
    for option, value in info.options.as_block().items():
        raise ValueError(
            f"{info.source}: this source has no option {option} (here {value!r}): leave it out; "
            "only hf and stanford_cars have it"
        )
    return cls(data_dir)


def download_inputs(name: str, inputs: Inputs) -> Inputs:
    """Return inputs whose images lie here: a dataset of the Hub is downloaded, all at one commit.

    Raises:
        ValueError, OSError: the images are neither here nor on the Hub
    """
    is_here = inputs.data_dir is None or inputs.data_dir.exists()
    if is_here or not has_source(name, inputs):
        return inputs
    source = open_source(name, inputs)
    return replace(inputs, data_dir=getattr(source, "data_dir", inputs.data_dir))


def options_of(source: ImageSource) -> SourceOptions:
    """Return which part of the user's data a source reads, with the commit on the Hub."""
    return source.options if isinstance(source, LocalSource) else SourceOptions()


def left_out(source: ImageSource) -> Mapping[str, int]:
    """Return what a source left out of folders: the number of files by extension, and of links."""
    return source.left_out if isinstance(source, LocalSource) else {}


def open_images(
    name: str, inputs: Inputs, manifest: Path | None = None, prefix: str = ""
) -> CheckedSource:
    """Open the source of a dataset for reading: each image is compared with the base manifest.

    Args:
        name: of the dataset
        inputs: where its tables and images lie
        manifest: the file of the base manifest. Default: the one in the folder of tables
        prefix: what that file has before every id of the source

    Raises:
        LookupError: there is no such source
        ValueError, OSError: its images are not where they should be
    """
    source = open_source(name, inputs, manifest)
    return CheckedSource(source, manifest or base_manifest_path(name, inputs.root), prefix)


def open_donor(name: str, inputs: Inputs, tables: Path | None = None) -> Reader:
    """Open the source of a donor, or white noise; see `open_donor_images`."""
    if name in DISTRIBUTION_OF_DONOR:
        return WhiteNoise()
    return open_donor_images(name, inputs, tables)


def open_donor_images(name: str, inputs: Inputs, tables: Path | None = None) -> CheckedSource:
    """Open the source of a donor that is a dataset.

    Args:
        name: of the donor
        inputs: where its tables and images lie
        tables: the tables of a build. Default: the donor's own

    Raises:
        LookupError: there is no such donor
        ValueError, OSError: its images are not where they should be
    """
    donor_inputs = Inputs(inputs.root, inputs.donors.get(name))
    manifest = tables / f"{DONOR_PREFIX}{name}.parquet" if tables else None
    prefix = f"{name}/" if tables else ""
    try:
        return open_images(name, donor_inputs, manifest, prefix)
    except ValueError as error:
        raise ValueError(f"{error}; for a donor, use --donor {name}=DIR") from error


def open_reader(
    name: str | None, donors: Sequence[str], inputs: Inputs, tables: Path | None = None
) -> CompositeReader:
    """Open whatever the images of a dataset are read from: source, donors, and store of web images.

    Args:
        name: of the dataset; none: leave its own source out
        donors: names of the donors to open
        inputs: where the images lie
        tables: the tables of a build, to compare images with. Default: those of the datasets

    Raises:
        ValueError, OSError: one of them is not where it should be
    """
    base = tables / "base.parquet" if tables else None
    source_reader = open_images(name, inputs, base) if name else None
    donor_readers = {donor: open_donor(donor, inputs, tables) for donor in donors}
    store_reader = open_store(inputs.store) if inputs.store else None
    return CompositeReader(source_reader, donor_readers, store_reader)


def _is_own(name: str, inputs: Inputs) -> bool:
    """Return whether the images of a dataset are read by the user's object."""
    return inputs.source is not None and inputs.source.name == name
