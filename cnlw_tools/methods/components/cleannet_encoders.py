"""Does an image look like its class? Two encoders that learn it from verified labels (Lee, He, Zhang and Yang 2018).

v: features of an image, S = {s_1 ... s_R}: those that stand for a class; v <- sign(v) log(1 + |v|), s likewise
h_r   = tanh(A_2 dropout(tanh(A_1 s_r)))       a = softmax_r(c . tanh(W h_r))       phi_s = tanh(A_3 sum_r a_r h_r)
phi_q = tanh(B_2 tanh(B_1 v))                  v^ = tanh(B_4 tanh(B_3 phi_q))       cos = cosine(phi_q, phi_s)
match = t (1 - cos) + 5 (1 - t) max(0, cos - 0.1)                                   t: the label is right
l     = match, t verified | 0.1 match, t = 1[cos >= 0.1], not verified;  + 0.1 |v - v^|^2

Widths, weights and rates are those of the authors' code. Features of networks with ReLU are never negative, and
sign(v) log(1 + |v|) is its log(1 + v).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

BATCH = 32  # verified, and as many that are not
RATE, DECAY = 0.01, 1e-4
APART, NEGATIVE, UNVERIFIED, REBUILT = 0.1, 5.0, 0.1, 0.1


def scaled(v: Tensor) -> Tensor:
    """Return features as the encoders take them."""
    return v.sign() * v.abs().log1p()


def match(cos: Tensor, right: Tensor) -> Tensor:
    """Return what a cosine costs, (B,), where the label is right, 1, or wrong, 0."""
    return right * (1 - cos) + NEGATIVE * (1 - right) * (cos - APART).clamp(min=0)


class Encoders(nn.Module):
    """An encoder of one image's features, with its way back, and one of those that stand for a class."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.each = nn.Sequential(_layer(width, 512), nn.Dropout(dropout), _layer(512, 256))
        self.attention = nn.Sequential(_layer(256, 256), nn.Linear(256, 1, bias=False))
        self.together = _layer(256, 128)
        self.query = nn.Sequential(_layer(width, 256), _layer(256, 128))
        self.back = nn.Sequential(_layer(128, 256), _layer(256, width))

    def reference(self, sets: Tensor) -> Tensor:
        """Return phi_s, (C, 128), of (C, R, D) sets; their order plays no part."""
        h = self.each(sets)
        out: Tensor = self.together((self.attention(h).softmax(1) * h).sum(1))
        return out

    def cosine(self, v: Tensor, y: Tensor, sets: Tensor) -> tuple[Tensor, Tensor]:
        """Return how like the class of its label each of (B, D) features is, (B,), and v^, (B, D)."""
        classes, at = torch.unique(y, return_inverse=True)
        q = self.query(v)
        return cosine_similarity(q, self.reference(sets[classes])[at]), self.back(q)


def learned(
    seen: tuple[Tensor, Tensor],
    checked: tuple[Tensor, Tensor],
    right: Tensor,
    sets: Tensor,
    steps: int,
) -> Encoders:
    """Train new encoders.

    Args:
        seen: (n, D) scaled features and (n,) labels of the training set
        checked: the same of the verified examples, (m, D) and (m,)
        right: (m,) whether their labels are
        sets: (K, R, D) scaled features that stand for each class
        steps: of 32 examples of each kind
    """
    encoders = Encoders(sets.shape[2]).to(sets.device)
    descent = torch.optim.SGD(encoders.parameters(), RATE, momentum=0.9, weight_decay=DECAY)
    for step in range(steps):
        descent.param_groups[0]["lr"] = RATE if 2 * step < steps else RATE / 10
        i, j = (torch.randint(len(y), (BATCH,), device=y.device) for _, y in (checked, seen))
        v = torch.cat([checked[0][i], seen[0][j]])
        cos, rebuilt = encoders.cosine(v, torch.cat([checked[1][i], seen[1][j]]), sets)
        sure, unsure = (
            match(cos[:BATCH], right[i].float()),
            match(cos[BATCH:], (cos[BATCH:] >= APART).float()),
        )
        each = torch.cat([sure, UNVERIFIED * unsure]) + REBUILT * (v - rebuilt).square().sum(1)
        descent.zero_grad()
        each.mean().backward()  # type: ignore[no-untyped-call]
        descent.step()
    return encoders.eval()


@torch.no_grad()
def likeness(encoders: Encoders, v: Tensor, y: Tensor, sets: Tensor) -> Tensor:
    """Return the (n,) cosines of features and the classes of their labels."""
    phi = encoders.reference(sets)
    parts = zip(torch.split(v, 4096), torch.split(y, 4096), strict=True)
    return torch.cat([cosine_similarity(encoders.query(some), phi[of]) for some, of in parts])


def _layer(i: int, o: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(i, o), nn.Tanh())
