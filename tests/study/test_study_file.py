"""study.json, written and read again."""

import json
from dataclasses import asdict

import pytest

from cnlw_tools import files
from cnlw_tools.executor.work_shard import WorkShard
from cnlw_tools.study.expand import expand_study
from cnlw_tools.study.spec import parse_study
from cnlw_tools.study.study_file import (
    STUDY,
    StudyFile,
    clear_failure,
    mark_shard,
    read_failure,
    read_study_file,
    write_failure,
    write_study_file,
)

RAW = {
    "dataset": "shapes",
    "configs": [{"noise": "blue", "levels": [0, 40], "probe": 2}],
    "methods": [{"name": "mixup", "options": {"alpha": 8}, "label": "ours"}],
    "nets": ["mlp1"],
    "changes": {"epochs": 2},
    "net_values": {"mlp1": 2},
    "published": [{"table": "t", "columns": {"40": ["blue_40"]}, "rows": {"Ours": "mixup"}}],
}


@pytest.fixture(scope="module")
def whole() -> StudyFile:
    """What a sweep writes of a study of two runs."""
    study = parse_study(RAW, "test")
    every = tuple(expand_study(study, files.default_root()))
    return StudyFile("toy", "small", study, every, "builds", ("cnlw", "sweep", "toy"))


def test_round_trip(tmp_path, whole):
    """A study comes back with every run and its recipe."""
    write_study_file(tmp_path, whole)
    read = read_study_file(tmp_path)

    assert json.dumps(asdict(read)) == json.dumps(asdict(whole))
    assert [run.recipe for run in read.cells] == [run.recipe for run in whole.cells]


def test_no_sweep(tmp_path):
    """A folder of runs that no sweep made has no such file."""
    assert read_study_file(tmp_path) is None


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000])
def test_damaged(tmp_path, raw):
    """A damaged file is an error with a remedy."""
    (tmp_path / STUDY).write_bytes(raw)

    with pytest.raises(ValueError, match=r"study\.json:? .*: run the sweep again$"):
        read_study_file(tmp_path)


def test_any_node(tmp_path, whole, fuzz):
    """Any JSON in place of any node is read or an error that names the file."""
    path = tmp_path / STUDY
    one = asdict(whole)
    one["cells"] = one["cells"][:1]

    def once(raw):
        path.write_text(json.dumps(raw))
        read_study_file(tmp_path)

    fuzz(json.loads(json.dumps(one)), once, str(path))


def test_why_a_run_failed_is_read_back(tmp_path):
    """Until it is forgotten."""
    assert read_failure(tmp_path) == ""
    write_failure(tmp_path / "run", "L2R needs a trusted set")
    assert read_failure(tmp_path / "run") == "L2R needs a trusted set"
    clear_failure(tmp_path / "run")
    assert read_failure(tmp_path / "run") == ""


def test_mixed_counts_of_shards(tmp_path):
    """One line with the remedy, and no note of the second count; the same count goes on."""
    mark_shard(tmp_path / "runs", WorkShard(2, 1))
    mark_shard(tmp_path / "runs", WorkShard(2, 2))
    before = sorted((tmp_path / "runs").iterdir())

    with pytest.raises(ValueError, match=r"runs: shards of 2 and 3 sweeps are mixed.* or delete"):
        mark_shard(tmp_path / "runs", WorkShard(3, 1))

    assert before == sorted((tmp_path / "runs").iterdir())


def test_a_folder_of_runs_that_cannot_be_made(tmp_path):
    """The error names it and the remedy."""
    (tmp_path / "runs").touch()
    with pytest.raises(OSError, match=r"runs cannot be written \(.*\): give another folder"):
        mark_shard(tmp_path / "runs", WorkShard(2, 1))
