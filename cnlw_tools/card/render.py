"""The card of a build: README.md, for people, with a YAML block on top for machines."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from cnlw_tools.card.about import ORIGINAL, About
from cnlw_tools.card.croissant import write_croissant
from cnlw_tools.card.disclosure import (
    LIMITS,
    USES,
    WEB_LIMIT,
    citations,
    describe_dead,
    describe_images,
    describe_impact,
    describe_noises,
    describe_votes,
    has_web_images,
)
from cnlw_tools.card.hub import hub_keys, measure_shards
from cnlw_tools.card.metadata import (
    CARD,
    BuildCard,
    ConfigCard,
    ConfigChanges,
    front_matter,
)
from cnlw_tools.card.table_files import BuildTables, Candidates, describe_tables
from cnlw_tools.files import atomic_write
from cnlw_tools.recipe.recipe import recorded_choices
from cnlw_tools.recipe.toml import to_toml
from cnlw_tools.registry import pick
from cnlw_tools.registry.counts import count_things, join_words

TEXT = """
# {title}, controlled label noise

An image classification dataset with {n_classes} classes whose training labels are wrong at known
rates.

{noises}

Images that are noisy at one level are noisy at every higher level of the same noise, so curves over
levels are paired. This does not apply if a recipe below says `nested = false` or permutes labels.

```python
from datasets import load_dataset

data = load_dataset("path/to/this/folder", "{example}")
# {shuffling}
train = data["train"].shuffle(seed=0)
```

{streaming}

## Uses

{uses}

### Out of scope, and limits

{limits}

## Configs

| config | noise | wrong labels | train | other splits |
|---|---|---|---|---|
{table}

<details><summary>Expected and realised noise, and digests of the plans</summary>

| config | noise: expected, realised | labels kept: expected, realised | digest |
|---|---|---|---|
{shares}

"Labels kept" is the diagonal of the label transition matrix, P(given label = true label), over the
classes. It counts only images that stayed. The digest is that of the plan.

</details>

{pictures}
## Columns

| column | meaning |
|---|---|
| `image` | the picture |
| `label` | the label that the learner gets |
| `clean_label` | the true label; null if nobody knows it (a foreign image) |
| `is_noisy` | whether the given label is wrong for the image |
| `origin` | where the image comes from: `base`, the clean dataset; `web`, the web; `other`, \
another dataset; `white`, white noise |
| `image_id` | the id of the image, unique in a config unless noise repeats images; that of a \
donor begins with the donor's name |
| `replaces` | the id of the image that lost its slot; null if the image stayed |

A learner may see `image` and `label`. The other columns are the truth, for evaluation. In the split
`verified`, if there is one, a learner may also see `is_noisy`. The images of this split left
`train` before any noise, and its labels were corrupted separately, by the same noise at the same
level.{validation}

## How it was made

This dataset was made with {made_with} from the tables in `tables/`. Images are {images}. {layout}
`cnlw validate` recomputes every number here from the files. These are the recipes, for
`cnlw build RECIPE.toml`:

{recipes}
### Source

{sources}

### Annotations

True labels: {annotation}

{votes}Labels in `train` were made wrong by a program, as the recipes say.

### Personal data

{personal_data}

## Biases

{biases}

## Social impact

{impact}

## Classes

{classes}

## Files

`croissant.json` has the sha256 of every file, and describes all columns and tables for programs.

<details><summary>sha256 of the rows of each table</summary>

{tables}

</details>

## Version

{version}

## Licence

Licence of the images: {licence}.{web_licence}

## Citation

The construction follows Jiang et al. (2020):

```bibtex
{citation}
```

## Contact

{contact}
"""

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"

NOT_SAID = "Unknown: nobody has written this down in `about.toml`."
SHUFFLING = {  # by layout
    "shared": "Shuffle fully: noisy and clean rows are in different files.",
    "flat": "Shuffle fully, as always.",
}
STREAMING = {
    "shared": """\
To stream this dataset, build it with `cnlw build --layout flat`. A stream (`streaming=True`) is
shuffled only within a buffer, `shuffle(seed=0, buffer_size=1000)`. In this layout, `shared`,
noisy and clean rows are in different files: the share of wrong labels would change along the
stream, unless the buffer holds the whole split.""",
    "flat": """\
To stream this dataset, give `streaming=True` and shuffle within a buffer,
`shuffle(seed=0, buffer_size=1000)`. In this layout, `flat`, noisy and clean rows are mixed in every
file, so the share of wrong labels is the same along the stream.""",
}
LAYOUT = {
    "shared": """\
Configs differ in few rows, and a row that they share is stored once, so they share files.""",
    "flat": "Every config has its own files.",
}


def write_card(
    folder: Path,
    card: BuildCard,
    classes: tuple[str, ...],
    imported_validation: int = 0,
) -> None:
    """Write `croissant.json`, then the card, which readers look for, each atomically.

    Args:
        folder: the folder of the build, which already holds tables and pictures
        card: the metadata of the build
        classes: names in label order
        imported_validation: percent of each class that the import moved to validation
    """
    tables = describe_tables(folder / "tables")
    write_croissant(folder, card, tables, len(classes))
    block = front_matter(card, hub_keys(card, measure_shards(folder, card)))
    pictures = list_pictures(folder)
    text = card_text(card, classes, pictures, tables, imported_validation)
    with atomic_write(folder / CARD) as draft:
        draft.write_text(block + text, encoding="utf-8")


def list_pictures(folder: Path) -> list[str]:
    """Return the names of the sample pictures of a build."""
    return sorted(path.name for path in folder.glob("samples_*.png"))


def card_text(
    card: BuildCard,
    classes: tuple[str, ...],
    pictures: Sequence[str],
    tables: BuildTables,
    imported_validation: int = 0,
) -> str:
    """Return the card without its block: what people read.

    Args:
        card: the metadata of the build
        classes: names in label order
        pictures: names of the sample pictures
        tables: what they hold
        imported_validation: percent of each class that the import moved to validation
    """
    made_with = [f"{name} {version}" for name, version in card.made_with.items()]
    recipes = [f"```toml\n{text}\n```\n" for text in _recipes(card)]
    numbered_classes = [f"{label} {name}" for label, name in enumerate(classes)]
    digests = [f"- `{name}` {digest}" for name, digest in card.tables.items()]
    return TEXT.format(
        n_classes=len(classes),
        noises="\n".join(_noises(card)),
        example=_example_config(card),
        shuffling=pick(SHUFFLING, card.layout, "layout"),
        streaming=pick(STREAMING, card.layout, "layout"),
        layout=pick(LAYOUT, card.layout, "layout"),
        uses=_list(USES),
        limits=_list(LIMITS),
        table="\n".join(_size_row(*item) for item in card.configs.items()),
        shares="\n".join(_share_row(*item) for item in card.configs.items()),
        pictures="".join(map(_link, pictures)),
        validation=_validation(card, imported_validation),
        made_with=", ".join(made_with),
        images=describe_images(card.images),
        recipes="\n".join(recipes),
        classes=", ".join(numbered_classes),
        tables="\n".join(digests),
        version="\n\n".join(_version(card, tables.n_withdrawn)),
        **_texts_of_people(card, tables.candidates),
    )


def _texts_of_people(card: BuildCard, candidates: Candidates) -> dict[str, str]:
    """Return what people wrote or said: who made the labels, licences, citations."""
    about = card.about
    votes = describe_votes(card, candidates)
    return {
        "title": about.title or card.dataset,
        "sources": _sources(card, candidates),
        "annotation": about.annotation or NOT_SAID,
        "votes": f"{votes}\n\n" if votes else "",
        "personal_data": about.personal_data or NOT_SAID,
        "biases": about.biases or NOT_SAID,
        "impact": describe_impact(about),
        "licence": _licence(about),
        "web_licence": f" {WEB_LIMIT}" if has_web_images(card) else "",
        "citation": "\n\n".join(citations(about)),
        "contact": about.contact or NOT_SAID,
    }


def _version(card: BuildCard, n_withdrawn: int) -> list[str]:
    """Say which version this is, what was left out, and what changed since an earlier build."""
    about = card.about
    day = f", published on {about.published}" if about.published else ""
    paragraphs = [f"This is version {about.version}{day}." if about.version else NOT_SAID]
    if n_withdrawn:
        verb = "was" if n_withdrawn == 1 else "were"
        paragraphs.append(
            f"{count_things(n_withdrawn, 'image')} {verb} left out on request; "
            "`tables/withdrawn.parquet` has the ids."
        )
    if card.changes is not None:
        since = f"version {card.changes.since}" if card.changes.since else "an earlier build"
        changes = [f"`{name}`: {_describe(c)}" for name, c in card.changes.configs.items()]
        paragraphs.append(f"Changes since {since}:")
        paragraphs.append(_list(changes) if changes else "The two have no config in common.")
    return paragraphs


def _describe(changes: ConfigChanges) -> str:
    """Return in how many slots a config changed."""
    if not (changes.differ or changes.gone or changes.added):
        return f"the same in all {changes.slots:,} slots."
    differ = "differs" if changes.differ == 1 else "differ"
    parts = [f"{changes.differ:,} of {count_things(changes.slots, 'slot')} {differ}"]
    if changes.gone:
        parts.append(f"{changes.gone:,} {'is' if changes.gone == 1 else 'are'} gone")
    if changes.added:
        parts.append(f"{changes.added:,} {'is' if changes.added == 1 else 'are'} new")
    return f"{join_words(parts)}."


def _list(sentences: Iterable[str]) -> str:
    """Return sentences as the items of a list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _sources(card: BuildCard, candidates: Candidates) -> str:
    """Say which datasets the images come from, and which web images are missing."""
    names = [name for name in card.about.source_datasets if name != ORIGINAL]
    if names:
        source = f"The images come from {join_words([f'`{name}`' for name in names])}."
    elif ORIGINAL in card.about.source_datasets:
        source = "The images come from no other dataset."
    else:
        source = f"Source of the images: `{card.dataset}`."
    dead = describe_dead(candidates)
    return f"{source} {dead}" if dead else source


def _licence(about: About) -> str:
    """Return the licence of the images, with a link to its text if one is known."""
    name = about.licence_name or about.licence
    return f"[{name}]({about.licence_link})" if about.licence_link else name


def _noises(card: BuildCard) -> list[str]:
    """Say what each kind of noise does."""
    return [f"- `{kind}`: {summary}" for kind, summary in describe_noises(card.configs)]


def _validation(card: BuildCard, imported_percent: int) -> str:
    """Say how validation was taken from train, by the import or by a recipe, for each share."""
    percents = {config.recipe.validation for config in card.configs.values()}
    makers = [(f"With `validation = {p}` in the recipe, the split", p) for p in sorted(percents)]
    makers.append(("After the import, the split", imported_percent))
    paragraphs = []
    for subject, percent in makers:
        if percent:
            paragraphs.append(
                f"\n\n{subject} `validation` has {percent} % of the images of each\nclass, at "
                "least one. They left `train` before any noise, so their labels are clean. A "
                "class\nwith a single image has none in `validation`."
            )
    return "".join(paragraphs)


def _example_config(card: BuildCard) -> str:
    """Return the first config that has noise, or else the first one."""
    noisy = [name for name, config in card.configs.items() if config.rate > 0]
    return (noisy or list(card.configs))[0]


def _link(picture: str) -> str:
    """Return the link to a picture of a build."""
    title = picture.removesuffix(".png").replace("_", " ")
    return f"![{title}]({picture})\n\n"


def _size_row(name: str, config: ConfigCard) -> str:
    """Return the row of a config in the table of sizes."""
    sizes = dict(config.rows)
    n_train = sizes.pop("train", 0)
    other_splits = [f"{split} {n:,}" for split, n in sizes.items()]
    n_noisy = round(config.rate * n_train)
    cells = [
        f"`{name}`",
        _percent(config.rate, 1),
        f"{n_noisy:,}",
        f"{n_train:,}",
        ", ".join(other_splits),
    ]
    return f"| {' | '.join(cells)} |"


def _share_row(name: str, config: ConfigCard) -> str:
    """Return the row of a config in the table of shares and digests."""
    expected = _percent(config.expected, 3)
    if config.changed is not None:
        changed = _percent(config.changed, 3)
        expected = f"{config.level} % by name, {changed} changed since level 0"
    correct_shares = f"{_percent_range(config.expected_kept)}, {_percent_range(config.kept)}"
    cells = [
        f"`{name}`",
        f"{expected}, {_percent(config.rate, 3)}",
        correct_shares,
        f"`{config.digest[:16]}`",
    ]
    return f"| {' | '.join(cells)} |"


def _percent(share: float, decimals: int) -> str:
    return f"{100 * share:.{decimals}f}{NO_BREAK_SPACE}%"


def _percent_range(shares: tuple[float, float]) -> str:
    low, high = _percent(shares[0], 1), _percent(shares[1], 1)
    return low if low == high else f"{low} to {high}"


def _recipes(card: BuildCard) -> list[str]:
    """Return the recipes that make these configs, as TOML."""
    choices: dict[str, dict[str, object]] = {}
    levels: dict[str, list[int]] = {}
    for config in card.configs.values():
        key = repr(config.recipe)
        choices[key] = recorded_choices(config.recipe)
        levels.setdefault(key, [])
        if config.level is not None:
            levels[key].append(config.level)
    storage = {"layout": card.layout, **asdict(card.images)}
    recipes = []
    for key, recipe in choices.items():
        level_key = {"levels": sorted(levels[key])} if levels[key] else {}
        recipes.append(to_toml({**recipe, **level_key, **storage}))
    return recipes
