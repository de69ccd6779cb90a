"""Noise models: pure arithmetic on labels and keys. One file a model; the table is below."""

from collections.abc import Mapping

from cnlw_tools.noise.asymmetric import ASYMMETRIC, PAIRFLIP
from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel, TooFewImages
from cnlw_tools.noise.blue import BLUE
from cnlw_tools.noise.dilution import DILUTION
from cnlw_tools.noise.foreign import DonorTooSmall
from cnlw_tools.noise.given import HUMAN, SEMANTIC
from cnlw_tools.noise.instance import INSTANCE
from cnlw_tools.noise.matrix import MATRIX
from cnlw_tools.noise.mix import MIX
from cnlw_tools.noise.openset import OPENSET
from cnlw_tools.noise.outlier import OUTLIER
from cnlw_tools.noise.red import RED
from cnlw_tools.noise.red_standin import RED_STANDIN
from cnlw_tools.noise.source import SOURCE
from cnlw_tools.noise.structured import STRUCTURED
from cnlw_tools.noise.symmetric import SYMMETRIC

__all__ = [
    "NOISE",
    "DonorTooSmall",
    "Draw",
    "Expected",
    "Items",
    "NoiseModel",
    "TooFewImages",
    "add_model",
]

_MODELS: dict[str, NoiseModel] = {
    "blue": BLUE,  # labels are flipped, images stay
    "red": RED,  # labels stay, wrong images from the web replace the right ones
    "symmetric": SYMMETRIC,  # blue and its variants: self included, Bernoulli, L2R, permuted
    "asymmetric": ASYMMETRIC,  # flips to the class that a map says it is confused with
    "pairflip": PAIRFLIP,  # flips to the next class
    "human": HUMAN,  # labels that people gave
    "semantic": SEMANTIC,  # labels that a network predicted
    "matrix": MATRIX,  # flips by any transition matrix
    "instance": INSTANCE,  # flips that the features of each image suggest
    "mix": MIX,  # two of these models, each on a share of the images
    "dilution": DILUTION,  # clean examples stay, copies with random labels come beside them
    "structured": STRUCTURED,  # dilution with some false labels likelier than others
    "source": SOURCE,  # dilution with images of another dataset or of white noise
    "openset": OPENSET,  # images of another dataset replace some of the dataset's own
    "outlier": OUTLIER,  # images of another dataset come beside the dataset's own
    "red_standin": RED_STANDIN,  # red, another dataset standing in for the web
}
NOISE: Mapping[str, NoiseModel] = _MODELS
_OF_THE_PACKAGE = frozenset(_MODELS)


def add_model(model: NoiseModel) -> str:
    """Make a model of your own known in this process, and return its name: that of its `draw`.

    A model of the same name that was added before is replaced.

    Raises:
        ValueError: the package has a model of this name
    """
    name = model.draw.__name__
    if name in _OF_THE_PACKAGE and NOISE[name] is not model:
        raise ValueError(
            f"the package already has a noise model {name!r}: give your function another name"
        )
    _MODELS[name] = model
    return name
