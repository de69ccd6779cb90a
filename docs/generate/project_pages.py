"""Files of the repository as pages: the READMEs of its folders, and what our studies showed."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from cnlw_tools.methods import METHODS
from cnlw_tools.noise import NOISE
from cnlw_tools.recipe.toml import read_toml
from cnlw_tools.registry.counts import join_words
from docs.generate.config_names import explain_config_names
from docs.generate.markdown import fence, heading
from docs.generate.study_results import BASELINE, describe_scale

ROOT = Path(__file__).parents[2]
PAGES: Mapping[str, str] = {  # file of the repository -> page of the site
    "pipelines/README.md": "reference/recipes.md",
    "pipelines/train/README.md": "reference/presets.md",
    "pipelines/studies/README.md": "reference/study_keys.md",
    "manifests/README.md": "reference/manifests.md",
    "annotations/README.md": "reference/annotations.md",
    "benchmarks/studies/README.md": "studies/index.md",
    "benchmarks/mutants.md": "project/mutants.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "LOG.md": "project/did_not_work.md",
}
STUDIES = Path("benchmarks") / "studies"
PICTURES = (".png", ".svg")
SUBJECTS: Mapping[str, str] = {  # study whose tables are on a page -> what the study does
    "jiang_levels": "It follows the experiments of Jiang et al. (2020) that train networks from "
    "scratch, with web noise and with flipped labels. The results of the paper are in its table 2, its "
    "figure 3, and panels a and c of its figures 4 and 5. Figures 4 and 5 show 95 % intervals of the "
    "mean accuracy over all noise levels.",
    "methods_cifar10": "It trains a small network with six methods on 4,000 images of CIFAR-10, and "
    "compares the order of the methods with that in the papers.",
    "rolnick_exp1": "It repeats experiment 1 of Rolnick et al. (2017), which compares the accuracies "
    "of several networks as the number of random labels per clean label grows.",
    "rolnick_fig4": "It follows the experiment of figure 4 of Rolnick et al. (2017), on MNIST with 20 "
    "noisy labels for each clean one. The experiment measures how the accuracy depends on delta (how "
    "unequal the frequencies of the false labels are) and on the order of the false labels.",
    "rolnick_fig7": "It follows the experiment of figure 7 of Rolnick et al. (2017), on MNIST. The "
    "experiment measures how the accuracy depends on the number of clean examples and on the ratio of "
    "noisy to clean labels.",
    "rolnick_fig8": "It follows the experiment of figure 8 of Rolnick et al. (2017), on MNIST. The "
    "experiment measures how the accuracy depends on the ratio of noisy to clean labels and on the "
    "batch size. It also trains with the loss H_alpha.",
    "sukhbaatar_q": "It follows the experiments of figures 1b and 2c of Sukhbaatar et al. (2015). The "
    "figures compare the learned transition matrix with the true one, during and after training.",
}
EXPLANATION = (
    "A *config* is the dataset with one setting of the noise. Its name gives the noise, the level if the "
    "noise has one, and further choices.{levels}{noises}{names}\n\n"
    "A *trial* is a set of runs that differ only in their seed. `vanilla` is ordinary training on the "
    "given labels.{networks}{labels}{methods} The [glossary](../../../docs/glossary.md) explains these and "
    "other words.\n\n"
)
LEVELS = (
    " In a table with a column for each level, the heading above the table gives the name of the config "
    "without its level."
)
NETWORKS = (
    " `net=` stands before the name of a [network](../../../cnlw_tools/trainer/nets). The report treats "
    "the same method with two networks as two methods."
)
COMPARISON = (
    " **Our numbers cannot be compared with those of the published tables**, which come from more images, "
    "a larger network and more epochs. Only the order of the methods can be compared."
)
ACCURACIES = re.compile(r"(?<=\n\n)The numbers are top-1 [^\n]+(?=\n\n\|)")  # such a caption
MISSING_RUN = re.compile(r"^\| [^|\n]+ (?:\| [\d.]+ (?:± [\d.]+ )?\(\d+\) )*\| – \|", re.MULTILINE)
SENTENCE_END = re.compile(r"(?<=\.) (?=[A-Z])")


def make_pages() -> dict[str, str | bytes]:
    """Return the files of the repository as pages, with the pictures that they show."""
    pages: dict[str, str | bytes] = {}
    for name, page in find_pages().items():
        path = ROOT / name
        if path.suffix != ".md":
            pages[page] = path.read_bytes()
            continue
        text = path.read_text(encoding="utf-8")
        if path.name == "tables.md":
            text = _introduce_tables(path.parent.name, text)
        pages[page] = text
    pages["project/citation.md"] = _citation_page()
    return pages


def _introduce_tables(study: str, text: str) -> str:
    """Return the tables of a study below a heading and an explanation of what they show."""
    if not text.startswith("# "):
        text = heading(study) + text
    title, _, rest = text.partition("\n")
    rest = _state_captions_once(rest.lstrip("\n"))
    names = explain_config_names(rest)
    labels = "".join(f" {sentence}" for sentence in _explain_labels(study, rest))
    return (
        f"{title}\n\n"
        f"These tables come from our study `{study}`. {describe_study(study)} "
        f"{_describe_runs(study, rest)}\n\n"
        "[What small studies show](../README.md) says what we conclude from these tables.\n\n"
        + EXPLANATION.format(
            levels=LEVELS if re.search(r"^\| Method \| \d+ % \|", rest, re.MULTILINE) else "",
            noises=_link_noises(rest),
            names=f" {names}" if names else "",
            networks=NETWORKS if " net=" in rest else "",
            labels=labels,
            methods=_link_methods(rest),
        )
        + rest
    )


def describe_study(study: str) -> str:
    """Return sentences on what a study does, for the page of its tables.

    Raises:
        ValueError: SUBJECTS has none
    """
    if study not in SUBJECTS:
        raise ValueError(
            f"no sentence says what the study {study!r} does. Fix: add one to SUBJECTS in "
            "docs/generate/project_pages.py"
        )
    return SUBJECTS[study]


def _describe_runs(study: str, text: str) -> str:
    """Return how the numbers of a study were made, and whether published ones are comparable."""
    scale = describe_scale(study)
    sentence = SENTENCE_END.split(scale)[0]
    is_compared = "| Published |" in text and "--scale paper" not in scale
    return sentence + (COMPARISON if is_compared else "")


def _state_captions_once(text: str) -> str:
    """Return a page whose captions of accuracies have their common sentences above all tables."""
    sentences = [SENTENCE_END.split(caption) for caption in ACCURACIES.findall(text)]
    counts = Counter(sentence for caption in sentences for sentence in caption)
    common = [sentence for sentence, n in counts.items() if n > 1]
    if not common:
        return text
    for sentence in common:
        text = re.sub(rf" {re.escape(sentence)}|{re.escape(sentence)} ?", "", text)
    words = " ".join(common).replace(
        "The last column has", "The column *Mean*, if there is one, has"
    )
    if MISSING_RUN.search(text):
        words += " A dash means that the study does not train this method on this config."
    text = re.sub(r"\n{3,}", "\n\n", text)
    return f"The following applies to all tables of accuracies. {words}\n\n{text}"


def _link_noises(text: str) -> str:
    """Return a sentence with links to the pages of the noises whose configs are in a text."""
    links = []
    for name, model in NOISE.items():
        if re.search(rf"\| {name}_", text):
            path = model.draw.__module__.replace(".", "/")
            links.append(f"[`{name}`](../../../{path}.py#{name})")
    if not links:
        return ""
    return f" The noise is {' or '.join(links)}."


def _link_methods(text: str) -> str:
    """Return a sentence with links to the pages of the methods in a text, except the baseline."""
    links = []
    for name in METHODS:
        if name != BASELINE and re.search(rf"^\| {name}[ |]", text, re.MULTILINE):
            links.append(_link_method(name))
    if not links:
        return ""
    if len(links) == 1:
        return f" The other method is {links[0]}."
    pages = join_words(links, max_words=len(links))
    return f" The other methods are {pages}."


def _link_method(name: str) -> str:
    """Return a link to the page of a method."""
    path = METHODS.target(name).partition(":")[0].replace(".", "/")
    return f"[`{name}`](../../../{path}.py#{name})"


def _explain_labels(study: str, text: str) -> Iterator[str]:
    """Yield what each label of a method stands for that its study has in place of a name."""
    raw = read_toml(ROOT / "pipelines" / "studies" / f"{study}.toml", "study")
    said = set()
    for scale in [raw, *raw.get("scale", {}).values()]:
        for entry in scale.get("methods", []):
            label, options = entry.get("label"), entry.get("options", {})
            if not label or label in said or label not in text:
                continue
            said.add(label)
            values = " and ".join(f"`{name}={value}`" for name, value in options.items())
            yield f"*{label}* is {_link_method(entry['name'])}{f' with {values}' if values else ''}."


def find_pages() -> dict[str, str]:
    """Return the page of each file that is shown as it is, by its path in the repository."""
    pages = {**PAGES}
    for path in sorted((ROOT / STUDIES).rglob("*")):
        if path.suffix in (".md", *PICTURES) and path.name != "README.md":
            name = path.relative_to(ROOT).as_posix()
            pages[name] = f"studies/{path.relative_to(ROOT / STUDIES).as_posix()}"
            if path.name == "tables.md":
                pages[name] = f"studies/tables/{path.parent.name}.md"
    return pages


def _citation_page() -> str:
    """Return the page that says how to cite, with entries for BibTeX made from CITATION.cff."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = heading("Cite")
    text += (
        "If you use this software, please cite it together with Jiang et al. (2020), the paper that "
        "introduced controlled noisy web labels. Please also cite the papers that introduced the noise "
        "models and methods you use. The page of each [noise model](../reference/noise/index.md) "
        "and of each [method](../reference/methods/index.md) names its paper.\n\n"
    )
    software = {
        "title": f"{{{citation['title']}}}",  # braces keep capital letters
        "author": f"{{{citation['authors'][0]['name']}}}",  # and a name in one piece
        "version": citation["version"],
        "note": f"Licence: {citation['license']}",
    }
    if "date-released" in citation and "repository-code" in citation:
        software["year"] = str(citation["date-released"])[:4]
        software["url"] = citation["repository-code"]
    else:
        text += (
            "This version has not been released, so the first entry has no year and no URL. Add the "
            "year in which you got your copy, and the URL that you got it from.\n\n"
        )
    text += fence(_bibtex("software", "cnlw_tools", software), "bibtex") + "\n"
    for paper in citation["references"]:
        names = [f"{name['family-names']}, {name['given-names']}" for name in paper["authors"]]
        fields = {
            "title": f"{{{paper['title']}}}",
            "author": " and ".join(names),
            "booktitle": paper["collection-title"],
            "year": str(paper["year"]),
        }
        key = f"{paper['authors'][0]['family-names'].lower()}{paper['year']}"
        text += fence(_bibtex("inproceedings", key, fields), "bibtex") + "\n"
    text += (
        "The file `CITATION.cff` in the repository has the same information in a machine-readable "
        "form.\n"
    )
    return text


def _bibtex(kind: str, key: str, fields: Mapping[str, str]) -> str:
    """Return an entry of BibTeX."""
    lines = [f"@{kind}{{{key},"]
    for name, value in fields.items():
        text = value.replace("_", r"\_")
        lines.append(f"  {name:9} = {{{text}}},")
    return "\n".join([*lines, "}"])
