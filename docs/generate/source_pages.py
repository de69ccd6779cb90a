"""Pages of sources and networks, made from their tables."""

from cnlw_tools.cli.list import list_datasets
from cnlw_tools.files import default_root
from cnlw_tools.sources import SOURCES
from cnlw_tools.trainer.nets import NETS
from docs.generate.markdown import code, docstring_to_markdown, escape, heading, table
from docs.generate.source_code import class_docstring, module_docstring


def make_pages() -> dict[str, str]:
    """Return the pages of sources and of networks."""
    return {"reference/sources.md": _sources_page(), "reference/networks.md": _networks_page()}


def _sources_page() -> str:
    text = heading("Datasets and sources")
    text += (
        "A source reads the images of a dataset from your folder, and `--data-dir DIR` names this "
        "folder. For a published dataset, the folder has the layout in which the dataset was "
        "published. [Manifests](manifests.md#your-own-dataset) describes the layouts of your "
        "own images and of Hugging Face datasets in detail. The [glossary](../glossary.md) explains "
        "words such as *split* and *manifest*.\n\n"
    )
    rows = []
    for name, description in list_datasets(default_root()):
        n_classes, _, layout = description.partition("classes   --data-dir: ")
        n_classes = n_classes.strip().replace("your", "read from the files")
        rows.append([code(name), n_classes, escape(layout)])
    text += table(["dataset", "classes", "what your folder must hold"], rows)
    text += heading("Sources", 2)
    modules = {source.__module__: source for source in SOURCES.values()}
    for module in modules:
        names = [code(name) for name, source in SOURCES.items() if source.__module__ == module]
        text += heading(", ".join(names), 3)
        title, _, rest = module_docstring(module).partition("\n")
        text += f"{escape(title)}\n\n{docstring_to_markdown(rest)}\n"
    return text


def _networks_page() -> str:
    text = heading("Networks")
    text += (
        "`cnlw train --net NAME` trains one of these networks. `resnet34_cifar` and `vgg13_cifar` are "
        "variants of torchvision's `resnet34` and `vgg13`, for images of 32 x 32 pixels. Below the "
        "table, each section is about one module of `cnlw_tools/trainer/nets`.\n\n"
        "In the formulas, `x <- ...` is what a layer or a unit computes, `conv` is a convolution, and "
        "`BN` is batch normalisation. Operations are applied from right to left: `ReLU BN conv x` is "
        "a convolution, then batch normalisation, then ReLU. A network has a stem (its first layers), "
        "several stages and a head (its last layer), and each stage consists of units. For example, "
        "*3 stages of 5, 16-32-64* means three stages of five units each, whose channels are 16 in the "
        "first stage, 32 in the second and 64 in the third.\n\n"
    )
    rows = []
    for name in NETS:
        module, _, function = NETS.target(name).partition(":")
        docstring = class_docstring(module, function)
        first_line = docstring.partition("\n")[0].removeprefix("Return ")
        rows.append([code(name), escape(first_line[:1].upper() + first_line[1:])])
    text += table(["network", "what it is"], rows)
    modules = {NETS.target(name).partition(":")[0]: None for name in NETS}
    for module in modules:
        title, _, rest = module_docstring(module).partition("\n")
        text += heading(code(module.rpartition(".")[2]), 2)
        text += f"{escape(title)}\n\n{docstring_to_markdown(rest)}\n"
    return text
