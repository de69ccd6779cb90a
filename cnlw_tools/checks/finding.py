"""A check of a build, its findings and its result."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cnlw_tools.checks.evidence import Evidence

REBUILD_FILE = "delete the file and run the same `cnlw build` again"
REBUILD = "build it again"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong or worth knowing.

    An error is in the noise or in the build; a note is about the base data themselves.
    """

    severity: Literal["error", "note"]
    message: str
    location: str  # config, file or table
    count: int = 1  # rows, images or files that it concerns
    fix: str = REBUILD_FILE


@dataclass(frozen=True, slots=True)
class Check:
    """A pure function from evidence to findings, with a condition under which it is skipped."""

    name: str
    claim: str  # what the check proves, in one line
    run: Callable[[Evidence], Iterator[Finding]]
    reason_to_skip: Callable[[Evidence], str | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    name: str
    claim: str
    skipped: str | None  # why the check does not apply to this build
    findings: list[Finding]


def error(message: str, location: str, count: int = 1, fix: str = REBUILD_FILE) -> Finding:
    """Return a finding that makes the build unfit for use."""
    return Finding("error", message, location, count, fix)


def note(message: str, location: str, count: int = 1, fix: str = "") -> Finding:
    """Return a finding that is worth knowing and does no harm."""
    return Finding("note", message, location, count, fix)


def abbreviate(values: Sequence[str], limit: int = 3) -> str:
    """Join the first few values, and append the number of the others."""
    text = ", ".join(values[:limit])
    if len(values) > limit:
        text += f" and {len(values) - limit} more"
    return text
