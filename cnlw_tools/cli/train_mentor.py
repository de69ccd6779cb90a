"""``cnlw train-mentor``: fit the small network that weighs examples for `mentornet` and `mentormix`."""

from pathlib import Path
from typing import Any

import click

from cnlw_tools.cli.options import DECODE_THREADS, ROOT, SEED, find_root
from cnlw_tools.cli.train import stoppable


@click.command("train-mentor")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The mentor, a .json file.",
)
@click.option(
    "--rule",
    help="Fit it to a rule: pd, self_paced ...; without one, to verified labels of a build.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder of a build with a split `verified`."
)
@click.option("--config", help="A config of it.")
@click.option(
    "--percentile",
    default=0.9,
    type=click.FloatRange(0, 1),
    show_default=True,
    help="Of the losses; what the mentor compares with.",
)
@click.option("--preset", help="How the student trains.  [default: the dataset's]")
@click.option("--epochs", type=int, help="Of the student.  [default: the preset's]")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of student and fit.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda or auto.")
@ROOT
@DECODE_THREADS
def train_mentor(
    out: Path,
    rule: str | None,
    data: Path | None,
    config: str | None,
    percentile: float,
    epochs: int | None,
    seed: int,
    **flags: Any,
) -> None:
    """Fit a mentor to a rule, or to how a student fares on labels that somebody has verified.

    The student's run lies beside the mentor, in OUT.student; the same command goes on with it. Use the mentor with
    `cnlw train --method mentornet -o mentor=FILE.json`.
    """
    from cnlw_tools.cli.progress import Bars
    from cnlw_tools.files import atomic_write
    from cnlw_tools.methods.components.mentor_fit import fit_mentor, predefined_samples, to_json
    from cnlw_tools.methods.components.weighting_rules import RULES
    from cnlw_tools.registry import pick
    from cnlw_tools.trainer import Trainer
    from cnlw_tools.trainer.mentor import train_data_driven_mentor

    if out.suffix != ".json":
        raise ValueError(f"{out}: a mentor is a .json file: name it so")
    if [said is not None for said in (rule, data, config)] not in (
        [True, False, False],
        [False, True, True],
    ):
        raise ValueError("say --rule pd, or --data BUILD and --config CONFIG: one of the two")
    if rule is not None:
        fitted, made = (
            fit_mentor(predefined_samples(pick(RULES, rule, "rule")), seed),
            {"rule": rule, "seed": seed},
        )
    else:
        flags["root"] = find_root(flags["root"])
        where: dict[str, Any] = {
            "split": "verified",
            "out": out.with_suffix(".student"),
            "resume": True,
        }
        student = Trainer(
            str(data), str(config), changes={"epochs": epochs}, seed=seed, **where, **flags
        )
        with stoppable(), Bars() as bars:
            fitted = train_data_driven_mentor(student, percentile, seed, bars)
        made = {"data": str(data), "config": config, "percentile": percentile, "seed": seed}
    with atomic_write(out) as draft:
        draft.write_text(to_json(fitted, **made), encoding="utf-8")
    click.echo(
        f"{out}: {100 * fitted.agreement:.2f} % of held-out rows on the right side, error {fitted.error:.3g}"
    )
