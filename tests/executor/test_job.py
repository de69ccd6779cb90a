"""Jobs: a copy in another process is the same job, and no other one is."""

import pickle
from dataclasses import dataclass

from cnlw_tools.executor.job import Job


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
