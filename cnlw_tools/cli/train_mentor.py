"""``cnlw train-mentor``: the small network that weighs examples for mentornet and mentormix."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnlw_tools.cli.options import (
    CACHE,
    DECODE_THREADS,
    DEVICE,
    PRESET,
    ROOT,
    SEED,
    PathOrAddress,
    check_ending,
    find_root,
    pop_preset_changes,
    preset_options,
)
from cnlw_tools.cli.train import exit_when_stopped

if TYPE_CHECKING:
    from cnlw_tools.methods.components.mentor_fit import FittedMentor


@click.command("train-mentor")
@click.option(
    "--out",
    required=True,
    type=PathOrAddress(dir_okay=False, path_type=Path),
    help="File or address of the mentor to write; its name ends in .json.",
)
@click.option("--rule", help="Name of the formula that the mentor learns.  [default: none]")
@click.option(
    "--data",
    "build",
    metavar="BUILD",
    type=PathOrAddress(path_type=Path),
    help="Folder or address of a build; the mentor is fitted to its split `verified`.  "
    "[default: none]",
)
@click.option("--config", help="Config of the build; needed with --data.  [default: none]")
@click.option(
    "--percentile",
    default=0.9,
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    show_default=True,
    help="The mentor compares each loss with this quantile of the losses.",
)
@PRESET
@preset_options
@SEED
@DEVICE
@ROOT
@CACHE
@DECODE_THREADS
def train_mentor(
    out: Path | str,
    rule: str | None,
    build: Path | str | None,
    config: str | None,
    percentile: float,
    seed: int,
    **flags: Any,
) -> None:
    """Fit a mentor, a small network that weights training examples by their losses.

    Give either --rule, or --data together with --config.

    With --rule, the mentor learns to compute the same weights as one of these formulas: baseline,
    threshold, self_paced, hard_mining, focal, spcl or pd. The page "What methods share" of the
    documentation lists them. Of the other options, only --out and --seed have an effect in this
    case.

    With --data and --config, the mentor learns from the split `verified` of a config; the true
    labels of this split are known. The command first trains a student, which is an ordinary
    network, on this split. The options from --preset to --decode-threads apply to this training.
    The mentor then learns to tell wrong labels from correct ones by the losses of the student. The
    training run of the student is kept in a folder beside the mentor, such as mentor.student beside
    mentor.json. If the command is interrupted, run it again to resume.

    To use the mentor, run `cnlw train --method mentornet -o mentor=FILE.json`. FILE.json is the
    file that --out names.
    """
    from cnlw_tools.files import atomic_write
    from cnlw_tools.files.outputs import output_file
    from cnlw_tools.files.storage import with_ending
    from cnlw_tools.methods.components.mentor_fit import to_json

    check_ending(out, ".json", "mentors")
    with output_file(out) as path:
        if rule is not None and build is None and config is None:
            mentor = _fit_to_rule(rule, seed)
            origin: dict[str, Any] = {"rule": rule, "seed": seed}
        elif rule is None and build is not None and config is not None:
            student = with_ending(out, ".student")
            mentor = _fit_to_student(build, config, percentile, seed, student, flags)
            origin = {"data": str(build), "config": config, "percentile": percentile, "seed": seed}
        else:
            raise ValueError("give either --rule pd, or --data BUILD with --config CONFIG")
        with atomic_write(path) as draft:
            draft.write_text(to_json(mentor, **origin), encoding="utf-8")
    click.echo(
        f"{out}: {100 * mentor.agreement:.2f} % of held-out rows on the right side, "
        f"error {mentor.error:.3g}"
    )


def _fit_to_rule(rule: str, seed: int) -> "FittedMentor":
    from cnlw_tools.methods.components.mentor_fit import fit_mentor, predefined_samples
    from cnlw_tools.methods.components.weighting_rules import RULES
    from cnlw_tools.registry import pick

    return fit_mentor(predefined_samples(pick(RULES, rule, "rule")), seed)


def _fit_to_student(
    build: Path | str,
    config: str,
    percentile: float,
    seed: int,
    student_folder: Path | str,
    flags: dict[str, Any],
) -> "FittedMentor":
    from cnlw_tools.executor.progress import ProgressBars
    from cnlw_tools.trainer import Trainer
    from cnlw_tools.trainer.mentor import train_data_driven_mentor

    student = Trainer(
        build,
        config,
        changes=pop_preset_changes(flags),
        seed=seed,
        split="verified",
        out=student_folder,
        resume=True,
        root=find_root(flags.pop("root")),
        **flags,
    )
    with exit_when_stopped(), ProgressBars() as bars:
        return train_data_driven_mentor(student, percentile, seed, bars)
