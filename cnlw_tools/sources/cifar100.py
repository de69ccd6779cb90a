"""CIFAR-100 is read as published, from the folder `cifar-100-python` with `train` and `test`.

Every image has one of 100 fine labels and one of 20 coarse labels. The classes of `cifar100` are
the fine labels, and the classes of `cifar100_coarse` are the coarse labels. An additional
column of the manifest has the coarse labels for `cifar100`, and the fine labels for
`cifar100_coarse`. Splits and ids are as with CIFAR-10.

Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from dataclasses import replace

from cnlw_tools.sources.cifar10 import Cifar10, CifarFormat

CIFAR100 = CifarFormat(
    title="CIFAR-100",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    batches={"train": ["train"], "test": ["test"]},
    n_classes={"fine_labels": 100, "coarse_labels": 20},
)


class Cifar100(Cifar10):
    """CIFAR-100 with its 100 classes."""

    name = "cifar100"
    layout = f"the official folder {CIFAR100.folder}, or the folder that holds it"
    format = CIFAR100


class Cifar100Coarse(Cifar100):
    """CIFAR-100 with its 20 superclasses."""

    name = "cifar100_coarse"
    format = replace(CIFAR100, n_classes={"coarse_labels": 20, "fine_labels": 100})
