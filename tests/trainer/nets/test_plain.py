"""Perceptrons and plain ConvNets: what the count of parameters does not say."""

import torch
from torch import nn
from torch.nn.functional import max_pool2d, relu

from cnlw_tools.trainer.nets import build_network


def layers(net, kind):
    return [layer for layer in net.modules() if isinstance(layer, kind)]


def test_a_perceptron_is_matrices_and_relu():
    """W2 ReLU(W1 x + b1) + b2, and so on."""
    net, x = build_network("mlp2", 10, (4, 4)), torch.randn(5, 3, 4, 4)
    first, second, last = layers(net, nn.Linear)
    expected = last(relu(second(relu(first(x.flatten(1))))))

    torch.testing.assert_close(net(x), expected)


def test_a_small_convnet():
    """Two convolutions and pooling, two dense layers."""
    net, x = build_network("conv4", 10, (9, 9)), torch.randn(5, 3, 9, 9)
    first, second = layers(net, nn.Conv2d)
    hidden, last = layers(net, nn.Linear)
    pooled = max_pool2d(relu(second(relu(first(x)))), 2)

    torch.testing.assert_close(net(x), last(relu(hidden(pooled.flatten(1)))))


def test_glorot():
    """Dense weights are uniform within sqrt(6 / (inputs + outputs)), biases 0."""
    first = layers(build_network("mlp1", 10, (8, 8)), nn.Linear)[0]
    bound = (6 / (192 + 512)) ** 0.5

    assert 0.99 * bound < first.weight.abs().max() <= bound
    assert first.bias.abs().sum() == 0


def test_coteaching():
    """Nine convolutions, each under a leaky ReLU; two dropouts of whole channels."""
    net = build_network("cnn9", 10, (32, 32))

    assert len(layers(net, nn.Conv2d)) == 9
    assert [layer.negative_slope for layer in layers(net, nn.LeakyReLU)] == [0.01] * 9
    assert [layer.p for layer in layers(net, nn.Dropout2d)] == [0.25, 0.25]
