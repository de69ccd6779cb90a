"""Tests of the contract that every method must fulfil."""

import inspect
from copy import deepcopy
from dataclasses import replace
from math import nan
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from cnlw_tools.methods import METHODS, Method, ProbeSet
from cnlw_tools.methods.base import NOISE_MARKS, REQUIREMENTS

every = pytest.mark.parametrize("name", METHODS)
stages = pytest.mark.parametrize("stage", ["first", "last"])


def make_method(toy, name, stage="first", **options: Any):
    """Return a method at the beginning of its first or its last epoch."""
    method = toy.make(name, **options)
    if stage == "last":
        toy.skip_to_last_epoch(method)
    torch.manual_seed(9)
    return method


@every
def test_says_what_it_is(name):
    """A method states its summary, paper, cost, requirements and distributed loss."""
    method = METHODS[name]

    assert (method.__doc__ or "").splitlines()[0].endswith(".")
    assert method.paper
    assert method.relative_cost > 0
    assert method.views
    assert set(method.requires) <= set(REQUIREMENTS)
    assert set(method.marks_noise) <= set(NOISE_MARKS)
    assert method.distributed_loss in ("mean", "gathered", "per_rank")


@pytest.mark.parametrize(
    "name", [name for name in METHODS if METHODS[name].cross_entropy_options is not None]
)
@stages
def test_off(any_toy, name, stage):
    """With its cross-entropy options the loss equals cross-entropy to the last bit."""
    method = make_method(any_toy, name, stage, **METHODS[name].cross_entropy_options)
    batch = any_toy.first_batch(method)

    assert (
        method.loss(batch) == cross_entropy(method.net(batch.x), batch.y, reduction="none").mean()
    )


@every
def test_learns(toy, name):
    """With a third of the labels wrong, 85 % of new images are predicted correctly."""
    options = {"passes": 6.0} if name == "cleannet" else {}  # as many as usual, to learn something

    assert toy.accuracy(toy.train(toy.make(name, dropout=0.1, **options))) > 0.85


@every
@pytest.mark.parametrize("last", [0, 3])
def test_goes_on_where_it_was(toy, name, last):
    """A copy restored from a checkpoint within an epoch continues with the same numbers."""
    method, twin = toy.make_unstarted(name, epochs=4), toy.make_unstarted(name, epochs=4, seed=1)
    assert last in toy.epochs(method)  # stops at the beginning of this epoch
    toy.step(method, toy.first_batch(method))
    twin.load_state_dict(deepcopy(method.state_dict()))
    twin.optimiser.load_state_dict(deepcopy(method.optimiser.state_dict()))

    def steps(instance):
        torch.manual_seed(7)
        instance.progress = (last + 0.5) / 4
        return [
            toy.step(instance, toy.first_batch(instance)) for _ in range(3)
        ], instance.state_dict()

    (losses, state), (expected, expected_state) = steps(twin), steps(method)

    assert losses == expected
    assert all(
        torch.allclose(value, expected_state[key], rtol=0, atol=0, equal_nan=True)
        for key, value in state.items()
    )


@every
def test_every_parameter_learns(toy, name):
    """In the last epoch each trainable parameter has a gradient and is in one optimiser group."""
    method = make_method(toy, name, "last")
    method.loss(toy.first_batch(method)).backward()
    grouped = [id(p) for group in method.param_groups() for p in group["params"]]

    for key, p in method.named_parameters():
        assert grouped.count(id(p)) == 1, key
        assert not p.requires_grad or p.grad.isfinite().all(), key


@every
@stages
def test_batch_of_one(any_toy, name, stage):
    """One example gives a finite loss and finite gradients."""
    method = make_method(any_toy, name, stage)

    loss = method.loss(any_toy.first_batch(method, 1))
    loss.backward()

    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


@every
@stages
def test_leaves_its_batch(toy, name, stage):
    """The loss does not change its batch."""
    method = make_method(toy, name, stage)
    batch = toy.first_batch(method)
    copy = deepcopy(batch)
    method.loss(batch).backward()

    assert torch.equal(batch.index, copy.index)
    assert torch.equal(batch.y, copy.y)
    assert all(torch.equal(a, b) for a, b in zip(batch.views, copy.views, strict=True))


@every
@stages
def test_loss_is_a_scalar(any_toy, name, stage):
    """The loss is a finite scalar with a gradient."""
    method = make_method(any_toy, name, stage)

    loss = method.loss(any_toy.first_batch(method))

    assert loss.shape == ()
    assert loss.isfinite()
    assert loss.requires_grad


@every
def test_notes(toy, name):
    """Losses and weights are logged for the examples of the batch, and for no others."""
    method = make_method(toy, name)
    rows = torch.tensor([5, 3, 80, 41])

    method.loss(toy.batch(rows, len(method.views)))
    is_other = torch.ones_like(method.example_losses, dtype=torch.bool).index_fill(0, rows, False)

    assert method.example_losses[rows].isfinite().all()
    assert (method.example_weights[rows] >= 0).all()
    assert (method.example_weights[rows] <= 1).all()
    assert method.example_losses[is_other].isnan().all()
    assert method.example_weights[is_other].isnan().all()


@every
@stages
def test_what_is_kept_of_a_transition(toy, name, stage):
    """The transition matrix has a row of probabilities for each class."""
    method = make_method(toy, name, stage)
    for key, value in method.epoch_artifacts().items():
        assert key == "transition"
        assert value.shape == (method.task.n_classes, method.task.n_classes)
        assert (value > -1e-3).all()
        assert torch.allclose(value.sum(1), torch.ones(len(value), dtype=value.dtype), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("coteaching", {"predict": "one"}),  # both papers report single networks
        ("incv", {"predict": "one"}),
        ("ieg", {"through_guess": True}),
        ("mentormix", {"second_reweight": True}),
        ("mixmatch", {"decay": 0.02, "norm_decay": 0.999}),
    ],
)
def test_defaults_are_those_of_the_papers(name, values):
    """Where another value would give other numbers than the published ones."""
    parameters = inspect.signature(METHODS[name]).parameters

    assert {option: parameters[option].default for option in values} == values


@every
def test_one_epoch_is_one_stage_of_a_method_in_stages(toy, name):
    """So says every method that divides its epochs, and no other."""
    sources = [inspect.getsource(cls) for cls in METHODS[name].__mro__ if issubclass(cls, Method)]
    divides = any("resolve_first_epochs" in source for source in sources)

    assert make_method(toy, name, epochs=1).is_staged == divides


@every
def test_phases(toy, name):
    """Each phase has at least one epoch, and together they have the requested number.

    Two epochs are too few for O2U and INCV, which have three stages, and are refused.
    """
    too_few = {"o2u": {2}, "incv": {2}}.get(name, set())
    for epochs in sorted({*range(1, 11)} - too_few):
        phases = METHODS[name](toy.task(name, epochs)).phases()

        assert sum(phase.epochs for phase in phases) == epochs
        assert all(
            phase.epochs >= 1 and phase.lr_factor > 0 and phase.batch_size_factor > 0
            for phase in phases
        )


@every
@stages
def test_same_seed(toy, name, stage):
    """The same seed gives the same loss."""
    first, second = (
        method.loss(toy.first_batch(method)).item()
        for method in (make_method(toy, name, stage) for _ in range(2))
    )

    assert first == second


@every
def test_bad_options(toy, name):
    """A value of the wrong kind is refused for every option, and the error names both."""
    for option, parameter in inspect.signature(METHODS[name]).parameters.items():
        if option == "task" or isinstance(parameter.default, bool):
            continue
        for value in ("nonsense",) if isinstance(parameter.default, str) else (nan, -1.0):
            with pytest.raises(ValueError, match=rf"{option}\b.*{value}"):
                toy.make(name, **{option: value})


class Needy(Method):
    """Requires everything that a task can have."""

    requires = tuple(REQUIREMENTS)


@pytest.mark.parametrize("method", [*METHODS.values(), Needy])
def test_needs(toy, method):
    """A missing requirement is an error that tells how to get it."""
    has = {
        "probe": ProbeSet(toy.probe, toy.trusted),
        "verified": toy.verified,
        "holdout": toy.holdout,
    }
    task = replace(toy.task("vanilla"), noise_rate=0.3, **has)

    for need in method.requires:
        with pytest.raises(ValueError, match=f"{method.__name__} needs ") as error:
            method(replace(task, **{need: None}))
        assert REQUIREMENTS[need] in str(error.value)


@every
@stages
def test_half_precision(toy, name, stage):
    """Under bfloat16 the loss is finite and within a tenth of that in single precision."""
    full, half = make_method(toy, name, stage), make_method(toy, name, stage)
    expected = full.loss(toy.first_batch(full)).item()
    torch.manual_seed(9)
    with torch.autocast("cpu", torch.bfloat16):
        loss = half.loss(toy.first_batch(half))
    loss.backward()

    assert loss.item() == pytest.approx(expected, rel=0.1)
    assert all(p.grad is None or p.grad.isfinite().all() for p in half.parameters())


@every
def test_predicts(toy, name):
    """Predictions have a logit for each image and class."""
    method = toy.train(toy.make(name, epochs=1)).eval()

    assert method.predict(toy.x[:7]).shape == (7, 4)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("forward", "first"),
        ("backward", "first"),
        ("glc", "first"),
        ("o2u", "first"),
        ("curriculumnet", "first"),
        ("s_model", "warmup"),
        ("mdyrh", "warmup"),
        ("mddyrsh", "warmup"),
        ("self_learning", "start"),
        ("cleannet", "start"),
    ],
)
def test_nothing_is_estimated_from_an_untrained_network(toy, name, option):
    """The option that would do so is refused before training, and the error gives a remedy."""
    message = f"{option} = 0: with this value, the method would rely on a network that has learned nothing: give 1 epoch"
    with pytest.raises(ValueError, match=message):
        toy.make_unstarted(name, **{option: 0})


LAST_EPOCHS = {"incv": 2}  # of six: the length of the stage that an option divides


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("forward", "first"),
        ("backward", "first"),
        ("glc", "first"),
        ("o2u", "first"),
        ("o2u", "cyclic"),
        ("curriculumnet", "first"),
        ("s_model", "warmup"),
        ("mdyrh", "warmup"),
        ("mddyrsh", "warmup"),
        ("mddyrsh", "dynamic"),
        ("self_learning", "start"),
        ("cleannet", "start"),
        ("gce_truncated", "start"),
        ("noise_layer", "warmup"),
        ("incv", "warmup"),
    ],
)
@pytest.mark.parametrize("more", [0, 5])
def test_a_stage_that_takes_all_epochs_is_refused(toy, name, option, more):
    """Otherwise the method would train without its other stages, and not say so."""
    value = LAST_EPOCHS.get(name, 6) + more
    with pytest.raises(
        ValueError, match=f"^{option} = {value}: the other stages .* give at most {option} ="
    ):
        toy.make_unstarted(name, **{option: value})


@every
@pytest.mark.parametrize("epochs", [1, 3, 4, 10])
def test_the_defaults_fit_a_few_epochs(toy, name, epochs):
    """A method can be tried quickly, and its phases have all epochs."""
    phases = toy.make_unstarted(name, epochs=epochs).phases()

    assert sum(phase.epochs for phase in phases) == epochs
    assert all(phase.epochs for phase in phases)


@every
def test_the_epochs_that_are_reported_are_those_of_the_last_phase(toy, name):
    """Of one phase all; of RoG, whose heads are fitted in the end, the last epoch."""
    method = toy.make_unstarted(name, epochs=30)
    expected = 1 if name == "rog" else method.phases()[-1].epochs

    assert method.reported_epochs() == expected
    assert (expected == 30) == (len(method.phases()) == 1 and name != "rog")


class Plain(torch.nn.Module):
    """A network of one's own: it predicts, and has no part with a name that methods know."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


NEEDED_PARTS = {  # by method: what the error names that a network has to offer
    "dropout": "torch.nn.Dropout",
    "rog": "unit_features",
    "self_learning": "features",
    "curriculumnet": "features",
    "cleannet": "features",
}


@every
def test_a_network_that_only_predicts(toy, name):
    """A method either learns with it or says which part it has to offer."""

    def make_plain():
        net = Plain()
        net(toy.x[:1])
        return net

    task = replace(toy.task(name), make_net=make_plain)
    if name in NEEDED_PARTS:
        with pytest.raises(ValueError, match=NEEDED_PARTS[name]):
            METHODS[name](task)
        return
    method = METHODS[name](task)
    method.optimiser = toy.optimiser(method)
    method.train()
    method.begin_phase(0, toy.train_batches)
    method.begin_epoch(0, toy.train_batches)
    toy.skip_to_last_epoch(method)
    assert method.loss(toy.first_batch(method)).isfinite()
    assert method.eval().predict(toy.x).shape == (len(toy.x), 4)
