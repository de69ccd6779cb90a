"""What methods cost."""

import json

from cnlw_tools.reports.cost import tabulate_cost


def test_cost_is_the_median_epoch_in_multiples_of_vanilla(tmp_path, run_maker, context_maker):
    """The slow first epoch does not count; memory is the peak of all epochs."""
    for method, seconds, memory in (("vanilla", (9, 2, 2), 100), ("ieg", (9, 8, 6), 250)):
        folder = run_maker(tmp_path / method, [1.0, 2.0, 3.0], method=method)
        path = folder / "metrics.jsonl"
        lines = []
        for line, epoch_seconds in zip(path.read_text().splitlines(), seconds, strict=True):
            metrics = json.loads(line) | {"seconds": epoch_seconds, "peak_mb": memory}
            lines.append(json.dumps(metrics) + "\n")
        path.write_text("".join(lines))

    assert tabulate_cost(context_maker(tmp_path)).tables[0].rows == [
        ["toy", "mlp1", "vanilla", "2.00", "1.00", "100", "1.00", "1"],
        ["toy", "mlp1", "ieg", "8.00", "4.00", "250", "2.50", "1"],
    ]
