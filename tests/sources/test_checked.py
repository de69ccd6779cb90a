"""A source compares each image that it reads with the manifest of its dataset."""

import pickle
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from cnlw_tools import prng
from cnlw_tools.dataset import hashing, tables
from cnlw_tools.sources.base import make_manifest
from cnlw_tools.sources.checked import CheckedSource, Digests
from cnlw_tools.sources.composite import CompositeReader
from cnlw_tools.sources.folder import Folder
from tests.sources.conftest import draw_jpeg, put

NAMES = ("a/0.jpg", "a/10.jpg", "a/2.jpg", "ä/1.jpg", "\N{CAT FACE}/1.jpg")


class StoreOfAll:
    """A store that has an image under every id."""

    def has_image(self, image_id: str) -> bool:
        """Return that it has it."""
        return True

    def read_picture(self, image_id: str) -> bytes:
        """Return the same image for every id."""
        return draw_jpeg(99)


def write_manifest(path: Path, digests: list[str | None], prefix: str = "") -> Path:
    """Write a manifest of the images `NAMES`."""
    ids = [f"{prefix}{name}" for name in NAMES]
    table = make_manifest(ids, [0] * len(ids), ["train"] * len(ids), sha256=digests)
    tables.write_parquet(table, path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A source with one photograph for each name."""
    for seed, name in enumerate(NAMES):
        put(tmp_path / "images" / name, draw_jpeg(seed))
    return Folder(tmp_path / "images")


def digests_of(folder: Folder) -> list[str | None]:
    """Return the sha256 of the file of each name."""
    return [sha256((folder.folder / name).read_bytes()).hexdigest() for name in NAMES]


def test_every_digest_is_found(tmp_path: Path, folder: Folder) -> None:
    """Ids are found whatever their alphabet; those without a sha256, and others, have none."""
    expected = digests_of(folder)
    expected[2] = None
    digests = Digests(write_manifest(tmp_path / "base.parquet", expected))

    assert [digests.find(name) for name in NAMES] == expected
    assert [digests.find(name) for name in ("", "a", "a/1.jpg", "zzz", "\U0010ffff")] == [None] * 5


def test_ids_may_share_a_key(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids with the same random key are told apart."""
    monkeypatch.setattr(hashing, "random_keys", lambda ids, seed: np.full(len(ids), 7, np.uint64))
    monkeypatch.setattr(prng, "random_key", lambda text: 7)
    expected = digests_of(folder)
    digests = Digests(write_manifest(tmp_path / "base.parquet", [*expected]))

    assert [digests.find(name) for name in NAMES] == expected
    assert digests.find("another") is None


def test_digests_may_have_capitals(tmp_path: Path, folder: Folder) -> None:
    """Other programs write hex digits in capitals."""
    written = [str(digest).upper() for digest in digests_of(folder)]
    source = CheckedSource(folder, write_manifest(tmp_path / "base.parquet", [*written]))

    assert source.read(NAMES[0]) == draw_jpeg(0)


def test_another_image_is_an_error(tmp_path: Path, folder: Folder) -> None:
    """The error names the image, the folder, the manifest and the remedy; others are read."""
    path = write_manifest(tmp_path / "base.parquet", digests_of(folder))
    source = pickle.loads(pickle.dumps(CheckedSource(folder, path)))
    put(folder.folder / NAMES[1], draw_jpeg(7))

    assert source.read(NAMES[0]) == draw_jpeg(0)
    with pytest.raises(ValueError, match="differs from its sha256") as caught:
        source.read(NAMES[1])
    for part in (NAMES[1], str(folder.data_dir), str(path), "cnlw import"):
        assert part in str(caught.value)


def test_without_a_digest_nothing_is_compared(tmp_path: Path, folder: Folder) -> None:
    """Manifests of older versions, and datasets without one, work as before."""
    older = write_manifest(tmp_path / "base.parquet", [None] * len(NAMES))

    for path in (older, tmp_path / "none.parquet"):
        assert CheckedSource(folder, path).read(NAMES[3]) == draw_jpeg(3)


def test_a_manifest_that_was_written_again_is_read_again(tmp_path: Path, folder: Folder) -> None:
    """A process that stays open, as that of a notebook, sees what was imported since."""
    path = write_manifest(tmp_path / "base.parquet", ["0" * 64] * len(NAMES))
    with pytest.raises(ValueError, match="differs from its sha256"):
        CheckedSource(folder, path).read(NAMES[0])
    write_manifest(path, digests_of(folder))

    assert CheckedSource(folder, path).read(NAMES[0]) == draw_jpeg(0)


def test_a_donor_s_ids_have_a_prefix_in_a_build(tmp_path: Path, folder: Folder) -> None:
    """The table of a donor in a build has the donor's name before each id of its source."""
    path = write_manifest(tmp_path / "donor_d.parquet", digests_of(folder), "d/")
    source = CheckedSource(folder, path, "d/")
    put(folder.folder / NAMES[1], draw_jpeg(7))

    assert source.read(NAMES[0]) == draw_jpeg(0)
    with pytest.raises(ValueError, match="differs from its sha256"):
        source.read(NAMES[1])


def test_a_store_does_not_replace_images_of_the_dataset(tmp_path: Path, folder: Folder) -> None:
    """The store of another dataset may have images under the same ids."""
    path = write_manifest(tmp_path / "base.parquet", digests_of(folder))
    reader = CompositeReader(CheckedSource(folder, path), {}, StoreOfAll())

    assert reader.read("w0") == draw_jpeg(99)
    with pytest.raises(ValueError, match="of the store of web images differs from its sha256"):
        reader.read(NAMES[0])
