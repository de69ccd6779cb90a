"""Learned and random policies that give each image two operations out of fifteen.

    AutoAugment     one of 25 pairs, all equally likely; each operation of the pair is applied with
                    its own probability
    RandAugment     any two of the first fourteen, all at the same level

Only the choice differs from image to image. Therefore a stage applies the same three steps to the
whole batch, with parameters that change nothing where another operation was chosen:

    1. an affine warp, nearest pixel; (X, Y) counts from the middle, and outside all is grey:
           X' = X cos a - Y sin a + s_x (Y + H/2) - t_x
           Y' = X sin a + Y cos a + s_y (X + W/2) - t_y        out[X, Y] = in[X', Y']
    2. a table of 256 levels for each channel
    3. a blend with another image z:   f x + (1 - f) z,   f = 1 + magnitude

All of it works on bytes; floats are rounded to them. Operations are those of Pillow; levels run
linearly over `MAGNITUDE_RANGES`, 0 to 9 for AutoAugment, 0 to 30 for RandAugment, and a magnitude
that starts from 0 takes a random sign.

Sources: Cubuk, Zoph, Mane, Vasudevan and Le, "AutoAugment", 2019; Cubuk, Zoph, Shlens and Le,
"RandAugment", 2019; the ranges are those of torchvision.
"""

import math
from functools import cache

import torch
from torch import Tensor

from cnlw_tools.trainer.prng import Draw

MAGNITUDE_RANGES = {  # magnitude at the lowest level and at the highest
    "identity": (0.0, 0.0),
    "shear_x": (0.0, 0.3),
    "shear_y": (0.0, 0.3),
    "translate_x": (0.0, 150 / 331),  # of the width
    "translate_y": (0.0, 150 / 331),
    "rotate": (0.0, 30.0),  # degrees
    "brightness": (0.0, 0.9),
    "color": (0.0, 0.9),
    "contrast": (0.0, 0.9),
    "sharpness": (0.0, 0.9),
    "posterize": (8.0, 4.0),  # bits that are kept
    "solarize": (1.0, 0.0),  # share of white from which on levels are inverted
    "autocontrast": (0.0, 0.0),
    "equalize": (0.0, 0.0),
    "invert": (0.0, 0.0),  # AutoAugment only
}
OPERATIONS = tuple(MAGNITUDE_RANGES)
GREY = 128  # as in IEG; torchvision fills with black by default
N_SIGNED = OPERATIONS.index("posterize")  # the operations before it take a random sign
N_RAND_AUGMENT = OPERATIONS.index("invert")  # RandAugment chooses among the operations before it

PolicyStep = tuple[str, float, int]  # operation, probability, level from 0 to 9
Policy = tuple[tuple[PolicyStep, PolicyStep], ...]
ByOperation = dict[str, Tensor]  # for each operation (B, 1, 1)

CIFAR_POLICY: Policy = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
)
IMAGENET_POLICY: Policy = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, 0)),
    (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
    (("equalize", 0.0, 0), ("equalize", 0.8, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, 0)),
    (("color", 0.4, 0), ("equalize", 0.6, 0)),
    (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
    (("invert", 0.6, 0), ("equalize", 1.0, 0)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
)


def auto_augment(x: Tensor, draw: Draw) -> Tensor:
    """Apply the policy that was learned on CIFAR-10."""
    return _apply_policy(CIFAR_POLICY, x, draw)


def auto_augment_imagenet(x: Tensor, draw: Draw) -> Tensor:
    """Apply the policy that was learned on ImageNet."""
    return _apply_policy(IMAGENET_POLICY, x, draw)


def rand_augment(x: Tensor, draw: Draw, level: int = 9) -> Tensor:
    """Apply two random operations, which may be the same one."""
    x = _to_bytes(x)
    magnitudes = _magnitudes_at(level, x.device)
    for stage in (0, 2):
        operation = (draw(stage) * N_RAND_AUGMENT).long()
        magnitude = _random_sign(magnitudes[operation], operation, draw(stage + 1))
        x = apply_operations(x, operation, magnitude)
    return x


def apply_operations(x: Tensor, operation: Tensor, magnitude: Tensor) -> Tensor:
    """Apply to each image its own operation.

    Args:
        x: (B, 3, H, W) bytes
        operation: (B,) positions in `OPERATIONS`
        magnitude: (B,) in the units of `MAGNITUDE_RANGES`
    """
    index = torch.arange(len(OPERATIONS), device=operation.device)
    mask = operation == index[:, None]  # (15, B)
    magnitudes = torch.where(mask, magnitude, 0.0)
    is_chosen = _by_operation(mask)
    amount = _by_operation(magnitudes)
    x = _warp(x, amount)
    x = _map_levels(x, is_chosen, amount)
    return _blend(x, is_chosen, amount)


def _by_operation(values: Tensor) -> ByOperation:
    """Return the rows of (15, B) values by the name of the operation."""
    return dict(zip(OPERATIONS, values[:, :, None, None], strict=True))


def _apply_policy(policy: Policy, x: Tensor, draw: Draw) -> Tensor:
    """Apply to each image one of the pairs of a policy."""
    x = _to_bytes(x)
    pair_index = (draw(0) * len(policy)).long()
    pairs = _policy_tensor(policy, x.device)[pair_index]  # (B, 2, 3)
    for stage in (0, 1):
        operation, probability, magnitude = pairs[:, stage].unbind(1)
        is_applied = draw(1 + 2 * stage) < probability
        operation = torch.where(is_applied, operation, 0).long()
        magnitude = _random_sign(magnitude, operation, draw(2 + 2 * stage))
        x = apply_operations(x, operation, magnitude)
    return x


def _warp(x: Tensor, amount: ByOperation) -> Tensor:
    """Shear about the upper left corner, shift by whole pixels, rotate about the middle."""
    height, width = x.shape[2:]
    angle = amount["rotate"] * (math.pi / 180)
    right = (amount["translate_x"] * width).trunc()
    down = (amount["translate_y"] * height).trunc()
    half_width = width / 2
    half_height = height / 2
    X = torch.arange(width, device=x.device) + (0.5 - half_width)
    Y = torch.arange(height, device=x.device) + (0.5 - half_height)
    Y = Y[:, None]
    sheared_right = amount["shear_x"] * (Y + half_height)
    sheared_down = amount["shear_y"] * (X + half_width)
    column = X * angle.cos() - Y * angle.sin()
    column = column + sheared_right - right + half_width  # (B, H, W)
    row = X * angle.sin() + Y * angle.cos()
    row = row + sheared_down - down + half_height
    has_column = (column >= 0) & (column < width)
    has_row = (row >= 0) & (row < height)
    source_row = row.long().clamp(0, height - 1)
    source_column = column.long().clamp(0, width - 1)
    source = source_row * width + source_column
    index = source.flatten(1)[:, None]
    moved = x.flatten(2).gather(2, index.expand(-1, 3, -1))
    moved = moved.view_as(x)
    is_inside = has_column & has_row
    return torch.where(is_inside[:, None], moved, GREY)


def _map_levels(x: Tensor, is_chosen: ByOperation, amount: ByOperation) -> Tensor:
    """Look every level up in a table of its image and channel."""
    pixels = x.flatten(2)  # (B, 3, HW)
    index = pixels.long()
    v = torch.arange(256, dtype=torch.int32, device=x.device)
    is_bright = v >= 255 * amount["solarize"]
    is_solarized = is_chosen["solarize"] & is_bright
    is_inverted = is_chosen["invert"] | is_solarized
    step = 1 << (8 - amount["posterize"].int())
    posterized = v - v % step  # (B, 1, 256)
    stretched = _autocontrast_table(pixels, v)  # (B, 3, 256)
    equalized = _equalize_table(index, v)
    table = torch.where(is_chosen["posterize"], posterized, v)
    table = torch.where(is_inverted, 255 - v, table)
    table = torch.where(is_chosen["autocontrast"], stretched, table)
    table = torch.where(is_chosen["equalize"], equalized, table)
    return table.byte().gather(2, index).view_as(x)


def _autocontrast_table(pixels: Tensor, v: Tensor) -> Tensor:
    """Return the table, (B, 3, 256), that maps the darkest level to 0 and the brightest to 255.

    A channel of one level stays as it is.
    """
    low = pixels.amin(2, keepdim=True).int()
    high = pixels.amax(2, keepdim=True).int()
    span = (high - low).clamp(min=1)
    table = (v - low) * 255 // span
    table = table.clamp(0, 255)
    return torch.where(high > low, table, v)


def _equalize_table(index: Tensor, v: Tensor) -> Tensor:
    """Return the table, (B, 3, 256), that makes all levels equally frequent.

    A level is mapped to the number of darker pixels, counted in steps. A step is a 255th of all
    pixels but those of the brightest level; if that is less than one pixel, nothing changes.
    """
    unit = torch.ones((), dtype=torch.int32, device=index.device)
    count = unit.new_zeros(*index.shape[:2], 256)
    count = count.scatter_add_(2, index, unit.expand_as(index))
    brightest = index.amax(2, keepdim=True)
    n_brightest = count.gather(2, brightest)
    n_pixels = index.shape[2]
    step = (n_pixels - n_brightest) // 255  # (B, 3, 1)
    n_darker = count.cumsum(2, dtype=torch.int32) - count
    table = (n_darker + step // 2) // step.clamp(min=1)
    return torch.where(step > 0, table.clamp(max=255), v)


def _blend(x: Tensor, is_chosen: ByOperation, amount: ByOperation) -> Tensor:
    """Move away from, or towards, black, the grey image, its mean, or the smoothed image."""
    y = x.float()
    r, g, b = y.unbind(1)  # (B, H, W)
    luminance = 19595 * r + 38470 * g + 7471 * b  # 0.299, 0.587, 0.114 of 65536, exactly
    grey = (luminance / 65536 + 0.5).floor()
    mean = grey.mean((1, 2), keepdim=True, dtype=torch.float64)
    mean = (mean + 0.5).floor().float()
    flat = torch.where(is_chosen["contrast"], mean, 0.0)
    flat = torch.where(is_chosen["color"], grey, flat)
    is_sharpened = is_chosen["sharpness"][..., None]
    z = torch.where(is_sharpened, _smooth(y), flat[:, None])
    f = 1 + amount["brightness"]
    f = f + amount["color"] + amount["contrast"]
    f = f + amount["sharpness"]
    blended = (y - z).mul_(f[..., None])
    blended = blended.add_(z).clamp_(0, 255)
    return blended.byte()


def _smooth(x: Tensor) -> Tensor:
    """Average 3 x 3 pixels, the middle one five times; the border stays."""
    upper = x[:, :, :-2]
    centre = x[:, :, 1:-1]
    lower = x[:, :, 2:]
    rows = upper + centre + lower
    total = rows[..., :-2] + rows[..., 1:-1]
    total = total + rows[..., 2:]
    middle = centre[..., 1:-1]
    smoothed = x.clone()
    smoothed_middle = smoothed[:, :, 1:-1, 1:-1]
    smoothed_middle.copy_(((total + 4 * middle) / 13).round())
    return smoothed


def _to_bytes(x: Tensor) -> Tensor:
    if x.dtype == torch.uint8:
        return x
    return (x.float() * 255).round().byte()


def _random_sign(magnitude: Tensor, operation: Tensor, u: Tensor) -> Tensor:
    """Negate each magnitude with probability 1/2, if its operation takes a random sign.

    Args:
        magnitude: (B,)
        operation: (B,) positions in `OPERATIONS`
        u: (B,) uniform numbers
    """
    is_negated = (u < 0.5) & (operation < N_SIGNED)
    return torch.where(is_negated, -magnitude, magnitude)


def _magnitude(name: str, level: float) -> float:
    """Return the magnitude of an operation at a level from 0 to 1; bits are whole."""
    low, high = MAGNITUDE_RANGES[name]
    value = low + level * (high - low)
    return round(value) if name == "posterize" else value


@cache
def _policy_tensor(policy: Policy, device: torch.device) -> Tensor:
    """Return (25, 2, 3): position of the operation, probability, magnitude.

    It is copied to a device only once.
    """
    rows = []
    for pair in policy:
        for name, probability, level in pair:
            position = OPERATIONS.index(name)
            magnitude = _magnitude(name, level / 9)
            rows.append((position, probability, magnitude))
    table = torch.tensor(rows, dtype=torch.float32, device=device)
    return table.view(len(policy), 2, 3)


@cache
def _magnitudes_at(level: int, device: torch.device) -> Tensor:
    """Return the magnitude of each operation at a level of RandAugment, (15,).

    It is copied to a device only once.
    """
    magnitudes = [_magnitude(name, level / 30) for name in OPERATIONS]
    return torch.tensor(magnitudes, dtype=torch.float32, device=device)
