"""What builds hold."""

import numpy as np
import pytest

from cnlw_tools.build.build import build
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.report.build_figures import ranked, shares
from cnlw_tools.report.context import Seen
from cnlw_tools.report.diagnostics import truths
from cnlw_tools.report.figures import draw
from cnlw_tools.report.study_file import Said
from cnlw_tools.study.spec import Study


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny, cell_maker):
    """What a report knows of a study that builds two configs and has built one."""
    folder = tmp_path_factory.mktemp("builds")
    said = {"dataset": "shapes", "noise": "blue", "levels": [40], "size": 8, "probe": 2}
    build(recipe.parse_recipe(said, "test"), Inputs(tiny(folder / "root")), folder / "shapes")
    cells = [cell_maker(f"blue_{level}_probe2", "", build="shapes") for level in (40, 80)]
    of = Said("toy", "", Study("shapes", (), ()), cells, folder)
    return Seen(of, {}, [], {}, "last", truths(of.places())[0])


def test_sizes_are_those_of_the_card_and_what_is_not_built_is_named(built):
    """Twenty of each class, two of them a probe."""
    drawn = draw("sizes", built)

    assert drawn.tables[0].head[3:6] == ["Train", "Probe", "Validation"]
    assert drawn.tables[0].rows == [
        ["shapes", "blue_40_probe2", "10", "180", "20", "40", "40.00", "40.00"]
    ]
    assert drawn.lacking == ["Not built: blue_80_probe2."]


def test_shares_are_counted_row_by_row(built):
    """Of the training images of a class, by their given labels."""
    (held,) = built.truths.values()
    rows = [r for r in held.rows.to_pylist() if r["split"] == "train" and r["clean_label"] == 3]
    share = [100 * sum(r["label"] == j for r in rows) / len(rows) for j in range(10)]

    assert shares(held, 3).tolist() == pytest.approx(share)
    assert [p.title for p in draw("labels", built).pictures] == ["shapes, blue_40_probe2"]


def test_labels_are_ranked_where_they_differ_the_most():
    """The true one stands first; equals by number; of equal configs the first counts."""
    even, steep, back = (
        np.array([10, 30, 30, 30]),
        np.array([10, 20, 60, 10]),
        np.array([10, 60, 20, 10]),
    )

    assert ranked([even, steep, back], 0).tolist() == [0, 2, 1, 3]
    assert ranked([even], 3).tolist() == [3, 1, 2, 0]
