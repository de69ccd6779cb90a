"""Inception-v2, also BN-Inception: Ioffe and Szegedy 2015, figure 5. The network of CurriculumNet.

    x <- [1x1,  1x1 3x3,  1x1 3x3 3x3,  pool 1x1] of x, side by side

Where the size halves, the branch of one convolution is missing and the pooled input stays as it is.
"""

from functools import partial

import torch
from torch import Tensor, nn

from cnlw_tools.trainer.nets.layers import conv_bn, he, initialised
from cnlw_tools.trainer.nets.network import Network

_conv = partial(
    conv_bn, bias=True
)  # idle before batch normalisation, but the published network has them
_max = partial(nn.MaxPool2d, 3, padding=1)


class Mixed(nn.Module):
    """Branches side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, H, W) to (B, sum of widths, H', W')."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception_v2(classes: int, size: int) -> Network:
    """Return Inception-v2 for images of 224 pixels."""
    stem = [_conv(3, 64, 7, 2), _max(2), _conv(64, 64, 1), _conv(64, 192), _max(2)]
    blocks = [
        nn.Sequential(
            *stem,
            _mixed(192, 64, (64, 64), (64, 96), 32),
            _mixed(256, 64, (64, 96), (64, 96), 64),
        ),
        nn.Sequential(
            _halved(320, (128, 160), (64, 96)),
            _mixed(576, 224, (64, 96), (96, 128), 128),
            _mixed(576, 192, (96, 128), (96, 128), 128),
            _mixed(576, 160, (128, 160), (128, 160), 128),
            _mixed(608, 96, (128, 192), (160, 192), 128),
        ),
        nn.Sequential(
            _halved(608, (128, 192), (192, 256)),
            _mixed(1056, 352, (192, 320), (160, 224), 128),
            _mixed(1024, 352, (192, 320), (192, 224), 128, average=False),
        ),
    ]
    return initialised(Network(blocks, 1024, classes), he, nn.Conv2d)


def _mixed(
    i: int,
    one: int,
    three: tuple[int, int],
    double: tuple[int, int],
    pooled: int,
    average: bool = True,
) -> Mixed:
    """Return four branches on width i: for each its widths, the first of a pair that of its 1 x 1 convolution."""
    pool = nn.AvgPool2d(3, 1, 1) if average else nn.MaxPool2d(3, 1, 1)
    return Mixed(
        _conv(i, one, 1),
        *_threes(i, three, double, stride=1),
        nn.Sequential(pool, _conv(i, pooled, 1)),
    )


def _halved(i: int, three: tuple[int, int], double: tuple[int, int]) -> Mixed:
    return Mixed(*_threes(i, three, double, stride=2), _max(2))


def _threes(
    i: int, three: tuple[int, int], double: tuple[int, int], stride: int
) -> list[nn.Module]:
    """Return the two branches with 3 x 3 convolutions."""
    return [
        nn.Sequential(_conv(i, three[0], 1), _conv(*three, stride=stride)),
        nn.Sequential(
            _conv(i, double[0], 1), _conv(*double), _conv(double[1], double[1], stride=stride)
        ),
    ]
