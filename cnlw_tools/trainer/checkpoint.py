"""Whether a run can go on from a checkpoint.

A checkpoint of another version of the package or the method may lack what the run needs.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cnlw_tools.trainer.nets.weights import state_dict_mismatch

ENTRIES = (
    "epoch",
    "step",
    "method",
    "optimiser",
    "ema",
    "positions",
    "phase_checkpoints",
    "rng_state",
    "loss_sum",
    "first_nonfinite_step",
    "history",
)


def checkpoint_mismatch(
    state: Mapping[str, Any],
    method_state: Mapping[str, Tensor],
    n_epochs: int,
) -> str:
    """Describe why a run cannot go on from this state; empty if it can.

    Args:
        state: content of a checkpoint
        method_state: state dict of the method before training
        n_epochs: of the run, over all phases
    """
    expected_entries = dict.fromkeys(ENTRIES)
    mismatch = state_dict_mismatch(expected_entries, state)
    if not mismatch:
        mismatch = state_dict_mismatch(method_state, state["method"])
    if mismatch:
        return mismatch
    if state["epoch"] > n_epochs:
        return f"it is at epoch {state['epoch']} of {n_epochs}"
    return ""
