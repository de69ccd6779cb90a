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

__all__ = ["NOISE", "DonorTooSmall", "Draw", "Expected", "Items", "NoiseModel", "TooFewImages"]

NOISE: Mapping[str, NoiseModel] = {
    "blue": BLUE,  # flip the label, keep the image
    "red": RED,  # keep the label, take a wrong image from the web
    "symmetric": SYMMETRIC,  # blue and its relatives: self included, Bernoulli, L2R, permuted
    "asymmetric": ASYMMETRIC,  # to the class it is confused with, by a map
    "pairflip": PAIRFLIP,  # to the next class
    "human": HUMAN,  # what people said
    "semantic": SEMANTIC,  # what a network said
    "matrix": MATRIX,  # by any transition matrix
    "instance": INSTANCE,  # as the features of each image suggest
    "mix": MIX,  # two of these, in shares
    "dilution": DILUTION,  # clean examples stay, noisy copies come beside them
    "structured": STRUCTURED,  # likewise, some false labels likelier than others
    "source": SOURCE,  # likewise, with images of another dataset or of white noise
    "openset": OPENSET,  # images of another dataset take the place of one's own
    "outlier": OUTLIER,  # images of another dataset come beside one's own
    "red_standin": RED_STANDIN,  # red, another dataset standing in for the web
}
