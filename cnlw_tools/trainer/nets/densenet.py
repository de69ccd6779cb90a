"""DenseNet-BC, Huang et al. 2017: every layer sees the outputs of all layers before it.

    x <- [x, conv3x3 ReLU BN conv1x1 ReLU BN x],   k channels more a layer, 4 k between the two convolutions

densenet100: three blocks of 16 such layers, k = 12, on a stem of 2 k; between blocks half the channels and half the
size.
"""

import torch
from torch import Tensor, nn

from cnlw_tools.trainer.nets.layers import bn_act, conv, he, initialised
from cnlw_tools.trainer.nets.network import Network, at_least


class Dense(nn.Module):
    """One layer: its input, and k channels made of it."""

    def __init__(self, i: int, k: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*bn_act(i), conv(i, 4 * k, 1), *bn_act(4 * k), conv(4 * k, k))

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, H, W) to (B, C + k, H, W)."""
        return torch.cat([x, self.body(x)], 1)


def densenet100(classes: int, size: int, k: int = 12, layers: int = 16) -> Network:
    """Return DenseNet-BC of 100 layers."""
    at_least(4, size, "densenet100")
    width = 2 * k
    blocks = [nn.Sequential(conv(3, width))]
    for block in range(3):
        if block:
            blocks.append(
                nn.Sequential(*bn_act(width), conv(width, width // 2, 1), nn.AvgPool2d(2))
            )
            width //= 2
        blocks[-1].extend(Dense(width + k * layer, k) for layer in range(layers))
        width += k * layers
    blocks[-1].extend(bn_act(width))
    return initialised(Network(blocks, width, classes), he, nn.Conv2d)
