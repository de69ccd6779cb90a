"""The card of a build: README.md, for people, with a YAML block on top for machines."""

from dataclasses import asdict
from pathlib import Path

from cnlw_tools.card.metadata import CARD, BuildCard, front_matter
from cnlw_tools.files import atomic_write
from cnlw_tools.noise import NOISE
from cnlw_tools.recipe.recipe import Recipe, recorded_choices
from cnlw_tools.recipe.toml import to_toml

PAPER = """@inproceedings{jiang2020beyond,
  title = {Beyond Synthetic Noise: Deep Learning on Controlled Noisy Labels},
  author = {Jiang, Lu and Huang, Di and Liu, Mason and Yang, Weilong},
  booktitle = {International Conference on Machine Learning},
  year = {2020}
}"""

TEXT = """
# {dataset}: controlled label noise

An image classification dataset with {classes} classes whose training labels are wrong at known rates.

{noises}

Unless a recipe below says `nested = false`, and labels are not permuted, what is noisy at one level is noisy at every
higher level of the same noise, so curves over levels are paired.

```python
from datasets import load_dataset

data = load_dataset("path/to/this/folder", "{first}")
train = data["train"].shuffle(seed=0)  # shuffle fully before use: noisy and clean rows lie in files of their own
```

| config | noise expected | realised | labels kept, expected | realised | train | other splits | digest of the plan |
|---|---|---|---|---|---|---|---|
{table}

Labels kept: the diagonal of the label transition matrix, P(given label = true label), over the classes, where the
image stayed.

{pictures}
## Columns

| column | meaning |
|---|---|
| `image` | the picture |
| `label` | the label that the learner is given |
| `clean_label` | the true label; null where nobody knows it (a foreign image) |
| `is_noisy` | whether the given label is wrong for the image |
| `origin` | `base`: an image of the clean dataset; `web`: of the web; `other`: of another dataset; `white`: of noise |
| `image_id` | the image, unique in a config unless noise repeats images; a donor's begins with the donor's name |
| `replaces` | the image that lost its slot; null where the image stayed |

A learner may see `image` and `label`; the rest is the truth, for the report. Of the split `verified`, if there is one,
it may also see `is_noisy`: its images left `train` before any noise, and its labels are wrong by the same noise at the
same level, drawn apart.

## How it was made

With {made_with}, from the tables in `tables/`. Images: {images}. Files are shared: the configs of one
noise, and of several, differ in few rows, and a row that they share is stored once. `cnlw validate` recomputes
every number here from the files. The recipes, for `cnlw build RECIPE.toml`:

{recipes}
## Classes

{names}

## Digests

sha256 of the rows of each table: {tables}. The sha256 of every file stands in the block on top of this card.

## Licence and citation

Licence of the images: {licence}. The construction follows Jiang et al. (2020):

```bibtex
{citation}
```
"""


def write(folder: Path, record: BuildCard, recipe: Recipe, classes: tuple[str, ...]) -> None:
    """Write the card of a build, whole or not at all."""
    about = {
        "pretty_name": f"{record.dataset}, controlled label noise",
        "license": recipe.licence,
        "task_categories": ["image-classification"],
        "tags": ["label-noise", "noisy-labels", "cnlw"],
    }
    with atomic_write(folder / CARD) as draft:
        draft.write_text(
            front_matter(record, about) + _text(folder, record, recipe, classes), encoding="utf-8"
        )


def _text(folder: Path, record: BuildCard, recipe: Recipe, classes: tuple[str, ...]) -> str:
    return TEXT.format(
        dataset=record.dataset,
        classes=len(classes),
        noises="\n".join(_noises(record)),
        first=next(iter(record.configs)),
        table="\n".join(_row(name, record) for name in record.configs),
        pictures="".join(
            f"![{p.stem.replace('_', ' ')}]({p.name})\n\n"
            for p in sorted(folder.glob("samples_*.png"))
        ),
        made_with=", ".join(f"{name} {version}" for name, version in record.made_with.items()),
        images=_images(record),
        recipes="\n".join(f"```toml\n{text}\n```\n" for text in _recipes(record)),
        names=", ".join(f"{i} {name}" for i, name in enumerate(classes)),
        tables=", ".join(f"`{name}` {digest}" for name, digest in record.tables.items()),
        licence=recipe.licence,
        citation="\n\n".join(filter(None, [PAPER, recipe.citation])),
    )


def _noises(record: BuildCard) -> list[str]:
    """Say what each kind of noise does, in the first line of its docstring."""
    kinds = dict.fromkeys(config.recipe.noise for config in record.configs.values())
    return [f"- `{kind}`: {(NOISE[kind].draw.__doc__ or '').splitlines()[0]}" for kind in kinds]


def _row(name: str, record: BuildCard) -> str:
    config = record.configs[name]
    others = ", ".join(f"{split} {n:,}" for split, n in config.rows.items() if split != "train")
    asked = f"{100 * config.expected:.3f} %"
    if config.changed is not None:
        asked = f"{config.level} % by name, {100 * config.changed:.3f} % changed since level 0"
    rates = f"{asked} | {100 * config.rate:.3f} %"
    kept = f"{_percents(config.expected_kept)} | {_percents(config.kept)}"
    return f"| `{name}` | {rates} | {kept} | {config.rows['train']:,} | {others} | `{config.digest[:16]}` |"


def _percents(ends: tuple[float, float]) -> str:
    low, high = (f"{100 * end:.1f} %" for end in ends)
    return low if low == high else f"{low} to {high}"


def _recipes(record: BuildCard) -> list[str]:
    """Return the recipes that make these configs, as TOML."""
    drawn: dict[str, tuple[dict[str, object], list[int]]] = {}
    for config in record.configs.values():
        levels = drawn.setdefault(repr(config.recipe), (recorded_choices(config.recipe), []))[1]
        levels += [] if config.level is None else [config.level]
    how = {"layout": record.layout, **asdict(record.images)}
    return [
        to_toml({**said, **({"levels": sorted(levels)} if levels else {}), **how})
        for said, levels in drawn.values()
    ]


def _images(record: BuildCard) -> str:
    images = record.images
    if images.size is None:
        return "as they came"
    return (
        f"{images.size} pixels, resized by `{images.resize}` (quality {images.quality} where JPEG)"
    )
