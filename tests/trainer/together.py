"""A script that trains methods one after the other with two processes.

Its arguments are the build, the folder of the runs, and the methods.
"""

import sys
from pathlib import Path

import torch

from cnlw_tools.methods import METHODS
from cnlw_tools.trainer import Trainer, device
from tests.forked_ranks import run_ranks
from tests.trainer.conftest import PRESET, Small

CONFIG = "blue_40_probe2_verified6"  # what any method may need
OPTIONS = {  # of backward: the inverse of an early estimate makes much of the last bits
    "backward": {"q": "symmetric:0.4"},
    "cleannet": {"references": 2},
}


def main(build: str, folder: str, *methods: str) -> None:
    """Train each method into a folder of its name."""
    torch.set_num_threads(1)
    for name in methods:
        arguments = {
            "net": Small,
            "preset": PRESET,
            "device": "cpu",
            "decode_threads": 1,
            "cache": Path(folder) / "cache",
        }
        options = OPTIONS.get(name, {}) | (
            {"noise_rate": 0.4} if "noise_rate" in METHODS[name].requires else {}
        )
        Trainer(
            build, CONFIG, method=name, options=options, out=Path(folder) / name, **arguments
        ).fit()


def train_as_rank() -> None:
    """Train as one of several ranks, and leave no thread of their group behind."""
    with device.process_group(torch.device("cpu")):
        main(*sys.argv[1:])
    threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
    gloo_threads = [name for name in threads if "gloo" in name]
    assert not gloo_threads, threads  # they may abort what ends before them


if __name__ == "__main__":
    run_ranks(2, train_as_rank)
