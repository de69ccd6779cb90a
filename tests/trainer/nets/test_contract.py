"""What holds for every network: shapes, features, the published number of parameters."""

from itertools import pairwise
from typing import NamedTuple

import pytest
import torch
from torch import nn

from cnlw_tools.trainer.nets import NETS, Network, build_network


class Fact(NamedTuple):
    """A published fact about a network."""

    parameters: int
    source: str
    classes: int = 10
    size: int = 32
    blocks: int = 3
    width: int = 512
    side: int = 8  # of the last block's output


IMGCLSMOB = "model tables of osmr/imgclsmob"
TORCHVISION = "num_params of torchvision's weights"
MNIST = (
    "1,199,882, summary of the Keras example mnist_cnn on one channel; "
    "two more channels are 2 * 9 * 32 weights"
)


def dense(widths):
    """Weights and biases of a chain of dense layers."""
    return sum(i * o + o for i, o in pairwise(widths))


def convolved(widths, bias):
    """Weights and biases of a chain of 3 x 3 convolutions, with batch normalisation after each."""
    return sum(9 * i * o + (2 + bias) * o for i, o in pairwise(widths))


WIDE = (
    27 * 64
    + sum(9 * i * o + 81 * o * o + 2 * i + 18 * o for i, o in pairwise([64, 128, 256, 512]))
    + 1024
    + 5130
)
WIDER = (
    27 * 16
    + sum(9 * i * o + 153 * o * o + 2 * i + 34 * o for i, o in pairwise([16, 160, 320, 640]))
    + 1280
    + 6410
)
FACTS = {
    "conv_small": Fact(
        convolved([3, 16, 32, 64, 64, 128], bias=False) + 1290,
        "ours: counted here",
        width=128,
        side=4,
    ),
    "mlp1": Fact(dense([3072, 512, 10]), "our widths: counted here", blocks=1, side=1),
    "mlp2": Fact(dense([3072, 512, 512, 10]), "our widths: counted here", blocks=2, side=1),
    "mlp4": Fact(
        dense([3072, 512, 512, 512, 512, 10]), "our widths: counted here", blocks=4, side=1
    ),
    "conv_mnist": Fact(1_199_882 + 2 * 9 * 32, MNIST, size=28, blocks=1, width=128, side=12),
    "conv4": Fact(
        896 + 9248 + dense([7200, 512, 10]),
        "the first half of conv6: counted here",
        blocks=1,
        side=15,
    ),
    "conv6": Fact(1_250_858, "summary of the Keras example cifar10_cnn", blocks=2, side=6),
    "cnn9": Fact(
        convolved([3, 128, 128, 128, 256, 256, 256, 512, 256, 128], bias=True) + 1290,
        "counted here",
        width=128,
        side=2,
    ),
    "vgg13_cifar": Fact(
        9_416_010,
        "VGG-13 in public CIFAR-10 tables, after kuangliu/pytorch-cifar",
        blocks=5,
        side=1,
    ),
    "resnet29": Fact(840_730, "0.84 M: Zhang 2020, footnote 4", width=256),
    "resnet32": Fact(
        464_154, "0.46 M: He 2015, table 6; to the unit in public CIFAR-10 tables", width=64
    ),
    "resnet32_wide": Fact(WIDE, "the widths of the MentorMix code: counted here"),
    "resnet56_wide": Fact(WIDER, "the widths of the MentorNet code: counted here", width=640),
    "preact_resnet18": Fact(11_172_170, "ResNetV2-18 in public CIFAR-10 tables", blocks=4, side=4),
    "resnet34_cifar": Fact(
        21_282_122, "ResNet-34 in public CIFAR-10 tables, after kuangliu", blocks=4, side=4
    ),
    "resnet34_narrow": Fact(
        21_282_122
        - sum(9 * 512 * i + 2 * 512 for i in (256, *[512] * 5))  # convolutions of the last stage
        - (256 * 512 + 2 * 512)  # its projection
        - (512 * 10 + 10)
        + sum(9 * 256 * 256 + 2 * 256 for _ in range(6))
        + (256 * 256 + 2 * 256)
        + (256 * 10 + 10),
        "the last stage of the RoG code: counted here",
        blocks=4,
        width=256,
        side=4,
    ),
    "wrn28_2": Fact(
        1_467_610, "1.5 M: MixMatch 2019; to the unit in public CIFAR-10 tables", width=128
    ),
    "wrn28_10": Fact(36_479_194, "36.5 M: Zagoruyko 2016, table 4; " + IMGCLSMOB, width=640),
    "wrn28_10_ieg": Fact(
        36_479_194 - 16 * 160 - 160 * 320 - 320 * 640,
        "WRN-28-10 without weights in its shortcuts, as in the IEG code: counted here",
        blocks=1,
        width=640,
    ),
    "wrn40_2": Fact(2_243_546, "2.2 M: Zagoruyko 2016, table 4; RobustBench, AugMix", width=128),
    "densenet100": Fact(769_162, "0.8 M: Huang 2017, table 2; " + IMGCLSMOB, width=342),
    "resnet18": Fact(11_689_512, TORCHVISION, 1000, 224, 4, 512, 7),
    "resnet50": Fact(25_557_032, TORCHVISION, 1000, 224, 4, 2048, 7),
    "resnet101": Fact(44_549_160, TORCHVISION, 1000, 224, 4, 2048, 7),
    "inception_v2": Fact(11_295_240, IMGCLSMOB, 1000, 224, 3, 1024, 7),
    "inception_v3": Fact(
        23_834_568, IMGCLSMOB + ", without the auxiliary head", 1000, 299, 3, 2048, 8
    ),
    "inception_resnet_v2": Fact(55_843_464, IMGCLSMOB, 1000, 299, 3, 1536, 8),
    "mobilenet_v2": Fact(3_504_872, TORCHVISION, 1000, 224, 5, 1280, 7),
    "efficientnet_b5": Fact(30_389_784, TORCHVISION, 1000, 456, 5, 2048, 15),
}
LIGHT = [n for n, fact in FACTS.items() if fact.parameters < 5e6 and fact.size <= 32]


class BuiltNetwork(NamedTuple):
    """A network without numbers, and its block features of two images of the usual size."""

    name: str
    net: Network
    blocks: list[torch.Tensor]


@pytest.fixture(scope="module", params=FACTS)
def built_network(request):
    name = request.param
    size = FACTS[name].size
    with torch.device("meta"):
        net = build_network(name, FACTS[name].classes, (size, size)).eval()
        return BuiltNetwork(name, net, net.block_features(torch.empty(2, 3, size, size)))


def test_all_are_known():
    """There is a fact about each network, and a network for each fact."""
    assert set(FACTS) == set(NETS)


def test_parameters(built_network):
    """A network has as many parameters as is published."""
    assert (
        sum(p.numel() for p in built_network.net.parameters())
        == FACTS[built_network.name].parameters
    )


def test_shapes(built_network):
    """Blocks return images, features have the width of the head, each class has one logit."""
    fact, net, blocks = FACTS[built_network.name], built_network.net, built_network.blocks
    features = net.pool(blocks[-1])

    assert len(blocks) == fact.blocks
    assert blocks[-1].shape[2:] == (fact.side, fact.side)
    assert all(block.ndim == 4 and len(block) == 2 for block in blocks)
    assert features.shape == (2, fact.width)
    assert net.head(features).shape == (2, fact.classes)


def test_nothing_in_place(built_network):
    """No layer writes over its input."""
    assert not [
        name
        for name, layer in built_network.net.named_modules()
        if getattr(layer, "inplace", False)
    ]


def test_dropout(built_network):
    """The dropout before the head does nothing unless the network's paper has it."""
    p = {
        "mobilenet_v2": 0.2,
        "inception_resnet_v2": 0.2,
        "efficientnet_b5": 0.4,
        "inception_v3": 0.5,
    }

    assert isinstance(built_network.net.dropout, nn.Dropout)
    assert built_network.net.dropout.p == p.get(built_network.name, 0.0)


@pytest.mark.parametrize("name", LIGHT)
def test_chain(name):
    """The network is its blocks, pool and head in turn, and every parameter gets a gradient."""
    torch.manual_seed(0)
    size = FACTS[name].size
    net = build_network(name, 10, (size, size))
    x = torch.randn(2, 3, size, size)
    net(x).square().sum().backward()
    net.eval()
    features = net.pool(net.block_features(x)[-1])

    torch.testing.assert_close(net.features(x), features)
    torch.testing.assert_close(net(x), net.head(features))
    torch.testing.assert_close(net(x[:1]), net(x)[:1], rtol=1e-4, atol=1e-4)
    assert [
        n for n, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ] == []


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("conv_small", 8),
        ("conv_mnist", 6),
        ("conv4", 4),
        ("conv6", 10),
        ("cnn9", 28),
        ("vgg13_cifar", 32),
        ("inception_v3", 75),
    ],
)
def test_too_small(name, least):
    """The smallest image that leaves a pixel is accepted; a smaller one is an error."""
    with torch.device("meta"):
        for size in ((least, least), (least, 2 * least), (2 * least, least)):
            net = build_network(name, 10, size).eval()
            assert net(torch.empty(1, 3, *size)).shape == (1, 10)
    for height, width in ((least - 1, least - 1), (least - 1, 99), (99, least - 1)):
        problem = (
            rf"{name} needs images of {least} x {least} .* {width} pixels wide and {height} high"
        )
        with pytest.raises(ValueError, match=rf"{problem}.*--size {least}"):
            build_network(name, 10, (height, width))


@pytest.mark.parametrize("name", FACTS)
def test_images_that_are_not_square(name):
    """Every network takes high images, a light one wide images too; each class has one logit."""
    side = FACTS[name].size
    for size in [(side + 14, side), (side, side + 9)][: 2 if name in LIGHT else 1]:
        with torch.device("meta"):
            net = build_network(name, 10, size).eval()
            assert net(torch.empty(2, 3, *size)).shape == (2, 10)


def test_odd_size():
    """Shortcuts and bodies agree on images of an odd size."""
    for name in ("resnet32", "resnet32_wide", "resnet29"):
        with torch.device("meta"):
            net = build_network(name, 10, (29, 29)).eval()
            assert net(torch.empty(1, 3, 29, 29)).shape == (1, 10)


def test_unknown():
    """An unknown name is an error that suggests the nearest one."""
    with pytest.raises(LookupError, match=r"unknown network 'wrn28-2'\. Did you mean 'wrn28_2'\?"):
        build_network("wrn28-2", 10, (32, 32))
