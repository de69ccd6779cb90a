"""Augmentation: each operation as a loop over images, and what holds for all of them."""

import colorsys
import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms.v2 import functional as reference

from cnlw_tools.trainer import augment
from cnlw_tools.trainer.augment import ARGUMENT_RANGES, OPERATIONS, compose, to_float
from cnlw_tools.trainer.prng import mix, uniform

ENTRIES = [*OPERATIONS, "crop:3", "cutout:5", "rand_augment:30"]
WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal"}


class NeverWaits(TorchDispatchMode):
    """Fails where the host would wait for the device, for a value or for a shape that needs one."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> object:
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            i is not None and i.dtype == torch.bool
            for a in args
            if isinstance(a, (list, tuple))
            for i in a
        )
        if name in WAITS or by_mask:
            raise AssertionError(f"the host waits in {func}")
        return func(*args, **(kwargs or {}))


def sides(size):
    """Height and width; a number means a square."""
    return size if isinstance(size, tuple) else (size, size)


def images(n, size, seed=0):
    """Bytes of every level, half of them noise and half of them slopes."""
    height, width = sides(size)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 256, (n, 3, height, width), generator=generator)
    slope = torch.linspace(0, 255, width) * torch.rand(n, 3, height, 1, generator=generator)
    return torch.where(torch.arange(n)[:, None, None, None] % 2 == 0, noise, slope.long()).byte()


def keys(n, seed=0):
    return mix(torch.arange(n), 99, seed)


def numbers(key, stream=0):
    """The numbers of one image."""
    return lambda i: uniform(key[None], stream, i).item()


@pytest.mark.parametrize("size", [8, 15, 32, (11, 24), (24, 11)])
@pytest.mark.parametrize("entry", ENTRIES)
def test_floats_come_out(entry, size):
    """Images of any type become float32 in [0, 1] of the same shape; the input is not changed."""
    for x in (images(6, size), images(6, size) / 255, (images(6, size) / 255).bfloat16()):
        original = x.clone()
        y = compose([entry])(x, keys(6))

        assert torch.float32 == y.dtype
        assert original.shape == y.shape
        assert 0 <= y.min() <= y.max() <= 1  # and no NaN
        assert torch.equal(original, x)


@pytest.mark.parametrize("entry", ENTRIES)
def test_bytes_are_floats(entry):
    """Bytes and the equal floats become the same."""
    x = images(20, 12)

    assert torch.equal(compose([entry])(x, keys(20)), compose([entry])(x / 255, keys(20)))


@pytest.mark.parametrize("size", [8, 15, 32, (11, 24), (24, 11)])
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_batch_does_not_matter(entry, size):
    """An image becomes the same alone, in another order and in a batch, to the bit."""
    op, x, key = compose([entry]), images(7, size), keys(7)
    whole, order = op(x, key), torch.arange(7) * 5 % 7

    assert torch.equal(whole[order], op(x[order], key[order]))
    assert torch.equal(whole, torch.cat([op(x[i : i + 1], key[i : i + 1]) for i in range(7)]))


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_key_matters(entry):
    """Copies of one image differ by their keys, and each operation draws its own numbers."""
    x, key = images(2, 16)[:1].expand(40, 3, 16, 16), keys(40)
    once, twice = compose([entry])(x, key), compose([entry, entry])(x, key)
    again = compose([entry])(once, key)

    assert len(once.unique(dim=0)) > 1
    assert not torch.equal(once, compose([entry])(x, keys(40, seed=1)))
    assert not torch.equal(twice, again)


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_host_never_waits(entry):
    """No operation asks for a value, neither of bytes nor of floats."""
    op = compose([entry])
    with NeverWaits():
        op(images(4, 8), keys(4))
        op(images(4, 8) / 255, keys(4))


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_values_are_needed(entry):
    """Operations accept tensors without values: all shapes follow from shapes."""
    x, key = (
        torch.empty(4, 3, 8, 8, dtype=torch.uint8, device="meta"),
        torch.empty(4, dtype=torch.int64, device="meta"),
    )

    assert (4, 3, 8, 8) == compose([entry])(x, key).shape


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x.masked_select(x > 0),
        lambda x: x.index_put_([x > 0], x[:1]),
    ],
)
def test_waiting_is_noticed(waiting):
    """The check above finds operations that wait."""
    with NeverWaits(), pytest.raises(AssertionError, match="the host waits"):
        waiting(torch.arange(3))


def test_nothing():
    """No operation: the images as floats."""
    x = images(4, 8)

    assert torch.equal(x / 255, compose([])(x, keys(4)))
    assert torch.equal(x / 255, compose([])(x / 255, keys(4)))


@given(st.lists(st.sampled_from(ENTRIES), max_size=4), st.integers(0, 100))
def test_one_after_another(entries, seed):
    """A list does what its operations do in turn, each with numbers of its own stream."""
    x, key = images(5, 9, seed), keys(5, seed)
    expected = x
    for stream, entry in enumerate(entries):
        name, _, number = entry.partition(":")
        expected = OPERATIONS[name](
            expected, partial(uniform, key, stream), *([int(number)] if number else [])
        )

    assert torch.equal(to_float(expected), compose(entries)(x, key))


@pytest.mark.parametrize("size", [8, 15])
def test_flip(size):
    """Where the number is below a half, columns are read from the right."""
    x, key = images(30, size), keys(30)
    expected = [
        image.flip(2) if numbers(k)(0) < 0.5 else image for image, k in zip(x, key, strict=True)
    ]

    assert torch.equal(torch.stack(expected), augment.flip(x, partial(uniform, key, 0)))


def test_flipped_twice():
    """Flipping twice with the same numbers changes nothing; about half of all are flipped."""
    x, draw = images(1000, 8), partial(uniform, keys(1000), 0)
    once = augment.flip(x, draw)

    assert torch.equal(x, augment.flip(once, draw))
    assert 440 < (once != x).flatten(1).any(1).sum() < 560


@pytest.mark.parametrize(
    ("size", "padding"),
    [(8, 1), (15, 4), (16, 16), (9, None), (32, None), ((9, 20), 3), ((33, 8), None)],
)
def test_crop(size, padding):
    """A window of the padded image begins in one of 2 P + 1 rows and columns; P is an eighth."""
    x, key, (height, width) = images(30, size), keys(30), sides(size)
    p, q = (side // 8 if padding is None else padding for side in (height, width))
    for image, k, actual in zip(
        x, key, augment.crop(x, partial(uniform, key, 0), padding), strict=True
    ):
        padded = torch.zeros(3, height + 2 * p, width + 2 * q, dtype=torch.uint8)
        padded[:, p : p + height, q : q + width] = image
        top, left = int(numbers(k)(0) * (2 * p + 1)), int(numbers(k)(1) * (2 * q + 1))

        assert torch.equal(padded[:, top : top + height, left : left + width], actual)


def test_crops_are_uniform():
    """All 81 windows of padding 4 come about equally often."""
    x = torch.arange(81.0).view(1, 1, 9, 9).expand(8100, 3, 9, 9)
    actual = augment.crop(x, partial(uniform, keys(8100), 0), 4)[
        :, 0, 4, 4
    ]  # the pixel in the middle tells the window

    assert (actual.long().bincount(minlength=81) - 100).abs().max() < 50


@pytest.mark.parametrize(
    ("size", "side"),
    [(8, 1), (15, 5), (16, 40), (9, None), (32, None), (32, 16), ((8, 21), None), ((30, 6), 4)],
)
def test_cutout(size, side):
    """The pixels from S // 2 before the centre to S // 2 behind it are grey, and no others."""
    height, width = sides(size)
    x, key = images(30, size), keys(30)
    half = (min(height, width) // 2 if side is None else side) // 2
    for image, k, actual in zip(
        x, key, augment.cutout(x, partial(uniform, key, 0), side), strict=True
    ):
        row, column = int(numbers(k)(0) * height), int(numbers(k)(1) * width)
        expected = image / 255
        expected[:, max(row - half, 0) : row + half, max(column - half, 0) : column + half] = 0.5

        assert torch.equal(expected, actual)


def window(draw, height, width):
    """The first of ten windows that fits, or all."""
    for i in range(10):
        area = (0.08 + 0.92 * draw(2 * i)) * height * width
        ratio = math.exp(math.log(3 / 4) + draw(2 * i + 1) * math.log(16 / 9))
        h, w = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < h <= height and 0 < w <= width:
            return h, w
    return height, width


@pytest.mark.parametrize("size", [8, 15, 32, (10, 31), (31, 10)])
def test_resized_crop(size):
    """A window is cut out and enlarged as torchvision does it."""
    height, width = sides(size)
    x, key = images(60, size), keys(60)
    for image, k, actual in zip(
        x, key, augment.resized_crop(x, partial(uniform, key, 0)), strict=True
    ):
        h, w = window(numbers(k), height, width)
        top, left = int(numbers(k)(20) * (height - h + 1)), int(numbers(k)(21) * (width - w + 1))
        expected = reference.resized_crop(
            image / 255, top, left, h, w, [height, width], antialias=True
        )

        assert torch.allclose(expected, actual, atol=1e-4)


def test_no_window_fits():
    """Where all ten tries are too large, the image stays whole."""
    x = images(4, 16)
    too_wide = [0.999, 0.999] * 10 + [0.5, 0.5]

    assert torch.allclose(
        x / 255, augment.resized_crop(x, lambda i: torch.full((4,), too_wide[i])), atol=1e-5
    )


def test_windows_vary():
    """Areas are 8 % to 100 %, shapes 3:4 to 4:3; the mean area is that of windows that fit.

    With T = log(4/3) that is int_0^T (exp(-2 t) - 0.08^2) / 2 dt  /  int_0^T (exp(-t) - 0.08) dt.
    """
    end = math.log(4 / 3)
    mean = ((1 - math.exp(-2 * end)) / 4 - 0.0032 * end) / (1 - math.exp(-end) - 0.08 * end)
    h, w = augment._draw_window_size(partial(uniform, keys(10_000), 0), 224, 224)
    area, ratio = h * w / 224**2, w / h

    assert 0.075 < area.min() < 0.09
    assert 0.95 < area.max() <= 1
    assert mean == pytest.approx(area.mean().item(), abs=0.01)
    assert 0.73 < ratio.min() < 0.77
    assert 1.3 < ratio.max() < 1.37
    assert 1 == pytest.approx(ratio.log().mean().exp().item(), abs=0.01)


def naive_jitter(image, u):
    """One image, (3, H, W), pixel by pixel, in Python's floats."""
    contrast, factor, shift, turn = (
        0.5 + u(1),
        0.5 + u(2),
        (2 * u(3) - 1) * 32 / 255,
        (2 * u(4) - 1) * 0.2,
    )

    def spread(x):
        mean = x.mean((1, 2), keepdim=True)
        return mean + (x - mean) * contrast

    def recolour(x):
        out = x.clone()
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                h, s, v = colorsys.rgb_to_hsv(*x[:, i, j].tolist())
                s = (
                    min(s * factor, 1) if v > 0 else 0
                )  # none where contrast made all three negative
                out[:, i, j] = torch.tensor(colorsys.hsv_to_rgb((h + turn) % 1, s, v))
        return out

    x = image.double() / 255 + shift
    return (recolour(spread(x)) if u(0) < 0.5 else spread(recolour(x))).clamp(0, 1)


def test_jitter():
    """Brightness and contrast are sums, saturation and hue those of HSV, in either order."""
    x, key = (
        torch.cat(
            [images(20, 8), torch.zeros(2, 3, 8, 8).byte(), torch.full((2, 3, 8, 8), 255).byte()]
        ),
        keys(24),
    )
    actual = augment.jitter(x, partial(uniform, key, 0))
    expected = torch.stack(
        [naive_jitter(image, numbers(k)) for image, k in zip(x, key, strict=True)]
    )

    assert torch.allclose(expected.float(), actual, atol=1e-4)
    assert len({numbers(k)(0) < 0.5 for k in key}) == 2


@pytest.mark.parametrize("seed", range(3))
def test_grey_stays_grey(seed):
    """A grey image has no hue and no saturation to change."""
    x = images(20, 8, seed)[:, :1].expand(20, 3, 8, 8)
    r, g, b = augment.jitter(x, partial(uniform, keys(20, seed), 0)).unbind(1)

    assert torch.allclose(r, g, atol=1e-6)
    assert torch.allclose(r, b, atol=1e-6)


@pytest.mark.parametrize("name", ["flop", "Flip", "crop 4", " crop", "", "auto-augment"])
def test_unknown(name):
    """An unknown name is an error that lists all names."""
    with pytest.raises(LookupError, match=r"unknown augmentation .*The choices are: flip, crop"):
        compose(["flip", name])


@pytest.mark.parametrize(
    "entry", ["crop:", "crop:0", "crop:-1", "crop:4.0", "crop: 4", "crop:٤", "crop:4:4", "cutout:0"]
)
def test_bad_number(entry):
    """A number that the operation does not take is an error that says which it takes."""
    with pytest.raises(
        ValueError,
        match=r"augmentation '.*' is not allowed: write c.* alone, or with a whole number from 1 to 1023",
    ):
        compose(["flip", entry])


def test_level_out_of_range():
    """Levels of RandAugment end at 30."""
    with pytest.raises(
        ValueError,
        match="'rand_augment:31' is not allowed: write rand_augment alone, or with a whole number from 0 to 30",
    ):
        compose(["rand_augment:31"])


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - ARGUMENT_RANGES.keys()))
def test_no_number(name):
    """An operation without a number refuses one."""
    with pytest.raises(
        ValueError, match=f"augmentation '{name}:1': {name} takes no number: write '{name}'"
    ):
        compose([f"{name}:1"])
