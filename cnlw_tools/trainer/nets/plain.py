"""These networks have no shortcuts; they are perceptrons and plain ConvNets.

    mlp1, mlp2, mlp4          1, 2 and 4 hidden layers of 512 units     Rolnick et al. 2017
    conv_mnist, conv4, conv6  4, 4 and 6 layers, the last two dense     Rolnick et al. 2017
    cnn9                      9 convolutions, leaky ReLU, dropout 0.25  Han et al. 2018, Co-teaching
    vgg13_cifar               10 convolutions, one linear layer         Simonyan and Zisserman 2015,
                                                                        as used on CIFAR
    conv_small                5 convolutions, for `shapes` on a laptop  ours

Rolnick et al. state the number of layers of their networks, but not the widths. The networks
`conv_mnist`, `conv4` and `conv6` therefore have the widths and the initial weights (Glorot and
Bengio 2010) of the Keras examples for MNIST and CIFAR-10 of that time.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from cnlw_tools.trainer.nets.layers import conv_bn_relu, he_normal, init_weights
from cnlw_tools.trainer.nets.network import HeightWidth, Network, require_image_size

HIDDEN_UNITS = 512


def mlp(n_layers: int, n_classes: int, image_size: HeightWidth) -> Network:
    """Return a perceptron with n_layers hidden layers on 3 x height x width numbers."""
    height, width = image_size
    blocks = []
    n_inputs = 3 * height * width
    for _ in range(n_layers):
        blocks.append(_dense_block(n_inputs, HIDDEN_UNITS))
        n_inputs = HIDDEN_UNITS
    net = Network(blocks, HIDDEN_UNITS, n_classes)
    return init_weights(net, nn.init.xavier_uniform_, nn.Linear)


def mlp1(n_classes: int, image_size: HeightWidth) -> Network:
    """Return a perceptron with one hidden layer of 512 units."""
    return mlp(1, n_classes, image_size)


def mlp2(n_classes: int, image_size: HeightWidth) -> Network:
    """Return a perceptron with two hidden layers of 512 units."""
    return mlp(2, n_classes, image_size)


def mlp4(n_classes: int, image_size: HeightWidth) -> Network:
    """Return a perceptron with four hidden layers of 512 units."""
    return mlp(4, n_classes, image_size)


def conv_mnist(n_classes: int, image_size: HeightWidth) -> Network:
    """Return two convolutions without padding, then pooling and two dense layers."""
    require_image_size(6, image_size, "conv_mnist")
    height, width = ((side - 4) // 2 for side in image_size)
    blocks = [_conv_pair(3, 32, 64, padding=0)]
    return _with_dense_layers(blocks, 64 * height * width, 128, n_classes)


def conv4(n_classes: int, image_size: HeightWidth) -> Network:
    """Return two convolutions, then pooling and two dense layers."""
    require_image_size(4, image_size, "conv4")
    height, width = ((side - 2) // 2 for side in image_size)
    blocks = [_conv_pair(3, 32, 32)]
    return _with_dense_layers(blocks, 32 * height * width, 512, n_classes)


def conv6(n_classes: int, image_size: HeightWidth) -> Network:
    """Return four convolutions, with pooling after each pair, and two dense layers."""
    require_image_size(10, image_size, "conv6")
    height, width = (((side - 2) // 2 - 2) // 2 for side in image_size)
    blocks = [_conv_pair(3, 32, 32), _conv_pair(32, 64, 64)]
    return _with_dense_layers(blocks, 64 * height * width, 512, n_classes)


def cnn9(n_classes: int, image_size: HeightWidth) -> Network:
    """Return the network of Co-teaching.

    Its widths are 3 x 128, 3 x 256, then 512, 256 and 128 without padding.
    """
    require_image_size(28, image_size, "cnn9")
    blocks = [
        nn.Sequential(*_leaky_convs((3, 128, 128, 128), padding=1), *_pool_and_drop()),
        nn.Sequential(*_leaky_convs((128, 256, 256, 256), padding=1), *_pool_and_drop()),
        nn.Sequential(*_leaky_convs((256, 512, 256, 128), padding=0)),
    ]
    return Network(blocks, 128, n_classes)


def vgg13_cifar(n_classes: int, image_size: HeightWidth) -> Network:
    """Return VGG-13 with batch normalisation and a single linear layer after the last pooling."""
    require_image_size(32, image_size, "vgg13_cifar")
    blocks = []
    for in_channels, out_channels in pairwise((3, 64, 128, 256, 512, 512)):
        block = nn.Sequential(
            conv_bn_relu(in_channels, out_channels, bias=True),
            conv_bn_relu(out_channels, out_channels, bias=True),
            nn.MaxPool2d(2),
        )
        blocks.append(block)
    return init_weights(Network(blocks, 512, n_classes), he_normal, nn.Conv2d)


def conv_small(n_classes: int, image_size: HeightWidth) -> Network:
    """Return a small network for images like those of `shapes`.

    Its accuracy on clean labels reaches 90 % at 32 pixels in 15 epochs; an epoch takes seconds on
    two cores.
    """
    require_image_size(8, image_size, "conv_small")
    blocks = [
        nn.Sequential(conv_bn_relu(3, 16, stride=2), conv_bn_relu(16, 32)),
        nn.Sequential(nn.MaxPool2d(2), conv_bn_relu(32, 64), conv_bn_relu(64, 64)),
        nn.Sequential(nn.MaxPool2d(2), conv_bn_relu(64, 128)),
    ]
    return init_weights(Network(blocks, 128, n_classes), he_normal, nn.Conv2d)


def _dense_block(n_inputs: int, n_outputs: int) -> nn.Sequential:
    """Return a hidden layer that maps (B, ...) to (B, n_outputs, 1, 1)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(n_inputs, n_outputs),
        nn.ReLU(),
        nn.Unflatten(1, (n_outputs, 1, 1)),
    )


def _conv_pair(
    in_channels: int,
    middle_channels: int,
    out_channels: int,
    padding: int = 1,
) -> nn.Sequential:
    """Return two convolutions, the second without padding, and pooling."""
    return nn.Sequential(
        nn.Conv2d(in_channels, middle_channels, 3, padding=padding),
        nn.ReLU(),
        nn.Conv2d(middle_channels, out_channels, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def _with_dense_layers(
    blocks: Sequence[nn.Module],
    n_inputs: int,
    n_hidden: int,
    n_classes: int,
) -> Network:
    """Return the blocks followed by a hidden dense layer and the head.

    The last block's output has n_inputs numbers for each image.
    """
    dense = nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, n_hidden), nn.ReLU())
    net = Network(blocks, n_hidden, n_classes, pool=dense)
    return init_weights(net, nn.init.xavier_uniform_, nn.Conv2d, nn.Linear)


def _leaky_convs(channels: Sequence[int], padding: int) -> list[nn.Sequential]:
    """Return 3 x 3 convolutions with batch normalisation and leaky ReLU.

    Args:
        channels: of the input, then of each convolution
        padding: of each convolution
    """
    layers = []
    for in_channels, out_channels in pairwise(channels):
        layer = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=padding),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(0.01),
        )
        layers.append(layer)
    return layers


def _pool_and_drop() -> tuple[nn.Module, ...]:
    return nn.MaxPool2d(2), nn.Dropout2d(0.25)
