"""Commands whose n-th writing call fails, writes only half, or is their last; then run again."""

import errno
import random

from benchmarks.storms import system_calls
from benchmarks.storms.child import Child, Outcome, run_cnlw, run_in_child
from benchmarks.storms.commands import COMMANDS, Command, World
from benchmarks.storms.kills import finish

KILLS = (system_calls.KILL_BEFORE, system_calls.KILL_HALF, system_calls.KILL_AFTER)


class Storm:
    """Trials in which a call fails."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.n_calls: dict[str, int] = {}

    def run(self, draw: random.Random) -> tuple[str, list[str]]:
        """Let one call fail, and then let the command finish."""
        command = draw.choice(COMMANDS)
        reference = self.world.reference(command)
        number = draw.randrange(max(1, self._count_calls(command)))
        action = draw.choice((system_calls.FAIL, system_calls.FAIL, system_calls.HALF, *KILLS))
        error = draw.choice(system_calls.ERRORS)
        is_permanent = draw.random() < 0.5
        folder = self.world.copy("trial")
        child = Child(
            run_cnlw(command.line),
            folder,
            lambda: system_calls.arm(folder, number, error, action, is_permanent),
        )
        outcome = child.wait(60)
        problems = []
        if action not in KILLS:
            problems = check_outcome(outcome)
        if orphans := child.orphans():
            problems.append(f"{len(orphans)} processes stayed")
        problems += finish(command, folder, reference)
        self.world.remove(folder)
        name = "killed" if action in KILLS else errno.errorcode[error]
        where = f"{name} at writing call {number}{' and all later ones' * is_permanent}"
        return command.name, [f"{where}: {problem}" for problem in problems]

    def _count_calls(self, command: Command) -> int:
        if command.name not in self.n_calls:
            folder = self.world.copy("trial")
            place = folder.with_name("n_calls")

            def run() -> int:
                try:
                    return run_cnlw(command.line)() or 0
                finally:
                    place.write_text(str(system_calls.count()))

            run_in_child(run, folder, lambda: system_calls.arm(folder, -1, 0, 0, False))
            self.n_calls[command.name] = int(place.read_text())
            self.world.remove(folder)
        return self.n_calls[command.name]


def check_outcome(outcome: Outcome) -> list[str]:
    """Return what is wrong with how a command ended that met an error of the system."""
    problems = []
    if "Traceback" in outcome.output:
        problems.append(f"traceback: {outcome.last_lines}")
    if outcome.timed_out:
        problems.append(f"hangs: {outcome.last_lines}")
    if outcome.exit_code < 0:
        problems.append(f"ended by signal {-outcome.exit_code}: {outcome.last_lines}")
    if outcome.exit_code and not outcome.output.strip():
        problems.append(f"exit {outcome.exit_code} without a word")
    return problems
