"""The command line: options, one call, output. Heavy imports are inside the commands."""

import atexit
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from signal import SIG_DFL, SIGINT, signal
from typing import Any

import click

from cnlw_tools import __version__
from cnlw_tools.cli.build import build
from cnlw_tools.cli.diff import diff
from cnlw_tools.cli.export import export
from cnlw_tools.cli.features import features
from cnlw_tools.cli.fetch import fetch
from cnlw_tools.cli.import_ import import_
from cnlw_tools.cli.list import list_
from cnlw_tools.cli.plan import plan
from cnlw_tools.cli.predict import predict
from cnlw_tools.cli.predict_labels import predict_labels
from cnlw_tools.cli.push import push
from cnlw_tools.cli.report import report
from cnlw_tools.cli.show import show
from cnlw_tools.cli.store import store
from cnlw_tools.cli.sweep import sweep
from cnlw_tools.cli.train import train
from cnlw_tools.cli.train_mentor import train_mentor
from cnlw_tools.cli.validate import validate
from cnlw_tools.cli.votes import votes
from cnlw_tools.executor.signals import Interrupted, raise_on_signal
from cnlw_tools.files.machine_faults import REMEDIES, find_fault, hold_threads
from cnlw_tools.files.mirror import name_addresses
from cnlw_tools.registry.extras import EXTRAS, install_command

COMMAND_GROUPS: Mapping[str, tuple[click.Command, ...]] = {  # as the help lists them
    "Build": (build, plan, validate, export, push),
    "Look": (list_, show, diff),
    "Train": (train, train_mentor, predict, predict_labels),
    "Study": (sweep, report),
    "Web images": (fetch, store, votes),
    "Tables": (import_, features),
}
# Every process of torchrun raises these alike, and the first one alone prints them.
RAISED_BY_ALL = (ValueError, LookupError, FileNotFoundError)


class FriendlyGroup(click.Group):
    """Prints in one line what went wrong and what to do, instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; the library's errors become messages, and signals exit codes."""
        try:
            with hold_threads():  # their lack is an error here, before Arrow needs them
                pass
            with exit_on_signal():
                return super().invoke(ctx)
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their groups, in columns that are the same for all groups."""
        width = max(map(len, self.commands))
        for heading, commands in COMMAND_GROUPS.items():
            rows = []
            for command in commands:
                name = command.name or ""
                rows.append((f"{name:{width}}", command.get_short_help_str(formatter.width)))
            with formatter.section(heading):
                formatter.write_dl(rows)


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


@click.group(cls=FriendlyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cnlw")
def main() -> None:
    """Controlled noisy-label image benchmarks: plan them, build them, prove them."""


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


for commands in COMMAND_GROUPS.values():
    for command in commands:
        main.add_command(command)
