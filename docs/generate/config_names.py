"""What the parts of the names of configs mean, as far as a text has such parts."""

import re
from collections.abc import Mapping

NOTATION: Mapping[str, str] = {  # part of a name -> its meaning
    r"\basymmetric_\d": "The level of `asymmetric` noise is the share of wrong labels in the classes "
    "that the noise changes. On CIFAR-10, the noise changes five of the ten classes, so 20 % of all "
    "labels are wrong at level 40.",
    r"dilution_a\d": "In a name such as `dilution_a10`, the number after `a` is the option alpha of "
    "the noise model: how many copies of each image are added, on average.",
    r"structured_a\d+_d\d": "In a name such as `structured_a20_d50`, the number after `a` is the "
    "option alpha of `structured` noise: how many copies of each image are added, "
    "on average. The number after `d` is 100 times the option delta. `structured` noise puts the "
    "false labels of each class in an order. If delta is 0, all false labels are equally frequent, "
    "whatever their order; results for different orders then differ only by chance. If delta is 1, "
    "the first false label in the order is as frequent as the true label.",
    r"structured_\w+_conv-mnist": "`conv-mnist` is the network whose predictions determine the order.",
    r"structured_\w+_(reverse|random)|conv-mnist_reverse": "A name with neither `reverse` nor "
    "`random` means the order `confusing`: the false label that the network predicts most often for images of "
    "the class comes first. `reverse` is the opposite order, and `random` is a random one.",
    r"outlier_k\d": "The numbers after `k` and `r` are 100 times the options `known_share` and "
    "`ratio` of the noise model.",
    r"_no-exact(?!_self)": "`no-exact` stands for the option `exact = false` of the noise "
    "model: each label is flipped or kept independently of the others.",
    r"(?<!_no-exact)_self(\b|_)": "`self` stands for the option `include_self = true` of the noise "
    "model: a label may be redrawn as itself.",
    r"_no-exact_self": "`no-exact` and `self` stand for options of the noise model: "
    "`exact = false` (each label is flipped or kept independently of the others) "
    "and `include_self = true` (a label may be redrawn as itself).",
    r"openset_\d": "If the name of a config contains `openset`, the names of the donors come after the level.",
    r"outlier_\w+_r\d+_[a-z]": "If the name of a config contains `outlier`, the name of the donor "
    "comes after the numbers.",
    r"semantic-vgg": "For `semantic-vgg`, the labels are taken from the column `semantic_vgg` of the "
    "side table.",
    r"_probe\d": "The number after `probe` in the name of a config is the number "
    "of trusted images of each class.",
    r"_clean\d": "The number after `clean` in the name of a config is the number of training images "
    "that were kept; noise was added afterwards.",
    r"matrix_[0-9a-f]{6}": "The six characters after `matrix` are the beginning of a digest of "
    "the transition matrix.",
}


def explain_config_names(text: str, explained: str = "") -> str:
    """Return sentences on the parts of names of configs that a text has; empty if there are none.

    Args:
        text: names of configs, and other words
        explained: names whose parts the page explains further up
    """
    plain, known = text.replace("\\_", "_"), explained.replace("\\_", "_")
    sentences = []
    for part, words in NOTATION.items():
        if re.search(part, plain) and not re.search(part, known):
            sentences.append(words)
    return " ".join(sentences)
