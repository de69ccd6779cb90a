"""Decoded pixels in a cache: whose they are, where they lie, and what damage is noticed."""

import pwd
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cnlw_tools.trainer import data
from cnlw_tools.trainer.pixel_cache import CACHE_REMEDY, Resizing, default_cache, open_shard

CONFIG = "blue_40_probe2"


def load(builds, cache):
    return data.load_splits(builds, CONFIG, Resizing(), cache)["train"]


def empty(content: bytes) -> bytes:
    return b""


def other_bytes(content: bytes) -> bytes:
    return b"what is this"


def first_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def zeros(content: bytes) -> bytes:
    """The header of the array, and a zero for each of its bytes."""
    return content[:128] + bytes(len(content) - 128)


def zero_numbers(content: bytes) -> bytes:
    """An array of zeros with the header, the size and the digest of the true one."""
    return content[:128] + bytes(len(content) - 128 - 71) + content[-71:]


def one_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("kind", ["images", "content"])
@pytest.mark.parametrize("change", [empty, other_bytes, first_half, zeros, zero_numbers, one_bit])
def test_damage_is_an_error(builds, tmp_path, kind, change):
    """The message names the file; once that is deleted, loading works again."""
    sound = load(builds, tmp_path)
    expected = sound.read_images(np.arange(180)).copy()
    del sound
    damaged_paths = list(tmp_path.glob(f"*.{kind}.npy"))
    for path in damaged_paths:
        content = path.read_bytes()
        path.unlink()  # others may have mapped it
        path.write_bytes(change(content))

    with pytest.raises(
        ValueError,
        match=r"npy: the file is damaged, .*: delete .*\.images\.npy; its images are then ",
    ) as error:
        load(builds, tmp_path)
    message = str(error.value)
    assert Path(message.split(": the file is damaged")[0]) in damaged_paths
    assert Path(message.split("delete ")[1].split(";")[0]).is_file()
    for path in tmp_path.glob("*.images.npy"):
        path.unlink()
    split = load(builds, tmp_path)
    assert np.array_equal(split.read_images(np.arange(180)), expected)


def test_a_lost_file_of_keys_is_an_error(builds, tmp_path):
    """Without the keys nobody knows the order of the examples."""
    load(builds, tmp_path)
    for path in tmp_path.glob("*.content.npy"):
        path.unlink()

    with pytest.raises(FileNotFoundError, match=r"no such file: delete .*\.images\.npy"):
        load(builds, tmp_path)


def test_pixels_are_those_of_the_images(builds, tmp_path):
    """Each row of the cache is the image of the shard, decoded."""
    path = next((builds / "data").glob("*.parquet"))
    shard = open_shard(path, tmp_path, Resizing(8, "pad"))
    again = open_shard(path, tmp_path, Resizing(8, "pad"))

    assert shard.pixels.shape[1:] == (3, 8, 8)
    assert len(shard.keys) == len(shard.pixels)
    assert np.array_equal(shard.pixels, again.pixels)
    assert np.array_equal(shard.keys, again.keys)


def test_one_image_at_a_time_is_in_memory(builds, tmp_path):
    """To decode a shard takes far less memory than its pixels."""
    path = max((builds / "data").glob("*.parquet"), key=lambda path: path.stat().st_size)
    open_shard(path, tmp_path, Resizing())  # imports what it needs
    tracemalloc.start()
    shard = open_shard(path, tmp_path, Resizing(512))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < shard.pixels.nbytes / 4


def test_the_cache_can_be_chosen(monkeypatch, tmp_path):
    """CNLW_CACHE takes precedence over the user's cache folder, and that over the home."""
    for name in ("CNLW_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / ".cache" / "cnlw_tools"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "cnlw_tools"

    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "here"))
    assert default_cache() == tmp_path / "here"


def test_without_a_home_the_error_says_how_to_choose_a_cache(monkeypatch):
    """A user without an entry in the list of users, as `docker run --user` makes them."""
    for name in ("CNLW_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_user(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", no_user)
    with pytest.raises(FileNotFoundError, match=r"has no home folder for .*: give --cache DIR, or"):
        default_cache()


def test_a_cache_that_cannot_be_written_says_how_to_choose_another(builds, tmp_path):
    """A folder that cannot be made, or a file in its place."""
    (tmp_path / "file").write_text("")
    for cache in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(OSError, match=rf"file.* \(File exists|Not a.*\): {CACHE_REMEDY}"):
            load(builds, cache)


def test_a_filled_cache_need_not_be_writable(builds, tmp_path, monkeypatch):
    """Nothing is written where the pixels are."""
    expected = load(builds, tmp_path / "cache").digest
    monkeypatch.setattr(
        "cnlw_tools.trainer.pixel_cache.write_sealed_npy", lambda *_: pytest.fail("written")
    )

    assert load(builds, tmp_path / "cache").digest == expected
