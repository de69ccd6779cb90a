"""Where the numbers of a report come from: data, versions and commands of the runs."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cnlw_tools.registry.counts import count_things
from cnlw_tools.reports.runs import RunFolder
from cnlw_tools.reports.tables import Table
from cnlw_tools.reports.trials import natural_sort_key

DIGEST_CAPTION = (
    "The sha256 of the images and given labels of each split, independent of their order."
)


def provenance_tables(
    run_folders: Sequence[RunFolder], study_command: Sequence[str] = ()
) -> list[Table]:
    """Return data, versions and commands, each stated once; and the runs that have not ended.

    Args:
        run_folders: all runs
        study_command: of the sweep that recorded the study; empty: there was none
    """
    tables = [_data_table(run_folders), _command_table(run_folders)]
    if study_command:
        rows = [[_join_command(study_command)]]
        tables.append(Table("Study recorded by", ["Command"], rows))
    unfinished = []
    for run in run_folders:
        if run.result is None:
            unfinished.append([run.name, count_things(len(run.history), "epoch")])
    if unfinished:
        tables.append(
            Table(
                "Not ended",
                ["Run", "Length"],
                unfinished,
            )
        )
    return tables


def _data_table(run_folders: Sequence[RunFolder]) -> Table:
    """Return the digest of each split, with the configs that share it."""
    configs_by_data: dict[tuple[str, str, str], set[str]] = {}
    for run in run_folders:
        for split, digest in run.config.data.items():
            key = (run.dataset, split, digest)
            configs_by_data.setdefault(key, set()).add(run.config.config)
    rows = []
    for (dataset, split, digest), configs in configs_by_data.items():
        config_names = ", ".join(sorted(configs, key=natural_sort_key))
        rows.append([dataset, config_names, split, digest])
    rows.sort(key=lambda row: (row[2], row[0], natural_sort_key(row[1])))
    header = ["Dataset", "Configs", "Split", "Digest"]
    return Table(
        "Data",
        header,
        rows,
        DIGEST_CAPTION,
        n_text_columns=4,
    )


def _command_table(run_folders: Sequence[RunFolder]) -> Table:
    """Return each command and its versions, with the number of its runs."""
    counts = Counter((_versions(run), _command_line(run)) for run in run_folders)
    rows = []
    for (versions, command), count in sorted(counts.items()):
        rows.append([command, versions, str(count)])
    return Table(
        "Made by",
        ["Command", "Versions", "Runs"],
        rows,
        n_text_columns=2,
    )


def _command_line(run: RunFolder) -> str:
    """Return the command line of a run."""
    return _join_command(run.config.command)


def _join_command(command: Sequence[str]) -> str:
    """Return a command in a line; the program by its name."""
    program, *arguments = command
    name = Path(program).name
    if name == "__main__.py":
        name = "cnlw"
    return shlex.join([name, *arguments])


def _versions(run: RunFolder) -> str:
    return ", ".join(f"{name} {version}" for name, version in run.config.versions.items())
