"""Trying a few steps with a network of its own: how long one takes on this machine, and how many pictures fit."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from ddpm_teach import nets
from ddpm_teach.data.images import ImageSet
from ddpm_teach.training.distributed import ALONE, Processes
from ddpm_teach.training.loop import TrainLog, train
from ddpm_teach.training.options import RunOptions
from ddpm_teach.training.presets import build_net
from ddpm_teach.training.state import TrainState

TRIED_ON_A_CPU = 256  # the largest batch that is tried: a step of it takes seconds, and more bring nothing there


def seconds_per_step(options: RunOptions, images: ImageSet, device: torch.device, processes: Processes) -> float:
    """What a step takes here, measured after a few steps of warming up."""
    warm = 5 if device.type == "cuda" else 2  # a GPU's fourth step is recorded, and replayed from then on
    stream = _trial(options, images, device, warm + 8, processes)
    *_, log = itertools.islice(stream, warm)
    log.loss.item()  # waits until the device is done
    began = time.monotonic()
    *_, log = stream
    log.loss.item()
    return (time.monotonic() - began) / 8


def _trial(
    options: RunOptions, images: ImageSet, device: torch.device, steps: int, processes: Processes
) -> Iterator[TrainLog]:
    options = replace(options, steps=steps, schedule="linear")  # a step takes the same by every schedule
    net = build_net(options).to(device)
    state = TrainState.create(net, options.noise_schedule(), options, images.classes, images.told)
    return train(state, images, processes)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or on the CPU (there torch raises a plain RuntimeError)."""
    signs = ("not enough memory", "an't allocate memory", "annot allocate memory", "invalid buffer size")
    signs += ("out of memory", "ALLOC_FAILED", "calculation overflowed")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in str(error) for sign in signs)


def too_large(options: RunOptions, images: ImageSet, device: torch.device) -> str:
    """One sentence: that a step doesn't fit into the device's memory, and which batch size does."""
    size = options.batch_size // 2
    if device.type == "cpu":
        size = min(size, TRIED_ON_A_CPU)
    while size and not _fits(replace(options, batch_size=size), images, device):
        size //= 2
    remedy = f"--batch-size {size} fits" if size else "not even one picture fits; use a smaller network"
    return f"--batch-size: a step of {options.batch_size} pictures doesn't fit into the memory of {device}; {remedy}"


def check_memory(options: RunOptions, device: torch.device) -> None:
    """Refuses a batch that can't fit into this machine: Linux promises more memory than it has, and then ends programs.

    Raises:
        MemoryError: if the layers' results alone would need more than the whole machine has.
    """
    known = "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ())  # not on Windows
    if device.type != "cpu" or options.batch_size <= TRIED_ON_A_CPU or not known:
        return
    layers = nets.summary(build_net(options)).layers
    need = 4 * options.batch_size * sum(math.prod(layer.output) for layer in layers)  # float32
    if need > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise MemoryError


def _fits(options: RunOptions, images: ImageSet, device: torch.device) -> bool:
    steps = 5 if device.type == "cuda" else 1  # a GPU's fourth step is recorded, which takes more memory
    try:
        for log in _trial(options, images, device, steps, ALONE):
            log.loss.item()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True
