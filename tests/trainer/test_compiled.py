"""Networks that torch compiles: methods train on them as they do on others."""

import pytest
import torch
from torch import nn

from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.trainer import device as devices

compile_module = nn.Module.compile


class DoubleBackward(Vanilla):
    """Differentiates a gradient, which compiled code cannot."""

    def loss(self, batch):
        loss = super().loss(batch)
        gradients = torch.autograd.grad(loss, list(self.net.parameters()), create_graph=True)
        return loss + sum(gradient.square().sum() for gradient in gradients)


def refuse(graph, inputs):
    """Stand for a compiler that is not there."""
    raise OSError("no C++ compiler")


@pytest.fixture
def compiler(monkeypatch):
    """Return a function that puts another backend in the place of the slow usual one."""

    def choose(backend):
        monkeypatch.setattr(nn.Module, "compile", lambda net: compile_module(net, backend=backend))

    torch._dynamo.reset()
    choose("aot_eager")
    return choose


@pytest.fixture
def metrics_of(make_trainer, tmp_path):
    """Return a function that trains an epoch and returns its metrics."""

    def train(method, compile):
        epochs = []
        trainer = make_trainer(
            method=method,
            options={"noise_rate": 0.4} if method == "coteaching" else {},
            changes={"epochs": 1},
            compile=compile,
            out=tmp_path / f"{compile}",
        )
        trainer.fit(on_epoch=epochs.append)
        return [(metrics["train_loss"], metrics["val_top1"]) for metrics in epochs]

    return train


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # torch's compiler warns of itself
@pytest.mark.parametrize("method", ["vanilla", "coteaching", "l2r", "ieg"])
def test_methods_train_on_them_as_on_others(metrics_of, compiler, method):
    """Forward mode and two backward passes, too: same loss, same accuracy."""
    compiled, other = metrics_of(method, True), metrics_of(method, False)

    assert compiled == [pytest.approx(metrics, rel=1e-4) for metrics in other]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_what_cannot_be_compiled_is_an_error_in_a_line(metrics_of, compiler):
    """The error says to omit --compile."""
    with pytest.raises(ValueError, match=r"cannot be compiled \(.*double backward.*: omit --compi"):
        metrics_of(DoubleBackward, True)
    compiler(refuse)
    with pytest.raises(ValueError, match=r"cannot be compiled \(.*no C\+\+ comp.*: omit --compile"):
        metrics_of("vanilla", True)


def test_every_network_of_a_method_is_compiled(monkeypatch):
    """Each that the function makes, when it makes it."""
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda net: compiled.append(net))
    make_net = devices.compiled(nn.Identity)
    nets = [make_net(), make_net()]

    assert compiled == nets
