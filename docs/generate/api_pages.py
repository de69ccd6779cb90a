"""Pages of the Python API, made from signatures and docstrings; every one must have a text."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import cnlw_tools
from docs.generate.markdown import (
    code,
    docstring_to_markdown,
    escape,
    fence,
    heading,
    link,
    table,
)
from docs.generate.source_code import (
    find_definition,
    parse_module,
    read_arguments,
    read_fields,
)

SECTIONS = re.compile(r"^(Args|Returns|Raises|Example|Yields):\n", re.MULTILINE)
FOLDER = "reference/api"
LONG = 88  # columns of a signature in one line
NAME_IN_CODE = re.compile(r"`(\w+)`")
ERROR = re.compile(r"\b[A-Z]\w+")


class ApiPage(NamedTuple):
    """A page of the Python API."""

    title: str
    introduction: str
    names: tuple[str, ...]  # public names, in the order of the page


PAGES = {  # which public name stands on which page
    "datasets": ApiPage(
        "Datasets and recipes",
        "Make a dataset of your own images. The guide [Your own "
        "data](../../guides/your_own_data.md) shows the steps.",
        ("import_source", "new", "Recipe", "Inputs"),
    ),
    "builds": ApiPage(
        "Builds",
        "Draw noise, write images and labels into a build, and load, export or publish the build.",
        ("build", "Build", "load_dataset", "plan", "Plan", "build_shard", "rebuild"),
    ),
    "checking": ApiPage(
        "Checking",
        "Check what a build claims about its images and its noise. [Checks](../checks.md) lists "
        "the checks.",
        ("validate", "ValidationReport", "validate_shard"),
    ),
    "web_images": ApiPage(
        "Web images and stores",
        "Fetch images from the web into a store, and read a store. The guide [Web "
        "images](../../guides/web_images.md) shows the steps.",
        ("fetch_images", "FetchedStore", "join_stores", "open_store", "Store"),
    ),
    "training": ApiPage(
        "Training and predicting",
        "Train a method on a build, read the results, and predict the classes of other images. "
        "The guide [Training](../../guides/training.md) shows the steps.",
        ("train", "Run", "SeedRuns", "predict", "Trainer"),
    ),
    "studies": ApiPage(
        "Studies and reports",
        "Train all runs of a study, and compare runs in a report. The guide [Studies and "
        "reports](../../guides/studies_and_reports.md) shows the steps.",
        ("sweep", "StudyRuns", "report", "RunsReport"),
    ),
    "your_own": ApiPage(
        "Your own methods, noise and sources",
        "You can write your own method and pass its class to `train`. You can also write your own "
        "noise model or source and pass the object to `build`.\n\n"
        "A source is an object with the attribute `name` (the name of the dataset) and three "
        "functions. `classes()` returns the names of the classes in the order of the labels. "
        "`manifest()` returns the [table of all images](../manifests.md). `read(image_id)` returns "
        "an image as the bytes of a file or as a `PIL.Image.Image`.",
        ("Method", "NoiseModel"),
    ),
}
TYPES_LINK = "[Types in the signatures](index.md#types-in-the-signatures)"
INTRODUCTION = """# Python API

```python
import cnlw_tools as cnlw
```

Most functions do the same as the command of the same name, and have the same defaults: `build` does
what `cnlw build` does. Large packages such as PyTorch are imported only when a function needs them, so
`import cnlw_tools` is fast.

Functions raise `ValueError` for a wrong value, `LookupError` for an unknown name, and `OSError` for
a problem with a file or a connection. The message says what is wrong, where, and how to fix it. The
lists under *Raises* give the most common causes.

Many functions have these arguments:

| argument | meaning |
| --- | --- |
| `root` | a folder with your own `manifests/`, `annotations/` and `pipelines/` |
| `data_dir` | the folder or address of the images of the dataset, if they do not come with the package |
| `donors` | other datasets whose images the noise uses |
| `store` | the folder or address of a store of web images |
| `engine` | where the work runs: `local` (this machine), or a cluster of Dask or Ray |
| `workers` | the number of processes that work at the same time |
| `progress` | `False` hides the progress bars |

"""
TYPES = {  # in the signatures, where no section explains them
    "PathLike": (
        "a `str` or a `pathlib.Path`; where an address is allowed, a `str` such as "
        "`s3://bucket/folder`"
    ),
    "Folders": "a `PathLike`, or a sequence of several",
    "DonorDirs": "names of donors, or a mapping from these names to the folders of the images",
    "NamedSource": "your own source; see [Your own methods, noise and sources](your_own.md)",
    "RebuildSummary": (
        "the result of `rebuild`: `is_same`, `differing_files`, `rows` (images that are missing "
        "or differ) and more"
    ),
    "PushSummary": (
        "the result of `Build.push`: `url`, `n_files` (of the build), `n_sent` (uploaded files), `sent_bytes`, "
        "`n_deleted` (files of an earlier build), `notes` (warnings of the Hub)"
    ),
    "BuildCard": (
        "the contents of a build's card: `dataset`, `images` (how they are stored), `made_with` "
        "(versions of packages), `tables` (their digests), `configs` and more"
    ),
    "ConfigCard": (
        "the entry of a config on the card of a build: `recipe`, `level`, `digest` (of the plan), "
        "`rows` (of each split), `rate` (of wrong labels) and more"
    ),
    "Finding": (
        "an error or a note of a check: `severity`, `message`, `location`, `count` (of rows or "
        "files), `fix`, `consequences` (findings that follow from this one)"
    ),
    "MeanInterval": (
        "the `mean` of `n` numbers, their standard deviation `sd`, and the `half_width` of the "
        "95 % confidence interval of the mean"
    ),
    "Preset": "the settings of a training run; see [Presets](../presets.md)",
    "RunConfig": "the content of `config.json`; see [Files of a run](../run_files.md)",
    "Metrics": "a dict from the name of each metric to its value",
    "Row": "a row of the ledger of a store; [The image store](../store.md) lists its fields",
    "State": (
        "what the ledger says about an image id: `outcome`, `attempts`, `timestamp`, and "
        "`file_intact` (the file was not changed or deleted)"
    ),
    "Storage": "how a build stores images: `size`, `resize`, `quality` and `shard_rows`",
    "KeptPicture": (
        "an image that was resized when it was fetched: `data` (the bytes of the file), `options` (how "
        "it was resized), `sha256` (of the original)"
    ),
    "Batch": "a batch of training examples: `index`, `views`, `y` and `x` (the first view)",
    "Phase": "a part of training with its own epochs, schedule, learning rate and batch size",
    "BatchSource": (
        "a function without arguments; each call returns an iterator over all batches of a set of "
        "examples, without augmentation"
    ),
    "Progress": (
        "a function of three arguments: the name of the stage, the number of finished steps and "
        "the number of all steps"
    ),
}


def make_pages() -> dict[str, str]:
    """Return the page of each subject, and one that lists all public names.

    Raises:
        ValueError: a public name has no docstring or no page, or no signature has a type that is
            explained
    """
    check_names(cnlw_tools.__all__)
    pages = {}
    for page in PAGES:
        pages[_path(page)] = _subject_page(page)
    text = "".join(pages.values())
    unused = [name for name in TYPES if not _mentions(text, name)]
    if unused:
        raise ValueError(f"no signature has the types {unused}. Fix: delete them from TYPES")
    return {_path("index"): _index_page(), **pages}


def _path(page: str) -> str:
    return f"{FOLDER}/{page}.md"


def check_names(public: list[str]) -> None:
    """Compare the public names with those on the pages.

    Raises:
        ValueError: a public name is on no page or on two, or a page has a name that is not public
    """
    placed = Counter(name for page in PAGES.values() for name in page.names)
    fix = "Fix: correct PAGES in docs/generate/api_pages.py"
    for name in public:
        if placed[name] != 1:
            raise ValueError(
                f"cnlw_tools.{name} is on {placed[name]} pages of the Python API, but must be on "
                f"one. {fix}"
            )
    unknown = sorted(placed.keys() - set(public))
    if unknown:
        raise ValueError(f"cnlw_tools has no public name {unknown[0]!r}. {fix}")


def find_sections() -> Iterator[tuple[str, str]]:
    """Yield each public name, and the address of its section from the root of the site."""
    for name, address in _addresses().items():
        yield name, f"{FOLDER}/{address}"


def _addresses() -> dict[str, str]:
    """Return the address of the section of each public name, from the folder of the pages."""
    return {name: f"{page}.md#{name}" for page in PAGES for name in PAGES[page].names}


def _index_page() -> str:
    """Return the page with a line for each public name, and the types in the signatures."""
    text = link_names(INTRODUCTION)
    addresses = _addresses()
    for page, (title, _, names) in PAGES.items():
        rows = []
        for name in names:
            _, definition = _find(name)
            summary = _docstring(name, definition).partition("\n")[0]
            rows.append([link(code(name), addresses[name]), link_names(escape(summary), name)])
        text += heading(link(title, f"{page}.md"), 2) + table(["name", "what it does or is"], rows)
    text += heading("Types in the signatures", 2)
    return text + table(["type", "meaning"], [[code(name), TYPES[name]] for name in TYPES])


def _subject_page(page: str) -> str:
    """Return the page of some public names: a section for each."""
    title, introduction, names = PAGES[page]
    sections = ""
    for name in names:
        module, definition = _find(name)
        sections += f"## {name} {{#{name}}}\n\n"
        if isinstance(definition, ast.ClassDef):
            sections += _class(name, module, definition)
        else:
            sections += _function(f"cnlw.{name}", definition, name)
    text = (
        heading(f"Python API: {title[:1].lower()}{title[1:]}") + link_names(introduction) + "\n\n"
    )
    *types, last = [code(name) for name in TYPES if _mentions(sections, name)]
    names_of_types = f"{', '.join(types)} and {last}" if types else last
    text += f"{TYPES_LINK} explains {names_of_types}.\n\n"
    return text + sections


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def _find(name: str) -> tuple[str, ast.ClassDef | ast.FunctionDef]:
    """Return the module and the definition of a public name."""
    module, _, target = cnlw_tools.__getattr__.__self__.target(name).partition(":")
    module, target = _follow(module, target)
    return module, find_definition(module, target)


def link_names(text: str, own: str = "") -> str:
    """Return Markdown in which public names in code are links to their sections.

    Args:
        text: Markdown
        own: the public name that the text describes, which is no link
    """
    addresses = _addresses()

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        is_link = name in addresses and name != own
        return link(match[0], addresses[name]) if is_link else match[0]

    return NAME_IN_CODE.sub(replace, text)


def _follow(module: str, name: str) -> tuple[str, str]:
    """Return where a name is defined; imports for type checkers count too."""
    tree = parse_module(module)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, name
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
            return _follow(node.module or module, name)
    return module, name


def _class(name: str, module: str, definition: ast.ClassDef) -> str:
    """Return the section of a class below its heading: text, fields, properties and methods."""
    text = docstring_sections(_docstring(name, definition), name)
    rows = []
    for field in read_fields(module, definition.name):
        if not field.name.startswith("_"):
            # A key of a recipe has the text of the option on the command line.
            meaning = field.comment or _keyword(definition, field.name, "help")
            rows.append([code(field.name), link_names(escape(_as_phrase(meaning)), name)])
    if any(meaning for _, meaning in rows):
        text += table(["field", "meaning"], rows)
    instance = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            text += f"### {name}.{node.name} {{#{name}-{node.name}}}\n\n"
            if _is_property(node):
                type_of = f": {_plain(node.returns)}" if node.returns else ""
                text += fence(f"{instance}.{node.name}{type_of}", "python") + "\n"
                text += docstring_sections(_docstring(f"{name}.{node.name}", node), name)
            else:
                text += _function(f"{instance}.{node.name}", node, name)
    return text


def _as_phrase(text: str) -> str:
    """Return the meaning of a field as a phrase, without a capital letter and a full stop."""
    word = text.partition(" ")[0]
    if word == "A" or word[1:].islower():  # no abbreviation, such as JPEG
        text = text[:1].lower() + text[1:]
    has_more_sentences = re.search(r"\. [A-Z]", text)
    return text if has_more_sentences or text.endswith("...") else text.removesuffix(".")


def _keyword(definition: ast.ClassDef, field: str, keyword: str) -> str:
    """Return a keyword of the call that declares a field, such as its help."""
    for node in definition.body:
        is_field = isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == field
        if is_field and isinstance(node.value, ast.Call):
            for word in node.value.keywords:
                if word.arg == keyword and isinstance(word.value, ast.Constant):
                    return str(word.value.value)
    return ""


def _is_property(node: ast.FunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def _function(name: str, definition: ast.FunctionDef, own: str) -> str:
    """Return the signature of a function, or of a method of the class ``own``, and its text."""
    return (
        fence(format_signature(name, definition), "python")
        + "\n"
        + docstring_sections(_docstring(name, definition), own)
    )


def _docstring(name: str, definition: ast.ClassDef | ast.FunctionDef) -> str:
    """Return the docstring of a public name.

    Raises:
        ValueError: there is none
    """
    docstring = ast.get_docstring(definition)
    if not docstring:
        raise ValueError(f"{name} is public and has no docstring: write one")
    return docstring


def format_signature(name: str, definition: ast.FunctionDef) -> str:
    """Return a signature in one line, or with one argument a line where that is too long."""
    arguments = definition.args
    words = [_argument(argument, None) for argument in arguments.posonlyargs]
    padding = [None] * (len(arguments.args) - len(arguments.defaults))
    for argument, default in zip(arguments.args, [*padding, *arguments.defaults], strict=True):
        if argument.arg not in ("self", "cls"):
            words.append(_argument(argument, default))
    if arguments.vararg:
        words.append(f"*{_argument(arguments.vararg, None)}")
    elif arguments.kwonlyargs:
        words.append("*")
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        words.append(_argument(argument, default))
    if arguments.kwarg:
        words.append(f"**{_argument(arguments.kwarg, None)}")
    result = f" -> {_plain(definition.returns)}" if definition.returns else ""
    line = f"{name}({', '.join(words)}){result}"
    if len(line) <= LONG:
        return line
    return "\n".join([f"{name}(", *(f"    {word}," for word in words), f"){result}"])


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = argument.arg
    if argument.annotation:
        text += f": {_plain(argument.annotation)}"
    if default is not None:
        text += f" = {ast.unparse(default)}" if argument.annotation else f"={ast.unparse(default)}"
    return text


def _plain(annotation: ast.expr) -> str:
    """Return an annotation without the quotes of those that are not imported."""
    return ast.unparse(annotation).replace("'", "").replace('"', "")


def docstring_sections(docstring: str, own: str = "") -> str:
    """Return a docstring as Markdown: arguments as a table, errors as a list, examples as code.

    Args:
        docstring: as the source has it
        own: the public name that it describes, which is no link
    """
    parts = SECTIONS.split(docstring)
    text = link_names(docstring_to_markdown(parts[0]), own) + "\n"
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title == "Args":
            rows = []
            for name, meaning in read_arguments(f"Args:\n{body}").items():
                rows.append([code(name), link_names(escape(meaning), own)])
            text += table(["argument", "meaning"], rows)
        elif title == "Example":
            text += fence(re.sub(r"^    ", "", body.rstrip(), flags=re.MULTILINE), "pycon") + "\n"
        elif title == "Raises":
            text += f"**Raises:**\n\n{link_names(_list_errors(body), own)}\n"
        else:
            text += f"**{title}:** {link_names(escape(_join(body)), own)}\n\n"
    return text


def _list_errors(body: str) -> str:
    """Return the errors of a section as a list, with their names as code."""
    text = ""
    for entry in _entries(body):
        names, _, reason = entry.partition(": ")
        marked = ERROR.sub(lambda match: code(match[0]), names)
        text += f"- {marked}: {escape(reason)}\n"
    return text


def _join(body: str) -> str:
    """Return the lines of a section as one text; each entry of its own ends with a full stop."""
    entries = _entries(body)
    return ". ".join(entries) + ("" if entries and entries[-1].endswith(".") else ".")


def _entries(body: str) -> list[str]:
    """Return the entries of a section, each as one line."""
    entries: list[str] = []
    for line in body.strip("\n").splitlines():
        text = line.removeprefix("    ")
        if text.startswith("    ") and entries:
            entries[-1] += f" {text.strip()}"
        elif text.strip():
            entries.append(text.strip())
    return entries
