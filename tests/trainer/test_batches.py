"""From a split to batches."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.trainer import batches, data
from cnlw_tools.trainer.augment import compose
from cnlw_tools.trainer.batches import (
    BatchLoader,
    PixelLoader,
    balanced_sampler,
    fit_normaliser,
    imagenet_normaliser,
    make_normaliser,
    shuffle,
)

CPU = torch.device("cpu")
VIEWS = {"standard": compose(["crop", "flip"]), "strong": compose(["cutout"])}


@pytest.fixture(scope="module")
def split(builds, tmp_path_factory):
    """The training set of the small build."""
    return data.load_splits(
        builds, "blue_40_probe2", data.Resizing(), tmp_path_factory.mktemp("cache")
    )["train"]


@pytest.fixture
def loader(split):
    """A loader of it."""
    return BatchLoader(split, CPU, 3, VIEWS, fit_normaliser(split, CPU))


def test_the_normaliser_is_that_of_the_pixels(split):
    """Mean and standard deviation of each channel."""
    x = split.read_images(np.arange(len(split))) / 255
    normaliser = fit_normaliser(split, CPU)

    np.testing.assert_allclose(normaliser.mean.flatten(), x.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(normaliser.std.flatten(), x.std((0, 2, 3)), rtol=1e-6)


def test_the_normaliser_is_that_of_the_first_images(split, monkeypatch):
    """Of a larger set as many are summed as the limit says, and divided by their number."""
    monkeypatch.setattr(batches, "NORMALISER_IMAGES", 50)
    monkeypatch.setattr(batches, "HOST_CHUNK", 20)
    x = split.read_images(np.arange(50)) / 255
    normaliser = fit_normaliser(split, CPU)

    np.testing.assert_allclose(normaliser.mean.flatten(), x.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(normaliser.std.flatten(), x.std((0, 2, 3)), rtol=1e-6)


def test_an_image_has_its_own_scale():
    """Mean and deviation over all numbers of an image, not below 1 / sqrt(n) levels; the others change nothing."""
    x = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    x[1] = 0.25  # of one colour
    x[2] = 0.25
    x[2, 0, 0, 0] += 0.1 / 255  # hardly
    normalise = make_normaliser("image", False, None, CPU)
    for i, image in enumerate(x.numpy().astype(float)):
        levels = 255 * image
        scale = max(levels.std(), 1 / np.sqrt(levels.size))
        expected = (levels - levels.mean()) / scale

        np.testing.assert_allclose(normalise(x[i : i + 1])[0], expected, atol=1e-3)
        np.testing.assert_allclose(normalise(x)[i], normalise(x[i : i + 1])[0], atol=1e-5)


def test_a_range_is_from_minus_1_to_1():
    """As in the code of MentorMix."""
    normalise = make_normaliser("range", False, None, CPU)

    assert normalise(torch.tensor([0.0, 0.5, 1.0]).expand(1, 3, 1, 3)).tolist() == [
        [[[-1.0, 0.0, 1.0]]] * 3
    ]


def test_published_weights_have_a_scale(split):
    """That of ImageNet; another one is an error."""
    assert torch.equal(
        make_normaliser("dataset", True, split, CPU).mean, imagenet_normaliser(CPU).mean
    )
    assert torch.equal(
        make_normaliser("dataset", False, split, CPU).std, fit_normaliser(split, CPU).std
    )
    with pytest.raises(ValueError, match=r"pixel_scale = 'image' and --pretrained: .*remove one"):
        make_normaliser("image", True, split, CPU)


def test_plain_is_what_was_stored(loader, split):
    """The view `plain` is scaled pixels and labels, by position."""
    at = torch.tensor([4, 0, 9])
    (batch,) = loader.batches([at], ("plain",), 0)
    expected = (
        torch.from_numpy(split.read_images(at.numpy())) / 255 - loader.normaliser.mean
    ) / loader.normaliser.std

    torch.testing.assert_close(batch.x, expected)
    assert torch.equal(batch.y, torch.from_numpy(split.labels[at.numpy()]))
    assert torch.equal(batch.index, at)


def test_a_view_depends_on_example_epoch_and_seed_alone(loader, split):
    """It does not depend on the batch, nor on the place in it."""
    (whole,) = loader.batches([torch.arange(8)], ("standard", "strong"), 5)
    parts = list(
        loader.batches([torch.tensor([7, 2]), torch.tensor([5])], ("standard", "strong"), 5)
    )

    for v in (0, 1):
        assert torch.equal(parts[0].views[v], whole.views[v][[7, 2]])
        assert torch.equal(parts[1].views[v], whole.views[v][[5]])
    (next_epoch,) = loader.batches([torch.arange(8)], ("standard",), 6)
    next_seed_loader = BatchLoader(split, CPU, 4, VIEWS, loader.normaliser)
    (next_seed,) = next_seed_loader.batches([torch.arange(8)], ("standard",), 5)
    assert not torch.equal(next_epoch.x, whole.x)
    assert not torch.equal(next_seed.x, whole.x)


def test_two_views_of_one_name_differ(loader):
    """The number of the view is part of its key."""
    (batch,) = loader.batches([torch.arange(8)], ("standard", "standard"), 0)

    assert not torch.equal(*batch.views)


def test_a_split_passes_the_host_in_parts(split, monkeypatch):
    """All of its images reach the device, and no more than a chunk is on the host at once."""
    sizes = []
    read_images = data.Split.read_images
    monkeypatch.setattr(
        data.Split, "read_images", lambda *args: sizes.append(len(args[1])) or read_images(*args)
    )
    monkeypatch.setattr(batches, "HOST_CHUNK", 50)
    images = PixelLoader(split, CPU).load(torch.arange(len(split)))

    assert sizes == [50, 50, 50, 30]
    assert torch.equal(images, torch.from_numpy(read_images(split, np.arange(len(split)))))


@pytest.mark.parametrize("n_pixels", [1, 20_000, 1 << 23])
def test_batches_that_are_augmented_together_are_the_same(loader, split, monkeypatch, n_pixels):
    """One, four or all of them at once, as on a GPU, where small operations cost most."""
    chunks = list(shuffle(np.arange(len(split)), 0, 0).split(17))
    expected = list(loader.batches(chunks, ("standard", "strong"), 1))
    monkeypatch.setattr(loader, "device", torch.device("cuda"))
    monkeypatch.setattr(batches, "PIXELS_AUGMENTED", n_pixels)

    actual = list(loader.batches(chunks, ("standard", "strong"), 1))

    for a, b in zip(expected, actual, strict=True):
        assert torch.equal(a.index, b.index)
        assert torch.equal(a.y, b.y)
        assert all(torch.equal(x, y) for x, y in zip(a.views, b.views, strict=True))
    assert [len(batch.y) for batch in actual] == [len(chunk) for chunk in chunks]


def test_an_unknown_view_is_an_error(loader):
    """The message suggests the right one."""
    with pytest.raises(LookupError, match="Did you mean 'standard'"):
        list(loader.batches([torch.arange(2)], ("standart",), 0))


def test_streaming_yields_the_same(loader, split, monkeypatch):
    """Without memory for the whole split, batches come from the files, in order."""
    chunks = list(shuffle(np.arange(len(split)), 0, 0).split(17))
    expected = list(loader.batches(chunks, ("standard",), 1))
    monkeypatch.setattr(batches, "device_memory", lambda _: 1000)
    streaming = BatchLoader(split, CPU, 3, VIEWS, loader.normaliser)
    assert streaming.pixels.resident is None

    actual = list(streaming.batches(chunks, ("standard",), 1))

    for a, b in zip(expected, actual, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)


def test_streaming_nothing_yields_nothing(split, monkeypatch):
    """No chunks, no batches."""
    monkeypatch.setattr(batches, "device_memory", lambda _: 1000)

    assert list(PixelLoader(split, CPU).stream([])) == []


@given(st.integers(1, 200), st.integers(0, 5), st.integers(0, 5))
def test_shuffling_is_a_permutation(n, seed, epoch):
    """It is the same for the same seed and epoch, and another one for others."""
    rows = np.arange(n) * 2
    order = shuffle(rows, seed, epoch)

    assert sorted(order.tolist()) == rows.tolist()
    assert torch.equal(order, shuffle(rows, seed, epoch))
    if n > 10:
        assert not torch.equal(order, shuffle(rows, seed, epoch + 1))
        assert not torch.equal(order, shuffle(rows, seed + 1, epoch))


def test_an_order_never_changes():
    """An order that a paper used can be drawn again in ten years."""
    assert shuffle(np.arange(8), 0, 0).tolist() == [0, 6, 2, 1, 7, 3, 5, 4]


def test_a_balanced_draw_has_as_many_of_each_class():
    """Up to one, whatever the sizes of the classes; absent classes are left out."""
    label = torch.tensor([0] * 7 + [2] * 2 + [3] * 5)
    draw = balanced_sampler(label, 4)

    for n in (1, 3, 9, 30):
        counts = torch.bincount(label[draw(n)], minlength=4)[[0, 2, 3]]
        assert counts.sum() == n
        assert counts.max() - counts.min() <= 1


def test_drawing_as_many_as_there_are_draws_all():
    """No example comes twice before every example has come once."""
    label = torch.arange(12) % 3

    assert sorted(balanced_sampler(label, 3)(12).tolist()) == list(range(12))


def test_draws_begin_anywhere():
    """Two draws seldom agree, and in the long run all examples come equally often."""
    label = torch.arange(40) % 2
    draw = balanced_sampler(label, 2)
    torch.manual_seed(0)
    draws = [draw(4) for _ in range(1000)]

    assert any(not torch.equal(a, b) for a, b in pairwise(draws))
    counts = torch.bincount(torch.cat(draws), minlength=40).double()
    assert (counts / counts.mean() - 1).abs().max() < 0.4


@pytest.mark.parametrize(
    ("side", "n_images"), [(28, 500), (64, 500), (224, 41), (299, 23), (2048, 1)]
)
def test_large_images_are_predicted_in_smaller_batches(side, n_images):
    """Two million pixels, and one image at least."""
    loader = SimpleNamespace(split=SimpleNamespace(image_size=(side, side)))

    assert BatchLoader.inference_batch_size.fget(loader) == n_images


def test_memory_that_is_taken_is_not_given_again(monkeypatch):
    """Several splits share the memory of the host: what the process holds counts."""
    monkeypatch.setattr(batches.limits, "memory", lambda: 1000)
    for n_taken, n_left in ((0, 1000), (400, 600), (1200, 0)):
        monkeypatch.setattr(batches.oom, "peak_memory", lambda _, n_taken=n_taken: n_taken)

        assert batches.device_memory(torch.device("cpu")) == n_left
