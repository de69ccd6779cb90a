"""Line plots."""

import re
from xml.etree import ElementTree

import pytest

from cnlw_tools.reports import line_plots
from cnlw_tools.reports.plotting import PAGE_STYLE, draw_sheet
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.study.spec import MethodEntry, Study


def test_there_is_a_panel_a_kind_of_noise_and_the_same_again_is_the_same(study, context_maker):
    """Panels are well-formed, and the same data give the same bytes."""
    context = context_maker(study)
    first, again = (line_plots.plot_accuracy(context).panels for _ in range(2))

    assert [panel.title for panel in first] == ["toy, blue", "toy, red"]
    assert [panel.svg for panel in first] == [panel.svg for panel in again]
    for panel in first:
        assert ElementTree.fromstring(panel.svg).tag.endswith("svg")  # noqa: S314, our own


def test_panels_have_one_scale(study, context_maker):
    """All panels have the same numbers on the y axis."""
    panels = line_plots.plot_accuracy(context_maker(study)).panels
    ticks = [re.findall(r"<!-- ([\d.−]+) -->", panel.svg) for panel in panels]

    assert ticks[0] == ticks[1] != []


def test_one_level_makes_no_line(tmp_path, run_maker, context_maker):
    """One level makes no belt either, and what has no level makes no panel."""
    run_maker(tmp_path / "a", [50.0])
    run_maker(tmp_path / "b", [50.0], config="human")
    context = context_maker(tmp_path)

    assert line_plots.plot_accuracy(context).panels == []
    assert line_plots.plot_belts(context).panels == []


@pytest.mark.parametrize("n_epochs", [1, 2])
def test_the_progress_of_belts_goes_from_0_to_100(tmp_path, run_maker, context_maker, n_epochs):
    """After one epoch all of it is done; the bars of two kinds of noise do not lie on each other."""
    for config in ("blue_20", "blue_40", "red_20", "red_40"):
        run_maker(tmp_path / config, [float(config[-2:])] * n_epochs, config=config)
    (panel,) = line_plots.plot_belts(context_maker(tmp_path)).panels
    (axes,) = draw(panel)
    ends = {line.get_xdata()[-1] for line in axes.lines if not line.get_label().startswith("_")}

    assert axes.get_xlim() == (0, 100)
    assert 0 <= axes.get_ylim()[0] <= axes.get_ylim()[1] <= 100
    assert ends == ({97, 100} if n_epochs == 1 else {100})


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


def test_training_has_a_panel_a_config_and_belts_one_a_method(study, context_maker):
    """So it is whether the trials have an x or not, and at one level."""
    context = context_maker(study)
    without_x = context_maker(study, StudyRecord(study=Study("toy", (), (), x_axis="size")))
    configs = ["toy, blue_00", "toy, blue_40", "toy, red_00", "toy, red_40"]

    assert titles(line_plots.plot_belts(context)) == ["mixup: toy", "vanilla: toy"]
    assert titles(line_plots.plot_training_curves(context)) == configs
    assert titles(line_plots.plot_training_curves(without_x)) == configs


def titles(figure):
    """The titles of the panels of a figure."""
    return [panel.title for panel in figure.panels]


def draw(panel):
    """Return the axes of a panel, as they are drawn for the page."""
    return draw_sheet(panel.sheet, PAGE_STYLE)[panel.title].axes


def line_labels(axes):
    """The labels of the lines of axes, as they are drawn, from the bottom to the top."""
    return [line.get_label() for line in axes.lines if not line.get_label().startswith("_")]


def test_one_method_over_levels_is_one_panel_of_shades(tmp_path, run_maker, context_maker):
    """There is nothing to compare but levels; with one level there is one curve."""
    for level in (0, 20, 40):
        run_maker(tmp_path / "a" / str(level), [50.0, 60.0 - level], config=f"blue_{level:02d}")
    run_maker(tmp_path / "b", [50.0, 60.0], config="blue_20")
    (panel,) = line_plots.plot_training_curves(context_maker(tmp_path / "a")).panels
    (alone,) = line_plots.plot_training_curves(context_maker(tmp_path / "b")).panels

    assert panel.title == "vanilla: toy, blue"
    assert line_labels(draw(panel)[0]) == ["0 %", "20 %", "40 %"]
    assert panel.caption == ("After the last epoch: 60.0 % at 0 %, 40.0 % at 20 %, 20.0 % at 40 %.")
    assert alone.title == "toy, blue_20"


def test_a_curve_is_the_mean_over_seeds_within_the_lowest_and_the_highest(
    tmp_path, run_maker, context_maker
):
    """The band is recomputed from the runs; a trial of one seed has none."""
    accuracies = {0: [10.0, 40.0], 1: [20.0, 30.0], 2: [60.0, 50.0]}
    for seed, values in accuracies.items():
        run_maker(tmp_path / f"v{seed}", values, seed=seed)
    run_maker(tmp_path / "m", [15.0, 35.0], method="mixup")
    context = context_maker(tmp_path)
    (panel,) = line_plots.plot_training_curves(context).panels
    (axes,) = draw(panel)
    by_label = {line.get_label(): line for line in axes.lines}
    (band,) = axes.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices}

    assert list(by_label["vanilla"].get_ydata()) == [30.0, 40.0]
    assert list(by_label["mixup"].get_ydata()) == [15.0, 35.0]
    assert corners == {(1, 10), (1, 60), (2, 30), (2, 50)}
    assert panel.caption == (
        "After the last epoch: vanilla 40.0 % (30.0 to 50.0), mixup 35.0 % (one seed)."
    )


def test_runs_of_unlike_length_end_each_with_its_own_epoch(tmp_path, run_maker, context_maker):
    """The sentence says so, and the axis goes to the longest."""
    run_maker(tmp_path / "long", [10.0, 20.0, 30.0])
    run_maker(tmp_path / "short", [15.0], method="mixup")
    (panel,) = line_plots.plot_training_curves(context_maker(tmp_path)).panels

    assert panel.caption == (
        "After the last epoch of each: vanilla 30.0 % (one seed), mixup 15.0 % (one seed)."
    )
    assert draw(panel)[0].get_xlim()[1] > 3


def test_methods_stand_in_the_order_of_the_study_or_vanilla_first(
    tmp_path, run_maker, context_maker
):
    """They look alike in all panels, whichever methods a panel has."""
    for method, levels in (("gce", (20, 40)), ("vanilla", (20, 40)), ("bootstrap", (40,))):
        for level in levels:
            folder = tmp_path / f"{method}{level}"
            run_maker(folder, [50.0], method=method, config=f"blue_{level}")
    methods = tuple(map(MethodEntry, ("bootstrap", "gce", "vanilla")))
    record = StudyRecord(study=Study("toy", (), methods))
    free = line_plots.plot_training_curves(context_maker(tmp_path)).panels
    ordered = line_plots.plot_training_curves(context_maker(tmp_path, record)).panels
    over = line_plots.plot_accuracy(context_maker(tmp_path, record)).panels

    assert line_labels(draw(free[1])[0]) == ["vanilla", "bootstrap", "gce"]
    assert line_labels(draw(ordered[1])[0]) == ["bootstrap", "gce", "vanilla"]
    assert line_labels(draw(over[0])[0]) == ["bootstrap", "gce", "vanilla"]
    looks = [{line.get_label(): line_style(line) for line in draw(p)[0].lines} for p in ordered]
    assert looks[0]["gce"] == looks[1]["gce"] != looks[1]["vanilla"]


def line_style(line):
    """What tells a line from others."""
    return line.get_color(), line.get_linestyle(), line.get_marker()


def test_accuracy_stays_within_0_and_100(tmp_path, run_maker, context_maker):
    """Two seeds that differ by 60 points have an interval of 380 points."""
    for method, low, high in (("vanilla", 20.0, 80.0), ("mixup", 98.0, 100.0)):
        for level in (20, 40):
            for seed, value in enumerate((low, high)):
                folder = tmp_path / f"{method}{level}_{seed}"
                changes = {"config": f"blue_{level}", "method": method, "seed": seed}
                run_maker(folder, [value, value - 10], **changes)
    context = context_maker(tmp_path)
    for plot in (line_plots.plot_accuracy, line_plots.plot_training_curves, line_plots.plot_belts):
        for panel in plot(context).panels:
            low, high = draw(panel)[0].get_ylim()
            assert 0 <= low < high <= 100


def test_a_run_of_one_epoch_is_a_point_at_epoch_1(tmp_path, run_maker, context_maker):
    """The axis shows the whole epoch and nothing beside it; two seeds have a bar."""
    for seed in (0, 1):
        run_maker(tmp_path / str(seed), [50.0 + seed], seed=seed)
    (panel,) = line_plots.plot_training_curves(context_maker(tmp_path)).panels
    (axes,) = draw(panel)
    (line,) = [line for line in axes.lines if line.get_label() == "vanilla"]
    left, right = axes.get_xlim()

    assert line.get_marker() not in ("None", "", None)
    assert line.get_markevery() == (0, 1)
    assert [x for x in axes.get_xticks() if left <= x <= right] == [1]
    assert len(axes.collections) == 1
