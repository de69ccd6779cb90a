"""The random numbers of pictures."""

from cnlw_tools.sources.shapes.rng import Rng, image_keys


def test_numbers_follow_from_the_text_alone():
    """The same text gives the same numbers, another text others, beyond the first block."""
    first, second = Rng("a"), Rng("a")
    numbers = [first.uniform() for _ in range(300)]
    assert numbers == [second.uniform() for _ in range(300)]
    assert len(set(numbers)) == 300
    assert Rng("b").uniform() not in numbers
    assert 0.4 < sum(numbers) / 300 < 0.6


def test_several_numbers_at_once_are_those_that_come_one_by_one():
    """Blocks end anywhere among them."""
    one_by_one, several = Rng("c"), Rng("c")
    for n in (3, 0, 125, 1, 300):
        assert several.take(n) == [one_by_one.uniform() for _ in range(n)]


def test_numbers_stay_within_their_bounds():
    """Whole numbers include both ends."""
    rng = Rng("bounds")
    assert {rng.integer(2, 4) for _ in range(100)} == {2, 3, 4}
    assert {rng.choice("abc") for _ in range(100)} == set("abc")
    assert all(-1 <= rng.uniform(-1, 2) < 2 for _ in range(100))


def test_keys_of_many_ids_do_not_depend_on_each_other():
    """Nor do they depend on the order of the ids."""
    assert image_keys(["a", "bc"]).tolist() == [image_keys(["a"])[0], image_keys(["bc"])[0]]
