"""Learning rates."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.trainer.schedule import SCHEDULES, parse_schedule, with_warmup


def test_steps_fall_after_so_many_epochs():
    """MentorMix: 0.9 every 30 epochs, on the stair."""
    rate = parse_schedule("step:30:0.9")

    assert [rate(t, 400) for t in (0, 29.9, 30, 89)] == pytest.approx([1, 1, 0.9, 0.81])


def test_milestones_count():
    """Mixup: a tenth at 100, another at 150."""
    rate = parse_schedule("multistep:100,150:0.1")

    assert [rate(t, 200) for t in (0, 99.9, 100, 150)] == pytest.approx([1, 1, 0.1, 0.01])


def test_exponential_falls_every_moment():
    """Half an epoch is half a power."""
    assert parse_schedule("exponential:0.81")(0.5, 10) == pytest.approx(0.9)


def test_a_line_begins_late():
    """Co-teaching: 1 for 80 of 200 epochs, then down to 0; a shorter training stays at 1."""
    rate = parse_schedule("linear:80")

    assert [rate(t, 200) for t in (0, 80, 140, 200)] == pytest.approx([1, 1, 0.5, 0])
    assert [rate(t, 60) for t in (0, 60)] == [1, 1]


def test_a_cosine_ends_at_nothing():
    """From 1 by 1/2 to 0."""
    rate = parse_schedule("cosine")

    assert [rate(t, 10) for t in (0, 5, 10)] == pytest.approx([1, 0.5, 0], abs=1e-12)


def test_restarts_are_those_of_ieg():
    """The table of the authors' schedule: 500 steps an epoch, 0.1 at the start."""
    rate = parse_schedule("restarts:1:1.5:0.9")

    for step, expected in {
        0: 0.1,
        250: 0.05,
        500: 0.09,
        875: 0.045,
        1250: 0.081,
        2375: 0.0729,
    }.items():
        assert 0.1 * rate(step / 500, 400) == pytest.approx(expected, abs=1e-9)
    assert 0.1 * rate(499 / 500, 400) == pytest.approx(1e-6, abs=1e-7)


def test_cycles_end_where_the_authors_say():
    """Just before the end of a cycle the rate is next to nothing, and then at its height."""
    ends = [500, 1250, 2375, 4062.5, 6593.75, 10390.625, 16085.9375, 24628.90625]
    rate = parse_schedule("restarts:1:1.5:0.9")

    for i, end in enumerate(ends, 1):
        assert rate((end - 1e-3) / 500, 400) < 1e-6
        assert rate(end / 500, 400) == pytest.approx(0.9**i)


def test_no_cycle_begins_within_the_last_epoch():
    """Of 171 epochs the last cosine ends 2.4 steps before the end; the rate does not jump up there."""
    rate = parse_schedule("restarts:1:1.5:0.9")
    end = sum(1.5**i for i in range(11))  # 2.4 steps of 500 an epoch before 171

    assert [rate(step / 500, 171) for step in (85498, 85499)] == pytest.approx([0, 0], abs=1e-12)
    assert rate(end, 172) == pytest.approx(0.9**11)
    assert rate(1.0, 2) == pytest.approx(0.9)
    assert rate(1.0, 1.5) == pytest.approx(0, abs=1e-12)


def test_a_saw_is_that_of_o2u():
    """The authors' 0.01 to 0.001 in ten epochs; within an epoch it stands still."""
    rate = parse_schedule("cyclic:10:0.1")

    for epoch, expected in {1: 0.0082, 5: 0.0046, 8: 0.0019, 9: 0.001, 10: 0.0091}.items():
        assert 0.01 * rate(epoch, 250) == pytest.approx(expected)
        assert rate(epoch + 0.9, 250) == rate(epoch, 250)


@given(
    st.sampled_from(
        [
            "constant",
            "step:3:0.5",
            "multistep:2,4:0.1",
            "exponential:0.9",
            "cosine",
            "restarts:1:2:0.5",
        ]
    )
)
def test_a_factor_is_between_0_and_1(text):
    """Whatever the schedule: it begins at 1 and never rises above."""
    rate = parse_schedule(text)

    assert rate(0, 10) == 1
    assert all(0 <= rate(t / 10, 10) <= 1 for t in range(100))


def test_warm_up_rises_in_a_line():
    """Half way through the warm-up half the rate."""
    rate = with_warmup(parse_schedule("constant"), 4)

    assert [rate(t, 10) for t in (0, 2, 4, 9)] == [0, 0.5, 1, 1]


def test_no_warm_up_changes_nothing():
    """0 epochs."""
    assert with_warmup(parse_schedule("constant"), 0)(0, 10) == 1


@pytest.mark.parametrize(
    "text",
    [
        "step",
        "step:3",
        "step:3:0.5:1",
        "step:x:1",
        "step:1,2:0.5",
        "cosine:1",
        "cosine:x",
        "exponential:0",
        "restarts:1:-1:1",
        "step:nan:0.5",
        "step:inf:0.5",
        "exponential:1.5",
        "restarts:1:0.5:0.9",
        "restarts:1:1.5:2",
    ],
)
def test_what_cannot_be_read_is_an_error(text):
    """The message says how to write it."""
    name = text.split(":")[0]

    with pytest.raises(ValueError, match=f"write {name}"):
        parse_schedule(text)


def test_an_unknown_schedule_is_an_error():
    """With the one that was meant."""
    with pytest.raises(LookupError, match="Did you mean 'cosine'"):
        parse_schedule("cosin")


def test_every_schedule_is_explained():
    """The module's text has a line for each."""
    text = (Path(__file__).parents[2] / "cnlw_tools/trainer/schedule.py").read_text()
    for name in SCHEDULES:
        assert f"\n{name}" in text
