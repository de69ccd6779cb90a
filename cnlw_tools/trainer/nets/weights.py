"""Loads weights from a file, or those published with torchvision and timm.

Weights have the names of this package or of the library. All must be there and fit. The only
exception is a head of another shape, which keeps its random initial weights.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from cnlw_tools.files.seals import check_seal, is_sealed
from cnlw_tools.files.untrusted import check_regular
from cnlw_tools.trainer.nets.imagenet import timm_model
from cnlw_tools.trainer.nets.network import Network
from cnlw_tools.trainer.torch_files import load_tensors

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
# Files from before 2018 lack these counters of batch normalisation, and nothing here reads them.
COUNTER = ".num_batches_tracked"


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Read a state dict, the one under "net", or that of the network of a run.

    It is the network that validation measured, with the averages of weights if the run has them;
    of a method with two networks the first, also if it predicts by the mean of both.

    Args:
        path: a file of weights, the folder of a run, its checkpoint.pt or its best.pt

    Raises:
        OSError: there is no such file
        ValueError: the file holds no state dict, or the checkpoint is damaged
    """
    path = weights_file(path)
    check_regular(path)
    if is_sealed(path):
        check_seal(path)
    remedy = (
        "torch.save(net.state_dict(), FILE) writes one, and the checkpoint.pt of a run holds one"
    )
    content = load_tensors(path, "a file of weights only", remedy)
    state = _find_state_dict(content, path)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path}: no state dict: {remedy}")
    return state


def read_method_state(path: Path) -> Mapping[str, Tensor]:
    """Read the state of a method as validation measured it: with the averages of its weights.

    Args:
        path: the checkpoint.pt of a run that has ended, or the best.pt that it keeps

    Raises:
        OSError: there is no such file
        ValueError: it is damaged, or of no run
    """
    check_regular(path)
    check_seal(path)
    remedy = "train the run again"
    content = load_tensors(path, "a file of weights of a run", remedy)
    state = content.get("method") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise ValueError(f"{path}: no state of a method: {remedy}")
    return {**state, **_averages(content, path)}


def weights_file(path: Path) -> Path:
    """Return the file that holds the weights: of the folder of a run, its checkpoint."""
    return path / "checkpoint.pt" if path.is_dir() else path


def _find_state_dict(content: Any, path: Path) -> Any:
    """Return the part of a file that should be a state dict.

    In the checkpoint of a run the network is a part of the method.
    """
    if not isinstance(content, dict):
        return content
    method_state = content.get("method")
    if not isinstance(method_state, dict):
        return content.get("net", content)
    state = {}
    for name, value in {**method_state, **_averages(content, path)}.items():
        if name.startswith("net."):
            state[name.removeprefix("net.")] = value
    return state


def _averages(checkpoint: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Return the averages of weights in a checkpoint by name; none of a run without them."""
    ema = checkpoint.get("ema")
    if not isinstance(ema, dict):
        return {}
    averages = ema.get("averages")
    if not isinstance(averages, dict):
        raise ValueError(
            f"{path}: the averaged weights are not stored by name, because another version of the "
            "package wrote this file: train the run again"
        )
    return averages


def fetch_pretrained(name: str) -> Mapping[str, Tensor]:
    """Fetch the ImageNet weights of a network, or take them from the cache of torch.

    Raises:
        ValueError: no weights are published
        OSError: they could not be fetched
    """
    if name not in TORCHVISION + TIMM:
        raise ValueError(
            f"{name} has no published weights; these networks have them: "
            f"{', '.join(TORCHVISION + TIMM)}. "
            f"Fix: omit --pretrained, or give --weights FILE"
        )
    try:
        if name in TIMM:
            return timm_model(name, pretrained=True).state_dict()
        from torchvision.models import get_model_weights

        weights = get_model_weights(name)["IMAGENET1K_V1"]
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
        return state
    except (OSError, RuntimeError) as error:  # RuntimeError: the bytes have another hash
        raise OSError(
            f"the weights of {name} could not be fetched ({error}): "
            f"fetch them on a machine with internet access, and give --weights FILE"
        ) from error


def load_weights(
    net: Network,
    state: Mapping[str, Tensor],
    source: str,
) -> None:
    """Set the weights of a network.

    Raises:
        ValueError: a weight is missing, has another shape, or has no place; names the source
    """
    net_state = net.state_dict()
    new_state = _translate_names(net, state)
    if any(name in new_state and new_state[name].shape != net_state[name].shape for name in HEAD):
        for name in HEAD:
            new_state[name] = net_state[name]
    for name in net_state.keys() - new_state.keys():
        if name.endswith(COUNTER):
            new_state[name] = net_state[name]
    if mismatch := state_dict_mismatch(net_state, new_state):
        raise ValueError(
            f"{source} does not fit the network ({mismatch}): these weights belong to another "
            "network; give its --net"
        )
    net.load_state_dict(new_state)


def _translate_names(net: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict under the names of this package, without what has no place here."""
    translated = {}
    for name, tensor in state.items():
        net_name = net.library_names.get(name, name)
        if net_name is not None:
            translated[net_name] = tensor
    return translated


def state_dict_mismatch(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> str:
    """Describe the first entry of a state dict that does not fit; empty if all fit."""
    for name, value in expected.items():
        if name not in actual:
            return f"{name} is missing"
        if isinstance(value, Tensor) and not isinstance(actual[name], Tensor):
            return f"{name} is {type(actual[name]).__name__}"
        if isinstance(value, Tensor) and actual[name].shape != value.shape:
            actual_shape = tuple(actual[name].shape)
            return f"{name} has the shape {actual_shape}, and should have {tuple(value.shape)}"
    for name in actual:
        if name not in expected:
            return f"{name} has no place"
    return ""
