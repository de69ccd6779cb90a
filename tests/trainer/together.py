"""A script for torchrun that trains methods one after the other with all processes.

Its arguments are the build, the folder of the runs, and the methods.
"""

import sys
from pathlib import Path

import torch

from cnlw_tools.methods import METHODS
from cnlw_tools.trainer import Trainer, device
from tests.trainer.conftest import PRESET, Small

CONFIG = "blue_40_probe2_verified6"  # what any method may need
OPTIONS = {  # of backward: the inverse of an early estimate makes much of the last bits
    "backward": {"q": "symmetric:0.4"},
    "cleannet": {"references": 4},
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


if __name__ == "__main__":
    if len(sys.argv) > 4 and sys.argv[1] == "grouped":
        with device.process_group(torch.device("cpu")):
            main(*sys.argv[2:])
        threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
        assert not [name for name in threads if "gloo" in name], (
            threads
        )  # they may abort what ends before them
    else:
        main(*sys.argv[1:])
