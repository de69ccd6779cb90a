"""How long commands take before they work: python benchmarks/start.py [ROUNDS].

The first lines compare `cnlw --help` with an empty Python. Each row of the table is a command: the
processor seconds that a fresh process needs to import what the command's module imports when it
runs, and whether PyTorch is among it.
"""

import ast
import inspect
import json
import subprocess
import sys
import time
from statistics import median

import click

from cnlw_tools.cli import COMMAND_GROUPS

LIMIT = 0.5  # seconds, for a command that needs no PyTorch
TIMED_IMPORT = """
import importlib, json, sys, time
begun = time.process_time()
for name in sys.argv[1:]:
    importlib.import_module(name)
seconds = time.process_time() - begun
print(json.dumps([seconds, "torch" in sys.modules]))
"""


def time_process(*arguments: str) -> float:
    """Return the wall seconds of one Python process."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begun


def find_imports(command: click.Command) -> list[str]:
    """Return the modules that a command's module imports, when it is read or when it runs."""
    callback = inspect.unwrap(command.callback)
    module = inspect.getmodule(callback)
    modules = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body.clear()  # imports for the type checker; walk has not reached them yet
        elif isinstance(node, ast.ImportFrom):
            modules.append(node.module)
        elif isinstance(node, ast.Import):
            modules.extend(name.name for name in node.names)
    return sorted(set(modules))


def time_imports(modules: list[str]) -> tuple[float, bool]:
    """Return the seconds of importing modules in a fresh process, and whether torch came along."""
    arguments = [sys.executable, "-c", TIMED_IMPORT, *modules]
    result = subprocess.run(arguments, check=True, capture_output=True, text=True)
    seconds, has_torch = json.loads(result.stdout)
    return seconds, has_torch


def compare_help(rounds: int) -> None:
    """Print how long `cnlw --help` takes beside an empty Python."""
    helps = [time_process("-m", "cnlw_tools", "--help") for _ in range(rounds)]
    empties = [time_process("-c", "") for _ in range(rounds)]
    ours, empty = median(helps), median(empties)
    print(f"cnlw --help {ours:.3f} s, python -c '' {empty:.3f} s, ratio {ours / empty:.1f}")


def list_imports(rounds: int) -> None:
    """Print a row for every command: the seconds of its imports, and whether torch is there."""
    print(f"\n| command | imports, s (asked: < {LIMIT}) | PyTorch |\n|---|---|---|")
    for commands in COMMAND_GROUPS.values():
        for command in commands:
            modules = find_imports(command)
            results = [time_imports(modules) for _ in range(rounds)]
            seconds = median(second for second, _ in results)
            has_torch = results[0][1]
            print(f"| `{command.name}` | {seconds:.2f} | {'yes' if has_torch else ''} |")


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"Medians of {rounds} rounds.")
    compare_help(rounds)
    list_imports(rounds)
