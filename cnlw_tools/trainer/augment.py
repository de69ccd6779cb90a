"""Augmentation of a whole batch on its device.

Every image has a key, from which all its random numbers follow. An operation takes images, bytes or
floats in [0, 1], and a function that draws its numbers, one for each image. Operations that move
pixels return bytes for bytes, since these are moved faster. No shape, no branch and no copy to the
host depends on a value, so the device never waits. How an image is changed depends on its key
alone, neither on its batch nor on the order, the device or the number of machines.

    flip             mirror left to right, with probability 1/2
    crop:P           P black pixels on each side, by default an eighth of the height above and
                     below and of the width left and right, and a random window of the old size
    cutout:S         a grey square of side S, by default half of the shorter side, its centre
                     anywhere
    resized_crop     a window of 8 % to 100 % of the area, 3:4 to 4:3, enlarged to the old size
    jitter           brightness + 32/255 at most, contrast and saturation x 0.5 to 1.5,
                     hue + 0.2 of the circle at most
    auto_augment, auto_augment_imagenet, rand_augment:M          see `auto_augment.py`

Sources: He et al. 2016 (crop); DeVries and Taylor 2017, Zhang et al. 2020 (cutout); Szegedy et al.
2015 (resized crop); Jiang et al. 2020 (jitter).
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

Operation = Callable[[Tensor, Draw], Tensor]  # (B, 3, H, W) -> the same shape; bytes or floats
Augmentation = Callable[[Tensor, Tensor], Tensor]  # (B, 3, H, W), (B,) keys -> (B, 3, H, W) floats

GREY = 0.5  # of cutout: 0, where images are scaled to [-1, 1]
N_TRIES = 10  # of a resized crop, before the whole image is taken; torchvision makes as many
AREA_RANGE = (0.08, 1.0)
ASPECT_RANGE = (3 / 4, 4 / 3)
BRIGHTNESS_RANGE = (-32 / 255, 32 / 255)
HUE_RANGE = (-0.2, 0.2)
FACTOR_RANGE = (0.5, 1.5)  # of contrast and saturation


def to_float(x: Tensor) -> Tensor:
    """Return images as float32 in [0, 1]."""
    if x.dtype == torch.uint8:
        return x.float() / 255
    return x.float()


def flip(x: Tensor, draw: Draw) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    width = x.shape[3]
    column = torch.arange(width, device=x.device)
    is_flipped = draw(0)[:, None] < 0.5
    source = torch.where(is_flipped, width - 1 - column, column)  # (B, W)
    return x.gather(3, source[:, None, None].expand_as(x))


def crop(x: Tensor, draw: Draw, padding: int | None = None) -> Tensor:
    """Pad with zeros and cut a window of the old size out at a random place.

    A row of a window is W neighbours in the padded batch, laid end to end.
    """
    batch, channels, height, width = x.shape
    vertical = height // 8 if padding is None else padding
    horizontal = width // 8 if padding is None else padding
    padded = pad(x, [horizontal, horizontal, vertical, vertical]).contiguous()
    padded_height = height + 2 * vertical
    padded_width = width + 2 * horizontal
    top = _uniform_integers(2 * vertical + 1, draw(0))
    left = _uniform_integers(2 * horizontal + 1, draw(1))
    window_row = torch.arange(height, device=x.device)
    row = top[:, None] + window_row  # (B, H)
    plane = torch.arange(batch * channels, device=x.device)
    first_row = padded_height * plane.view(batch, channels, 1)
    padded_row = first_row + row[:, None]  # (B, C, H)
    start = padded_row * padded_width
    start = start + left[:, None, None]
    windows = padded.flatten().unfold(0, width, 1)
    return windows.index_select(0, start.flatten()).view_as(x)


def cutout(x: Tensor, draw: Draw, side: int | None = None) -> Tensor:
    """Paint a square about a random pixel grey.

    The square takes the rows r - S // 2 <= i < r + S // 2 about pixel row r, columns likewise.
    """
    height, width = x.shape[2:]
    if side is None:
        side = min(height, width) // 2
    half = side // 2
    row = _uniform_integers(height, draw(0))
    column = _uniform_integers(width, draw(1))
    rows = _interval_mask(row, half, height)
    columns = _interval_mask(column, half, width)
    square = rows[:, :, None] & columns[:, None]  # (B, H, W)
    return torch.where(square[:, None], GREY, to_float(x))


def resized_crop(x: Tensor, draw: Draw) -> Tensor:
    """Enlarge a random window to the size of the image, bilinearly.

    Pixels outside the window have no influence.
    """
    height, width = x.shape[2:]
    h, w = _draw_window_size(draw, height, width)
    n_tops = height - h + 1
    n_lefts = width - w + 1
    first_draw = 2 * N_TRIES  # the draws before it are those of the window's size
    top = (draw(first_draw) * n_tops).floor()
    left = (draw(first_draw + 1) * n_lefts).floor()
    source_y = _source_coordinates(top, h, height)  # (B, H)
    source_x = _source_coordinates(left, w, width)  # (B, W)
    shape = (len(x), height, width)
    grid_y = source_y[:, :, None].expand(shape)
    grid_x = source_x[:, None].expand(shape)
    grid = torch.stack([grid_x, grid_y], 3)
    crops = grid_sample(to_float(x), grid, padding_mode="border", align_corners=True)
    return crops.clamp(0, 1)


def jitter(x: Tensor, draw: Draw) -> Tensor:
    """Change brightness, contrast, saturation and hue, and clip at the end.

    With probability 1/2 contrast comes before saturation and hue, otherwise after them.
    """
    contrast_first = draw(0) < 0.5
    contrast = _rescale(draw(1), FACTOR_RANGE)
    saturation = _rescale(draw(2), FACTOR_RANGE)
    brightness = _rescale(draw(3), BRIGHTNESS_RANGE)
    hue = _rescale(draw(4), HUE_RANGE)
    y = to_float(x) + brightness[:, None, None, None]
    y = _change_contrast(y, torch.where(contrast_first, contrast, 1.0))
    y = _change_saturation_and_hue(y, saturation, hue)
    y = _change_contrast(y, torch.where(contrast_first, 1.0, contrast))
    return y.clamp(0, 1)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "flip": flip,
    "crop": crop,
    "cutout": cutout,
    "resized_crop": resized_crop,
    "jitter": jitter,
    "auto_augment": auto_augment,
    "auto_augment_imagenet": auto_augment_imagenet,
    "rand_augment": rand_augment,
}
ARGUMENT_RANGES = {  # the numbers that may follow a name
    "crop": range(1, 1 << 10),
    "cutout": range(1, 1 << 10),
    "rand_augment": range(31),
}


def compose(names: Sequence[str]) -> Augmentation:
    """Return a function that applies operations one after another; without names, only `to_float`.

    It takes images and int64 keys. Each operation has its own random numbers, even if it is the
    same operation as another one.

    Raises:
        LookupError: no such operation
        ValueError: the text behind a name is not a number, or none that the operation takes
    """
    operations = [_parse_operation(name) for name in names]

    def augment(x: Tensor, key: Tensor) -> Tensor:
        for stream, operation in enumerate(operations):
            draw = partial(uniform, key, stream)
            x = operation(x, draw)
        return to_float(x)

    return augment


def _parse_operation(entry: str) -> Operation:
    """Return the operation that an entry such as ``crop:4`` means."""
    name, colon, number = entry.partition(":")
    operation = pick(OPERATIONS, name, "augmentation")
    if not colon:
        return operation
    allowed = ARGUMENT_RANGES.get(name)
    if allowed is None:
        raise ValueError(f"augmentation {entry!r}: {name} takes no number: write {name!r}")
    is_number = number.isascii() and number.isdecimal()
    if not is_number or int(number) not in allowed:
        limits = f"{allowed.start} to {allowed.stop - 1}"
        raise ValueError(
            f"augmentation {entry!r} is not allowed: write {name} alone, or with a whole "
            f"number from {limits}"
        )
    argument = int(number)
    return lambda x, draw: operation(x, draw, argument)


def _uniform_integers(n: int, u: Tensor) -> Tensor:
    """Turn uniform numbers on [0, 1) into integers from 0 to n - 1."""
    return (u * n).long()


def _rescale(u: Tensor, limits: tuple[float, float]) -> Tensor:
    """Turn uniform numbers on [0, 1) into uniform numbers between two limits."""
    low, high = limits
    return low + u * (high - low)


def _interval_mask(centre: Tensor, half: int, size: int) -> Tensor:
    """Return which of ``size`` pixels in a line lie in the square about a centre, (B, size)."""
    pixel = torch.arange(size, device=centre.device)
    distance = pixel - centre[:, None]
    return (distance >= -half) & (distance < half)


def _draw_window_size(draw: Draw, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Draw the height and width of a window, (B,) each: those of the first try that fits."""
    low, high = ASPECT_RANGE
    log_aspect_range = (math.log(low), math.log(high))
    h = torch.full_like(draw(0), height)
    w = torch.full_like(draw(0), width)
    for i in reversed(range(N_TRIES)):
        area_share = _rescale(draw(2 * i), AREA_RANGE)
        area = area_share * (height * width)
        aspect = _rescale(draw(2 * i + 1), log_aspect_range).exp()
        new_h = (area / aspect).sqrt().round()
        new_w = (area * aspect).sqrt().round()
        h_fits = (new_h > 0) & (new_h <= height)
        w_fits = (new_w > 0) & (new_w <= width)
        fits = h_fits & w_fits
        h = torch.where(fits, new_h, h)
        w = torch.where(fits, new_w, w)
    return h, w


def _source_coordinates(begin: Tensor, length: Tensor, size: int) -> Tensor:
    """Return where each pixel of an enlarged line comes from, (B, size).

    -1 is the first pixel of the image and 1 is the last.
    """
    scale = length / size
    centre = torch.arange(size, device=begin.device) + 0.5
    position = centre * scale[:, None] - 0.5
    last = length[:, None] - 1
    inside = torch.minimum(position.clamp(min=0), last)
    source = begin[:, None] + inside
    pixel_width = 2 / max(size - 1, 1)
    return source * pixel_width - 1


def _change_contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Spread each channel about its mean."""
    # In float64 the mean does not depend on the order in which a device sums.
    mean = x.mean((2, 3), keepdim=True, dtype=torch.float64).float()
    return mean + (x - mean) * factor[:, None, None, None]


def _change_saturation_and_hue(x: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Scale the saturation of HSV, up to 1, and turn the hue by a share of the circle.

    The value of HSV stays.

    v = max, c = max - min, s = c / v;   s <- min(f s, 1)   is   c <- c min(f, v / c)
    channel n = 5, 3, 1 of hue h in sixths:   v - c clip(min(k, 4 - k), 0, 1),   k = (n + h) mod 6
    """
    r, g, b = x.unbind(1)  # (B, H, W)
    v = x.amax(1)
    c = v - x.amin(1)
    d = c.clamp(min=1e-12)
    hue_if_red = (g - b) / d
    hue_if_green = 2 + (b - r) / d
    hue_if_blue = 4 + (r - g) / d
    h = torch.where(v == g, hue_if_green, hue_if_blue)
    h = torch.where(v == r, hue_if_red, h)
    turn = 6 * hue
    h = h + turn[:, None, None]
    factor = torch.minimum(v / d, saturation[:, None, None])
    c = c * factor.clamp(min=0)
    channels = []
    for n in (5, 3, 1):
        k = (n + h) % 6
        ramp = torch.minimum(k, 4 - k).clamp(0, 1)
        channels.append(v - c * ramp)
    return torch.stack(channels, 1)
