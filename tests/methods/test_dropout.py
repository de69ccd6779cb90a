"""Tests of dropout: every layer gets the rate, and a network without one is refused."""

import pytest
import torch
from torch import nn

from cnlw_tools.methods import METHODS, Task


def test_sets_every_layer():
    """The rate is set in all dropout layers, and in no other layer."""
    inner = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
    method = METHODS["dropout"](Task(lambda: nn.Sequential(inner, nn.Dropout(0.9)), 4, 2, 1), p=0.3)

    assert [layer.p for layer in method.modules() if isinstance(layer, nn.Dropout)] == [0.3, 0.3]


def test_drops_its_share(toy):
    """In training a share p of the features is 0 and the others are scaled up, else none."""
    method = toy.make("dropout", p=0.25)
    features = torch.ones(100_000)

    dropped = method.net.dropout(features)

    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(method.eval().net.dropout(features), features)


def test_validation_is_that_of_vanilla(toy):
    """With the same weights the predictions equal those of vanilla to the last bit."""
    dropout, vanilla = (toy.make(name).eval() for name in ("dropout", "vanilla"))

    assert torch.equal(dropout.predict(toy.x), vanilla.predict(toy.x))


def test_no_layer():
    """A network without dropout is refused."""
    with pytest.raises(ValueError, match=r"^p = 0\.5: this network has no dropout layer to set"):
        METHODS["dropout"](Task(lambda: nn.Linear(2, 2), 4, 2, 1))
