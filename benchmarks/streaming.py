"""What a step costs if its images are read from files, compared with images in memory.

python benchmarks/streaming.py [IMAGES] [ROUNDS] [NET ...]

A split that does not fit on the device is streamed: a thread reads the next two batches while the
network computes. The split is of random pixels at 224 px. IMAGES of them stand for ImageNet, since
a step costs the same for each image: the files are either in the page cache or dropped from it.

memory     the step on pixels in memory: order, pixels, views, network
streamed   the step with its images read in the thread; the files are in the page cache
from disk  the same; the files are dropped from the page cache before each round
waiting    as `from disk`, but each batch is read when the step asks for it, without a thread

In each of ROUNDS rounds, all four take 3 batches of 8 images, one after the other; another one
begins in each round. The milliseconds are medians. "More" compares a step with the step in memory
of the same round: the median of the ratios, and in brackets the quarters of them. Torch has one
thread, and the files are in TMPDIR, which must be on a disk. Processor seconds count the thread
too, so they hold on a busy machine.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from cnlw_tools.trainer import batches, nets
from cnlw_tools.trainer.augment import compose
from cnlw_tools.trainer.batches import BatchLoader
from cnlw_tools.trainer.data import Split

SIDE = 224  # pixels
N_CLASSES = 1000
BATCH = 8
N_BATCHES = 3  # in a round
CPU = torch.device("cpu")
WAYS = ("memory", "streamed", "from disk", "waiting")


def main(n_images: str = "1000", n_rounds: str = "4", *names: str) -> None:
    """Print a row for each network and way."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {n_images} images, {n_rounds} rounds\n")
    print("| net | images | ms a step | more | processor ms | more |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "pixels.npy"
        split = write_split(path, int(n_images))
        for net in names or ("conv_small", "resnet18"):
            print_rows(net, measure(net, split, path, int(n_rounds)))


def write_split(path: Path, n_images: int) -> Split:
    """Write random pixels to a file, and return them as a split."""
    rng = np.random.default_rng(0)
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (n_images, 3, SIDE, SIDE))
    for i in range(n_images):
        array[i] = rng.integers(0, 256, array.shape[1:], np.uint8)
    array.flush()
    places = np.arange(n_images)
    names = tuple(map(str, range(N_CLASSES)))
    return Split("train", [map_pixels(path)], places, places, places % N_CLASSES, names, "")


def map_pixels(path: Path) -> np.ndarray:
    """Return the pixels of the file as a memory map."""
    return np.load(path, mmap_mode="r")


def measure(
    net: str, split: Split, path: Path, n_rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Return the clock and processor milliseconds of a step in each round, by way."""
    loaders = {way: make_loader(split, way) for way in WAYS}
    take_step = stepper(net)
    order = np.random.default_rng(1)
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for i in range(n_rounds + 1):  # the first round warms up
        for way in [*WAYS[i % len(WAYS) :], *WAYS[: i % len(WAYS)]]:
            positions = torch.from_numpy(order.permutation(len(split))[: N_BATCHES * BATCH])
            if way in ("from disk", "waiting"):
                split.arrays[0] = None  # type: ignore[call-overload]  # a mapped page stays
                drop_from_cache(path)
                split.arrays[0] = map_pixels(path)
            else:
                split.read_images(positions.numpy())
            begin = time.perf_counter(), time.process_time()
            for batch in loaders[way].batches(torch.split(positions, BATCH), ("standard",), 0):
                take_step(batch.x, batch.y)
            if i > 0:
                spent = time.perf_counter() - begin[0], time.process_time() - begin[1]
                times[way].append((1000 * spent[0] / N_BATCHES, 1000 * spent[1] / N_BATCHES))
    return times


def make_loader(split: Split, way: str) -> BatchLoader:
    """Return the loader of a training set, with the views of the preset of ImageNet."""
    memory = batches.device_memory
    if way != "memory":
        batches.device_memory = lambda device: 0
    views = {"standard": compose(["resized_crop", "flip"])}
    loader = BatchLoader(split, CPU, 0, views, batches.imagenet_normaliser(CPU))
    batches.device_memory = memory
    if (loader.pixels.resident is None) == (way == "memory"):
        raise SystemExit(f"{len(split)} images do not fit into memory: give fewer")
    if way == "waiting":
        loader.pixels._read_ahead = lambda chunks: map(loader.pixels._read, chunks)  # type: ignore[method-assign, assignment, return-value]
    return loader


def stepper(name: str) -> Callable[[Tensor, Tensor], None]:
    """Return a function that takes a step of the network on a batch."""
    torch.manual_seed(0)
    net = nets.build_network(name, N_CLASSES, (SIDE, SIDE))
    net.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), 0.01)

    def take_step(x: Tensor, y: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        cross_entropy(net(x), y).backward()
        optimiser.step()

    return take_step


def drop_from_cache(path: Path) -> None:
    """Let the next reads of a file come from the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def print_rows(net: str, times: dict[str, list[tuple[float, float]]]) -> None:
    """Print the median of each way, and what it takes beyond the step on pixels in memory."""
    for way, rounds in times.items():
        cells = [net, way]
        for kind in (0, 1):  # of the clock, of the processor
            values = [pair[kind] for pair in rounds]
            base = [pair[kind] for pair in times["memory"]]
            cells += [f"{statistics.median(values):,.0f}", describe_ratios(values, base)]
        print(f"| {' | '.join(cells)} |", flush=True)


def describe_ratios(values: Sequence[float], base: Sequence[float]) -> str:
    """Return in percent how much larger values are than others of the same round."""
    percents = [100 * (value / other - 1) for value, other in zip(values, base, strict=True)]
    low, median, high = statistics.quantiles(percents, n=4, method="inclusive")
    return f"{median:+.1f} % [{low:+.1f}, {high:+.1f}]"


if __name__ == "__main__":
    main(*sys.argv[1:])
