"""Tests of the noise layer: the sum over true classes, its warm-up, and finding the noise."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import Batch
from cnlw_tools.methods.components.transitions import given_label_nll

NOISY = torch.tensor([[0.6, 0.0, 0.4], [0.4, 0.6, 0.0], [0.0, 0.4, 0.6]])  # columns sum to 1


def naive(z, q, y):
    """Return -log sum_i Q[y, i] p(i), example by example."""
    return torch.stack(
        [
            -sum(q[k, i] * row.softmax(0)[i] for i in range(len(q))).log()
            for row, k in zip(z, y, strict=True)
        ]
    )


def test_oracle(on_logits, f3):
    """The loss of a stated matrix is the sum over true classes."""
    method = on_logits("noise_layer", q=NOISY.tolist())

    assert method.loss(f3).item() == pytest.approx(naive(f3.x, NOISY, f3.y).mean().item(), abs=1e-6)
    assert torch.allclose(method.example_losses, cross_entropy(f3.x, f3.y, reduction="none"))


def test_fixture(on_logits, f3):
    """Symmetric noise of 20 % agrees with numbers worked out by hand."""
    method = on_logits("noise_layer", q="symmetric:0.2")
    losses = given_label_nll(f3.x.log_softmax(1), method.q, f3.y)

    assert torch.allclose(losses, torch.tensor([0.429414, 1.392880, 1.098612]), atol=1e-6)
    assert method.loss(f3).item() == pytest.approx(0.973635, abs=1e-6)


def test_it_is_the_s_model_of_the_transpose(on_logits, f3):
    """The loss equals that of the S-Model with theta = Q^t."""
    q = 0.9 * NOISY + 0.1 / 3
    s_model = on_logits("s_model")
    with torch.no_grad():
        s_model.b.copy_(q.T.log())
        s_model.beta.zero_()

    assert on_logits("noise_layer", q=q.tolist()).loss(f3).item() == pytest.approx(
        s_model.loss(f3).item(), abs=1e-6
    )


def test_gradients_at_nought():
    """An entry 0 has the finite gradient -p_i / p~, like any other."""
    q = torch.eye(3, requires_grad=True)
    p = torch.tensor([[0.7, 0.2, 0.1]])
    given_label_nll(p.log(), q, torch.tensor([1])).sum().backward()

    assert torch.allclose(q.grad, -torch.tensor([[0, 0, 0], [3.5, 1, 0.5], [0, 0, 0]]))

    q.grad = None
    sure = torch.tensor([[0.0, -300, -300]], requires_grad=True)
    loss = given_label_nll(sure.log_softmax(1), q, torch.tensor([1])).sum()
    loss.backward()

    assert loss.isfinite()
    assert q.grad.isfinite().all()
    assert sure.grad.isfinite().all()


def test_the_identity_is_cross_entropy():
    """The loss equals cross-entropy to the last bit for probabilities down to 1e-20."""
    z = torch.tensor([[0.0, 45, 3], [-45, 0, 0]])
    y = torch.tensor([0, 0])

    assert torch.equal(
        given_label_nll(z.log_softmax(1), torch.eye(3), y), cross_entropy(z, y, reduction="none")
    )


def test_frozen_then_learned(toy):
    """Q stays until the warm-up ends, then moves, and its columns remain probabilities."""
    method = toy.make("noise_layer", epochs=7, warmup=3, q_lr=0.1)
    for epoch in toy.epochs(method):
        if epoch <= 3:
            assert torch.equal(method.q, torch.eye(4))
            method.progress = epoch / 7
            loss = method.loss(toy.first_batch(method))
            assert (torch.autograd.grad(loss, method.q, allow_unused=True)[0] is None) == (
                epoch < 3
            )

    assert not torch.equal(method.q, torch.eye(4))
    assert (method.q >= 0).all()
    assert torch.allclose(method.q.sum(0), torch.ones(4), atol=1e-6)


def test_stated_is_never_learned(toy):
    """A stated matrix has no gradient, no penalty and no step."""
    method = toy.make("noise_layer", q="pairflip:0.3", warmup=0)
    initial_q = method.q.clone()
    toy.train(method)

    assert not method.q.requires_grad
    assert torch.equal(method.q, initial_q)


@pytest.mark.parametrize(("regulariser", "price"), [("trace", 3 / 3), ("ridge", 3 / 2 / 3)])
def test_price(on_logits, f3, regulariser, price):
    """A learned Q adds q_lambda / K times its trace, or half of its squares."""
    method = on_logits("noise_layer", regulariser=regulariser, q_lambda=2.0, warmup=1)
    losses = []
    for epoch in range(2):
        method.progress = epoch / 4
        losses.append(method.loss(f3).item())

    assert losses[0] == pytest.approx(0.963201, abs=1e-6)
    assert losses[1] - losses[0] == pytest.approx(2 * price, abs=1e-6)


@pytest.mark.parametrize(
    ("projection", "end"), [("euclid", torch.full((3, 3), 1 / 3)), ("clip", torch.eye(3))]
)
def test_ridge_alone(on_logits, projection, end):
    """The ridge alone takes Q to 1 / K everywhere, but clipping undoes what it shrinks."""
    method = on_logits("noise_layer", projection=projection)
    descent = torch.optim.SGD([method.q], lr=0.2)
    for _ in range(100):
        descent.zero_grad()
        (method.q.square().sum() / 2).backward()
        descent.step()
        method.after_step()

    assert torch.allclose(method.q, end, atol=1e-3)


def test_clean_labels_leave_the_identity(on_logits):
    """On correct labels q_lambda = 1 does not move Q, and a larger one does."""
    y = torch.arange(3)
    batch = Batch(y, (9 * torch.eye(3),), y)
    for q_lambda, moves in ((0.9, False), (1.5, True)):
        method = on_logits("noise_layer", q_lambda=q_lambda, warmup=0)
        method.loss(batch).backward()
        with torch.no_grad():
            method.q -= 0.01 * method.q.grad
        method.after_step()

        assert (not torch.equal(method.q, torch.eye(3))) == moves


@pytest.mark.parametrize(("regulariser", "left"), [("ridge", 0.3), ("trace", 0.7)])
def test_finds_the_noise(on_logits, regulariser, left):
    """For separable classes with labels flipped by Q* the learned Q is closer to Q* than I is."""
    counts = (NOISY * 30).round().long()
    true = torch.arange(3).repeat_interleave(30)
    y = torch.cat([torch.arange(3).repeat_interleave(counts[:, i]) for i in range(3)])
    batch = Batch(torch.zeros(90, dtype=torch.long), (torch.eye(3)[true],), y)
    method = on_logits("noise_layer", epochs=200, warmup=5, regulariser=regulariser)
    descent = torch.optim.SGD(
        [{"params": [method.net.head.weight], "lr": 0.5}, {"params": [method.q], "lr": 0.1}]
    )
    for epoch in range(200):
        method.progress = epoch / 200
        loss = method.loss(batch)
        descent.zero_grad()
        loss.backward()
        descent.step()
        method.after_step()

    assert (method.q - NOISY).norm() < left * (torch.eye(3) - NOISY).norm()


def test_outliers(toy):
    """The network learns a last class of outliers from labels of the other classes."""
    method = toy.make("noise_layer", q="outlier:0.25")
    toy.train(method)

    assert torch.allclose(method.q.sum(0), torch.ones(4))
    assert method.example_losses.isfinite().all()
