"""Going on with a run in a folder: its newest good checkpoint, and what may be changed; all else stays as recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ddpm_teach import nets
from ddpm_teach.data.folder import RUN
from ddpm_teach.training.checkpoint import load_checkpoint
from ddpm_teach.training.distributed import ALONE, Processes
from ddpm_teach.training.options import CHOSEN, FIXED, RunOptions, is_folder, option_name
from ddpm_teach.training.state import TrainState


def load_newest(folder: Path, processes: Processes = ALONE) -> TrainState | None:
    """The newest good checkpoint: the last, else the one before it; None where there is none.

    A damaged one is put aside, so that it never takes the good one's place.
    """
    last, previous = folder / "last.pt", folder / "previous.pt"
    if last.exists():
        try:
            return load_checkpoint(last)
        except ValueError as error:
            if not previous.exists():
                raise
            state = load_checkpoint(previous)
            processes.wait()
            if processes.rank == 0:
                last.replace(folder / "damaged.pt")
                print(f"{error}; going on from {previous}, the other is kept as damaged.pt")
            return state
    if previous.exists():
        return load_checkpoint(previous)
    if processes.rank == 0:
        print(f"{folder}: no checkpoint to resume; starting at step 0")
    return None


def resumed_options(recorded: RunOptions, folder: Path, changes: Mapping[str, Any]) -> RunOptions:
    """The interrupted run's options with what may be changed.

    Raises:
        ValueError: for a change of what resuming can't change; the same value again is no change.
    """
    for name in [name for name in FIXED if name in changes]:
        was, now = getattr(recorded, name), changes[name]
        if was == now or (name == "net" and was and now and nets.completed(was) == nets.completed(now)):
            continue
        if name == "data" and is_folder(was) and is_folder(now):
            continue  # a folder may have been moved: what is in it is compared
        raise ValueError(
            f"{_asked_by(name, recorded)}: the run in {folder} was made with {was},"
            f" and --resume can't change that to {now}; leave it out, or begin another run with --out"
        )
    return replace(recorded, **changes)


def refuse_idle(recorded: RunOptions, changes: Mapping[str, Any]) -> None:
    """Refuses, for a run that has done all of its steps, options that would change what none is left of.

    Raises:
        ValueError: that names the first of them.
    """
    for name, value in changes.items():
        if name not in (*FIXED, "steps") and value is not None and value != getattr(recorded, name):
            raise ValueError(
                f"{option_name(name)}: changes nothing, since all {recorded.steps} steps of the run are done;"
                f" leave it out, or add --steps {2 * recorded.steps}"
            )


def _asked_by(name: str, recorded: RunOptions) -> str:
    """What on the command line chooses a field: a named set and its size come with the preset."""
    if name == "data" or (name == "size" and not is_folder(recorded.data)):
        return "preset or --images"
    return option_name(name)


def completed(saved: RunOptions, options: RunOptions, folder: Path) -> RunOptions:
    """The options of a checkpoint of the first edition, which kept only some: run.json and the preset have the rest."""
    if saved.data:
        return saved
    if not options.data:
        raise ValueError(f"preset: {folder} doesn't say what the run was trained on; name its preset, or --images")
    record = read_json(path := folder / RUN)
    if path.exists() and not record:
        raise ValueError(
            f"{path}: isn't readable, and the run's options are only there; remove it, and name them again"
        )
    rest = {name: record[name] for name in CHOSEN if name in record}
    known = ("net", "steps", "lr", "ema_decay", "seed", "target", "schedule")
    recorded = {name: getattr(saved, name) for name in known}
    return replace(options, **{**rest, **recorded})


def read_json(path: Path) -> dict:
    """What a file of ours says; nothing where it is missing, can't be read or is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
