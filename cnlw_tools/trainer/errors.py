"""The exception with which training ends when a signal asks it to stop."""

import signal


class TrainingStopped(Exception):
    """A signal asked training to stop, and its state is saved; the message says how to resume.

    Args:
        message: where the state is, and how to go on
        signal_number: of the signal
    """

    def __init__(self, message: str, signal_number: int = signal.SIGTERM) -> None:
        super().__init__(message)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports of a program which the signal ended."""
        return 128 + self.signal_number
