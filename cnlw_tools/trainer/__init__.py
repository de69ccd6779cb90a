"""Trains on what `cnlw build` wrote: one loop, the networks of the papers, every method.

The names below are imported when they are used, so `cnlw list nets` works without torch.
"""

from typing import TYPE_CHECKING, Any

from cnlw_tools.registry import ImportOnUse

if TYPE_CHECKING:
    from cnlw_tools.trainer.errors import TrainingStopped
    from cnlw_tools.trainer.pixel_cache import default_cache
    from cnlw_tools.trainer.trainer import Trainer

__all__ = ["Trainer", "TrainingStopped", "default_cache"]

__getattr__ = ImportOnUse[Any](
    __name__,
    {
        "TrainingStopped": "errors:TrainingStopped",
        "Trainer": "trainer:Trainer",
        "default_cache": "pixel_cache:default_cache",
    },
).attribute
