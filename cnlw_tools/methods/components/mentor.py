"""The mentor network: a learned curriculum, from the loss of an example and the epoch to its weight.

Source: Jiang, Zhou, Leung, Li and Fei-Fei 2018 (MentorNet, arXiv:1712.05055) and their code.

x = (l, delta)                                        loss; difference to the moving percentile
c = sigmoid(x G + g) * tanh(x C + k)                  2 numbers: a bidirectional LSTM of size 1, after one time step
f = (label, epoch_e, c)                               2 + 5 + 2 numbers
v = sigmoid(tanh(f W + w) . (o + q))                  20 hidden units

Two oddities of the code stay, because its published weights and numbers come from them. What the LSTM hands on is
its cell state c and not its output, and after one step from zero neither the forget nor the output gate has a part in
c; so they are not here. And the bias q of the last layer is added to its weights o, not to its sum.

The label is always 0 in the code, so of its embedding one row is left. Weights are buffers: a mentor is fitted
beforehand (mentor_fit.py) and never learns with the student.

Not done here: a loss history of more than one time step, which the paper draws and the code does not have.
"""

import json
from collections.abc import Mapping
from importlib import resources

import torch
from torch import Tensor, nn

SHIPPED = "learned_pd"  # the mentor that comes with the package: it learned the rule `pd`
SHAPES = {
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


def cell_state(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return (B, 2) cell states, forwards and backwards, of (B, 2) inputs."""
    gate = torch.sigmoid(x @ weights["gate"] + weights["gate_bias"])
    return gate * torch.tanh(x @ weights["cell"] + weights["cell_bias"])


def logits(weights: Mapping[str, Tensor], losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
    """Return the logits of v, (B,), from losses, differences and epoch percents, each (B,)."""
    c = cell_state(weights, torch.stack([losses, difference], 1))
    label = weights["label"].expand(len(losses), -1)
    features = torch.cat([label, weights["epoch"][e.long()], c], 1)  # (B, 9)
    hidden = torch.tanh(features @ weights["hidden"] + weights["hidden_bias"])  # (B, 20)
    return hidden @ (weights["out"] + weights["out_bias"])


class Mentor(nn.Module):
    """A mentor network with given weights: a rule as those of weighting_rules.py."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name in SHAPES:
            self.register_buffer(name, weights[name].detach().clone())

    def forward(self, losses: Tensor, difference: Tensor, e: Tensor) -> Tensor:
        """Return v, (B,)."""
        with torch.autocast(
            losses.device.type, enabled=False
        ):  # a difference in bfloat16 would be none
            return torch.sigmoid(logits(dict(self.named_buffers()), losses, difference, e))


def read(where: str) -> Mentor:
    """Read the mentor of the package, "learned_pd", or the one in a JSON file.

    Raises:
        OSError: the file cannot be read
        ValueError: there is no mentor in it
    """
    if where == SHIPPED:
        text = (
            resources.files("cnlw_tools.methods.components")
            .joinpath("mentor_pd.json")
            .read_text("utf-8")
        )
    else:
        with open(where, encoding="utf-8") as file:  # noqa: PTH123, methods know no paths
            text = file.read()
    try:
        held = json.loads(text)
        weights = {
            name: torch.tensor(held[name], dtype=torch.float32).reshape(SHAPES[name])
            for name in SHAPES
        }
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{where} holds no mentor ({error!r}): let cnlw train-mentor write one"
        ) from error
    return Mentor(weights)
