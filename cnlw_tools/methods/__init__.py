"""Methods that learn from noisy labels: one file each, with its mathematics on top.

Torch is imported only when a method is used, so `cnlw list methods` works without it.
"""

from typing import TYPE_CHECKING, Any

from cnlw_tools.registry import ImportOnUse

if TYPE_CHECKING:
    from cnlw_tools.methods.base import (
        Batch,
        BatchSource,
        Method,
        Phase,
        ProbeSet,
        Task,
        VerifiedSource,
    )

__all__ = [
    "METHODS",
    "Batch",
    "BatchSource",
    "Method",
    "Phase",
    "ProbeSet",
    "Task",
    "VerifiedSource",
]

METHODS: ImportOnUse[type["Method"]] = ImportOnUse(
    __name__,
    {
        "vanilla": "vanilla:Vanilla",
        "weight_decay": "weight_decay:WeightDecay",
        "dropout": "dropout:Dropout",
        # changed targets
        "bootstrap": "bootstrap:Bootstrap",
        "h_alpha": "h_alpha:HAlpha",
        # robust losses
        "gce": "gce:GCE",
        "gce_truncated": "gce:GCETruncated",
        "data_parameters": "data_parameters:DataParameters",
        # models of the noise
        "s_model": "s_model:SModel",
        "noise_layer": "noise_layer:NoiseLayer",
        "forward": "forward:Forward",
        "backward": "backward:Backward",
        # two networks
        "coteaching": "coteaching:CoTeaching",
        # mixup and curricula
        "mixup": "mixup:Mixup",
        "mentornet": "mentornet:MentorNet",
        "mentormix": "mentormix:MentorMix",
        # labels weighted by a mixture model of their losses
        "mdyrh": "mdyrh:MDYRH",
        "mddyrsh": "mddyrsh:MDDYRSH",
        # stages that leave examples out
        "o2u": "o2u:O2U",
        "incv": "incv:INCV",
        # predictions corrected after training
        "rog": "rog:RoG",
        # learning with a trusted set
        "l2r": "l2r:L2R",
        "ieg": "ieg:IEG",
        "glc": "glc:GLC",
        # semi-supervised: only the trusted set has labels
        "mixmatch": "mixmatch:MixMatch",
        "mixmatch_kl": "mixmatch:MixMatchKL",
        # distances between features
        "self_learning": "self_learning:SelfLearning",
        "curriculumnet": "curriculumnet:CurriculumNet",
        "cleannet": "cleannet:CleanNet",
    },
)

BASE = ("Batch", "BatchSource", "Method", "Phase", "ProbeSet", "Task", "VerifiedSource")
__getattr__ = ImportOnUse[Any](__name__, {name: f"base:{name}" for name in BASE}).attribute
