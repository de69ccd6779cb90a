"""Shards: every image is encoded by the first row that shows it, and taken from its file by the others."""

import inspect
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnlw_tools import files, sources
from cnlw_tools.builds import parquet, shards
from cnlw_tools.builds.shards import WriteJob, plan_waves, write_file
from cnlw_tools.dataset.tables import PLAN
from cnlw_tools.executor.job import NeededFolder
from cnlw_tools.files import arrow
from cnlw_tools.images.pixels import Storage
from cnlw_tools.recipe.inputs import Inputs
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


def job_in(folder):
    """What a build in a folder writes; its source gives a picture of the colour of an id."""
    return WriteJob(folder, "colours", (), Inputs(files.default_root()), Storage(8), ("zero",))


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

    order = plan_waves(
        job_in(folder), {name: planned(ids) for name, ids in zip(names, wanted, strict=True)}
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
    order = plan_waves(job_in(folder), {f"w{i}": planned(ids) for i, ids in enumerate(wanted)})
    wave = {shard.name: number for number, found in enumerate(order) for shard in found}

    for found in order:
        for shard in found:
            assert wave[shard.name] == max((wave[name] + 1 for name in shard.owners), default=0)


def test_large_files_come_first(tmp_path):
    """The most images are read for them, and no worker should begin one when the others are done."""
    wanted = {"a": planned("p"), "b": planned("qrst"), "c": planned("puvq"), "d": planned("wxyz")}
    order = plan_waves(job_in(tmp_path), wanted)

    assert [[shard.name for shard in wave] for wave in order] == [["b", "d", "a"], ["c"]]


def test_standing(tmp_path):
    """What stands is not written again, and whoever takes from it need not wait."""
    stand(tmp_path, "a", ["x"])
    (tmp_path / "a").rename(tmp_path / "a.parquet")

    order = plan_waves(
        job_in(tmp_path), {"a.parquet": planned(["x"]), "b.parquet": planned(["x", "y"])}
    )

    assert [[shard.name for shard in wave] for wave in order] == [["b.parquet"]]
    assert order[0][0].owners == ("a.parquet",)
    assert order[0][0].owner.tolist() == [0, -1]


def test_nothing_to_do(tmp_path):
    """Where all stands, there is no wave."""
    stand(tmp_path, "a.parquet", ["x"])

    assert plan_waves(job_in(tmp_path), {"a.parquet": planned(["x"])}) == []
    assert plan_waves(job_in(tmp_path), {}) == []


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
    monkeypatch.setattr(sources, "SOURCES", {"colours": Colours})
    return job_in(tmp_path / "data")


@pytest.fixture
def crowded(monkeypatch):
    """A shard that copies from two others takes its images from the pool, in blocks of two."""
    monkeypatch.setattr(shards, "MAX_OWNERS", 1)
    monkeypatch.setattr(shards, "BLOCK_IMAGES", 2)


CROWDED = ["aab", "bcde", "cad", "f"]  # the third copies from the first and the second


def plan_crowded(job):
    """Return the plans of files by name, and the shards that were asked for."""
    wanted = {f"{i}.parquet": planned(ids) for i, ids in enumerate(CROWDED)}
    waves = plan_waves(job, wanted)
    return {plan.name: plan for wave in waves for plan in wave}, wanted


def pool_files(job):
    return sorted(job.folder.glob("*.arrow"))


def test_pool(job, crowded):
    """Images of a crowded shard are encoded in blocks, each once, and all its shards wait for these."""
    plans, wanted = plan_crowded(job)
    blocks = {name: plan for name, plan in plans.items() if name not in wanted}
    encoded = {}
    for name, plan in plans.items():
        is_own = pa.array(plan.owner < 0)
        encoded[name] = {*plan.rows.filter(is_own)["image_id"].to_pylist()}

    assert sorted(map(sorted, (encoded[name] for name in blocks))) == [["a", "c"], ["d"]]
    assert [encoded[name] for name in wanted] == [{"b"}, {"e"}, set(), {"f"}]
    assert set(plans["2.parquet"].owners) == {*blocks}
    assert [plan.name for plan in plan_waves(job, wanted)[0]] == [*blocks, "3.parquet"]


def test_the_pool_is_deleted(job, crowded):
    """A build reads each image once, and leaves shards alone."""
    _, wanted = plan_crowded(job)
    shards.write_shards(job, wanted)

    assert sorted(path.name for path in job.folder.iterdir()) == [*wanted]


def test_a_killed_build_finds_its_pool(job, crowded, monkeypatch):
    """Blocks that are there are not written again, whichever shards are; those of nobody are deleted."""
    plans, wanted = plan_crowded(job)
    for name, plan in plans.items():
        if name not in wanted:
            shards.write_file(job, plan)
    left = pool_files(job)
    (job.folder / f"{'0' * 16}.arrow").touch()
    shards.write_file(job, plans["0.parquet"])
    again, _ = plan_crowded(job)

    assert [*again] == ["1.parquet", "3.parquet", "2.parquet"]
    assert pool_files(job) == left
    assert shards.write_shards(job, wanted).keys() == again.keys()
    assert pool_files(job) == []


def test_a_pool_of_other_images(job, crowded):
    """Blocks of images that are stored in another way have other names."""
    names = [*plan_crowded(job)[0]]
    other_names = [*plan_crowded(replace(job, storage=Storage(9)))[0]]

    assert not set(names) & set(other_names) - {f"{i}.parquet" for i in range(len(CROWDED))}


@pytest.mark.parametrize("is_crowded", [False, True])
@pytest.mark.parametrize(
    "wanted", [["aab", "bca", "cad"], ["abc"], ["a", "a", "a"], ["aaab", "bbbaac"], CROWDED]
)
def test_write(job, wanted, is_crowded, request):
    """Every file holds the right picture in every row, and its hash is returned; progress is told."""
    if is_crowded:
        request.getfixturevalue("crowded")
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
    stage, done, total = told[-1]
    assert (stage, done) == ("images", total)
    assert total >= sum(map(len, wanted))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (
            "broken",
            ValueError,
            r"image 'broken' of colours cannot be read .not an image that can be decoded .*: "
            r"replace the file",
        ),
        ("gone", FileNotFoundError, r"no gone.jpg"),
    ],
)
def test_bad_image(job, image, error, message):
    """An image that cannot be had is named, and its file is not written."""
    with pytest.raises(error, match=message):
        shards.write_shards(
            job,
            {"a.parquet": planned("acd"), "b.parquet": planned(["b", image])},
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


def test_a_machine_without_a_folder_writes_nothing(job, tmp_path):
    """A worker elsewhere says which folder it does not see, in place of making one of its own."""
    there = replace(
        job, folder=tmp_path / "disk" / "data", folders=(NeededFolder(tmp_path / "disk"),)
    )
    ((plan,),) = plan_waves(there, {"a.parquet": planned(["x"])})

    with pytest.raises(OSError, match=r"disk: the machine .* does not see this folder: put it on"):
        write_file(there, plan)

    assert not (tmp_path / "disk").exists()


def test_workers_do_without_pandas():
    """Nothing that writes files calls what makes Arrow import pandas, longer than all other imports."""
    for module in (arrow, parquet, shards):
        source = inspect.getsource(module)
        assert not re.search(r"pa\.(array|table|scalar|repeat)\(\[|pa\.array\(|from_pylist", source)
