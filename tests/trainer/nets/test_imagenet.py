"""Networks of torchvision and timm: cut into blocks, they compute what they computed."""

import sys

import pytest
import torch
from torch import nn

from cnlw_tools.trainer.nets import build_network
from cnlw_tools.trainer.nets.imagenet import ToSymmetricRange
from cnlw_tools.trainer.nets.weights import load_weights


def with_random_statistics(model):
    """Return a model with random running statistics in its batch normalisation."""
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
    return model.double().eval()


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("resnet18", 40, {}),
        ("mobilenet_v2", 40, {}),
        pytest.param("resnet50", 40, {}, marks=pytest.mark.slow),
        pytest.param("efficientnet_b5", 40, {}, marks=pytest.mark.slow),
        pytest.param(
            "inception_v3",
            80,
            {"transform_input": True, "init_weights": True},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_torchvision(name, size, options):
    """With torchvision's weights, under torchvision's names, the logits are torchvision's."""
    from torchvision.models import get_model

    torch.manual_seed(0)
    model = with_random_statistics(get_model(name, weights=None, num_classes=7, **options))
    net = build_network(name, 7, (size, size)).double().eval()
    load_weights(net, model.state_dict(), "theirs")
    x = torch.randn(2, 3, size, size, dtype=torch.double)

    torch.testing.assert_close(net(x), model(x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(net(x[:1]), model(x[:1]), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # timm's own
def test_timm():
    """With timm's weights, under timm's names, the logits are timm's of images of [-1, 1]."""
    torch.manual_seed(0)
    import timm

    model = with_random_statistics(timm.create_model("inception_resnet_v2", num_classes=7))
    net = build_network("inception_resnet_v2", 7, (80, 80)).double().eval()
    load_weights(net, model.state_dict(), "theirs")
    x = torch.randn(2, 3, 80, 80, dtype=torch.double)

    torch.testing.assert_close(net(x), model(ToSymmetricRange().double()(x)))


def test_to_unit():
    """Black is -1 and white is 1, channel by channel."""
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for grey in (0.0, 0.5, 1.0):
        x = ((grey - mean) / spread).view(1, 3, 1, 1)

        torch.testing.assert_close(
            ToSymmetricRange()(x), torch.full((1, 3, 1, 1), 2 * grey - 1), atol=1e-6, rtol=0
        )


def test_no_timm(monkeypatch):
    """Without timm the error says what to install."""
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        ValueError, match=r"inception_resnet_v2 .* not installed: pip install '.*\[timm\]'"
    ):
        build_network("inception_resnet_v2", 10, (299, 299))
