"""A share of work: every process knows its own, and all shares together are the work."""

from pathlib import Path

import pytest

from cnlw_tools.executor.work_shard import (
    WHOLE,
    WorkShard,
    describe_mixed_counts,
    parse_work_shard,
)

SHARDS = [parse_work_shard(f"{number}/3") for number in (1, 2, 3)]


def test_processes_share_items():
    """Every item belongs to one process, and to one alone."""
    shares = [shard.select(list(range(11))) for shard in SHARDS]

    assert [1, 4, 7, 10] == shares[1]
    assert list(range(11)) == sorted(shares[0] + shares[1] + shares[2])


def test_processes_share_keys():
    """Every key belongs to one process, and to one alone."""
    for key in range(11):
        assert 1 == sum(shard.owns(key) for shard in SHARDS)


def test_all_of_the_work_is_a_shard():
    """It is the first of one."""
    assert [4, 5] == WHOLE.select([4, 5])
    assert WHOLE.owns(7)


def test_a_shard_is_read_as_it_is_written():
    """The second of five is 2/5."""
    shard = parse_work_shard("2/5")

    assert WorkShard(count=5, number=2) == shard
    assert "2/5" == str(shard)


WRONG = ["2", "0/3", "4/3", "a/b", "1/", "", "-1/3", "1/3/3", "1.0/3", "1/1000001"]
WRONG += ["1/" + 5000 * "9", 2, None, (1, 2), b"1/2"]


@pytest.mark.parametrize("text", WRONG)
def test_a_shard_that_does_not_exist(text):
    """The message says how to write it."""
    with pytest.raises(ValueError, match=r"^shard .{1,20} is not allowed: write it as 2/5"):
        parse_work_shard(text)


def test_mixed_counts_are_described_with_their_folders():
    """Both of them if the shards lie in two; nothing if the work was divided in one way."""
    one, two = Path("parts/1/shard-1-of-2.json"), Path("parts/2/shard-2-of-3.json")
    beside = Path("parts/1/shard-2-of-3.json")
    mixed = "the work of these shards was divided in different ways, into 2 and 3 parts"

    assert describe_mixed_counts({one: 2, two: 3}).startswith(f"parts/1 and parts/2: {mixed}: give")
    assert describe_mixed_counts({one: 2, beside: 3}).startswith(f"parts/1: {mixed}: give")
    assert describe_mixed_counts({one: 2, Path("x/shard-2-of-2.json"): 2}) == ""
    assert describe_mixed_counts({}) == ""
