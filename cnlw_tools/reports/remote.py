"""Runs and reports at addresses such as ``s3://bucket/runs``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnlw_tools.executor import Progress, no_progress
from cnlw_tools.files.drafts import scratch_folder
from cnlw_tools.files.folders import list_names
from cnlw_tools.files.mirror import local_copy
from cnlw_tools.files.storage import RemoteFolder, is_address
from cnlw_tools.recipe.run_files import BEST_WEIGHTS, CHECKPOINT, is_run_file
from cnlw_tools.study.study_file import FAILURE, STUDY

PAGE = "index.html"
NOT_REPORTED = (CHECKPOINT, BEST_WEIGHTS)


def copy_runs(runs: Path | str, progress: Progress = no_progress) -> Path:
    """Return a folder of runs; of one at an address, what a report shows is copied.

    Args:
        runs: the folder, or the address
        progress: is told how many bytes came

    Raises:
        ValueError, OSError: the address cannot be read, or nothing is there
    """
    return local_copy(runs, _is_reported, progress)


def _is_reported(name: str) -> bool:
    """Return whether a report needs a file below the folder of runs."""
    parts = name.split("/")
    if parts[-1] in (STUDY, FAILURE):
        return True
    if parts[-1] in NOT_REPORTED or parts[-2:-1] == ["tensorboard"]:
        return False
    return is_run_file(parts[-1]) or is_run_file("/".join(parts[-2:]))


@contextmanager
def report_folder(place: Path | str) -> Iterator[Path]:
    """Yield the folder to write a report to; at an address, its files are put after the block.

    The page comes last: whoever reads it finds the rest.

    Raises:
        OSError: the address cannot be written
    """
    if not is_address(place):
        yield Path(place)
        return
    remote = RemoteFolder(place)
    with scratch_folder() as folder:
        yield folder
        for name in sorted(list_names(folder), key=lambda name: name == PAGE):
            remote.put(folder / name, name)
