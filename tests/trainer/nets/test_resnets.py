"""Residual networks as their authors' codes have them: written out layer by layer."""

import torch
from torch import nn
from torch.func import functional_call, jvp
from torch.nn.functional import avg_pool2d, pad, relu

from cnlw_tools.methods.components.batchnorm import batch_statistics
from cnlw_tools.trainer.nets.resnets import wrn28_10_ieg


def padded(x, n_channels, stride):
    """Means over stride x stride pixels, and as many channels of zeros in front as behind."""
    n_new = n_channels - x.shape[1]
    return pad(avg_pool2d(x, stride), (0, 0, 0, 0, n_new // 2, n_new - n_new // 2))


def test_wrn_of_ieg_is_that_of_its_code():
    """Every sum of the code: within units, from stage to stage, and from the first convolution to the end."""
    torch.manual_seed(0)
    net = wrn28_10_ieg(10, (16, 16), k=2).eval()
    widths = (16, 32, 64, 128)
    convs = iter([m for m in net.modules() if isinstance(m, nn.Conv2d)])
    norms = iter([m for m in net.modules() if isinstance(m, nn.BatchNorm2d)])
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.1, 0.1)
    x = torch.randn(3, 3, 16, 16)
    h = first = next(convs)(x)
    for stage, stride in enumerate((1, 2, 2)):
        n_out = widths[stage + 1]
        before = h
        for unit in range(4):
            activated = relu(next(norms)(h))
            short = activated if stage == unit == 0 else h
            body = next(convs)(activated)
            body = next(convs)(relu(next(norms)(body)))
            h = body + (padded(short, n_out, stride) if unit == 0 else short)
        h = h + padded(before, n_out, stride)
    h = h + padded(first, widths[3], 4)
    expected = net.head(relu(next(norms)(h)).mean((2, 3)))

    torch.testing.assert_close(net(x), expected)
    assert len(list(convs)) == len(list(norms)) == 0


def test_head_of_ieg_begins_as_in_its_code():
    """Weights are uniform up to 1 / sqrt(classes), and biases are 0."""
    head = wrn28_10_ieg(4, (8, 8), k=4).head

    assert not head.bias.any()
    assert 0.49 < head.weight.abs().max() <= 0.5
    assert abs(head.weight.std().item() - 0.5 / 3**0.5) < 0.02


def test_ieg_can_differentiate_its_network():
    """The derivative along a direction, which IEG takes, agrees with the gradient."""
    torch.manual_seed(0)
    net = wrn28_10_ieg(3, (8, 8), k=1).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    parameters = {name: p.detach().requires_grad_() for name, p in net.named_parameters()}
    direction = {name: torch.randn_like(p) for name, p in parameters.items()}
    share = torch.randn(4, 3, dtype=torch.float64)

    def logits(values):
        return functional_call(net, values, (x,))

    with batch_statistics(net):
        _, derivative = jvp(logits, (parameters,), (direction,))
        gradient = torch.autograd.grad((share * logits(parameters)).sum(), [*parameters.values()])

    along = sum((g * d).sum() for g, d in zip(gradient, direction.values(), strict=True))
    torch.testing.assert_close((share * derivative).sum(), along)
