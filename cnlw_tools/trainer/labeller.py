"""Labels predicted by a network that learned from a small trusted set.

It labels all images except those of validation splits.

Source: Lee et al., ICML 2019 (RoG), whose networks learned from a twentieth of CIFAR-10; Zhang et
al., 2020, table 4. Nothing is selected on validation: the labels are those of the last epoch.
"""

from collections.abc import Callable
from pathlib import Path

from cnlw_tools.executor import Progress, limits, no_progress
from cnlw_tools.trainer import data
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.batches import BatchLoader
from cnlw_tools.trainer.evaluate import predict_split
from cnlw_tools.trainer.run import Metrics
from cnlw_tools.trainer.trainer import Trainer


def train_and_label(
    trainer: Trainer,
    progress: Progress = no_progress,
    on_epoch: Callable[[Metrics], None] = lambda metrics: None,
) -> dict[str, int]:
    """Train, and return the predicted label of every image outside validation, by image id.

    Args:
        trainer: its `split` should be `probe`
        progress: see `Trainer.fit`
        on_epoch: see `Trainer.fit`

    Raises:
        ValueError, LookupError, OSError: see `Trainer.fit`
    """
    trainer.fit(progress, on_epoch)
    build = trainer.build_folder
    cache = Path(trainer.cache) if trainer.cache else None
    threads = trainer.decode_threads or limits.cores()
    splits = data.load_splits(build, trainer.config, trainer.resizing, cache, threads, progress)
    device = devices.choose_device(trainer.device)
    labels: dict[str, int] = {}
    for name, split in splits.items():
        if name.startswith("validation"):
            continue
        loader = BatchLoader(split, device, trainer.seed, {}, trainer.normaliser)
        columns = predict_split(trainer.trained_method, loader)
        label_by_row = dict(
            zip(columns["row"].tolist(), columns["prediction"].tolist(), strict=True)
        )
        for row, image_id in enumerate(data.read_image_ids(build, trainer.config, name)):
            labels[image_id] = label_by_row[row]
    return labels
