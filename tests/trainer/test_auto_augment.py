"""Policies: each operation against Pillow and torchvision, the choice as a loop over images."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torchvision.transforms.v2 import AutoAugment, AutoAugmentPolicy, RandAugment
from torchvision.transforms.v2 import functional as reference

from cnlw_tools.trainer import auto_augment
from cnlw_tools.trainer.auto_augment import (
    CIFAR_POLICY,
    IMAGENET_POLICY,
    MAGNITUDE_RANGES,
    N_RAND_AUGMENT,
    N_SIGNED,
    OPERATIONS,
)
from cnlw_tools.trainer.prng import mix, uniform

WARPS = OPERATIONS[1:6]
ENHANCERS = {
    "brightness": "Brightness",
    "color": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
}
POLICIES = [
    (auto_augment.auto_augment, CIFAR_POLICY, "CIFAR10"),
    (auto_augment.auto_augment_imagenet, IMAGENET_POLICY, "IMAGENET"),
]


def images(n, size, seed=0):
    """Images of noise, of slopes, of few levels and of one level, in turn."""
    height, width = size if isinstance(size, tuple) else (size, size)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 256, (n, 3, height, width), generator=generator)
    steepness = torch.rand(n, 3, height, 1, generator=generator)
    slope = (torch.linspace(10, 200, width) * steepness).long()
    kinds = torch.stack([noise, slope, noise // 60 * 60, noise[..., :1, :1].expand_as(noise)])
    return kinds[torch.arange(n) % 4, torch.arange(n)].byte()


def keys(n, seed=0):
    return mix(torch.arange(n), 98, seed)


def apply_to_all(x, name, magnitude):
    """Apply one operation to all images."""
    n = len(x)
    return auto_augment.apply_operations(
        x, torch.full((n,), OPERATIONS.index(name)), torch.full((n,), float(magnitude))
    )


def magnitudes(name):
    """Magnitudes of levels 0 to 9 with both signs where there are two, as float32 holds them."""
    actual = [auto_augment._magnitude(name, level / 9) for level in range(10)]
    actual = actual if name == "posterize" else np.float32(actual).tolist()
    return sorted({*actual, *(-m for m in actual if OPERATIONS.index(name) < N_SIGNED)})


def pillow(image, name, m):
    """One image by Pillow, (3, H, W) bytes."""
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    if name in ENHANCERS:
        picture = getattr(ImageEnhance, ENHANCERS[name])(picture).enhance(1 + m)
    elif name == "posterize":
        picture = ImageOps.posterize(picture, m)
    elif name == "solarize":
        picture = ImageOps.solarize(picture, round(255 * m, 3))
    elif name != "identity":
        picture = getattr(ImageOps, name)(picture)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def torchvision(x, name, m):
    """Images by torchvision, (B, 3, H, W) bytes."""
    height, width = x.shape[-2:]
    still = {"angle": 0.0, "scale": 1.0, "fill": 128}
    calls = {
        "shear_x": lambda: reference.affine(
            x, translate=[0, 0], shear=[math.degrees(math.atan(m)), 0.0], center=[0, 0], **still
        ),
        "shear_y": lambda: reference.affine(
            x, translate=[0, 0], shear=[0.0, math.degrees(math.atan(m))], center=[0, 0], **still
        ),
        "translate_x": lambda: reference.affine(
            x, translate=[int(m * width), 0], shear=[0.0, 0.0], **still
        ),
        "translate_y": lambda: reference.affine(
            x, translate=[0, int(m * height)], shear=[0.0, 0.0], **still
        ),
        "rotate": lambda: reference.rotate(x, m, fill=128),
        "brightness": lambda: reference.adjust_brightness(x, 1 + m),
        "color": lambda: reference.adjust_saturation(x, 1 + m),
        "contrast": lambda: reference.adjust_contrast(x, 1 + m),
        "sharpness": lambda: reference.adjust_sharpness(x, 1 + m),
        "posterize": lambda: reference.posterize(x, m),
        "solarize": lambda: reference.solarize(x, round(255 * m, 3)),
        "identity": lambda: x,
    }
    return calls[name]() if name in calls else getattr(reference, name)(x)


@pytest.mark.parametrize("size", [8, 33, (8, 33)])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in WARPS])
def test_pixels_are_pillows(name, size):
    """At every level colours are those of Pillow; autocontrast may round differently."""
    x = images(8, size)
    for m in magnitudes(name):
        expected = torch.stack([pillow(image, name, m) for image in x])

        assert (expected.int() - apply_to_all(x, name, m).int()).abs().max() <= (
            name == "autocontrast"
        )


TOLERANCE = {
    "color": 2,
    "contrast": 2,
    "sharpness": 1,
    "autocontrast": 1,
    "brightness": 1,
}  # of 255 levels


@pytest.mark.parametrize("size", [8, 33, (8, 33)])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in WARPS])
def test_pixels_are_torchvisions(name, size):
    """At every level colours are those of torchvision, up to its rounding."""
    x = images(8, size)
    for m in magnitudes(name):
        expected = torchvision(x, name, m)

        assert (expected.int() - apply_to_all(x, name, m).int()).abs().max() <= TOLERANCE.get(
            name, 0
        )


@pytest.mark.parametrize("size", [8, 15, 32, (12, 30), (30, 12)])
@pytest.mark.parametrize("name", WARPS)
def test_warps_are_torchvisions(name, size):
    """Shears, shifts and rotations are torchvision's, except pixels half way between two others."""
    x, top = images(4, size), MAGNITUDE_RANGES[name][1]
    for m in (
        torch.linspace(-top, top, 12).mul(0.99).tolist()
    ):  # off the levels, of which some put whole rows half way
        same = (torchvision(x, name, m) == apply_to_all(x, name, m)).all(1).float().mean()

        assert same >= 0.99


@pytest.mark.parametrize("name", WARPS)
def test_warps_at_the_levels(name):
    """At the levels of the policies all pixels are torchvision's, except those about half way."""
    size = 32
    x, middle = images(4, size), torch.arange(size, dtype=torch.float64) + 0.5
    for m in magnitudes(name):
        wrong = (torchvision(x, name, m) != apply_to_all(x, name, m)).any(1).any(0)
        axis, cross_axis = (
            (middle, middle[:, None]) if name == "shear_x" else (middle[:, None], middle)
        )
        source = (
            axis + m * cross_axis if name.startswith("shear") else torch.full((size, size), 0.5)
        )

        assert not (wrong & ((source - source.round()).abs() > 1e-5)).any()


def test_smallest_images():
    """Operations on neighbours and counts do not change images that are too small for them."""
    for height, width in ((1, 1), (2, 2), (1, 5), (3, 3)):
        x = images(8, 5)[:, :, :height, :width]
        sharp = apply_to_all(x, "sharpness", 0.9)

        assert torch.equal(x, apply_to_all(x, "equalize", 0))  # fewer than 255 pixels
        assert (height < 3) == torch.equal(x, sharp)
        assert x.shape == apply_to_all(x, "rotate", 20.0).shape


def test_one_level():
    """A channel of one level stays as it is: there is nothing to stretch or equalize."""
    x = torch.tensor([[0, 77, 255]]).byte()[:, :, None, None].expand(1, 3, 32, 32)

    assert torch.equal(x, apply_to_all(x, "autocontrast", 0))
    assert torch.equal(x, apply_to_all(x, "equalize", 0))


def test_one_batch_many_operations():
    """In a batch with all operations each image goes through its own, as if it were alone."""
    x, op = images(30, 17), torch.arange(30) % len(OPERATIONS)
    magnitude = torch.tensor(
        [magnitudes(OPERATIONS[i])[-(2 + b % 3) :][0] for b, i in enumerate(op.tolist())]
    ).float()
    expected = [
        apply_to_all(x[b : b + 1], OPERATIONS[i], magnitude[b]) for b, i in enumerate(op.tolist())
    ]

    assert torch.equal(torch.cat(expected), auto_augment.apply_operations(x, op, magnitude))


def operations_of_image(pairs, u):
    """The operations and magnitudes that one image goes through."""
    pair = pairs[int(u(0) * len(pairs))]
    for stage, (name, chance, level) in enumerate(pair):
        m = auto_augment._magnitude(name, level / 9)
        if u(1 + 2 * stage) < chance:
            yield (
                name,
                -m if u(2 + 2 * stage) < 0.5 and name not in ("posterize", "solarize") else m,
            )


@pytest.mark.parametrize(("op", "pairs", "_"), POLICIES)
def test_auto_augment(op, pairs, _):
    """An image goes through one of 25 pairs, each half with its own probability and sign."""
    x, key = images(120, 16), keys(120)
    actual = op(x, partial(uniform, key, 0))
    for image, k, y in zip(x.split(1), key, actual.split(1), strict=True):
        for name, m in operations_of_image(pairs, lambda i, k=k: uniform(k[None], 0, i).item()):
            image = apply_to_all(image, name, m)

        assert torch.equal(image, y)


@pytest.mark.parametrize("level", [0, 9, 30])
def test_rand_augment(level):
    """An image goes through two of fourteen operations, equally likely, at one level."""
    x, key, counts = images(140, 16), keys(140), dict.fromkeys(OPERATIONS, 0)
    actual = auto_augment.rand_augment(x, partial(uniform, key, 0), level)
    for image, k, y in zip(x.split(1), key, actual.split(1), strict=True):
        for stage in (0, 2):
            name = OPERATIONS[int(uniform(k[None], 0, stage).item() * 14)]
            m = auto_augment._magnitude(name, level / 30)
            back = uniform(k[None], 0, stage + 1).item() < 0.5 and name not in (
                "posterize",
                "solarize",
            )
            image = apply_to_all(image, name, -m if back else m)
            counts[name] += 1

        assert torch.equal(image, y)
    assert 0 == counts.pop("invert")
    assert 8 <= min(counts.values())  # of 20, give or take 4.3
    assert max(counts.values()) <= 33


def plain(name):
    return name.replace("_", "").lower()


@pytest.mark.parametrize(("_", "pairs", "name"), POLICIES)
def test_pairs_are_torchvisions(_, pairs, name):
    """The 25 pairs, their probabilities and levels are those of torchvision."""
    expected = AutoAugment(AutoAugmentPolicy[name])._policies

    assert [[(plain(op), p, level or 0) for op, p, level in pair] for pair in expected] == [
        [(plain(op), p, level) for op, p, level in pair] for pair in pairs
    ]


@pytest.mark.parametrize(("table", "bins"), [(AutoAugment, 10), (RandAugment, 31)])
def test_ranges_are_torchvisions(table, bins):
    """At every level magnitudes are those of torchvision, and the same ones take a random sign."""
    space = {plain(name): entry for name, entry in table._AUGMENTATION_SPACE.items()}
    names = OPERATIONS[1:] if bins == 10 else OPERATIONS[:N_RAND_AUGMENT]

    assert {plain(name) for name in names} == space.keys()
    for name in names:
        make, signed = space[plain(name)]
        expected = make(bins, 1, 1)  # of an image of one pixel: shares
        actual = torch.tensor(
            [auto_augment._magnitude(name, level / (bins - 1)) for level in range(bins)]
        )

        assert torch.allclose(
            torch.zeros(bins) if expected is None else expected.float(), actual.float(), atol=1e-6
        )
        assert signed == (0 < OPERATIONS.index(name) < N_SIGNED)
