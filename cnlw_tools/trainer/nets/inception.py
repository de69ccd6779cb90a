"""Inception-v2 is BN-Inception (Ioffe and Szegedy 2015, figure 5), the network of CurriculumNet.

    x <- [1x1 x,  3x3 1x1 x,  3x3 3x3 1x1 x,  1x1 pool x]     1x1 and 3x3 are convolutions

Each of the four branches of a unit gets x, and the unit concatenates their outputs. A unit that
halves height and width lacks the first branch, and its pooling branch has no convolution.
"""

from functools import partial

import torch
from torch import Tensor, nn

from cnlw_tools.trainer.nets.layers import conv_bn_relu, he_normal, init_weights
from cnlw_tools.trainer.nets.network import HeightWidth, Network

# Biases do nothing before batch normalisation, but the published network has them.
_conv = partial(conv_bn_relu, bias=True)
_max_pool = partial(nn.MaxPool2d, 3, padding=1)


class InceptionModule(nn.Module):
    """Branches side by side; their outputs are concatenated along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, sum of the branches' channels, H', W')."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception_v2(n_classes: int, image_size: HeightWidth) -> Network:
    """Return Inception-v2 for images of 224 pixels."""
    blocks = [
        nn.Sequential(
            _conv(3, 64, 7, 2),
            _max_pool(2),
            _conv(64, 64, 1),
            _conv(64, 192),
            _max_pool(2),
            _inception_module(192, 64, (64, 64), (64, 96), 32),
            _inception_module(256, 64, (64, 96), (64, 96), 64),
        ),
        nn.Sequential(
            _reduction_module(320, (128, 160), (64, 96)),
            _inception_module(576, 224, (64, 96), (96, 128), 128),
            _inception_module(576, 192, (96, 128), (96, 128), 128),
            _inception_module(576, 160, (128, 160), (128, 160), 128),
            _inception_module(608, 96, (128, 192), (160, 192), 128),
        ),
        nn.Sequential(
            _reduction_module(608, (128, 192), (192, 256)),
            _inception_module(1056, 352, (192, 320), (160, 224), 128),
            _inception_module(1024, 352, (192, 320), (192, 224), 128, average=False),
        ),
    ]
    return init_weights(Network(blocks, 1024, n_classes), he_normal, nn.Conv2d)


def _inception_module(
    in_channels: int,
    conv1x1: int,
    conv3x3: tuple[int, int],
    double3x3: tuple[int, int],
    pool1x1: int,
    average: bool = True,
) -> InceptionModule:
    """Return four branches; arguments are the channels of each branch's 1 x 1, then 3 x 3 layers.

    Args:
        in_channels: of the input
        conv1x1: of the branch of one convolution
        conv3x3: of the branch with one 3 x 3 convolution
        double3x3: of the branch with two 3 x 3 convolutions
        pool1x1: of the branch that pools first
        average: pool by means instead of maxima
    """
    pool = nn.AvgPool2d(3, 1, 1) if average else nn.MaxPool2d(3, 1, 1)
    return InceptionModule(
        _conv(in_channels, conv1x1, 1),
        _conv3x3_branch(in_channels, conv3x3, stride=1),
        _double3x3_branch(in_channels, double3x3, stride=1),
        nn.Sequential(pool, _conv(in_channels, pool1x1, 1)),
    )


def _reduction_module(
    in_channels: int,
    conv3x3: tuple[int, int],
    double3x3: tuple[int, int],
) -> InceptionModule:
    """Return three branches that halve height and width."""
    return InceptionModule(
        _conv3x3_branch(in_channels, conv3x3, stride=2),
        _double3x3_branch(in_channels, double3x3, stride=2),
        _max_pool(2),
    )


def _conv3x3_branch(
    in_channels: int,
    channels: tuple[int, int],
    stride: int,
) -> nn.Sequential:
    middle, out_channels = channels
    return nn.Sequential(
        _conv(in_channels, middle, 1),
        _conv(middle, out_channels, stride=stride),
    )


def _double3x3_branch(
    in_channels: int,
    channels: tuple[int, int],
    stride: int,
) -> nn.Sequential:
    middle, out_channels = channels
    return nn.Sequential(
        _conv(in_channels, middle, 1),
        _conv(middle, out_channels),
        _conv(out_channels, out_channels, stride=stride),
    )
