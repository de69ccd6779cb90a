"""``cnlw validate``: prove a build from the build alone."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import DONOR, STORE, WORKERS, read_inputs

if TYPE_CHECKING:
    from cnlw_tools.checks import CheckResult

MARK = {"error": "ERROR", "note": "note", "ok": "ok", "skip": "-"}
WIDTH = 15  # letters of the longest name of a check
MOST_SHOWN = 10  # findings of a check
COLOUR = {"error": "red", "note": "yellow", "ok": "green", "skip": "bright_black"}


class Unusable(click.ClickException):
    """There is no build to check: neither fine nor faulty."""

    exit_code = 2


@click.command()
@click.argument("build", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option(
    "--end-to-end",
    is_flag=True,
    help="Also train on every config, briefly, and check what must hold.",
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Your copy of the images, to compare with."
)
@DONOR
@STORE
@WORKERS
def validate(
    build: Path | None,
    as_json: bool,
    end_to_end: bool,
    data_dir: Path | None,
    donors: tuple[str, ...],
    store: Path | None,
    workers: int | None,
) -> None:
    """Prove that a build is what it says; without BUILD, the last one under builds/.

    Exit code: 0 nothing but notes, 1 errors, 2 there is no build to check.
    """
    from cnlw_tools.builds.build import last_build
    from cnlw_tools.checks import collect_evidence
    from cnlw_tools.checks import validate as run
    from cnlw_tools.cli.progress import Bars
    from cnlw_tools.executor import EXECUTORS

    inputs = read_inputs(None, data_dir, donors, store)
    with EXECUTORS["local"](workers) as executor, Bars() as bars:
        try:
            folder = build or last_build(Path("builds"))
            held = collect_evidence(folder, inputs, executor, bars)
        except (ValueError, OSError) as error:
            raise Unusable(str(error)) from error
        results = list(run(held, bars))
        if end_to_end:
            from cnlw_tools.checks.learnability import check_learnability

            results += check_learnability(folder, executor, bars)
    findings = [finding for result in results for finding in result.findings]
    errors = sum(f.severity == "error" for f in findings)
    if as_json:
        click.echo(json.dumps(_object(folder, results, errors), indent=1))
    else:
        for result in results:
            _show(result)
        click.echo(
            f"{folder}: {errors} errors, {len(findings) - errors} notes, {len(results)} checks"
        )
    raise SystemExit(1 if errors else 0)


def _object(folder: Path, results: list["CheckResult"], errors: int) -> dict[str, object]:
    """Return what --json prints."""
    checks = []
    findings = []
    for result in results:
        checks.append(
            {"name": result.name, "claim": result.claim, "does_not_apply": result.skipped}
        )
        findings += [{"check": result.name, **asdict(finding)} for finding in result.findings]
    return {
        "build": str(folder),
        "ok": errors == 0,
        "errors": errors,
        "checks": checks,
        "findings": findings,
    }


def _show(result: "CheckResult") -> None:
    """Print a line for a check, and one for each of its first findings."""
    severities = [finding.severity for finding in result.findings]
    worst = "skip" if result.skipped else min(severities, default="ok")  # error < note
    mark = click.style(f"{MARK[worst]:6}", fg=COLOUR[worst])
    reason = f" (does not apply: {result.skipped})" if result.skipped else ""
    click.echo(f"{mark} {result.name:{WIDTH}} {result.claim}{reason}")
    for finding in result.findings[:MOST_SHOWN]:
        click.echo(f"       {finding.location}: {finding.message} [{finding.count}]; {finding.fix}")
    if len(result.findings) > MOST_SHOWN:
        click.echo(
            f"       and {len(result.findings) - MOST_SHOWN} more findings; --json shows all"
        )
