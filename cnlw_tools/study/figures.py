"""The figures that a study may ask for and a report can draw: one entry each, in one table.

A function is imported when its figure is drawn, so that reading a study needs no matplotlib.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """A kind of figure."""

    about: str  # what it shows, and which paper has it
    function: str  # ``module:name`` in `report`; draws the figure from a `ReportContext`
    required_key: str = ""  # key of the study that it needs
    shows_builds: bool = False  # it is drawn from builds, even if nothing was trained


FIGURES: Mapping[str, FigureSpec] = {
    "over": FigureSpec(
        about="Accuracy over a number of the config, the method or the preset: the mean over seeds "
        "with its 95 % t-interval, cut at 0 and 100. Methods are side by side (most papers)",
        function="line_plots:plot_accuracy",
    ),
    "belts": FigureSpec(
        about="Mean and 95 % t-interval over levels against progress in training "
        "(Jiang et al. 2020, figures 4 and 5)",
        function="line_plots:plot_belts",
    ),
    "drop": FigureSpec(
        about="Best minus last epoch over the same number: the mean over seeds with its 95 % "
        "t-interval (Jiang et al. 2020, figure 3)",
        function="line_plots:plot_drop",
    ),
    "curves": FigureSpec(
        about="Accuracy over epochs: a line is the mean over seeds, and its band goes from the "
        "lowest to the highest seed. Earlier stages of a method are dotted "
        "(Zhang et al. 2020, figures 2 and 3)",
        function="line_plots:plot_training_curves",
    ),
    "grid": FigureSpec(
        about="Accuracy over two numbers, `x_axis` and `y_axis` (Sukhbaatar et al. 2015, figure 3)",
        function="accuracy_grid:plot_accuracy_grid",
        required_key="y_axis",
    ),
    "weights": FigureSpec(
        about="Mean weight and loss of noisy and clean examples by epoch "
        "(Zhang et al. 2020, figure 4)",
        function="example_weights:plot_example_weights",
    ),
    "transitions": FigureSpec(
        about="Transition matrices that methods estimated, beside the realised ones "
        "(Sukhbaatar et al. 2015, figures 1 and 2)",
        function="transition_matrices:plot_transition_matrices",
    ),
    "labels": FigureSpec(
        about="Given labels of the images of one class (Rolnick et al. 2017, figure 3)",
        function="build_figures:plot_given_labels",
        shows_builds=True,
    ),
    "recall": FigureSpec(
        about="Precision over recall of inliers among outliers (Sukhbaatar et al. 2015, figure 4)",
        function="outliers:plot_outlier_recall",
    ),
    "sizes": FigureSpec(
        about="Number of images in every split, of classes, and the share of noise, as built "
        "(Jiang et al. 2020, table 1)",
        function="build_figures:tabulate_sizes",
        shows_builds=True,
    ),
    "cost": FigureSpec(
        about="Seconds per epoch and memory of each method, relative to vanilla "
        "(Zhang et al. 2020, appendix C)",
        function="cost:tabulate_cost",
    ),
    "scatter": FigureSpec(
        about="Accuracy over a number of each network (Jiang et al. 2020, on pre-training)",
        function="network_scatter:plot_network_scatter",
        required_key="net_values",
    ),
}
