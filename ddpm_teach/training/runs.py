"""A training run in a folder, and drawing from what it left there: the work behind `ddpm-teach train` and `sample`."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import math
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ddpm_teach import pictures, weights
from ddpm_teach.data import ImageSet
from ddpm_teach.files import sweep, write_bytes
from ddpm_teach.presets import Preset
from ddpm_teach.processes import ALONE, Processes
from ddpm_teach.samplers import Recipe
from ddpm_teach.schedule import linear
from ddpm_teach.training import (
    TIMES,
    TrainLog,
    TrainState,
    load_checkpoint,
    save_checkpoint,
    train,
    validation_loss,
)

KEPT = tuple(option.name for option in fields(Preset) if "help" in option.metadata)
LOG_EVERY = 20  # steps; reading a loss waits for the device, so it isn't done at every step


def train_preset(
    preset: Preset,
    folder: Path,
    *,
    device: torch.device,
    given: Mapping[str, Any] = MappingProxyType({}),
    minutes: float | None = None,
    resume: bool = False,
    processes: Processes = ALONE,
) -> TrainState:
    """Trains a preset with a progress bar and keeps in `folder`: last.pt and the checkpoint before it, previous.pt;
    best.pt, with the least loss on held-out pictures (best.json); losses.csv (step, mean loss, rate); a page of samples
    at every checkpoint; and run.json, the options.

    Args:
        given: options that replace the preset's. On resuming, those that aren't given are the interrupted run's own.
        minutes: train for about so long. The number of steps is what this machine does in that time, measured over
            the first few and fixed then, since the rate's decay depends on it. The run ends after it in any case.
        resume: go on from the newest good checkpoint in the folder.
        processes: those that train together; the one of rank 0 writes.

    Raises:
        ValueError: for a folder that has a run already (without `resume`), a bad option, or a bad checkpoint.
        FileNotFoundError: if there is no data.
        FloatingPointError: if the loss is no finite number any more; what was saved stays as it was.
        MemoryError: if a step doesn't fit into the device's memory; says which batch size does.
        OSError: if a checkpoint can't be written; the one before it stays.
    """
    checkpoint = folder / "last.pt"
    if checkpoint.exists() and not resume:
        raise ValueError(f"--out: {checkpoint} exists already; add --resume to go on with it, or choose another folder")
    preset = replace(preset, **(_kept_options(folder) if resume else {}) | dict(given))
    ends = time.monotonic() + 60 * minutes if minutes else float("inf")
    images, held_out = (part.to(device) for part in preset.load())
    net = preset.build().to(device)
    how = {name: getattr(preset, name) for name in ("batch_size", "precision", "target")}
    how |= {"times": TIMES[preset.times], "min_snr": preset.min_snr or None, "processes": processes}
    try:
        if minutes and not resume:
            steps = max(1, int((ends - time.monotonic()) / _seconds_per_step(net, images, **how)))
            preset = replace(preset, steps=processes.first(steps))
        run = {name: getattr(preset, name) for name in ("steps", "lr", "seed", "target")}
        state = TrainState.create(net, linear(), classes=images.classes, **run)
        if resume:
            _resume(folder, state, processes)
            state.end_at(given.get("steps", state.steps), given.get("lr"))
        stream = train(state, images, **how)  # looks at its arguments now, before there is anything to save
        try:
            if processes.rank == 0:
                sweep(folder)
                options = {name: getattr(preset, name) for name in KEPT}
                print("with", " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items()))
                write_bytes(folder / "run.json", json.dumps(options, indent=1).encode())
            return _to_the_end(state, stream, held_out, folder, preset, ends, processes)
        except OSError as error:
            raise OSError(_unwritable(error, folder)) from None
    except torch.OutOfMemoryError:
        raise MemoryError(_too_large(net, images, preset, device)) from None


def _to_the_end(
    state: TrainState,
    stream: Iterator[TrainLog],
    held_out: ImageSet,
    folder: Path,
    preset: Preset,
    ends: float,
    processes: Processes,
) -> TrainState:
    """Drains the stream: bar, log, checkpoints."""
    losses, least = [], _best_loss(folder)
    bar = tqdm(total=state.steps, initial=state.step, unit="step", desc=folder.name, disable=processes.rank > 0)
    with bar, _signals_noted() as stopped:
        for log in stream:
            losses.append(log.loss)
            bar.update()
            ending = processes.any(bool(stopped) or log.step == state.steps or time.monotonic() > ends)
            saving = log.step % preset.save_every == 0 or ending
            if log.step % LOG_EVERY == 0 or saving:
                loss = torch.stack(losses).mean().item()
                losses.clear()
                if not math.isfinite(loss):
                    raise FloatingPointError(_diverged(log, folder / "last.pt"))
                if processes.rank == 0:
                    _append(folder / "losses.csv", (log.step, f"{loss:.6f}", f"{log.lr:.6g}"))
                    pace = (bar.format_dict["rate"] or 0) * preset.batch_size
                    bar.set_postfix_str(f"loss {loss:.4f}, {pace:.0f} images/s")
            if saving and processes.rank == 0:
                least = _save(state, folder, held_out, least)
            if ending:
                break
    processes.wait()
    if processes.rank == 0:
        rest = "" if state.step == state.steps else "; add --resume to go on"
        found = f"least loss on held-out pictures {least:.4f}"
        print(f"{folder / 'last.pt'}: {state.step} of {state.steps} steps{rest}; {found}")
    if stopped:
        raise KeyboardInterrupt
    return state


def _save(state: TrainState, folder: Path, held_out: ImageSet, least: float) -> float:
    """Writes the checkpoint, the best one if it is that, and a page of samples; the least validation loss so far."""
    last = folder / "last.pt"
    if last.exists():
        write_bytes(folder / "previous.pt", last.read_bytes())  # good until the new one is whole
    save_checkpoint(last, state)
    found = validation_loss(state.ema.module, state.schedule, held_out, target=state.target)
    if found < least:
        save_checkpoint(folder / "best.pt", state)
        write_bytes(folder / "best.json", json.dumps({"step": state.step, "loss": found}).encode())
    page_of_samples(state, folder / f"samples-{state.step:06}.png", n=4)
    return min(found, least)


def _unwritable(error: OSError, folder: Path) -> str:
    """What couldn't be written, and what is still good."""
    last = folder / "last.pt"
    good = f"{last} holds step {load_checkpoint(last).step}" if last.exists() else "no checkpoint was there before"
    what = f"{error.filename or folder}: can't be written ({error.strerror or error})"
    return f"{what}; {good}; make room, then --resume"


def _too_large(net: nn.Module, images: ImageSet, preset: Preset, device: torch.device) -> str:
    """Which batch size fits, tried on a copy of the network."""
    size = preset.batch_size // 2
    while size:
        try:
            _seconds_per_step(net, images, batch_size=size, precision=preset.precision)
            break
        except torch.OutOfMemoryError:
            size //= 2
    remedy = f"--batch-size {size} fits" if size else "not even one picture fits; use a smaller network"
    return f"--batch-size: a step of {preset.batch_size} pictures doesn't fit into the memory of {device}; {remedy}"


def _kept_options(folder: Path) -> dict[str, Any]:
    """What was chosen for the interrupted run."""
    path = folder / "run.json"
    try:
        kept = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ValueError(f"{path}: isn't readable ({error}); remove it to go on with the preset's options") from None
    return {name: kept[name] for name in KEPT if name in kept}


def _resume(folder: Path, state: TrainState, processes: Processes) -> None:
    """Loads the newest good checkpoint: the last, else the one before it. Without any the run starts at step 0.

    A damaged one is put aside, so that it never takes the good one's place.
    """
    last, previous = folder / "last.pt", folder / "previous.pt"
    if last.exists():
        try:
            load_checkpoint(last, state)
            return
        except ValueError as error:
            if not previous.exists():
                raise
            load_checkpoint(previous, state)
            processes.wait()
            if processes.rank == 0:
                last.replace(folder / "damaged.pt")
                print(f"{error}; going on from {previous}, the other is kept as damaged.pt")
            return
    if previous.exists():
        load_checkpoint(previous, state)
    elif processes.rank == 0:
        print(f"{folder}: no checkpoint to resume; starting at step 0")


def _best_loss(folder: Path) -> float:
    """The validation loss of best.pt, or infinity where there is none that can be read."""
    try:
        return json.loads((folder / "best.json").read_text())["loss"] if (folder / "best.pt").exists() else math.inf
    except (FileNotFoundError, ValueError):
        return math.inf


def _diverged(log: TrainLog, checkpoint: Path) -> str:
    good = f"{checkpoint} holds the last good state" if checkpoint.exists() else "nothing was saved yet"
    return (
        f"training: the loss is no finite number at step {log.step} (learning rate {log.lr:.3g}); {good};"
        " go on with a lower rate (--lr) or in float32 (--precision float32)"
    )


@contextlib.contextmanager
def _signals_noted() -> Iterator[list[int]]:
    """Ctrl-C and `kill` only make the list true: the step at hand is finished, so that what is saved is consistent."""
    noted: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # a run in the background may ignore Ctrl-C
                signal.signal(number, lambda number, _: noted.append(number))
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _seconds_per_step(net: nn.Module, images: ImageSet, **options: object) -> float:
    """What a step takes here, measured on a copy of the network after a few steps of warming up."""
    warm = 5 if next(net.parameters()).is_cuda else 2  # a GPU's fourth step is recorded, and replayed from then on
    trial = TrainState.create(copy.deepcopy(net), linear(), steps=warm + 8, classes=images.classes)
    stream = train(trial, images, **options)
    *_, log = itertools.islice(stream, warm)
    log.loss.item()  # waits until the device is done
    began = time.monotonic()
    *_, log = stream
    log.loss.item()
    return (time.monotonic() - began) / 8


def _append(path: Path, row: tuple[int, str, str]) -> None:
    """Adds a row to the log of losses; rows of steps that a resumed run does again are dropped first."""
    lines = path.read_text().splitlines() if path.exists() else ["step,loss,lr"]
    kept = lines[:1] + [line for line in lines[1:] if int(line.split(",")[0]) < row[0]]
    write_bytes(path, ("\n".join([*kept, ",".join(map(str, row))]) + "\n").encode())


def load_model(name: str, device: torch.device) -> weights.Pretrained:
    """Weights by name, or the averaged network of a checkpoint by path.

    Raises:
        ValueError: for neither.
    """
    if name in weights.NAMES:
        return weights.load_pretrained(name, device)
    if not Path(name).is_file():
        raise ValueError(f"weights: {name!r} is neither a checkpoint file nor one of {', '.join(weights.NAMES)}")
    state = load_checkpoint(name)
    net = state.ema.module.to(device).eval().requires_grad_(False)
    return weights.Pretrained(net, state.schedule, state.classes, f"{name}, {state.step} steps", state.target)


def page_of_samples(state: TrainState, png: Path, n: int = 8) -> str:
    """Draws with a run's averaged network: a row of n for each class, or n rows of n. Says which."""
    takes_context = state.net.config.get("context_dim") is not None
    contexts = torch.eye(len(state.classes)) if takes_context else None
    count = n if takes_context else n * n
    model = weights.Pretrained(state.ema.module, state.schedule, state.classes, "", state.target)
    draw(model, Recipe(steps=20, guidance_scale=2.0), contexts, n=count, columns=n, seed=state.seed, png=png)
    return f"{png}: a row of {n} for each of {', '.join(state.classes)}" if takes_context else f"{png}: {n} rows of {n}"


def draw(
    model: weights.Pretrained,
    recipe: Recipe,
    contexts: Tensor | None,
    *,
    n: int,
    columns: int,
    seed: int,
    png: Path | None = None,
    gif: Path | None = None,
) -> None:
    """Samples n pictures for each context, or n in all without; writes them as a PNG and their way as a GIF."""
    count = n if contexts is None else n * len(contexts)
    frames = recipe.frames(model, count, None if contexts is None else contexts.repeat_interleave(n, 0), seed)
    film = [frame.x.cpu() for frame in tqdm(frames, total=recipe.steps + 1, unit="frame", desc="sampling", leave=False)]
    if png:
        pictures.save_png(film[-1], png, columns=columns)
    if gif:
        pictures.save_film(film, gif, columns=columns)
