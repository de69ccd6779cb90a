"""The exceptions with which training ends: by a signal, or by predictions that are not numbers."""

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


class NonfinitePredictions(ValueError):
    """A network predicts NaN or infinity, which no accuracy can be measured of.

    Args:
        split: the images
        n_nonfinite: how many of them have such predictions
        n_images: how many there are
    """

    def __init__(self, split: str, n_nonfinite: int, n_images: int) -> None:
        super().__init__(
            f"{split}: the network predicts NaN or infinity for {n_nonfinite:,} of "
            f"{n_images:,} images: try a lower --lr or a warmup in the preset"
        )
