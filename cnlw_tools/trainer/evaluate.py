"""Validation: the share of images whose label is the first guess, or among the first five."""

import torch
from torch import Tensor

from cnlw_tools.methods import Method, ranks
from cnlw_tools.trainer import device as devices
from cnlw_tools.trainer.feed import Feed


@torch.no_grad()
def accuracy(method: Method, feed: Feed) -> tuple[float, float]:
    """Return top-1 and top-5 in percent; each rank looks at its share of the images."""
    label = feed.label
    mine = torch.arange(len(label))[ranks.rank() :: ranks.size()]
    right = torch.zeros(2, device=label.device)
    method.eval()
    for batch in feed.batches(torch.split(mine, feed.at_once), ("plain",), 0):
        with devices.autocast(label.device):
            logits = method.predict(batch.x)
        right += hits(logits, batch.y)
    ranks.average([right])
    top1, top5 = (100 * ranks.size() * count / len(label) for count in right.tolist())
    return top1, top5


def hits(logits: Tensor, label: Tensor) -> Tensor:
    """Count the labels, (B,), that are the highest of the logits, (B, K), and those among the five highest."""
    guesses = logits.topk(min(5, logits.shape[1]), dim=1).indices  # (B, 5)
    found = guesses == label[:, None]
    return torch.stack([found[:, 0].sum(), found.sum()]).float()
