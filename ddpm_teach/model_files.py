"""Models in files: weights, as they ship with the course, and runs' checkpoints. Lesson 00 loads one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ddpm_teach import nets
from ddpm_teach.checks import check_classes, check_model
from ddpm_teach.data.attributes import Attributes
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import TARGETS, target_named
from ddpm_teach.hardware.precision import check_device
from ddpm_teach.model import Model
from ddpm_teach.nets.autoencoder import Autoencoder
from ddpm_teach.storage import check_same_shapes, course_path, read_tensors, understood, write_tensors

NAMES = ("sprites", "sprites-context", "mnist", "mnist-context", "mnist32")


def load_model(name: str | Path, device: torch.device | str = "cpu") -> Model:
    """A trained model, by name if it comes with the course, or from a file: weights, or a run's checkpoint.

    Args:
        name: "sprites", told every part; "sprites-context", told the class; "mnist", digits of 28×28 as they come;
            "mnist-context" and "mnist32", digits by class, 28×28 and 32×32; or a path, runs/mnist/last.pt.
        device: where the network shall be.

    Raises:
        ValueError: for what is neither, a damaged file, or a device that isn't here.
    """
    device = check_device(device)
    if str(name) in NAMES:
        card = course_path(f"data/weights/{name}.md").read_text(encoding="utf8")
        return replace(load_weights(course_path(f"data/weights/{name}.safetensors")), card=card).to(device)
    if not Path(name).is_file():
        raise ValueError(f"weights: {str(name)!r} is neither a file nor one of {', '.join(NAMES)}")
    _, meta = read_tensors(name, ("weights", "checkpoint"))
    if "state" not in meta:
        return load_weights(name).to(device)
    from ddpm_teach.training.checkpoint import load_checkpoint

    state = load_checkpoint(name, device=device)
    return replace(state.model, card=f"{name}, {state.step} steps")


load_pretrained = load_model  # its name in the first edition


def save_weights(path: str | Path, model: Model, **meta: object) -> None:
    """Writes a model in half precision: weights, configuration, classes, schedule and target (and what `meta` adds).

    Raises:
        TypeError: for what is no Model.
        ValueError: for weights that aren't finite in half precision, or a network or target that isn't of this course.
    """
    check_model(model)
    net = nets.unwrapped(model.net)
    if not nets.is_known(net):
        raise ValueError(
            f"net: expected a network of this course, got a {type(net).__name__}, which no weights file can build;"
            " save_checkpoint keeps a run of it"
        )
    if TARGETS.get(model.target.name) is not model.target:
        raise ValueError(f"target: expected one of {', '.join(TARGETS)}, got your own {model.target.name!r}")
    tensors = {name: t.half() if t.is_floating_point() else t for name, t in net.state_dict().items()}
    if not all(t.isfinite().all() for t in tensors.values()):
        raise ValueError(f"net: has weights that aren't finite, or too large for half precision; {path} isn't written")
    meta |= {"alpha_bar": model.schedule.alpha_bar.tolist(), "target": model.target.name, "limit": model.limit}
    told = told_record(model.tokenizer or model.attributes)
    meta |= told | {"data": model.data} if told else {}
    meta |= {"times": list(model.times)} if model.times else {}
    if model.autoencoder is not None:
        meta["autoencoder"] = {"name": model.autoencoder.name, "digest": digest(model.autoencoder)}
    write_tensors(path, "weights", tensors, {"net": nets.describe(net), "classes": list(model.classes), **meta})


def load_weights(path: str | Path) -> Model:
    """The model in a file of `save_weights`: in float32, in eval mode, frozen.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it isn't a whole, undamaged file of `save_weights`, or a classifier's.
    """
    net, meta = load_net(path)
    if "alpha_bar" not in meta:
        raise ValueError(
            f"{path}: holds a {meta['net']['name']}, which draws nothing; ddpm_teach.model_files.load_net reads it"
        )
    with understood(path):
        schedule = Schedule(torch.tensor(meta["alpha_bar"], dtype=torch.float64, device="cpu"))
        target = target_named(meta.get("target", "eps"))  # files of the first edition know no other
        net.target = target.name
        classes = tuple(meta["classes"])
        autoencoder = _its_autoencoder(path, meta["autoencoder"]) if "autoencoder" in meta else None
        return Model(
            net,
            schedule,
            target,
            classes,
            data=meta.get("data", ""),
            autoencoder=autoencoder,
            limit=meta.get("limit", 1.0),
            **told_fields(told_in(meta)),
            times=meta.get("times", ()),
        )


def told_record(told: Attributes | Tokenizer) -> dict:
    """What a network is told, as a file's metadata keep it."""
    if isinstance(told, Tokenizer):
        return {"tokenizer": {"words": list(told.words), "length": told.length}}
    return {"attributes": dict(told)} if told else {}


def told_in(meta: Mapping) -> Attributes | Tokenizer:
    """The inverse of `told_record`."""
    if "tokenizer" in meta:
        return Tokenizer(tuple(meta["tokenizer"]["words"]), meta["tokenizer"]["length"])
    return {name: tuple(words) for name, words in meta.get("attributes", {}).items()}


def told_fields(told: Attributes | Tokenizer) -> dict:
    """What a network is told, as the field of its `Model`."""
    return {"tokenizer": told} if isinstance(told, Tokenizer) else {"attributes": told}


def load_autoencoder(name: str | Path) -> Autoencoder:
    """The autoencoder that comes with the course, "autoencoder", or one from a file of weights. Lesson 12.

    Raises:
        FileNotFoundError, ValueError: if there is none.
    """
    net, meta = load_net(course_path("data/weights/autoencoder.safetensors") if name == "autoencoder" else name)
    if not isinstance(net, Autoencoder):
        raise ValueError(f"{name}: holds a {meta['net']['name']}, and no autoencoder; load_model reads it")
    net.name = str(name)
    return net


def load_trained(name: str | Path) -> nn.Module:
    """The network in weights or a run's checkpoint, also an autoencoder's: what another run may begin with.

    Raises:
        FileNotFoundError, ValueError: if there is none.
    """
    if str(name) in NAMES:
        return load_model(name).net
    path = course_path("data/weights/autoencoder.safetensors") if str(name) == "autoencoder" else Path(name)
    if "state" not in read_tensors(path, ("weights", "checkpoint"))[1]:
        return load_net(path)[0]
    from ddpm_teach.training.checkpoint import load_checkpoint

    return load_checkpoint(path).ema.module


def digest(net: nn.Module) -> str:
    """16 hexadecimal digits that are others for other weights."""
    hashed = hashlib.sha256()
    for tensor in net.state_dict().values():
        hashed.update(tensor.cpu().contiguous().numpy())
    return hashed.hexdigest()[:16]


def _its_autoencoder(path: str | Path, meta: Mapping) -> Autoencoder:
    """The one that a latent model was trained with, and no other: its latents would mean something else."""
    net = load_autoencoder(meta["name"])
    if digest(net) != meta["digest"]:
        raise ValueError(f"{path}: was trained with other weights of the autoencoder {meta['name']}; train it anew")
    return net


def save_net(path: str | Path, net: nn.Module, classes: Iterable[str], attributes: Attributes | None = None) -> None:
    """Writes a network that isn't sampled from, a classifier, in half precision."""
    nets.image_shape(net)  # refuses what is no network
    classes = check_classes(classes)
    tensors = {name: t.half() if t.is_floating_point() else t for name, t in net.state_dict().items()}
    meta = {"net": nets.describe(net), "classes": list(classes)} | ({"attributes": attributes} if attributes else {})
    write_tensors(path, "weights", tensors, meta)


def load_net(path: str | Path) -> tuple[nn.Module, dict]:
    """The network in a weights file, in float32 and eval mode, frozen, and the file's metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it isn't a whole, undamaged weights file.
    """
    tensors, meta = read_tensors(path, "weights")
    with understood(path):
        meta["classes"] = list(check_classes(meta["classes"]))
        with torch.device("cpu"):  # whatever the default device is
            net = nets.from_config(meta["net"])
    check_same_shapes(path, net.state_dict(), tensors)
    net.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    return net.eval().requires_grad_(False), meta
