"""What networks are made of: convolutions, residual units, stages of units, initial weights."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from cnlw_tools.trainer.nets.network import Network

Layer = Callable[[], nn.Module]
Unit = Callable[[int, int, int], nn.Module]  # width of the input, of the output, stride

he = partial(
    nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"
)  # He et al. 2015: variance 2 / (k k C_out)


def conv(i: int, o: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """Return a convolution from width i to width o that keeps the size, but for its stride."""
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=bias)


def bn_act(width: int, act: Layer = nn.ReLU) -> list[nn.Module]:
    """Return batch normalisation and activation."""
    return [nn.BatchNorm2d(width), act()]


def conv_bn(i: int, o: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> nn.Sequential:
    """Return convolution, batch normalisation, ReLU."""
    return nn.Sequential(conv(i, o, kernel, stride, bias), *bn_act(o))


class Residual(nn.Module):
    """after(body(h) + shortcut(h)) with h = before(x); what is not given is the identity."""

    def __init__(
        self,
        body: Sequence[nn.Module],
        shortcut: Sequence[nn.Module] = (),
        before: Sequence[nn.Module] = (),
        after: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.before, self.body = nn.Sequential(*before), nn.Sequential(*body)
        self.shortcut, self.after = nn.Sequential(*shortcut), nn.Sequential(*after)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, C, H, W) to (B, C', H', W')."""
        h = self.before(x)
        out: Tensor = self.after(self.body(h) + self.shortcut(h))
        return out


def padded(i: int, o: int, stride: int, kernel: int) -> list[nn.Module]:
    """Return a shortcut without weights: means over kernel x kernel pixels, channels of zeros around the others."""
    more = o - i
    shrink = nn.AvgPool2d(kernel, stride, ceil_mode=True)
    return [shrink, nn.ZeroPad3d((0, 0, 0, 0, more // 2, more - more // 2))]


def stages(unit: Unit, widths: Sequence[int], units: Sequence[int]) -> list[nn.Sequential]:
    """Return the stages of a residual network; all but the first begin with stride 2.

    Args:
        unit: makes one
        widths: of the input and of the output of each stage
        units: of each stage
    """
    strides = [1] + [2] * (len(units) - 1)
    return [
        nn.Sequential(unit(i, o, stride), *(unit(o, o, 1) for _ in range(n - 1)))
        for (i, o), n, stride in zip(pairwise(widths), units, strides, strict=True)
    ]


def initialised(
    net: Network, rule: Callable[[Tensor], Tensor], *kinds: type[nn.Conv2d] | type[nn.Linear]
) -> Network:
    """Draw the weights of the layers of such kinds by a rule, and set their biases to 0."""
    for layer in net.modules():
        if isinstance(layer, kinds):
            rule(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net
