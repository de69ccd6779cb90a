"""Checkpoints of an older version."""

import pytest
import torch

from cnlw_tools.recipe.run_files import read_config
from cnlw_tools.trainer.checkpoint import checkpoint_mismatch
from cnlw_tools.trainer.run import RunWriter

METHOD = {"net.w": torch.ones(2), "uses_given_label": torch.ones(3)}
STATE = {
    "epoch": 2,
    "step": 0,
    "method": METHOD,
    "optimiser": {},
    "ema": None,
    "positions": torch.arange(3),
    "phase_checkpoints": {},
    "rng_state": [],
    "step_losses": torch.zeros(()),
    "history": [],
}


@pytest.mark.parametrize(
    ("changes", "mismatch"),
    [
        ({}, ""),
        ({"method": {"net.w": torch.ones(2)}}, "uses_given_label is missing"),
        (
            {"method": METHOD | {"net.w": torch.ones(4)}},
            "net.w has the shape (4,), and should have (2,)",
        ),
        ({"method": METHOD | {"old": torch.ones(1)}}, "old has no place"),
        ({"ranks": 1}, "ranks has no place"),
        ({"epoch": 4}, "it is at epoch 4 of 3"),
        ({"epoch": "x"}, "epoch is str"),
        ({"history": None}, "history is NoneType"),
        ({"history": [1]}, "history holds int"),
        ({"method": None}, "method is NoneType"),
        ({"method": METHOD | {"net.w": 5}}, "net.w is int"),
        ({"step_losses": 0.5}, "step_losses is float"),
    ],
)
def test_what_does_not_fit_is_named(changes, mismatch):
    """The first mismatch is named; the text is empty if all fits."""
    assert checkpoint_mismatch(STATE | changes, METHOD, 3) == mismatch


@pytest.mark.parametrize("state", [torch.ones(2), 5, None, [STATE], "x"])
def test_a_checkpoint_that_is_no_dict(state):
    """A tensor, a number or a list in the place of a state is named."""
    assert checkpoint_mismatch(state, METHOD, 3) == f"it holds {type(state).__name__}, not a state"


def test_what_is_missing_is_named():
    """An entry is named that the older version did not keep."""
    assert (
        checkpoint_mismatch(
            {name: value for name, value in STATE.items() if name != "step_losses"}, METHOD, 3
        )
        == "step_losses is missing"
    )


@pytest.mark.parametrize("older", ["method", "optimiser", "ema"])
def test_a_run_of_another_version_is_refused_and_kept(make_trainer, tmp_path, older):
    """The error names file, difference and remedy; no file changes, and the lock is released."""
    make_trainer(changes={"epochs": 2}).fit(on_epoch=lambda line: None)
    path, folder = tmp_path / "run" / "checkpoint.pt", tmp_path / "run"
    state = torch.load(path, weights_only=True)
    if older == "method":
        del state["method"]["uses_given_label"]
    elif older == "ema":
        state["ema"] = {"steps": 12, "averages": [torch.ones(2)]}
    else:
        state |= {"epoch": 1, "history": state["history"][:1]}
        state["optimiser"]["param_groups"] *= 2
    torch.save(state, path)
    (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace('"versions"', '"versions" ')
    )
    old_files = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    message = {
        "method": "uses_given_label is missing",
        "ema": "the averaged weights are not stored by name",
        "optimiser": "optimiser or average: .*different number of parameter groups",
    }[older]
    with pytest.raises(
        ValueError,
        match=rf"checkpoint.pt: {message}: another version .* give another --out, or delete",
    ):
        make_trainer(changes={"epochs": 2}, resume=True).fit()
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == old_files
    with pytest.raises(ValueError, match="there is already a run here"):
        RunWriter(folder, read_config(folder), resume=False)
