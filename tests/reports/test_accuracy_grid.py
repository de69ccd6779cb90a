"""Accuracy over two numbers."""

from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.reports.accuracy_grid import collect_squares, plot_accuracy_grid
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.study.spec import Study


def test_a_grid_has_a_square_for_every_planned_run(tmp_path, run_maker, spec_maker, context_maker):
    """Of four pairs of size and level one was not run."""
    run_specs = []
    for clean in (100, 200):
        recipe = Recipe("toy", "blue", train_size=clean)
        for level in (0, 40):
            run_specs.append(spec_maker(f"blue_{level:02d}_clean{clean}", "vanilla", recipe=recipe))
    for run_spec, top1 in zip(run_specs[:3], (90.0, 70.0, 95.0), strict=True):
        run_maker(tmp_path / run_spec.config, [top1], config=run_spec.config)
    study = Study("toy", (), (), x_axis="train_size", y_axis="level")
    context = context_maker(tmp_path, StudyRecord("toy", "", study, run_specs))

    assert collect_squares(context) == {
        "toy, blue: vanilla": {(100, 0): 90.0, (100, 40): 70.0, (200, 0): 95.0, (200, 40): None},
    }
    (panel,) = plot_accuracy_grid(context).panels
    assert panel.svg.count("<!-- not run -->") == 1
    assert panel.caption == (
        "The highest accuracy is 95.0 % at train_size 200 and level 0; the lowest is 70.0 % at "
        "train_size 100 and level 40."
    )
