"""The sha256 of every image of a new dataset, or the reason why an image cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cnlw_tools.dataset.tables import ManifestInfo
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress
from cnlw_tools.executor.job import Job, find_folders, require_folders
from cnlw_tools.files.machine_faults import find_fault
from cnlw_tools.images.pixels import picture_digest
from cnlw_tools.sources import Source, open_new_source

IMAGES_PER_TASK = 200


@dataclass(frozen=True, slots=True, eq=False)
class HashJob(Job):
    """What the reading of any image needs to know."""

    info: ManifestInfo
    data_dir: Path


@dataclass(slots=True)
class HashReport:
    """What came of reading images."""

    digests: dict[str, str] = field(default_factory=dict)  # image id -> sha256
    broken: dict[str, str] = field(default_factory=dict)  # image id -> why it cannot be used


def hash_images(
    job: HashJob,
    manifest: pa.Table,
    executor: Executor = SERIAL,
    progress: Progress = no_progress,
) -> HashReport:
    """Read, decode and hash every image of a manifest that does not give its sha256.

    Sources of pixel arrays give it, since they have all pixels in memory.

    Args:
        job: says which source reads the images
        manifest: as the source made it
        executor: where the images are read
        progress: is told how many images are done

    Raises:
        OSError: a worker process died, or this machine has no room, memory or open files left
    """
    unknown = manifest.filter(pc.is_null(manifest["sha256"]))
    ids = unknown["image_id"].to_pylist()
    starts = range(0, len(ids), IMAGES_PER_TASK)
    tasks = [ids[start : start + IMAGES_PER_TASK] for start in starts]
    if len(tasks) < 2:
        executor = SERIAL  # another process would take longer to start
    report = HashReport()
    job = replace(job, folders=find_folders([job.data_dir]))
    for part in executor.map(partial(_hash_part, job), tasks):
        report.digests |= part.digests
        report.broken |= part.broken
        progress("images", len(report.digests) + len(report.broken), len(ids))
    return report


def _hash_part(job: HashJob, ids: Sequence[str]) -> HashReport:
    """Read, decode and hash some images."""
    source = _open(job)
    report = HashReport()
    for image_id in ids:
        try:
            report.digests[image_id] = picture_digest(source.read(image_id))
        except (LookupError, ValueError, OSError, MemoryError) as error:
            fault = find_fault(error)
            if fault:
                raise OSError(f"image {image_id!r} cannot be read: {fault}") from error
            report.broken[image_id] = str(error)
    return report


@lru_cache(maxsize=1)
def _open(job: HashJob) -> Source:
    require_folders(job.folders)
    return open_new_source(job.info, job.data_dir)
