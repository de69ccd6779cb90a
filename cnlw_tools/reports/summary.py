"""The top of a report: what it is about, its date, and how many runs it has."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cnlw_tools.recipe.run_files import METRICS
from cnlw_tools.registry.counts import count_things, join_words
from cnlw_tools.reports.runs import RunFolder
from cnlw_tools.reports.study_file import StudyRecord
from cnlw_tools.reports.trials import Trial

MAX_NAMES = 3  # of methods or datasets in a title


def report_title(folder: Path, record: StudyRecord, trials: Sequence[Trial]) -> str:
    """Return the name of the study, or of the folder, with the methods and datasets.

    Args:
        folder: of the runs
        record: of the study
        trials: in the order of methods
    """
    name = record.title or folder.resolve().name
    methods = dict.fromkeys(trial.method_name for trial in trials)
    datasets = dict.fromkeys(trial.dataset for trial in trials)
    if not trials:
        return name
    return f"{name}: {_names(list(methods), 'methods')} on {_names(list(datasets), 'datasets')}"


def newest_date(run_folders: Sequence[RunFolder]) -> str:
    """Return the day, in UTC, on which the newest run measured its last epoch; empty without runs.

    It is that of the file that an epoch is written to, so a report made later says the same.
    """
    times = [(run.folder / METRICS).stat().st_mtime for run in run_folders if run.history]
    if not times:
        return ""
    return datetime.fromtimestamp(max(times), UTC).date().isoformat()


def describe_report(
    run_folders: Sequence[RunFolder],
    record: StudyRecord,
    trials: Sequence[Trial],
) -> str:
    """Return in a few sentences what the report is about."""
    n_planned = len(record.run_specs)
    study = f" of the study {record.title}" if record.name else ""
    if n_planned and not record.planned_runs():
        n_configs = count_things(n_planned, "config")
        return f"This report covers {n_configs}{study}, on which nothing is trained."
    sentences = [_describe_runs(run_folders, study)]
    if n_planned and {run.name for run in run_folders} != {spec.name for spec in record.run_specs}:
        sentences.append(f"The study plans {count_things(n_planned, 'run')}.")
    missing = record.describe_missing(trials)
    if missing:
        sentences.append(missing)
    date = newest_date(run_folders)
    if date:
        sentences.append(f"The newest run is from {date}.")
    return " ".join(sentences)


def _describe_runs(run_folders: Sequence[RunFolder], study: str) -> str:
    """Return a sentence on how many runs there are, and how many of them have finished."""
    n_runs = len(run_folders)
    n_finished = sum(run.result is not None for run in run_folders)
    if n_finished == n_runs:
        return f"This report covers {count_things(n_runs, 'finished run')}{study}."
    finished = f"of which {n_finished} have finished" if n_runs > 1 else "which has not finished"
    return f"This report covers {count_things(n_runs, 'run')}{study}, {finished}."


def _names(names: Sequence[str], kind: str) -> str:
    """Return ``a, b and c``, or how many there are."""
    if len(names) > MAX_NAMES:
        return f"{len(names)} {kind}"
    return join_words(names)
