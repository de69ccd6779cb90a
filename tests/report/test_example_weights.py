"""Noisy and clean examples by epoch."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cnlw_tools.build.ground_truth import Truth
from cnlw_tools.report import runs
from cnlw_tools.report.context import Seen
from cnlw_tools.report.example_weights import noted, weights
from cnlw_tools.report.study_file import Said
from cnlw_tools.report.trials import best, trials

NOISY = np.array([True, False, False, True])


class Known(Truth):
    """A build of which only what is noisy is known."""

    noisy = NOISY
    digest = "0" * 64


@pytest.fixture
def seen(tmp_path, run_maker):
    """Two runs of two epochs and three; the third example is never drawn; all weigh the same."""
    draw = np.random.default_rng(0)
    for seed, many in ((0, 2), (1, 3)):
        folder = run_maker(tmp_path / f"s{seed}", [50.0] * many, seed=seed)
        (folder / "examples.parquet").mkdir()
        for epoch in range(1, many + 1):
            values = {name: draw.random(4) for name in ("loss", "own")} | {"weight": np.ones(4)}
            columns = {
                k: pa.array(np.where([0, 0, 1, 0], np.nan, v), from_pandas=True)
                for k, v in values.items()
            }
            pq.write_table(
                pa.table({"epoch": [epoch] * 4, "row": range(4), **columns}),
                folder / "examples.parquet" / f"epoch-{epoch:04d}.parquet",
            )
    found = runs.load(tmp_path)
    truths = {(found[0].build, "blue_40"): Known(found[0].build, "blue_40", "blue", 40, {}, None)}
    return Seen(
        Said(),
        {run.name: run for run in found},
        best(trials(runs.table(found))),
        {},
        "last",
        truths,
    )


def test_means_are_of_what_was_drawn(seen):
    """Over the examples of a kind, then over runs, for the epochs that both have; equal weights are left out."""
    (trial,) = seen.trials
    found = noted(seen, trial)
    read = {
        (run.name, epoch): pq.read_table(
            run.folder / "examples.parquet" / f"epoch-{epoch:04d}.parquet", partitioning=None
        ).to_pydict()
        for run in seen.of(trial)
        for epoch in (1, 2)
    }

    assert set(found) == {"own", "loss"}
    for name, means in found.items():
        for epoch in (1, 2):
            two = [read[run, epoch][name] for run in ("s0", "s1")]
            assert means.noisy[epoch - 1] == pytest.approx(
                np.mean([(v[0] + v[3]) / 2 for v in two])
            )
            assert means.clean[epoch - 1] == pytest.approx(np.mean([v[1] for v in two]))
        assert len(means.noisy) == 2
    assert len(weights(seen).pictures) == 2
