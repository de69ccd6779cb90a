"""What networks are made of: convolutions, residual units, stages of units, initial weights."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from cnlw_tools.trainer.nets.network import Network

MakeLayer = Callable[[], nn.Module]
MakeUnit = Callable[[int, int, int], nn.Module]  # input channels, output channels, stride -> a unit

# He et al. 2015: variance 2 / (k k C_out)
he_normal = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    bias: bool = False,
) -> nn.Conv2d:
    """Return a convolution that keeps height and width, except for its stride."""
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=bias)


def bn_act(channels: int, activation: MakeLayer = nn.ReLU) -> list[nn.Module]:
    """Return batch normalisation and activation."""
    return [nn.BatchNorm2d(channels), activation()]


def conv_bn_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    bias: bool = False,
) -> nn.Sequential:
    """Return convolution, batch normalisation and ReLU."""
    convolution = conv(in_channels, out_channels, kernel_size, stride, bias)
    return nn.Sequential(convolution, *bn_act(out_channels))


class ResidualUnit(nn.Module):
    """Computes after(body(h) + shortcut(h)) with h = before(x). Empty parts are the identity."""

    def __init__(
        self,
        body: Sequence[nn.Module],
        shortcut: Sequence[nn.Module] = (),
        before_layers: Sequence[nn.Module] = (),
        after_layers: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.before = nn.Sequential(*before_layers)
        self.body = nn.Sequential(*body)
        self.shortcut = nn.Sequential(*shortcut)
        self.after = nn.Sequential(*after_layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H', W')."""
        h = self.before(x)
        total = self.body(h) + self.shortcut(h)
        out: Tensor = self.after(total)
        return out


def padded_shortcut(
    in_channels: int,
    out_channels: int,
    stride: int,
    kernel_size: int,
) -> list[nn.Module]:
    """Return a shortcut without weights.

    It takes means over kernel_size x kernel_size pixels and puts channels of zeros on both sides.
    """
    n_new = out_channels - in_channels
    n_front = n_new // 2
    pool = nn.AvgPool2d(kernel_size, stride, ceil_mode=True)
    pad_channels = nn.ZeroPad3d((0, 0, 0, 0, n_front, n_new - n_front))
    return [pool, pad_channels]


def residual_stages(
    make_unit: MakeUnit,
    channels: Sequence[int],
    n_units: Sequence[int],
) -> list[nn.Sequential]:
    """Return the stages of a residual network. All but the first begin with stride 2.

    Args:
        make_unit: makes one unit
        channels: of the network's input, then of the output of each stage
        n_units: of each stage
    """
    stages = []
    stride = 1
    for (in_channels, out_channels), n in zip(pairwise(channels), n_units, strict=True):
        units = [make_unit(in_channels, out_channels, stride)]
        for _ in range(n - 1):
            units.append(make_unit(out_channels, out_channels, 1))
        stages.append(nn.Sequential(*units))
        stride = 2
    return stages


def init_weights(
    net: Network,
    initialiser: Callable[[Tensor], Tensor],
    *layer_types: type[nn.Conv2d] | type[nn.Linear],
) -> Network:
    """Draw the weights of all layers of these types, set their biases to 0, and return the net."""
    for layer in net.modules():
        if not isinstance(layer, layer_types):
            continue
        initialiser(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return net
