"""``cnlw train``, as a user types it."""

import json
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from cnlw_tools.builds.build import build
from cnlw_tools.card.metadata import config_shards, read_card
from cnlw_tools.cli import main
from cnlw_tools.cli.train import _find_config
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.trainer import TrainingStopped
from tests.sources.conftest import draw_jpeg, put

PLAN = """# A small one
net = "mlp1"
epochs = 2
quick = 1
batch_size = 40
lr = 0.01
size = 8
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny):
    """A folder with a root and a build of two configs of it, and a preset."""
    here = tmp_path_factory.mktemp("train")
    root = tiny(here / "root")
    for noise, level in (("blue", 40), ("blue", 20)):
        said = {"dataset": "shapes", "noise": noise, "levels": [level], "size": 8}
        build(recipe.parse_recipe(said, "test"), Inputs(root), here / "builds" / "shapes")
    (here / "small.toml").write_text(PLAN)
    return here


@pytest.fixture
def here(built, tmp_path, monkeypatch):
    """Work beside the build, with a cache of one's own."""
    monkeypatch.setenv("CNLW_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "builds").symlink_to(built / "builds")
    return built


def cnlw(here, *arguments):
    """Call it with the small preset."""
    usual = [
        "train",
        "--preset",
        str(here / "small.toml"),
        "--device",
        "cpu",
        "--decode-threads",
        "1",
    ]
    return CliRunner().invoke(main, [*usual, *map(str, arguments)])


def test_it_trains_on_the_last_build(here, tmp_path):
    """A line an epoch, the three figures, the folder."""
    done = cnlw(here, "--config", "blue_40")

    assert done.exit_code == 0, done.output
    *epochs, last, folder = done.stdout.splitlines()
    assert [line.split()[:2] for line in epochs] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert epochs[0].endswith(" left")
    assert "top-5" in epochs[0]  # of ten classes
    assert max(map(len, done.output.splitlines()[2:])) <= 80
    found = json.loads((tmp_path / "runs/shapes/blue_40/vanilla_s0/result.json").read_text())
    assert last.startswith(f"top-1 on validation: last {found['last']:.2f} %")
    assert folder == "       runs/shapes/blue_40/vanilla_s0"
    first, *words, place, advice = done.stderr.splitlines()
    assert first == "trains vanilla on blue_40 of builds/shapes"
    assert "2 epochs, batch 40, seed 0, on cpu, " in " ".join(" ".join(words).split())
    assert place == "into   runs/shapes/blue_40/vanilla_s0"
    assert advice == "next: cnlw report runs"


def test_it_trains_on_a_build_at_an_address(memory, here, tmp_path):
    """Only the config that it learns from is copied; the run says the address, and so is reported."""
    address = "memory://bucket/builds/shapes"
    memory.put(str(here / "builds" / "shapes") + "/", "/bucket/builds/shapes/", recursive=True)

    unnamed = cnlw(here, "--data", address)
    trained = cnlw(here, "--data", address, "--config", "blue_20", "--quick")
    reported = CliRunner().invoke(main, ["report", "runs"])

    assert f"Error: {address} holds 2 configs: name one by --config" in unnamed.output
    assert (0, 0) == (trained.exit_code, reported.exit_code), trained.output + reported.output
    run = tmp_path / "runs/shapes/blue_20/vanilla_s0_quick"
    assert address == json.loads((run / "config.json").read_text())["build"]
    assert "no noise detection" not in reported.output
    copied = {path.name for path in (tmp_path / "cache/storage").rglob("*.parquet")}
    names = config_shards(read_card(here / "builds/shapes"), "blue_20").values()
    assert copied == {name for split in names for name in split}


def test_noise_and_level_name_a_config(here, tmp_path):
    """--noise blue --level 20 is --config blue_20."""
    done = cnlw(here, "--noise", "blue", "--level", 20, "--quick")
    assert done.exit_code == 0, done.output
    assert " 1 epoch, batch " in " ".join(done.stderr.split())
    result = json.loads((tmp_path / "runs/shapes/blue_20/vanilla_s0_quick/result.json").read_text())
    assert result["epochs"] == 1


def test_one_epoch_of_a_method_in_stages_is_said_to_be_one_stage(here):
    """Its result is not that of the method; a method without stages needs no word."""
    flags = ["--config", "blue_40", "--quick"]
    staged = cnlw(here, *flags, "--method", "o2u", "-o", "noise_rate=0.4")
    whole = cnlw(here, *flags, "--method", "mixup")

    assert (staged.exit_code, whole.exit_code) == (0, 0), staged.output
    note = "note one epoch is one stage of this method: the result is not that of the method"
    assert note in " ".join(staged.stderr.split())
    assert "note" not in whole.stderr


def test_the_usual_config_is_said_to_be_that(here, tmp_path, monkeypatch):
    """Others are named, so that nobody takes it for the one built last."""
    card = SimpleNamespace(configs={"blue_20": None, "red_40": None})
    monkeypatch.setattr("cnlw_tools.card.metadata.read_card", lambda build: card)

    assert _find_config(tmp_path, None, None, None) == (
        "red_40",
        "the usual config; --config names another: blue_20",
    )
    del card.configs["red_40"]
    assert _find_config(tmp_path, None, None, None)[1] == "the only config of the build"


def test_seeds_are_a_run_each(here, tmp_path):
    """Their mean stands at the end; the same command trains nothing again, more seeds only those."""
    arguments = ["--config", "blue_40", "--quick", "--out", "runs/x"]
    first = cnlw(here, *arguments, "--seeds", "0,3")
    (tmp_path / "runs/x/s0/checkpoint.pt").unlink()
    again = cnlw(here, *arguments, "--seeds", "0,3")
    more = cnlw(here, *arguments, "--seeds", "4")

    assert first.exit_code == again.exit_code == more.exit_code == 0, first.output
    results = []
    for seed in (0, 3):
        folder = tmp_path / "runs/x" / f"s{seed}"
        results.append(json.loads((folder / "result.json").read_text())["last"])
        assert json.loads((folder / "config.json").read_text())["seed"] == seed
    mean, half = sum(results) / 2, 12.706205 * abs(results[0] - results[1]) / 2
    words = " ".join(first.stdout.split())
    assert f"2 seeds, mean ± half the 95 % interval of top-1 in %: last {mean:.2f} ± " in words
    assert f"{half:.2f} (2)" in words
    assert "epoch" not in again.stdout
    assert again.stdout.splitlines()[-2:] == first.stdout.splitlines()[-2:]
    assert more.stdout.count("epoch 1/1") == 2
    assert "next: cnlw report runs/x" in more.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--seeds", "x"],
            "seeds 'x' are not allowed: write a number, such as 3, or a list, such as 0,1,5",
        ),
        (["--seeds", "0"], "give one or more"),
        (["--seeds", "1,1"], "each once"),
        (["--seeds", "3", "--seed", "0"], "cannot be used together"),
    ],
)
def test_what_is_no_list_of_seeds_is_said(here, tmp_path, arguments, message):
    """In a line, and nothing is trained."""
    done = cnlw(here, "--config", "blue_40", *arguments)

    assert (done.exit_code, len(done.output.splitlines())) == (1, 1)
    assert message in done.output
    assert not (tmp_path / "runs").exists()


def test_flags_go_before_the_preset(here, tmp_path):
    """Epochs, batch, rate, seed, options."""
    flags = [
        "--epochs",
        1,
        "--batch-size",
        20,
        "--lr",
        0.02,
        "--seed",
        3,
        "--out",
        "run",
        "--config",
        "blue_40",
    ]
    done = cnlw(here, "--method", "bootstrap", "-o", "kind=hard", *flags)
    said = json.loads((tmp_path / "run" / "config.json").read_text())

    assert done.exit_code == 0, done.output
    assert said["options"] == {"kind": "hard"}
    assert (said["seed"], said["preset"]["batch_size"], said["preset"]["lr"]) == (3, 20, 0.02)


def test_what_a_preset_adapts_is_said_once(here, tmp_path):
    """Epochs and batch stand among its values, and not again behind them."""
    preset = (tmp_path / "adapts.toml", 'adapt = ["batch_size", "epochs"]')
    preset[0].write_text(PLAN.replace("size = 8", f"size = 8\n{preset[1]}"))
    arguments = ["--preset", str(preset[0]), "--config", "blue_40", "--epochs", "1"]
    done = CliRunner().invoke(main, ["train", *arguments, "--device", "cpu"])
    words = " ".join(done.stderr.split())

    assert done.exit_code == 0, done.output
    assert f"preset {preset[0]} (batch_size 32, epochs 1), seed 0, on cpu" in words


def test_a_run_is_not_begun_twice_but_goes_on(here):
    """The message says how; --resume says the result again."""
    first = cnlw(here, "--config", "blue_40", "--quick")
    again = cnlw(here, "--config", "blue_40", "--quick")
    resumed = cnlw(here, "--config", "blue_40", "--quick", "--resume")

    anew = cnlw(here, "--config", "blue_40", "--quick", "--overwrite")

    assert anew.stdout.splitlines()[-2:] == first.stdout.splitlines()[-2:]
    assert len(anew.stdout.splitlines()) == len(first.stdout.splitlines())
    assert again.exit_code == 1
    assert "there is already a run here: --resume continues it" in again.output
    assert resumed.stdout.splitlines() == first.stdout.splitlines()[-2:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--config", "blue_40", "--method", "mentormx"],
            "unknown method 'mentormx'. Did you mean",
        ),
        (["--config", "blue_41"], "Did you mean 'blue_40'"),
        ([], "holds 2 configs: name one by --config: blue_20, blue_40"),
        (["--noise", "blue"], "--noise and --level must be given together"),
        (
            ["--config", "blue_40", "--level", "20"],
            "cannot be used together with --noise and --level",
        ),
        (["--noise", "blue", "--level", "20,40"], "--level 20,40: a run trains on one level"),
        (["--noise", "blue", "--level", "0.2"], "unknown level '0.2'. Did you mean '20'?"),
        (["--config", "blue_40", "--net", "resnt32"], "unknown network 'resnt32'. Did you mean"),
        (
            ["--config", "blue_40", "-o", "alpha=1"],
            "unknown option 'alpha' of vanilla. The choices are: none",
        ),
        (["--config", "blue_40", "--method", "l2r"], "needs a trusted set.*--probe 10"),
        (["--config", "blue_40", "--data", "elsewhere"], "elsewhere: no build here"),
        (
            ["--config", "blue_40", "--epochs", "0"],
            "epochs = 0: it must be a whole number of at least 1",
        ),
        (["--config", "blue_40", "--weights", "none.pt"], "none.pt"),
        (
            ["--config", "blue_40", "--root", "elsewhere"],
            "elsewhere: there is no such folder: give a --root",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_line(here, tmp_path, arguments, message):
    """Exit code 1, no traceback, no run."""
    done = cnlw(here, *arguments)

    assert done.exit_code == 1
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert len(done.output.splitlines()) == 1
    assert re.search(message, done.output), done.output
    assert not (tmp_path / "runs").exists()


def test_of_the_processes_of_torchrun_the_first_speaks(here, monkeypatch):
    """All of them find the request wrong."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    done = cnlw(here, "--config", "blue_41")

    assert (done.exit_code, done.output) == (1, "")


def test_methods_are_listed_with_their_options():
    """As one would type them, with their defaults."""
    lines = CliRunner().invoke(main, ["list", "methods"]).output.splitlines()

    assert "[-o alpha=1.0 -o per=batch]" in next(line for line in lines if line.startswith("mixup"))
    assert "[" not in next(line for line in lines if line.startswith("vanilla"))
    assert "-o validation=2/3 " in next(line for line in lines if line.startswith("incv"))
    mddyrsh = next(line for line in lines if line.startswith("mddyrsh"))
    assert "-o dynamic=1/60 -o cooling=89/300 -o eta=1.0]" in mddyrsh


def test_networks_are_listed_by_what_they_are():
    """Each by its own line, those of a family too."""
    lines = CliRunner().invoke(main, ["list", "nets"]).output.splitlines()
    texts = dict(line.split(maxsplit=1) for line in lines)

    assert texts["mlp2"] == "A perceptron with two hidden layers of 512 units."
    assert len({*texts.values()}) == len(texts) > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --rule"),
        (["--rule", "pd", "--data", "builds/shapes"], "give either --rule"),
        (["--rule", "pdd"], "unknown rule 'pdd'. Did you mean 'pd'"),
        (["--data", "builds/shapes", "--config", "blue_40"], "has no verified labels"),
        (["--rule", "pd", "--percentile", "2"], "2.0 is not in the range"),
        (["--rule", "pd", "--seed", str(2**63)], "is not in the range"),
    ],
)
def test_what_a_mentor_cannot_be_fitted_to_is_said(here, tmp_path, arguments, message):
    """No traceback, nothing written."""
    done = CliRunner().invoke(main, ["train-mentor", "--out", "m.json", *arguments])

    assert done.exit_code in (1, 2)
    assert message in done.output
    assert {path.name for path in tmp_path.iterdir()} <= {"builds", "cache"}


@pytest.mark.parametrize("command", ["train", "train-mentor", "predict-labels"])
def test_every_command_that_trains_has_the_options_that_errors_name(command):
    """Errors of training say: give another --net, --batch-size, --lr, --size, --cache."""
    names = set()
    for parameter in main.commands[command].params:
        names |= {*parameter.opts}

    assert {"--net", "--epochs", "--batch-size", "--lr", "--size", "--cache", "--out"} <= names


def test_a_mentor_whose_student_was_stopped_goes_on(here, monkeypatch):
    """The same command again, since there is no other."""

    def stopped(student, *_):
        assert student.resume
        raise TrainingStopped("signal", signal.SIGINT)

    monkeypatch.setattr("cnlw_tools.trainer.mentor.train_data_driven_mentor", stopped)
    arguments = [
        "train-mentor",
        "--out",
        "m.json",
        "--data",
        "builds/shapes",
        "--config",
        "blue_40",
    ]
    done = CliRunner().invoke(main, arguments)

    assert done.exit_code == 130
    assert done.output == "signal\n"


def test_without_a_build_it_makes_the_embedded_one(here, tmp_path, monkeypatch):
    """shapes, red 40, in builds/."""
    (tmp_path / "builds").unlink()

    def wanted(recipe, inputs, out, executor):
        raise ValueError(f"wanted {recipe.dataset} {recipe.noise} {recipe.levels} in {out}")

    monkeypatch.setattr("cnlw_tools.builds.build.build", wanted)

    assert "wanted shapes red (40,) in builds/shapes" in cnlw(here).output


def test_processes_of_torchrun_build_nothing(here, tmp_path, monkeypatch):
    """They would all at once; the message says what to build first."""
    (tmp_path / "builds").unlink()
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = cnlw(here)

    assert done.exit_code == 1
    assert "no build here yet: run `cnlw build --noise red --level 40`" in done.output


def test_without_torch_it_says_what_to_install(here):
    """No traceback where the extra was left out."""
    code = (
        "import sys; sys.modules['torch'] = None; from cnlw_tools.cli import main; main(['train'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 1
    assert "[train]'" in done.stderr
    assert "Traceback" not in done.stderr


# Starts a command as `torchrun --nproc-per-node 2` does, with torchrun's own agent, which here forks
# both processes: new ones would import torch again.
TORCHRUN = """
import sys
import torch._dynamo  # as any optimiser does
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from cnlw_tools.cli import main

def run_command(*words):
    main(list(words), standalone_mode=False)

config = LaunchConfig(
    1, 1, 2, run_id="test", rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method="fork"
)
elastic_launch(config, run_command)(*sys.argv[1:])
"""


@pytest.mark.slow
def test_torchrun_trains_on_the_same_command_line(here, tmp_path):
    """Two processes, one run, one output."""
    words = ["train", "--preset", here / "small.toml", "--device", "cpu", "--config", "blue_40"]
    words += ["--decode-threads", 1]
    done = subprocess.run(
        [sys.executable, "-c", TORCHRUN, *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # as torchrun sets it
    )

    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["epoch", "epoch", "top-1"]
    assert (
        json.loads((tmp_path / "runs/shapes/blue_40/vanilla_s0/config.json").read_text())["ranks"]
        == 2
    )


def test_small_images_of_ones_own_are_trained_on_without_a_preset(here, tmp_path):
    """Wide photographs, of two classes, without validation: import, build, train say what to do."""
    for label in range(2):
        for i in range(6):
            path = tmp_path / "photos" / f"class {label}" / f"{i}.jpg"
            put(path, draw_jpeg(10 * label + i, (30, 20)))

    def run(*arguments):
        return CliRunner().invoke(main, [*map(str, arguments)])

    places = ("--root", tmp_path, "--data-dir", tmp_path / "photos")
    build_flags = ("build", "--dataset", "own", *places, "--noise", "blue", "--level", 20)
    build_flags += ("--workers", 1)
    imported = run("import", "folder", tmp_path / "photos", "--as", "own", "--root", tmp_path)
    assert "--validation 20" in imported.output
    assert run(*build_flags, "--out", tmp_path / "without").exit_code == 0
    train_flags = ("--method", "vanilla", "--quick", "--device", "cpu", "--root", tmp_path)
    refused = run("train", "--data", tmp_path / "without", *train_flags)
    assert "no split 'validation', only train: build it with --validation, for" in refused.output

    out = tmp_path / "own"
    assert run(*build_flags, "--validation", 20, "--out", out).exit_code == 0
    trained = run("train", "--data", out, *train_flags)
    assert trained.exit_code == 0, trained.output
    words = " ".join(trained.output.split())
    assert "preset any (size as stored, batch_size 2, lr 0.0125, epochs 4), seed 0" in words
