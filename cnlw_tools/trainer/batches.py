"""From a split to batches on the device: pixels, augmented views, and the order of an epoch.

The pixels are put on the device as a whole if they take less than half of its memory. Otherwise a
thread loads them ahead of their use. Order and augmentation are functions of seed, epoch and
example, so a resumed run, another device and another number of processes see the same.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cnlw_tools import prng as host_prng
from cnlw_tools.executor import limits
from cnlw_tools.methods import Batch
from cnlw_tools.registry import pick
from cnlw_tools.trainer import oom, prng
from cnlw_tools.trainer.augment import Augmentation, compose
from cnlw_tools.trainer.data import Split
from cnlw_tools.trainer.nets.imagenet import IMAGENET_MEAN, IMAGENET_STD

PREFETCH = 2  # batches that a streaming split loads ahead
PIXELS_AUGMENTED = 1 << 23  # together on a GPU: 64 batches of 128 images of 32 by 32
PIXELS_WITHOUT_GRADIENT = 1 << 21  # in one batch of inference: 500 images of 64 by 64
IMAGES_WITHOUT_GRADIENT = 500  # at most, in one batch of inference
NORMALISER_IMAGES = 10_000  # from which mean and standard deviation are taken
HOST_CHUNK = 500  # images that are read from the files and summed, or copied, at a time


class PixelLoader:
    """Loads the images of a split to the device, where they stay if there is room.

    Examples that show the same image share its pixels there.
    """

    def __init__(self, split: Split, device: torch.device) -> None:
        self.split = split
        self.device = device
        self.resident: Tensor | None = None  # (m, 3, H, W), all distinct images on the device
        _, first_position, resident_index = np.unique(
            split.image_index, return_index=True, return_inverse=True
        )
        self.resident_index = torch.from_numpy(resident_index).to(device)  # (n,)
        n_bytes = len(first_position) * int(np.prod(split.image_shape))
        if n_bytes < device_memory(device) // 2:
            self.resident = _put_on_device(split, first_position, device)

    def load(self, positions: Tensor) -> Tensor:
        """Return the uint8 pixels of examples, (B, 3, H, W) on the device.

        Args:
            positions: (B,)
        """
        if self.resident is None:
            return self._read(positions).to(self.device)
        positions = positions.to(self.device, non_blocking=True)
        return self.resident[self.resident_index[positions]]

    def stream(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each chunk of positions with its pixels, both on the device."""
        if not chunks:
            return
        # All positions are copied at once: a copy for each batch would wait for the device.
        positions = torch.cat(list(chunks)).to(self.device)
        on_device = torch.split(positions, [len(chunk) for chunk in chunks])
        if self.resident is not None:
            for chunk in on_device:
                yield chunk, self.resident[self.resident_index[chunk]]
            return
        for chunk, images in zip(on_device, self._read_ahead(chunks), strict=True):
            yield chunk, images.to(self.device, non_blocking=True)

    def _read_ahead(self, chunks: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the pixels of each chunk on the host, and read the next ones in a thread."""
        with ThreadPoolExecutor(1) as pool:
            futures = [pool.submit(self._read, chunk) for chunk in chunks[:PREFETCH]]
            for i in range(len(chunks)):
                next_i = i + PREFETCH
                if next_i < len(chunks):
                    futures.append(pool.submit(self._read, chunks[next_i]))
                yield futures.pop(0).result()

    def _read(self, positions: Tensor) -> Tensor:
        """Return the pixels of examples on the host, from where a GPU copies without waiting."""
        images = torch.from_numpy(self.split.read_images(positions.cpu().numpy()))
        return images.pin_memory() if self.device.type == "cuda" else images


def _put_on_device(split: Split, positions: NDArray[np.int64], device: torch.device) -> Tensor:
    """Return the images of m examples on a device, (m, 3, H, W) uint8.

    They pass the host a few at a time: a GPU may have more memory than its share of the host.
    """
    images = torch.empty((len(positions), *split.image_shape), dtype=torch.uint8, device=device)
    for begin in range(0, len(positions), HOST_CHUNK):
        chunk = split.read_images(positions[begin : begin + HOST_CHUNK])
        images[begin : begin + HOST_CHUNK] = torch.from_numpy(chunk)
    return images


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Brings pixels of [0, 1] to mean 0 and standard deviation 1, channel by channel."""

    mean: Tensor  # (3, 1, 1)
    std: Tensor  # (3, 1, 1)
    of_each_image: bool = False  # take mean and standard deviation of the image instead

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise (B, 3, H, W)."""
        if self.of_each_image:
            return normalise_each_image(x)
        return _for_convolutions((x - self.mean) / self.std)


def normalise_each_image(x: Tensor) -> Tensor:
    """Bring each image of (B, 3, H, W) to mean 0 and standard deviation 1 over all its numbers.

        (x - mean) / max(std, 1 / sqrt(n))        n = 3 H W, std in levels of 255

    As TensorFlow's `per_image_standardization` does, with which MentorNet was trained.
    """
    n_numbers = x[0].numel()
    mean = x.mean((1, 2, 3), keepdim=True)
    std = x.std((1, 2, 3), correction=0, keepdim=True)
    least = 1 / (255 * math.sqrt(n_numbers))
    return _for_convolutions((x - mean) / std.clamp(min=least))


def _for_convolutions(x: Tensor) -> Tensor:
    """Put the channels last in memory: convolutions are faster so, on processors and on CUDA."""
    return x.contiguous(memory_format=torch.channels_last)


class BatchLoader:
    """Yields a split in batches, which depend on seed, epoch and positions alone.

    Args:
        split: n examples
        device: of the batches
        seed: of the augmentations
        views: augmentations by name; `plain`, which changes nothing, is added
        normaliser: applied to each view
    """

    def __init__(
        self,
        split: Split,
        device: torch.device,
        seed: int,
        views: Mapping[str, Augmentation],
        normaliser: Normaliser,
    ) -> None:
        self.split = split
        self.pixels = PixelLoader(split, device)
        self.labels = torch.from_numpy(split.labels).to(device)
        self.device = self.labels.device
        self.seed = seed
        self.normaliser = normaliser
        self.views = {"plain": compose([]), **views}

    def batches(
        self,
        chunks: Sequence[Tensor],
        views: Sequence[str],
        epoch: int,
    ) -> Iterator[Batch]:
        """Yield a batch for each chunk of positions.

        Raises:
            LookupError: a view that is neither `plain` nor in the preset
        """
        n_batches = self._batches_at_once(chunks)
        blocks = [chunks[i : i + n_batches] for i in range(0, len(chunks), n_batches)]
        pixels = self.pixels.stream([torch.cat(list(block)) for block in blocks])
        for block, (positions, images) in zip(blocks, pixels, strict=True):
            keys = prng.mix(prng.mix(positions, self.seed), epoch)
            whole = self.make_batch(positions, images, views, keys)
            yield from _split_batch(whole, [len(chunk) for chunk in block])

    def _batches_at_once(self, chunks: Sequence[Tensor]) -> int:
        """Return how many batches are augmented together.

        On a GPU small operations cost as much as large ones; a processor wants them in its caches.
        """
        if self.device.type == "cpu" or not chunks:
            return 1
        height, width = self.split.image_size
        n_pixels = len(chunks[0]) * height * width
        return max(1, PIXELS_AUGMENTED // n_pixels)

    def make_batch(
        self,
        positions: Tensor,
        images: Tensor,
        views: Sequence[str],
        keys: Tensor,
    ) -> Batch:
        """Return augmented views of images.

        Args:
            positions: (B,)
            images: (B, 3, H, W) uint8, their pixels
            views: names of augmentations
            keys: (B,) int64, from which the random numbers of each image follow
        """
        augmented = []
        for i, name in enumerate(views):
            augmentation = pick(self.views, name, "view of the preset")
            view_keys = prng.mix(keys, i)
            view = augmentation(images, view_keys)
            augmented.append(self.normaliser(view))
        labels = self.labels[positions]
        return Batch(positions, tuple(augmented), labels)

    def draw_batch(self, positions: Tensor, views: Sequence[str]) -> Batch:
        """Return augmented views of examples, (B,); each call draws new augmentations."""
        keys = torch.randint(1 << 62, positions.shape, device=positions.device)
        images = self.pixels.load(positions)
        return self.make_batch(positions, images, views, keys)

    def iterate_dataset(self) -> Iterator[Batch]:
        """Yield the whole split in order and without augmentation."""
        positions = torch.arange(len(self.labels))
        yield from self.plain_batches(positions)

    def plain_batches(self, positions: Tensor) -> Iterator[Batch]:
        """Yield examples without augmentation, in batches for inference."""
        chunks = torch.split(positions, self.inference_batch_size)
        yield from self.batches(chunks, ("plain",), 0)

    @property
    def inference_batch_size(self) -> int:
        """Images in a batch that needs no gradient."""
        return inference_batch_size(*self.split.image_size)


def _split_batch(batch: Batch, sizes: list[int]) -> Iterator[Batch]:
    """Yield the parts of a batch, which share its memory."""
    tensors = (batch.index, batch.y, *batch.views)
    parts = [torch.split(tensor, sizes) for tensor in tensors]
    for index, y, *views in zip(*parts, strict=True):
        yield Batch(index, tuple(views), y)


def inference_batch_size(height: int, width: int) -> int:
    """Return how many images a batch has that needs no gradient: 500, fewer if they are large."""
    n_images = PIXELS_WITHOUT_GRADIENT // (height * width)
    return max(1, min(IMAGES_WITHOUT_GRADIENT, n_images))


def make_normaliser(
    pixel_scale: str,
    pretrained: bool,
    split: Split,
    device: torch.device,
) -> Normaliser:
    """Return how pixels of [0, 1] are scaled.

    Args:
        pixel_scale: of the preset
        pretrained: the weights are those of torchvision or timm
        split: the training set
        device: of the batches

    Raises:
        ValueError: published weights with another scale than that which they were learned with
    """
    if pretrained:
        if pixel_scale != "dataset":
            raise ValueError(
                f"pixel_scale = {pixel_scale!r} and --pretrained: published weights are for images "
                "in the scale of ImageNet: remove one of the two"
            )
        return imagenet_normaliser(device)
    half = channel_tensor([0.5] * 3, device)
    if pixel_scale == "image":
        return Normaliser(half, half, of_each_image=True)
    if pixel_scale == "range":
        return Normaliser(half, half)
    return fit_normaliser(split, device)


def imagenet_normaliser(device: torch.device) -> Normaliser:
    """Return the normaliser with which networks of torchvision and timm were trained."""
    return Normaliser(
        channel_tensor(IMAGENET_MEAN, device),
        channel_tensor(IMAGENET_STD, device),
    )


def fit_normaliser(split: Split, device: torch.device) -> Normaliser:
    """Return the normaliser of a training set, from its first 10,000 images.

    Integers are summed, so it is exact.
    """
    total = np.zeros(3, np.int64)
    total_square = np.zeros(3, np.int64)
    n_images = min(len(split), NORMALISER_IMAGES)
    for begin in range(0, n_images, HOST_CHUNK):
        end = min(begin + HOST_CHUNK, n_images)
        images = split.read_images(np.arange(begin, end))
        levels = images.astype(np.int64)
        squares = levels * levels
        total += levels.sum((0, 2, 3))
        total_square += squares.sum((0, 2, 3))
    _, height, width = split.image_shape
    n_pixels = n_images * height * width
    mean = total / n_pixels
    variance = total_square / n_pixels - mean**2
    std = np.sqrt(np.maximum(variance, 1.0))  # at least 1 of 255: images may be of one colour
    return Normaliser(
        channel_tensor(mean / 255, device),
        channel_tensor(std / 255, device),
    )


def channel_tensor(values: ArrayLike, device: torch.device) -> Tensor:
    """Return a value for each channel as a (3, 1, 1) tensor."""
    tensor = torch.tensor(values, dtype=torch.float32, device=device)
    return tensor.view(3, 1, 1)


def shuffle(
    positions: NDArray[np.int64],
    seed: int,
    epoch: int,
) -> Tensor:
    """Return positions in the random order of an epoch, (m,) on the host."""
    keys = host_prng.mix(positions.astype(np.uint64))
    random_numbers = host_prng.uniform(keys, seed, epoch)
    order = np.argsort(random_numbers, kind="stable")
    return torch.from_numpy(positions[order])


def balanced_sampler(labels: Tensor, n_classes: int) -> Callable[[int], Tensor]:
    """Return a function that draws n positions, as many of each class as of the others.

    Within a class the positions follow each other cyclically from a random one on, so drawing as
    many as there are draws all of them. If n is smaller than the number of classes, the classes
    that are drawn change from call to call.
    """
    device = labels.device
    sorted_positions = torch.argsort(labels, stable=True)
    count = torch.bincount(labels, minlength=n_classes)
    begin = count.cumsum(0) - count  # of each class among the sorted positions
    present = count.nonzero().flatten()
    n_present = len(present)

    def draw(n: int) -> Tensor:
        first_class = (torch.rand((), device=device) * n_present).long()
        first_in_class = (torch.rand(n_classes, device=device) * count).long()
        slot = torch.arange(n, device=device)
        label = present[(slot + first_class) % n_present]
        lap = slot // n_present
        place_in_class = (first_in_class[label] + lap) % count[label]
        return sorted_positions[begin[label] + place_in_class]

    return draw


def device_memory(device: torch.device) -> int:
    """Return the memory of a device in bytes that this process may still take.

    On the host it is what a container or the machine allows, less what the process has taken.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return max(0, limits.memory() - oom.peak_memory(device))
