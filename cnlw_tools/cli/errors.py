"""What the command line says of errors and signals: one line, instead of a traceback."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIG_DFL, SIGINT, signal

import click

from cnlw_tools.executor.signals import Interrupted, raise_on_signal
from cnlw_tools.files.machine_faults import REMEDIES, find_fault, hold_threads
from cnlw_tools.files.mirror import name_addresses
from cnlw_tools.registry.extras import EXTRAS, install_command

# Every process of torchrun raises these alike, and the first one alone prints them.
RAISED_BY_ALL = (ValueError, LookupError, FileNotFoundError)


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn the library's errors in a block into messages, and signals into exit codes.

    Raises:
        ClickException: what went wrong and what to do, in one line
        SystemExit: a signal came, or another process prints the message
    """
    try:
        with hold_threads():  # their lack is an error here, before Arrow needs them
            pass
        with exit_on_signal():
            yield
    except BrokenPipeError:
        raise  # the reader of our output has left; click ends quietly
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        command = install_command(EXTRAS[package])
        raise click.ClickException(f"this needs {package}: {command}") from error
    except (ValueError, LookupError, OSError) as error:
        if isinstance(error, RAISED_BY_ALL) and os.environ.get("LOCAL_RANK", "0") != "0":
            raise SystemExit(1) from error
        raise click.ClickException(format_error(error)) from error
    except (MemoryError, RuntimeError) as error:
        fault = find_fault(error)
        if fault is None:
            raise
        raise click.ClickException(str(fault)) from error


@contextmanager
def exit_on_signal() -> Iterator[None]:
    """Exit with one line on SIGTERM, with 143, and on Ctrl-C, with 130."""
    try:
        with raise_on_signal():
            yield
    except KeyboardInterrupt as interrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            notes = "".join(f". {note}" for note in getattr(interrupt, "__notes__", []))
            click.echo(f"stopped: run the same command again{notes}", err=True)
        if not isinstance(interrupt, Interrupted):
            interrupt = Interrupted(SIGINT)
        raise SystemExit(interrupt.exit_code) from interrupt
    finally:
        # A signal that comes while the interpreter ends would be printed, and forgotten.
        atexit.register(signal, SIGINT, SIG_DFL)


def format_error(error: Exception) -> str:
    """Return an error in one line; one of the system with its place and a remedy."""
    message = str(error)
    if isinstance(error, KeyError) and error.args:
        message = str(error.args[0])
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        remedy = REMEDIES.get(error.errno or 0, "check the path and its permissions")
        message = f"{place}{error.strerror}: {remedy}"
    return name_addresses(". ".join([message, *getattr(error, "__notes__", [])]))
