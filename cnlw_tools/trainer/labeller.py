"""What a network says of images: it learns from a small trusted share, and labels everything that is not validation.

Source: Lee et al., ICML 2019 (RoG), whose networks learned from a twentieth of CIFAR-10; Zhang et al., 2020, table 4.
No choice is made on validation: the labels are those of the last epoch.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cnlw_tools.executor import Progress, local, no_progress
from cnlw_tools.trainer import data
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.batches import Feed, imagenet, scale
from cnlw_tools.trainer.run import Metrics
from cnlw_tools.trainer.trainer import Trainer


def labelled(
    labeller: Trainer,
    tell: Progress = no_progress,
    each: Callable[[Metrics], None] = lambda line: None,
) -> dict[str, int]:
    """Train and return the first guess for every image that is not in a validation split, by image id.

    Args:
        labeller: what to train; its `split` should be `probe`
        tell: see `Trainer.fit`
        each: see `Trainer.fit`

    Raises:
        ValueError, LookupError, OSError: see `Trainer.fit`
    """
    labeller.fit(tell, each)
    build, config = Path(labeller.build), labeller.config
    cache = Path(labeller.cache) if labeller.cache else None
    splits = data.load(build, config, labeller.size, cache, labeller.workers or local.cores(), tell)
    device = devices.choose_device(labeller.device)
    scaled = imagenet(device) if labeller.pretrained else scale(splits[labeller.split], device)
    found: dict[str, int] = {}
    for name, split in splits.items():
        if not name.startswith("validation"):
            guesses = _guesses(labeller, Feed(split, device, labeller.seed, {}, scaled))
            by_row = dict(zip(split.row.tolist(), guesses.tolist(), strict=True))
            found |= {
                image_id: by_row[row] for row, image_id in enumerate(data.ids(build, config, name))
            }
    return found


@torch.no_grad()
def _guesses(labeller: Trainer, feed: Feed) -> NDArray[np.int64]:
    """Return (n,) the first guess for each example, by position."""
    labeller.trained.eval()
    found = []
    for batch in feed.iterate_dataset():
        with devices.autocast(feed.label.device):
            found.append(labeller.trained.predict(batch.x).argmax(1))
    guesses: NDArray[np.int64] = torch.cat(found).cpu().numpy()
    return guesses
