"""``cnlw validate``: prove a build from the build alone."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from cnlw_tools.cli.options import (
    CACHE,
    DONOR,
    ENGINE,
    SHARD,
    STORE,
    WORKERS,
    PathOrAddress,
    read_inputs,
)
from cnlw_tools.files.mirror import local_copy, name_addresses
from cnlw_tools.registry.counts import count_things

if TYPE_CHECKING:
    from cnlw_tools.checks import CheckResult, Finding
    from cnlw_tools.checks.evidence import Evidence
    from cnlw_tools.executor import Executor
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.recipe.inputs import Inputs

MARK = {"error": "ERROR", "caused": "caused", "note": "note", "ok": "ok", "skip": "-"}
COLOUR = {
    "error": "red",
    "caused": "yellow",
    "note": "yellow",
    "ok": "green",
    "skip": "bright_black",
}
WIDTH = 15  # letters of the longest name of a check
MAX_SHOWN = 10  # findings of a check


class NoBuild(click.ClickException):
    """There is no build to check: neither right nor wrong."""

    exit_code = 2


@click.command()
@click.argument("build", required=False, type=PathOrAddress(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.option(
    "--end-to-end",
    is_flag=True,
    help="Also train briefly on every config, and check the results.",
)
@click.option(
    "--data-dir",
    type=PathOrAddress(path_type=Path),
    help="Folder or address of your images; those of the build are compared with them.  "
    "[default: none]",
)
@DONOR
@STORE
@CACHE
@SHARD
@click.option(
    "--out",
    type=PathOrAddress(path_type=Path),
    help="Folder or address to which --shard writes its findings.  [default: none]",
)
@click.option(
    "--join",
    "joined_folders",
    type=PathOrAddress(path_type=Path),
    multiple=True,
    help="Use the findings that --shard wrote to this folder or address; may be repeated.  "
    "[default: none]",
)
@ENGINE
@WORKERS
def validate(
    build: Path | str | None,
    as_json: bool,
    end_to_end: bool,
    data_dir: Path | str | None,
    donors: tuple[str, ...],
    store: Path | None,
    cache: Path | None,
    shard: str | None,
    out: Path | str | None,
    joined_folders: tuple[Path | str, ...],
    engine: str,
    workers: int | None,
) -> None:
    """Check that a build contains exactly what its card and its tables say.

    BUILD is the folder of a build, or its address, such as s3://bucket/build. The default is the
    newest build under builds/. The exit code is 0 if there are no errors. It is 1 if there are
    errors, or if this machine cannot read the build. It is 2 if there is no build to check, for
    example because the card is missing, or if the command line is wrong.

    Several processes can share the work. With --shard 2/5 --out DIR, the command inspects only the
    second of five parts of the images and writes its findings to DIR. A final command with --join
    DIR uses these findings, inspects the parts that are missing from DIR, and runs all checks.
    """
    from cnlw_tools.executor import open_executor
    from cnlw_tools.executor.fork_server import CHECK_MODULES
    from cnlw_tools.executor.progress import ProgressBars

    _check_choices(shard, out, joined_folders, as_json, end_to_end)
    if cache is not None and not end_to_end:
        raise ValueError(
            f"--cache {cache} has no effect without --end-to-end: give --end-to-end as well, "
            "or omit --cache"
        )
    inputs = read_inputs(None, data_dir, donors, store)
    with open_executor(engine, workers, CHECK_MODULES) as executor, ProgressBars() as bars:
        # here, since another process begins to import the same when the executor is opened
        from cnlw_tools.checks import validate as run_all

        if shard is not None and out is not None:
            text = _inspect(build, out, shard, inputs, executor, bars)
        else:
            place, evidence = _collect(build, inputs, executor, bars, joined_folders)
            results = run_all(evidence, executor if end_to_end else None, bars, cache)
    if shard is not None:
        click.echo(text)
    else:
        _print_results(place, results, as_json, list(evidence.card.configs))


def _check_choices(
    shard: str | None,
    out: Path | str | None,
    joined_folders: tuple[Path | str, ...],
    as_json: bool,
    end_to_end: bool,
) -> None:
    """Raise if an option does not go with --shard, or --out is given without it.

    Raises:
        ValueError: with the option
    """
    if shard is None:
        if out is not None:
            raise ValueError(
                f"--out {out} has no effect without --shard: give --shard as well, or omit --out"
            )
        return
    if out is None:
        raise ValueError(f"--shard {shard} needs a folder for its findings: give --out DIR as well")
    last = {"--join": bool(joined_folders), "--json": as_json, "--end-to-end": end_to_end}
    for option, is_given in last.items():
        if is_given:
            raise ValueError(
                f"--shard {shard} cannot be given with {option}: only the final command, "
                f"without --shard, runs the checks: give {option} to that command"
            )


def _inspect(
    build: Path | str | None,
    out: Path | str,
    shard: str,
    inputs: "Inputs",
    executor: "Executor",
    bars: "ProgressBars",
) -> str:
    """Look at the images of one of several processes; return what there is to print."""
    from cnlw_tools.builds.build import last_build
    from cnlw_tools.card.remote import local_build
    from cnlw_tools.checks.collect import inspect_shard, open_findings
    from cnlw_tools.executor.progress import fit_parts
    from cnlw_tools.executor.work_shard import parse_work_shard

    work_shard = parse_work_shard(shard)
    with _no_build():
        folder = local_build(build or last_build(Path("builds")), progress=bars)
        with open_findings(out, work_shard) as findings:
            path, n_images, n_bad = inspect_shard(
                folder, findings, work_shard, inputs, executor, bars
            )
    images = count_things(n_images, "image")
    return fit_parts(
        [f"{name_addresses(str(path))}: {images} of shard {shard}, {n_bad} of them with errors"]
    )


def _collect(
    build: Path | str | None,
    inputs: "Inputs",
    executor: "Executor",
    bars: "ProgressBars",
    joined_folders: tuple[Path | str, ...],
) -> "tuple[Path | str, Evidence]":
    """Read a build; return its folder or address, too."""
    from cnlw_tools.builds.build import last_build
    from cnlw_tools.card.remote import local_build
    from cnlw_tools.checks import collect_evidence

    with _no_build():
        place = build or last_build(Path("builds"))
        folder = local_build(place, progress=bars)
        joined = [local_copy(joined_folder, progress=bars) for joined_folder in joined_folders]
        return place, collect_evidence(folder, inputs, executor, bars, joined)


@contextmanager
def _no_build() -> Iterator[None]:
    """Say by the exit code that nothing was checked, where the block cannot read the build."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        raise NoBuild(name_addresses(str(error))) from error


def _print_results(
    place: Path | str, results: Sequence["CheckResult"], as_json: bool, configs: Sequence[str]
) -> NoReturn:
    """Print the results of all checks and exit: with 1 if there are errors."""
    from cnlw_tools.checks.finding import count_findings
    from cnlw_tools.cli.next_step import loading_lines, print_next

    findings = [finding for result in results for finding in result.findings]
    n_errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        click.echo(json.dumps(_to_json(place, results, n_errors), indent=1))
    else:
        for result in results:
            _print_result(result)
        n_checks = count_things(len(results), "check")
        click.echo(f"{place}: {count_findings(findings)}, {n_checks}")
        if configs and not n_errors:
            print_next(*loading_lines(place, configs))
    raise SystemExit(1 if n_errors else 0)


def _to_json(
    place: Path | str, results: Sequence["CheckResult"], n_errors: int
) -> dict[str, object]:
    """Return what --json prints."""
    checks = []
    findings = []
    for result in results:
        checks.append(
            {
                "name": result.name,
                "claim": result.claim,
                "does_not_apply": result.skipped,
                "causes": result.causes,
            }
        )
        for finding in result.findings:
            location = name_addresses(finding.location)
            findings.append({"check": result.name, **asdict(finding), "location": location})
    return {
        "build": str(place),
        "ok": n_errors == 0,
        "errors": n_errors,
        "checks": checks,
        "findings": findings,
    }


def _print_result(result: "CheckResult") -> None:
    """Print a line for a check, and one for each of its first findings."""
    from cnlw_tools.checks.finding import abbreviate

    kind = _kind(result)
    mark = click.style(f"{MARK[kind]:6}", fg=COLOUR[kind])
    remark = f" (does not apply: {result.skipped})" if result.skipped else ""
    if result.causes:
        remark += f" (by {abbreviate(result.causes)})"
    click.echo(f"{mark} {result.name:{WIDTH}} {result.claim}{remark}")
    for finding in result.findings[:MAX_SHOWN]:
        text = f"{finding.location}: {finding.message} [{finding.count}]; {finding.fix}"
        click.echo(f"       {name_addresses(text)}")
        if finding.consequences:
            click.echo(f"         {_describe_consequences(finding)}")
    n_hidden = len(result.findings) - MAX_SHOWN
    if n_hidden > 0:
        click.echo(f"       and {count_things(n_hidden, 'more finding')}; --json shows all")


def _kind(result: "CheckResult") -> str:
    """Return the worst that a check has to say."""
    if result.skipped:
        return "skip"
    worst = min((finding.severity for finding in result.findings), default="ok")  # error < note
    return "caused" if result.causes and worst != "error" else worst


def _describe_consequences(finding: "Finding") -> str:
    """Return how many errors follow from one, and of which checks at which places."""
    from cnlw_tools.checks.finding import abbreviate

    places: dict[str, dict[str, None]] = {}
    for effect in finding.consequences:
        places.setdefault(effect.check, {})[effect.location] = None
    checks = [f"{check} ({abbreviate(list(names))})" for check, names in places.items()]
    errors = count_things(len(finding.consequences), "error")
    verb = "follows" if len(finding.consequences) == 1 else "follow"
    return f"{errors} of other checks {verb} from it: {', '.join(checks)}"
