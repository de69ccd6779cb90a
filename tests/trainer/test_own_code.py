"""A digest of the code of methods and networks of one's own."""

from functools import partial

import pytest
from torch import nn

from cnlw_tools.trainer.own_code import code_digest

FACTOR = 0.5


def helper(x):
    """Double."""
    return 2 * x


def method_of(body, **attributes):
    """A class of one name."""
    return type("Mine", (nn.Module,), {"loss": body, **attributes})


def scaled_by(factor):
    """A function that takes a number along."""
    return lambda self, x: factor * x


def mean_loss(self, x):
    """Return the mean."""
    return FACTOR * helper(x).mean()


def sum_loss(self, x):
    """Return the sum."""
    return FACTOR * helper(x).sum()


def strong_loss(self, x, strength=2.0):
    """Return the mean."""
    return FACTOR * helper(x).mean()


THINGS = {
    "mean": lambda: method_of(mean_loss),
    "sum": lambda: method_of(sum_loss),
    "default": lambda: method_of(strong_loss),
    "attribute": lambda: method_of(mean_loss, views=("standard",)),
    "other attribute": lambda: method_of(mean_loss, views=("policy",)),
    "static": lambda: method_of(mean_loss, rate=staticmethod(helper)),
    "number around it": lambda: method_of(scaled_by(1.0)),
    "other number around it": lambda: method_of(scaled_by(2.0)),
    "child": lambda: type("Mine", (method_of(sum_loss),), {}),
    "partial": lambda: partial(scaled_by, 1.0),
    "other partial": lambda: partial(scaled_by, factor=1.0),
    "nested": lambda: method_of(lambda self, x: [2 * part for part in x]),
    "other nested": lambda: method_of(lambda self, x: [3 * part for part in x]),
    "set": lambda: method_of(lambda self, x: x in {"a", "b", "c"}),
    "library": lambda: nn.Linear,
}


def test_another_body_number_or_parent_is_other_code():
    """The name is the same; made again, each has the same digest."""
    digests = {name: code_digest([make()]) for name, make in THINGS.items()}

    assert len(set(digests.values())) == len(THINGS)
    assert digests == {name: code_digest([make()]) for name, make in THINGS.items()}


@pytest.mark.parametrize("name", ["FACTOR", "helper"])
def test_what_a_function_reads_from_its_module_counts(monkeypatch, name):
    """A number, and a function that it calls."""
    before = code_digest([method_of(mean_loss)])
    monkeypatch.setitem(globals(), name, {"FACTOR": 0.75, "helper": lambda x: 3 * x}[name])

    assert code_digest([method_of(mean_loss)]) != before


def test_comments_and_docstrings_do_not_count():
    """Nor do the lines where the code stands, nor that it ran."""
    sources = [
        'def loss(x):\n    """One."""\n    return x + 1\n',
        "def loss(x):\n\n    return x + 1\n",
    ]
    sources[1] = sources[1].replace("\n\n", '\n    """Two."""\n    # three\n')
    functions = []
    for source in sources:
        names = {"__name__": "mine"}
        exec(source, names)  # noqa: S102
        functions.append(names["loss"])
    before = code_digest([functions[0]])
    for _ in range(100):
        functions[0](1)

    assert before == code_digest([functions[0]]) == code_digest([functions[1]])


def test_code_that_calls_itself_ends():
    """So do classes that name each other."""

    def first(x):
        return second(x)

    def second(x):
        return first(x)

    assert code_digest([first]) != code_digest([second])
