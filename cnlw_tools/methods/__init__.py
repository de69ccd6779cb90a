"""Methods that learn from noisy labels. One file a method, its mathematics on top.

Nothing here imports torch until a method is used, so `cnlw list methods` works without it.
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
        # other targets
        "bootstrap": "bootstrap:Bootstrap",
        "h_alpha": "h_alpha:HAlpha",
        # other losses
        "gce": "gce:GCE",
        "gce_truncated": "gce:GCETruncated",
        "data_parameters": "data_parameters:DataParameters",
        # a model of the noise
        "s_model": "s_model:SModel",
        "noise_layer": "noise_layer:NoiseLayer",
        "forward": "forward:Forward",
        "backward": "backward:Backward",
        # two networks
        "coteaching": "coteaching:CoTeaching",
        # mixed examples, curricula
        "mixup": "mixup:Mixup",
        "mentornet": "mentornet:MentorNet",
        "mentormix": "mentormix:MentorMix",
        # labels trusted as far as their losses say
        "mdyrh": "mdyrh:MDYRH",
        "mddyrsh": "mddyrsh:MDDYRSH",
        # examples left out, stage by stage
        "o2u": "o2u:O2U",
        "incv": "incv:INCV",
        # after training
        "rog": "rog:RoG",
        # a trusted set
        "l2r": "l2r:L2R",
        "ieg": "ieg:IEG",
        "glc": "glc:GLC",
        # a trusted set is all that has labels
        "mixmatch": "mixmatch:MixMatch",
        "mixmatch_kl": "mixmatch:MixMatchKL",
        # what lies where among the features
        "self_learning": "self_learning:SelfLearning",
        "curriculumnet": "curriculumnet:CurriculumNet",
        "cleannet": "cleannet:CleanNet",
    },
)

BASE = ("Batch", "BatchSource", "Method", "Phase", "ProbeSet", "Task", "VerifiedSource")
__getattr__ = ImportOnUse[Any](__name__, {name: f"base:{name}" for name in BASE}).attribute
