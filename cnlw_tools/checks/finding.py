"""What a check is, and what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from cnlw_tools.checks.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing."""

    check: str
    severity: Literal[
        "error", "note"
    ]  # what noise or build did wrong; what the base data themselves hold
    what: str
    where: str
    count: int
    mend: str


@dataclass(frozen=True, slots=True)
class Check:
    """A pure function from evidence to findings, and when it applies."""

    name: str
    proves: str  # one line
    run: Callable[[Evidence], Iterator[Finding]]
    applies: Callable[[Evidence], str | None] = lambda _: None  # why not; none: it does


REBUILD = "delete the file and run the same `cnlw build` again"


def error(check: str, what: str, where: str, count: int = 1, mend: str = REBUILD) -> Finding:
    """Return a finding that makes the build unfit for use."""
    return Finding(check, "error", what, where, count, mend)


def some(values: list[str], most: int = 3) -> str:
    """Show the first few values."""
    return ", ".join(values[:most]) + (
        f" and {len(values) - most} more" if len(values) > most else ""
    )
