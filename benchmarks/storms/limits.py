"""Commands under limits that are too small for them: open files, sizes of files, memory."""

import random
import resource
import signal
from pathlib import Path

from benchmarks.storms.calls import check_outcome
from benchmarks.storms.child import Child, run_cnlw
from benchmarks.storms.commands import COMMANDS, World
from benchmarks.storms.kills import finish

LIMITS = {
    "open files": resource.RLIMIT_NOFILE,
    "size of files": resource.RLIMIT_FSIZE,
    "memory": resource.RLIMIT_AS,
}


class Storm:
    """Trials under a limit."""

    def __init__(self, world: World) -> None:
        self.world = world

    def run(self, draw: random.Random) -> tuple[str, list[str]]:
        """Run a command under a limit, and then again without it."""
        command = draw.choice(COMMANDS)
        reference = self.world.reference(command)
        name = draw.choice(list(LIMITS))
        value = draw_limit(name, draw)

        def set_limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            limit = value + (address_space() if name == "memory" else 0)
            resource.setrlimit(LIMITS[name], (limit, limit))

        folder = self.world.copy("trial")
        child = Child(run_cnlw(command.line), folder, set_limit)
        outcome = child.wait(60)
        problems = check_outcome(outcome)
        if orphans := child.orphans():
            problems.append(f"{len(orphans)} processes stayed")
        problems += finish(command, folder, reference)
        self.world.remove(folder)
        return f"{command.name}, {name}", [f"{name} {value}: {p}" for p in problems]


def draw_limit(name: str, draw: random.Random) -> int:
    """Return a limit that a command may or may not meet."""
    if name == "open files":
        return draw.randint(8, 60)
    if name == "size of files":
        return draw.choice((100, 1_000, 4_096, 20_000, 100_000))
    return draw.choice((1, 5, 20, 50, 200)) << 20


def address_space() -> int:
    """Return the size of the address space of this process in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()
