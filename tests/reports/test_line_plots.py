"""Line plots."""

import re
from xml.etree import ElementTree

from cnlw_tools.reports import line_plots
from cnlw_tools.reports.plotting import draw_panels, line_plot
from cnlw_tools.reports.statistics import mean_interval
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.study.spec import Study


def test_there_is_a_panel_a_kind_of_noise_and_the_same_again_is_the_same(study, context_maker):
    """Panels are well-formed, and the same data give the same bytes."""
    context = context_maker(study)
    first, again = (line_plots.plot_accuracy(context).panels for _ in range(2))

    assert [panel.title for panel in first] == ["toy, blue", "toy, red"]
    assert first == again
    for panel in first:
        assert ElementTree.fromstring(panel.svg).tag.endswith("svg")  # noqa: S314, our own


def test_panels_have_one_scale(study, context_maker):
    """All panels have the same numbers on the y axis."""
    panels = line_plots.plot_accuracy(context_maker(study)).panels
    ticks = [re.findall(r"<!-- ([\d.−]+) -->", panel.svg) for panel in panels]

    assert ticks[0] == ticks[1] != []


def test_lines_are_in_the_order_of_their_numbers_and_the_legend_is_read_across():
    """Four names in three columns stand as 1 5 20 / 100, which are filled as 1 100, 5, 20."""
    points = [(0.0, mean_interval([1.0]))]
    plot = line_plot({f"vanilla alpha={a}": points for a in (20, 5, 1, 100)})
    (panel,) = draw_panels("x", "y", {"": plot})

    assert re.findall(r"<!-- vanilla alpha=(\d+) -->", panel.svg) == ["1", "100", "5", "20"]


def test_one_level_makes_no_line(tmp_path, run_maker, context_maker):
    """One level makes no belt either, and what has no level makes no panel."""
    run_maker(tmp_path / "a", [50.0])
    run_maker(tmp_path / "b", [50.0], config="human")
    context = context_maker(tmp_path)

    assert line_plots.plot_accuracy(context).panels == []
    assert line_plots.plot_belts(context).panels == []


def test_earlier_stages_of_a_method_are_dotted(tmp_path, run_maker, context_maker):
    """So is no curve of a method without stages; a belt shows the last stage alone."""
    curves, belts = {}, {}
    for method, n_reported in (("glc", 1), ("vanilla", 3)):
        for level in (20, 40):
            run_maker(
                tmp_path / method / str(level),
                [90.0, 40.0, 50.0],
                method=method,
                config=f"blue_{level}",
                reported_epochs=n_reported,
            )
        context = context_maker(tmp_path / method)
        (curves[method],) = line_plots.plot_training_curves(context).panels
        (belts[method],) = line_plots.plot_belts(context).panels

    assert "stroke-dasharray" in curves["glc"].svg
    assert "stroke-dasharray" not in curves["vanilla"].svg
    assert "<!-- 90 -->" in belts["vanilla"].svg
    assert "<!-- 90 -->" not in belts["glc"].svg


def test_belts_and_training_have_a_panel_a_method(study, context_maker):
    """Training has one a kind of noise too, or one a config of trials that have no x."""
    context = context_maker(study)
    without_x = context_maker(study, StudyRecord(study=Study("toy", (), (), x_axis="size")))

    def titles(figure):
        return [panel.title for panel in figure.panels]

    assert titles(line_plots.plot_belts(context)) == ["mixup: toy", "vanilla: toy"]
    assert titles(line_plots.plot_training_curves(context)) == [
        "mixup: toy, blue",
        "vanilla: toy, blue",
        "mixup: toy, red",
        "vanilla: toy, red",
    ]
    assert titles(line_plots.plot_training_curves(without_x))[:2] == [
        "toy, blue_00",
        "toy, blue_40",
    ]
