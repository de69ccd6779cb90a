"""``cnlw validate``: prove a build from the build alone."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cnlw_tools.cli.options import DONOR, STORE, WORKERS, read_inputs

if TYPE_CHECKING:
    from cnlw_tools.checks import Check, Finding
    from cnlw_tools.checks.learnability import Rule

    Done = tuple[Check | Rule, str | None, list[Finding]]

MARK = {"error": "ERROR", "note": "note", "ok": "ok", "skip": "-"}
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
    from cnlw_tools.build.build import last_build
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
        done: list[Done] = list(run(held, bars))
        if end_to_end:
            from cnlw_tools.checks.learnability import validate as learn

            done += learn(folder, executor, bars)
    findings = [finding for _, _, found in done for finding in found]
    errors = sum(f.severity == "error" for f in findings)
    if as_json:
        click.echo(json.dumps(_object(folder, done, errors), indent=1))
    else:
        for check, why_not, found in done:
            _show(check, why_not, found)
        click.echo(f"{folder}: {errors} errors, {len(findings) - errors} notes, {len(done)} checks")
    raise SystemExit(1 if errors else 0)


def _object(folder: Path, done: list["Done"], errors: int) -> dict[str, object]:
    return {
        "build": str(folder),
        "ok": errors == 0,
        "errors": errors,
        "checks": [
            {"name": c.name, "proves": c.proves, "does_not_apply": why} for c, why, _ in done
        ],
        "findings": [asdict(finding) for _, _, found in done for finding in found],
    }


def _show(check: "Check | Rule", why_not: str | None, found: list["Finding"]) -> None:
    worst = "skip" if why_not else min((f.severity for f in found), default="ok")  # error < note
    mark = click.style(f"{MARK[worst]:6}", fg=COLOUR[worst])
    click.echo(
        f"{mark} {check.name:11} {check.proves}"
        + (f" (does not apply: {why_not})" if why_not else "")
    )
    for finding in found[:10]:
        click.echo(f"       {finding.where}: {finding.what} [{finding.count}]; {finding.mend}")
    if len(found) > 10:
        click.echo(f"       and {len(found) - 10} more findings; --json shows all")
