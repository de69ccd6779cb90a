"""Methods that learn from noisy labels. One file a method, its mathematics on top."""

from collections.abc import Mapping

from cnlw_tools.methods.base import Batch, Method, Phase, Sweep, Task
from cnlw_tools.methods.ieg import IEG
from cnlw_tools.methods.l2r import L2R
from cnlw_tools.methods.mentormix import MentorMix
from cnlw_tools.methods.mentornet import MentorNet
from cnlw_tools.methods.vanilla import Vanilla

__all__ = ["METHODS", "Batch", "Method", "Phase", "Sweep", "Task"]

METHODS: Mapping[str, type[Method]] = {
    "vanilla": Vanilla,
    # curricula, mixed examples
    "mentornet": MentorNet,
    "mentormix": MentorMix,
    # a trusted set
    "l2r": L2R,
    "ieg": IEG,
}
