"""Tests of Self-Learning: prototypes as a loop, similarity to classes, and the start."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from cnlw_tools.methods import Batch
from cnlw_tools.methods.components import distributed
from cnlw_tools.methods.components.pooled_features import extract_features
from cnlw_tools.methods.self_learning import find_prototypes


def naive(f, max_count):
    """Compute rho, eta and the prototypes, pair by pair."""
    m = len(f)
    s = [[float(f[i] @ f[j]) for j in range(m)] for i in range(m)]
    cut = sorted(cos for row in s for cos in row)[round(0.6 * (m * m - 1))]
    rho = [sum((s[i][j] > cut) - (s[i][j] < cut) for j in range(m)) for i in range(m)]
    eta = []
    for i in range(m):
        denser = [s[i][j] for j in range(m) if rho[j] > rho[i]]
        eta.append(max(denser) if denser else min(s[i]))
    fit = [i for i in range(m) if eta[i] < 0.95]
    return sorted(fit, key=lambda i: -rho[i])[:max_count]


def unit(*shape, seed=0):
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("seed", range(4))
def test_prototypes_as_a_loop(seed):
    """Prototypes are the densest points that are not similar to a denser one."""
    f = unit(23, 4, seed=seed)

    assert find_prototypes(f, 5).tolist() == naive(f, 5)


def test_orthogonal_clusters_have_prototypes_each():
    """Two orthogonal clusters have a prototype each, the larger first; near twins need only one."""
    heaps = torch.tensor([[1.0, 0]] * 6 + [[0.0, 1]] * 4)

    assert [int(i >= 6) for i in find_prototypes(heaps, 8)] == [0] * 6 + [1] * 2
    lonely = normalize(torch.tensor([[1.0, 0], [1, 0.01], [1, -0.01], [0, 1], [0.01, 1]]))
    assert sorted(find_prototypes(lonely, 8).tolist()) == naive(lonely, 8)


def test_the_densest_always_is_one():
    """Equal rows have one prototype, and a single row is its own."""
    f = normalize(
        torch.ones(5, 3) + 0.01 * torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    )

    assert len(find_prototypes(f, 8)) == 1
    assert find_prototypes(f[:1], 8).tolist() == [0]


def started(toy, **options):
    """Return a method that corrects labels from the second epoch on, with a trained network."""
    method = toy.train(toy.make("self_learning", start=1, **options))
    method.begin_epoch(6, toy.train_batches)
    return method


def test_names_by_the_mean_cosine(toy):
    """Each image gets the class whose prototypes are most similar on average."""
    method = started(toy, samples=1000, prototypes=3)
    f = normalize(extract_features(method.net, toy.train_batches)[0])

    for i in range(0, len(f), 17):
        scores = []
        for c in range(4):
            class_features = f[toy.y == c]
            near = sorted(
                float(f[i] @ g) for g in class_features[find_prototypes(class_features, 3)]
            )
            scores.append(sum(near) / len(near))
        assert method.prototype_label[i] == max(range(4), key=lambda c: scores[c])


def test_the_size_of_features_plays_no_part(toy):
    """Features ten times as long give the same labels."""
    method = started(toy)
    initial_labels = method.prototype_label.clone()
    see = method.net.features
    method.net.features = lambda x: 10 * see(x)
    torch.manual_seed(0)
    method.begin_epoch(6, toy.train_batches)

    assert torch.equal(initial_labels, method.prototype_label)


def test_corrects_labels(toy):
    """On the toy problem nearly all assigned labels are true, and weights show corrections."""
    method = started(toy, alpha=0.4)
    method.loss(toy.batch(torch.arange(192)))

    assert (method.prototype_label == toy.true).float().mean() > 0.95
    expected = torch.where(method.prototype_label == toy.y, 1.0, 0.6)
    assert torch.allclose(method.example_weights, expected)


def test_loss(on_logits, f3):
    """The loss is a weighted mean of the cross-entropies against both labels, row by row."""
    method = on_logits("self_learning", alpha=0.3)
    method.prototype_label.copy_(torch.tensor([1, 1, 1]))
    method.alpha.fill_(0.3)
    expected = 0.0
    for z, y, guess in zip(f3.x, f3.y, method.prototype_label, strict=True):
        log_p = z.log_softmax(0)
        expected -= (0.7 * log_p[y] + 0.3 * log_p[guess]).item() / 3

    assert method.loss(f3).item() == pytest.approx(expected, abs=1e-6)


def test_begins_with_cross_entropy(toy):
    """Before `start` the loss is cross-entropy."""
    method = toy.make("self_learning", epochs=4, start=2)
    batch = toy.first_batch(method)
    alphas = []
    for _ in toy.epochs(method):
        expected = cross_entropy(method.net(batch.x), batch.y)
        alphas.append(method.loss(batch).item() == pytest.approx(expected.item(), abs=1e-6))

    assert alphas == [True, True, False, False]


def test_a_class_without_examples_names_none(toy):
    """A class without examples is never assigned, even where all cosines are negative."""
    method = toy.make("self_learning", start=1)
    method.net.features = lambda x: (
        torch.where(torch.arange(144) % 2 == 0, 1.0, -1.0) * torch.rand(len(x), 1)
    )
    method.begin_epoch(
        1, lambda: (Batch(b.index, b.views, b.y.clamp(max=2)) for b in toy.train_batches())
    )

    assert method.prototype_label.max() <= 2


def test_all_ranks_take_the_names_of_the_first(toy, monkeypatch):
    """The assigned labels are those of rank 0."""
    method = toy.make("self_learning", start=1)
    monkeypatch.setattr(
        distributed, "broadcast_from_rank_zero", lambda tensors: [t.fill_(3) for t in tensors]
    )
    method.begin_epoch(1, toy.train_batches)

    assert (method.prototype_label == 3).all()
