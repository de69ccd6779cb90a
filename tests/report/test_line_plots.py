"""Lines."""

import re
from xml.etree import ElementTree

from cnlw_tools.report import line_plots, runs
from cnlw_tools.report.plotting import lines as draw
from cnlw_tools.report.plotting import panels
from cnlw_tools.report.statistics import spread
from cnlw_tools.report.study_file import Place
from cnlw_tools.report.trials import best, curves, trials


def chosen(folder):
    """The best trials, and the curves of all runs."""
    table = runs.table(runs.load(folder))
    return best(trials(table)), curves(table)


def level(trial):
    """Where a trial stands; nowhere without a level."""
    at = Place(f"{trial.dataset}, {trial.family}", trial.method, trial.level)
    return None if trial.level is None else at


def test_there_is_a_panel_a_kind_of_noise_and_the_same_again_is_the_same(study):
    """Well-formed, to the byte."""
    found, _ = chosen(study)
    first, again = (line_plots.over(found, "last", "level", level) for _ in range(2))

    assert [p.title for p in first] == ["toy, blue", "toy, red"]
    assert first == again
    assert all(ElementTree.fromstring(p.svg).tag.endswith("svg") for p in first)  # noqa: S314, our own


def test_panels_have_one_scale(study):
    """The same numbers up the side."""
    found, _ = chosen(study)
    ticks = [
        re.findall(r"<!-- ([\d.−]+) -->", p.svg)
        for p in line_plots.over(found, "last", "level", level)
    ]

    assert ticks[0] == ticks[1] != []


def test_lines_are_in_the_order_of_their_numbers_and_the_legend_is_read_across():
    """Four names in three columns stand as 1 5 20 / 100, which are filled as 1 100, 5, 20."""
    points = [(0.0, spread([1.0]))]
    (picture,) = panels(
        "x", "y", {"": draw({f"vanilla alpha={a}": points for a in (20, 5, 1, 100)})}
    )

    assert re.findall(r"<!-- vanilla alpha=(\d+) -->", picture.svg) == ["1", "100", "5", "20"]


def test_one_level_makes_no_line(tmp_path, run_maker):
    """Nor belts, nor panels of what has no number."""
    run_maker(tmp_path / "a", [50.0])
    run_maker(tmp_path / "b", [50.0], config="human")
    found, path = chosen(tmp_path)

    assert line_plots.over(found, "last", "level", level) == []
    assert line_plots.belts(found, path) == []


def test_belts_and_learning_have_a_panel_a_method(study):
    """Learning one a kind of noise too, or one a config, of methods, where nothing stands anywhere."""
    found, path = chosen(study)

    assert [p.title for p in line_plots.belts(found, path)] == ["mixup: toy", "vanilla: toy"]
    titles = [p.title for p in line_plots.learning(found, path, "level", level)]
    assert titles == [
        "mixup: toy, blue",
        "vanilla: toy, blue",
        "mixup: toy, red",
        "vanilla: toy, red",
    ]
    assert [p.title for p in line_plots.learning(found, path, "level", lambda _: None)][:2] == [
        "toy, blue_00",
        "toy, blue_40",
    ]
