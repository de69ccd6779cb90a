"""In DenseNet-BC (Huang et al. 2017), a layer gets the outputs of all earlier layers of its block.

    x <- [x, conv3x3 ReLU BN conv1x1 ReLU BN x]     k more channels per layer,
                                                    4 k between the two convolutions

The network `densenet100` has three blocks of 16 such layers with k = 12, after a stem of 2 k
channels. A transition between two blocks halves the number of channels, the height and the width.
"""

import torch
from torch import Tensor, nn

from cnlw_tools.trainer.nets.layers import bn_act, conv, he_normal, init_weights
from cnlw_tools.trainer.nets.network import HeightWidth, Network, require_image_size

# The code of RoG (Lee et al. 2019) takes these layers of the last block, from 0, and its end.
UNITS = (5, 10)


class DenseLayer(nn.Module):
    """Returns its input and k new channels computed from it."""

    def __init__(self, in_channels: int, k: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *bn_act(in_channels),
            conv(in_channels, 4 * k, 1),
            *bn_act(4 * k),
            conv(4 * k, k),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + k, H, W)."""
        return torch.cat([x, self.body(x)], 1)


def densenet100(
    n_classes: int,
    image_size: HeightWidth,
    k: int = 12,
    n_layers: int = 16,
) -> Network:
    """Return DenseNet-BC with 100 layers."""
    require_image_size(4, image_size, "densenet100")
    channels = 2 * k
    blocks = [nn.Sequential(conv(3, channels))]
    for i in range(3):
        if i > 0:
            blocks.append(_transition(channels))
            channels //= 2
        for _ in range(n_layers):
            blocks[-1].append(DenseLayer(channels, k))
            channels += k
    blocks[-1].extend(bn_act(channels))
    net = Network(blocks, channels, n_classes)
    net.unit_positions = (*UNITS, n_layers - 1)
    return init_weights(net, he_normal, nn.Conv2d)


def _transition(channels: int) -> nn.Sequential:
    """Return what stands between two blocks: it halves channels, height and width."""
    return nn.Sequential(*bn_act(channels), conv(channels, channels // 2, 1), nn.AvgPool2d(2))
