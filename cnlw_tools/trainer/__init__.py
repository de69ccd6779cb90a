"""Trains on what `cnlw build` wrote: one loop, the networks of the papers, every method."""

from cnlw_tools.trainer.data import default_cache
from cnlw_tools.trainer.errors import Stopped
from cnlw_tools.trainer.trainer import Trainer

__all__ = ["Stopped", "Trainer", "default_cache"]
