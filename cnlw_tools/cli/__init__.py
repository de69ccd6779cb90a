"""The command line: options, one call, output. Heavy imports are inside the commands."""

from collections.abc import Mapping
from typing import Any

import click

from cnlw_tools import __version__
from cnlw_tools.registry import ImportOnUse

HELP_OPTIONS = ("-h", "--help")
COMMAND_GROUPS: Mapping[str, Mapping[str, str]] = {  # name and summary, as the help lists them
    "Build": {
        "build": "Build images with noisy labels.",
        "plan": "Write a plan: a table without images.",
        "validate": "Check that a build is what it claims to be.",
        "export": "Write a config in another format.",
        "push": "Publish a build on the Hugging Face Hub.",
        "rebuild": "Recreate a published build from your images.",
    },
    "Look": {
        "list": "List datasets, noise, methods and more.",
        "show": "Look at a plan, a build or a store.",
        "diff": "Compare two plans or two builds.",
    },
    "Train": {
        "train": "Train a network with a method.",
        "train-mentor": "Fit a mentor for mentornet or mentormix.",
        "predict": "Predict the classes of your own images.",
        "predict-labels": "Write the labels that a network predicts.",
    },
    "Study": {
        "sweep": "Train all runs of a study.",
        "report": "Write tables and figures about runs.",
    },
    "Web images": {
        "fetch": "Fetch images by URL.",
        "store": "Pack a store of web images.",
        "votes": "Collect, import and report votes.",
    },
    "Tables": {
        "new": "Start a dataset with candidates.",
        "status": "Show the progress of a dataset.",
        "import": "Write the tables of your own dataset.",
        "features": "Write thumbnails as image features.",
    },
}
# A command is imported when it is called, so that the other commands cost it no time.
COMMANDS = ImportOnUse[click.Command](
    __name__,
    {
        "build": "build:build",
        "plan": "plan:plan",
        "validate": "validate:validate",
        "export": "export:export",
        "push": "push:push",
        "rebuild": "rebuild:rebuild",
        "list": "list:list_",
        "show": "show:show",
        "diff": "diff:diff",
        "train": "train:train",
        "train-mentor": "train_mentor:train_mentor",
        "predict": "predict:predict",
        "predict-labels": "predict_labels:predict_labels",
        "sweep": "sweep:sweep",
        "report": "report:report",
        "fetch": "fetch:fetch",
        "store": "store:store",
        "votes": "votes:votes",
        "new": "new:new",
        "status": "status:status",
        "import": "import_:import_",
        "features": "features:features",
    },
)

LATE_ARROW = frozenset({"fetch"})  # commands that import Arrow when they have started something


class FriendlyGroup(click.Group):
    """Prints in one line what went wrong and what to do, instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; the library's errors become messages, and signals exit codes."""
        from cnlw_tools.cli.errors import report_errors  # here, since help needs none of it

        with report_errors():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return a command; unless only its help is printed, Arrow is imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        is_run = not ctx.resilient_parsing and not {*HELP_OPTIONS} & {*rest}
        if is_run and name not in LATE_ARROW:
            from cnlw_tools.files.arrow import keep_pandas_out

            keep_pandas_out()
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their groups, in columns that are the same for all groups."""
        width = max(map(len, self.commands))
        for heading, summaries in COMMAND_GROUPS.items():
            rows = [(f"{name:{width}}", summary) for name, summary in summaries.items()]
            with formatter.section(heading):
                formatter.write_dl(rows)


@click.group(
    cls=FriendlyGroup,
    commands=COMMANDS,
    context_settings={"help_option_names": [*HELP_OPTIONS]},
)
@click.version_option(__version__, prog_name="cnlw")
def main() -> None:
    """Controlled noisy-label image benchmarks: plan them, build them, prove them."""
