"""Validation."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from cnlw_tools.trainer.evaluate import accuracy, confusion, guesses, hits


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
def test_hits_are_counted_one_by_one(n, classes, seed):
    """The label is the first guess, or among the first five."""
    draw = torch.Generator().manual_seed(seed)
    logits, label = (
        torch.randn(n, classes, generator=draw),
        torch.randint(classes, (n,), generator=draw),
    )

    top1 = sum(row.argsort(descending=True)[0] == y for row, y in zip(logits, label, strict=True))
    top5 = sum(y in row.argsort(descending=True)[:5] for row, y in zip(logits, label, strict=True))

    assert hits(logits, label).tolist() == [top1, top5]


def test_accuracy_is_of_the_whole_split_and_leaves_the_method_as_it_was(trainer):
    """In percent, by `predict`, in eval mode, whatever the batches."""
    loop = trainer()._loop(torch.device("cpu"), lambda *_: None)
    feed = loop.feeds["validation"]
    (batch,) = feed.batches([torch.arange(len(feed.label))], ("plain",), 0)
    before = {k: v.clone() for k, v in loop.method.state_dict().items()}

    loop.method.eval()
    guesses = loop.method.predict(batch.x).argmax(1)
    top1, top5 = accuracy(loop.method, feed)

    assert top1 == 100 * float((guesses == batch.y).sum()) / 40
    assert top1 <= top5 <= 100
    for key, value in loop.method.state_dict().items():
        assert torch.equal(value.nan_to_num(9), before[key].nan_to_num(9))


def test_guesses_are_the_softmax_of_every_image(trainer):
    """One after the other; by rows of the build; the labels that count as hits are those that were predicted."""
    loop = trainer()._loop(torch.device("cpu"), lambda *_: None)
    feed = loop.feeds["validation"]
    (batch,) = feed.batches([torch.arange(len(feed.label))], ("plain",), 0)
    told = guesses(loop.method, feed)

    with torch.no_grad():
        for i, z in enumerate(loop.method.predict(batch.x)):
            p = (z - z.max()).exp() / (z - z.max()).exp().sum()
            assert told["prediction"][i] == int(p.argmax())
            assert abs(told["confidence"][i] - float(p.max())) < 1e-5
            assert abs(told["p_label"][i] - float(p[batch.y[i]])) < 1e-5
    told_of = [torch.tensor(told["p_label"][told["label"] == k]).mean() for k in range(10)]
    assert torch.allclose(confusion(loop.method, feed).diag(), torch.stack(told_of), atol=1e-5)
    assert sorted(told["row"]) == list(range(40))
    assert 100 * (told["prediction"] == told["label"]).mean() == accuracy(loop.method, feed)[0]
    assert "p_outlier" not in told
