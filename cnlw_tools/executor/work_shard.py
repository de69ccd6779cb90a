"""A share of work for one of several processes that need no coordinator: `--shard 2/5`.

Work is divided by numbers that every process computes alike, from the work itself. So a process
knows its share without asking, and the shares of all processes together are the work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cnlw_tools.registry.counts import join_words

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, order=True)
class WorkShard:
    """One of several shares, counted from one; as a text it is ``2/5``, the second of five."""

    count: int = 1
    number: int = 1

    def __str__(self) -> str:
        """Return the shard as the option --shard takes it."""
        return f"{self.number}/{self.count}"

    def select(self, items: Sequence[Item]) -> list[Item]:
        """Return the items of this shard: every fifth, from the second on."""
        return list(items[self.number - 1 :: self.count])

    def owns(self, key: int) -> bool:
        """Return whether what has this key belongs to this shard."""
        return key % self.count == self.number - 1


WHOLE = WorkShard()  # all of the work
MAX_COUNT = 1_000_000  # of shards
MAX_DIGITS = len(str(MAX_COUNT))


def describe_mixed_counts(counts: Mapping[Path, int]) -> str:
    """Return where shards lie whose work was divided in different ways; nothing if none do.

    Args:
        counts: into how many parts the work was divided, by the file that says so
    """
    folders = {count: str(path.parent) for path, count in counts.items()}
    if len(folders) < 2:
        return ""
    places = join_words(sorted(set(folders.values())))
    numbers = join_words([str(count) for count in sorted(folders)])
    return (
        f"{places}: the work of these shards was divided in different ways, into {numbers} parts: "
        "give every process the same number"
    )


def parse_work_shard(text: object) -> WorkShard:
    """Return the shard that a text such as ``2/5`` names.

    Raises:
        ValueError: there is no such shard
    """
    number, _, count = text.partition("/") if isinstance(text, str) else ("", "", "")
    numbers = []
    for part in (number, count):
        if part.isdecimal() and len(part) <= MAX_DIGITS:
            numbers.append(int(part))
    if len(numbers) < 2 or not 1 <= numbers[0] <= numbers[1] <= MAX_COUNT:
        shown = text
        if isinstance(text, str) and len(text) > 2 * MAX_DIGITS + 1:
            shown = text[: 2 * MAX_DIGITS] + "..."
        raise ValueError(
            f"shard {shown!r} is not allowed: write it as 2/5 for the second of five "
            f"parts, with at most {MAX_COUNT:,} parts"
        )
    return WorkShard(numbers[1], numbers[0])
