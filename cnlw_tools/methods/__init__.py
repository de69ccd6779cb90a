"""Methods that learn from noisy labels. One file a method, its mathematics on top."""

from collections.abc import Mapping

from cnlw_tools.methods.backward import Backward
from cnlw_tools.methods.base import (
    Batch,
    BatchSource,
    Method,
    Phase,
    ProbeSet,
    Task,
    VerifiedSource,
)
from cnlw_tools.methods.bootstrap import Bootstrap
from cnlw_tools.methods.cleannet import CleanNet
from cnlw_tools.methods.coteaching import CoTeaching
from cnlw_tools.methods.curriculumnet import CurriculumNet
from cnlw_tools.methods.data_parameters import DataParameters
from cnlw_tools.methods.dropout import Dropout
from cnlw_tools.methods.forward import Forward
from cnlw_tools.methods.gce import GCE, GCETruncated
from cnlw_tools.methods.glc import GLC
from cnlw_tools.methods.h_alpha import HAlpha
from cnlw_tools.methods.ieg import IEG
from cnlw_tools.methods.incv import INCV
from cnlw_tools.methods.l2r import L2R
from cnlw_tools.methods.mddyrsh import MDDYRSH
from cnlw_tools.methods.mdyrh import MDYRH
from cnlw_tools.methods.mentormix import MentorMix
from cnlw_tools.methods.mentornet import MentorNet
from cnlw_tools.methods.mixmatch import MixMatch, MixMatchKL
from cnlw_tools.methods.mixup import Mixup
from cnlw_tools.methods.noise_layer import NoiseLayer
from cnlw_tools.methods.o2u import O2U
from cnlw_tools.methods.rog import RoG
from cnlw_tools.methods.s_model import SModel
from cnlw_tools.methods.self_learning import SelfLearning
from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.methods.weight_decay import WeightDecay

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

METHODS: Mapping[str, type[Method]] = {
    "vanilla": Vanilla,
    "weight_decay": WeightDecay,
    "dropout": Dropout,
    # other targets
    "bootstrap": Bootstrap,
    "h_alpha": HAlpha,
    # other losses
    "gce": GCE,
    "gce_truncated": GCETruncated,
    "data_parameters": DataParameters,
    # a model of the noise
    "s_model": SModel,
    "noise_layer": NoiseLayer,
    "forward": Forward,
    "backward": Backward,
    # two networks
    "coteaching": CoTeaching,
    # mixed examples, curricula
    "mixup": Mixup,
    "mentornet": MentorNet,
    "mentormix": MentorMix,
    # labels trusted as far as their losses say
    "mdyrh": MDYRH,
    "mddyrsh": MDDYRSH,
    # examples left out, stage by stage
    "o2u": O2U,
    "incv": INCV,
    # after training
    "rog": RoG,
    # a trusted set
    "l2r": L2R,
    "ieg": IEG,
    "glc": GLC,
    # a trusted set is all that has labels
    "mixmatch": MixMatch,
    "mixmatch_kl": MixMatchKL,
    # what lies where among the features
    "self_learning": SelfLearning,
    "curriculumnet": CurriculumNet,
    "cleannet": CleanNet,
}
