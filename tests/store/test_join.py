"""Stores of several machines become one, which has all that they have."""

import os
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cnlw_tools.cli import main
from cnlw_tools.executor.work_shard import WHOLE, WorkShard
from cnlw_tools.files.storage import RemoteFolder
from cnlw_tools.images.pixels import Storage
from cnlw_tools.store.inspect import inspect_image
from cnlw_tools.store.join import check_shard, find_stores, join_stores, mark_shard, read_counts
from cnlw_tools.store.placeholders import FILE_NAME, read_known_placeholders
from cnlw_tools.store.snapshot import SNAPSHOT
from cnlw_tools.store.store import Row, Store, open_ledger
from cnlw_tools.store.writer import open_writer

FAILURE = Row("x", "http://x/", "timeout", "slow", 3, 100.0)


@pytest.fixture
def make(tmp_path, encode):
    """Make a store of images, whose seeds are their ids, and of failures; return its folder."""

    def make(name, ids=(), failures=(), kept=None):
        with open_ledger(tmp_path / name) as ledger:
            for image_id in ids:
                data = encode("JPEG", int(image_id))
                digest = inspect_image(data).sha256
                mtime = ledger.write_image(image_id, "jpeg", data)
                row = Row(image_id, f"http://{name}/", "ok", None, 1, 50.0, sha256=digest)
                row = replace(row, size=len(data), format="jpeg", mtime=mtime, kept=kept)
                row = replace(row, kept_sha256=digest, kept_size=len(data), kept_format="jpeg")
                ledger.write_row(row)
            for row in failures:
                ledger.write_row(row)
        return tmp_path / name

    return make


def join(folder, *others):
    """Take stores into one; return the counts and the outcomes by id."""
    with open_ledger(folder) as ledger:
        tally = join_stores(others, ledger)
    with Store(folder) as store:
        return tally, {row.image_id: row.outcome for row in store.rows()}


def test_stores_are_joined(make, tmp_path, contents):
    """Images and failures; the stores that they come from do not change."""
    parts = [make("a", ["1", "2"]), make("b", ["3"], [FAILURE])]
    before = [contents(part / "images") for part in parts]

    tally, outcomes = join(tmp_path / "all", *parts)

    assert {"1": "ok", "2": "ok", "3": "ok", "x": "timeout"} == outcomes
    assert ({"ok": 3, "timeout": 1}, 4) == (tally.counts, tally.fetched)
    assert (tmp_path / "all" / SNAPSHOT).exists()
    assert before == [contents(part / "images") for part in parts]
    with Store(tmp_path / "all") as store, Store(parts[0]) as part:
        assert part.read("2") == store.read("2")
        assert store.read_states(["2"])["2"].file_intact


def test_joining_twice_takes_nothing(make, tmp_path):
    """Everything is there."""
    part = make("a", ["1"], [FAILURE])
    join(tmp_path / "all", part)

    tally, outcomes = join(tmp_path / "all", part)

    assert (0, {"1": "ok", "x": "timeout"}) == (tally.fetched, outcomes)


def test_an_image_is_preferred_to_a_failure(make, tmp_path):
    """Whichever comes first."""
    image = make("a", ["1"])
    failure = make("b", [], [replace(FAILURE, image_id="1")])

    assert {"1": "ok"} == join(tmp_path / "x", image, failure)[1]
    assert {"1": "ok"} == join(tmp_path / "y", failure, image)[1]


def test_the_later_failure_is_kept(make, tmp_path):
    """Whichever comes first."""
    later = replace(FAILURE, outcome="dns", timestamp=200.0)
    first, second = make("a", [], [FAILURE]), make("b", [], [later])

    assert {"x": "dns"} == join(tmp_path / "x", first, second)[1]
    assert {"x": "dns"} == join(tmp_path / "y", second, first)[1]


def test_a_damaged_file_is_left_out(make, tmp_path):
    """So the next fetch requests its image again; so is one that is missing."""
    part = make("a", ["1", "2", "3"])
    with Store(part) as store:
        store.image_path("1", "jpeg").write_bytes(b"damaged")
        store.image_path("2", "jpeg").unlink()

    tally, outcomes = join(tmp_path / "all", part)

    assert ({"3": "ok"}, 2) == (outcomes, tally.skipped)


def test_a_file_that_is_missing_here_is_taken(make, tmp_path):
    """Though the ledger has its row."""
    part = make("a", ["1"])
    join(tmp_path / "all", part)
    with Store(tmp_path / "all") as store:
        store.image_path("1", "jpeg").unlink()

    assert 1 == join(tmp_path / "all", part)[0].fetched
    with Store(tmp_path / "all") as store:
        assert store.read("1")


@pytest.mark.parametrize("can_link", [True, False])
def test_files_are_linked_or_copied(make, tmp_path, monkeypatch, can_link):
    """On another disk they cannot be linked."""

    def refuse(self, target):
        raise OSError("another disk")

    part = make("a", ["1"])
    if not can_link:
        monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    join(tmp_path / "all", part)

    with Store(tmp_path / "all") as store:
        assert (2 if can_link else 1) == store.image_path("1", "jpeg").stat().st_nlink
        assert store.read_states(["1"])["1"].file_intact


def test_placeholders_are_joined(make, tmp_path):
    """Builds from the store leave out the same files."""
    part = make("a", ["1"])
    digest = "0" * 64
    (part / FILE_NAME).write_text(f"sha256,what\n{digest},gone\n")

    join(tmp_path / "all", part)

    assert "gone" == read_known_placeholders(tmp_path / "all")[digest]


def test_images_of_different_kinds(make, tmp_path):
    """Nothing is taken."""
    originals, resized = make("a", ["1"]), make("b", ["2"], kept=Storage(84).options)

    with pytest.raises(
        ValueError, match=r"a \(originals\) and .*b \(.*\): these stores hold images of different"
    ):
        join(tmp_path / "all", originals, resized)
    with Store(tmp_path / "all") as store:
        assert [] == [*store.rows()]
    with pytest.raises(ValueError, match="hold images of different kinds: join stores that"):
        join(originals, resized)


def test_mixed_counts(make, tmp_path):
    """One line, and nothing is taken."""
    parts = [make("a", ["1"]), make("b", ["2"])]
    mark_shard(parts[0], WorkShard(2, 1))
    mark_shard(parts[0], WorkShard(2, 2))
    mark_shard(parts[1], WorkShard(3, 2))

    assert {2} == read_counts(parts[0])
    with pytest.raises(
        ValueError, match=r"b: the fetches .* in different ways, into 2 and 3 parts: give every"
    ):
        join(tmp_path / "all", *parts)
    with pytest.raises(
        ValueError, match=r"a: the fetches .* in different ways, into 2 and 3 parts: give every"
    ):
        mark_shard(parts[0], WorkShard(3, 1))
    check_shard(parts[0], WorkShard(2, 1))
    assert {2} == read_counts(parts[0])


def test_mixed_counts_at_an_address(make, memory):
    """Shards that share an address have the same number, until a fetch of all sites ends them."""
    place, other = "memory://bucket/web", make("other", ["1"])
    mark_shard(other, WorkShard(3, 1))
    mark_shard(place, WorkShard(2, 1))
    mark_shard(place, WorkShard(2, 2))

    with pytest.raises(ValueError, match=rf"{place}: the fetches .* into 2 and 3 parts: give"):
        mark_shard(place, WorkShard(3, 2))
    assert ["shard-1-of-2", "shard-2-of-2"] == list(RemoteFolder(place).list_files())
    with open_writer(place, "2/2") as writer:  # marks are files of a store
        assert place == writer.ledger.place
        writer.finish()
    with pytest.raises(ValueError, match=rf"{place}: the fetches .* into 2 and 3 parts: give"):
        join(other.with_name("all"), other, place)
    mark_shard(place, WHOLE)
    assert not any(name.startswith("shard-") for name in RemoteFolder(place).list_files())


def test_stores_that_do_not_fit_make_no_new_store(make, tmp_path):
    """The command says why in one line."""
    parts = [make("parts/a", ["1"]), make("parts/b", ["2"])]
    for part, count in zip(parts, (2, 3), strict=True):
        mark_shard(part, WorkShard(count, 1))
    new = tmp_path / "new"
    result = CliRunner().invoke(
        main, ["fetch", "--store", str(new), "--join", str(tmp_path / "parts")]
    )

    assert 1 == result.exit_code
    assert "b: the fetches into this store were divided in different ways, into 2 " in result.output
    assert not new.exists()


def test_stores_are_found(make, tmp_path):
    """A store, or a folder of stores; each once, and not the one that takes them."""
    a, b = make("parts/a"), make("parts/b")
    (tmp_path / "parts" / "notes.txt").touch()

    assert [a, b] == find_stores([tmp_path / "parts", a], tmp_path / "all")
    assert [b] == find_stores([tmp_path / "parts"], a)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_a_folder_without_stores(tmp_path, name):
    """It is named."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(
        FileNotFoundError, match=f"{name}: there is no image store here: give one, or a"
    ):
        find_stores([tmp_path / name], tmp_path / "all")


def test_a_store_in_which_a_fetch_runs(make, tmp_path):
    """It is not joined before the fetch has ended."""
    part = make("a", ["1"])

    with (
        open_ledger(part),
        pytest.raises(BlockingIOError, match="a fetch is running here: join its store when"),
    ):
        join(tmp_path / "all", part)


def test_a_disk_that_cannot_be_read(make, tmp_path, monkeypatch):
    """It is an error, not a damaged file."""
    part = make("a", ["1"])

    def fail(self, image_id):
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(Store, "read", fail)
    with pytest.raises(OSError, match="Input/output error"):
        join(tmp_path / "all", part)
