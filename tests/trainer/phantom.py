"""A GPU that is not there: its tensors say that they are on cuda:0, and the host computes them.

The whole trainer runs on it as on a GPU: `.to("cuda")`, CUDA's own autocast, channels last, fused
optimisers, checkpoints, validation, CUDA graphs. It refuses what a GPU refuses, such as a host
tensor among its own, counts the operations that launch a kernel, and notes where a step waits for
the device. It says nothing of speed, memory and last bits, nor of what CUDA's kernels alone refuse.

It takes a process of its own: `appear` changes torch for good.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, UntypedStorage
from torch.autograd import graph as autograd_graph
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from cnlw_tools.methods import ieg
from cnlw_tools.trainer import Trainer
from cnlw_tools.trainer.loop import TrainingLoop

GPU, HOST = torch.device("cuda", 0), torch.device("cpu")
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")
TAKE_BOTH = ("_to_copy", "copy_", "_foreach_copy_", *INDEXING)  # tensors of host and GPU
# Operations with a value or a size that the host has to know before it goes on.
WAITING = ("_local_scalar_dense", "equal", "nonzero", "masked_select", "_unique2", "unique_dim")
NO_KERNEL = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
NO_KERNEL += ("resize_", "as_strided_")
ANSWERS = {  # of functions of torch.cuda
    "is_available": True,
    "device_count": 1,
    "current_device": 0,
    "is_bf16_supported": True,
    "is_current_stream_capturing": False,
    "mem_get_info": (1 << 36, 1 << 37),
    "max_memory_allocated": 1 << 30,
    "get_device_name": "phantom",
    "get_rng_state": torch.zeros(16, dtype=torch.uint8),  # the host draws all random numbers
    **dict.fromkeys(
        ("_lazy_init", "empty_cache", "manual_seed_all", "set_rng_state", "synchronize")
    ),
}


class OnGpu(Tensor):
    """A tensor on the phantom; `host` has its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    host: Tensor

    @staticmethod
    def __new__(cls, host: Tensor) -> "OnGpu":
        tensor = Tensor._make_subclass(
            cls, host, False, dispatch_device=True, device_for_backend_keys=GPU
        )
        tensor.host = host
        return tensor

    @property
    def device(self) -> torch.device:
        return phantom.stated_device

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return phantom.compute(op, args, kwargs or {})

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.host.__reduce_ex__(protocol)  # a checkpoint is read to the host

    def tolist(self) -> list[Any]:
        return self.cpu().tolist()


class Interception(TorchDispatchMode):
    """Leads every operation to the phantom, also one that has no tensor yet."""

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return phantom.compute(op, args, kwargs or {})


@dataclass
class Phantom:
    """What the GPU can hold, and what was noticed."""

    room: int | None = None  # bytes of the largest tensor that it can hold; None: any
    part: str = ""  # of training that is counted: feed or step
    launches: Counter[str] = field(default_factory=Counter)  # by part
    waits: Counter[str] = field(default_factory=Counter)  # by operation and line, within steps
    n_steps: int = 0
    # Autograd asks for the streams of a GPU, and there are none: it is told that all is on the host.
    stated_device: torch.device = GPU
    capture: "Capture | None" = None  # that goes on

    def compute(self, op: Any, args: Any, kwargs: Any) -> Any:
        """Do an operation as a GPU would."""
        if op is torch.ops.prim.device.default:
            return self.stated_device
        name = op.overloadpacket.__name__
        target = self._target(name, args, kwargs)
        tensors = _tensors((args, kwargs))
        ours = [x for x in tensors if isinstance(x, OnGpu)]
        if not ours and target == HOST:
            return op(*args, **kwargs)
        _check_devices(name, args, tensors)
        if self.part:
            self._count(op, name, args, kwargs, target)
        if self.capture and _makes_wait(name, args, kwargs, target):
            raise RuntimeError(f"aten.{name}: operation not permitted when stream is capturing")
        if "device" in kwargs:
            kwargs = {**kwargs, "device": HOST}
        args, kwargs = _map_tensors(_to_host, (args, kwargs))
        result = self._compute_on_host(op, name, args, kwargs)
        if target == HOST:
            return result
        known = {id(x.host): x for x in ours}  # what is changed in place stays the same object
        return _map_tensors(lambda x: self._on_gpu(x, known), result)

    def _target(self, name: str, args: Any, kwargs: Any) -> torch.device:
        """Return where the result of an operation belongs."""
        if self.stated_device == HOST:
            return GPU
        if kwargs.get("device") is not None:
            return GPU if torch.device(kwargs["device"]).type == "cuda" else HOST
        leading = args[:1] if name == "copy_" else (args, kwargs)
        return GPU if any(isinstance(x, OnGpu) for x in _tensors(leading)) else HOST

    def _compute_on_host(self, op: Any, name: str, args: Any, kwargs: Any) -> Any:
        if self.capture:
            self.capture.keep_inputs(args, kwargs)
        result = op(*args, **kwargs)
        if name == "_to_copy" and result is args[0]:
            result = result.clone()
        if self.capture:
            self.capture.record(op, name, args, kwargs, result)
        return result

    def _on_gpu(self, host: Tensor, known: dict[int, OnGpu]) -> OnGpu:
        if id(host) in known:
            return known[id(host)]
        if self.room is not None and host.untyped_storage().nbytes() > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return OnGpu(host)

    def _count(self, op: Any, name: str, args: Any, kwargs: Any, target: torch.device) -> None:
        """Count an operation if it launches a kernel, and note it if the host waits for it."""
        if not _is_view(op) and name not in NO_KERNEL:
            self.launches[self.part] += 1
        if self.part == "step" and _makes_wait(name, args, kwargs, target):
            self.waits[f"{name} at {_line_of_package()}"] += 1


class Capture:
    """A CUDA graph: what was launched once, and can be launched again on the same memory."""

    def __init__(self) -> None:
        self.launches: list[tuple[Any, Any, Any, Any]] = []  # operation, inputs, result
        # By address: memory from before the capture with what it held, and memory made in it.
        self.inputs: dict[int, tuple[UntypedStorage, UntypedStorage]] = {}
        self.results: dict[int, UntypedStorage] = {}

    def keep_inputs(self, args: Any, kwargs: Any) -> None:
        """Keep the numbers of tensors as they are when the capture first meets them."""
        for tensor in _in_memory((args, kwargs)):
            memory = tensor.untyped_storage()
            address = memory.data_ptr()
            if address not in self.inputs and address not in self.results:
                self.inputs[address] = (memory, memory.clone())

    def record(self, op: Any, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Keep an operation, unless it launches nothing."""
        for tensor in _in_memory(result):
            memory = tensor.untyped_storage()
            if memory.data_ptr() not in self.inputs:
                self.results[memory.data_ptr()] = memory
        if not _is_view(op) and name not in NO_KERNEL:
            self.launches.append((op, args, kwargs, result))

    def undo(self) -> None:
        """Restore what was there before: a capture records, and computes nothing."""
        for _, _, _, result in self.launches:
            for tensor in _in_memory(result):
                if tensor.is_floating_point():
                    tensor.fill_(torch.nan)
        for memory, content in self.inputs.values():
            memory.copy_(content)

    def replay(self) -> None:
        """Launch again what was launched; the host launches only once."""
        phantom.launches[phantom.part] += 1
        for op, args, kwargs, result in self.launches:
            new_result = op(*args, **kwargs)
            for old, new in zip(_in_memory(result), _in_memory(new_result), strict=True):
                if old is not new:
                    old.copy_(new)


@contextmanager
def capturing(graph: Capture, **_: object) -> Iterator[None]:
    """Record into a graph what the block launches."""
    rng_state = torch.get_rng_state()
    phantom.capture = graph
    try:
        yield
    finally:
        phantom.capture = None
    graph.undo()
    torch.set_rng_state(rng_state)


def _to_host(tensor: Tensor) -> Tensor:
    return tensor.host if isinstance(tensor, OnGpu) else tensor


def _tensors(values: Any) -> list[Tensor]:
    """Return the tensors in nested arguments. torch's own trees take three times as long."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, tuple | list):
        return []
    return [tensor for value in values for tensor in _tensors(value)]


def _map_tensors(function: Callable[[Tensor], Tensor], values: Any) -> Any:
    """Return nested arguments with each tensor replaced by what a function returns for it."""
    if isinstance(values, Tensor):
        return function(values)
    if isinstance(values, dict):
        return {name: _map_tensors(function, value) for name, value in values.items()}
    if isinstance(values, tuple | list):
        mapped = [_map_tensors(function, value) for value in values]
        return tuple(mapped) if isinstance(values, tuple) else mapped
    return values


def _in_memory(values: Any) -> list[Tensor]:
    """Return the tensors that have memory; zeros that forward mode imagines have none."""
    return [x for x in _tensors(values) if not x._is_zerotensor()]


def _is_view(op: Any) -> bool:
    """Return whether an operation only looks at the memory of a tensor in another way."""
    aliases = [r.alias_info for r in op._schema.returns if r.alias_info]
    return any(not alias.is_write for alias in aliases)


def _check_devices(name: str, args: Any, tensors: list[Tensor]) -> None:
    """Raise if an operation mixes tensors of host and GPU; a single number may be on the host."""
    strangers = [x for x in tensors if not isinstance(x, OnGpu) and x.dim() > 0]
    is_mixed = len(strangers) < len(tensors) and strangers and name not in TAKE_BOTH
    if name in INDEXING:
        values = args[2:3]
        is_mixed = not isinstance(args[0], OnGpu) or any(x is y for x in values for y in strangers)
    if is_mixed:
        shapes = [tuple(x.shape) for x in strangers]
        raise RuntimeError(f"aten.{name}: {shapes} on the host, the others on cuda:0")


def _makes_wait(name: str, args: Any, kwargs: Any, target: torch.device) -> bool:
    """Return whether the host waits for the GPU in an operation."""
    if name in INDEXING:
        indices = [i for i in args[1] if i is not None]
        return any(i.dtype == torch.bool or not isinstance(i, OnGpu) for i in indices)
    if name == "_to_copy":
        crosses = isinstance(args[0], OnGpu) != (target == GPU)
        return crosses and not kwargs.get("non_blocking")
    if name == "copy_":
        return not isinstance(args[1], OnGpu) and args[1].dim() > 0
    return name in WAITING


def _line_of_package() -> str:
    """Return the innermost line of the package that is being run."""
    frames = [frame for frame in traceback.extract_stack() if "cnlw_tools" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "a test"


phantom = Phantom()


def appear(_: object = None) -> None:
    """Let torch believe that there is a GPU, for the rest of the process."""
    torch.set_num_threads(1)
    # Without a driver, torch must not look for CUDA: it asks an accelerator in Python first.
    _setup_privateuseone_for_python_backend("nobody")
    torch._C._ensureCUDADeviceGuardSet()
    torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` makes them, and then copies
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    torch.backends.cudnn.enabled = False  # its operations have names of their own
    for name, value in ANSWERS.items():
        setattr(torch.cuda, name, lambda *_, value=value, **__: value)
    torch.cuda.CUDAGraph, torch.cuda.graph = Capture, capturing
    torch.cuda.Stream = torch.cuda.current_stream = lambda: SimpleNamespace(wait_stream=id)
    torch.cuda.stream = nullcontext
    Tensor.pin_memory = lambda tensor: tensor
    run_backward = on_host(autograd_graph._engine_run_backward)
    autograd_graph._engine_run_backward = torch.autograd._engine_run_backward = run_backward
    ieg.jvp = on_host(ieg.jvp)  # forward mode makes tensors without a device on its way
    TrainingLoop._train_epoch = counted(TrainingLoop._train_epoch, "feed")
    TrainingLoop._train_batch = counted(TrainingLoop._train_batch, "step")


def on_host(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let tensors say within a function that they are on the host."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        old_device, phantom.stated_device = phantom.stated_device, HOST
        try:
            return function(*args, **kwargs)
        finally:
            phantom.stated_device = old_device

    return call


def counted(function: Callable[..., Any], part: str) -> Callable[..., Any]:
    """Count what a function launches as a part of training."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        old_part, phantom.part = phantom.part, part
        phantom.n_steps += part == "step"
        try:
            return function(*args, **kwargs)
        finally:
            phantom.part = old_part

    return call


@dataclass(frozen=True)
class Request:
    """A training on the phantom."""

    arguments: dict[str, Any]  # of Trainer
    room: int | None = None  # bytes of the largest tensor that the phantom can hold
    last_epoch: int | None = None  # after which the run is killed
    last_step: int | None = None  # of the first epoch, after which it is killed


@dataclass
class Report:
    """What came of a training on the phantom."""

    history: list[dict[str, Any]]  # metrics of each epoch, without times
    launches: dict[str, int]  # by part of training
    n_steps: int
    waits: dict[str, int]  # by operation and line, within steps


class Killed(BaseException):
    """Ends a run as nothing in it expects."""


def train(request: Request) -> Report:
    """Train on the phantom, after `appear` in the same process."""
    global phantom
    phantom = Phantom(request.room)
    history: list[dict[str, Any]] = []

    def keep(metrics: dict[str, Any]) -> None:
        history.append({name: value for name, value in metrics.items() if name != "seconds"})
        if metrics["epoch"] == request.last_epoch:
            raise Killed

    def watch(stage: str, n_done: int, n_total: int) -> None:
        if stage.startswith("epoch") and n_done == request.last_step:
            raise Killed

    trainer = Trainer(**request.arguments, device="cuda")
    with Interception(), suppress(Killed):
        trainer.fit(watch, keep)
    return Report(history, dict(phantom.launches), phantom.n_steps, dict(phantom.waits))
