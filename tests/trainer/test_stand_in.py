"""A task of black images."""

import pytest
import torch
from torch import nn

from cnlw_tools.trainer.stand_in import ALL_SETS, stand_in_task


@pytest.mark.parametrize("sets", [ALL_SETS, (), ("probe",), ("verified", "holdout")])
def test_each_set_has_a_black_image_of_each_class(sets):
    """And there are no other sets than those that are asked for."""
    task = stand_in_task(nn.Identity, 100, 3, (4, 5), 2, 0.4, sets)
    batches = []
    if task.probe is not None:
        batches += [*task.probe.batches(), task.probe.draw(7)]
    if task.verified is not None:
        ((batch, is_correct),) = task.verified()
        assert is_correct.tolist() == [True] * 3
        batches.append(batch)
    if task.holdout is not None:
        batches += task.holdout()

    found = {name for name in ALL_SETS if getattr(task, name) is not None}
    assert found == {*sets}
    for batch in batches:
        assert torch.equal(batch.x, torch.zeros(3, 3, 4, 5))
        assert batch.y.tolist() == [0, 1, 2]
    assert (task.n_examples, task.n_classes, task.epochs, task.noise_rate) == (100, 3, 2, 0.4)
