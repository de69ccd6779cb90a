"""Tests of forward correction: the loss of the label behind the noise."""

import pytest
import torch

THETA = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])  # T: rows sum to 1


def test_fixture(on_logits, f3):
    """The losses agree with numbers worked out by hand."""
    method = on_logits("forward", q=THETA.T.tolist())
    losses = method.corrected_losses(f3.x.log_softmax(1), f3.y)

    assert torch.allclose(losses, torch.tensor([0.413183, 1.580021, 1.003302]), atol=1e-6)
    assert method.loss(f3).item() == pytest.approx(0.998836, abs=1e-6)


def test_oracle(on_logits):
    """The loss is -log sum_i p(i) T[i, y], example by example."""
    z, y = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)), torch.arange(9) % 3
    expected = [
        -sum(p[i] * THETA[i, k] for i in range(3)).log()
        for p, k in zip(z.softmax(1), y, strict=True)
    ]

    assert torch.allclose(
        on_logits("forward", q=THETA.T.tolist()).corrected_losses(z.log_softmax(1), y),
        torch.stack(expected),
        atol=1e-6,
    )


def test_the_matrix_of_the_report_has_true_classes_in_rows(on_logits):
    """It is T, the transpose of the stated Q, whichever of the two the loss uses."""
    for name in ("forward", "backward", "noise_layer"):
        matrix = on_logits(name, q=THETA.T.tolist()).epoch_artifacts()["transition"]
        torch.testing.assert_close(matrix.float(), THETA)


def test_it_is_the_noise_layer_of_the_same_q(on_logits, f3):
    """For symmetric noise of 20 % the loss equals that of the noise layer with the same Q."""
    losses = [
        on_logits(name, q="symmetric:0.2").loss(f3).item() for name in ("forward", "noise_layer")
    ]

    assert losses == pytest.approx([0.973635] * 2, abs=1e-6)


def test_told_the_noise_it_learns_the_truth(toy):
    """With T stated it corrects more of the wrong labels than vanilla does."""
    toy.y = torch.where(
        torch.arange(192) // 4 % 5 < 2, (toy.true + 1) % 4, toy.true
    )  # 40 % flip to the next
    wrong = toy.y != toy.true

    def right(name, **options):
        method = toy.train(toy.make(name, epochs=15, **options)).eval()
        return (method.predict(toy.x[wrong]).argmax(1) == toy.true[wrong]).float().mean().item()

    assert right("forward", q="pairflip:0.4") > right("vanilla") + 0.1


def test_the_right_estimate_of_a_network_that_knows(on_logits, f3):
    """If the network predicts T's rows at some images, the estimate is T."""
    method = on_logits("forward")
    batch = type(f3)(f3.index, (THETA.log(),), f3.y)
    method.begin_phase(1, lambda: [batch])

    assert torch.allclose(method.loss_matrix, THETA.T, atol=1e-6)
