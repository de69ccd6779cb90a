"""From a split to batches on the device: pixels, augmented views, and the order of an epoch.

The pixels are put on the device whole where they take less than half of its memory, and stream through a thread
that stays ahead where they do not. Order and augmentation are functions of seed, epoch and example, so a resumed
run, another device and another number of processes see the same.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnlw_tools import prng as host_dice
from cnlw_tools.methods import Batch
from cnlw_tools.registry import pick
from cnlw_tools.trainer import prng
from cnlw_tools.trainer.augment import Augmentation, compose
from cnlw_tools.trainer.data import Split
from cnlw_tools.trainer.nets.imagenet import IMAGENET_MEAN, IMAGENET_STD

AHEAD = 2  # batches that a streaming split prepares
PIXELS = 1 << 21  # of all images that are looked at together: 500 of 64 by 64
SAMPLE = 10_000  # images that the scale is taken from


class Pixels:
    """The images of a split on the device, or on their way there."""

    def __init__(self, split: Split, device: torch.device) -> None:
        self.split, self.device, self.whole = split, device, None
        if len(split) * int(np.prod(split.shape)) < memory(device) // 2:
            self.whole = torch.from_numpy(split.take(np.arange(len(split)))).to(device)

    def take(self, at: Tensor) -> Tensor:
        """Return the uint8 pixels of examples ``at``, (B,) on the host, as (B, 3, H, W) on the device."""
        if self.whole is not None:
            return self.whole[at.to(self.device, non_blocking=True)]
        found = torch.from_numpy(self.split.take(at.cpu().numpy()))
        return (
            found.pin_memory().to(self.device, non_blocking=True)
            if self.device.type == "cuda"
            else found
        )

    def stream(self, chunks: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each chunk of positions with its pixels, loading ahead where they are not on the device."""
        if self.whole is not None and chunks:
            every = torch.cat(list(chunks)).to(
                self.device
            )  # one copy: a copy a batch would wait for the device
            yield from (
                (at, self.whole[at]) for at in torch.split(every, [len(at) for at in chunks])
            )
            return
        with ThreadPoolExecutor(1) as loader:
            waiting = [loader.submit(self.take, at) for at in chunks[:AHEAD]]
            for i, at in enumerate(chunks):
                waiting += [
                    loader.submit(self.take, later) for later in chunks[i + AHEAD : i + AHEAD + 1]
                ]
                yield at, waiting.pop(0).result()


@dataclass(frozen=True, slots=True)
class Scale:
    """Brings pixels of [0, 1] to mean 0 and spread 1, channel by channel."""

    mean: Tensor  # (3, 1, 1)
    spread: Tensor  # (3, 1, 1)

    def __call__(self, x: Tensor) -> Tensor:
        """Scale (B, 3, H, W); on CUDA the channels come last in memory, as its convolutions like it."""
        form = torch.channels_last if x.device.type == "cuda" else torch.contiguous_format
        return ((x - self.mean) / self.spread).contiguous(memory_format=form)


class Feed:
    """A split as batches; what it yields depends on seed, epoch and positions alone."""

    def __init__(
        self,
        split: Split,
        device: torch.device,
        seed: int,
        views: Mapping[str, Augmentation],
        scale: Scale,
    ) -> None:
        self.pixels = Pixels(split, device)
        self.label = torch.from_numpy(split.label).to(device)
        self.seed, self.scale = seed, scale
        self.views = {"plain": compose([]), **views}

    def batches(
        self, chunks: Sequence[Tensor], views: Sequence[str], epoch: int
    ) -> Iterator[Batch]:
        """Yield a batch for each chunk of positions.

        Raises:
            LookupError: a view that is neither `plain` nor in the preset
        """
        for at, raw in self.pixels.stream(chunks):
            index = at.to(raw.device, non_blocking=True)
            yield self.batch(index, raw, views, prng.mix(prng.mix(index, self.seed), epoch))

    def iterate_dataset(self) -> Iterator[Batch]:
        """Yield the whole split in order, unaugmented, in the middle of which nothing else may draw."""
        yield from self.batches(
            torch.split(torch.arange(len(self.label)), self.at_once), ("plain",), 0
        )

    @property
    def at_once(self) -> int:
        """How many images are looked at together without a gradient: 500, fewer where they are large."""
        _, height, width = self.pixels.split.shape
        return max(1, min(500, PIXELS // (height * width)))

    def batch(self, index: Tensor, raw: Tensor, views: Sequence[str], key: Tensor) -> Batch:
        """Return the views of examples ``index``, (B,), changed as their keys, (B,), say."""
        changes = [pick(self.views, name, "view of the preset") for name in views]
        made = (self.scale(change(raw, prng.mix(key, i))) for i, change in enumerate(changes))
        return Batch(index, tuple(made), self.label[index])


def imagenet(device: torch.device) -> Scale:
    """Return the scale that networks of torchvision and timm learned with."""
    return Scale(
        *(torch.tensor(v, device=device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    )


def scale(split: Split, device: torch.device) -> Scale:
    """Return the scale of a training set, by its first 10,000 images: whole numbers are summed, so it is exact."""
    sums, many = np.zeros((2, 3), np.int64), min(len(split), SAMPLE)
    for begin in range(0, many, 500):
        wide = split.take(np.arange(begin, min(begin + 500, many))).astype(np.int64)
        sums += np.stack([wide.sum((0, 2, 3)), (wide * wide).sum((0, 2, 3))])
    mean, square = sums / (many * split.shape[1] * split.shape[2])
    spread = np.sqrt(np.maximum(square - mean**2, 1.0))  # of 255: pictures of one colour have none
    return Scale(
        *(
            torch.tensor(v / 255, dtype=torch.float32, device=device).view(3, 1, 1)
            for v in (mean, spread)
        )
    )


def order(rows: NDArray[np.int64], seed: int, epoch: int) -> Tensor:
    """Return the rows in the random order of an epoch, (m,) on the host."""
    draw = host_dice.uniform(host_dice.mix(rows.astype(np.uint64)), seed, epoch)
    return torch.from_numpy(rows[np.argsort(draw, kind="stable")])


def balanced(label: Tensor, classes: int) -> Callable[[int], Tensor]:
    """Return a function that draws so many positions, the same number of every class.

    Within a class they follow each other from a random one on, round and round: as many as there are, are all.
    """
    by_class = torch.argsort(label, stable=True)
    count = torch.bincount(label, minlength=classes)
    begin = count.cumsum(0) - count
    present = count.nonzero().flatten()

    def draw(many: int) -> Tensor:
        slot = torch.arange(many, device=label.device)
        first = (
            torch.rand((), device=label.device) * len(present)
        ).long()  # fewer than the classes: others each time
        of = present[(slot + first) % len(present)]
        offset = (torch.rand(classes, device=label.device) * count).long()
        return by_class[begin[of] + (offset[of] + slot // len(present)) % count[of]]

    return draw


def memory(device: torch.device) -> int:
    """Return the bytes of memory that a device has: free ones of a GPU, all of the host's."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
