"""The commands of README and of the guides work, in the order in which a reader types them.

Every page is followed from its first line to its last in a folder of its own, word for word. What
the page takes for granted, such as your photographs or CIFAR-10, is there in small, laid out
exactly (`page_folders`). To be fast, these are replaced (`conftest`):

- the tables of `shapes` by those of 20 training images of each class, but for one page;
- the drawings of `shapes` by pictures of 8 x 8 pixels, and presets and studies by shorter ones;
- worker processes by this process;
- the web by a server of this machine, whose address counts as public.

The commands of `NOT_RUN` cannot be run here.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.docs.page_blocks import Step, read_steps, run_step, split_commands
from tests.docs.page_folders import BETWEEN, PREPARE, shorten

CHECKOUT = Path(__file__).parents[2]
PAGES = [
    CHECKOUT / "README.md",
    *sorted((CHECKOUT / "docs/start").glob("*.md")),
    *sorted((CHECKOUT / "docs/guides").glob("*.md")),
]
TAKES_ALL_IMAGES = ("trusted_images",)  # a page that keeps 2,000 training images
ENVIRONMENT = "it would change the environment that the tests run in"
NOT_RUN = {  # command -> why it cannot be run here
    "make demo": ENVIRONMENT,
    "pip install .": ENVIRONMENT,
    "pip install '.[train,report]'": ENVIRONMENT,
    "pip install '.[dask]'": ENVIRONMENT,
    "pip install '.[ray]'": ENVIRONMENT,
    "pip install '.[croissant]'": ENVIRONMENT,
    "pip install -c constraints.txt '.[train,report]'": ENVIRONMENT,
    "torchrun --nproc-per-node 4 -m cnlw_tools train --data builds/cifar10 --config blue_40 "
    "--method mixup": "it takes a machine with four GPUs",
    "cnlw show builds/shapes --gallery": "it serves a page until Ctrl-C",
    "cnlw show builds/shapes --gallery --config red_40 --duplicates": "so does this",
    "cnlw votes review --dataset shapes": "and this",
    "cnlw push builds/shapes OWNER/NAME --tag v1": "it needs an account on the Hub",
    "cnlw push builds/shapes OWNER/NAME --tag v1 --croissant shapes.json": "it needs an account too",
    "cnlw validate builds/shapes --end-to-end": "a network has to learn, from all images",
}


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")  # mlcroissant calls these
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.reset_index")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_can_be_followed(path, reader, site, request) -> None:
    """Every command and every block of Python of a page succeeds after those before it."""
    if path.stem in TAKES_ALL_IMAGES:
        request.getfixturevalue("all_images")
    if path.stem in PREPARE:
        PREPARE[path.stem](reader, site)
    namespace = {"__name__": "__main__"}
    for step in read_steps(path):
        if step.text in BETWEEN:
            BETWEEN[step.text](reader, site)
        if step.file_name.endswith(".toml"):
            step = replace(step, text=shorten(step.text))
        if step.text not in NOT_RUN:
            run_step(step, namespace)


def test_what_is_not_run_is_on_a_page() -> None:
    """The lists of commands have none that no page gives any more."""
    commands = {step.text for path in PAGES for step in read_steps(path)}

    assert [command for command in (*NOT_RUN, *BETWEEN) if command not in commands] == []


def test_a_command_goes_on_in_the_next_line() -> None:
    """A backslash joins lines; comments and empty lines are not commands."""
    block = "cnlw build \\\n  --noise red   # red\n\n# nothing\ncnlw validate\n"

    assert split_commands(block) == ["cnlw build --noise red", "cnlw validate"]


def test_a_command_that_fails_is_found(reader: Path) -> None:
    """A page with a command that fails, or with wrong Python, fails."""
    with pytest.raises(AssertionError, match="does not exist"):
        run_step(Step("page", 1, "cnlw show builds/shapes"), {})
    with pytest.raises(AssertionError, match="cannot be run here"):
        run_step(Step("page", 1, "rm -r /"), {})
    with pytest.raises(ZeroDivisionError):
        run_step(Step("page", 1, "1 / 0", is_python=True), {})
