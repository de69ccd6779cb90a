"""The order of methods in tables, figures and on the page.

It is that of the study. Methods of no study follow: vanilla first, since the others are compared
with it, then by name. Variants of a method stand together, by name.
"""

from collections.abc import Sequence

from cnlw_tools.reports.trials import Trial, natural_sort_key

BASELINE = "vanilla"


def method_sort_key(
    method_name: str,
    variant: str = "",
    study_methods: Sequence[str] = (),
) -> tuple[object, ...]:
    """Return a key that sorts methods.

    Args:
        method_name: what the study, or else the run, calls the method
        variant: the name with the options that make a variant
        study_methods: methods in the order of the study
    """
    rank = len(study_methods)
    if method_name in study_methods:
        rank = study_methods.index(method_name)
    is_other = method_name != BASELINE
    return rank, is_other, natural_sort_key(method_name), natural_sort_key(variant)


def sort_trials(trials: Sequence[Trial], study_methods: Sequence[str] = ()) -> list[Trial]:
    """Return trials by dataset, config and method; those of one method keep their order."""

    def sort_key(trial: Trial) -> tuple[object, ...]:
        return (
            natural_sort_key(trial.dataset),
            natural_sort_key(trial.config),
            method_sort_key(trial.method_name, trial.method, study_methods),
        )

    return sorted(trials, key=sort_key)
