"""The command line: options, one call, output. Heavy imports live inside the commands."""

import os
from typing import Any

import click

from cnlw_tools import __version__
from cnlw_tools.cli.build import build
from cnlw_tools.cli.diff import diff
from cnlw_tools.cli.export import export
from cnlw_tools.cli.features import features
from cnlw_tools.cli.fetch import fetch
from cnlw_tools.cli.import_ import import_
from cnlw_tools.cli.label import label
from cnlw_tools.cli.list import list_
from cnlw_tools.cli.plan import plan
from cnlw_tools.cli.report import report
from cnlw_tools.cli.show import show
from cnlw_tools.cli.sweep import sweep
from cnlw_tools.cli.train import train
from cnlw_tools.cli.train_mentor import train_mentor
from cnlw_tools.cli.validate import validate
from cnlw_tools.extras import EXTRAS, install_command

ALIKE = (
    ValueError,
    LookupError,
    FileNotFoundError,
)  # all processes of torchrun raise them: the first speaks


class Polite(click.Group):
    """Says in one line what went wrong and what to do, instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; the library's errors become messages."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read our output has left; click ends quietly
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                raise
            raise click.ClickException(
                f"this needs {package}: {install_command(EXTRAS[package])}"
            ) from error
        except (ValueError, LookupError, OSError) as error:
            if isinstance(error, ALIKE) and os.environ.get("LOCAL_RANK", "0") != "0":
                raise SystemExit(1) from error
            raise click.ClickException(_sentence(error)) from error


@click.group(cls=Polite, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cnlw")
def main() -> None:
    """Controlled noisy-label image benchmarks: plan them, build them, prove them."""


def _sentence(error: Exception) -> str:
    """Say it in one line: the place and the system's words where it is the system's error, and what was added."""
    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        said = f"{place}{error.strerror}: check the path and its permissions"
    return ". ".join([said, *getattr(error, "__notes__", [])])


for command in (
    build,
    diff,
    export,
    features,
    fetch,
    import_,
    label,
    list_,
    plan,
    report,
    show,
    sweep,
    train,
    train_mentor,
    validate,
):
    main.add_command(command)
