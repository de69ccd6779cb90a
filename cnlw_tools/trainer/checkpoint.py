"""Whether a run can go on from a checkpoint.

A checkpoint of another version of the package or the method may lack what the run needs.
"""

from collections.abc import Mapping
from types import NoneType
from typing import Any

from torch import Tensor

from cnlw_tools.trainer.nets.weights import state_dict_mismatch

ENTRIES: Mapping[str, type | tuple[type, ...]] = {
    "epoch": int,
    "step": int,
    "method": Mapping,
    "optimiser": Mapping,
    "ema": (Mapping, NoneType),
    "positions": Tensor,
    "phase_checkpoints": Mapping,
    "rng_state": list,
    "step_losses": Tensor,
    "history": list,
}


def checkpoint_mismatch(
    state: Any,
    method_state: Mapping[str, Tensor],
    n_epochs: int,
) -> str:
    """Describe why a run cannot go on from this state; empty if it can.

    Args:
        state: content of a checkpoint
        method_state: state dict of the method before training
        n_epochs: of the run, over all phases
    """
    mismatch = _entry_mismatch(state) or state_dict_mismatch(method_state, state["method"])
    if mismatch:
        return mismatch
    if state["epoch"] > n_epochs:
        return f"it is at epoch {state['epoch']} of {n_epochs}"
    return ""


def _entry_mismatch(state: Any) -> str:
    """Describe the first entry that is missing, has no place or is of another type."""
    if not isinstance(state, Mapping):
        return f"it holds {type(state).__name__}, not a state"
    mismatch = state_dict_mismatch(dict.fromkeys(ENTRIES), state)
    if mismatch:
        return mismatch
    for name, types in ENTRIES.items():
        if not isinstance(state[name], types):
            return f"{name} is {type(state[name]).__name__}"
    if state["ema"] and not isinstance(state["ema"].get("averages"), Mapping):
        return "the averaged weights are not stored by name"
    for metrics in state["history"]:
        if not isinstance(metrics, Mapping):
            return f"history holds {type(metrics).__name__}"
    return ""
