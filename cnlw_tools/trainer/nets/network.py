"""What every network is: a chain of blocks, pooled features, dropout, a linear head.

h_0 = x,   h_i = block_i(h_i-1),   features = pool(h_last),   logits = W dropout(features) + b

A unit is a layer of the last block that consists of layers itself: a residual unit, a dense layer,
an Inception module. Perceptrons and plain ConvNets have none.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cnlw_tools.files.untrusted import first_line

HeightWidth = tuple[int, int]  # height and width of images, in pixels
# Number of classes, height and width of the images -> a new network.
MakeNetwork = Callable[[int, HeightWidth], nn.Module]


class Network(nn.Module):
    """A chain of blocks, pooled features, dropout, a linear head.

    Args:
        blocks: each maps (B, C, H, W) to (B, C', H', W'); the stages of a residual network
        n_features: length of the pooled feature vector
        n_classes: K
        dropout: probability of the dropout before the head
        pool: maps the last block's output to (B, n_features); default: the mean over pixels
    """

    # From the name of a weight in torchvision or timm to its name here. None: it has no place here.
    library_names: Mapping[str, str | None]

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        n_features: int,
        n_classes: int,
        dropout: float = 0.0,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = pool or nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_features, n_classes)
        self.library_names = {}
        self.unit_positions: Sequence[int] | None = None  # of `unit_features`; None: all units

    def block_features(self, x: Tensor) -> list[Tensor]:
        """Return the output of each block, (B, C, H, W) each."""
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs

    def unit_features(self, x: Tensor) -> list[Tensor]:
        """Return the output of each unit of the last block, (B, C, H, W) each.

        The layers that follow a unit, such as the last activation, belong to it. A network without
        units returns the output of each block instead.
        """
        h = x
        for block in self.blocks[:-1]:
            h = block(h)
        outputs: list[Tensor] = []
        for layer in _layers_in_order(self.blocks[-1]):
            h = layer(h)
            if _is_unit(layer):
                outputs.append(h)
            elif outputs:
                outputs[-1] = h
        if not outputs:
            return self.block_features(x)
        if self.unit_positions is None:
            return outputs
        return [outputs[i] for i in self.unit_positions]

    def features(self, x: Tensor) -> Tensor:
        """Return the pooled output of the last block, (B, n_features)."""
        for block in self.blocks:
            x = block(x)
        pooled: Tensor = self.pool(x)
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, K) logits."""
        features = self.dropout(self.features(x))
        logits: Tensor = self.head(features)
        return logits

    def set_dropout(self, p: float) -> None:
        """Set the probability of the dropouts inside the blocks.

        Where the blocks have none, set that of the dropout before the head.

        Raises:
            ValueError: p is not from 0 to 1
        """
        if not 0 <= p <= 1:
            raise ValueError(f"dropout = {p} is not allowed: give a probability from 0 to 1")
        dropout_types = (nn.Dropout, nn.Dropout2d)
        inside = [layer for layer in self.blocks.modules() if isinstance(layer, dropout_types)]
        for dropout in inside or [self.dropout]:
            dropout.p = p


def _layers_in_order(block: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers of a block that follow each other, those of sequences within it, too."""
    if not isinstance(block, nn.Sequential):
        yield block
        return
    for layer in block:
        yield from _layers_in_order(layer)


def _is_unit(layer: nn.Module) -> bool:
    return next(layer.children(), None) is not None


def require_image_size(
    min_size: int,
    image_size: HeightWidth,
    name: str,
) -> None:
    """Refuse images that the network would shrink to nothing.

    Args:
        min_size: of both sides, in pixels
        image_size: of the images
        name: of the network

    Raises:
        ValueError: the images are too small
    """
    height, width = image_size
    if min(image_size) < min_size:
        raise ValueError(
            f"{name} needs images of {min_size} x {min_size} pixels or more, "
            f"but these are {width} pixels wide and {height} high: "
            f"give another --net, or --size {min_size} to enlarge them"
        )


def build_own_network(make: MakeNetwork, n_classes: int, image_size: HeightWidth) -> nn.Module:
    """Return a network of the user's own that was tried on two black images.

    Args:
        make: a function of the number of classes and of (height, width)
        n_classes: K
        image_size: of the images

    Raises:
        ValueError: it cannot be made, cannot take such images, or does not return (B, K) numbers
    """
    height, width = image_size
    try:
        net = make(n_classes, image_size)
    except TypeError as error:
        raise ValueError(
            f"the function that makes your network failed for ({n_classes}, {image_size}): "
            f"{error}: make it take the number of classes and (height, width) of the images"
        ) from error
    if not isinstance(net, nn.Module):
        raise ValueError(
            f"the function that makes your network returned {type(net).__name__}: "
            "make it return a torch.nn.Module"
        )
    images = f"images {width} pixels wide and {height} high"
    try:
        logits = _try_network(net, torch.zeros(2, 3, height, width))
    except (RuntimeError, ValueError) as error:
        reason = first_line(error)
        raise ValueError(
            f"your network cannot take {images}: {reason}: give --size N to make them squares "
            "of N pixels, or make the network for (height, width)"
        ) from error
    if not isinstance(logits, Tensor) or logits.shape != (2, n_classes):
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"your network returned {shape} for 2 {images}: "
            f"make it return a tensor of logits, (2, {n_classes}) for these"
        )
    return net


@torch.no_grad()
def _try_network(net: nn.Module, x: Tensor) -> object:
    """Return the output in evaluation mode, and leave every layer in the mode that it was in."""
    training_modes = {layer: layer.training for layer in net.modules()}
    net.eval()
    try:
        output: object = net(x)
    finally:
        for layer, mode in training_modes.items():
            layer.training = mode
    return output


def architecture_digest(net: nn.Module) -> str:
    """Return the sha256 of what a network consists of: its layers, and the shapes of its tensors.

    Weights are not part of it, so every seed has the same digest.
    """
    lines = [f"{name} {type(layer).__name__}" for name, layer in net.named_modules()]
    for tensors in (net.named_parameters(), net.named_buffers()):
        for name, tensor in tensors:
            shape = "lazy" if is_lazy(tensor) else tuple(tensor.shape)
            lines.append(f"{name} {shape}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
