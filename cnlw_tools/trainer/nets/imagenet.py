"""Networks for photographs: those of torchvision, and Inception-ResNet-v2 of timm. Built there, cut into blocks here.

    resnet18, resnet50, resnet101     He et al. 2015
    inception_v3                      Szegedy et al. 2016, without its auxiliary head
    mobilenet_v2                      Sandler et al. 2018
    efficientnet_b5                   Tan and Le 2019
    inception_resnet_v2               Szegedy et al. 2017

A block ends where the next layer halves the size (of the Inceptions: after each of the three grids of the papers).
All take what ImageNet's mean and spread normalise.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from cnlw_tools.trainer.nets.network import Network, at_least

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


class ToUnit(nn.Module):
    """From ImageNet's mean and spread to [-1, 1], which the published weights of the Inceptions are made for."""

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, spread = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(SPREAD).view(3, 1, 1)
        self.register_buffer("scale", spread / 0.5, persistent=False)
        self.register_buffer("shift", (mean - 0.5) / 0.5, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, 3, H, W) to the same."""
        return x * self.scale + self.shift


def resnet(name: str, classes: int, size: int) -> Network:
    """Return a residual network of torchvision."""
    stages = ["conv1 bn1 relu maxpool layer1", "layer2", "layer3", "layer4"]
    return _cut(_torchvision(name, num_classes=classes), stages, "fc")


resnet18, resnet50, resnet101 = (
    partial(resnet, "resnet18"),
    partial(resnet, "resnet50"),
    partial(resnet, "resnet101"),
)


def mobilenet_v2(classes: int, size: int) -> Network:
    """Return MobileNet-v2."""
    return _cut(
        _torchvision("mobilenet_v2", num_classes=classes),
        _runs(0, 2, 4, 7, 14, 19),
        "classifier.1",
        0.2,
    )


def efficientnet_b5(classes: int, size: int) -> Network:
    """Return EfficientNet-B5."""
    return _cut(
        _torchvision("efficientnet_b5", num_classes=classes),
        _runs(0, 2, 3, 4, 6, 9),
        "classifier.1",
        0.4,
    )


def inception_v3(classes: int, size: int) -> Network:
    """Return Inception-v3."""
    at_least(75, size, "inception_v3")
    stages = [
        "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 maxpool1 Conv2d_3b_1x1 Conv2d_4a_3x3 maxpool2 "
        "Mixed_5b Mixed_5c Mixed_5d",
        "Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e",
        "Mixed_7a Mixed_7b Mixed_7c",
    ]
    return _cut(
        _torchvision("inception_v3", num_classes=classes, init_weights=True),
        stages,
        "fc",
        0.5,
        ToUnit(),
    )


def inception_resnet_v2(classes: int, size: int) -> Network:
    """Return Inception-ResNet-v2.

    Raises:
        ValueError: timm is not installed, or the images are too small
    """
    at_least(75, size, "inception_resnet_v2")
    stages = [
        "conv2d_1a conv2d_2a conv2d_2b maxpool_3a conv2d_3b conv2d_4a maxpool_5a mixed_5b repeat",
        "mixed_6a repeat_1",
        "mixed_7a repeat_2 block8 conv2d_7b",
    ]
    return _cut(timm("inception_resnet_v2", num_classes=classes), stages, "classif", 0.2, ToUnit())


def timm(name: str, **options: Any) -> nn.Module:
    """Return a model of timm.

    Raises:
        ValueError: timm is not installed
    """
    try:
        from timm import create_model
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{name} is one of timm's, which is not installed: pip install 'cnlw-tools[timm]'"
        ) from error
    model: nn.Module = create_model(name, **options)
    return model


def _torchvision(name: str, **options: Any) -> nn.Module:
    from torchvision.models import get_model  # a second, which the other networks need not wait

    model: nn.Module = get_model(name, weights=None, **options)
    return model


def _cut(
    model: nn.Module,
    stages: Sequence[str],
    head: str,
    dropout: float = 0.0,
    first: nn.Module | None = None,
) -> Network:
    """Return a model's own layers as a network, and under which names its own weights are found there.

    Args:
        model: with a linear head for the classes
        stages: the layers of each block
        head: which layer it is
        dropout: before the head
        first: what the images go through first
    """
    blocks = [nn.Sequential(*map(model.get_submodule, stage.split())) for stage in stages]
    if first is not None:
        blocks[0].insert(0, first)
    linear = cast(nn.Linear, model.get_submodule(head))
    net = Network(blocks, linear.in_features, linear.out_features, dropout)
    net.head = linear
    here = {id(tensor): name for name, tensor in net.state_dict(keep_vars=True).items()}
    net.names = {
        name: here.get(id(tensor)) for name, tensor in model.state_dict(keep_vars=True).items()
    }
    for layer in net.modules():
        if "inplace" in vars(layer):
            vars(layer)["inplace"] = (
                False  # what forward-mode differentiation and a second backward need
            )
    return net


def _runs(*borders: int) -> list[str]:
    """Return the names of the layers between each two borders."""
    return [" ".join(f"features.{i}" for i in range(*ends)) for ends in pairwise(borders)]
