"""How long commands take before they work: python benchmarks/start.py [ROUNDS].

The first line compares `cnlw --help` with an empty Python and with click. Each row of the table is a
command: the processor seconds of a fresh process that imports what the command's module imports
when it is read and when the command runs, and whether PyTorch is among it. Modules are compiled
before the first round, as they are on a user's machine, also where PYTHONDONTWRITEBYTECODE is set.
"""

import ast
import inspect
import json
import os
import subprocess
import sys
from statistics import median

import click

from cnlw_tools.cli import COMMANDS

LIMIT = 0.5  # seconds, for a command that needs no PyTorch
TIMED_IMPORT = """
import json, sys, time
exec(sys.argv[1], {})
print(json.dumps([time.process_time(), "torch" in sys.modules]))
"""
ENVIRONMENT = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}


def time_process(*arguments: str) -> float:
    """Return the processor seconds of one Python process."""
    process = subprocess.Popen(
        [sys.executable, *arguments], env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise OSError(f"{process.args} ended with {process.returncode}: mend this first")
    return usage.ru_utime + usage.ru_stime


def find_imports(command: click.Command) -> list[str]:
    """Return the import statements of a command's module, at its top and in its functions."""
    module = inspect.getmodule(inspect.unwrap(command.callback))
    statements = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body.clear()  # imports for the type checker; walk has not reached them yet
        elif isinstance(node, ast.Import | ast.ImportFrom):
            statements.append(ast.unparse(node))
    return sorted(set(statements))


def time_imports(statements: list[str]) -> tuple[float, bool]:
    """Return the seconds of a process that imports modules, and whether torch came along."""
    arguments = [sys.executable, "-c", TIMED_IMPORT, "\n".join(statements)]
    result = subprocess.run(
        arguments, check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    seconds, has_torch = json.loads(result.stdout)
    return seconds, has_torch


def median_seconds(rounds: int, *arguments: str) -> float:
    """Return the median of several processes; the first one, which compiles, does not count."""
    return median([time_process(*arguments) for _ in range(rounds + 1)][1:])


def compare_help(rounds: int) -> None:
    """Print how long `cnlw --help` takes beside an empty Python and the import of click."""
    ours = median_seconds(rounds, "-m", "cnlw_tools", "--help")
    empty = median_seconds(rounds, "-c", "")
    click_alone = median_seconds(rounds, "-c", "import click")
    print(f"cnlw --help {ours:.3f} s, import click {click_alone:.3f} s, python -c '' {empty:.3f} s")


def list_imports(rounds: int) -> None:
    """Print a row for every command: the seconds of its imports, and whether torch is there."""
    print(f"\n| command | imports, s (asked: < {LIMIT}) | PyTorch |\n|---|---|---|")
    for name, command in COMMANDS.items():
        statements = find_imports(command)
        results = [time_imports(statements) for _ in range(rounds + 1)][1:]
        seconds = median(second for second, _ in results)
        has_torch = results[0][1]
        print(f"| `{name}` | {seconds:.2f} | {'yes' if has_torch else ''} |", flush=True)


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    load = os.getloadavg()[0]
    print(f"Medians of {rounds} rounds, in processor seconds; {load:.1f} processes want a core.")
    compare_help(rounds)
    list_imports(rounds)
