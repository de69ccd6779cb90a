"""What a card and `croissant.json` say of a build: uses, limits, people, and what is missing.

Nothing is said that the card, the tables or `about.toml` do not say.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cnlw_tools.card.about import UNKNOWN, About
from cnlw_tools.card.metadata import BuildCard, ConfigCard
from cnlw_tools.card.table_files import Candidates
from cnlw_tools.images.pixels import Storage
from cnlw_tools.noise import NOISE
from cnlw_tools.recipe.recipe import WHITE_NOISE_DONORS
from cnlw_tools.registry import pick
from cnlw_tools.registry.counts import count_things, join_words

PAPER = """@inproceedings{jiang2020beyond,
  title = {Beyond Synthetic Noise: Deep Learning on Controlled Noisy Labels},
  author = {Jiang, Lu and Huang, Di and Liu, Mason and Yang, Weilong},
  booktitle = {International Conference on Machine Learning},
  year = {2020}
}"""
SPDX = "https://spdx.org/licenses/{}.html"
LICENCES = {  # identifiers of the Hub -> those of SPDX
    "apache-2.0": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc0-1.0": "CC0-1.0",
    "mit": "MIT",
}
USES = (
    "Training image classifiers on labels that are wrong at known rates, and comparing methods "
    "that should cope with wrong labels.",
    "Measuring how well a method finds wrong labels: `is_noisy` and `clean_label` are the truth.",
)
LIMITS = (
    "Labels in `train` are wrong on purpose. Do not use them as a description of what images show.",
    "Classifiers that were trained on this dataset should not decide about people.",
    "A label counts as right if it is that of the clean dataset; mistakes of its authors are not "
    "counted.",
)
IMPACT = (
    "Studies of label noise can make classifiers more reliable where labels are wrong. A "
    "classifier that was trained on this dataset may repeat its wrong labels."
)
WEB_LIMIT = "Images of origin `web` may have licences and authors of their own."
VERDICTS = {  # by the key `verdict` of recipes
    "majority": "the majority of yes and no votes",
    "dawid_skene": "the model of Dawid and Skene (1979), which weighs annotators",
}


def citations(about: About) -> list[str]:
    """Return the BibTeX to cite: of the construction, then of the images."""
    return [PAPER, about.citation] if about.citation else [PAPER]


def licence_of(about: About) -> str:
    """Return the address of the licence of the images, or its name; nothing if it is unknown."""
    if about.licence == UNKNOWN:
        return ""
    if about.licence in LICENCES:
        return SPDX.format(LICENCES[about.licence])
    return about.licence_link or about.licence_name or about.licence


def summarise_dataset(card: BuildCard, n_classes: int) -> str:
    """Say in two sentences what a build is."""
    title = card.about.title or card.dataset
    configs = count_things(len(card.configs), "config")
    return (
        f"{title} with controlled label noise: images of {count_things(n_classes, 'class')} whose "
        f"training labels are wrong at known rates. {configs}: {join_words(list(card.configs))}."
    )


def describe_noises(configs: Mapping[str, ConfigCard]) -> Iterator[tuple[str, str]]:
    """Yield each kind of noise with the first line of its docstring and its paper."""
    kinds = [config.recipe.noise for config in configs.values()]
    for kind in dict.fromkeys(kinds):
        noise = pick(NOISE, kind, "noise")
        docstring = noise.draw.__doc__ or ""
        summary = docstring.splitlines()[0]
        yield kind, f"{summary.removesuffix('.')} ({noise.paper})." if noise.paper else summary


def describe_images(images: Storage) -> str:
    """Say how images are stored."""
    if images.size is None:
        return "stored unchanged"
    resize = f"resized to {images.size} pixels by `{images.resize}`"
    return f"{resize} (quality {images.quality} for JPEG)"


def describe_votes(card: BuildCard, candidates: Candidates) -> str:
    """Say how candidates of a web search were judged; nothing if nobody voted."""
    if not candidates.n_votes:
        return ""
    people = ""
    if candidates.n_annotators:
        people = f" of {count_things(candidates.n_annotators, 'annotator')}"
    rules = sorted({config.recipe.verdict for config in card.configs.values()})
    rule = join_words([VERDICTS[rule] for rule in rules])
    return (
        f"`tables/votes.parquet` has {count_things(candidates.n_votes, 'vote')}{people} on "
        f"{candidates.n_judged:,} of {count_things(candidates.n, 'candidate')} of web searches. "
        "Each vote answers whether the image shows the class of the search: yes, no or unsure. "
        f"Verdicts are {rule}. Red noise takes only images that people judged not to show it."
    )


def describe_dead(candidates: Candidates) -> str:
    """Say which candidates are missing; nothing if there are none at all."""
    if not candidates.n:
        return ""
    total = count_things(candidates.n, "candidate")
    if candidates.n_dead is None:
        return f"The build does not say which of its {total} of web searches could not be fetched."
    return (
        f"{candidates.n_dead:,} of {total} of web searches could not be fetched; see the column "
        "`dead` of `tables/web.parquet`. The next reserve takes the slot of such an image."
    )


def describe_votes_of_one(candidates: Candidates) -> str:
    """Return the number of votes on a candidate that has any, such as ``3 to 5``."""
    lowest, highest = candidates.votes_of_one
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"


def has_web_images(card: BuildCard) -> bool:
    """Return whether noise of the build takes images from the web."""
    for config in card.configs.values():
        noise = NOISE.get(config.recipe.noise)
        if config.rate and noise and "dead" in noise.pool_columns:
            return True
    return False


def describe_impact(about: About) -> str:
    """Say whom a build may help or harm."""
    return f"{IMPACT} {about.social_impact}".rstrip()


def has_synthetic_images(card: BuildCard) -> bool | None:
    """Return whether a program made images of a build; None if nobody has said so."""
    for config in card.configs.values():
        if config.rate and set(WHITE_NOISE_DONORS) & set(config.recipe.donors):
            return True
    return card.about.synthetic


def disclose(card: BuildCard, candidates: Candidates) -> dict[str, Any]:
    """Return the properties of Croissant's extension for responsible AI that are known."""
    about = card.about
    noises = [f"{kind}: {summary}" for kind, summary in describe_noises(card.configs)]
    votes = describe_votes(card, candidates)
    annotation = [text for text in (about.annotation, votes) if text]
    properties = {
        "rai:dataUseCases": [*USES],
        "rai:dataLimitations": [*LIMITS, WEB_LIMIT] if has_web_images(card) else [*LIMITS],
        "rai:dataBiases": about.biases,
        "rai:personalSensitiveInformation": about.personal_data,
        "rai:dataSocialImpact": describe_impact(about),
        "rai:hasSyntheticData": has_synthetic_images(card),
        "rai:dataCollectionMissingData": describe_dead(candidates),
        "rai:dataPreprocessingProtocol": f"Images are {describe_images(card.images)}.",
        "rai:dataManipulationProtocol": (
            f"Labels of train are made wrong by a program. {' '.join(noises)}"
        ),
        "rai:dataAnnotationProtocol": " ".join(annotation),
        "rai:annotationsPerItem": describe_votes_of_one(candidates) if votes else "",
        "rai:machineAnnotationTools": f"cnlw_tools {card.made_with.get('cnlw_tools', UNKNOWN)}",
    }
    return {key: value for key, value in properties.items() if value not in ("", None)}
