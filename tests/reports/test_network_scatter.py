"""Accuracy over a number of each network."""

import math

import numpy as np
import pytest

from cnlw_tools.reports.network_scatter import network_points, pearson_r, plot_network_scatter
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.study.spec import Study


def test_points_are_of_networks_that_ran_on_every_config(tmp_path, run_maker, context_maker):
    """Top-1 is the mean over two levels; one network lacks a level, and one has no x."""
    for net, top1s in (("a", (80.0, 60.0)), ("b", (90.0, 80.0)), ("c", (50.0,)), ("d", (1.0, 1.0))):
        for level, top1 in zip((0, 40), top1s, strict=False):
            run_maker(tmp_path / f"{net}{level}", [top1], net=net, config=f"blue_{level:02d}")
    study = Study("toy", (), (), net_values={"a": 70, "b": 75.5, "c": 71})
    context = context_maker(tmp_path, StudyRecord("toy", "", study))

    assert network_points(context, "toy", "blue", "vanilla") == {"a": (70, 70), "b": (75.5, 85)}
    figure = plot_network_scatter(context)
    assert figure.tables[0].notes == ["toy, blue: vanilla, r = 1.00."]
    assert figure.panels[0].caption == "vanilla, r = 1.00: b is highest with 85.0 %."


def test_r_is_that_of_numpy():
    """Points are random; one point or a constant y gives nan."""
    xs, ys = np.random.default_rng(0).random((2, 9))
    points = {str(i): point for i, point in enumerate(zip(xs, ys, strict=True))}

    assert pearson_r(points) == pytest.approx(np.corrcoef(xs, ys)[0, 1])
    assert math.isnan(pearson_r({"a": (1, 2)}))
    assert math.isnan(pearson_r({"a": (1, 2), "b": (2, 2)}))
