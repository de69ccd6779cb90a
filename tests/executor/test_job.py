"""Jobs: a copy in another process is the same job, and no other one is; folders that they need."""

import pickle
from dataclasses import dataclass

import pytest

from cnlw_tools.executor.job import Job, NeededFolder, find_folders, require_folders


@dataclass(frozen=True, slots=True, eq=False)
class Reading(Job):
    """A job with something that only equals itself."""

    source: object


def test_a_copy_is_the_same_job():
    """Though what it holds is another object."""
    job = Reading(object())
    copy = pickle.loads(pickle.dumps(job))

    assert copy.source != job.source
    assert copy == job
    assert hash(copy) == hash(job)


def test_another_job_is_another():
    """Though it holds the same."""
    assert Reading(1) != Reading(1)
    assert Reading(1) != 1


def test_a_machine_lacks_a_folder(tmp_path, monkeypatch):
    """The error names both; what is missing everywhere is no folder of a job."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    folders = find_folders([folder.relative_to(tmp_path), tmp_path / "gone", None, "s3://b/f"])
    require_folders(folders)
    folder.rmdir()

    assert folders == (NeededFolder(folder, has_contents=False),)
    with pytest.raises(OSError, match=r"photos: the machine .* does not see this folder"):
        require_folders(folders)


def test_a_machine_sees_an_empty_folder(tmp_path):
    """A disk that is not mounted leaves an empty folder; one that is empty everywhere is no fault."""
    photos, empty = tmp_path / "photos", tmp_path / "empty"
    photos.mkdir()
    empty.mkdir()
    (photos / "1.png").touch()
    folders = find_folders([photos, empty, photos / "1.png"])
    require_folders(folders)
    (photos / "1.png").unlink()

    with pytest.raises(OSError, match=r"photos: the machine .* sees no files in this folder"):
        require_folders(folders)
