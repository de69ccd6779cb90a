"""Weights of files and published ones: what fits, what starts anew, what is refused."""

import pickle

import pytest
import torch

from cnlw_tools.trainer.nets import build
from cnlw_tools.trainer.nets.weights import TIMM, TORCHVISION, published, read


@pytest.fixture
def net():
    torch.manual_seed(0)
    return build("conv_small", 10, 32)


def saved(path, state):
    torch.save(state, path)
    return path


def same(one, other):
    """Which weights of two networks are equal."""
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return {name for (name, w), v in pairs if w.shape == v.shape and torch.equal(w, v)}


def of_a_run(state):
    """What a run's checkpoint holds: the method's state, the network in it."""
    return {
        "epoch": 3,
        "method": {"losses": torch.zeros(2), **{f"net.{k}": v for k, v in state.items()}},
    }


@pytest.mark.parametrize(
    "wrap", [dict, lambda state: {"epoch": 3, "net": state}, of_a_run], ids=["plain", "net", "run"]
)
def test_round_trip(net, tmp_path, wrap):
    """A state dict, plain, under "net", or in the checkpoint of a run, gives the same network."""
    other = build("conv_small", 10, 32, weights=saved(tmp_path / "w.pt", wrap(net.state_dict())))

    assert same(net, other) == set(net.state_dict())


def test_the_checkpoint_of_a_run_will_do(net, tmp_path):
    """Of the method, its network."""
    method = {"losses": torch.ones(3), **{f"net.{name}": w for name, w in net.state_dict().items()}}
    other = build(
        "conv_small", 10, 32, weights=saved(tmp_path / "w.pt", {"epoch": 3, "method": method})
    )

    assert same(net, other) == set(net.state_dict())


def test_another_head_starts_anew(net, tmp_path):
    """For another number of classes all but the head is taken."""
    other = build("conv_small", 3, 32, weights=saved(tmp_path / "w.pt", net.state_dict()))

    assert same(net, other) == set(net.state_dict()) - {"head.weight", "head.bias"}
    assert other(torch.randn(2, 3, 32, 32)).shape == (2, 3)
    assert other.head.weight.abs().sum() > 0


def test_counters_may_lack(net, tmp_path):
    """Old files do not count batches, and nothing depends on it."""
    state = {
        name: w for name, w in net.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    other = build("conv_small", 10, 32, weights=saved(tmp_path / "w.pt", state))

    assert same(net, other) == set(net.state_dict())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s.pop("blocks.0.0.0.weight"), "blocks.0.0.0.weight is missing"),
        (lambda s: s.pop("head.bias"), "head.bias is missing"),
        (lambda s: s.update({"blocks.9.weight": torch.ones(1)}), "blocks.9.weight has no place"),
        (
            lambda s: s.update({"blocks.0.0.0.weight": torch.ones(2, 3)}),
            r"blocks.0.0.0.weight has the shape \(2, 3\), and should have \(16, 3, 3, 3\)",
        ),
    ],
)
def test_what_does_not_fit(net, tmp_path, change, fault):
    """The error names the file, the first weight that does not fit, and the remedy."""
    state = dict(net.state_dict())
    change(state)
    path = saved(tmp_path / "w.pt", state)
    with pytest.raises(
        ValueError, match=rf"w.pt: {fault}: these weights are of another network; give the --net"
    ):
        build("conv_small", 10, 32, weights=path)


@pytest.mark.parametrize(
    ("write", "fault"),
    [
        (lambda p: p.write_bytes(b""), "no file of weights"),
        (lambda p: p.write_bytes(b"text"), "no file of weights"),
        (lambda p: p.write_bytes(pickle.dumps(pytest.approx, 2)), "no file of weights"),
        (lambda p: saved(p, [1, 2]), "no state dict"),
        (lambda p: saved(p, {"net": {"a": 1}}), "no state dict"),
    ],
)
def test_no_weights(tmp_path, write, fault):
    """Whatever is no state dict is refused, with the way to make one."""
    path = tmp_path / "w.pt"
    write(path)
    with pytest.raises(
        ValueError, match=rf"w.pt: {fault}.*: torch.save\(net.state_dict\(\), FILE\)"
    ):
        read(path)


def test_cut_short(net, tmp_path):
    """A file that was cut short is refused."""
    path = saved(tmp_path / "w.pt", net.state_dict())
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"w.pt: no file of weights"):
        read(path)


def test_no_file(tmp_path):
    """A file that is not there is an error that names it."""
    with pytest.raises(FileNotFoundError, match=r"w.pt"):
        build("conv_small", 10, 32, weights=tmp_path / "w.pt")


def test_one_of_the_two(tmp_path):
    """Published weights and a file exclude each other."""
    with pytest.raises(ValueError, match=r"--pretrained and --weights .*w.pt exclude each other"):
        build("resnet18", 10, 32, pretrained=True, weights=tmp_path / "w.pt")


def test_pretrained(tmp_path, monkeypatch):
    """Published weights fill all but a head for other classes."""
    from torchvision.models import get_model, get_model_weights

    theirs = get_model("resnet18", weights=None)
    cache = tmp_path / "hub/checkpoints"
    cache.mkdir(parents=True)
    url = get_model_weights("resnet18")["IMAGENET1K_V1"].url
    torch.save(theirs.state_dict(), cache / url.rsplit("/")[-1])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    net = build("resnet18", 10, 32, pretrained=True)

    assert torch.equal(net.blocks[0][0].weight, theirs.conv1.weight)
    assert torch.equal(net.blocks[3][0][1].conv2.weight, theirs.layer4[1].conv2.weight)
    assert net.head.weight.shape == (10, 512)


def test_nothing_published():
    """A network without published weights says which have some."""
    with pytest.raises(
        ValueError,
        match=r"wrn28_2 has no published weights, only these have: resnet18, .*--weights",
    ):
        build("wrn28_2", 10, 32, pretrained=True)


def test_no_network(tmp_path, monkeypatch):
    """What cannot be fetched is an error that says how to do without."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(
        OSError, match=r"weights of resnet18 could not be fetched .* give --weights FILE"
    ):
        published("resnet18")


def test_all_that_are_published_have_the_file():
    """Torchvision has weights under the name that is asked for."""
    from torchvision.models import get_model_weights

    assert all("IMAGENET1K_V1" in get_model_weights(name).__members__ for name in TORCHVISION)
    assert set(TORCHVISION).isdisjoint(TIMM)
