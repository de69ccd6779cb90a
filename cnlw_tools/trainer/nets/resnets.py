"""These are residual networks for small images. The last column of each list names the sources.

post-activation     x <- ReLU(shortcut(x) + BN conv ReLU BN conv x)                      He 2015
pre-activation      x <- shortcut(x) + conv ReLU BN conv ReLU BN x                       He 2016
                    if the unit changes the number of channels, the shortcut begins after
                    the first ReLU BN

The networks consist of such units:

resnet32            3 stages of 5, 16-32-64, post-activation, shortcuts without weights  He 2015
resnet32_wide       3 stages of 5, 128-256-512 after a stem of 64, pre-activation,       Jiang 2020,
                    leaky ReLU 0.1, shortcuts without weights                            MentorMix
resnet56_wide       3 stages of 9, 160-320-640 after a stem of 16, otherwise like        Jiang 2018,
                    resnet32_wide                                                        MentorNet
resnet29            3 stages of 3 bottlenecks, 64-128-256, pre-activation                Zhang 2020,
                                                                                         IEG
preact_resnet18     4 stages of 2, 64 to 512, pre-activation                             He 2016
resnet34_cifar      4 stages of 3, 4, 6 and 3, 64 to 512, post-activation                He 2015
resnet34_narrow     resnet34_cifar with 256 channels in the last stage                   Lee 2019
wrnD_k              3 stages of (D - 4) / 6, k times 16-32-64, pre-activation,           Zagoruyko
                    dropout between the two convolutions                                 2016
wrn28_10_ieg        WRN-28-10 with shortcuts without weights, and four more shortcuts:   Zhang 2020,
                    one around each stage, and one around all three stages               IEG

`resnet32_wide` and `resnet56_wide` differ from the networks of the authors' code in two respects.
First, in the authors' code, the first residual unit applies leaky ReLU before batch normalisation.
In this package, every unit applies it after batch normalisation. Second, the epsilon of batch
normalisation is 1e-3 in the authors' code, and 1e-5 in this package. We have not measured the
effects of these differences.
"""

from functools import partial
from itertools import pairwise

from torch import nn

from cnlw_tools.trainer.nets.layers import (
    MakeLayer,
    ResidualUnit,
    bn_act,
    conv,
    conv_bn_relu,
    he_normal,
    init_weights,
    padded_shortcut,
    residual_stages,
)
from cnlw_tools.trainer.nets.network import HeightWidth, Network

leaky_relu = partial(nn.LeakyReLU, 0.1)


def resnet32(n_classes: int, image_size: HeightWidth) -> Network:
    """Return ResNet-32. Shortcuts that halve height and width take every second row and column."""
    make_unit = partial(_post_unit, shortcut_weights=False)
    stages = residual_stages(make_unit, (16, 16, 32, 64), (5, 5, 5))
    return _assemble(stages, [conv_bn_relu(3, 16)], [], 64, n_classes)


def resnet34_cifar(n_classes: int, image_size: HeightWidth) -> Network:
    """Return ResNet-34 with a 3 x 3 stem that keeps height and width."""
    stages = residual_stages(_post_unit, (64, 64, 128, 256, 512), (3, 4, 6, 3))
    return _assemble(stages, [conv_bn_relu(3, 64)], [], 512, n_classes)


def resnet34_narrow(n_classes: int, image_size: HeightWidth) -> Network:
    """Return the ResNet-34 of the RoG code: its last stage has as many channels as the third."""
    stages = residual_stages(_post_unit, (64, 64, 128, 256, 256), (3, 4, 6, 3))
    return _assemble(stages, [conv_bn_relu(3, 64)], [], 256, n_classes)


def resnet32_wide(n_classes: int, image_size: HeightWidth) -> Network:
    """Return the ResNet-32 of the MentorMix code, with 64 times as many weights as `resnet32`.

    Unlike in that code, the very first unit does not activate before it normalises.
    """
    stages = residual_stages(_leaky_unit, (64, 128, 256, 512), (5, 5, 5))
    return _assemble(stages, [conv(3, 64)], bn_act(512, leaky_relu), 512, n_classes)


def resnet56_wide(n_classes: int, image_size: HeightWidth) -> Network:
    """Return the "ResNet-101" of the MentorNet code: three stages of nine units.

    Unlike in that code, the very first unit does not activate before it normalises.
    """
    stages = residual_stages(_leaky_unit, (16, 160, 320, 640), (9, 9, 9))
    return _assemble(stages, [conv(3, 16)], bn_act(640, leaky_relu), 640, n_classes)


def resnet29(n_classes: int, image_size: HeightWidth) -> Network:
    """Return ResNet-29 v2 of Keras, the network of IEG."""
    stages = residual_stages(_pre_bottleneck, (16, 64, 128, 256), (3, 3, 3))
    return _assemble(stages, [conv_bn_relu(3, 16)], bn_act(256), 256, n_classes)


def preact_resnet18(n_classes: int, image_size: HeightWidth) -> Network:
    """Return pre-activation ResNet-18 with a 3 x 3 stem that keeps height and width."""
    stages = residual_stages(_pre_unit, (64, 64, 128, 256, 512), (2, 2, 2, 2))
    return _assemble(stages, [conv(3, 64)], bn_act(512), 512, n_classes)


def wide_resnet(
    depth: int,
    k: int,
    n_classes: int,
    image_size: HeightWidth,
) -> Network:
    """Return a wide residual network; the probability of its dropouts is 0 until it is set."""
    make_unit = partial(_pre_unit, dropout=True)
    n_units = (depth - 4) // 6
    stages = residual_stages(make_unit, (16, 16 * k, 32 * k, 64 * k), (n_units,) * 3)
    return _assemble(stages, [conv(3, 16)], bn_act(64 * k), 64 * k, n_classes)


def wrn28_2(n_classes: int, image_size: HeightWidth) -> Network:
    """Return WRN-28-2, a wide residual network; its dropout is 0 by default."""
    return wide_resnet(28, 2, n_classes, image_size)


def wrn28_10(n_classes: int, image_size: HeightWidth) -> Network:
    """Return WRN-28-10, a wide residual network; its dropout is 0 by default."""
    return wide_resnet(28, 10, n_classes, image_size)


def wrn28_10_ieg(n_classes: int, image_size: HeightWidth, k: int = 10) -> Network:
    """Return the WRN-28-10 of the IEG code, which has more shortcuts than WRN-28-10."""
    channels = (16, 16 * k, 32 * k, 64 * k)
    stages = residual_stages(_padded_pre_unit, channels, (4, 4, 4))
    bodies: list[nn.Module] = []
    for stage, (n_in, n_out), stride in zip(stages, pairwise(channels), (1, 2, 2), strict=True):
        bodies.append(ResidualUnit([stage], padded_shortcut(n_in, n_out, stride, stride)))
    around_all = ResidualUnit(bodies, padded_shortcut(channels[0], channels[-1], 4, 4))
    block = nn.Sequential(conv(3, channels[0]), around_all, *bn_act(channels[-1]))
    net = init_weights(Network([block], channels[-1], n_classes), he_normal, nn.Conv2d)
    bound = n_classes**-0.5
    nn.init.uniform_(net.head.weight, -bound, bound)
    nn.init.zeros_(net.head.bias)
    return net


def wrn40_2(n_classes: int, image_size: HeightWidth) -> Network:
    """Return WRN-40-2, a wide residual network; its dropout is 0 by default."""
    return wide_resnet(40, 2, n_classes, image_size)


def _assemble(
    stages: list[nn.Sequential],
    stem: list[nn.Module],
    tail: list[nn.Module],
    n_features: int,
    n_classes: int,
) -> Network:
    """Return a network of the stages, the first after the stem, the last followed by the tail."""
    stages[0] = nn.Sequential(*stem, *stages[0])
    stages[-1].extend(tail)
    return init_weights(Network(stages, n_features, n_classes), he_normal, nn.Conv2d)


def _post_unit(
    in_channels: int,
    out_channels: int,
    stride: int,
    shortcut_weights: bool = True,
) -> ResidualUnit:
    """Return a unit that activates after the sum."""
    body = [
        conv(in_channels, out_channels, 3, stride),
        *bn_act(out_channels),
        conv(out_channels, out_channels),
        nn.BatchNorm2d(out_channels),
    ]
    shortcut: list[nn.Module] = []
    if in_channels != out_channels or stride != 1:
        if shortcut_weights:
            projection = conv(in_channels, out_channels, 1, stride)
            shortcut = [projection, nn.BatchNorm2d(out_channels)]
        else:
            shortcut = padded_shortcut(in_channels, out_channels, stride, 1)
    return ResidualUnit(body, shortcut, after_layers=[nn.ReLU()])


def _pre_unit(
    in_channels: int,
    out_channels: int,
    stride: int,
    dropout: bool = False,
) -> ResidualUnit:
    """Return a unit that activates before its convolutions."""
    preactivation = bn_act(in_channels)
    body = [conv(in_channels, out_channels, 3, stride), *bn_act(out_channels)]
    if dropout:
        body.append(nn.Dropout(0.0))
    body.append(conv(out_channels, out_channels))
    if in_channels == out_channels and stride == 1:
        return ResidualUnit(preactivation + body)
    projection = conv(in_channels, out_channels, 1, stride)
    return ResidualUnit(body, [projection], before_layers=preactivation)


def _padded_pre_unit(
    in_channels: int,
    out_channels: int,
    stride: int,
    activation: MakeLayer = nn.ReLU,
) -> ResidualUnit:
    """Return a unit of the MentorMix and IEG codes, with a shortcut without weights."""
    preactivation = bn_act(in_channels, activation)
    body = [
        conv(in_channels, out_channels, 3, stride),
        *bn_act(out_channels, activation),
        conv(out_channels, out_channels),
    ]
    if in_channels == out_channels:
        return ResidualUnit(preactivation + body)
    shortcut = padded_shortcut(in_channels, out_channels, stride, stride)
    if stride == 1:
        return ResidualUnit(body, shortcut, before_layers=preactivation)
    return ResidualUnit(preactivation + body, shortcut)


_leaky_unit = partial(_padded_pre_unit, activation=leaky_relu)


def _pre_bottleneck(
    in_channels: int,
    out_channels: int,
    stride: int,
) -> ResidualUnit:
    """Return a bottleneck of resnet29, which activates before its convolutions."""
    # The output of the first stage is four times as wide as its middle, that of the others twice.
    middle = 16 if out_channels == 64 else out_channels // 2
    # The very first unit follows the stem, which has normalised and activated already.
    preactivation = [] if in_channels == 16 else bn_act(in_channels)
    body = [
        conv(in_channels, middle, 1, stride),
        *bn_act(middle),
        conv(middle, middle),
        *bn_act(middle),
        conv(middle, out_channels, 1),
    ]
    shortcut: list[nn.Module] = []
    if in_channels != out_channels:
        shortcut = [conv(in_channels, out_channels, 1, stride)]
    return ResidualUnit(preactivation + body, shortcut)
