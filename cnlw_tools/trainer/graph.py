"""The gradients of a step as a CUDA graph: one launch in place of hundreds.

    first step       as always, so that all that is made once is there
    second step      captured: the GPU records what the step launches, and where its tensors lie
    all others       copy their batch to the place of the second one, and repeat the record

What Python computes in a step is repeated as it was, too. Therefore only methods can be captured
whose steps differ in tensors alone within an epoch or a percent of the training
(`Method.repeats_within`), and each of these is captured anew. Tensors, and random numbers, are then
those of steps that are taken as always.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cnlw_tools.methods import Batch
from cnlw_tools.trainer import oom

Gradients = Callable[[Batch], Tensor]  # sets the gradients of all parameters, returns the loss
Stage = tuple[int, int]  # epoch, and percent of the training if the method counts percents


class GradientGraph:
    """Computes gradients as a function does that it calls twice in every stage of training."""

    def __init__(self, compute: Gradients) -> None:
        self.compute = compute
        self.warmup_stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.state: tuple[Stage, int] | None = None  # stage and batch size of the last step
        self.graph: torch.cuda.CUDAGraph | None = None
        self.batch: Batch  # where the graph reads
        self.loss: Tensor  # where it writes

    def __call__(self, batch: Batch, stage: Stage) -> Tensor:
        """Set the gradients of all parameters, and return the loss.

        Raises:
            ValueError: the step cannot be captured
        """
        state = (stage, len(batch.y))
        if state != self.state:
            self.state = state
            self.graph = None
            return self._warm_up(batch)
        if self.graph is None:
            self.graph = self._capture(batch)
        else:
            torch._foreach_copy_(_tensors(self.batch), _tensors(batch))
        self.graph.replay()
        return self.loss

    def _warm_up(self, batch: Batch) -> Tensor:
        """Compute on a stream other than the usual one, as a capture does."""
        usual_stream = torch.cuda.current_stream()
        self.warmup_stream.wait_stream(usual_stream)
        with torch.cuda.stream(self.warmup_stream):
            loss = self.compute(batch)
        usual_stream.wait_stream(self.warmup_stream)
        return loss

    def _capture(self, batch: Batch) -> torch.cuda.CUDAGraph:
        views = tuple(view.clone() for view in batch.views)
        self.batch = Batch(batch.index.clone(), views, batch.y.clone())
        graph = torch.cuda.CUDAGraph()
        try:
            # Another thread may copy images to memory of the host meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.loss = self.compute(self.batch)
        except RuntimeError as error:
            if oom.is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"the step cannot be captured as a CUDA graph ({reason}): omit --graph"
            ) from error
        return graph


def _tensors(batch: Batch) -> list[Tensor]:
    return [batch.index, batch.y, *batch.views]
