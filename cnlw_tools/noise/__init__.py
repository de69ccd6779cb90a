"""Noise models: pure arithmetic on labels and keys. One file a model; the table is below."""

from collections.abc import Mapping

from cnlw_tools.noise.asymmetric import ASYMMETRIC, PAIRFLIP
from cnlw_tools.noise.base import Draw, Expected, Items, NoiseModel, TooFewImages
from cnlw_tools.noise.blue import BLUE
from cnlw_tools.noise.given import HUMAN, SEMANTIC
from cnlw_tools.noise.instance import INSTANCE
from cnlw_tools.noise.matrix import MATRIX
from cnlw_tools.noise.mix import MIX
from cnlw_tools.noise.red import RED
from cnlw_tools.noise.symmetric import SYMMETRIC

__all__ = ["NOISE", "Draw", "Expected", "Items", "NoiseModel", "TooFewImages"]

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
}
