"""What the tasks of one piece of work have in common."""

from dataclasses import dataclass, field
from uuid import uuid4


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What the tasks of one piece of work have in common.

    Copies of a job in other processes are equal to it, and no other job is. So a worker that caches
    what it opens by job opens it once for a job, and again for the next: files may have been fixed
    since.
    """

    job_id: str = field(default_factory=lambda: uuid4().hex, kw_only=True)

    def __eq__(self, value: object) -> bool:
        return isinstance(value, Job) and value.job_id == self.job_id

    def __hash__(self) -> int:
        return hash(self.job_id)
