"""These networks are for photographs.

The package timm provides Inception-ResNet-v2, and torchvision provides the others. `cnlw_tools`
cuts each network into blocks, and methods can read the output of each block.

    resnet18, resnet50, resnet101     He et al. 2015
    inception_v3                      Szegedy et al. 2016, without its auxiliary head
    mobilenet_v2                      Sandler et al. 2018
    efficientnet_b5                   Tan and Le 2019
    inception_resnet_v2               Szegedy et al. 2017

The first block contains the stem. Every other block begins with a layer that halves height and
width. `inception_v3` and `inception_resnet_v2` have three blocks, one for each grid size in the
papers (35, 17 and 8 pixels). With `cnlw train --pretrained`, training begins with weights that were
learned on ImageNet, and images are normalised by the mean and the standard deviation of ImageNet.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from cnlw_tools.registry import extras
from cnlw_tools.trainer.nets.network import HeightWidth, Network, require_image_size

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ToSymmetricRange(nn.Module):
    """Rescales images from ImageNet's mean and standard deviation to [-1, 1].

    The published weights of the Inceptions expect this range.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
        std = torch.tensor(IMAGENET_STD).view(3, 1, 1)
        self.register_buffer("scale", std / 0.5, persistent=False)
        self.register_buffer("shift", (mean - 0.5) / 0.5, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to the same shape."""
        return x * self.scale + self.shift


def resnet(name: str, n_classes: int, image_size: HeightWidth) -> Network:
    """Return a residual network of torchvision."""
    model = torchvision_model(name, num_classes=n_classes)
    stages = ["conv1 bn1 relu maxpool layer1", "layer2", "layer3", "layer4"]
    return _split_into_blocks(model, stages, "fc")


def resnet18(n_classes: int, image_size: HeightWidth) -> Network:
    """Return ResNet-18 of torchvision."""
    return resnet("resnet18", n_classes, image_size)


def resnet50(n_classes: int, image_size: HeightWidth) -> Network:
    """Return ResNet-50 of torchvision."""
    return resnet("resnet50", n_classes, image_size)


def resnet101(n_classes: int, image_size: HeightWidth) -> Network:
    """Return ResNet-101 of torchvision."""
    return resnet("resnet101", n_classes, image_size)


def mobilenet_v2(n_classes: int, image_size: HeightWidth) -> Network:
    """Return MobileNet-v2."""
    model = torchvision_model("mobilenet_v2", num_classes=n_classes)
    stages = _feature_layers(0, 2, 4, 7, 14, 19)
    return _split_into_blocks(model, stages, "classifier.1", dropout=0.2)


def efficientnet_b5(n_classes: int, image_size: HeightWidth) -> Network:
    """Return EfficientNet-B5."""
    model = torchvision_model("efficientnet_b5", num_classes=n_classes)
    stages = _feature_layers(0, 2, 3, 4, 6, 9)
    return _split_into_blocks(model, stages, "classifier.1", dropout=0.4)


def inception_v3(n_classes: int, image_size: HeightWidth) -> Network:
    """Return Inception-v3."""
    require_image_size(75, image_size, "inception_v3")
    model = torchvision_model("inception_v3", num_classes=n_classes, init_weights=True)
    stages = [
        "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 maxpool1 Conv2d_3b_1x1 Conv2d_4a_3x3 maxpool2 "
        "Mixed_5b Mixed_5c Mixed_5d",
        "Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e",
        "Mixed_7a Mixed_7b Mixed_7c",
    ]
    return _split_into_blocks(model, stages, "fc", dropout=0.5, rescale=ToSymmetricRange())


def inception_resnet_v2(n_classes: int, image_size: HeightWidth) -> Network:
    """Return Inception-ResNet-v2 of timm, which `pip install '.[timm]'` installs.

    Raises:
        ValueError: timm is not installed, or the images are too small
    """
    require_image_size(75, image_size, "inception_resnet_v2")
    model = timm_model("inception_resnet_v2", num_classes=n_classes)
    stages = [
        "conv2d_1a conv2d_2a conv2d_2b maxpool_3a conv2d_3b conv2d_4a maxpool_5a mixed_5b repeat",
        "mixed_6a repeat_1",
        "mixed_7a repeat_2 block8 conv2d_7b",
    ]
    return _split_into_blocks(model, stages, "classif", dropout=0.2, rescale=ToSymmetricRange())


def timm_model(name: str, **options: Any) -> nn.Module:
    """Return a model of timm.

    Raises:
        ValueError: timm is not installed
    """
    try:
        from timm import create_model
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{name} is a model of timm, which is not installed: {extras.install_command('timm')}"
        ) from error
    model: nn.Module = create_model(name, **options)
    return model


def torchvision_model(name: str, **options: Any) -> nn.Module:
    """Return a model of torchvision with new weights."""
    # Importing torchvision takes a second, which the other networks need not spend.
    from torchvision.models import get_model

    model: nn.Module = get_model(name, weights=None, **options)
    return model


def _split_into_blocks(
    model: nn.Module,
    stages: Sequence[str],
    head_name: str,
    dropout: float = 0.0,
    rescale: nn.Module | None = None,
) -> Network:
    """Return a model's own layers as a network that knows the library's names of its weights.

    Args:
        model: with a linear head for the classes
        stages: the names of the layers of each block, separated by spaces
        head_name: name of the linear head
        dropout: probability of the dropout before the head
        rescale: layer that the images pass through before the first block
    """
    blocks = []
    for stage in stages:
        layers = [model.get_submodule(name) for name in stage.split()]
        blocks.append(nn.Sequential(*layers))
    if rescale is not None:
        blocks[0].insert(0, rescale)
    head = cast(nn.Linear, model.get_submodule(head_name))
    net = Network(blocks, head.in_features, head.out_features, dropout)
    net.head = head
    net.library_names = _library_names(model, net)
    _disable_inplace(net)
    return net


def _library_names(model: nn.Module, net: Network) -> dict[str, str | None]:
    """Return under which name each weight of the model stands in the network; None: it does not."""
    names = {}
    for name, tensor in net.state_dict(keep_vars=True).items():
        names[id(tensor)] = name
    library_names = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        library_names[name] = names.get(id(tensor))
    return library_names


def _disable_inplace(net: Network) -> None:
    """Let no layer write over its input.

    Forward-mode differentiation and a second backward pass need the inputs.
    """
    for layer in net.modules():
        if "inplace" in vars(layer):
            vars(layer)["inplace"] = False


def _feature_layers(*borders: int) -> list[str]:
    """Return the names of the feature layers between each pair of neighbouring borders."""
    stages = []
    for begin, end in pairwise(borders):
        names = [f"features.{i}" for i in range(begin, end)]
        stages.append(" ".join(names))
    return stages
