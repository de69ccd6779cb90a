"""A check of a build, its findings and its result."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cnlw_tools.checks.evidence import Evidence
from cnlw_tools.registry.counts import count_things, list_first

REBUILD_FILE = "delete the file and run the same `cnlw build` again"
REBUILD = "build it again"


@dataclass(frozen=True, slots=True)
class Consequence:
    """An error that another one explains."""

    check: str
    message: str
    location: str
    count: int


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
    consequences: tuple[Consequence, ...] = ()  # errors of other checks that follow from it


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
    causes: tuple[str, ...] = ()  # places of the findings that errors of this check follow from


def error(message: str, location: str, count: int = 1, fix: str = REBUILD_FILE) -> Finding:
    """Return a finding that makes the build unfit for use."""
    return Finding("error", message, location, count, fix)


def note(message: str, location: str, count: int = 1, fix: str = "") -> Finding:
    """Return a finding that is worth knowing and does no harm."""
    return Finding("note", message, location, count, fix)


def abbreviate(values: Sequence[str], limit: int = 3) -> str:
    """Join the first few values, and append the number of the others."""
    return list_first(values, limit)


def count_findings(findings: Sequence[Finding]) -> str:
    """Return how many errors and notes there are, in words."""
    errors = [finding for finding in findings if finding.severity == "error"]
    n_consequences = sum(len(finding.consequences) for finding in errors)
    text = count_things(len(errors), "error")
    if n_consequences:
        text += f" with {count_things(n_consequences, 'consequence')}"
    return f"{text}, {count_things(len(findings) - len(errors), 'note')}"
