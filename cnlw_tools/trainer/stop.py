"""How training says that it was asked to stop."""


class Stopped(Exception):
    """Training was asked to stop, and has saved where it was; the message says how to go on."""
