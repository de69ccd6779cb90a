"""Files of the repository as pages: the READMEs of its folders, and what our studies showed."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from docs.generate.markdown import fence, heading

ROOT = Path(__file__).parents[2]
PAGES: Mapping[str, str] = {  # file of the repository -> page of the site
    "pipelines/README.md": "reference/recipes.md",
    "pipelines/train/README.md": "reference/presets.md",
    "pipelines/studies/README.md": "reference/study_keys.md",
    "manifests/README.md": "reference/manifests.md",
    "annotations/README.md": "reference/annotations.md",
    "benchmarks/studies/README.md": "studies/index.md",
    "benchmarks/README.md": "project/benchmarks.md",
    "benchmarks/mutants.md": "project/mutants.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "LOG.md": "project/did_not_work.md",
}
STUDIES = Path("benchmarks") / "studies"
PICTURES = (".png", ".svg")
EXPLANATION = (
    "The name of a *config* gives the noise, its level and further choices. A number after `clean` "
    "is the number of training images that were kept before noise was added. `a10` and `d50` are "
    "the options alpha = 10 and delta = 0.5 of the noise models "
    "[dilution](../../../cnlw_tools/noise/dilution.py) and "
    "[structured](../../../cnlw_tools/noise/structured.py). A *trial* is a set of runs that differ "
    "only in their seed. `vanilla` is ordinary training on the given labels. "
    "The [glossary](../../../docs/glossary.md) explains these words and others.\n\n"
)


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
    settings = ROOT / "pipelines" / "studies" / f"{study}.toml"
    summary = settings.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
    return (
        (
            f"{title}\n\n"
            f"These are the tables of our study `{study}`. Its file describes it in one line: "
            f"*{summary}*.\n\n"
            f"[What small studies show](../README.md) says what we conclude from them.\n\n"
        )
        + EXPLANATION
        + rest.lstrip("\n")
    )


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
        "introduced the benchmarks it builds. Please also cite the papers that introduced the noise "
        "models and methods you use. The page of each [noise model](../reference/noise/index.md) "
        "and of each [method](../reference/methods/index.md) names its paper.\n\n"
    )
    software = {
        "title": f"{{{citation['title']}}}",  # braces keep capital letters
        "author": f"{{{citation['authors'][0]['name']}}}",  # and a name in one piece
        "version": citation["version"],
        "note": f"Licence: {citation['license']}",
    }
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
    text += "The file `CITATION.cff` in the repository has the same information in the Citation File Format.\n"
    return text


def _bibtex(kind: str, key: str, fields: Mapping[str, str]) -> str:
    """Return an entry of BibTeX."""
    lines = [f"@{kind}{{{key},"]
    for name, value in fields.items():
        text = value.replace("_", r"\_")
        lines.append(f"  {name:9} = {{{text}}},")
    return "\n".join([*lines, "}"])
