"""Networks by name. Each is a function of the number of classes and of (height, width) of images.

Those called `_cifar` are variants, for images of 32 pixels, of torchvision's network of that name.
Nothing here imports torch until a network is used, so `cnlw list nets` works without it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnlw_tools.registry import ImportOnUse, pick

if TYPE_CHECKING:
    from cnlw_tools.trainer.nets.network import HeightWidth, Network

__all__ = ["NETS", "Network", "build_network"]

NETS: ImportOnUse[Callable[[int, "HeightWidth"], "Network"]] = ImportOnUse(
    __name__,
    {
        "conv_small": "plain:conv_small",
        "mlp1": "plain:mlp1",
        "mlp2": "plain:mlp2",
        "mlp4": "plain:mlp4",
        "conv_mnist": "plain:conv_mnist",
        "conv4": "plain:conv4",
        "conv6": "plain:conv6",
        "cnn9": "plain:cnn9",
        "vgg13_cifar": "plain:vgg13_cifar",
        "resnet29": "resnets:resnet29",
        "resnet32": "resnets:resnet32",
        "resnet32_wide": "resnets:resnet32_wide",
        "resnet56_wide": "resnets:resnet56_wide",
        "preact_resnet18": "resnets:preact_resnet18",
        "resnet34_cifar": "resnets:resnet34_cifar",
        "resnet34_narrow": "resnets:resnet34_narrow",
        "wrn28_2": "resnets:wrn28_2",
        "wrn28_10": "resnets:wrn28_10",
        "wrn28_10_ieg": "resnets:wrn28_10_ieg",
        "wrn40_2": "resnets:wrn40_2",
        "densenet100": "densenet:densenet100",
        "resnet18": "imagenet:resnet18",
        "resnet50": "imagenet:resnet50",
        "resnet101": "imagenet:resnet101",
        "inception_v2": "inception:inception_v2",
        "inception_v3": "imagenet:inception_v3",
        "inception_resnet_v2": "imagenet:inception_resnet_v2",
        "mobilenet_v2": "imagenet:mobilenet_v2",
        "efficientnet_b5": "imagenet:efficientnet_b5",
    },
)
__getattr__ = ImportOnUse[Any](__name__, {"Network": "network:Network"}).attribute


def build_network(
    name: str,
    n_classes: int,
    image_size: "HeightWidth",
    dropout: float | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
) -> "Network":
    """Return a network with new weights, or with weights that were learned elsewhere.

    Args:
        name: of `NETS`
        n_classes: K
        image_size: height and width of the images, in pixels
        dropout: None: as in the network's paper
        pretrained: load the ImageNet weights that torchvision or timm publish
        weights: a file of weights

    Raises:
        LookupError: no such network
        ValueError: images too small; dropout not from 0 to 1; weights of another network, or none
        OSError: the weights could not be fetched or read
    """
    from cnlw_tools.trainer.nets.weights import fetch_pretrained, load_weights, read_weights

    if pretrained and weights is not None:
        raise ValueError(
            f"--pretrained and --weights {weights} cannot be used together: give one of the two"
        )
    net = pick(NETS, name, "network")(n_classes, image_size)
    if dropout is not None:
        net.set_dropout(dropout)
    if pretrained:
        load_weights(net, fetch_pretrained(name), f"the published weights of {name}")
    if weights is not None:
        load_weights(net, read_weights(weights), str(weights))
    return net
