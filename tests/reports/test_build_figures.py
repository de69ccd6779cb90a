"""What builds hold."""

import numpy as np
import pytest

from cnlw_tools.builds.build import build
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.reports.build_figures import label_shares, rank_labels
from cnlw_tools.reports.context import ReportContext
from cnlw_tools.reports.diagnostics import load_truths
from cnlw_tools.reports.figures import draw_figure
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.study.spec import Study


@pytest.fixture(scope="module")
def context(tmp_path_factory, tiny, spec_maker):
    """A study that plans two configs, one of which is built."""
    folder = tmp_path_factory.mktemp("builds")
    keys = {"dataset": "shapes", "noise": "blue", "levels": [40], "size": 8, "probe": 2}
    build(recipe.parse_recipe(keys, "test"), Inputs(tiny(folder / "root")), folder / "shapes")
    run_specs = [spec_maker(f"blue_{level}_probe2", "", build="shapes") for level in (40, 80)]
    record = StudyRecord("toy", "", Study("shapes", (), ()), run_specs, folder)
    truths, _ = load_truths(record.build_configs())
    return ReportContext(record, {}, [], {}, "last", truths)


def test_sizes_are_those_of_the_card_and_what_is_not_built_is_named(context):
    """There are twenty images of each class, two of them in the probe."""
    figure = draw_figure("sizes", context)

    assert figure.tables[0].header[3:6] == ["Train", "Probe", "Validation"]
    assert figure.tables[0].rows == [
        ["shapes", "blue_40_probe2", "10", "180", "20", "40", "40.00", "40.00"]
    ]
    assert figure.problems == ["Not built: blue_80_probe2."]


def test_shares_are_counted_row_by_row(context):
    """The shares of given labels are those of the training images of a class."""
    (truth,) = context.truths.values()
    rows = [r for r in truth.rows.to_pylist() if r["split"] == "train" and r["clean_label"] == 3]
    shares = [100 * sum(r["label"] == j for r in rows) / len(rows) for j in range(10)]

    assert label_shares(truth, 3).tolist() == pytest.approx(shares)
    assert [p.title for p in draw_figure("labels", context).panels] == ["shapes, blue_40_probe2"]


def test_labels_are_ranked_where_they_differ_the_most():
    """The true label stands first; equal shares by number; of equal configs the first counts."""
    even = np.array([10, 30, 30, 30])
    steep = np.array([10, 20, 60, 10])
    reverse = np.array([10, 60, 20, 10])

    assert rank_labels([even, steep, reverse], 0).tolist() == [0, 2, 1, 3]
    assert rank_labels([even], 3).tolist() == [3, 1, 2, 0]


def test_bars_have_the_whole_names_of_classes_and_a_sentence(context):
    """The picture names every class, and the sentence the share of the true label."""
    (panel,) = draw_figure("labels", context).panels
    (truth,) = context.truths.values()
    shares = label_shares(truth, 0)
    false_label = int(np.argmax(np.where(np.arange(len(shares)) == 0, -1, shares)))

    assert all(f"<!-- {name} -->" in panel.svg for name in truth.classes)
    assert panel.caption.startswith(f"{shares[0]:.1f} % are labelled {truth.classes[0]}; the most")
    assert f"{shares[false_label]:.1f} %." in panel.caption
