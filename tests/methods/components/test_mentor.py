"""Tests of the mentor network: its formula as loops, its LSTM and its file."""

import json
import math

import pytest
import torch

from cnlw_tools.methods.components.curriculum import find_rule
from cnlw_tools.methods.components.mentor import (
    PACKAGED_MENTOR,
    WEIGHT_SHAPES,
    Mentor,
    lstm_cell_state,
    mentor_logits,
    read_mentor,
)
from cnlw_tools.methods.components.mentor_fit import (
    FittedMentor,
    MentorSamples,
    evaluate_mentor,
    to_json,
)
from cnlw_tools.methods.components.weighting_rules import pd


def drawn(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draw) for name, shape in WEIGHT_SHAPES.items()}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def naive(w, loss, diff, e):
    """Return the weight of one example, computed number by number."""
    w = {name: tensor.tolist() for name, tensor in w.items()}
    features = w["label"] + w["epoch"][e]
    for i in range(2):
        gate = sigmoid(loss * w["gate"][0][i] + diff * w["gate"][1][i] + w["gate_bias"][i])
        features.append(
            gate * math.tanh(loss * w["cell"][0][i] + diff * w["cell"][1][i] + w["cell_bias"][i])
        )
    z = 0.0
    for h in range(20):
        unit = sum(features[f] * w["hidden"][f][h] for f in range(9)) + w["hidden_bias"][h]
        z += math.tanh(unit) * (w["out"][h] + w["out_bias"])
    return sigmoid(z)


def test_oracle():
    """The network equals its formula."""
    torch.manual_seed(0)
    w, loss, diff, e = (
        drawn(),
        torch.rand(12) * 5,
        torch.randn(12),
        torch.randint(0, 100, (12,)).float(),
    )

    v = Mentor(w)(loss, diff, e)

    rows = zip(loss.tolist(), diff.tolist(), e.long().tolist(), strict=True)
    assert v.tolist() == pytest.approx([naive(w, *row) for row in rows], abs=1e-5)


def test_the_cell_state_of_an_lstm_after_one_step():
    """With weights 1 and x = (1, 0.5) c is 0.740026, as in torch's LSTM."""
    x, lstm = torch.tensor([[1.0, 0.5]]), torch.nn.LSTM(2, 1)
    for name, tensor in lstm.named_parameters():
        torch.nn.init.constant_(tensor, float("weight" in name))
    ones = {
        "gate": torch.ones(2, 2),
        "cell": torch.ones(2, 2),
        "gate_bias": torch.zeros(2),
        "cell_bias": torch.zeros(2),
    }

    assert lstm_cell_state(ones, x).tolist() == [pytest.approx([0.740026] * 2, abs=1e-6)]
    assert lstm(x)[1][1].item() == pytest.approx(0.740026, abs=1e-6)


def test_the_bias_is_added_to_the_weights():
    """Adding b to the last bias adds b times the sum of the hidden units to the logit."""
    w = drawn()
    rows = torch.linspace(0, 5, 5), torch.linspace(-2, 2, 5), torch.arange(5)
    hidden_sum = mentor_logits({**w, "out": torch.ones(20), "out_bias": torch.tensor(0.0)}, *rows)

    moved = mentor_logits({**w, "out_bias": w["out_bias"] + 2}, *rows) - mentor_logits(w, *rows)

    assert torch.allclose(moved, 2 * hidden_sum, atol=1e-4)


def test_the_mentor_of_the_package_follows_pd():
    """Off its grid the packaged mentor agrees with PD for 99 % of samples, in each third of PD."""
    draw = torch.Generator().manual_seed(1)
    loss, diff = 10 * torch.rand(60000, generator=draw), 10 * torch.rand(60000, generator=draw) - 5
    for low, high in ((0, 19), (19, 90), (90, 100)):
        e = torch.randint(low, high, (60000,), generator=draw).float()
        agreement, error = evaluate_mentor(
            read_mentor(PACKAGED_MENTOR), MentorSamples(loss, diff, e, pd(loss, diff, e))
        )
        assert agreement > 0.99
        assert error < 0.01


def test_the_mentor_is_as_exact_in_bfloat16():
    """Autocast does not apply, since the difference from the threshold is small."""
    rows = torch.full((3,), 2.0), torch.tensor([-0.03, 0.0, 0.03]), torch.full((3,), 50.0)
    exact = read_mentor(PACKAGED_MENTOR)(*rows)

    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(read_mentor(PACKAGED_MENTOR)(*rows), exact)


def test_weights_are_buffers():
    """A mentor has no parameters, and its weights are in the state dict."""
    mentor = read_mentor(PACKAGED_MENTOR)

    assert not list(mentor.parameters())
    assert set(mentor.state_dict()) == set(WEIGHT_SHAPES)


def test_a_file_gives_back_the_weights_to_the_last_bit(tmp_path):
    """A mentor that was written and read has the same weights."""
    file = tmp_path / "mine.json"
    file.write_text(to_json(FittedMentor(Mentor(drawn()), 0.9, 0.1), seed=3))

    mentor = find_rule(str(file))

    assert all(torch.equal(mentor.get_buffer(name), weights) for name, weights in drawn().items())
    assert json.loads(file.read_text())["seed"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        '{"label": [1, 2]}',
        json.dumps({name: [[1], [2, 3]] for name in WEIGHT_SHAPES}),
        json.dumps({name: [1] for name in WEIGHT_SHAPES}),
        "[" * 100_000,
        json.dumps(dict.fromkeys(WEIGHT_SHAPES, 10**400)),
    ],
    ids=["empty", "list", "number", "name", "ragged", "shape", "deep", "huge"],
)
def test_a_file_without_a_mentor_is_named(tmp_path, text):
    """The error names the file and the command that writes one."""
    file = tmp_path / "other.json"
    file.write_text(text)

    with pytest.raises(ValueError, match=r"other\.json contains no mentor .* train-mentor"):
        find_rule(str(file))


def test_a_missing_file_is_named(tmp_path):
    """A missing file is an OSError that names it."""
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        find_rule(str(tmp_path / "none.json"))
