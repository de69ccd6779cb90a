"""Convolutions, residual units, stages and first weights, each as its formula."""

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, leaky_relu, relu

from cnlw_tools.trainer.nets import resnets
from cnlw_tools.trainer.nets.densenet import DenseLayer
from cnlw_tools.trainer.nets.inception import InceptionModule, inception_v2
from cnlw_tools.trainer.nets.layers import (
    ResidualUnit,
    conv,
    conv_bn_relu,
    he_normal,
    init_weights,
    padded_shortcut,
    residual_stages,
)
from cnlw_tools.trainer.nets.network import Network

X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


def norm(x):
    """Batch normalisation with its first weights, channel by channel."""
    planes = [
        (x[:, c] - x[:, c].mean()) / (x[:, c].var(correction=0) + 1e-5).sqrt()
        for c in range(x.shape[1])
    ]
    return torch.stack(planes, 1)


def convolutions(unit):
    return [layer for layer in unit.modules() if isinstance(layer, nn.Conv2d)]


def test_a_convolution_keeps_the_size():
    """Whatever its kernel, except for its stride."""
    for kernel in (1, 3, 5, 7):
        assert conv(4, 5, kernel)(X).shape == (2, 5, 6, 6)
        assert conv(4, 5, kernel, 2)(X).shape == (2, 5, 3, 3)


def test_conv_bn():
    """ReLU of the normalised convolution."""
    layer = conv_bn_relu(4, 5)

    torch.testing.assert_close(layer(X), relu(norm(layer[0](X))))


def test_residual():
    """after(body(h) + shortcut(h)), h = before(x)."""
    body, shortcut = conv(4, 4), conv(4, 4, 1)

    torch.testing.assert_close(ResidualUnit([body])(X), body(X) + X)
    whole = ResidualUnit([body], [shortcut], before_layers=[nn.ReLU()], after_layers=[nn.Tanh()])
    torch.testing.assert_close(whole(X), torch.tanh(body(relu(X)) + shortcut(relu(X))))


def test_padded():
    """Zeros, the channels, zeros; of every stride x stride pixels the first, or the mean."""
    first_pixels = torch.zeros(2, 7, 3, 3)
    first_pixels[:, 1:5] = X[:, :, ::2, ::2]
    averaged = torch.zeros(2, 7, 3, 3)
    averaged[:, 1:5] = avg_pool2d(X, 2)

    torch.testing.assert_close(nn.Sequential(*padded_shortcut(4, 7, 2, 1))(X), first_pixels)
    torch.testing.assert_close(nn.Sequential(*padded_shortcut(4, 7, 2, 2))(X), averaged)


def test_stages():
    """The first unit of a stage changes the width, and from the second stage on the size."""
    calls = []

    def unit(i, o, stride):
        calls.append((i, o, stride))
        return nn.Identity()

    assert [len(stage) for stage in residual_stages(unit, (3, 4, 5), (2, 3))] == [2, 3]
    assert calls == [(3, 4, 1), (4, 4, 1), (4, 5, 2), (5, 5, 1), (5, 5, 1)]


def test_first_weights():
    """He's weights have variance 2 / (k k C_out), biases are 0; other layers do not change."""
    torch.manual_seed(0)
    net = Network([nn.Conv2d(32, 64, 3)], 64, 10)
    head = net.head.weight.clone()
    layer = init_weights(net, he_normal, nn.Conv2d).blocks[0]

    torch.testing.assert_close(layer.weight.var(), torch.tensor(2 / (9 * 64)), rtol=0.05, atol=0)
    assert layer.bias.abs().sum() == 0
    assert torch.equal(net.head.weight, head)


def test_activation_after_the_sum():
    """ReLU(shortcut(x) + BN conv ReLU BN conv x)."""
    unit = resnets._post_unit(4, 6, 2)
    first, second, shortcut = convolutions(unit)

    torch.testing.assert_close(
        unit(X), relu(norm(shortcut(X)) + norm(second(relu(norm(first(X))))))
    )


def test_activation_before_the_weights():
    """conv ReLU BN conv ReLU BN x; a shortcut with weights begins after the first ReLU BN."""
    changes, keeps = resnets._pre_unit(4, 6, 2), resnets._pre_unit(4, 4, 1)
    first, second, shortcut = convolutions(changes)
    h = relu(norm(X))
    torch.testing.assert_close(changes(X), shortcut(h) + second(relu(norm(first(h)))))

    first, second = convolutions(keeps)
    torch.testing.assert_close(keeps(X), X + second(relu(norm(first(h)))))


def test_wide_unit():
    """Leaky, no weights in the shortcut, which begins after the activation in stage 1 alone."""
    for stride in (1, 2):
        unit = resnets._leaky_unit(4, 6, stride)
        first, second = convolutions(unit)
        h = leaky_relu(norm(X), 0.1)
        way = torch.zeros(2, 6, 6 // stride, 6 // stride)
        way[:, 1:5] = avg_pool2d(h if stride == 1 else X, stride)

        torch.testing.assert_close(unit(X), way + second(leaky_relu(norm(first(h)), 0.1)))


def test_bottleneck():
    """1 x 1, 3 x 3, 1 x 1; the stem has normalised and activated for the very first."""
    x = torch.randn(2, 64, 6, 6)
    unit = resnets._pre_bottleneck(64, 128, 2)
    first, second, third, shortcut = convolutions(unit)
    expected = shortcut(x) + third(relu(norm(second(relu(norm(first(relu(norm(x)))))))))
    torch.testing.assert_close(unit(x), expected)

    x = torch.randn(2, 16, 6, 6)
    unit = resnets._pre_bottleneck(16, 64, 1)
    first, second, third, shortcut = convolutions(unit)
    assert [layer.out_channels for layer in (first, second, third, shortcut)] == [16, 16, 64, 64]
    torch.testing.assert_close(
        unit(x), shortcut(x) + third(relu(norm(second(relu(norm(first(x)))))))
    )


def test_dense():
    """The input of a layer and its new channels, side by side."""
    layer = DenseLayer(4, 3)
    first, second = convolutions(layer)
    new = second(relu(norm(first(relu(norm(X))))))

    torch.testing.assert_close(layer(X), torch.cat([X, new], 1))


def test_mixed():
    """Branches side by side, in their order."""
    torch.testing.assert_close(
        InceptionModule(nn.Identity(), nn.ReLU())(X), torch.cat([X, relu(X)], 1)
    )


def test_inception_keeps_the_pooled_input_where_the_size_halves():
    """The last channels of a reduction are the maxima of its input."""
    reduction = inception_v2(10, 224).blocks[1][0]
    x = torch.randn(1, 320, 4, 4)

    assert reduction(x).shape == (1, 576, 2, 2)
    torch.testing.assert_close(reduction(x)[:, 256:], nn.MaxPool2d(3, 2, 1)(x))
