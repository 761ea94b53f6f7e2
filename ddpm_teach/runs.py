"""A training run in a folder, and drawing from what it left there: the work behind `ddpm-teach train` and `sample`."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ddpm_teach import data, nets, pictures, weights
from ddpm_teach.data import ImageSet
from ddpm_teach.denoise import clipped, from_eps, from_v, from_x0, guided
from ddpm_teach.devices import in_precision
from ddpm_teach.files import write_bytes
from ddpm_teach.presets import PRESETS
from ddpm_teach.sampling import ddim_step, trailing, walk
from ddpm_teach.schedule import Schedule, linear
from ddpm_teach.training import TrainLog, TrainState, load_checkpoint, save_checkpoint, train, validation_loss

READERS = {"eps": from_eps, "x0": from_x0, "v": from_v}
LOG_EVERY = 20  # steps; reading a loss waits for the device, so it isn't done at every step


def train_preset(
    name: str,
    folder: Path,
    *,
    device: torch.device,
    steps: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    save_every: int = 1000,
    precision: str = "auto",
    resume: bool = False,
) -> TrainState:
    """Trains a preset with a progress bar and keeps in `folder`: last.pt and the checkpoint before it, previous.pt;
    best.pt, with the least loss on held-out pictures (best.json); and losses.csv (step, mean loss, rate).

    With `minutes` the number of steps is what this machine does in that time, measured over the first few steps and
    fixed then, since the learning rate's decay depends on it. The run ends after that time in any case. With `resume`,
    `steps` moves the end of the run, and `lr` changes the rate (see `TrainState.end_at`).

    Raises:
        ValueError: for an unknown preset, a folder that has a run already (without `resume`), or a bad checkpoint.
        FileNotFoundError: if there is no data.
        FloatingPointError: if the loss is no finite number any more; what was saved stays as it was.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: unknown preset {name!r}; known are {', '.join(PRESETS)}")
    preset, checkpoint = PRESETS[name], folder / "last.pt"
    if checkpoint.exists() and not resume:
        raise ValueError(f"--out: {checkpoint} exists already; add --resume to go on with it, or choose another folder")
    ends = time.monotonic() + 60 * minutes if minutes else float("inf")
    images, held_out = (data.load(preset.dataset, split, size=preset.size).to(device) for split in ("train", "test"))
    options = {"batch_size": batch_size or preset.batch_size, "precision": precision}

    torch.manual_seed(seed)
    net = nets.build(preset.net).to(device)
    if minutes and not resume:
        steps = max(1, int((ends - time.monotonic()) / _seconds_per_step(net, images, **options)))
    state = TrainState.create(
        net, linear(), steps=steps or preset.steps, lr=lr or preset.lr, classes=images.classes, seed=seed
    )
    if resume:
        _resume(folder, state)
        state.end_at(steps or state.steps, lr)

    stream = train(state, images, **options)  # looks at its arguments now, before there is anything to save
    bar = tqdm(total=state.steps, initial=state.step, unit="step", desc=name)
    losses, best = [], _best_loss(folder)
    with _signals_noted() as stopped:
        for log in stream:
            losses.append(log.loss)
            bar.update()
            ending = bool(stopped) or log.step == state.steps or time.monotonic() > ends
            saving = log.step % save_every == 0 or ending
            if log.step % LOG_EVERY == 0 or saving:
                loss = torch.stack(losses).mean().item()
                losses.clear()
                if not math.isfinite(loss):
                    raise FloatingPointError(_diverged(log, checkpoint))
                _append(folder / "losses.csv", (log.step, f"{loss:.6f}", f"{log.lr:.6g}"))
                pace = (bar.format_dict["rate"] or 0) * options["batch_size"]
                bar.set_postfix_str(f"loss {loss:.4f}, {pace:.0f} images/s")
            if saving:
                if checkpoint.exists():
                    write_bytes(folder / "previous.pt", checkpoint.read_bytes())  # good until the new one is whole
                save_checkpoint(checkpoint, state)
                found = validation_loss(state, held_out)
                if found < best:
                    best = found
                    save_checkpoint(folder / "best.pt", state)
                    write_bytes(folder / "best.json", json.dumps({"step": state.step, "loss": best}).encode())
            if ending:
                break
    bar.close()
    rest = "" if state.step == state.steps else "; add --resume to go on"
    print(f"{checkpoint}: {state.step} of {state.steps} steps{rest}; least loss on held-out pictures {best:.4f}")
    if stopped:
        raise KeyboardInterrupt
    return state


def _resume(folder: Path, state: TrainState) -> None:
    """Loads the newest good checkpoint: the last, else the one before it. Without any the run starts at step 0."""
    for path in (folder / "last.pt", folder / "previous.pt"):
        if path.exists():
            try:
                load_checkpoint(path, state)
                return
            except ValueError as error:
                if path.name == "previous.pt" or not (folder / "previous.pt").exists():
                    raise
                print(f"{error}; going on from {folder / 'previous.pt'}")
    print(f"{folder}: no checkpoint to resume; starting at step 0")


def _best_loss(folder: Path) -> float:
    """The validation loss of best.pt, or infinity."""
    path = folder / "best.json"
    return json.loads(path.read_text())["loss"] if path.exists() and (folder / "best.pt").exists() else math.inf


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
    """What a step takes here, measured on a copy of the network after two steps of warming up."""
    trial = TrainState.create(copy.deepcopy(net), linear(), steps=10, classes=images.classes)
    stream = train(trial, images, **options)
    for _ in range(2):
        next(stream)
    began = time.monotonic()
    for log in stream:
        log.loss.item()  # waits until the device is done
    return (time.monotonic() - began) / 8


def _append(path: Path, row: tuple[int, str, str]) -> None:
    """Adds a row to the log of losses; rows of steps that a resumed run does again are dropped first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else ["step,loss,lr"]
    kept = lines[:1] + [line for line in lines[1:] if int(line.split(",")[0]) < row[0]]
    path.write_text("\n".join([*kept, ",".join(map(str, row))]) + "\n")


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


def draw(
    net: nn.Module,
    schedule: Schedule,
    contexts: Tensor,
    *,
    n: int,
    seed: int,
    target: str = "eps",
    steps: int = 50,
    eta: float = 0.0,
    guidance_scale: float = 2.0,
    png: Path | None = None,
    gif: Path | None = None,
) -> None:
    """Samples n pictures for each row of `contexts` and writes them, a row each, as a PNG, and their way as a GIF."""
    device = next(net.parameters()).device
    rng = torch.Generator().manual_seed(seed)
    net.eval()
    predict = guided(in_precision(net, device, "auto"), contexts.repeat_interleave(n, 0).to(device), guidance_scale)
    step = ddim_step(clipped(READERS[target](predict, schedule), schedule), schedule, eta, rng=rng)
    x = torch.randn(len(contexts) * n, *net.image_shape, generator=rng).to(device)
    frames = walk(step, x, trailing(schedule.T, steps))
    film = [frame.x.cpu() for frame in tqdm(frames, total=steps + 1, desc="sampling", leave=False)]
    if png:
        pictures.save_png(film[-1], png, columns=n)
    if gif:
        pictures.save_gif(film, gif, columns=n)
