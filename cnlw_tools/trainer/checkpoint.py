"""Can a run go on from a checkpoint? From one that another version wrote, it may not: what it needs has changed."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cnlw_tools.trainer.nets.weights import fault

ENTRIES = (
    "epoch",
    "step",
    "method",
    "optimiser",
    "average",
    "rows",
    "ends",
    "draws",
    "lost",
    "bad",
    "history",
)


def misfit(state: Mapping[str, Any], method: Mapping[str, Tensor], epochs: int) -> str:
    """Say what does not fit, or nothing; ``method``: its state as it begins."""
    if wrong := fault(dict.fromkeys(ENTRIES), state) or fault(method, state["method"]):
        return wrong
    return f"it is at epoch {state['epoch']} of {epochs}" if state["epoch"] > epochs else ""
