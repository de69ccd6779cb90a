"""The page of the Python API, made from signatures and docstrings; every one must have a text."""

import ast
import re

import cnlw_tools
from docs.generate.markdown import code, docstring_to_markdown, escape, fence, heading, table
from docs.generate.source_code import (
    find_definition,
    parse_module,
    read_arguments,
    read_fields,
)

SECTIONS = re.compile(r"^(Args|Returns|Raises|Example|Yields):\n", re.MULTILINE)
PAGE = "reference/api.md"
LONG = 88  # columns of a signature in one line
ONLY_ON_COMMAND_LINE = "; may be repeated"  # of an option, but not of a field
INTRODUCTION = """# Python API

```python
import cnlw_tools as cnlw
```

Most functions have the name of the command that does the same, with the same defaults and errors:
`build` does what `cnlw build` does. A package such as PyTorch is imported only when a function
needs it, so `import cnlw_tools` is fast. The end of this page explains [types in the
signatures](#types-in-the-signatures).

"""
TYPES = {  # in the signatures, where no other section explains them
    "PathLike": "a `str` or a `pathlib.Path`; a `str` may be an address: s3://bucket/folder",
    "Folders": "one `PathLike`, or a sequence of them",
    "DonorDirs": "names of donors, or a mapping from these names to the folders of the images",
    "NamedSource": (
        "your own source: an object with the attribute `name` (of the dataset) and the methods "
        "`classes()`, `manifest()` and `read(image_id)`"
    ),
    "RebuildSummary": (
        "what `rebuild` found: `is_same`, `differing_files`, `rows` (images that are missing or "
        "differ) and more"
    ),
    "PushSummary": "what a push did: `url`, `n_files`, `n_sent`, `sent_bytes`, `n_deleted`, `notes`",
    "Preset": "the settings of a training run; see [Presets](presets.md)",
    "RunConfig": "the content of `config.json`; see [Files of a run](run_files.md)",
    "Metrics": "the metrics of one epoch, by name",
    "Phase": "a part of training with its own epochs, schedule, learning rate and batch size",
    "BatchSource": (
        "a function without arguments; each call iterates once over a set of examples, without "
        "augmentation"
    ),
    "Progress": "a function that is called with the stage, the finished steps and all steps",
}


def make_pages() -> dict[str, str]:
    """Return the page of all public names.

    Raises:
        ValueError: a public name has no docstring, or no signature has a type that is explained
    """
    text = INTRODUCTION
    functions, classes = [], []
    for name in sorted(cnlw_tools.__all__, key=str.lower):
        module, _, target = cnlw_tools.__getattr__.__self__.target(name).partition(":")
        definition = find_definition(*_follow(module, target))
        group = classes if isinstance(definition, ast.ClassDef) else functions
        group.append((name, _follow(module, target)[0], definition))
    text += heading("Functions", 2)
    for name, _, definition in functions:
        text += f"### {name}\n\n" + _function(f"cnlw.{name}", definition)
    text += heading("Classes", 2)
    for name, module, definition in classes:
        text += _class(name, module, definition)
    unused = [name for name in TYPES if not re.search(rf"\b{name}\b", text)]
    if unused:
        raise ValueError(f"no signature has the types {unused}. Fix: delete them from TYPES")
    text += heading("Types in the signatures", 2)
    text += table(["type", "meaning"], [[code(name), TYPES[name]] for name in TYPES])
    return {PAGE: text}


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
    """Return the section of a class: its text, fields, properties and methods."""
    text = f"### {name}\n\n" + docstring_sections(_docstring(name, definition))
    rows = []
    for field in read_fields(module, definition.name):
        if not field.name.startswith("_") and not field.type.startswith("ClassVar"):
            default = field.default
            meaning = field.comment
            called = re.match(r"key\((.*)", default, re.DOTALL)
            if called:
                meaning = _keyword(definition, field.name, "help")
                meaning = meaning.replace(ONLY_ON_COMMAND_LINE, "")
                default = ""
            rows.append([code(field.name), escape(_as_phrase(meaning))])
    if any(meaning for _, meaning in rows):
        text += table(["field", "meaning"], rows)
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            text += f"#### {name}.{node.name} {{#{name}-{node.name}}}\n\n"
            if _is_property(node):
                text += docstring_sections(_docstring(f"{name}.{node.name}", node))
            else:
                text += _function(f"{name.lower()}.{node.name}", node)
    return text


def _as_phrase(text: str) -> str:
    """Return the meaning of a field as a phrase, without a capital letter and a full stop."""
    word = text.partition(" ")[0]
    if word[1:].islower():  # no abbreviation, such as JPEG
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


def _function(name: str, definition: ast.FunctionDef) -> str:
    """Return the signature of a function and its text."""
    return (
        fence(format_signature(name, definition), "python")
        + "\n"
        + docstring_sections(_docstring(name, definition))
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


def docstring_sections(docstring: str) -> str:
    """Return a docstring as Markdown: arguments as a table, errors as a list, examples as code."""
    parts = SECTIONS.split(docstring)
    text = docstring_to_markdown(parts[0]) + "\n"
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title == "Args":
            rows = []
            for name, meaning in read_arguments(f"Args:\n{body}").items():
                rows.append([code(name), escape(meaning)])
            text += table(["argument", "meaning"], rows)
        elif title == "Example":
            text += fence(re.sub(r"^    ", "", body.rstrip(), flags=re.MULTILINE), "pycon") + "\n"
        else:
            text += f"**{title}:** {escape(_join(body))}\n\n"
    return text


def _join(body: str) -> str:
    """Return the lines of a section as one text; each entry of its own ends with a full stop."""
    entries: list[str] = []
    for line in body.strip("\n").splitlines():
        text = line.removeprefix("    ")
        if text.startswith("    ") and entries:
            entries[-1] += f" {text.strip()}"
        elif text.strip():
            entries.append(text.strip())
    return ". ".join(entries) + ("" if entries and entries[-1].endswith(".") else ".")
