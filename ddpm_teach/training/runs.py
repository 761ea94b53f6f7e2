"""A training run in a folder: the work behind `ddpm-teach train`."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from tqdm.auto import tqdm

from ddpm_teach.data.folder import RUN
from ddpm_teach.data.images import ImageSet
from ddpm_teach.hardware.precision import describe
from ddpm_teach.storage import sweep, write_bytes
from ddpm_teach.training.checkpoint import load_checkpoint, save_checkpoint
from ddpm_teach.training.distributed import ALONE, Processes
from ddpm_teach.training.loop import TrainLog, train
from ddpm_teach.training.options import CHOSEN, RunOptions, is_folder, option_name
from ddpm_teach.training.pages import held_out_loss, page_of
from ddpm_teach.training.presets import build_net, load_data
from ddpm_teach.training.resume import completed, load_newest, read_json, refuse_idle, resumed_options
from ddpm_teach.training.signals import signals_noted
from ddpm_teach.training.state import TrainState
from ddpm_teach.training.trial import check_memory, is_out_of_memory, seconds_per_step, too_large

# What a run writes, but for the pages of samples on the way.
FILES = ("last.pt", "previous.pt", "damaged.pt", "best.pt", "best.json", "losses.csv", RUN, "samples.png")
LOG_EVERY = 20  # steps; reading a loss waits for the device, so it isn't done at every step


def train_run(
    options: RunOptions,
    folder: Path,
    *,
    device: torch.device,
    changes: Mapping[str, Any] = MappingProxyType({}),
    resume: bool = False,
    processes: Processes = ALONE,
) -> TrainState:
    """Trains with a progress bar and keeps in `folder`: last.pt and the checkpoint before it, previous.pt; best.pt,
    with the least loss on held-out pictures (best.json); losses.csv (step, mean loss, rate); a page of samples at
    every checkpoint; and run.json, the options. Only a checkpoint that can't be written ends the run.

    Args:
        options: of a new run. With `minutes` the number of steps is what this machine does in that time, measured over
            the first few and fixed then, since the rate's decay depends on it. The run ends after it in any case.
        changes: what was asked for by name: of a new run already in `options`; on resuming it changes the record of the
            interrupted run, which holds for all else. A new run on a folder of pictures that doesn't name `save_every`
            has a checkpoint every 100 steps, or 20 of them.
        resume: go on from the newest good checkpoint in the folder.
        processes: those that train together; the one of rank 0 writes.

    Raises:
        ValueError: for a folder that has a run already (without `resume`), a bad option, one that resuming can't
            change, or a bad checkpoint.
        FileNotFoundError: if there is no data.
        FloatingPointError: if a loss is no finite number any more; what was saved stays as it was.
        MemoryError: if a step doesn't fit into the device's memory; says which batch size does.
        OSError: if a checkpoint can't be written; the one before it stays.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out: {folder} is a file; choose another folder")
    for path in (folder / name for name in FILES):
        if path.is_dir():
            raise ValueError(f"--out: {path} is a folder where the run writes a file; move it, or choose another place")
    checkpoint = folder / "last.pt"
    if checkpoint.exists() and not resume:
        raise ValueError(f"--out: {checkpoint} exists already; add --resume to go on with it, or choose another folder")
    saved = load_newest(folder, processes) if resume else None
    if saved:
        recorded = completed(saved.options, options, folder)
        options = resumed_options(recorded, folder, changes)
        saved.end_at(options.steps)  # refuses an end that the run is past
        if saved.step == options.steps:
            refuse_idle(recorded, changes)
    _check_apart(options, folder)
    if not saved and is_folder(options.data) and not changes.keys() & {"steps", "minutes"} and processes.rank == 0:
        steps = f"{options.data}: {options.steps:,} steps are planned"
        print(f"{steps}, which takes hours without a GPU; --minutes 30 trains for half an hour")
    ends = time.monotonic() + 60 * options.minutes if options.minutes else math.inf
    images, held_out = (part.to(device) for part in load_data(options, tell=print if processes.rank == 0 else None))
    if saved:
        state = saved.to(device)
        state.options = options
        if state.step == options.steps:
            if processes.rank == 0:
                print(f"{checkpoint}: all of its {state.step} steps are done; --steps {2 * state.step} goes on")
            return state
    try:
        check_memory(options, device)
        if not saved:
            state = _begin(options, images, device, processes, ends, often="save_every" not in changes)
        stream = train(state, images, processes)  # looks at all now, before there is anything to save
        if processes.rank == 0:
            _write_record(folder, state)
        return _to_the_end(state, stream, held_out, folder, ends, processes)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # of the terminal: files are named
            raise
        raise OSError(_last_words(error, folder)) from None
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Here, and not in the except block, whose traceback holds the failed step's tensors.
    state = stream = saved = None
    raise MemoryError(too_large(options, images, device))


def _check_apart(options: RunOptions, folder: Path) -> None:
    """Refuses a run's folder among the pictures that is a folder of pictures: a class now, and none when resuming."""
    inside = is_folder(options.data) and folder.resolve().is_relative_to(options.data)
    if inside and not (folder / RUN).exists() and folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"--out: {folder} is one of the folders of pictures; choose a new one, best outside of {options.data}"
        )


def _begin(
    options: RunOptions, images: ImageSet, device: torch.device, processes: Processes, ends: float, often: bool
) -> TrainState:
    if options.minutes:
        pace = seconds_per_step(options, images, device, processes)
        options = replace(options, steps=processes.first(min(2**53, max(1, int((ends - time.monotonic()) / pace)))))
    if often and is_folder(options.data):  # nobody knows yet whether these pictures work: pages early on show it
        options = replace(options, save_every=min(options.save_every, max(100, options.steps // 20)))
    net = build_net(options).to(device)
    return TrainState.create(net, options.noise_schedule(), options, images.classes, images.told)


def _write_record(folder: Path, state: TrainState) -> None:
    sweep(folder)
    record = state.options.record()
    print(describe(state.device, state.options.precision))
    chosen = {name: record[name] for name in CHOSEN if name not in state.options.idle and record[name] != ""}
    print("with", " ".join(f"{option_name(name)} {value}" for name, value in chosen.items()), flush=True)
    write_bytes(folder / RUN, json.dumps(record, indent=1).encode())


def _to_the_end(
    state: TrainState,
    stream: Iterator[TrainLog],
    held_out: ImageSet,
    folder: Path,
    ends: float,
    processes: Processes,
) -> TrainState:
    """Drains the stream: bar, log, checkpoints."""
    losses, least, options = [], _best_loss(folder), state.options
    if processes.rank == 0:
        with _told():
            _cut_losses(folder / "losses.csv", state.step)
    bar = tqdm(total=options.steps, initial=state.step, unit="step", desc=folder.name, disable=processes.rank > 0)
    with bar, signals_noted() as stopped:
        for log in stream:
            losses.append(log.loss)
            bar.update()
            ending = processes.any(bool(stopped) or log.step == options.steps or time.monotonic() > ends)
            saving = log.step % options.save_every == 0 or ending
            if log.step % LOG_EVERY == 0 or saving:
                loss = torch.stack(losses).mean().item()
                losses.clear()
                if not math.isfinite(loss):
                    raise FloatingPointError(_diverged("the loss", log, folder / "last.pt"))
                if processes.rank == 0:
                    with _told(), (folder / "losses.csv").open("a") as file:
                        file.write(f"{log.step},{loss:.6f},{log.lr:.6g}\n")
                    pace = (bar.format_dict["rate"] or 0) * options.batch_size
                    bar.set_postfix_str(f"loss {loss:.4f}, {pace:.0f} images/s")
            if saving and processes.rank == 0:
                least = _save(state, log, folder, held_out, least)
            if ending:
                break
    processes.wait()
    if processes.rank == 0:
        on = f"; to go on: ddpm-teach train --resume --out {shlex.quote(str(folder))}"
        rest = "" if state.step == options.steps else on
        best = f"least loss on held-out pictures ({len(held_out):,} of them) {least:.4f}"
        print(f"{folder / 'last.pt'}: {state.step} of {options.steps} steps{rest}; {best}")
    if stopped:
        raise KeyboardInterrupt
    return state


def _save(state: TrainState, log: TrainLog, folder: Path, held_out: ImageSet, least: float) -> float:
    """Writes the checkpoint, the best one if it is that, and a page of samples; the least validation loss so far."""
    loss = held_out_loss(state, held_out)
    if not math.isfinite(loss):
        raise FloatingPointError(_diverged("the loss on held-out pictures", log, folder / "last.pt"))
    last = folder / "last.pt"
    if last.exists():
        write_bytes(folder / "previous.pt", last.read_bytes())  # good until the new one is whole
    save_checkpoint(last, state)
    with _told():
        if loss < least:
            save_checkpoint(folder / "best.pt", state)
            write_bytes(folder / "best.json", json.dumps({"step": state.step, "loss": loss}).encode())
            least = loss
        page_of(state, folder / f"samples-{state.step:06}.png", n=4)
    return least


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What can't be written in the block is told, and the run goes on: only a checkpoint that fails may cost a step."""
    try:
        yield
    except OSError as error:
        tqdm.write(f"{_unwritable(error, 'a file')}; the run goes on")


def _unwritable(error: OSError, otherwise: Path | str) -> str:
    """What couldn't be written: the file, or `otherwise` where the error names none."""
    return f"{error.filename or otherwise}: can't be written ({error.strerror or error})"


def _last_words(error: OSError, folder: Path) -> str:
    """What couldn't be written, what is still good, and how to go on from there."""
    what, last = _unwritable(error, folder), folder / "last.pt"
    in_the_way = isinstance(error, PermissionError | FileExistsError | IsADirectoryError)
    if not last.exists():
        remedy = "choose another --out" if in_the_way else "make room"
        return f"{what}; no checkpoint was there before; {remedy}, then begin again"
    remedy = "allow writing there" if in_the_way else "make room"
    return f"{what}; {last} holds step {load_checkpoint(last).step}; {remedy}, then --resume"


def _best_loss(folder: Path) -> float:
    """The validation loss of best.pt, or infinity where there is none that can be read."""
    loss = read_json(folder / "best.json").get("loss") if (folder / "best.pt").exists() else None
    return loss if isinstance(loss, float) else math.inf


def _diverged(what: str, log: TrainLog, checkpoint: Path) -> str:
    good = "nothing was saved yet; begin again"
    if checkpoint.exists():
        good = f"{checkpoint} holds the last good state; go on (--resume)"
    return (
        f"training: {what} is no finite number at step {log.step} (learning rate {log.lr:.3g}); {good}"
        " with a lower rate (--lr) or in float32 (--precision float32)"
    )


def _cut_losses(path: Path, step: int) -> None:
    """Begins the log of losses, or drops from it what comes after `step`, which is done anew, and torn lines."""
    lines = path.read_text(encoding="utf8", errors="replace").splitlines() if path.exists() else []
    whole = [line for line in lines if (row := re.fullmatch(r"(\d{1,18}),[^,]*,[^,]+", line)) and int(row[1]) <= step]
    write_bytes(path, "".join(f"{line}\n" for line in ["step,loss,lr", *whole]).encode())
