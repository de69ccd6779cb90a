"""The mentor network is a learned curriculum: it maps loss and training progress to a weight.

Source: Jiang et al. 2018, MentorNet, and their code (see curriculum.py).

The mentor assigns weights to the training examples of another network, the student. It is fitted
before the student is trained (mentor_fit.py). It computes the weight v of an example from its loss
l and from e, the completed percentage of the training, which the authors call the epoch:

x = (l, delta)                            delta = l - gamma: loss minus moving percentile
c = sigmoid(x G + g) * tanh(x C + k)      2 numbers: a bidirectional LSTM of size 1 after one step
f = (label, epoch_e, c)                   2 + 5 + 2 numbers; label and epoch_e are embeddings of the
                                          label, which is always 0, and of e
v = sigmoid(tanh(f W + w) . (o + q))      20 hidden units; G, g, C, k, W, w, o, q: learned

Two peculiarities of the authors' code are kept, because the weights that they published depend on
them. First, the LSTM passes on its cell state c and not its output. (After one step from zero,
neither the forget gate nor the output gate has an effect on c, so both gates are left out.) Second,
the bias q is added to the weights o of the last layer, not to the weighted sum.
"""

import json
import os
from collections.abc import Mapping
from importlib import resources

import torch
from torch import Tensor, nn

LARGEST_FILE = 1 << 20  # bytes; a mentor has 30 kB
# The mentor in mentor_pd.json, which comes with the package. It was made by
# to_json(fit_mentor(predefined_samples(pd), seed=0), rule="pd", seed=0).
PACKAGED_MENTOR = "learned_pd"
WEIGHT_SHAPES = {
    "label": (2,),
    "epoch": (100, 5),
    "gate": (2, 2),
    "gate_bias": (2,),
    "cell": (2, 2),
    "cell_bias": (2,),
    "hidden": (9, 20),
    "hidden_bias": (20,),
    "out": (20,),
    "out_bias": (),
}
READ_ERRORS = (  # what a JSON file that holds anything else leads to
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    OverflowError,
    MemoryError,
)


def lstm_cell_state(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return (B, 2) cell states, one per direction, after one step on (B, 2) inputs."""
    gate = torch.sigmoid(x @ weights["gate"] + weights["gate_bias"])
    cell = torch.tanh(x @ weights["cell"] + weights["cell_bias"])
    return gate * cell


def mentor_logits(
    weights: Mapping[str, Tensor],
    losses: Tensor,
    difference: Tensor,
    e: Tensor,
) -> Tensor:
    """Return the logits of v, (B,), from losses, differences and epoch percents, (B,) each."""
    c = lstm_cell_state(weights, torch.stack([losses, difference], 1))
    label = weights["label"].expand(len(losses), -1)
    epoch = weights["epoch"][e.long()]
    features = torch.cat([label, epoch, c], 1)  # (B, 9)
    hidden = torch.tanh(features @ weights["hidden"] + weights["hidden_bias"])  # (B, 20)
    return hidden @ (weights["out"] + weights["out_bias"])


class Mentor(nn.Module):
    """A mentor network with fixed weights. It is called like a rule of weighting_rules.py.

    It sees no earlier losses of an example: they are in the paper, but not in the authors' code.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in WEIGHT_SHAPES:
            self.register_buffer(name, weights[name].detach().clone())

    def forward(
        self,
        losses: Tensor,
        difference: Tensor,
        e: Tensor,
    ) -> Tensor:
        """Return v, (B,)."""
        # without autocast: in bfloat16 small differences would vanish
        with torch.autocast(losses.device.type, enabled=False):
            z = mentor_logits(dict(self.named_buffers()), losses, difference, e)
            return torch.sigmoid(z)


def read_mentor(path: str) -> Mentor:
    """Read the packaged mentor, "learned_pd", or the one in a JSON file.

    Raises:
        OSError: the file cannot be read
        ValueError: the file contains no mentor
    """
    data = _read_bytes(path)
    weights = {}
    try:
        arrays = json.loads(data)
        for name, shape in WEIGHT_SHAPES.items():
            array = torch.tensor(arrays[name], dtype=torch.float32)
            weights[name] = array.reshape(shape)
    except READ_ERRORS as error:
        raise ValueError(
            f"{path} contains no mentor ({error!r:.200}): write one with `cnlw train-mentor`"
        ) from error
    return Mentor(weights)


def _read_bytes(path: str) -> bytes:
    if path == PACKAGED_MENTOR:
        folder = resources.files("cnlw_tools.methods.components")
        return folder.joinpath("mentor_pd.json").read_bytes()
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113, no pathlib here
        raise OSError(f"{path}: this is a folder, a pipe or a device: name the file of a mentor")
    with open(path, "rb") as file:  # noqa: PTH123, likewise
        return file.read(LARGEST_FILE + 1)
