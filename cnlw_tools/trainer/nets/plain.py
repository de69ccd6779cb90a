"""Networks without shortcuts: perceptrons and plain ConvNets.

    mlp1, mlp2, mlp4          so many hidden layers of 512 units          Rolnick et al. 2017
    conv_mnist, conv4, conv6  4, 4 and 6 layers, the last two dense       Rolnick et al. 2017
    cnn9                      9 convolutions, leaky ReLU, dropout 0.25    Han et al. 2018, Co-teaching
    vgg13_cifar               10 convolutions, one linear layer           Simonyan and Zisserman 2015, as used on CIFAR
    conv_small                5 convolutions, for `shapes` on a laptop    ours

Of Rolnick et al. we know the number of layers, not their widths. Those of the ConvNets are what the Keras examples
for MNIST and CIFAR-10 had at the time, and so are the weights' first values (Glorot and Bengio 2010).
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from torch import nn

from cnlw_tools.trainer.nets.layers import conv_bn, he, initialised
from cnlw_tools.trainer.nets.network import Network, at_least

HIDDEN = 512


def mlp(layers: int, classes: int, size: int) -> Network:
    """Return a perceptron of so many hidden layers on 3 x size x size numbers."""
    widths = [3 * size * size] + [HIDDEN] * layers
    blocks = [
        nn.Sequential(nn.Flatten(), nn.Linear(i, o), nn.ReLU(), nn.Unflatten(1, (o, 1, 1)))
        for i, o in pairwise(widths)
    ]
    return initialised(Network(blocks, HIDDEN, classes), nn.init.xavier_uniform_, nn.Linear)


mlp1, mlp2, mlp4 = partial(mlp, 1), partial(mlp, 2), partial(mlp, 4)


def conv_mnist(classes: int, size: int) -> Network:
    """Return two convolutions without padding, pooling, two dense layers."""
    at_least(6, size, "conv_mnist")
    return _convnet([_pair(3, 32, 64, padding=0)], 64 * ((size - 4) // 2) ** 2, 128, classes)


def conv4(classes: int, size: int) -> Network:
    """Return two convolutions, pooling, two dense layers."""
    at_least(4, size, "conv4")
    return _convnet([_pair(3, 32, 32)], 32 * ((size - 2) // 2) ** 2, 512, classes)


def conv6(classes: int, size: int) -> Network:
    """Return twice two convolutions and pooling, then two dense layers."""
    at_least(10, size, "conv6")
    side = ((size - 2) // 2 - 2) // 2
    return _convnet([_pair(3, 32, 32), _pair(32, 64, 64)], 64 * side**2, 512, classes)


def cnn9(classes: int, size: int) -> Network:
    """Return the network of Co-teaching: 3 x 128, 3 x 256, then 512, 256 and 128 without padding."""
    at_least(28, size, "cnn9")
    widths = ((3, 128, 128, 128), (128, 256, 256, 256), (256, 512, 256, 128))
    blocks = [
        nn.Sequential(*(_leaky(i, o, padding) for i, o in pairwise(w)), *tail)
        for w, padding, tail in zip(widths, (1, 1, 0), (_shrink(), _shrink(), ()), strict=True)
    ]
    return Network(blocks, 128, classes)


def vgg13_cifar(classes: int, size: int) -> Network:
    """Return VGG-13 with batch normalisation, and a single linear layer after the last pooling."""
    at_least(32, size, "vgg13_cifar")
    blocks = [
        nn.Sequential(conv_bn(i, o, bias=True), conv_bn(o, o, bias=True), nn.MaxPool2d(2))
        for i, o in pairwise((3, 64, 128, 256, 512, 512))
    ]
    return initialised(Network(blocks, 512, classes), he, nn.Conv2d)


def conv_small(classes: int, size: int) -> Network:
    """Return a network that learns `shapes` at 32 pixels to 90 % in 15 epochs, each of seconds on two cores."""
    at_least(8, size, "conv_small")
    blocks = [
        nn.Sequential(conv_bn(3, 16, stride=2), conv_bn(16, 32)),
        nn.Sequential(nn.MaxPool2d(2), conv_bn(32, 64), conv_bn(64, 64)),
        nn.Sequential(nn.MaxPool2d(2), conv_bn(64, 128)),
    ]
    return initialised(Network(blocks, 128, classes), he, nn.Conv2d)


def _pair(i: int, middle: int, o: int, padding: int = 1) -> nn.Sequential:
    """Return two convolutions, the second without padding, and pooling."""
    first, second = nn.Conv2d(i, middle, 3, padding=padding), nn.Conv2d(middle, o, 3)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2))


def _convnet(blocks: Sequence[nn.Module], numbers: int, hidden: int, classes: int) -> Network:
    """Return blocks under a hidden dense layer, which takes so many numbers of the last of them."""
    dense = nn.Sequential(nn.Flatten(), nn.Linear(numbers, hidden), nn.ReLU())
    return initialised(
        Network(blocks, hidden, classes, pool=dense), nn.init.xavier_uniform_, nn.Conv2d, nn.Linear
    )


def _leaky(i: int, o: int, padding: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=padding), nn.BatchNorm2d(o), nn.LeakyReLU(0.01))


def _shrink() -> tuple[nn.Module, ...]:
    return nn.MaxPool2d(2), nn.Dropout2d(0.25)
