"""Tests of CurriculumNet: density as a loop, the three subsets, and the stages."""

import pytest
import torch

from cnlw_tools.methods import METHODS, curriculumnet
from cnlw_tools.methods.components.kmeans import kmeans_1d
from cnlw_tools.methods.curriculumnet import count_neighbours, principal_components


def blob_and_scatter(near=46, far=14, seed=0):
    draw = torch.Generator().manual_seed(seed)
    blob = 0.1 * torch.randn(near, 3, generator=draw)
    return torch.cat([blob, 20 * torch.rand(far, 3, generator=draw) - 10]).double()


def naive(x, share=0.6):
    """Count the neighbours of each point, pair by pair."""
    n = len(x)
    pairs = sorted(float((x[i] - x[j]).norm()) for i in range(n) for j in range(i))
    near = pairs[-(-(int(share * (len(pairs) - 1) * 1000) - 500) // 1000)]
    return [sum(float((x[i] - x[j]).norm()) < near for j in range(n)) - 1 for i in range(n)]


def test_density_as_a_loop():
    """The density is the number of points closer than the 60th percentile of distances."""
    x = blob_and_scatter(20, 11)

    assert count_neighbours(x).tolist() == naive(x)


def test_blocks_play_no_part(monkeypatch):
    """The block size has no effect."""
    x = blob_and_scatter()
    expected = count_neighbours(x)
    monkeypatch.setattr(curriculumnet, "BLOCK", 7)

    assert torch.equal(expected, count_neighbours(x))


def test_density_does_not_mind_a_rigid_motion():
    """After a rotation and a shift the counts are the same, except for the pair at d_c."""
    x = blob_and_scatter()
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double()).Q

    change = (count_neighbours(x) - count_neighbours(x @ turn + 5)).abs()
    assert change.max() <= 1
    assert change.sum() <= 2


def test_a_tight_blob_is_clean():
    """A dense cluster is subset 0, scattered points are not, and there are three subsets."""
    subset = kmeans_1d(-count_neighbours(blob_and_scatter()), 3)

    assert (subset[:46] == 0).all()
    assert (subset[46:] > 0).all()
    assert set(subset.tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_points(n):
    """Up to three equal points are clean, and no points are accepted too."""
    assert kmeans_1d(-count_neighbours(torch.ones(n, 2).double()), 3).tolist() == [0] * n


def test_principal_components_keep_what_is_long():
    """Points that span few directions keep their distances in as many components."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(30, 4, generator=draw).double() @ torch.randn(4, 9, generator=draw).double()

    assert torch.allclose(torch.pdist(principal_components(x, 4)), torch.pdist(x))
    assert principal_components(x, 2).shape == (30, 2)
    assert torch.equal(x, principal_components(x, 9))


@pytest.mark.parametrize("n", [5, 12, 40])
def test_few_points_have_the_components_of_many_coordinates(n):
    """The smaller side is decomposed: distances are those along the longest axes of all."""
    draw = torch.Generator().manual_seed(n)
    x = torch.randn(n, 20, generator=draw).double()
    centred = x - x.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors
    components = principal_components(x, 6)

    assert torch.allclose(torch.pdist(components), torch.pdist(x @ axes[:, -6:]))
    assert components.shape[1] == (20 if n == 5 else 6)


def test_stages(toy):
    """The stages restart after the features' network, lower the rate and sum to all epochs."""
    phases = METHODS["curriculumnet"](toy.task("curriculumnet", 20), fall=0.1).phases()

    assert [phase.epochs for phase in phases] == [5, 5, 5, 5]
    assert [phase.restart for phase in phases] == ["keep", "init", "keep", "keep"]
    assert [phase.lr_factor for phase in phases] == pytest.approx([1, 1, 0.1, 0.01])


@pytest.mark.parametrize(
    ("epochs", "stages"), [(1, [0]), (2, [0, 3]), (3, [0, 2, 3]), (4, [0, 1, 2, 3])]
)
def test_with_few_epochs_the_early_stages_are_left_out(toy, epochs, stages):
    """With few epochs the last stages are kept."""
    method = METHODS["curriculumnet"](toy.task("curriculumnet", epochs))

    assert [stage for stage, _ in method.stages] == stages
    assert [phase.restart for phase in method.phases()][1:2] == ["init"] * (epochs > 1)


def test_each_stage_trains_on_its_subsets(toy):
    """Each stage trains on one more subset; labels of the clean one are more often right."""
    method = toy.make("curriculumnet", epochs=8, noisy=0.6, highly=0.3)
    positions = []
    for number, _ in enumerate(method.phases()):
        rows = method.begin_phase(number, toy.train_batches)
        positions.append(None if rows is None else rows.tolist())
        for _ in range(25 if number == 0 else 0):
            toy.step(method, toy.batch(torch.randint(192, (32,))))
    subset = method.subset.tolist()

    assert positions == [
        None,
        *([i for i in range(192) if subset[i] <= last_subset] for last_subset in (0, 1, 2)),
    ]
    right = (toy.true == toy.y).float()
    assert right[method.subset == 0].mean() > 0.85 > 0.5 > right[method.subset == 2].mean()
    method.loss(toy.batch(torch.arange(192)))
    assert method.example_weights.tolist() == pytest.approx([(1, 0.6, 0.3)[s] for s in subset])


def test_loss(on_logits, f3):
    """The loss is the mean of cross-entropy times the weight of the subset."""
    method = on_logits("curriculumnet", noisy=0.5, highly=0.25)
    method.subset.copy_(torch.tensor([0, 1, 2]))

    expected = (0.239545 + 0.5 * 1.551445 + 0.25 * 1.098612) / 3
    assert method.loss(f3).item() == pytest.approx(expected, abs=1e-6)
