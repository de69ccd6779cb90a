"""What every network is: a chain of blocks, pooled features, dropout, a linear head.

h_0 = x,   h_i = block_i(h_i-1),   features = pool(h_last),   logits = W dropout(features) + b
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn


class Network(nn.Module):
    """A chain of blocks, pooled features, dropout, a linear head.

    Args:
        blocks: each from (B, C, H, W) to (B, C', H', W'); of a residual network, its stages
        width: of the features
        classes: K
        dropout: chance of the dropout before the head
        pool: from the last block's output to (B, width); default: the mean over pixels
    """

    names: Mapping[
        str, str | None
    ]  # of a library's own weights, those here; none: it has no place here

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        width: int,
        classes: int,
        dropout: float = 0.0,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = pool or nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)
        self.names = {}

    def block_features(self, x: Tensor) -> list[Tensor]:
        """Return the output of each block, (B, C, H, W) each."""
        out = []
        for block in self.blocks:
            x = block(x)
            out.append(x)
        return out

    def features(self, x: Tensor) -> Tensor:
        """Return the pooled output of the last block, (B, width)."""
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.pool(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, K) logits."""
        out: Tensor = self.head(self.dropout(self.features(x)))
        return out

    def set_dropout(self, p: float) -> None:
        """Set the chance of the dropouts inside the blocks, or, where there are none, of the one before the head.

        Raises:
            ValueError: it is no chance
        """
        if not 0 <= p <= 1:
            raise ValueError(f"dropout = {p}: give a chance from 0 to 1")
        inside = [m for m in self.blocks.modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]
        for dropout in inside or [self.dropout]:
            dropout.p = p


def at_least(least: int, size: int, name: str) -> None:
    """Refuse images that the network would shrink to nothing.

    Raises:
        ValueError: they are too small
    """
    if size < least:
        raise ValueError(
            f"{name} needs images of {least} x {least} pixels or more, and these are {size} x {size}: "
            f"give another --net, or size = {least} in the preset"
        )
