"""Tests of stated transition matrices: by name, by rows, and invalid ones."""

import pytest
import torch

from cnlw_tools.methods.components.transitions import parse_transition


def test_symmetric():
    """A share r is spread evenly over the other classes."""
    expected = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])

    assert torch.allclose(parse_transition("symmetric:0.2", 3), expected)


def test_pairflip():
    """A share r of class i is given label i + 1: q[i + 1][i] = r."""
    expected = torch.tensor([[0.75, 0, 0.25], [0.25, 0.75, 0], [0, 0.25, 0.75]])

    assert torch.allclose(parse_transition("pairflip:0.25", 3), expected)


def test_outlier():
    """A quarter of the last class's images has its label, the others have the other three."""
    q = parse_transition("outlier:0.25", 4)

    assert q.tolist() == [[1, 0, 0, 0.25], [0, 1, 0, 0.25], [0, 0, 1, 0.25], [0, 0, 0, 0.25]]
    assert torch.linalg.det(q) == pytest.approx(0.25)
    assert torch.linalg.det(parse_transition("outlier:0", 4)) == 0


@pytest.mark.parametrize("q", ["symmetric:0", "pairflip:0", "outlier:1"])
def test_identity(q):
    """Without noise it is the identity, to the last bit."""
    assert torch.equal(parse_transition(q, 5), torch.eye(5))


@pytest.mark.parametrize(
    "q", [f"{name}:{r}" for name in ("symmetric", "pairflip", "outlier") for r in (0.3, 1)]
)
def test_columns(q):
    """Columns are probabilities."""
    assert torch.allclose(parse_transition(q, 7).sum(0), torch.ones(7))
    assert (parse_transition(q, 7) >= 0).all()


def test_rows_as_they_stand():
    """A matrix of rows is used as given, q[j][i] = P(given j | true i)."""
    rows = [[0.9, 0.5], [0.1, 0.5]]

    assert torch.equal(parse_transition(rows, 2), torch.tensor(rows))


@pytest.mark.parametrize(
    "q",
    [
        *(
            "symetric:0.2",
            "symmetric",
            "symmetric:",
            "symmetric:x",
            "symmetric:1.5",
            "symmetric:nan",
            "",
        ),
        *(0.2, None, [], [[1.0]], [[1, 0], [0]], [["a", 0], [0, 1]]),
    ],
    ids=str,
)
def test_no_matrix(q):
    """A q that is no matrix is refused, and the error lists what is allowed."""
    with pytest.raises(
        ValueError, match=r"^q = .*: give learned, symmetric:0\.2.* or 2 rows of 2 numbers$"
    ):
        parse_transition(q, 2)


@pytest.mark.parametrize(
    "q", [[[0.9, 0.1], [0.5, 0.5]], [[1.1, 0], [-0.1, 1]], [[float("nan"), 0], [0, 1]]], ids=str
)
def test_no_probabilities(q):
    """A column that does not sum to 1 is named, so a T instead of Q is detected."""
    with pytest.raises(
        ValueError,
        match=r"^q: column 0 is \[.*\], which is not a probability distribution\. q\[j\]\[i\] is P",
    ):
        parse_transition(q, 2)
