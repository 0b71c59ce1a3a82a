"""One process or many, started by torchrun: who am I, on which device, and sums over all of us."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from stxlib.errors import ConfigError


@dataclass(frozen=True)
class Distributed:
    """This process among `world_size` processes, rank 0 being the one that logs and writes."""

    rank: int
    world_size: int
    device: torch.device

    @staticmethod
    def single(device: torch.device | str = "cpu") -> Distributed:
        """One process, no process group."""
        return Distributed(0, 1, torch.device(device))

    @staticmethod
    def init(device: Literal["auto", "cpu", "cuda"] = "auto") -> Distributed:
        """Join the group of torchrun's environment: nccl on GPUs, gloo on CPUs. Without torchrun: one process.

        Raises ConfigError when `cuda` is asked for and absent, or a machine has fewer GPUs than processes.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError(
                "device: cuda was asked for, but torch sees no GPU; use --device cpu, or see stxlib.bin.doctor"
            )
        on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
        if on_gpu and local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"device: process {local_rank} of this machine has no GPU of its own, torch sees "
                f"{torch.cuda.device_count()}; start as many processes as there are GPUs"
            )
        own = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
        if on_gpu:
            torch.cuda.set_device(own)
        if world_size > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(minutes=30))
        return Distributed(rank, world_size, own)

    @property
    def is_main(self) -> bool:
        """Whether this process logs and writes."""
        return self.rank == 0

    @property
    def backend(self) -> str:
        """`gloo`, `nccl`, or `none` for one process."""
        return str(dist.get_backend()) if self.world_size > 1 else "none"

    def sum_(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by its sum over all ranks; the result is bit-equal on all of them."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, value: Any) -> list[Any]:
        """What each rank passed, in the order of ranks, on every rank. Small Python values only."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.world_size > 1:
            dist.barrier()

    def wrap(self, objective: nn.Module, *, find_unused: bool) -> nn.Module:
        """The objective itself, or in torch's DDP when there are several ranks."""
        if self.world_size == 1:
            return objective
        return DistributedDataParallel(
            objective,
            device_ids=[self.device.index] if self.device.type == "cuda" else None,
            # Buffers are constants or functions of the step here; sending them each step would only cost time.
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
            find_unused_parameters=find_unused,
        )

    def close(self) -> None:
        """Leave the process group."""
        if self.world_size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def gradients_kept_local(model: nn.Module, local: bool) -> AbstractContextManager[None]:
    """For all micro-batches of a step but the last: DDP adds up gradients and sends nothing."""
    if local and isinstance(model, DistributedDataParallel):
        return model.no_sync()  # type: ignore[no-any-return]
    return nullcontext()
