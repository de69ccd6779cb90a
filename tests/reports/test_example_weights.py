"""Noisy and clean examples by epoch."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.builds.ground_truth import Truth
from cnlw_tools.reports import runs
from cnlw_tools.reports.example_weights import mean_records, plot_example_weights

NOISY = np.array([True, False, False, True])
NEVER_DRAWN = [0, 0, 1, 0]


class NoisyTruth(Truth):
    """A build of which only the noisy examples are known."""

    noisy = NOISY
    digest = "0" * 64


@pytest.fixture
def context(tmp_path, run_maker, context_maker):
    """Two runs of two epochs; the third example is never drawn; all weights are alike."""
    rng = np.random.default_rng(0)
    for seed, n_epochs in ((0, 2), (1, 2)):
        folder = run_maker(tmp_path / f"s{seed}", [50.0] * n_epochs, seed=seed)
        (folder / "examples.parquet").mkdir()
        for epoch in range(1, n_epochs + 1):
            values = {"loss": rng.random(4), "own": rng.random(4), "weight": np.ones(4)}
            columns = {"epoch": [epoch] * 4, "row": range(4)}
            for name, column in values.items():
                drawn_only = np.where(NEVER_DRAWN, np.nan, column)
                columns[name] = pa.array(drawn_only, from_pandas=True)
            pq.write_table(pa.table(columns), example_path(folder, epoch))
    build = runs.read_run_folders(tmp_path)[0].build
    truth = NoisyTruth(build, "blue_40", "blue", 40, {}, None)
    return context_maker(tmp_path, truths={(build, "blue_40"): truth})


def example_path(folder, epoch):
    """The file of the examples of an epoch."""
    return folder / "examples.parquet" / f"epoch-{epoch:04d}.parquet"


def test_means_are_of_what_was_drawn(context):
    """Means are over examples, then over runs, for the epochs of both; equal weights have none."""
    (trial,) = context.trials
    means = mean_records(context, trial)

    assert set(means) == {"own", "loss"}
    for name, by_kind in means.items():
        assert len(by_kind.noisy) == 2
        for epoch in (1, 2):
            columns = [
                pq.read_table(example_path(run.folder, epoch), partitioning=None)[name].to_pylist()
                for run in context.finished_runs(trial)
            ]
            noisy = np.mean([(column[0] + column[3]) / 2 for column in columns])
            clean = np.mean([column[1] for column in columns])
            assert by_kind.noisy[epoch - 1] == pytest.approx(noisy)
            assert by_kind.clean[epoch - 1] == pytest.approx(clean)
    assert len(plot_example_weights(context).panels) == 2
