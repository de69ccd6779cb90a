"""What a sweep wrote of its study: what was planned, and where a trial stands in the figures."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cnlw_tools.recipe.recipe import RECORDED, split_config_name
from cnlw_tools.report.trials import Trial, natural, shown
from cnlw_tools.study.spec import Published, Study

STUDY = "study.json"
MOST = 12  # names that a sentence lists
Cell = Mapping[str, Any]


class Place(NamedTuple):
    """Where a trial stands in a figure."""

    panel: str
    line: str
    x: float


@dataclass(frozen=True, slots=True)
class Said:
    """What a sweep wrote of its study; nothing of runs that are of none."""

    name: str = ""
    scale: str = ""
    study: Study = field(default_factory=lambda: Study("", (), ()))
    cells: Sequence[Cell] = ()
    builds: Path = field(default_factory=Path)

    @property
    def title(self) -> str:
        """The name of the study and its scale."""
        return self.name + (f", scale {self.scale}" if self.scale else "")

    def places(self) -> list[tuple[Path, str]]:
        """Where every planned config is built, or will be."""
        return list(
            dict.fromkeys((self.builds / cell["build"], cell["config"]) for cell in self.cells)
        )

    def planned(self) -> set[tuple[str, str, str]]:
        """Dataset, config and method of every run."""
        said = [cell for cell in self.cells if cell["method"]]
        return {
            (cell["build"], cell["config"], cell.get("label") or cell["method"]) for cell in said
        }

    def labels(self) -> dict[str, str]:
        """Return what the study calls the method of a run, by the run's name, where it does."""
        return {cell["name"]: cell["label"] for cell in self.cells if cell.get("label")}

    def lacking(self, trials: Sequence[Trial]) -> str:
        """Say in a sentence which planned cells have no trial; nothing where all have one."""
        ran = {(t.dataset, t.config, t.name) for t in trials}
        left = {f"{config} {method}" for _, config, method in self.planned() - ran}
        return sentence("Not run", sorted(left, key=natural))

    def place(self, trial: Trial, but: Collection[str] = ()) -> Place | None:
        """Return where a trial stands in the figures; none if it has not the number that they go over.

        Panels are kinds of noise; lines are methods, with what else differs between the configs, ``but`` these.
        """
        if self.study.over == "level" and not but:
            return (
                None
                if trial.level is None
                else Place(f"{trial.dataset}, {trial.family}", trial.method, trial.level)
            )
        return self._place(trial.dataset, trial.config, trial.name, trial.apart, trial.options, but)

    def planned_place(self, cell: Cell, but: Collection[str] = ()) -> Place | None:
        """Return where the trial of a cell will stand."""
        nets = len({cell.get("net") for cell in self.cells}) > 1
        options = {**cell["changes"], **cell["options"], **({"net": cell["net"]} if nets else {})}
        label = cell.get("label")
        apart = {
            k: v for k, v in options.items() if k in self.study.apart or (k == "net" and not label)
        }
        return self._place(
            cell["build"], cell["config"], label or cell["method"], apart, options, but
        )

    def _place(
        self,
        dataset: str,
        config: str,
        name: str,
        apart: Mapping[str, Any],
        options: Mapping[str, Any],
        but: Collection[str],
    ) -> Place | None:
        x = self.number(self.study.over, dataset, config, options)
        if x is None:
            return None
        facts = self.facts(dataset, config)
        places = {
            (cell["build"], cell["config"]) for cell in self.cells if cell["build"] == dataset
        }
        others = [self.facts(*place) for place in sorted(places)]
        varied = {k: v for k, v in facts.items() if any(other.get(k) != v for other in others)}
        beside = {
            k: v
            for k, v in {**apart, **varied}.items()
            if k not in (self.study.over, "noise", *but)
        }
        return Place(f"{dataset}, {facts['noise']}", f"{name} {shown(beside)}".strip(), x)

    def number(
        self, key: str, dataset: str, config: str, options: Mapping[str, Any]
    ) -> float | None:
        """Return a number of a config, a method or the preset; none if there is none of that name."""
        bare = {k.removeprefix("preset."): v for k, v in options.items()}
        x = {**self.facts(dataset, config), **bare}.get(key)
        return None if isinstance(x, bool) or not isinstance(x, int | float) else float(x)

    def facts(self, dataset: str, config: str) -> dict[str, Any]:
        """Return what is said of a config: its noise, level, options and choices."""
        cell = next(
            (cell for cell in self.cells if (cell["build"], cell["config"]) == (dataset, config)),
            None,
        )
        family, level = split_config_name(config)
        if cell is None:
            return {"noise": family, "level": level}
        said = {
            k: v
            for k, v in cell["recipe"].items()
            if k in RECORDED and k not in ("dataset", "options")
        }
        return {"noise": family, "level": level, **said, **cell["recipe"]["options"]}


def sentence(what: str, names: Sequence[str]) -> str:
    """Return ``Not run: a, b.``, the first of many; nothing of none."""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"{what}: {', '.join(names[:MOST])}{more}." if names else ""


def study(folder: Path) -> Said:
    """Read what a sweep wrote of its study, if this is the folder of one.

    Raises:
        ValueError: it cannot be read
    """
    path = folder / STUDY
    if not path.is_file():
        return Said()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in raw["study"].items()
        }
        values["published"] = tuple(Published(**entry) for entry in values["published"])
        return Said(raw["name"], raw["scale"], Study(**values), raw["cells"], Path(raw["builds"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not what `cnlw sweep` writes ({error!r}): run the sweep again"
        ) from error
