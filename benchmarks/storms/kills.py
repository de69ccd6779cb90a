"""Commands that are killed at a random moment, and run again."""

import random
import signal
import time
from pathlib import Path

from benchmarks.storms.child import Child, run_cnlw, run_in_child
from benchmarks.storms.commands import COMMANDS, Command, Reference, World, contents_of

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class Storm:
    """Trials that kill."""

    def __init__(self, world: World) -> None:
        self.world = world

    def run(self, draw: random.Random) -> tuple[str, list[str]]:
        """Kill a command, up to three times, and then let it finish."""
        command = draw.choice(COMMANDS)
        reference = self.world.reference(command)
        folder = self.world.copy("trial")
        problems = []
        for _ in range(draw.randint(1, 3)):
            delay = draw.random() * 1.1 * reference.outcome.seconds
            problems += kill_once(command, folder, delay, draw.choice(SIGNALS))
        problems += finish(command, folder, reference)
        self.world.remove(folder)
        return command.name, problems


def kill_once(command: Command, folder: Path, delay: float, number: int) -> list[str]:
    """Start the command, send it a signal after a while, and look for what it leaves running."""
    child = Child(run_cnlw(next_line(command, folder)), folder)
    time.sleep(delay)
    child.signal(number)
    outcome = child.wait(60)
    problems = []
    if "Traceback" in outcome.output and number != signal.SIGINT:
        problems.append(f"traceback: {outcome.last_lines}")
    if outcome.timed_out:
        problems.append(f"did not end within 60 s of signal {number}: {outcome.last_lines}")
    if orphans := child.orphans():
        problems.append(f"{len(orphans)} processes stayed after signal {number}")
    return problems


def next_line(command: Command, folder: Path) -> str:
    """Return how the command is called: as at first, or as one that goes on."""
    is_begun = any((folder / "run").glob("*"))
    return command.resume_line if command.resume_line and is_begun else command.line


def finish(command: Command, folder: Path, reference: Reference) -> list[str]:
    """Run the command to its end, and compare what is there with an undisturbed run."""
    if not (command.new_folder and (folder / command.new_folder).exists()):
        outcome = run_in_child(run_cnlw(next_line(command, folder)), folder)
        if outcome.exit_code:
            return [f"the next run failed: exit {outcome.exit_code}: {outcome.last_lines}"]
    problems = compare(contents_of(folder), dict(reference.contents))
    temporary = folder.with_name(folder.name + ".tmp")
    leftovers = sorted(path.name for path in temporary.iterdir())
    if leftovers:
        problems.append(f"left in the folder for temporary files: {', '.join(leftovers[:5])}")
    return problems


def compare(contents: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Return in what two folders differ."""
    problems = []
    for words, names in (
        ("missing", expected.keys() - contents.keys()),
        ("left over", contents.keys() - expected.keys()),
        ("different", {n for n in expected if contents.get(n, expected[n]) != expected[n]}),
    ):
        if names:
            problems.append(f"{words}: {', '.join(sorted(names)[:5])}")
    return problems
