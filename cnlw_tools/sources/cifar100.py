"""CIFAR-100 as its author packs it: the folder `cifar-100-python` of the batches `train` and `test`.

Every image has one of 100 fine labels and one of 20 coarse ones; the one that is not the label is a free column of
the manifest. Ids as those of CIFAR-10. Source: Krizhevsky, "Learning multiple layers of features from tiny images",
2009.
"""

from dataclasses import replace

from cnlw_tools.sources.cifar10 import Cifar10, Pack

CIFAR100 = Pack(
    "CIFAR-100",
    "cifar-100-python",
    "cifar-100-python.tar.gz",
    {"train": ["train"], "test": ["test"]},
    {"fine_labels": 100, "coarse_labels": 20},
)


class Cifar100(Cifar10):
    """The 100 classes."""

    name = "cifar100"
    needs = f"the official folder {CIFAR100.folder}, or the folder that holds it"
    pack = CIFAR100


class Cifar100Coarse(Cifar100):
    """The 20 superclasses."""

    name = "cifar100_coarse"
    pack = replace(CIFAR100, labels={"coarse_labels": 20, "fine_labels": 100})
