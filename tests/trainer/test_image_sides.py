"""Which sizes the images of a build have."""

import shutil

import pytest

from cnlw_tools.recipe.adapt import ImageSides
from cnlw_tools.trainer import image_sides
from cnlw_tools.trainer.image_sides import first_size, measure_sides
from tests.trainer.conftest import without_stored_size
from tests.trainer.test_trainer import with_images

CONFIG = "blue_40_probe2"


def test_a_card_tells_the_size_of_squares(builds, tmp_path):
    """No shard is opened."""
    copied_build = shutil.copytree(builds, tmp_path / "build")
    shutil.rmtree(copied_build / "data")

    assert measure_sides(copied_build, CONFIG) == ImageSides((16, 16), 16)


def test_images_are_measured_where_the_card_does_not_tell(builds, tmp_path):
    """Of one size, which need not be square, or of several."""
    wide = without_stored_size(with_images(builds, tmp_path / "wide", lambda table: (20, 12)))
    assert measure_sides(wide, CONFIG) == ImageSides((12, 20), 12)

    def size_of_shard(table):
        return (30, 40) if len(table) == 18 else (20, 12)  # 18: a tenth of the training set

    mixed = without_stored_size(with_images(builds, tmp_path / "mixed", size_of_shard))
    assert measure_sides(mixed, CONFIG) == ImageSides(None, 12)


def test_one_image_tells_the_size_of_images_of_one_size(builds, tmp_path):
    """Height comes first; where the card tells the size, no image is asked."""
    wide = without_stored_size(with_images(builds, tmp_path / "wide", lambda table: (20, 12)))

    assert first_size(wide, CONFIG) == (12, 20)
    assert first_size(builds, CONFIG) == (16, 16)


def test_too_many_images_count_as_of_several_sizes(builds, tmp_path, monkeypatch):
    """So that a large build is not read twice."""
    monkeypatch.setattr(image_sides, "MAX_HEADERS", 10)
    wide = without_stored_size(with_images(builds, tmp_path / "wide", lambda table: (20, 12)))

    assert measure_sides(wide, CONFIG) == ImageSides(None, 12)


def test_errors_name_the_config_or_the_shard(builds, tmp_path):
    """An unknown config, and a shard that is missing."""
    wide = without_stored_size(with_images(builds, tmp_path / "wide", lambda table: (20, 12)))
    with pytest.raises(LookupError, match=r"unknown config of .* 'red_41'"):
        measure_sides(wide, "red_41")
    next(iter((wide / "data").glob("*.parquet"))).unlink()
    with pytest.raises(OSError, match="run the same `cnlw build` again"):
        measure_sides(wide, CONFIG)
