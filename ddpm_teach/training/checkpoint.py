"""A whole run in one file, and back: resuming is exact, and nothing else is loaded into a run by mistake. Lesson 03."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddpm_teach import nets
from ddpm_teach.checks import check_classes, check_int
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.hardware.precision import check_device
from ddpm_teach.model_files import told_in, told_record
from ddpm_teach.storage import check_same_shapes, read_tensors, understood, write_tensors
from ddpm_teach.training.options import RunOptions
from ddpm_teach.training.state import TrainState, check_state


def save_checkpoint(path: str | Path, state: TrainState) -> None:
    """Writes the whole run to one file: all of it, or nothing and an error.

    Raises:
        TypeError: for what is no TrainState.
        ValueError: if a weight, or an average of one, isn't finite any more.
        OSError: if the file can't be written; the one before it stays.
    """
    check_state(state)
    weights = {"weights": state.net, "averages": state.ema.module}  # the averages draw
    for what, net in weights.items():
        if not all(weight.isfinite().all() for weight in net.parameters()):
            raise ValueError(f"state: the {what} of step {state.step} aren't finite any more; {path} is left as it was")
    tensors = {"schedule.alpha_bar": state.schedule.alpha_bar}
    plain = _without_tensors(state.state_dict(), "state", tensors)
    meta = {"net": nets.describe(state.net), "classes": state.classes, "state": plain}
    meta |= told_record(state.told) | {"options": state.options.record(), "step": state.step, "data": state.data}
    write_tensors(path, "checkpoint", tensors, meta)


def load_checkpoint(
    path: str | Path, state: TrainState | None = None, device: torch.device | str | None = None
) -> TrainState:
    """Reads a run back: into `state`, which is checked against the file, or into a new one built from it.

    Args:
        device: where the run shall go on; the CPU, or where `state` is, unless given.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it isn't a whole checkpoint of ours, belongs to another network, schedule, target or data set, or
            to a network of your own and no state was given. `state` is then as it was.
    """
    device = None if device is None else check_device(device)
    if state is not None:
        check_state(state)
    tensors, meta = read_tensors(path, "checkpoint")
    with understood(path):
        saved, schedule = _with_tensors(meta["state"], tensors), Schedule(tensors["schedule.alpha_bar"])
        known = meta["net"]["name"] in nets.NETS and "config" in meta["net"]
        described, classes = nets.completed(meta["net"]) if known else meta["net"], check_classes(meta["classes"])
        told = told_in(meta)
        options = _options(meta, saved)
        step, data = meta.get("step", 0), meta.get("data", "")
        if "numbers" in saved:  # the first edition's
            step, data = saved["numbers"]["step"], saved["numbers"].get("data", "")
        check_int("step", step, 0)
        weights, averages = dict(saved["net"]), dict(saved["ema"])
    if state is None:
        if not known:
            raise ValueError(
                f"{path}: holds a network of your own, {meta['net']['name']}; build it, make a state of it by"
                " TrainState.create, and pass that as state=…"
            )
        with torch.device("cpu"), understood(path):  # whatever the default device is
            state = TrainState.create(nets.from_config(meta["net"]), schedule, options, classes, told)
    if told != state.told:
        raise ValueError(
            f"{path}: was told other attributes or words than the run at hand; load the data set that it had"
        )
    _check_same(path, state, described, schedule, classes, options)
    # A network of your own isn't described by the file, but for its weights.
    check_same_shapes(path, nets.unwrapped(state.net).state_dict(), weights)
    check_same_shapes(path, state.ema.state_dict(), averages)
    if "" not in (state.data, data) and data != state.data:
        raise ValueError(f"{path}: was trained on other pictures than the run at hand; load that data set")
    with understood(path):
        state.load_state_dict(saved)
    # What the state at hand knows for sure, with what an older file doesn't name.
    state.options = replace(options, net=state.options.net, schedule=state.options.schedule)
    state.step, state.data = step, data
    return state if device is None else state.to(device)


def _options(meta: dict, saved: dict) -> RunOptions:
    net = meta["net"] if meta["net"]["name"] in nets.NETS and "config" in meta["net"] else None
    if "options" in meta:
        return RunOptions.recorded(meta["options"], net)
    # The first edition kept what its run.json has not in the file, but for these.
    recorded = {name: saved["numbers"][name] for name in ("steps", "ema_decay", "seed", "target")}
    return RunOptions(net=net, lr=saved["optimizer"]["param_groups"][0]["initial_lr"], **recorded)


def _check_same(
    path: str | Path, state: TrainState, net: dict, schedule: Schedule, classes: tuple[str, ...], options: RunOptions
) -> None:
    """Refuses a file that belongs to another run, naming what differs."""
    mine = nets.describe(state.net)
    if "config" not in mine:  # of your own: the name, wherever it is defined
        mine, net = ({"name": one["name"].rpartition(".")[2]} for one in (mine, net))
    if mine != net:
        differences = [
            f"{name} = {net.get('config', {}).get(name)} and not {value}"
            for name, value in mine.get("config", {}).items()
            if net.get("config", {}).get(name) != value
        ]
        what = ", ".join(differences) if mine["name"] == net["name"] and differences else f"a {net['name']}"
        raise ValueError(f"{path}: was trained with {what}, the run at hand has a {mine['name']}; build that net")
    if not torch.equal(schedule.alpha_bar, state.schedule.alpha_bar):
        raise ValueError(f"{path}: was trained with another schedule (T = {schedule.T}); build the run with that one")
    if classes != state.classes:
        raise ValueError(f"{path}: was trained on the classes {classes}, not {state.classes}; load that data set")
    if options.target != state.options.target:
        raise ValueError(
            f"{path}: was trained to predict {options.target!r}, the run at hand predicts {state.options.target!r};"
            f" make it with RunOptions(target={options.target!r})"
        )


def _without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON can say it: its tensors go to the table `tensors`, under the path that led to them.

    A dictionary becomes a list of pairs, since JSON would turn the optimizer's whole-number keys into words.
    """
    if isinstance(value, Tensor):
        tensors[name] = value.detach().clone()  # safetensors refuses tensors that share memory
        return {"tensor": name}
    if isinstance(value, dict):
        return {"pairs": [[key, _without_tensors(item, f"{name}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_without_tensors(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
    return value


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `_without_tensors`; tuples come back as lists."""
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _with_tensors(item, tensors) for key, item in value["pairs"]}
    if isinstance(value, list):
        return [_with_tensors(item, tensors) for item in value]
    return value
