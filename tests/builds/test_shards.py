"""Shards: every image is encoded by the first row that shows it, and taken from its file by the others."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnlw_tools import files
from cnlw_tools.builds import shards
from cnlw_tools.builds.shards import WriteJob, plan_waves
from cnlw_tools.dataset.tables import PLAN
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.sources import SOURCES
from cnlw_tools.store.store import open_ledger

FILES = st.lists(
    st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6), min_size=1, max_size=6
)


def planned(ids):
    row = {
        "label": 0,
        "clean_label": 0,
        "origin": "base",
        "replaces": None,
        "is_noisy": False,
        "split": "train",
    }
    return pa.Table.from_pylist([{"image_id": i, **row} for i in ids], PLAN)


def stand(folder, name, ids):
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"image_id": ids}), folder / name)


@given(standing=st.lists(FILES.map(lambda f: f[0]), max_size=3), wanted=FILES)
def test_owners(tmp_path_factory, standing, wanted):
    """Each row is read from the source, or taken from the first row, over all files, that shows its image."""
    folder = tmp_path_factory.mktemp("data")
    for i, ids in enumerate(standing):
        stand(folder, f"s{i}.parquet", ids)
    names = [f"w{i}" for i in range(len(wanted))]
    every = [(f"s{i}.parquet", ids) for i, ids in enumerate(standing)] + list(
        zip(names, wanted, strict=True)
    )
    first = {}
    for name, ids in every:
        for at, image in enumerate(ids):
            first.setdefault(image, (name, at))

    order = list(
        plan_waves(folder, {name: planned(ids) for name, ids in zip(names, wanted, strict=True)})
    )
    found = {shard.name: shard for wave in order for shard in wave}

    assert sorted(found) == sorted(names)
    for name, ids in zip(names, wanted, strict=True):
        shard = found[name]
        assert shard.rows["image_id"].to_pylist() == ids
        for image, file, row in zip(ids, shard.owner, shard.owner_row, strict=True):
            owner = (name if file < 0 else shard.owners[file], int(row))
            assert owner == first[image]


@given(wanted=FILES)
def test_waves(tmp_path_factory, wanted):
    """A shard is in a later wave than every shard that it takes from, and in the first one possible."""
    folder = tmp_path_factory.mktemp("data")
    order = list(plan_waves(folder, {f"w{i}": planned(ids) for i, ids in enumerate(wanted)}))
    wave = {shard.name: number for number, found in enumerate(order) for shard in found}

    for found in order:
        for shard in found:
            assert wave[shard.name] == max((wave[name] + 1 for name in shard.owners), default=0)


def test_standing(tmp_path):
    """What stands is not written again, and whoever takes from it need not wait."""
    stand(tmp_path, "a", ["x"])
    (tmp_path / "a").rename(tmp_path / "a.parquet")

    order = list(
        plan_waves(tmp_path, {"a.parquet": planned(["x"]), "b.parquet": planned(["x", "y"])})
    )

    assert [[shard.name for shard in wave] for wave in order] == [["b.parquet"]]
    assert order[0][0].owners == ("a.parquet",)
    assert order[0][0].owner.tolist() == [0, -1]


def test_nothing_to_do(tmp_path):
    """Where all stands, there is no wave."""
    stand(tmp_path, "a.parquet", ["x"])

    assert list(plan_waves(tmp_path, {"a.parquet": planned(["x"])})) == []
    assert list(plan_waves(tmp_path, {})) == []


class Colours:
    """Pictures of one colour, that of the id; some ids are broken files, some are missing."""

    def __init__(self, data_dir) -> None:
        self.data_dir = data_dir

    def read(self, image_id):
        """Return one."""
        if image_id == "gone":
            raise FileNotFoundError("no gone.jpg")
        return (
            b"broken" if image_id == "broken" else Image.new("RGB", (4, 4), (ord(image_id), 0, 0))
        )


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setitem(SOURCES, "colours", Colours)
    return WriteJob(
        tmp_path / "data", "colours", (), Inputs(files.default_root()), Storage(8), ("zero",)
    )


@pytest.mark.parametrize(
    "wanted", [["aab", "bca", "cad"], ["abc"], ["a", "a", "a"], ["aaab", "bbbaac"]]
)
def test_write(job, wanted):
    """Every file holds the right picture in every row, and its hash is returned; progress is told."""
    told = []
    names = [f"{i}.parquet" for i in range(len(wanted))]

    hashes = shards.write_shards(
        job,
        dict(zip(names, map(planned, wanted), strict=True)),
        progress=lambda *news: told.append(news),
    )

    for name, ids in zip(names, wanted, strict=True):
        found = pq.read_table(job.folder / name).to_pylist()
        assert [row["image_id"] for row in found] == list(ids)
        for row in found:
            (job.folder / "x.png").write_bytes(row["image"]["bytes"])
            assert np.asarray(Image.open(job.folder / "x.png"))[0, 0, 0] == ord(row["image_id"])
        assert hashes[name] == files.digest(job.folder / name)
    assert told[-1] == ("images", sum(map(len, wanted)), sum(map(len, wanted)))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (
            "broken",
            ValueError,
            r"image 'broken' of colours: not an image that can be decoded .*: replace the file",
        ),
        ("gone", FileNotFoundError, r"no gone.jpg"),
    ],
)
def test_bad_image(job, image, error, message):
    """An image that cannot be had is named, and its file is not written."""
    with pytest.raises(error, match=message):
        shards.write_shards(
            job,
            {"a.parquet": planned(["a"]), "b.parquet": planned(["b", image])},
        )

    assert [p.name for p in job.folder.iterdir()] == ["a.parquet"]


def test_a_web_image_without_a_store_names_the_store(job, tmp_path, monkeypatch):
    """The image, its dataset and the store are named: the one where a fetch keeps it, if it is there."""
    monkeypatch.chdir(tmp_path)
    rows = planned(["gone"]).to_pylist()
    web = pa.Table.from_pylist([{**row, "origin": "web"} for row in rows], PLAN)

    with pytest.raises(FileNotFoundError, match=r"web image 'gone' of colours .*`cnlw fetch`"):
        shards.write_shards(job, {"a.parquet": web})
    with open_ledger(tmp_path / "stores" / "colours"):
        pass
    with pytest.raises(
        FileNotFoundError, match=r"web image 'gone' .*: give --store stores/colours$"
    ):
        shards.write_shards(job, {"a.parquet": web})
