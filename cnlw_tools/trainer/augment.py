"""Augmentation of a whole batch on its device: every image has a key, and its random numbers follow from it.

An operation takes images, bytes or floats in [0, 1], and what draws its numbers, one an image. One that moves
pixels gives bytes for bytes, since they are moved faster. No shape, no branch and no copy to the host depends
on a value, so the device never waits. What becomes of an image depends on its key alone, neither on its batch
nor on the order, the device or the number of machines.

    flip             left to right, one image in two
    crop:P           P black pixels on each side, by default an eighth of it, and a random window of the old size
    cutout:S         a grey square of side S, by default half an image, its centre anywhere in the image
    resized_crop     a window of 8 % to 100 % of the area, 3:4 to 4:3, enlarged to the old size
    jitter           brightness + 32/255 at most, contrast and saturation x 0.5 to 1.5, hue + 0.2 of the circle at most
    auto_augment, auto_augment_imagenet, rand_augment:M          see `auto_augment.py`

Sources: He et al. 2016 (crop); DeVries and Taylor 2017, Zhang et al. 2020 (cutout); Szegedy et al. 2015
(resized crop); Jiang et al. 2020 (jitter).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from cnlw_tools.registry import pick
from cnlw_tools.trainer.auto_augment import auto_augment, auto_augment_imagenet, rand_augment
from cnlw_tools.trainer.prng import Draw, uniform

Op = Callable[[Tensor, Draw], Tensor]  # (B, 3, H, W) -> the same, each of the two bytes or floats
Augment = Callable[[Tensor, Tensor], Tensor]  # (B, 3, H, W), (B,) keys -> (B, 3, H, W) floats

GREY = 0.5  # of cutout: 0, where images are scaled to [-1, 1]
TRIES = 10  # of a resized crop, before the whole image is taken; torchvision makes as many
AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
BRIGHTNESS, HUE = 32 / 255, 0.2  # either way
FACTOR = (0.5, 1.5)  # of contrast and saturation


def floats(x: Tensor) -> Tensor:
    """Return images as float32 in [0, 1]."""
    return x.float() / 255 if x.dtype == torch.uint8 else x.float()


def flip(x: Tensor, draw: Draw) -> Tensor:
    """Mirror one image in two, left to right."""
    width = x.shape[3]
    at = torch.arange(width, device=x.device)
    source = torch.where(draw(0)[:, None] < 0.5, width - 1 - at, at)  # (B, W)
    return x.gather(3, source[:, None, None].expand_as(x))


def crop(x: Tensor, draw: Draw, padding: int | None = None) -> Tensor:
    """Pad with zeros and cut the old size out again, somewhere.

    A row of a window is W neighbours in the padded batch, laid end to end.
    """
    batch, channels, height, width = x.shape
    p = height // 8 if padding is None else padding
    padded = pad(x, [p, p, p, p]).contiguous()
    row = torch.arange(height, device=x.device) + _below(2 * p + 1, draw(0))[:, None]  # (B, H)
    plane = torch.arange(batch * channels, device=x.device).view(batch, channels, 1)
    start = (plane * (height + 2 * p) + row[:, None]) * (width + 2 * p) + _below(
        2 * p + 1, draw(1)
    )[:, None, None]
    return padded.flatten().unfold(0, width, 1).index_select(0, start.flatten()).view_as(x)


def cutout(x: Tensor, draw: Draw, side: int | None = None) -> Tensor:
    """Paint a square grey: rows r - S // 2 <= i < r + S // 2 about a random pixel, columns likewise."""
    height, width = x.shape[2:]
    half = (height // 2 if side is None else side) // 2
    rows = _near(_below(height, draw(0)), half, height)
    columns = _near(_below(width, draw(1)), half, width)
    return torch.where((rows[:, :, None] & columns[:, None])[:, None], GREY, floats(x))


def resized_crop(x: Tensor, draw: Draw) -> Tensor:
    """Enlarge a random window to the size of the image, bilinearly; what lies outside has no say."""
    height, width = x.shape[2:]
    h, w = _window(draw, height, width)
    top, left = (
        (draw(2 * TRIES) * (height - h + 1)).floor(),
        (draw(2 * TRIES + 1) * (width - w + 1)).floor(),
    )
    down, across = _line(top, h, height), _line(left, w, width)
    shape = (len(x), height, width)
    grid = torch.stack([across[:, None].expand(shape), down[:, :, None].expand(shape)], 3)
    return grid_sample(floats(x), grid, padding_mode="border", align_corners=True).clamp(0, 1)


def jitter(x: Tensor, draw: Draw) -> Tensor:
    """Change brightness, then contrast, saturation and hue, or saturation, hue and contrast; clip at the end."""
    first = draw(0) < 0.5
    contrast, saturation = _between(FACTOR, draw(1)), _between(FACTOR, draw(2))
    y = floats(x) + _between((-BRIGHTNESS, BRIGHTNESS), draw(3))[:, None, None, None]
    y = _contrast(y, torch.where(first, contrast, 1.0))
    y = _recolour(y, saturation, _between((-HUE, HUE), draw(4)))
    y = _contrast(y, torch.where(first, 1.0, contrast))
    return y.clamp(0, 1)


OPS: dict[str, Callable[..., Tensor]] = {
    "flip": flip,
    "crop": crop,
    "cutout": cutout,
    "resized_crop": resized_crop,
    "jitter": jitter,
    "auto_augment": auto_augment,
    "auto_augment_imagenet": auto_augment_imagenet,
    "rand_augment": rand_augment,
}
NUMBERS = {
    "crop": range(1, 1 << 10),
    "cutout": range(1, 1 << 10),
    "rand_augment": range(31),
}  # what may follow a name


def compose(names: Sequence[str]) -> Augment:
    """Return what does to images one operation after another, by their keys, int64; none: only `floats`.

    The second operation has other numbers than the first, even if it is the same one.

    Raises:
        LookupError: no such operation
        ValueError: the number behind a name is none, or none that the operation takes
    """
    ops = [_parsed(name) for name in names]

    def augment(x: Tensor, key: Tensor) -> Tensor:
        for stream, op in enumerate(ops):
            x = op(x, partial(uniform, key, stream))
        return floats(x)

    return augment


def _parsed(entry: str) -> Op:
    """Return the operation that an entry such as ``crop:4`` means."""
    name, colon, number = entry.partition(":")
    op = pick(OPS, name, "augmentation")
    if not colon:
        return op
    allowed = NUMBERS.get(name)
    if allowed is None:
        raise ValueError(f"augmentation {entry!r}: {name} takes no number; write {name!r}")
    if not (number.isascii() and number.isdecimal()) or int(number) not in allowed:
        span = f"{allowed.start} to {allowed.stop - 1}"
        raise ValueError(f"augmentation {entry!r}: give {name} a whole number from {span}, or none")
    return lambda x, draw: op(x, draw, int(number))


def _below(n: int, u: Tensor) -> Tensor:
    """Return whole numbers from 0 to n - 1."""
    return (u * n).long()


def _between(span: tuple[float, float], u: Tensor) -> Tensor:
    return span[0] + u * (span[1] - span[0])


def _near(centre: Tensor, half: int, size: int) -> Tensor:
    """Say which pixels of a line of ``size`` are in the square, (B, size)."""
    gap = torch.arange(size, device=centre.device) - centre[:, None]
    return (gap >= -half) & (gap < half)


def _window(draw: Draw, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Draw the sides of a window, each (B,): those of the first try that fits."""
    h, w = torch.full_like(draw(0), height), torch.full_like(draw(0), width)
    for i in reversed(range(TRIES)):
        area = _between(AREA, draw(2 * i)) * (height * width)
        ratio = _between((math.log(RATIO[0]), math.log(RATIO[1])), draw(2 * i + 1)).exp()
        tall, wide = (area / ratio).sqrt().round(), (area * ratio).sqrt().round()
        fits = (tall > 0) & (tall <= height) & (wide > 0) & (wide <= width)
        h, w = torch.where(fits, tall, h), torch.where(fits, wide, w)
    return h, w


def _line(begin: Tensor, length: Tensor, size: int) -> Tensor:
    """Return where each pixel of a line comes from, (B, size), with -1 the first pixel of the image and 1 the last."""
    at = (torch.arange(size, device=begin.device) + 0.5) * (length / size)[:, None] - 0.5
    inside = torch.minimum(at.clamp(min=0), length[:, None] - 1)
    return (begin[:, None] + inside) * (2 / max(size - 1, 1)) - 1


def _contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Spread each channel about its mean."""
    mean = x.mean(
        (2, 3), keepdim=True, dtype=torch.float64
    ).float()  # so that no order of summing shows
    return mean + (x - mean) * factor[:, None, None, None]


def _recolour(x: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Scale the saturation of HSV, up to 1, and turn the hue by a share of the circle; the value stays.

    v = max, c = max - min, s = c / v;   s <- min(f s, 1)   is   c <- c min(f, v / c)
    channel n = 5, 3, 1 of hue h in sixths:   v - c clip(min(k, 4 - k), 0, 1),   k = (n + h) mod 6
    """
    r, g, b = x.unbind(1)  # (B, H, W)
    v = x.amax(1)
    c = v - x.amin(1)
    d = c.clamp(min=1e-12)
    h = (
        torch.where(v == r, (g - b) / d, torch.where(v == g, 2 + (b - r) / d, 4 + (r - g) / d))
        + 6 * hue[:, None, None]
    )
    c = c * torch.minimum(v / d, saturation[:, None, None]).clamp(min=0)
    turns = ((n + h) % 6 for n in (5, 3, 1))
    return torch.stack([v - c * torch.minimum(k, 4 - k).clamp(0, 1) for k in turns], 1)
