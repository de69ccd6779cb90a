"""Generated pages have what a reader looks for, of every entry of every table."""

import ast
from itertools import pairwise
from pathlib import Path

import click
import pytest

import cnlw_tools
from cnlw_tools.checks import CHECKS
from cnlw_tools.cli import main
from cnlw_tools.cli.definitions import describe_method
from cnlw_tools.files import default_root
from cnlw_tools.methods import METHODS
from cnlw_tools.methods.base import REQUIREMENTS
from cnlw_tools.noise import NOISE
from cnlw_tools.reports.published import read_paper_tables
from docs.generate import (
    api_pages,
    check_pages,
    cli_pages,
    file_pages,
    message_pages,
    method_numbers,
    method_pages,
    noise_examples,
    noise_pages,
    source_pages,
    study_results,
)
from docs.generate.markdown import is_formula
from tests.docs.test_pages import WIDEST_LINE, parse


def test_every_command_and_option_has_its_place():
    """The page of a command has all its options."""
    pages = cli_pages.make_pages()

    text = pages["reference/cli/build.md"]
    for option in main.commands["build"].params:
        if isinstance(option, click.Option):
            assert option.opts[0] in text
    for command in ("validate", "votes-import", "train-mentor"):
        assert f"reference/cli/{command}.md" in pages
        assert f"({command}.md)" in pages["reference/cli/index.md"]


def test_a_page_that_a_help_text_names_is_linked():
    """A terminal shows the title; the page of the command links to it."""
    pages = cli_pages.make_pages()
    targets = file_pages.make_pages() | method_pages.make_pages()

    for title, target in cli_pages.PAGES.items():
        page, _, section = target.removeprefix("../").partition("#")
        assert f"# {title}\n" in targets[f"reference/{page}"]
        assert not section or f"{{#{section}}}\n" in targets[f"reference/{page}"]
    named = "[The image store and its ledger](../store.md) explains"
    assert named in pages["reference/cli/fetch.md"]
    assert not any(cli_pages.NAMED_PAGE.search(page) for page in pages.values())


def test_every_method_has_a_page_with_its_formula():
    """A block of code stands in the section of the formula."""
    pages = method_pages.make_pages()

    for name in METHODS:
        section = pages[f"reference/methods/{name}.md"].partition("## Formula")[2]
        assert "```text" in section.partition("## What it needs")[0], name
        assert describe_method(METHODS.target(name)).paper
        assert f"({name}.md)" in pages["reference/methods/index.md"]


def test_no_formula_is_wrapped_like_text():
    """In a wrapped paragraph, no line has room for the first word of the next line."""
    for path in sorted(Path(cnlw_tools.__file__).parent.rglob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False)
        for block in (docstring or "").split("\n\n"):
            lines = block.splitlines()
            is_full = [
                len(line) + 1 + len(below.split()[0]) > WIDEST_LINE
                for line, below in pairwise(filter(str.strip, lines))
            ]
            is_wrapped = len(is_full) > 1 and all(is_full) and "   " not in block
            assert not (is_wrapped and is_formula(block.strip("\n"))), f"{path}: {lines[0]}"


def test_every_option_of_a_method_has_a_meaning():
    """It stands in the docstring of the class, or of a class that it derives from."""
    for name in METHODS:
        target = METHODS.target(name)
        options = describe_method(target).options

        assert set(options) <= set(method_pages.option_meanings(target)), name


def test_every_option_of_a_noise_model_has_a_meaning():
    """It stands in the docstring of the function that draws."""
    for name, model in NOISE.items():
        assert set(model.options) == set(noise_pages.option_meanings(model)), name


def test_needs_are_those_of_the_methods():
    """What a method may require is explained on its page."""
    assert set(method_pages.NEEDS) == set(REQUIREMENTS)


def test_measured_costs_are_read_from_the_benchmarks():
    """The table in benchmarks/README.md has a row for each method, and counts as the method does."""
    costs = method_pages.read_measured_costs()

    assert costs["vanilla"]["step"] == "1.00"
    for name in METHODS:
        relative_cost = describe_method(METHODS.target(name)).relative_cost
        assert costs[name]["counted"] == f"{relative_cost:.2f}", name


def test_published_numbers_stand_on_the_page_of_the_method():
    """A study that calls a method by another name is understood."""
    pages = method_pages.make_pages()

    assert "| jiang table2: Ours (MentorMix) |" in pages["reference/methods/mentormix.md"]
    assert "| `zhang_table1` | zhang table1: Ours |" in pages["reference/methods/ieg.md"]


def test_published_tables_say_what_their_spread_is():
    """Every table with a ± says it; a plus that text recognition read in place of ± is one."""
    ieg, incv = (
        method_numbers.published_numbers("ieg"),
        method_numbers.published_numbers("coteaching"),
    )

    assert "standard deviation over five runs." in incv
    assert "standard deviation over three runs" in ieg
    for name, paper_table in read_paper_tables(default_root()).items():
        notes = "".join(note[:9] for note in paper_table.get("notes", []))
        assert method_numbers.SPREAD in notes or "±" not in str(paper_table["rows"]), name
    assert "| 85.6 ± 1.1 |" in ieg


def test_a_note_on_the_spread_of_several_tables_stands_once():
    """It names the tables; the note of a single table stands with the table."""
    gce, weight_decay = map(method_numbers.published_numbers, ("gce", "weight_decay"))

    assert gce.count("standard deviation over three runs") == 1
    assert "In *zhang table1*, *zhang table2* and *zhang table3*, the ± is" in gce
    assert "`scratch`: random) and the noise. The ± is a measure" in weight_decay


def test_a_note_on_quoted_numbers_stands_only_beside_such_numbers():
    """The numbers of IEG are all from its own paper."""
    gce, ieg = map(method_numbers.published_numbers, ("gce", "ieg"))

    assert f"{method_numbers.QUOTED}the meaning of the ± is not stated." in gce
    assert "± is the standard deviation over three runs" in ieg
    assert method_numbers.QUOTED not in ieg


def test_a_number_of_arxiv_stands_once_in_the_list_of_tables():
    """The other tables of a paper are listed with its authors and year alone."""
    mdyrh = method_numbers.published_numbers("mdyrh")

    assert mdyrh.count("arXiv:1910.00701") == 1
    assert mdyrh.count("arXiv:1911.09781") == 1
    assert "in percent, from Zhang et al. (2020). A column" in mdyrh


def test_published_tables_say_what_stars_and_dashes_mean():
    """A star in a symbol such as Q* marks nothing."""
    l2r, rog, noise_layer = map(method_numbers.published_numbers, ("l2r", "rog", "noise_layer"))

    assert "A star marks numbers that Zhang et al. measured themselves." in l2r
    assert method_numbers.UNKNOWN_STAR in l2r
    assert "A dash means that the table has no number." in rog
    assert "Q\\*" in noise_layer
    assert "star" not in noise_layer


def test_options_of_the_trainer_that_a_method_needs_stand_in_its_table():
    """They are no arguments of the method's class."""
    pages = method_pages.make_pages()

    assert "| `-o holdout=0.1`{ .option } |" in pages["reference/methods/rog.md"]
    assert "| `-o noise_rate=RATE`{ .option } |" in pages["reference/methods/o2u.md"]


def test_a_page_without_numbers_of_ours_has_no_column_for_them():
    """It says that the comparisons were not run."""
    text = method_numbers.published_numbers("ieg")

    assert "We have not made the following comparisons, which" in text
    assert "ours" not in text


def test_our_own_numbers_stand_on_the_page_of_the_method():
    """With the scale of the study, and vanilla of the same study and data beside them."""
    text = method_pages._method_page("gce")
    own, _, published = text.partition("## Our own numbers")[2].partition("## Published numbers")
    (trial,) = [
        trial
        for trial in study_results.read_trials()
        if trial.method == "gce" and trial.config == "symmetric_60_clean4000"
    ]
    baseline = study_results.find_baseline(trial)

    assert "4,000 training images of 16 x 16 pixels" in own
    assert f"| {trial.last} | {trial.best} | {baseline.last} |" in own
    assert "(best epoch) |" in published
    assert "cannot be compared with the published ones" in published
    assert "We have not made the other comparisons, which" in published


def test_names_of_configs_are_explained_above_the_first_table_that_has_them():
    """Each part once on a page, below the heading of a study."""
    own = method_numbers.own_numbers("vanilla")
    start, _, rest = own.partition("### rolnick_exp1")
    exp1, _, others = rest.partition("### rolnick_fig4")

    assert "`dilution_a10`" in exp1.partition("| our data |")[0]
    assert "`dilution_a10`" not in start + others
    assert "the option delta" in others
    assert own.count("The number after `clean`") == 1


def test_published_numbers_beside_symmetric_and_blue_noise_are_explained():
    """Only where the same number stands beside both."""
    words = method_numbers.EQUAL_NOISES

    assert f"(`40`).{words}\n\n" in method_numbers.published_numbers("mixup")
    assert words not in method_numbers.published_numbers("gce_truncated")


def test_single_runs_and_costs_of_a_docstring_stand_in_their_sections():
    """The section of the formula has neither; a method without studies still has our numbers."""
    text = method_pages._method_page("glc")
    formula, _, others = text.partition("## What it needs")
    cost, _, own = others.partition("## Cost")[2].partition("## Our own numbers")

    assert "45.4" not in formula
    assert "The counted cost does not include" in cost
    assert "45.4" in own
    assert "so there are no tables." in own
    assert "so we have no numbers of our own." in method_pages._method_page("dropout")


def test_settings_of_studies_in_a_docstring_stand_with_our_numbers():
    """The section of the formula does not have them."""
    formula, _, others = method_pages._method_page("forward").partition("## What it needs")
    own = others.partition("## Our own numbers")[2].partition("## Published numbers")[0]

    assert "the true Q" not in formula
    assert "the option q gives the method the true Q" in own


def test_dashes_of_published_tables_are_explained():
    """By the note of the table, or as missing; so are the names of columns."""
    weight_decay = method_numbers.published_numbers("weight_decay")

    assert "| — |" in weight_decay
    assert "A dash means that training failed." in weight_decay
    assert "A column is named after the dataset" in weight_decay
    assert method_numbers.UNKNOWN_DASH in method_numbers.published_numbers("forward")
    assert method_numbers.UNKNOWN_DASH not in method_numbers.published_numbers("ieg")


@pytest.mark.parametrize(
    ("note", "shown", "absent"),
    [
        ("A column called Prev. best has", "mdyrh", "mixmatch"),
        ("75.2 ± 0.2 in table 8 of the paper, 75.5 ± 0.2 in table 2", "ieg", "mdyrh"),
        ("In the name of a row, *Ours* means the method that the paper", "mentormix", "coteaching"),
    ],
)
def test_a_note_stands_only_where_its_column_value_or_row_is_shown(note, shown, absent):
    """A published table has other columns and rows on one page than on another."""
    assert note in method_numbers.published_numbers(shown)
    assert note not in method_numbers.published_numbers(absent)


def test_columns_that_are_numbers_are_noise_levels():
    """In percent, as shares, or both; a page without such columns says nothing of them."""
    start = "If the name of a column is a number, that number is the level of noise, "

    assert f"{start}in percent (`40`). " in method_numbers.published_numbers("noise_layer")
    assert f"{start}in percent (`40`) or as a share" in method_numbers.published_numbers(
        "mentormix"
    )
    assert start not in method_numbers.published_numbers("mixmatch")


def test_a_page_says_that_ours_is_also_in_the_name_of_a_column():
    """Table 8 of the paper of IEG has a column of this name."""
    sentence = "In the name of a row or column, *Ours* means the method that the paper introduced."

    assert sentence in method_numbers.published_numbers("ieg")


def test_symbols_stand_below_the_first_formula_of_a_noise_model():
    """What they mean is read before the paragraphs that use them."""
    page = noise_pages.make_pages()[f"{noise_pages.FOLDER}/dilution.md"]
    assert isinstance(page, str)

    assert page.index("```text") < page.index("`n_c` is") < page.index("The option alpha")


def test_a_page_says_only_how_its_own_method_was_run():
    """A study with several methods may train each of them for a different number of epochs."""
    numbers = method_numbers.own_numbers("h_alpha")

    assert "Runs of `h_alpha` last 60 epochs." in numbers
    assert "Runs of `vanilla`" not in numbers


def test_every_study_that_was_run_says_its_scale():
    """A label of a study is understood; a study without a section is an error that says so."""
    trials = study_results.read_trials()

    assert {trial.method for trial in trials} <= set(METHODS)
    assert {"Ridge", "Trace"} <= {t.variant for t in trials if t.method == "noise_layer"}
    for study in {trial.study for trial in trials}:
        assert study_results.describe_scale(study).startswith(f"`cnlw sweep {study}")
    with pytest.raises(ValueError, match="no section on zhang_table1: begin one with"):
        study_results.describe_scale("zhang_table1")


def test_a_page_says_once_what_its_subject_is():
    """The title of a module is the lead, unless several methods or models share the module."""
    for make, folder, names, word in [
        (method_pages.make_pages, "methods", ("mentormix", "mixmatch_kl"), "Source"),
        (noise_pages.make_pages, "noise", ("blue", "pairflip"), "Paper"),
    ]:
        pages = make()
        alone, sharing = (pages[f"reference/{folder}/{name}.md"] for name in names)
        assert alone.count(f"\n{word}: ") == 1
        assert f"`{names[0]}`" not in alone.split("\n\n")[1]
        assert f"`{names[1]}`" in sharing.split("\n\n")[1]


@pytest.mark.parametrize("name", ["blue", "mix", "human", "semantic"])
def test_a_noise_model_has_a_page(name):
    """Formula, options and guarantees, an example and its picture."""
    example = noise_examples.draw_example(name)

    text = noise_pages._model_page(name, NOISE[name], example)

    assert "## Formula" in text
    assert all(f"-o {option}=" in text for option in NOISE[name].options)
    assert f"![Transition matrix of the example]({name}.png)" in text
    assert (noise_pages.IDENTITY in text) == (example.plan.realised.rate == 0)


def test_a_donor_is_needed_unless_the_dataset_gives_the_images():
    """Only `source` has the option that takes copies of the dataset's own images."""
    source, outlier = (
        noise_pages._what_it_needs(name, NOISE[name]) for name in ["source", "outlier"]
    )
    assert "needs a donor unless `copy_own` is set: `--donor" in source
    assert "needs a donor: `--donor" in outlier


def test_a_symbol_that_the_text_explains_is_not_explained_again():
    """A line of the text may end within the explanation."""
    text = "floor(n_c / 2)\n\nHere, `n_c` is the number of images\nof class c."
    assert noise_pages._explain_symbols(text) == ""
    assert "`n_c` is" in noise_pages._explain_symbols("floor(n_c / 2)")


def test_symbols_are_explained_above_the_source_and_numbers_of_classes_where_they_count():
    """The formula of outlier noise does not use the numbers of classes."""
    for name, has_numbers in [("outlier", False), ("openset", True)]:
        text = noise_pages._model_page(name, NOISE[name], noise_examples.draw_example(name))
        assert "`C` is the number of classes" in text.partition("\nSource: ")[0]
        assert ("numbered from 0 to C - 1" in text) == has_numbers


def test_noise_that_keeps_labels_says_why_its_picture_is_empty():
    """Red noise at any level has a matrix with nothing off the diagonal."""
    example = noise_examples.draw_example("red")

    assert noise_pages.IDENTITY in noise_pages._example("red", example)


def test_an_example_names_the_options_of_its_recipe():
    """A matrix is too long to show; a recipe without options has none to name."""
    assert noise_pages._recipe_options("asymmetric") == ", which sets `map=blocks`"
    assert noise_pages._recipe_options("matrix") == ""
    assert noise_pages._recipe_options("blue") == ""


def test_commands_of_examples_exist():
    """Those that the pages give instead of a single `cnlw plan`."""
    texts = [getattr(noise_examples, name) for name in ("SEMANTIC", "HUMAN", "INSTANCE", "STANDIN")]

    for line in "".join(texts).splitlines():
        parse(line)


def test_every_guarantee_is_explained():
    """No model declares something that its page leaves out."""
    declared = {guarantee for model in NOISE.values() for guarantee in model.guarantees}

    assert declared <= set(noise_pages.GUARANTEES)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("blue", "hold."),
        ("red", "hold with the default options."),
        ("matrix", "holds with an example of `q` and the defaults of the other options."),
        ("asymmetric", "hold with `map=blocks`."),
    ],
)
def test_guarantees_name_the_options_of_their_tests(name, options):
    """Not every model is tested with its defaults; `matrix` has none for q."""
    assert options in noise_pages._guarantees(NOISE[name])


def test_every_public_name_is_in_the_api():
    """Each has a section of its own, and a line on the first page that links to it."""
    pages = api_pages.make_pages()
    index = pages["reference/api/index.md"]
    sections = dict(api_pages.find_sections())

    assert {*sections} == {*cnlw_tools.__all__}
    for name, section in sections.items():
        page, _, anchor = section.partition("#")
        assert f"## {name} {{#{anchor}}}\n" in pages[page]
        assert f"| [`{name}`]({section.removeprefix('reference/api/')}) | " in index
    assert "cnlw.build(\n    dataset:" in pages["reference/api/builds.md"]
    assert "build.card: BuildCard\n" in pages["reference/api/builds.md"]
    assert "noise_model.options: Mapping" in pages["reference/api/your_own.md"]


def test_a_public_name_without_a_page_is_an_error(monkeypatch):
    """So are a name on two pages and one that does not exist; the message says what to do."""
    remedy = "Fix: correct PAGES in docs/generate/api_pages.py"
    with pytest.raises(ValueError, match=f"cnlw_tools.mend is on 0 pages .* {remedy}"):
        api_pages.check_names([*cnlw_tools.__all__, "mend"])

    with pytest.raises(ValueError, match=f"cnlw_tools has no public name 'new'. {remedy}"):
        api_pages.check_names([name for name in cnlw_tools.__all__ if name != "new"])

    twice = api_pages.ApiPage("More", "More.", ("build",))
    monkeypatch.setitem(api_pages.PAGES, "more", twice)
    with pytest.raises(ValueError, match=f"cnlw_tools.build is on 2 pages .* {remedy}"):
        api_pages.check_names(cnlw_tools.__all__)


def test_public_names_become_links():
    """They lead to their sections; the name that a text describes is no link."""
    text = api_pages.docstring_sections("As `build` does.\n\nRaises:\n    OSError: none", "plan")

    assert text.startswith("As [`build`](builds.md#build) does.")
    assert text.endswith("**Raises:**\n\n- `OSError`: none\n\n")
    assert api_pages.link_names("`build`, `loss`", "build") == "`build`, `loss`"


def test_a_page_names_its_types():
    """Those that its signatures have, in the order of the table that explains them."""
    text = api_pages.make_pages()["reference/api/studies.md"]

    line = "[Types in the signatures](index.md#types-in-the-signatures) explains `PathLike` and "
    assert f"{line}`DonorDirs`.\n" in text


def test_a_public_function_without_docstring_is_an_error():
    """The message names it."""
    function = ast.parse("def run():\n    pass").body[0]

    with pytest.raises(ValueError, match="run is public and has no docstring"):
        api_pages._function("run", function, "run")


def test_long_signatures_have_a_line_for_each_argument():
    """A short one stays in one line; quotes of annotations are left out."""
    source = "def f(self, a: 'int', *, b: str = 'x', **more: str) -> 'Run': ...\n"
    function = ast.parse(source).body[0]

    assert api_pages.format_signature("f", function) == (
        "f(a: int, *, b: str = 'x', **more: str) -> Run"
    )
    name = "f" * 60
    assert api_pages.format_signature(name, function).splitlines()[1] == "    a: int,"


def test_every_check_is_listed():
    """With what it proves."""
    text = check_pages.make_pages()["reference/checks.md"]

    assert all(f"| `{check.name}` |" in text for check in CHECKS)


def test_every_column_of_a_build_is_explained():
    """And those of the other tables are listed."""
    text = file_pages.make_pages()["reference/columns.md"]

    assert all(f"| `{column}` |" in text for column in file_pages.COLUMNS)
    assert "| `annotator` | string | yes |" in text


def test_messages_have_two_parts():
    """What is wrong, and what stands behind the last colon or behind Fix:."""
    message = message_pages.split_message("{path}: no rows: add a row for each class")

    assert message == ("{path}: no rows", "add a row for each class")
    fixed = message_pages.split_message("no rows. Fix: add rows: one for each class")
    assert fixed == ("no rows", "add rows: one for each class")
    assert message_pages.split_message("there are no bytes") is None
    here = message_pages.split_message("{path}: there is no such file; a table is a .csv file")
    assert ("{path}: there is no such file", "a table is a .csv file") == here


def test_messages_are_collected():
    """Values stand as {name}."""
    messages = {message.problem: message.remedy for message in message_pages.read_messages("store")}

    assert any("no image store here" in problem for problem in messages)


def test_messages_stand_where_they_come():
    """Those of a fetch stand in its section, although the module is in another folder."""
    problems = [message.problem for message in message_pages.read_messages("fetch")]

    assert any("the workers of a cluster divide the sites" in problem for problem in problems)
    assert not any("engine" in message.problem for message in message_pages.read_messages("ingest"))


def test_sources_and_networks_are_listed():
    """Each by its name."""
    pages = source_pages.make_pages()

    assert "| `cifar10` | 10 |" in pages["reference/sources.md"]
    assert "| `resnet32` |" in pages["reference/networks.md"]
