"""Learned and random policies, each image by its own: two operations out of fifteen, one after the other.

    AutoAugment     one of 25 pairs, all alike likely; each of the two is applied with the pair's own chance
    RandAugment     any two of the first fourteen, with one and the same level for all

Only the choice differs from image to image, so that a stage does to the whole batch, without looking,

    1. an affine warp, nearest pixel; (X, Y) counts from the middle, what comes from outside is grey:
           X' = X cos a - Y sin a + s_x (Y + H/2) - t_x
           Y' = X sin a + Y cos a + s_y (X + W/2) - t_y        out[X, Y] = in[X', Y']
    2. a table of 256 levels for each channel
    3. a blend with another image z:   f x + (1 - f) z,   f = 1 + magnitude

with parameters that change nothing where another operation was chosen. All of it on bytes; floats are rounded to
them. Operations are those of Pillow; levels run linearly over `RANGE`, 0 to 9 for AutoAugment, 0 to 30 for
RandAugment, and a magnitude that starts from 0 goes either way.

Sources: Cubuk, Zoph, Mane, Vasudevan and Le, "AutoAugment", 2019; Cubuk, Zoph, Shlens and Le,
"RandAugment", 2019; the ranges are those of torchvision.
"""

import math
from functools import cache

import torch
from torch import Tensor

from cnlw_tools.trainer.prng import Draw

RANGE = {  # magnitude at the lowest level and at the highest
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
NAMES = tuple(RANGE)
GREY = 128  # as in IEG; torchvision fills with black unless told otherwise
SIGNED = NAMES.index("posterize")  # the magnitudes of the operations before this one go either way
RANDOM = NAMES.index("invert")  # RandAugment chooses among those before this one

Step = tuple[str, float, int]  # operation, chance, level from 0 to 9
Policy = tuple[tuple[Step, Step], ...]
Parts = dict[str, Tensor]  # of each operation

CIFAR: Policy = (
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
IMAGENET: Policy = (
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
    """Apply the policy found on CIFAR-10."""
    return _learned(CIFAR, x, draw)


def auto_augment_imagenet(x: Tensor, draw: Draw) -> Tensor:
    """Apply the policy found on ImageNet."""
    return _learned(IMAGENET, x, draw)


def rand_augment(x: Tensor, draw: Draw, level: int = 9) -> Tensor:
    """Apply two random operations, which may be the same one."""
    x, magnitudes = _bytes(x), _levels(level, x.device)
    for stage in (0, 2):
        op = (draw(stage) * RANDOM).long()
        x = apply(x, op, _either_way(magnitudes[op], op, draw(stage + 1)))
    return x


def apply(x: Tensor, op: Tensor, magnitude: Tensor) -> Tensor:
    """Do to each image what its operation says.

    Args:
        x: (B, 3, H, W) bytes
        op: (B,) places in `NAMES`
        magnitude: (B,) in the units of `RANGE`
    """
    mask = op == torch.arange(len(NAMES), device=op.device)[:, None]  # (15, B)
    chosen = dict(zip(NAMES, mask[:, :, None, None], strict=True))  # each (B, 1, 1)
    amount = dict(zip(NAMES, torch.where(mask, magnitude, 0.0)[:, :, None, None], strict=True))
    return _blended(_levelled(_warped(x, amount), chosen, amount), chosen, amount)


def _learned(policy: Policy, x: Tensor, draw: Draw) -> Tensor:
    """Apply to each image one of the pairs of a policy."""
    pair = _table(policy, x.device)[(draw(0) * len(policy)).long()]  # (B, 2, 3)
    x = _bytes(x)
    for stage in (0, 1):
        op, chance, magnitude = pair[:, stage].unbind(1)
        op = torch.where(draw(1 + 2 * stage) < chance, op, 0).long()
        x = apply(x, op, _either_way(magnitude, op, draw(2 + 2 * stage)))
    return x


def _warped(x: Tensor, amount: Parts) -> Tensor:
    """Shear about the upper left corner, shift by whole pixels, rotate about the middle."""
    height, width = x.shape[2:]
    turn = amount["rotate"] * (math.pi / 180)
    right, down = (amount["translate_x"] * width).trunc(), (amount["translate_y"] * height).trunc()
    X = torch.arange(width, device=x.device) + (0.5 - width / 2)
    Y = (torch.arange(height, device=x.device) + (0.5 - height / 2))[:, None]
    column = (
        X * turn.cos() - Y * turn.sin() + amount["shear_x"] * (Y + height / 2) - right + width / 2
    )  # (B, H, W)
    row = X * turn.sin() + Y * turn.cos() + amount["shear_y"] * (X + width / 2) - down + height / 2
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    source = row.long().clamp(0, height - 1) * width + column.long().clamp(0, width - 1)
    moved = x.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, 3, -1)).view_as(x)
    return torch.where(inside[:, None], moved, GREY)


def _levelled(x: Tensor, chosen: Parts, amount: Parts) -> Tensor:
    """Look every level up in a table of its image and channel."""
    pixels = x.flatten(2)  # (B, 3, HW)
    index = pixels.long()
    v = torch.arange(256, dtype=torch.int32, device=x.device)
    step = 1 << (8 - amount["posterize"].int())
    beyond = chosen["invert"] | chosen["solarize"] & (v >= 255 * amount["solarize"])
    table = torch.where(
        beyond, 255 - v, torch.where(chosen["posterize"], v - v % step, v)
    )  # (B, 1, 256)
    table = torch.where(chosen["autocontrast"], _stretched(pixels, v), table)  # (B, 3, 256)
    table = torch.where(chosen["equalize"], _equalized(index, v), table)
    return table.byte().gather(2, index).view_as(x)


def _stretched(pixels: Tensor, v: Tensor) -> Tensor:
    """Return the table, (B, 3, 256), that takes the darkest level to 0 and the brightest to 255, if they differ."""
    low, high = pixels.amin(2, keepdim=True).int(), pixels.amax(2, keepdim=True).int()
    table = ((v - low) * 255 // (high - low).clamp(min=1)).clamp(0, 255)
    return torch.where(high > low, table, v)


def _equalized(index: Tensor, v: Tensor) -> Tensor:
    """Return the table, (B, 3, 256), that makes levels alike frequent: the pixels below a level, in steps.

    A step is a 255th of the pixels without those of the brightest level; where that is nothing, nothing changes.
    """
    one = torch.ones((), dtype=torch.int32, device=index.device)
    count = one.new_zeros(*index.shape[:2], 256).scatter_add_(2, index, one.expand_as(index))
    step = (index.shape[2] - count.gather(2, index.amax(2, keepdim=True))) // 255  # (B, 3, 1)
    below = count.cumsum(2, dtype=torch.int32) - count
    return torch.where(step > 0, ((below + step // 2) // step.clamp(min=1)).clamp(max=255), v)


def _blended(x: Tensor, chosen: Parts, amount: Parts) -> Tensor:
    """Move away from, or towards, black, the grey image, its mean, or the smoothed image."""
    y = x.float()
    r, g, b = y.unbind(1)  # (B, H, W)
    grey = (
        (19595 * r + 38470 * g + 7471 * b) / 65536 + 0.5
    ).floor()  # 0.299, 0.587, 0.114, exactly
    mean = (grey.mean((1, 2), keepdim=True, dtype=torch.float64) + 0.5).floor().float()
    flat = torch.where(chosen["color"], grey, torch.where(chosen["contrast"], mean, 0.0))[:, None]
    z = torch.where(chosen["sharpness"][..., None], _smooth(y), flat)
    f = 1 + amount["brightness"] + amount["color"] + amount["contrast"] + amount["sharpness"]
    return (y - z).mul_(f[..., None]).add_(z).clamp_(0, 255).byte()


def _smooth(x: Tensor) -> Tensor:
    """Average 3 x 3 pixels, the middle one five times; the border stays."""
    rows = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    out = x.clone()
    out[:, :, 1:-1, 1:-1] = ((total + 4 * x[:, :, 1:-1, 1:-1]) / 13).round()
    return out


def _bytes(x: Tensor) -> Tensor:
    return x if x.dtype == torch.uint8 else (x.float() * 255).round().byte()


def _either_way(magnitude: Tensor, op: Tensor, u: Tensor) -> Tensor:
    """Turn the sign of one magnitude in two, of those that have one."""
    return torch.where((u < 0.5) & (op < SIGNED), -magnitude, magnitude)


def _magnitude(name: str, level: float) -> float:
    """Return the magnitude at a share of the highest level; bits are whole."""
    low, high = RANGE[name]
    value = low + level * (high - low)
    return round(value) if name == "posterize" else value


@cache
def _table(policy: Policy, device: torch.device) -> Tensor:
    """Return (25, 2, 3): place of the operation, chance, magnitude. Copied to a device once."""
    rows = [
        [(NAMES.index(name), p, _magnitude(name, level / 9)) for name, p, level in pair]
        for pair in policy
    ]
    return torch.tensor(rows, dtype=torch.float32, device=device)


@cache
def _levels(level: int, device: torch.device) -> Tensor:
    """Return the magnitude of each operation, (15,). Copied to a device once."""
    return torch.tensor(
        [_magnitude(name, level / 30) for name in NAMES], dtype=torch.float32, device=device
    )
