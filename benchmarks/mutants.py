"""Does a test notice? Plant one mistake at a time and run its tests: make mutants

python -m benchmarks.mutants [WORD ...] tries the mistakes of `mutants.toml` whose file or sentence
has a word. Each is planted in a temporary copy of the checkout, never in the checkout. Before that
the tests run once without a mistake, because a test that always fails would notice everything. A
mistake is killed if a test fails or runs out of time. What survives is in `mutants.md`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIME_LIMIT = 300  # seconds for the tests of one mistake: a mutated loop may never end
COPIED = ("cnlw_tools", "tests", "pipelines", "manifests", "annotations", "pyproject.toml")
PASSED, FAILED = 0, 1  # exit codes of pytest; all others mean that it could not test


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake, and the tests that should notice it."""

    mistake: str  # what is wrong, in words
    file: str
    old: str  # text that the file has once
    new: str
    tests: tuple[str, ...]  # files or node ids


def main() -> int:
    """Plant all mistakes, print which were killed, and return 1 if one survived."""
    mutants = choose_mutants(read_mutants(), sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        copy_checkout(copy)
        check_old_texts(copy, mutants)
        all_tests = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
        check_tests_pass(copy, all_tests)
        n_survivors = 0
        for mutant in mutants:
            is_killed = try_mutant(copy, mutant)
            n_survivors += not is_killed
            verdict = "killed" if is_killed else "SURVIVED"
            print(f"| {verdict:8} | {mutant.file} | {mutant.mistake} |", flush=True)
    print(f"{len(mutants) - n_survivors} of {len(mutants)} killed")
    return 1 if n_survivors else 0


def read_mutants() -> list[Mutant]:
    """Read the list of mistakes."""
    text = ROOT.joinpath("benchmarks/mutants.toml").read_text("utf-8")
    mutants = []
    for table in tomllib.loads(text)["mutant"]:
        tests = tuple(table.pop("tests"))
        mutants.append(Mutant(tests=tests, **table))
    return mutants


def choose_mutants(mutants: list[Mutant], words: list[str]) -> list[Mutant]:
    """Return the mistakes whose file or sentence has one of the words; all without words."""
    if not words:
        return mutants
    chosen = []
    for mutant in mutants:
        description = f"{mutant.file} {mutant.mistake}"
        if any(word in description for word in words):
            chosen.append(mutant)
    if not chosen:
        raise SystemExit(f"no mistake has {' or '.join(words)} in its file or its sentence")
    return chosen


def copy_checkout(copy: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)


def check_old_texts(copy: Path, mutants: list[Mutant]) -> None:
    """Exit with an error that lists each mistake whose old text is not in its file once."""
    faults = []
    for mutant in mutants:
        path = copy / mutant.file
        count = path.read_text("utf-8").count(mutant.old) if path.is_file() else 0
        if count != 1:
            faults.append(f"{mutant.file}: {mutant.mistake}: {mutant.old!r} is there {count} times")
    if faults:
        lines = "\n".join(faults)
        raise SystemExit(
            f"{lines}\nA mistake replaces text that its file has once. "
            "Fix: write `old` in benchmarks/mutants.toml as the file has it now"
        )


def check_tests_pass(copy: Path, tests: tuple[str, ...]) -> None:
    """Run the tests without a mistake, and exit with what pytest says if they do not pass."""
    result = run_tests(copy, tests, None)
    if result.returncode != PASSED:
        raise SystemExit(f"{result.stdout}\nThe tests must pass before a mistake is planted")


def try_mutant(copy: Path, mutant: Mutant) -> bool:
    """Plant a mistake, say whether its tests notice, and take it away again."""
    path = copy / mutant.file
    text = path.read_text("utf-8")
    path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
    try:
        result = run_tests(copy, mutant.tests, TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(text, "utf-8")
    if result.returncode not in (PASSED, FAILED):
        raise SystemExit(f"{result.stdout}\npytest could not test {mutant.mistake!r}")
    return result.returncode == FAILED


def run_tests(
    copy: Path,
    tests: tuple[str, ...],
    time_limit: float | None,
) -> subprocess.CompletedProcess[str]:
    """Run pytest in the copy.

    Raises:
        TimeoutExpired: the tests take longer than the limit, in seconds
    """
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    # Bytecode would be stale: a file changes twice in a second, and often keeps its size.
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command,
        cwd=copy,
        env=environment,
        timeout=time_limit,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
