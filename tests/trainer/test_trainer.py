"""From a build and a few names to a trained network."""

import io
import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from datasets import load_dataset
from PIL import Image
from torch import nn

from cnlw_tools.builds.build import build
from cnlw_tools.files import default_root
from cnlw_tools.methods import Method
from cnlw_tools.methods.vanilla import Vanilla
from cnlw_tools.recipe import recipe
from cnlw_tools.recipe.inputs import Inputs
from cnlw_tools.recipe.run_files import read_config
from cnlw_tools.trainer import Trainer, data, loop, trainer
from cnlw_tools.trainer.batches import BatchLoader, fit_normaliser
from cnlw_tools.trainer.nets.weights import read_weights
from tests.trainer.conftest import without_stored_size
from tests.trainer.test_data import rewritten, scrambled
from tests.trainer.test_loop import lines, weights


class Probing(Vanilla):
    """Learns from trusted images in every step."""

    requires = ("probe",)

    def loss(self, batch):
        trusted = self.task.probe.draw(20)
        assert torch.equal(torch.bincount(trusted.y, minlength=10), torch.full((10,), 2))
        assert trusted.x.shape == (20, 3, 16, 16)
        return super().loss(batch) + torch.nn.functional.cross_entropy(
            self.net(trusted.x), trusted.y
        )


class Optional(Vanilla):
    """Has an option, and keeps its value."""

    def __init__(self, task, strength: float = 1.0):
        super().__init__(task)
        Optional.given = strength


class Choosy(Vanilla):
    """Requires all that a trainer can provide, and keeps its task."""

    requires = ("probe", "verified", "holdout", "noise_rate")

    def __init__(self, task):
        super().__init__(task)
        Choosy.task = task


def test_truth_and_order_do_not_reach_the_learner(make_trainer, builds, tmp_path):
    """With scrambled truth and permuted shards training is the same to the bit."""
    copied_build = shutil.copytree(builds, tmp_path / "other")
    rewritten(copied_build, scrambled)

    make_trainer(out=tmp_path / "a", cache=tmp_path / "c1").fit()
    make_trainer(out=tmp_path / "b", cache=tmp_path / "c2", build=copied_build).fit()

    assert lines(tmp_path / "a") == lines(tmp_path / "b")
    for name, value in weights(tmp_path / "a").items():
        assert torch.equal(value.nan_to_num(9), weights(tmp_path / "b")[name].nan_to_num(9)), name


def test_a_probe_is_drawn_for_methods_that_need_it(make_trainer):
    """It has as many images of each class, newly augmented."""
    assert make_trainer(method=Probing).fit()["epochs"] == 3


def test_a_probe_is_drawn_in_the_first_view(make_trainer):
    """One view, and that is the first of the method's: here the plain pixels."""

    class PlainFirst(Probing):
        views = ("plain", "policy")

    trainer = make_trainer(method=PlainFirst)
    loop = trainer._build_loop(torch.device("cpu"), lambda *_: None)
    batch = loop.method.task.probe.draw(10)
    (plain,) = loop.loaders["probe"].batches([batch.index], ("plain",), 0)

    assert len(batch.views) == 1
    assert torch.equal(batch.x, plain.x)


def test_a_probe_that_is_missing_is_an_error(make_trainer, builds, tmp_path):
    """The error says how to get one; no run begins."""
    copied_build = shutil.copytree(builds, tmp_path / "other")
    card = copied_build / "README.md"
    head, block, rest = card.read_text().split("---\n", 2)
    card_fields = yaml.safe_load(block)
    del card_fields["cnlw"]["configs"]["blue_40_probe2"]["segments"]["probe"]
    card.write_text("---\n".join([head, yaml.safe_dump(card_fields), rest]))

    with pytest.raises(ValueError, match=r"Probing needs a trusted set.*--probe 10"):
        make_trainer(method=Probing, build=copied_build).fit()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("split", "remedy"), [("validation", "--validation 20"), ("verified", "--verified 20")]
)
def test_a_split_that_is_missing_is_an_error(make_trainer, builds, tmp_path, split, remedy):
    """The split that it learns from, or validation."""
    copied_build = shutil.copytree(builds, tmp_path / "other")
    card = (copied_build / "README.md").read_text()
    (copied_build / "README.md").write_text(
        card.replace("        validation:\n", "        validation_web:\n")
    )

    with pytest.raises(
        ValueError, match=f"has no split '{split}', only .*: build it with .*{remedy}"
    ):
        make_trainer(build=copied_build, split="train" if split == "validation" else split).fit()


def test_options_reach_the_method(make_trainer, tmp_path):
    """The user's replace the preset's for the level, which replace the preset's for all levels."""
    methods = {"Optional": {"strength": 2.0, "level": {"40": {"strength": 3.0}}}}
    preset = replace(make_trainer().preset, epochs=1, methods=methods)

    make_trainer(method=Optional, preset=preset).fit()
    assert Optional.given == 3.0
    trainer = make_trainer(
        method=Optional, preset=preset, options={"strength": 4.0}, out=tmp_path / "2"
    )
    trainer.fit()
    assert Optional.given == 4.0
    assert isinstance(trainer.trained_method, Optional)


def test_a_task_has_what_a_method_needs(make_trainer, tiny, tmp_path):
    """The probe, verified examples with the correctness of labels, a holdout, the noise rate."""
    recipe_fields = {
        "dataset": "shapes",
        "noise": "blue",
        "levels": [40],
        "probe": 2,
        "verified": 5,
        "size": 16,
    }
    build(
        recipe.parse_recipe(recipe_fields, "test"),
        Inputs(tiny(tmp_path / "root")),
        tmp_path / "shapes",
    )
    options = {"noise_rate": 0.4, "holdout": 0.2}
    trainer = make_trainer(
        build=tmp_path / "shapes", config="blue_40_probe2_verified5", method=Choosy, options=options
    )
    trainer.fit()
    task = Choosy.task
    (trusted,), (holdout,), ((checked, right),) = (
        list(task.probe.batches()),
        list(task.holdout()),
        list(task.verified()),
    )
    rows = load_dataset(
        str(tmp_path / "shapes"),
        "blue_40_probe2_verified5",
        split="verified",
        cache_dir=tmp_path / "hf",
    )

    assert torch.equal(trusted.y.bincount(), torch.full((10,), 2))
    assert (task.n_examples, len(holdout.y), task.noise_rate) == (104, 26, 0.4)
    assert sorted(zip(checked.y.tolist(), right.tolist(), strict=True)) == sorted(
        zip(rows["label"], (not noisy for noisy in rows["is_noisy"]), strict=True)
    )
    assert not torch.equal(right, torch.ones(50, dtype=torch.bool))
    examples = pq.read_table(tmp_path / "run" / "examples.parquet")
    assert len(examples) == 3 * 104


def test_held_out_examples_are_not_trained_on(builds, tmp_path):
    """The two parts together are the whole split."""
    whole = data.load_splits(builds, "blue_40_probe2", data.Resizing(), tmp_path)["train"]
    parts = data.split_holdout(whole, 0.1)

    assert len(parts["holdout"]) == 18
    assert sorted([*parts["train"].rows, *parts["holdout"].rows]) == list(range(180))
    assert (parts["train"].read_images(np.arange(3)) == whole.read_images(np.arange(3))).all()
    assert (
        parts["holdout"].read_images(np.arange(3)) == whole.read_images(np.arange(162, 165))
    ).all()
    assert data.split_holdout(whole, 0) == {"train": whole}


def test_an_unknown_option_is_an_error(make_trainer):
    """The message suggests the right one."""
    with pytest.raises(
        ValueError, match=r"unknown option 'strenght' of Optional. Did you mean 'strength'"
    ):
        make_trainer(method=Optional, options={"strenght": 1}).fit()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": "blue_4_probe2"}, "unknown config of .* Did you mean 'blue_40_probe2'"),
        ({"method": "vanila"}, "unknown method 'vanila'. Did you mean 'vanilla'"),
        ({"net": "resnet23"}, "unknown network 'resnet23'. Did you mean"),
        ({"preset": "shape"}, "there is no such preset. Did you mean 'shapes'"),
        ({"changes": {"epochs": 0}}, "epochs = 0"),
        ({"changes": {"schedule": "cosin"}}, "unknown schedule 'cosin'"),
        ({"pretrained": True}, "a network of your own begins with its own weights"),
        (
            {"changes": {"methods": {"mixupp": {}}}},
            "unknown method of the preset 'mixupp'. Did you mean 'mixup'",
        ),
        (
            {"changes": {"views": {"smooth": ["flip"]}}},
            r"vanilla needs the view 'standard'.* under \[views\]",
        ),
        (
            {"method": Choosy, "options": {"noise_rate": 2}},
            "noise_rate = 2 is not allowed: give a number from 0 to 1",
        ),
        (
            {"method": Choosy, "options": {"holdout": 1}},
            "holdout = 1 is not allowed: give a number from 0 to 0.9",
        ),
        ({"method": "o2u", "options": {"noise_rate": 1}}, "O2U would keep 0 of 180 examples"),
        ({"method": Choosy}, r"Choosy needs verified labels.*--verified 20"),
        ({"options": {"noise_rate": 0.4}}, "unknown option 'noise_rate' of vanilla"),
        ({"device": "tpu"}, "device 'tpu' is not allowed: give cpu, cuda or auto"),
        ({"build": "nowhere"}, "nowhere: no build here"),
    ],
)
def test_a_bad_argument_is_an_error(make_trainer, tmp_path, arguments, message):
    """The message says what to do, and no run begins."""
    with pytest.raises((ValueError, LookupError, OSError), match=message):
        make_trainer(**arguments).fit()
    assert not (tmp_path / "run").exists()


def test_a_method_is_told_how_many_examples_a_label_has(make_trainer, tmp_path):
    """The counts are those of the training set, without a holdout."""
    trainer = make_trainer(method="rog")
    trainer.fit()
    whole = data.load_splits(trainer.build, trainer.config, data.Resizing(), tmp_path / "cache")
    labels = data.split_holdout(whole["train"], 0.1)["train"].labels.tolist()

    assert trainer.trained_method.task.label_counts == tuple(map(labels.count, range(10)))


def test_a_gpu_that_is_not_there_is_an_error(make_trainer, monkeypatch):
    """The message says what to use instead."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(ValueError, match="device cuda: torch sees no GPU here"):
        make_trainer(device="cuda").fit()


def test_quick_is_the_presets_few_epochs(make_trainer, tmp_path):
    """One, here; epochs that the user asks for take precedence."""
    assert make_trainer(quick=True).fit()["epochs"] == 1
    assert make_trainer(quick=True, changes={"epochs": 2}, out=tmp_path / "2").fit()["epochs"] == 2
    assert (
        make_trainer(quick=True, changes={"epochs": None}, out=tmp_path / "3").fit()["epochs"] == 1
    )


def test_a_run_has_a_folder_of_its_own(make_trainer, tmp_path, monkeypatch):
    """runs/DATASET/CONFIG/METHOD, the options, the seed."""
    monkeypatch.chdir(tmp_path)
    trainer = make_trainer(method=Optional, options={"strength": 4.0}, out=None, seed=2, quick=True)
    trainer.fit()

    assert trainer.folder.as_posix() == "runs/shapes/blue_40_probe2/Optional_strength-4.0_s2_quick"
    assert (tmp_path / trainer.folder / "result.json").is_file()


def test_a_run_records_what_was_asked(make_trainer, tmp_path, builds):
    """Digests of the data, method, options, preset, versions, command."""
    make_trainer(changes={"epochs": 1}).fit()
    config = json.loads((tmp_path / "run" / "config.json").read_text())

    assert config["method"] == "vanilla"
    assert config["preset"]["epochs"] == 1
    assert set(config["data"]) == {"train", "validation", "probe"}
    assert config["versions"]["torch"] == torch.__version__
    assert config["config"] == "blue_40_probe2"
    assert config["split"] == "train"
    assert config["marks_noise"] == ["down_weighted"]
    assert config["is_staged"] is False


def test_a_network_of_ones_own_is_recorded_by_its_layers(make_trainer, tmp_path):
    """Functions of one name make two networks, and any seed of one of them has the same digest."""
    digests = []
    for seed, width in ((0, 4), (1, 4), (0, 8)):
        trainer = make_trainer(
            net=lambda n_classes, size, width=width: nn.Sequential(
                nn.Conv2d(3, width, 3),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(width, n_classes),
            ),
            out=tmp_path / f"{width}_{seed}",
            seed=seed,
            changes={"epochs": 1},
        )
        trainer.fit()
        config = read_config(trainer.folder)
        assert config.net.endswith("<lambda>")
        digests.append(config.architecture)

    assert digests[0] == digests[1] != digests[2]


def test_a_network_of_the_package_is_recorded_by_its_name(make_trainer, tmp_path):
    """It has no digest of its layers, nor of its code."""
    make_trainer(net="mlp1", changes={"epochs": 1}).fit()
    config = read_config(tmp_path / "run")

    assert (config.net, config.architecture, config.code) == ("mlp1", None, None)


def _weighted(factor):
    """A method of one's own that takes a number along."""

    class Weighted(Vanilla):
        def loss(self, batch):
            return factor * super().loss(batch)

    return Weighted


def _activated(activation):
    """A function that makes a network with an activation that is no layer."""

    class Net(nn.Linear):
        def forward(self, x):
            return activation(super().forward(x.flatten(1)))

    return lambda n_classes, size: Net(3 * size[0] * size[1], n_classes)


def test_a_method_or_a_network_of_ones_own_is_recorded_by_its_code(make_trainer, tmp_path):
    """Two of one name and with the same layers differ; every seed has the same digest."""
    requests = [
        {"method": _weighted(1.0)},
        {"method": _weighted(2.0)},
        {"net": _activated(torch.tanh)},
        {"net": _activated(torch.relu)},
    ]
    codes = []
    for i, request in enumerate(requests):
        for seed in (0, 1):
            trainer = make_trainer(
                **{"net": "mlp1"} | request,
                out=tmp_path / f"{i}_{seed}",
                seed=seed,
                changes={"epochs": 1},
            )
            trainer.fit()
            codes.append(read_config(trainer.folder).code)

    assert codes[::2] == codes[1::2]
    assert len({*codes}) == 4
    with pytest.raises(ValueError, match="the code of your method or network is not what"):
        make_trainer(
            method=_weighted(3.0),
            net="mlp1",
            out=tmp_path / "0_0",
            changes={"epochs": 1},
            resume=True,
        ).fit()


def test_a_run_with_a_partial_function_is_resumed(make_trainer, tmp_path):
    """Its name is that of the function, not an address that is another in the next process."""

    def make(n_classes, size, norm):
        return make_trainer().net(n_classes, size, norm)

    make_trainer(net=partial(make, norm=True), changes={"epochs": 1}).fit()
    trainer = make_trainer(net=partial(make, norm=True), changes={"epochs": 1}, resume=True)
    trainer.fit()

    assert read_config(tmp_path / "run").net.endswith("<locals>.make")


def test_a_run_of_an_older_version_is_resumed(make_trainer, tmp_path):
    """It did not record the split, the layers of its network, or how its method marks noise."""
    make_trainer(changes={"epochs": 1}).fit()
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    for key in ("split", "architecture", "marks_noise", "code", "is_staged"):
        del config[key]
    path.write_text(json.dumps(config))
    make_trainer(changes={"epochs": 1}, resume=True).fit()

    assert read_config(tmp_path / "run").architecture is not None


def test_a_build_that_changed_under_a_run_is_an_error(make_trainer, builds, tmp_path):
    """Its config, its images or its labels are not those that the run began with."""
    make_trainer(changes={"epochs": 1}).fit()

    with pytest.raises(
        ValueError, match="config = 'blue_40_probe2', and now it is 'red_20_t20_probe2'"
    ):
        make_trainer(changes={"epochs": 1}, config="red_20_t20_probe2", resume=True).fit()
    copied_build = shutil.copytree(builds, tmp_path / "other")

    def relabelled(table):
        labels = (table["label"].to_numpy() + 1) % 10
        return table.set_column(1, table.schema.field(1), [labels])

    rewritten(copied_build, relabelled)
    with pytest.raises(ValueError, match="images or labels of train are not those"):
        make_trainer(changes={"epochs": 1}, build=copied_build, resume=True).fit()


def test_ones_own_method_and_network_are_passed_in(builds, tmp_path, make_trainer):
    """A class and a function: neither has to be in a registry."""

    class Mine(Method):
        """The mean of the logits of other classes."""

        def loss(self, batch):
            return -self.net(batch.x).log_softmax(1).gather(1, batch.y[:, None]).mean()

    trainer = Trainer(
        builds,
        "blue_40_probe2",
        method=Mine,
        net=make_trainer().net,
        preset=make_trainer().preset,
        out=tmp_path / "mine",
        cache=tmp_path / "c",
    )

    assert trainer.fit()["epochs"] == 3


def test_red_is_trained_on_as_blue_is(make_trainer):
    """The loop does not depend on the noise."""
    assert make_trainer(config="red_20_t20_probe2").fit()["epochs"] == 3


def test_a_network_goes_on_from_the_checkpoint_of_another_run(make_trainer, memory, tmp_path):
    """--weights accepts the checkpoint of a run, or a run at an address; paths may be strings."""
    small = {"net": "mlp1", "changes": {"epochs": 1}, "root": str(default_root())}
    make_trainer(**small, out=tmp_path / "first").fit()
    checkpoint = tmp_path / "first" / "checkpoint.pt"
    memory.put_file(str(checkpoint), "/bucket/first/checkpoint.pt")

    for name, place in {"file": str(checkpoint), "address": "memory://bucket/first"}.items():
        trainer = make_trainer(**small, weights=place, out=tmp_path / name)
        loop = trainer._build_loop(torch.device("cpu"), lambda *_: None)
        for name, value in weights(tmp_path / "first").items():
            if name.startswith("net."):
                assert torch.equal(loop.method.state_dict()[name], value)


def test_a_preset_may_be_at_an_address(make_trainer, memory):
    """It is found below the root, as in a folder."""
    text = (default_root() / "pipelines/train/shapes.toml").read_text()
    text = text.replace("epochs = 30", "epochs = 7")
    memory.pipe_file("/bucket/my/pipelines/train/short.toml", text.encode())
    assert make_trainer(preset="short", root="memory://bucket/my").epochs == 7


def test_pretrained_networks_see_what_they_learned_with(make_trainer, monkeypatch):
    """Images are normalised as ImageNet's, not by the training set."""
    from cnlw_tools.trainer import nets

    build_network = nets.build_network
    monkeypatch.setattr(nets, "build_network", lambda *args, **options: build_network(*args))
    loop = make_trainer(net="mlp1", pretrained=True)._build_loop(
        torch.device("cpu"), lambda *_: None
    )

    assert loop.train_loader.normaliser.mean.flatten().tolist() == pytest.approx(
        [0.485, 0.456, 0.406]
    )


def test_a_split_that_is_learned_from_is_loaded_once(make_trainer):
    """It is loaded as `train`, and not under its own name."""
    loop = make_trainer(split="probe", changes={"batch_size": 10})._build_loop(
        torch.device("cpu"), lambda *_: None
    )

    assert sorted(loop.loaders) == ["train", "validation"]
    assert len(loop.train_loader.labels) == 20


def validation_accuracy(trainer, predict):
    """Return the top-1 of a function of normalised images, in percent, recomputed by hand."""
    splits = data.load_splits(trainer.build, trainer.config, trainer.resizing, trainer.cache, 1)
    device = torch.device("cpu")
    normaliser = fit_normaliser(splits["train"], device)
    loader = BatchLoader(splits["validation"], device, 0, {}, normaliser)
    with torch.no_grad():
        n_correct = sum(
            int((predict(b.x).argmax(1) == b.y).sum()) for b in loader.iterate_dataset()
        )
    return 100 * n_correct / len(splits["validation"])


@pytest.fixture
def averaged(make_trainer, with_norm):
    """Make trainers whose average of weights is far from the last weights."""

    def make(**changes):
        preset = replace(
            make_trainer().preset, ema=0.97, lr=0.2, schedule="constant", epochs=4, **changes
        )
        return make_trainer(preset=preset, net=with_norm)

    return make


def test_what_is_handed_out_is_what_was_validated(averaged, with_norm, tmp_path):
    """With averages of weights: the trained method, the run resumed, and --weights of the run."""
    trainer = averaged()
    last = trainer.fit()["last"]
    resumed = averaged()
    resumed.resume = True
    resumed.fit()
    net = with_norm(10, 16).eval()
    net.load_state_dict(read_weights(tmp_path / "run"))

    state = trainer.trained_method.net.state_dict()
    for other in (resumed.trained_method.net, net):
        for name, value in other.state_dict().items():
            assert torch.equal(value, state[name]), name
    for predict in (trainer.trained_method.predict, resumed.trained_method.predict, net):
        assert validation_accuracy(trainer, predict) == last


def test_a_run_that_was_stopped_hands_out_what_it_validated(
    averaged, with_norm, tmp_path, monkeypatch
):
    """Its checkpoint holds the weights to go on from and their averages; --weights takes these."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)

    class SecondEpochDone(Exception):
        """Stops a run after its second epoch."""

    def stop(line):
        if line["epoch"] == 2:
            raise SecondEpochDone

    trainer = averaged()
    with pytest.raises(SecondEpochDone):
        trainer.fit(on_epoch=stop)
    net = with_norm(10, 16).eval()
    net.load_state_dict(read_weights(tmp_path / "run" / "checkpoint.pt"))

    assert not torch.equal(net.head.weight, weights(tmp_path / "run")["net.head.weight"])
    assert validation_accuracy(trainer, net) == lines(tmp_path / "run")[1]["val_top1"]


def test_a_run_begins_with_the_weights_of_the_folder_of_another(make_trainer, tmp_path):
    """The folder stands for its checkpoint, and config.json keeps the digest of that.

    Its best weights are those of the same epoch, if there is one.
    """
    first_run = {"net": "conv_small", "out": tmp_path / "first", "keep_best": True}
    make_trainer(**first_run, changes={"epochs": 1}).fit()
    first = tmp_path / "first"
    for name, path in (("a", first), ("b", first / "checkpoint.pt"), ("c", first / "best.pt")):
        flags = {"net": "conv_small", "weights": path, "out": tmp_path / name}
        make_trainer(**flags, changes={"epochs": 1}).fit()

    configs = [json.loads((tmp_path / name / "config.json").read_text()) for name in "ab"]
    assert configs[0]["weights"] == configs[1]["weights"] is not None
    assert lines(tmp_path / "a") == lines(tmp_path / "b") == lines(tmp_path / "c")
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.pt: there is no such file"):
        make_trainer(net="conv_small", weights=tmp_path, out=tmp_path / "c").fit()


def with_images(builds, folder, size_of_shard):
    """Return a copy of a build whose images are noise, each shard of its (width, height)."""
    copied_build = shutil.copytree(builds, folder)

    def noise(table):
        width, height = size_of_shard(table)
        rng = np.random.default_rng(len(table))
        images = []
        for _ in range(len(table)):
            buffer = io.BytesIO()
            pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": None})
        field = table.schema.field(0)
        return table.set_column(0, field, pa.array(images, field.type))

    rewritten(copied_build, noise)
    return copied_build


def test_images_that_are_not_square_are_trained_on(builds, make_trainer, tmp_path):
    """They keep their shape, with every augmentation, and a network is made for both sides."""
    copied_build = with_images(builds, tmp_path / "wide", lambda table: (20, 12))
    sizes = []

    def own(n_classes, size):
        sizes.append(size)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * size[0] * size[1], n_classes))

    operations = ("crop", "flip", "rand_augment", "auto_augment", "cutout", "resized_crop")
    preset = replace(make_trainer().preset, epochs=1, views={"standard": operations})
    for name, net in (("mlp1", "mlp1"), ("conv4", "conv4"), ("own", own)):
        trainer = make_trainer(build=copied_build, net=net, preset=preset, out=tmp_path / name)
        assert trainer.fit()["epochs"] == 1
    assert sizes == [(12, 20)]


def test_what_cannot_take_the_images_is_refused_before_anything_is_written(
    builds, make_trainer, tmp_path
):
    """The message names --size, with which it runs."""
    copied_build = with_images(builds, tmp_path / "low", lambda table: (20, 5))
    with pytest.raises(ValueError, match=r"conv6 needs .* 20 pixels wide and 5 high: .*--size 10"):
        make_trainer(build=copied_build, net="conv6").fit()
    assert not (tmp_path / "run").exists()

    changes = {"epochs": 1, "size": 10}
    assert make_trainer(build=copied_build, net="conv6", changes=changes).fit()["epochs"] == 1


def test_splits_of_different_sizes_are_refused(builds, make_trainer, tmp_path):
    """A network is made for one size."""

    def size_of_shard(table):
        return (12, 20) if len(table) == 18 else (20, 12)  # 18: a tenth of the training set

    copied_build = with_images(builds, tmp_path / "mixed", size_of_shard)
    with pytest.raises(
        ValueError, match=r"the images have 2 sizes .*such as 20 x 12 and 12 x 20: .*--si"
    ):
        make_trainer(build=copied_build).fit()


def test_a_preset_that_adapts_is_recorded_by_what_it_chose(builds, make_trainer, tmp_path):
    """The run of a dataset without a preset says which values it was trained with."""
    wide = without_stored_size(with_images(builds, tmp_path / "wide", lambda table: (20, 12)))
    card = wide / "README.md"
    card.write_text(card.read_text().replace("dataset: shapes\n", "dataset: flowers\n"))
    trainer = make_trainer(build=wide, net=None, preset=None, changes={"epochs": 1})

    assert trainer.adapted_values == {
        "size": "as stored",
        "batch_size": "32",
        "lr": "0.05",
        "epochs": "1",
    }
    trainer.fit()
    config = read_config(tmp_path / "run")
    assert config.net == "conv_small"
    assert {
        "batch_size": 32,
        "lr": 0.05,
        "size": None,
        "epochs": 1,
    }.items() <= config.preset.items()
    assert make_trainer().adapted_values == {}


@pytest.mark.parametrize(
    ("device", "n_ranks", "compiles", "reason"),
    [
        ("cpu", 1, False, "a CUDA graph needs a GPU, and the device is cpu"),
        ("cuda", 2, False, "of 2 processes each would wait for the others"),
        ("cuda", 1, True, "a compiled network is repeated in another way"),
    ],
)
def test_where_no_graph_can_be_is_an_error(monkeypatch, device, n_ranks, compiles, reason):
    """Before anything is written; it says why, and what to omit."""
    monkeypatch.setattr(trainer.distributed, "is_distributed", lambda: n_ranks > 1)
    monkeypatch.setattr(trainer.distributed, "world_size", lambda: n_ranks)
    with pytest.raises(ValueError, match=f"^--graph: {reason}.*: omit --graph$"):
        trainer.check_graph(Vanilla, torch.device(device), compiles)
