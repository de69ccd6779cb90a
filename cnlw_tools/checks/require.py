"""What is published must be sound: no check of the build may find an error."""

from pathlib import Path

from cnlw_tools.checks import CheckResult, validate
from cnlw_tools.checks.collect import collect_evidence
from cnlw_tools.checks.finding import count_findings
from cnlw_tools.executor import SERIAL, Executor, Progress, no_progress


def require_sound(
    folder: Path, executor: Executor = SERIAL, progress: Progress = no_progress
) -> list[CheckResult]:
    """Run every check of a build, and return the results.

    Args:
        folder: of the build
        executor: where images are read
        progress: is told how many checks are done

    Raises:
        ValueError: there is no build, or a check found an error
        OSError: the build cannot be read
    """
    results = validate(
        collect_evidence(folder, executor=executor, progress=progress), None, progress
    )
    findings = [finding for result in results for finding in result.findings]
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        first = errors[0]
        raise ValueError(
            f"{folder}: {count_findings(findings)}, the first in {first.location}: "
            f"{first.message}: run `cnlw validate {folder}`, and publish only a build without "
            "errors"
        )
    return results
