"""Networks by name. Each is a function of the number of classes and the image side in pixels.

Those called `_cifar` share their name with one of torchvision, and are for images of 32 pixels.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from cnlw_tools.registry import pick
from cnlw_tools.trainer.nets.densenet import densenet100
from cnlw_tools.trainer.nets.imagenet import (
    efficientnet_b5,
    inception_resnet_v2,
    inception_v3,
    mobilenet_v2,
    resnet18,
    resnet50,
    resnet101,
)
from cnlw_tools.trainer.nets.inception import inception_v2
from cnlw_tools.trainer.nets.network import Network
from cnlw_tools.trainer.nets.plain import (
    cnn9,
    conv4,
    conv6,
    conv_mnist,
    conv_small,
    mlp1,
    mlp2,
    mlp4,
    vgg13_cifar,
)
from cnlw_tools.trainer.nets.resnets import (
    preact_resnet18,
    resnet29,
    resnet32,
    resnet32_wide,
    resnet34_cifar,
    wrn28_2,
    wrn28_10,
    wrn40_2,
)
from cnlw_tools.trainer.nets.weights import fetch_pretrained, load_weights, read_weights

__all__ = ["NETS", "Network", "build_network"]

NETS: Mapping[str, Callable[[int, int], Network]] = {
    "conv_small": conv_small,
    "mlp1": mlp1,
    "mlp2": mlp2,
    "mlp4": mlp4,
    "conv_mnist": conv_mnist,
    "conv4": conv4,
    "conv6": conv6,
    "cnn9": cnn9,
    "vgg13_cifar": vgg13_cifar,
    "resnet29": resnet29,
    "resnet32": resnet32,
    "resnet32_wide": resnet32_wide,
    "preact_resnet18": preact_resnet18,
    "resnet34_cifar": resnet34_cifar,
    "wrn28_2": wrn28_2,
    "wrn28_10": wrn28_10,
    "wrn40_2": wrn40_2,
    "densenet100": densenet100,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "inception_v2": inception_v2,
    "inception_v3": inception_v3,
    "inception_resnet_v2": inception_resnet_v2,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_b5": efficientnet_b5,
}


def build_network(
    name: str,
    n_classes: int,
    image_size: int,
    dropout: float | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
) -> Network:
    """Return a network with new weights, or with weights that were learned elsewhere.

    Args:
        name: of `NETS`
        n_classes: K
        image_size: side of the images, in pixels
        dropout: None: as in the network's paper
        pretrained: load the ImageNet weights that torchvision or timm publish
        weights: a file of weights

    Raises:
        LookupError: no such network
        ValueError: images too small; dropout not from 0 to 1; weights of another network, or none
        OSError: the weights could not be fetched or read
    """
    if pretrained and weights is not None:
        raise ValueError(
            f"--pretrained and --weights {weights} exclude each other: give one of the two"
        )
    net = pick(NETS, name, "network")(n_classes, image_size)
    if dropout is not None:
        net.set_dropout(dropout)
    if pretrained:
        load_weights(net, fetch_pretrained(name), f"the published weights of {name}")
    if weights is not None:
        load_weights(net, read_weights(weights), str(weights))
    return net
