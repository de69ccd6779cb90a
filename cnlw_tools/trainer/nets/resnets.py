"""Residual networks for small images: He et al. 2015 and 2016, Zagoruyko and Komodakis 2016.

after the sum       x <- ReLU(shortcut(x) + BN conv ReLU BN conv x)                                  He 2015
before each weight  x <- shortcut(x) + conv ReLU BN conv ReLU BN x                                   He 2016
                    where the width changes, the shortcut begins behind the first ReLU BN

resnet32            3 stages of 5, 16-32-64, shortcuts without weights                               He 2015
resnet32_wide       3 stages of 5, 128-256-512 on a stem of 64, before each weight, leaky ReLU 0.1,  Jiang 2020,
                    shortcuts without weights                                                        MentorMix
resnet29            3 stages of 3 bottlenecks, 64-128-256, before each weight                        Zhang 2020, IEG
preact_resnet18     4 stages of 2, 64 to 512, before each weight                                     He 2016
resnet34_cifar      4 stages of 3, 4, 6 and 3, 64 to 512                                             He 2015
wrn28_2, ...        3 stages of (depth - 4) / 6, k times 16-32-64, before each weight, dropout       Zagoruyko 2016
                    between the two convolutions
"""

from functools import partial

from torch import nn

from cnlw_tools.trainer.nets.layers import (
    Residual,
    bn_act,
    conv,
    conv_bn,
    he,
    initialised,
    padded,
    stages,
)
from cnlw_tools.trainer.nets.network import Network

leaky = partial(nn.LeakyReLU, 0.1)


def resnet32(classes: int, size: int) -> Network:
    """Return ResNet-32, whose shortcuts take every second pixel."""
    blocks = stages(partial(_post, weightless=True), (16, 16, 32, 64), (5, 5, 5))
    return _whole(blocks, [conv_bn(3, 16)], [], 64, classes)


def resnet34_cifar(classes: int, size: int) -> Network:
    """Return ResNet-34 on a 3 x 3 stem that keeps the size."""
    return _whole(
        stages(_post, (64, 64, 128, 256, 512), (3, 4, 6, 3)), [conv_bn(3, 64)], [], 512, classes
    )


def resnet32_wide(classes: int, size: int) -> Network:
    """Return what the MentorMix code calls ResNet-32: 64 times the weights of the usual one.

    Not done here: in that code the very first unit activates before it normalises.
    """
    blocks = stages(_wide, (64, 128, 256, 512), (5, 5, 5))
    return _whole(blocks, [conv(3, 64)], bn_act(512, leaky), 512, classes)


def resnet29(classes: int, size: int) -> Network:
    """Return ResNet-29 v2 of Keras, which IEG trains."""
    blocks = stages(_bottleneck, (16, 64, 128, 256), (3, 3, 3))
    return _whole(blocks, [conv_bn(3, 16)], bn_act(256), 256, classes)


def preact_resnet18(classes: int, size: int) -> Network:
    """Return ResNet-18 with activations before the weights, on a 3 x 3 stem that keeps the size."""
    return _whole(
        stages(_pre, (64, 64, 128, 256, 512), (2, 2, 2, 2)),
        [conv(3, 64)],
        bn_act(512),
        512,
        classes,
    )


def wrn(depth: int, k: int, classes: int, size: int) -> Network:
    """Return a wide residual network; the chance of its dropouts is 0 until it is set."""
    blocks = stages(
        partial(_pre, dropout=True), (16, 16 * k, 32 * k, 64 * k), ((depth - 4) // 6,) * 3
    )
    return _whole(blocks, [conv(3, 16)], bn_act(64 * k), 64 * k, classes)


wrn28_2, wrn28_10, wrn40_2 = partial(wrn, 28, 2), partial(wrn, 28, 10), partial(wrn, 40, 2)


def _whole(
    blocks: list[nn.Sequential],
    stem: list[nn.Module],
    last: list[nn.Module],
    width: int,
    classes: int,
) -> Network:
    """Return the stages as blocks, the first under the stem, the last with what follows it."""
    blocks[0] = nn.Sequential(*stem, *blocks[0])
    blocks[-1].extend(last)
    return initialised(Network(blocks, width, classes), he, nn.Conv2d)


def _post(i: int, o: int, stride: int, weightless: bool = False) -> Residual:
    body = [conv(i, o, 3, stride), *bn_act(o), conv(o, o), nn.BatchNorm2d(o)]
    if i == o and stride == 1:
        return Residual(body, after=[nn.ReLU()])
    shortcut = padded(i, o, stride, 1) if weightless else [conv(i, o, 1, stride), nn.BatchNorm2d(o)]
    return Residual(body, shortcut, after=[nn.ReLU()])


def _pre(i: int, o: int, stride: int, dropout: bool = False) -> Residual:
    first = bn_act(i)
    body = [conv(i, o, 3, stride), *bn_act(o), *([nn.Dropout(0.0)] if dropout else []), conv(o, o)]
    if i == o and stride == 1:
        return Residual(first + body)
    return Residual(body, [conv(i, o, 1, stride)], before=first)


def _wide(i: int, o: int, stride: int) -> Residual:
    first = bn_act(i, leaky)
    body = [conv(i, o, 3, stride), *bn_act(o, leaky), conv(o, o)]
    if i == o:
        return Residual(first + body)
    shortcut = padded(i, o, stride, stride)
    return (
        Residual(body, shortcut, before=first) if stride == 1 else Residual(first + body, shortcut)
    )


def _bottleneck(i: int, o: int, stride: int) -> Residual:
    middle = (
        16 if o == 64 else o // 2
    )  # the first stage is four times as wide as its middle, the others twice
    first = [] if i == 16 else bn_act(i)  # the stem has them already
    body = [
        conv(i, middle, 1, stride),
        *bn_act(middle),
        conv(middle, middle),
        *bn_act(middle),
        conv(middle, o, 1),
    ]
    return Residual(first + body, [] if i == o else [conv(i, o, 1, stride)])
