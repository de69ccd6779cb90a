"""A toy problem for methods: four noisy patterns, a third of the labels wrong, a small loop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnlw_tools.methods import METHODS, Batch, Method, ProbeSet, Task

CLASSES, N, SIDE = 4, 192, 6
QUICK = {"cleannet": {"passes": 1.0}}  # of six: its encoders take most of the time of a toy

torch.set_num_threads(1)  # tensors this small are not worth a second thread


class Net(nn.Module):
    """A small network with features, dropout and head, like those of the trainer."""

    def __init__(self, norm: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        between = nn.BatchNorm2d(16) if norm else nn.Identity()
        pool = [nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten()]
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), between, *pool)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(144, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, SIDE, SIDE) -> (B, 144)."""
        return self.body(x)

    def unit_features(self, x: Tensor) -> list[Tensor]:
        """(B, 3, SIDE, SIDE) -> (B, 16, SIDE, SIDE), (B, CLASSES): fewer features than examples."""
        return [self.body[:2](x).relu(), self.head(self.body(x))]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, SIDE, SIDE) -> (B, CLASSES)."""
        return self.head(self.dropout(self.features(x)))


@dataclass
class Toy:
    """What a trainer holds: images, given labels and, for the tests only, the true ones."""

    norm: bool = True
    x: Tensor = field(init=False)  # (N, 3, SIDE, SIDE)
    true: Tensor = field(init=False)  # (N,)
    y: Tensor = field(init=False)  # (N,)

    def __post_init__(self) -> None:
        self.patterns = torch.randn(
            CLASSES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)
        )
        self.x, self.true = self.images(2, N)
        offset = torch.randint(1, CLASSES, (N,), generator=torch.Generator().manual_seed(3))
        self.y = (self.true + offset * (torch.arange(N) // CLASSES % 3 == 0)) % CLASSES

    def images(self, seed: int, n: int) -> tuple[Tensor, Tensor]:
        """Draw n images and their true labels, balanced."""
        true = torch.arange(n) % CLASSES
        noise = torch.randn(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
        return self.patterns[true] + noise, true

    def probe(self, n: int) -> Batch:
        """Draw n trusted examples."""
        x, true = self.images(4, n)
        return Batch(torch.arange(n), (x,), true)

    def trusted(self) -> Iterator[Batch]:
        """Yield twenty trusted examples."""
        yield self.probe(20)

    def verified(self) -> Iterator[tuple[Batch, Tensor]]:
        """Yield forty examples, a third labelled wrong, and whether each label is correct."""
        x, true = self.images(6, 40)
        right = torch.arange(40) // CLASSES % 3 != 0
        given = torch.where(right, true, (true + 1) % CLASSES)
        yield Batch(torch.arange(40), (x,), given), right

    def holdout(self) -> Iterator[Batch]:
        """Yield forty examples with labels as noisy as those of the training set."""
        for batch, _ in self.verified():
            yield batch

    def make(
        self, name: str, epochs: int = 6, dropout: float = 0.0, seed: int = 0, **options: Any
    ) -> Method:
        """Return a method with its task and optimiser, at the start of its first epoch."""
        method = self.make_unstarted(name, epochs, dropout, seed, **options)
        method.begin_phase(0, self.train_batches)
        method.begin_epoch(0, self.train_batches)
        return method

    def make_unstarted(
        self, name: str, epochs: int = 6, dropout: float = 0.0, seed: int = 0, **options: Any
    ) -> Method:
        """Return a method with its task and optimiser, before its first phase."""
        options = QUICK.get(name, {}) | options
        method = METHODS[name](self.task(name, epochs, dropout, seed), **options)
        method.optimiser = self.optimiser(method)
        torch.manual_seed(seed)
        return method.train()

    def task(self, name: str, epochs: int = 6, dropout: float = 0.0, seed: int = 0) -> Task:
        """Return a task with what the method requires, and no more."""

        def net() -> Net:
            torch.manual_seed(seed)
            return Net(self.norm, dropout)

        has = {"probe": ProbeSet(self.probe, self.trusted), "noise_rate": 1 / 3}
        has |= {"verified": self.verified, "holdout": self.holdout}
        return Task(net, N, CLASSES, epochs, **{need: has[need] for need in METHODS[name].requires})

    def batch(self, rows: Tensor, views: int = 1) -> Batch:
        """Return the examples at these rows, in slightly different views."""
        x = self.x[rows]
        extra_views = [x + 0.1 * torch.randn_like(x) for _ in range(views - 1)]
        return Batch(rows, (x, *extra_views), self.y[rows])

    def first_batch(self, method: Method, rows: int = 32) -> Batch:
        """Return the first rows in the views that the method expects."""
        return self.batch(torch.arange(rows), len(method.views))

    def train_batches(self) -> Iterator[Batch]:
        """Yield the training set in order."""
        for rows in torch.arange(N).split(50):
            yield self.batch(rows)

    def optimiser(self, method: Method) -> torch.optim.Optimizer:
        """Return SGD with momentum that keeps each group's learning rate and weight decay."""
        optimiser = torch.optim.SGD(method.param_groups(), lr=0.05, momentum=0.9, weight_decay=1e-4)
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
        return optimiser

    def step(self, method: Method, batch: Batch) -> float:
        """Take one step and return its loss."""
        loss = method.loss(batch)
        method.optimiser.zero_grad()
        loss.backward()
        method.optimiser.step()
        method.after_step()
        return loss.item()

    def epochs(self, method: Method) -> Iterator[int]:
        """Train, and yield at the beginning of every epoch its number, counted over all phases."""
        epoch, ends = 0, {"init": networks(method)}
        for number, phase in enumerate(method.phases()):
            rows = method.begin_phase(number, self.train_batches)
            rows = torch.arange(N) if rows is None else rows
            method.load_state_dict(ends.get(phase.restart, {}), strict=False)
            for group in method.optimiser.param_groups:
                group["lr"] = group["initial_lr"] * phase.lr_factor
            for _ in range(phase.epochs):
                method.begin_epoch(epoch, self.train_batches)
                yield epoch
                parts = rows[torch.randperm(len(rows))].split(
                    max(1, int(32 * phase.batch_size_factor))
                )
                for done, part in enumerate(parts):
                    method.progress = (epoch + done / len(parts)) / method.task.epochs
                    self.step(method, self.batch(part, len(method.views)))
                epoch += 1
            ends[number] = networks(method)
        method.finish(self.train_batches)

    def skip_to_last_epoch(self, method: Method) -> None:
        """Begin all phases and epochs up to the last one, without a step."""
        epoch = 0
        for number, phase in enumerate(method.phases()):
            method.begin_phase(number, self.train_batches)
            for _ in range(phase.epochs):
                method.begin_epoch(epoch, self.train_batches)
                epoch += 1
        method.progress = (epoch - 1) / epoch

    def train(self, method: Method) -> Method:
        """Train to the end."""
        for _ in self.epochs(method):
            pass
        return method

    @torch.no_grad()
    def accuracy(self, method: Method) -> float:
        """Return the share of new images whose true class is predicted."""
        x, true = self.images(5, 400)
        method.eval()
        right = (method.predict(x).argmax(1) == true).float().mean().item()
        method.train()
        return right


def networks(method: Method) -> dict[str, Tensor]:
    """Return a copy of the state of the method's submodules."""
    return {key: value.clone() for key, value in method.state_dict().items() if "." in key}


@pytest.fixture
def toy() -> Toy:
    """A toy problem for networks with batch normalisation."""
    return Toy()


@pytest.fixture(params=[True, False], ids=["norm", "plain"])
def any_toy(request: pytest.FixtureRequest) -> Toy:
    """A toy problem for networks with batch normalisation, and for those without."""
    return Toy(request.param)


class Logits(nn.Module):
    """A network whose logits are its input, (B, 3), for formulas worked out by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.0)
        self.head = nn.Linear(3, 3, bias=False)
        nn.init.eye_(self.head.weight)

    def features(self, x: Tensor) -> Tensor:
        """(B, 3), as it came."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3), as it came."""
        return self.head(self.dropout(x))


@pytest.fixture
def on_logits() -> Callable[..., Method]:
    """Return a function that makes methods on that network."""
    return lambda name, epochs=4, **options: METHODS[name](Task(Logits, 3, 3, epochs), **options)


@pytest.fixture
def f3() -> Batch:
    """Return three rows: p = (0.787, 0.107, 0.107), (0.212, 0.576, 0.212), (1/3, 1/3, 1/3)."""
    z = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 0]])
    return Batch(torch.arange(3), (z,), torch.tensor([0, 2, 1]))
