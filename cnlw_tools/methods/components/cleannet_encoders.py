"""Two encoders learn from verified labels whether an image looks like its class.

Source: Lee, He, Zhang and Yang 2018, "CleanNet: transfer learning for scalable image classifier
training with label noise".

One encoder turns the features v of an image into the vector phi_q, from which a decoder
reconstructs v as v^. The other encoder turns reference features of a class into the vector phi_s.
The cosine of phi_q and phi_s should be high if the image belongs to the class, and low otherwise.
The weights A_1 to A_3, B_1 to B_4, W and c are learned by minimising the mean of the loss l:

v     : features of an image; S = {s_1 ... s_R}: reference features of a class
        v <- sign(v) log(1 + |v|), s likewise
h_r   = tanh(A_2 dropout(tanh(A_1 s_r)))        a = softmax_r(c . tanh(W h_r))
phi_s = tanh(A_3 sum_r a_r h_r)
phi_q = tanh(B_2 tanh(B_1 v))                   v^ = tanh(B_4 tanh(B_3 phi_q))
cos   = cosine(phi_q, phi_s)
match = t (1 - cos) + 5 (1 - t) max(0, cos - 0.1)                     t: 1 if the label is correct
l     = match + 0.1 |v - v^|^2           if t is verified
        0.1 match + 0.1 |v - v^|^2       otherwise, with t = 1[cos >= 0.1]

Widths, loss weights and learning rates are those of the authors' code.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

BATCH = 32  # verified examples in a step, and as many from the training set
CHUNK = 4096  # examples that are encoded together
LR, WEIGHT_DECAY = 0.01, 1e-4
MARGIN, NEGATIVE_WEIGHT, UNVERIFIED_WEIGHT, RECONSTRUCTION_WEIGHT = 0.1, 5.0, 0.1, 0.1


class LabelledFeatures(NamedTuple):
    """Features of examples and their given labels."""

    v: Tensor  # (n, D), as `signed_log` returns them
    y: Tensor  # (n,)

    def sample(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw with replacement; return (size,) positions, their features and their labels."""
        index = torch.randint(len(self.y), (size,), device=self.y.device)
        return index, self.v[index], self.y[index]


def signed_log(v: Tensor) -> Tensor:
    """Return sign(v) log(1 + |v|), the scale of features that the encoders expect.

    The authors' code has log(1 + v), which is the same for features that are never negative.
    """
    return v.sign() * v.abs().log1p()


def match_losses(cos: Tensor, is_correct: Tensor) -> Tensor:
    """Return `match`, (B,), of cosines, (B,), and whether each label is correct, (B,) 1 or 0."""
    correct_losses = is_correct * (1 - cos)
    excess = (cos - MARGIN).clamp(min=0)
    return correct_losses + NEGATIVE_WEIGHT * (1 - is_correct) * excess


class Encoders(nn.Module):
    """An encoder of an image's features, with a decoder, and an encoder of a class's references."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.reference_layers = nn.Sequential(
            _tanh_layer(width, 512), nn.Dropout(dropout), _tanh_layer(512, 256)
        )
        self.attention = nn.Sequential(_tanh_layer(256, 256), nn.Linear(256, 1, bias=False))
        self.class_layer = _tanh_layer(256, 128)
        self.query_layers = nn.Sequential(_tanh_layer(width, 256), _tanh_layer(256, 128))
        self.decoder = nn.Sequential(_tanh_layer(128, 256), _tanh_layer(256, width))

    def encode_classes(self, references: Tensor) -> Tensor:
        """Return phi_s, (C, 128), of (C, R, D) reference features, whatever their order."""
        h = self.reference_layers(references)
        a = self.attention(h).softmax(1)
        phi_s: Tensor = self.class_layer((a * h).sum(1))
        return phi_s

    def forward(
        self,
        v: Tensor,
        y: Tensor,
        references: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the cosine of features and the class of their label, (B,), and v^, (B, D).

        Args:
            v: (B, D) features
            y: (B,) given labels
            references: (K, R, D) reference features of all classes
        """
        classes, position = torch.unique(y, return_inverse=True)
        phi_q = self.query_layers(v)
        phi_s = self.encode_classes(references[classes])[position]
        return cosine_similarity(phi_q, phi_s), self.decoder(phi_q)


def train_encoders(
    train: LabelledFeatures,
    verified: LabelledFeatures,
    is_correct: Tensor,
    references: Tensor,
    steps: int,
) -> Encoders:
    """Train new encoders.

    Args:
        train: examples of the training set
        verified: examples with verified labels
        is_correct: (m,) whether the verified examples' labels are correct
        references: (K, R, D) reference features of each class
        steps: of 32 examples of each kind
    """
    encoders = Encoders(references.shape[2]).to(references.device)
    sgd = torch.optim.SGD(encoders.parameters(), LR, momentum=0.9, weight_decay=WEIGHT_DECAY)
    for step in range(steps):
        is_first_half = 2 * step < steps
        sgd.param_groups[0]["lr"] = LR if is_first_half else LR / 10
        index, verified_v, verified_y = verified.sample(BATCH)
        _, train_v, train_y = train.sample(BATCH)
        v = torch.cat([verified_v, train_v])
        cos, v_hat = encoders(v, torch.cat([verified_y, train_y]), references)
        verified_cos = cos[:BATCH]
        train_cos = cos[BATCH:]
        verified_losses = match_losses(verified_cos, is_correct[index].float())
        train_losses = match_losses(train_cos, (train_cos >= MARGIN).float())
        reconstruction_losses = (v - v_hat).square().sum(1)
        losses = torch.cat([verified_losses, UNVERIFIED_WEIGHT * train_losses])
        losses = losses + RECONSTRUCTION_WEIGHT * reconstruction_losses
        sgd.zero_grad()
        losses.mean().backward()
        sgd.step()
    return encoders.eval()


@torch.no_grad()
def class_cosines(
    encoders: Encoders,
    examples: LabelledFeatures,
    references: Tensor,
) -> Tensor:
    """Return the cosine of each example's features and the class of its label, (n,)."""
    phi_s = encoders.encode_classes(references)
    cosines = []
    v_chunks = torch.split(examples.v, CHUNK)
    y_chunks = torch.split(examples.y, CHUNK)
    for v, y in zip(v_chunks, y_chunks, strict=True):
        phi_q = encoders.query_layers(v)
        cosines.append(cosine_similarity(phi_q, phi_s[y]))
    return torch.cat(cosines)


def _tanh_layer(n_inputs: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_inputs, n_outputs), nn.Tanh())
