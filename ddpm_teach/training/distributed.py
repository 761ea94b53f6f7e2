"""One run on several processes or machines: each takes its share of every batch, and the gradients are averaged.

    accelerate launch --num_processes 2 -m ddpm_teach train mnist     # one process for each of two GPUs
    torchrun --nproc_per_node 2 -m ddpm_teach train mnist             # on CPUs too

These launchers and accelerate's notebook_launcher say by environment variables how many processes there are. Alone,
nothing is wrapped, copied or waited for.

One process and many draw the same random numbers and, for a network that sees each picture by itself (LayerNormUNet),
follow the same loss curve up to rounding. BatchNorm (ContextUNet) takes its statistics over a process's share only, and
dropout (AttentionUNet) hits other pixels, so those runs differ as two seeds do.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from ddpm_teach.hardware.precision import compute_dtype

_BY_A_LAUNCHER = "start it by torchrun or accelerate launch, or unset WORLD_SIZE"


def launched_count() -> int:
    """How many processes a launcher has started, by the environment variable WORLD_SIZE; 1 without one.

    Raises:
        ValueError: if it says something else than a number from 1.
    """
    return _from_environment("WORLD_SIZE", 1, 10**6, "1")


def _from_environment(name: str, low: int, high: int, default: str = "") -> int:
    text = os.environ.get(name, default)
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
        raise ValueError(f"{name}: expected a whole number in {low}…{high}, got {text[:40]!r}; {_BY_A_LAUNCHER}")
    return int(text)


class Processes:
    """The processes that train together. `Processes()` is one alone; `Processes.launched()` those that a launcher made.

    Attributes:
        rank: of this process, from 0. The process of rank 0 prints and writes.
        count: how many there are.
    """

    def __init__(self, accelerator: Any = None) -> None:
        self.accelerator = accelerator
        self.rank = accelerator.process_index if accelerator else 0
        self.count = accelerator.num_processes if accelerator else 1
        self._wrapped: dict[int, tuple[nn.Module, nn.Module]] = {}  # the accelerator keeps each wrapper alive, so: one

    @classmethod
    def launched(cls) -> Processes:
        """Joins the other processes if a launcher started several, and waits for them. A second call joins nothing.

        Raises:
            ValueError: for environment variables that no launcher sets so.
        """
        if (count := launched_count()) == 1:
            return cls()
        if not torch.distributed.is_initialized():  # it would ask these, and wait half an hour for the others
            _from_environment("RANK", 0, count - 1)
            if not os.environ.get("MASTER_ADDR"):
                raise ValueError(f"MASTER_ADDR: expected the address of rank 0's machine, got none; {_BY_A_LAUNCHER}")
        from accelerate import Accelerator, DistributedDataParallelKwargs

        # LayerNormUNet has weights without a gradient: the norm that its last block doesn't use.
        options = DistributedDataParallelKwargs(find_unused_parameters=True)
        try:
            return cls(Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[options]))
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
        raise ValueError(f"WORLD_SIZE: is {count}, but this process can't join the others ({reason}); {_BY_A_LAUNCHER}")

    @property
    def device(self) -> torch.device | None:
        """The device that the launcher gave to this process; alone, None."""
        return self.accelerator.device if self.accelerator else None

    def wrapped(self, net: nn.Module) -> nn.Module:
        """The network whose backward pass averages the gradients over all processes."""
        if self.accelerator is None:
            return net
        if id(net) not in self._wrapped:
            self._wrapped[id(net)] = net, self.accelerator.prepare_model(net)
        return self._wrapped[id(net)][1]

    def precision(self, precision: str, device: torch.device) -> str:
        """The precision that all processes compute in: "auto" may be decided by a trial, and is rank 0's to decide."""
        if self.accelerator is None or precision != "auto":
            return precision
        return "bfloat16" if self.first(compute_dtype(device, precision) == torch.bfloat16) else "float32"

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch: (b, …) → (b / count, …)."""
        return batch[self.rank :: self.count]

    def mean(self, value: Tensor) -> Tensor:
        """The mean of the processes' values, the same for all."""
        return self.accelerator.reduce(value, "mean") if self.accelerator else value

    def any(self, flag: bool) -> bool:
        """Whether the flag is true for any process: what decides where a loop ends must be the same for all."""
        if self.accelerator is None:
            return flag
        return bool(self.accelerator.reduce(torch.tensor(float(flag), device=self.device), "sum"))

    def first(self, value: int) -> int:
        """The value that the process of rank 0 has."""
        if self.accelerator is None:
            return value
        mine = torch.tensor(value if self.rank == 0 else 0, dtype=torch.int64, device=self.device)
        return int(self.accelerator.reduce(mine, "sum"))

    def wait(self) -> None:
        """Returns when all processes have called it."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()

    def leave(self) -> None:
        """Ends the group, at the end of a run that went well: gloo's threads may abort a process that ends in one."""
        if self.accelerator is not None:
            self.wait()  # nobody leaves while another still reads
            torch.distributed.destroy_process_group()


ALONE = Processes()
