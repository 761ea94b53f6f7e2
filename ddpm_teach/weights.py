"""Trained weights that come with the course. Lesson 00 samples from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ddpm_teach import nets
from ddpm_teach.denoise import from_eps, from_v, from_x0
from ddpm_teach.files import read_tensors, write_tensors
from ddpm_teach.paths import course_path
from ddpm_teach.schedule import Schedule

NAMES = ("sprites", "mnist", "mnist32")
READERS = {"eps": from_eps, "x0": from_x0, "v": from_v}  # what a network predicts, and what reads it


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A trained network with all that is needed to sample from it.

    Attributes:
        net: in eval mode, in float32.
        schedule: the one that it was trained with.
        classes: the names of its classes, in the order of the context vector.
        card: how it was trained, as Markdown.
        target: what it predicts, "eps", "x0" or "v": `from_eps`, `from_x0` or `from_v` reads it.
    """

    net: nn.Module
    schedule: Schedule
    classes: tuple[str, ...]
    card: str
    target: str = "eps"

    def context(self, *names: str) -> Tensor:
        """One-hot contexts (len(names), number of classes) of the classes with these names.

        Raises:
            ValueError: for an unknown class.
        """
        for name in names:
            if name not in self.classes:
                raise ValueError(f"class: unknown class {name!r}; known are {', '.join(self.classes)}")
        return torch.eye(len(self.classes))[[self.classes.index(name) for name in names]]


def load_pretrained(name: str, device: torch.device | str = "cpu") -> Pretrained:
    """Weights by name: "sprites"; "mnist", digits of 28×28; "mnist32", digits that are asked for, 32×32.

    Raises:
        ValueError: for an unknown name, or a damaged file.
    """
    if name not in NAMES:
        raise ValueError(f"name: no weights called {name!r}; known are {', '.join(NAMES)}")
    net, meta = load_weights(course_path(f"data/weights/{name}.safetensors"))
    card = course_path(f"data/weights/{name}.md").read_text(encoding="utf8")
    schedule = Schedule(torch.tensor(meta["alpha_bar"], dtype=torch.float64))
    return Pretrained(net.to(device), schedule, tuple(meta["classes"]), card)


def save_weights(
    path: str | Path, net: nn.Module, classes: tuple[str, ...], schedule: Schedule | None = None, **meta: object
) -> None:
    """Writes a network in half precision, with its configuration, classes and schedule (and what `meta` adds)."""
    tensors = {name: t.half() if t.is_floating_point() else t for name, t in net.state_dict().items()}
    if not all(t.isfinite().all() for t in tensors.values()):
        raise ValueError(f"net: has weights that aren't finite, or too large for half precision; {path} isn't written")
    if schedule is not None:
        meta["alpha_bar"] = schedule.alpha_bar.tolist()
    write_tensors(path, "weights", tensors, {"net": nets.describe(net), "classes": list(classes), **meta})


def load_weights(path: str | Path) -> tuple[nn.Module, dict]:
    """The network in a file of `save_weights`, in float32 and eval mode, and the file's metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it isn't a whole, undamaged file of `save_weights`.
    """
    tensors, meta = read_tensors(path, "weights")
    net = nets.build(meta["net"])
    net.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    return net.eval().requires_grad_(False), meta
