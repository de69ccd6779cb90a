"""What the commands import, by name: a heavy package costs every start of a command."""

import json
import subprocess
import sys

from benchmarks.start import find_imports
from cnlw_tools.cli import COMMANDS

LIGHT = ("click", "cnlw_tools")  # and the standard library: all that a command line is made of
HEAVY = {"datasets", "distributed", "huggingface_hub", "matplotlib", "pandas", "pyarrow.dataset"}
HEAVY |= {"ray", "requests", "scipy", "timm", "torch", "torchvision"}
NEED_TORCH = {"train", "train-mentor", "predict", "predict-labels", "sweep"}
# Each in a fork, so that none is excused by another before it.
IMPORT_IN_FORKS = """
import json, os, sys

for name, statements in json.loads(sys.argv[1]).items():
    pid = os.fork()
    if not pid:
        exec(statements, {})
        print(json.dumps([name, sorted(sys.modules)]), flush=True)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"{name} cannot be imported")
"""

RUN = """
import sys
import pyarrow as pa
from click.testing import CliRunner
from cnlw_tools.cli import main

for line in sys.argv[1:]:
    result = CliRunner().invoke(main, line.split())
    assert result.exit_code == 0, result.output
assert "pandas" not in sys.modules
assert len(pa.table({"a": [1, 2]}).to_pandas()) == 2
assert "pandas" in sys.modules
"""


def modules_after(statements: dict[str, str]) -> dict[str, set[str]]:
    """Return the names of the modules that are there after statements, for each name of some."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_IN_FORKS, json.dumps(statements)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: set(modules) for name, modules in map(json.loads, done.stdout.splitlines())}


def test_reading_a_command_imports_nothing_but_click() -> None:
    """The options of a command need no table, no image and no network."""
    statements = {name: f"import {COMMANDS.target(name).partition(':')[0]}" for name in COMMANDS}
    modules = modules_after(statements | {"help": "import cnlw_tools.cli", "nothing": ""})

    for name in COMMANDS:
        packages = {m.partition(".")[0] for m in modules[name] - modules["nothing"]}
        assert packages - sys.stdlib_module_names <= {*LIGHT}, name
    ours = {module for module in modules["help"] if module.startswith("cnlw_tools")}
    assert {"cnlw_tools", "cnlw_tools.cli", "cnlw_tools.registry"} == ours


def test_a_command_imports_what_it_needs_alone() -> None:
    """What a command imports when it runs has none of the packages that only others need."""
    statements = {name: "\n".join(find_imports(command)) for name, command in COMMANDS.items()}
    light = "\n".join(statements[name] for name in statements if name not in NEED_TORCH)
    modules = modules_after({"light": light})

    assert not HEAVY & modules["light"]


def test_no_command_waits_for_pandas(tmp_path) -> None:
    """Arrow would import it with the first value; where it is asked for, it is there."""
    plan = f"plan --noise blue --level 40 --out {tmp_path / 'plan.parquet'}"
    subprocess.run([sys.executable, "-c", RUN, plan, "list datasets"], check=True)
