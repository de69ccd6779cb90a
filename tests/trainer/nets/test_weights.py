"""Weights of files and published ones: what fits, what starts anew, what is refused."""

import pickle

import pytest
import torch

from cnlw_tools.files.seals import seal
from cnlw_tools.trainer.nets import build_network
from cnlw_tools.trainer.nets.weights import TIMM, TORCHVISION, fetch_pretrained, read_weights


@pytest.fixture
def net():
    torch.manual_seed(0)
    return build_network("conv_small", 10, (32, 32))


def save_state(path, state):
    torch.save(state, path)
    return path


def equal_weights(net_a, net_b):
    """Which weights of two networks are equal."""
    pairs = zip(net_a.state_dict().items(), net_b.state_dict().values(), strict=True)
    return {name for (name, w), v in pairs if w.shape == v.shape and torch.equal(w, v)}


def run_checkpoint(state):
    """What a run's checkpoint holds: the method's state, the network in it."""
    return {
        "epoch": 3,
        "method": {"losses": torch.zeros(2), **{f"net.{k}": v for k, v in state.items()}},
    }


@pytest.mark.parametrize(
    "wrap",
    [dict, lambda state: {"epoch": 3, "net": state}, run_checkpoint],
    ids=["plain", "net", "run"],
)
def test_round_trip(net, tmp_path, wrap):
    """A state dict, plain, under "net", or in the checkpoint of a run, gives the same network."""
    net_b = build_network(
        "conv_small", 10, (32, 32), weights=save_state(tmp_path / "w.pt", wrap(net.state_dict()))
    )

    assert equal_weights(net, net_b) == set(net.state_dict())


def test_the_checkpoint_of_a_run_will_do(net, tmp_path):
    """Of the method, its network."""
    method = {"losses": torch.ones(3), **{f"net.{name}": w for name, w in net.state_dict().items()}}
    net_b = build_network(
        "conv_small",
        10,
        (32, 32),
        weights=save_state(tmp_path / "w.pt", {"epoch": 3, "method": method}),
    )

    assert equal_weights(net, net_b) == set(net.state_dict())


def test_a_damaged_checkpoint_is_refused(net, tmp_path):
    """A checkpoint of a run carries its sha256; a flipped bit is an error that names the file."""
    path = save_state(tmp_path / "w.pt", net.state_dict())
    seal(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"w.pt: the file is damaged, because its sha256 differs"):
        build_network("conv_small", 10, (32, 32), weights=path)


def test_another_head_starts_anew(net, tmp_path):
    """For another number of classes all but the head is taken."""
    net_b = build_network(
        "conv_small", 3, (32, 32), weights=save_state(tmp_path / "w.pt", net.state_dict())
    )

    assert equal_weights(net, net_b) == set(net.state_dict()) - {"head.weight", "head.bias"}
    assert net_b(torch.randn(2, 3, 32, 32)).shape == (2, 3)
    assert net_b.head.weight.abs().sum() > 0


def test_counters_may_lack(net, tmp_path):
    """Old files do not count batches, and nothing depends on it."""
    state = {
        name: w for name, w in net.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    net_b = build_network("conv_small", 10, (32, 32), weights=save_state(tmp_path / "w.pt", state))

    assert equal_weights(net, net_b) == set(net.state_dict())


@pytest.mark.parametrize(
    ("change", "mismatch"),
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
def test_what_does_not_fit(net, tmp_path, change, mismatch):
    """The error names the file, the first weight that does not fit, and the remedy."""
    state = dict(net.state_dict())
    change(state)
    path = save_state(tmp_path / "w.pt", state)
    with pytest.raises(
        ValueError,
        match=rf"w.pt does not fit the network .{mismatch}.: these weights belong to another network; give its --net",
    ):
        build_network("conv_small", 10, (32, 32), weights=path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: p.write_bytes(b""), "cannot be read as a file of weights"),
        (lambda p: p.write_bytes(b"text"), "cannot be read as a file of weights"),
        (
            lambda p: p.write_bytes(pickle.dumps(pytest.approx, 2)),
            "cannot be read as a file of weights",
        ),
        (lambda p: save_state(p, [1, 2]), "no state dict"),
        (lambda p: save_state(p, {"net": {"a": 1}}), "no state dict"),
    ],
)
def test_no_weights(tmp_path, write, message):
    """Whatever is no state dict is refused, with the way to make one."""
    path = tmp_path / "w.pt"
    write(path)
    with pytest.raises(
        ValueError, match=rf"w.pt:? {message}.*: torch.save\(net.state_dict\(\), FILE\)"
    ):
        read_weights(path)


def test_cut_short(net, tmp_path):
    """A file that was cut short is refused."""
    path = save_state(tmp_path / "w.pt", net.state_dict())
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"w.pt cannot be read as a file of weights"):
        read_weights(path)


def test_no_file(tmp_path):
    """A file that is not there is an error that names it."""
    with pytest.raises(FileNotFoundError, match=r"w.pt"):
        build_network("conv_small", 10, (32, 32), weights=tmp_path / "w.pt")


def test_one_of_the_two(tmp_path):
    """Published weights and a file cannot be used together."""
    with pytest.raises(
        ValueError, match=r"--pretrained and --weights .*w.pt cannot be used together"
    ):
        build_network("resnet18", 10, (32, 32), pretrained=True, weights=tmp_path / "w.pt")


def test_pretrained(tmp_path, monkeypatch):
    """Published weights fill all but a head for other classes."""
    from torchvision.models import get_model, get_model_weights

    model = get_model("resnet18", weights=None)
    cache = tmp_path / "hub/checkpoints"
    cache.mkdir(parents=True)
    url = get_model_weights("resnet18")["IMAGENET1K_V1"].url
    torch.save(model.state_dict(), cache / url.rsplit("/")[-1])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    net = build_network("resnet18", 10, (32, 32), pretrained=True)

    assert torch.equal(net.blocks[0][0].weight, model.conv1.weight)
    assert torch.equal(net.blocks[3][0][1].conv2.weight, model.layer4[1].conv2.weight)
    assert net.head.weight.shape == (10, 512)


def test_nothing_published():
    """A network without published weights says which have some."""
    with pytest.raises(
        ValueError,
        match=r"wrn28_2 has no published weights; these networks have them: resnet18, .*--weights",
    ):
        build_network("wrn28_2", 10, (32, 32), pretrained=True)


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
        fetch_pretrained("resnet18")


def test_all_that_are_published_have_the_file():
    """Torchvision has weights under the name that is asked for."""
    from torchvision.models import get_model_weights

    assert all("IMAGENET1K_V1" in get_model_weights(name).__members__ for name in TORCHVISION)
    assert set(TORCHVISION).isdisjoint(TIMM)
