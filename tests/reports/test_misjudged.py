"""Images whose loss misleads."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from cnlw_tools.builds.build import build
from cnlw_tools.builds.ground_truth import load
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.reports import misjudged, runs
from cnlw_tools.reports.diagnostics import load_truths
from cnlw_tools.reports.misjudged import N_IMAGES, SIDE, fit_image, show_misjudged

CONFIGS = ("blue_20", "blue_40")


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny):
    """A build of blue 20 and 40, in several shards."""
    folder = tmp_path_factory.mktemp("misjudged")
    keys = {"dataset": "shapes", "noise": "blue", "levels": [20, 40], "size": 16, "shard_rows": 40}
    build(recipe.parse_recipe(keys, "test"), Inputs(tiny(folder / "root")), folder / "shapes")
    return folder / "shapes"


def losses_of(method, n):
    """Return random losses, with ties, of a method; some examples have none."""
    loss = np.random.default_rng(len(method)).integers(0, 40, n) / 8
    return np.where(np.arange(n) % 7 == 0, np.nan, loss)


@pytest.fixture
def context(built, tmp_path, run_maker, context_maker):
    """Runs of two methods on two levels that recorded their losses, and of one that did not."""
    for config in CONFIGS:
        truth = load(built, config)
        common = {"build": str(built), "config": config, "data": {"train": truth.digest}}
        for method in ("vanilla", "gce", "mixup"):
            folder = run_maker(tmp_path / config / method, [50.0], method=method, **common)
            if method == "mixup":
                continue
            (folder / "examples.parquet").mkdir()
            n = len(truth.noisy)
            table = {"row": np.arange(n), "loss": losses_of(method, n), "weight": np.ones(n)}
            pq.write_table(pa.table(table), folder / "examples.parquet" / "epoch-0001.parquet")
    run_folders = runs.read_run_folders(tmp_path)
    truths, problems = load_truths((run.build, run.config.config) for run in run_folders)
    assert problems == []
    return context_maker(tmp_path, truths=truths)


def test_the_images_are_those_that_sorting_gives(built, context):
    """One by one, from what `datasets` reads: image, given and true label, loss."""
    rows = load_dataset(str(built), "blue_40", split="train", cache_dir=str(built.parent / "cache"))
    names = rows.features["label"].names
    galleries, notes = show_misjudged(context)

    assert notes == []
    methods = ("gce", "vanilla")
    assert [gallery.title for gallery in galleries] == [f"{m}: shapes, blue_40" for m in methods]
    for gallery, method in zip(galleries, methods, strict=True):
        loss = losses_of(method, len(rows))
        for is_noisy, images, sign in ((False, gallery.clean, -1), (True, gallery.noisy, 1)):
            order = [
                (sign * loss[i], i)
                for i, noisy in enumerate(rows["is_noisy"])
                if noisy == is_noisy and not np.isnan(loss[i])
            ]
            expected = [i for _, i in sorted(order)][:N_IMAGES]
            assert len(images) == N_IMAGES
            for shown, i in zip(images, expected, strict=True):
                row = rows[i]
                assert shown.given == names[row["label"]]
                assert shown.true == names[row["clean_label"]]
                assert (shown.given == shown.true) == (not is_noisy)
                assert shown.loss == loss[i]
                smaller = shown.image.resize((16, 16), Image.Resampling.NEAREST)
                assert smaller.tobytes() == row["image"].convert("RGB").tobytes()


def test_a_build_that_has_changed_is_a_note(context):
    """The images are not those that the run saw."""
    for truth in context.truths.values():
        truth.__dict__["digest"] = "0" * 64
    galleries, notes = show_misjudged(context)

    assert galleries == []
    assert len(notes) == 2
    assert all("has changed since the run learned from it" in note for note in notes)


def test_of_many_methods_some_are_shown(context, monkeypatch):
    """A note says how many are not."""
    monkeypatch.setattr(misjudged, "MAX_GALLERIES", 1)
    galleries, notes = show_misjudged(context)

    assert len(galleries) == 1
    assert notes == ["2 more methods are not shown."]
    assert misjudged.describe_unshown(1) == "1 more method is not shown"


@pytest.mark.parametrize(
    ("size", "shown", "is_enlarged"),
    [
        ((16, 16), (96, 96), True),
        ((28, 28), (84, 84), True),
        ((32, 20), (96, 60), True),
        ((1, 1), (96, 96), True),
        ((84, 84), (84, 84), False),
        ((400, 200), (96, 48), False),
    ],
)
def test_small_images_are_enlarged_in_whole_multiples(size, shown, is_enlarged):
    """Every pixel becomes a square of one colour; large images fit the same side."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    image, enlarged = fit_image(Image.fromarray(pixels))

    assert (image.size, enlarged) == (shown, is_enlarged)
    assert max(image.size) <= SIDE
    if enlarged:
        factor = image.width // size[0]
        naive = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
        assert np.array_equal(np.asarray(image), naive)
