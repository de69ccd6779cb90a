"""Weights from elsewhere: of a file, or those published with torchvision and timm.

Names are ours or the library's. All must be there and fit, but for a head of another shape: it starts anew.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnlw_tools.trainer.nets.imagenet import timm
from cnlw_tools.trainer.nets.network import Network

TORCHVISION = (
    "resnet18",
    "resnet50",
    "resnet101",
    "inception_v3",
    "mobilenet_v2",
    "efficientnet_b5",
)
TIMM = ("inception_resnet_v2",)
HEAD = ("head.weight", "head.bias")
COUNTER = ".num_batches_tracked"  # which files from before 2018 lack, and nothing here reads


def read(path: Path) -> Mapping[str, Tensor]:
    """Read a state dict, the one under "net", or that of the network in a run's checkpoint.

    Raises:
        OSError: there is no such file
        ValueError: it holds no state dict
    """
    remedy = (
        "torch.save(net.state_dict(), FILE) writes one, and the checkpoint.pt of a run holds one"
    )
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        LookupError,
        ValueError,
    ) as error:  # all that junk may give
        raise ValueError(f"{path}: no file of weights, or more than weights: {remedy}") from error
    state = _network(found)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path}: no state dict: {remedy}")
    return state


def _network(found: Any) -> Any:
    """Return what should be a state dict; in the checkpoint of a run the network is a part of the method."""
    if not isinstance(found, dict):
        return found
    if isinstance(method := found.get("method"), dict):
        return {
            name.removeprefix("net."): value
            for name, value in method.items()
            if name.startswith("net.")
        }
    return found.get("net", found)


def published(name: str) -> Mapping[str, Tensor]:
    """Fetch the weights of a network that was trained on ImageNet, or take them from the cache of torch.

    Raises:
        ValueError: none are published
        OSError: they could not be fetched
    """
    if name not in TORCHVISION + TIMM:
        raise ValueError(
            f"{name} has no published weights, only these have: {', '.join(TORCHVISION + TIMM)}. "
            f"Leave --pretrained, or give --weights FILE"
        )
    try:
        if name in TIMM:
            return timm(name, pretrained=True).state_dict()
        from torchvision.models import get_model_weights

        state: Mapping[str, Tensor] = get_model_weights(name)["IMAGENET1K_V1"].get_state_dict(
            progress=False, check_hash=True
        )
        return state
    except (OSError, RuntimeError) as error:  # the latter when the bytes are not those expected
        raise OSError(
            f"the weights of {name} could not be fetched ({error}): fetch them where there is a network and "
            f"give --weights FILE"
        ) from error


def load(net: Network, state: Mapping[str, Tensor], source: str) -> None:
    """Give a network weights.

    Raises:
        ValueError: one is missing, of another shape, or too many
    """
    given = {
        ours: tensor
        for name, tensor in state.items()
        if (ours := net.names.get(name, name)) is not None
    }
    own = net.state_dict()
    if any(name in given and given[name].shape != own[name].shape for name in HEAD):
        given |= {name: own[name] for name in HEAD}
    given |= {name: own[name] for name in own.keys() - given.keys() if name.endswith(COUNTER)}
    if wrong := fault(own, given):
        raise ValueError(
            f"{source}: {wrong}: these weights are of another network; give the --net that they are of"
        )
    net.load_state_dict(given)


def fault(own: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Say what is the first entry of a state that does not fit, or nothing."""
    for name, value in own.items():
        if name not in given:
            return f"{name} is missing"
        if isinstance(value, Tensor) and given[name].shape != value.shape:
            return f"{name} has the shape {tuple(given[name].shape)}, and should have {tuple(value.shape)}"
    return next((f"{name} has no place" for name in given if name not in own), "")
