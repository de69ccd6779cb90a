"""A chain of blocks, pooled features, dropout, a head; and derivatives of every kind through it."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, jvp
from torch.nn.functional import cross_entropy

from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.trainer.nets import Network, build_network
from cnlw_tools.trainer.nets.network import build_own_network, require_image_size


def toy(dropout=0.0):
    torch.manual_seed(0)
    return Network([nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)], 5, 2, dropout)


def test_formula():
    """Features are means over pixels, logits linear in them."""
    net, x = toy(), torch.randn(3, 3, 8, 8)
    first = net.blocks[0](x)
    second = net.blocks[1](first)
    features = torch.stack([torch.stack([plane.mean() for plane in image]) for image in second])

    assert [h.shape for h in net.block_features(x)] == [(3, 4, 6, 6), (3, 5, 4, 4)]
    torch.testing.assert_close(net.block_features(x)[1], second)
    torch.testing.assert_close(net.features(x), features)
    torch.testing.assert_close(net(x), features @ net.head.weight.T + net.head.bias)


@pytest.mark.parametrize(
    ("name", "type_name", "positions", "tail"),
    [
        ("resnet32", "ResidualUnit", range(5), 0),
        ("resnet34_narrow", "ResidualUnit", range(3), 0),
        ("preact_resnet18", "ResidualUnit", range(2), 2),  # normalisation, activation
        ("resnet29", "ResidualUnit", range(3), 2),
        ("densenet100", "DenseLayer", (5, 10, 15), 2),
        ("resnet18", "BasicBlock", range(2), 0),
    ],
)
def test_units_are_those_of_the_last_stage(name, type_name, positions, tail):
    """Each unit of the last block is heard, or those that the net names; what follows the last belongs to it."""
    net, x = build_network(name, 10, (32, 32)).eval(), torch.randn(2, 3, 32, 32)
    units = [u for u in net.blocks[-1].modules() if type(u).__name__ == type_name]
    outputs = []
    for unit in units:
        unit.register_forward_hook(lambda unit, args, output: outputs.append(output))
    with torch.no_grad():
        last = net.block_features(x)[-1]
        expected = [outputs[i] for i in positions]
        if tail:
            for layer in net.blocks[-1][-tail:]:
                expected[-1] = layer(expected[-1])
        found = net.unit_features(x)

    assert len(found) == len(positions)
    for ours, naive in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, naive)
    torch.testing.assert_close(found[-1], last)


@pytest.mark.parametrize("name", ["conv_small", "mlp2"])
def test_a_network_without_units_gives_its_blocks(name):
    """The ends of all blocks stand in."""
    net, x = build_network(name, 10, (32, 32)).eval(), torch.randn(2, 3, 32, 32)

    for ours, block in zip(net.unit_features(x), net.block_features(x), strict=True):
        torch.testing.assert_close(ours, block)


def test_own_pool():
    """A network may pool otherwise."""
    net = Network([nn.Identity()], 12, 2, pool=nn.Flatten())

    assert net.features(torch.ones(1, 3, 2, 2)).shape == (1, 12)


def test_dropout_is_before_the_head():
    """Dropout falls on the features, in training alone."""
    net, x = toy(dropout=1.0), torch.randn(3, 3, 8, 8)

    torch.testing.assert_close(net(x), net.head.bias.expand(3, 2))
    assert not torch.equal(net.eval()(x), net.head.bias.expand(3, 2))


def test_dropout_inside_comes_first():
    """If the blocks have dropouts, it is their probability that is set."""
    wide, plain, coteaching = (
        build_network(name, 10, (32, 32), dropout=0.3) for name in ("wrn28_2", "conv_small", "cnn9")
    )
    inside = [layer.p for layer in wide.blocks.modules() if isinstance(layer, nn.Dropout)]

    assert inside == [0.3] * 12  # one a unit
    assert wide.dropout.p == 0.0
    assert plain.dropout.p == 0.3
    assert [layer.p for layer in coteaching.modules() if isinstance(layer, nn.Dropout2d)] == [
        0.3,
        0.3,
    ]


def test_dropout_is_a_probability():
    """A value below 0 or above 1 is an error."""
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match=rf"dropout = {p} is not allowed: .* from 0 to 1"):
            build_network("conv_small", 10, (32, 32), dropout=p)


def test_require_image_size():
    """The error names the size needed, the size given and the remedy."""
    require_image_size(8, (8, 8), "x")
    with pytest.raises(
        ValueError,
        match=r"x needs images of 8 x 8 pixels or more, but these are 7 pixels wide "
        r"and 8 high: .*--size 8",
    ):
        require_image_size(8, (8, 7), "x")


def one_linear(n_classes, size):
    """A network of one's own, for images of this height and width alone."""
    height, width = size
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * height * width, n_classes))


def test_a_network_of_ones_own_is_made_for_height_and_width():
    """It is tried on images that are not square, and stays in the mode of training."""
    net = build_own_network(one_linear, 4, (5, 9))

    assert net(torch.zeros(3, 3, 5, 9)).shape == (3, 4)
    assert all(layer.training for layer in net.modules())


def test_a_lazy_network_of_ones_own_gets_its_weights_before_training():
    """Two of them begin with different weights, as others do."""
    nets = []
    for _ in range(2):
        net = build_own_network(
            lambda n_classes, size: nn.Sequential(nn.Flatten(), nn.LazyLinear(n_classes)), 3, (4, 6)
        )
        nets.append(net)

    assert nets[0][1].weight.shape == (3, 72)
    assert not torch.equal(nets[0][1].weight, nets[1][1].weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda n, size: nn.Linear(3 * size * size, n), r"failed for \(4, \(5, 9\)\).*height"),
        (lambda n: nn.Linear(1, n), r"failed for \(4, \(5, 9\)\)"),
        (lambda n, size: 7, "returned int: make it return a torch.nn.Module"),
        (
            lambda n, size: one_linear(n, (9, 9)),
            "cannot take images 9 pixels wide and 5 high: .*--size N",
        ),
        (lambda n, size: one_linear(n + 1, size), r"returned \(2, 5\) for 2 images .*\(2, 4\)"),
        (lambda n, size: nn.LSTM(9, n), "cannot take images 9 pixels wide"),
    ],
)
def test_a_network_of_ones_own_that_cannot_learn_is_refused(make, message):
    """An error in a sentence says what it did, and what it should take and return."""
    with pytest.raises(ValueError, match=message):
        build_own_network(make, 4, (5, 9))


@pytest.mark.filterwarnings(
    "ignore:.torch.jit.script:FutureWarning"
)  # PyTorch's own, on the first jvp
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("conv_small", 16),
        ("resnet32", 8),
        ("resnet29", 8),
        ("wrn28_2", 8),
        ("densenet100", 8),
        ("inception_v2", 32),
        ("resnet18", 32),
        ("mobilenet_v2", 32),
        pytest.param("cnn9", 28, marks=pytest.mark.slow),
        pytest.param("resnet32_wide", 4, marks=pytest.mark.slow),
        pytest.param("inception_v3", 75, marks=pytest.mark.slow),
        pytest.param("efficientnet_b5", 32, marks=pytest.mark.slow),
    ],
)
def test_derivatives(name, size):
    """The slope of each loss along v, forwards, is d/de <d/dw sum(e l), v>, twice backwards."""
    torch.manual_seed(0)
    net = build_network(name, 5, (size, size), dropout=0.0).double()
    for layer in net.modules():
        if type(layer).__name__ == "StochasticDepth":
            layer.p = 0.0
    x, y = torch.randn(3, 3, size, size, dtype=torch.double), torch.arange(3)
    weights = dict(net.named_parameters())
    v = {key: torch.randn_like(w) for key, w in weights.items()}

    def losses(w):
        return cross_entropy(functional_call(net, w, (x,)), y, reduction="none")

    with batch_statistics(net):
        _, forwards = jvp(losses, ({key: w.detach() for key, w in weights.items()},), (v,))
        e = torch.zeros(3, dtype=torch.double, requires_grad=True)
        slopes = torch.autograd.grad(
            (e * losses(weights)).sum(), list(weights.values()), create_graph=True
        )
        (twice,) = torch.autograd.grad(
            sum((g * d).sum() for g, d in zip(slopes, v.values(), strict=True)), e
        )

    torch.testing.assert_close(forwards, twice)
    assert twice.abs().min() > 0
