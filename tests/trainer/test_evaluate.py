"""Validation."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.trainer.evaluate import accuracy, confusion_matrix, count_correct, predict_split


class RightInEvaluationMode(Vanilla):
    """Predicts the labels in evaluation mode, no label in training mode; its network knows none."""

    def predict(self, x):
        predictions = (self.labels + self.training) % 10
        return 9.0 * torch.eye(10)[predictions]


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
def test_correct_labels_are_counted_one_by_one(n, n_classes, seed):
    """The label has the highest logit, or one of the five highest."""
    draw = torch.Generator().manual_seed(seed)
    logits, label = (
        torch.randn(n, n_classes, generator=draw),
        torch.randint(n_classes, (n,), generator=draw),
    )

    top1 = sum(row.argsort(descending=True)[0] == y for row, y in zip(logits, label, strict=True))
    top5 = sum(y in row.argsort(descending=True)[:5] for row, y in zip(logits, label, strict=True))

    assert count_correct(logits, label).tolist() == [top1, top5]


def test_accuracy_is_of_the_whole_split_and_leaves_the_method_as_it_was(make_trainer):
    """In percent, by `predict`, in eval mode, whatever the batches."""
    loop = make_trainer()._build_loop(torch.device("cpu"), lambda *_: None)
    loader = loop.loaders["validation"]
    (batch,) = loader.batches([torch.arange(len(loader.labels))], ("plain",), 0)
    old_state = {k: v.clone() for k, v in loop.method.state_dict().items()}

    loop.method.eval()
    predictions = loop.method.predict(batch.x).argmax(1)
    top1, top5 = accuracy(loop.method, loader)

    assert top1 == 100 * float((predictions == batch.y).sum()) / 40
    assert top1 <= top5 <= 100
    for key, value in loop.method.state_dict().items():
        assert torch.equal(value.nan_to_num(9), old_state[key].nan_to_num(9))


def test_what_is_evaluated_is_predict_in_evaluation_mode(make_trainer):
    """Even after training; a method need not predict what its network does."""
    trainer = make_trainer(method=RightInEvaluationMode)
    loop = trainer._build_loop(torch.device("cpu"), lambda *_: None)
    loader = loop.loaders["validation"]
    loop.method.labels = loader.labels
    confidence = math.exp(9) / (math.exp(9) + 9)

    assert accuracy(loop.method.train(), loader) == (100, 100)
    columns = predict_split(loop.method.train(), loader)
    assert columns["prediction"].tolist() == columns["label"].tolist()
    assert columns["p_label"].tolist() == pytest.approx([confidence] * 40)
    means = confusion_matrix(loop.method.train(), loader)
    assert means.diag().tolist() == pytest.approx([confidence] * 10)


def test_predictions_are_the_softmax_of_every_image(make_trainer):
    """By rows of the build; a label counts as correct if it is the prediction."""
    loop = make_trainer()._build_loop(torch.device("cpu"), lambda *_: None)
    loader = loop.loaders["validation"]
    (batch,) = loader.batches([torch.arange(len(loader.labels))], ("plain",), 0)
    columns = predict_split(loop.method, loader)

    with torch.no_grad():
        for i, z in enumerate(loop.method.predict(batch.x)):
            p = (z - z.max()).exp() / (z - z.max()).exp().sum()
            assert columns["prediction"][i] == int(p.argmax())
            assert abs(columns["confidence"][i] - float(p.max())) < 1e-5
            assert abs(columns["p_label"][i] - float(p[batch.y[i]])) < 1e-5
    mean_p_label = [
        torch.tensor(columns["p_label"][columns["label"] == k]).mean() for k in range(10)
    ]
    assert torch.allclose(
        confusion_matrix(loop.method, loader).diag(), torch.stack(mean_p_label), atol=1e-5
    )
    assert sorted(columns["row"]) == list(range(40))
    assert (
        100 * (columns["prediction"] == columns["label"]).mean() == accuracy(loop.method, loader)[0]
    )
    assert "p_outlier" not in columns


def test_a_row_of_confusion_is_the_mean_prediction_for_a_label(make_trainer):
    """Rows are labels, columns predictions; counted image by image."""
    loop = make_trainer()._build_loop(torch.device("cpu"), lambda *_: None)
    loader = loop.loaders["validation"]
    (batch,) = loader.batches([torch.arange(40)], ("plain",), 0)
    with torch.no_grad():
        p = loop.method.eval().predict(batch.x).softmax(1)
    expected = torch.zeros(10, 10)
    for label, row in zip(batch.y.tolist(), p, strict=True):
        expected[label] += row / batch.y.tolist().count(label)

    torch.testing.assert_close(confusion_matrix(loop.method, loader), expected)
