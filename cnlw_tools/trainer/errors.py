"""How training says that it was asked to stop."""

import signal


class Stopped(Exception):
    """Training was asked to stop, and has saved where it was; the message says how to go on."""

    def __init__(self, message: str, number: int = signal.SIGTERM) -> None:
        super().__init__(message)
        self.number = number  # of the signal that asked

    @property
    def code(self) -> int:
        """The exit code of a program that the signal ended, as a shell says it."""
        return 128 + self.number
