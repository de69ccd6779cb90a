"""What people must know of a dataset and no table says: who may use it, and who is in it.

`manifests/NAME/about.toml`, below a user's root or that of the package, says it; licence and
citation of a recipe come first. What nobody has written down is unknown: the card says so, and keys
for programs are left out.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from cnlw_tools.files.roots import find_below
from cnlw_tools.recipe.recipe import Recipe
from cnlw_tools.recipe.strict import Check, choice, matching, read_dataclass
from cnlw_tools.recipe.toml import read_toml

FILE = "about.toml"
ORIGINAL = "original"  # of images that come from no other dataset
UNKNOWN = "unknown"
ANNOTATORS = (  # the words of the Hub
    "crowdsourced",
    "expert-generated",
    "found",
    "machine-generated",
    "no-annotation",
    "other",
)
KNOWN_ANNOTATORS = Check(
    lambda words: set(words) <= set(ANNOTATORS), f"a list of words among {', '.join(ANNOTATORS)}"
)


@dataclass(frozen=True, slots=True)
class About:
    """What people must know of a dataset; an empty value is unknown."""

    licence: str = choice(
        UNKNOWN,
        help="Licence of the images, by its name on the Hugging Face Hub. A recipe can override "
        "it.",
    )
    citation: str = choice(
        "", help="BibTeX entry to cite for the images. A recipe can override it."
    )
    title: str = choice("", help="Full name of the dataset.")
    licence_name: str = choice("", help="Name of the licence, if the key `licence` is `other`.")
    licence_link: str = choice(
        "", help="URL of the text of the licence, if the key `licence` is `other`."
    )
    source_datasets: tuple[str, ...] = choice(
        (), help="Datasets on the Hub that the images come from, or `original` if there are none."
    )
    annotations_creators: tuple[str, ...] = choice(
        (),
        check=KNOWN_ANNOTATORS,
        help=f"How the true labels were made: {', '.join(ANNOTATORS)}.",
    )
    annotation: str = choice("", help="Whole sentences that say who made the true labels, and how.")
    personal_data: str = choice(
        "", help="Whole sentences that say whether people can be recognised."
    )
    biases: str = choice(
        "", help="Whole sentences that say what the images show too often or too rarely."
    )
    social_impact: str = choice(
        "", help="Whole sentences that say whom the dataset may help or harm."
    )
    synthetic: bool | None = choice(
        None, help="Whether a program drew or generated images of the dataset: true or false."
    )
    creators: tuple[str, ...] = choice((), help="Names of the people who publish the build.")
    contact: str = choice("", help="E-mail address or URL for questions about the build.")
    url: str = choice("", help="Page on which the build is published.")
    version: str = choice(
        "",
        check=matching(r"|\d+\.\d+\.\d+", "a version such as 1.0.0"),
        help="Version of the build, such as `1.0.0`.",
    )
    published: str = choice(
        "",
        check=matching(r"|\d{4}-\d\d-\d\d", "a day such as 2026-12-31"),
        help="Day on which the build is published, such as `2026-12-31`.",
    )
    gate: str = choice(
        "", help="What people must agree to on the Hub before they can download the build."
    )


def read_about(recipe: Recipe, root: Path) -> About:
    """Return what recipe and `about.toml` say of a dataset.

    Args:
        recipe: names the dataset, and may give licence and citation
        root: the folder of manifests/

    Raises:
        ValueError: the file is not TOML, or has an unknown key or a wrong value
    """
    path = find_below(root, Path("manifests") / recipe.dataset / FILE)
    about = About()
    if path:
        about = read_dataclass(About, read_toml(path, "description of a dataset"), str(path))
    licence = about.licence if recipe.licence == UNKNOWN else recipe.licence
    return replace(about, licence=licence, citation=recipe.citation or about.citation)


def to_block(about: About) -> dict[str, Any]:
    """Return what is known, as plain values."""
    block: dict[str, Any] = {}
    for field in fields(About):
        value = getattr(about, field.name)
        if value != field.default:
            block[field.name] = list(value) if isinstance(value, tuple) else value
    return block
