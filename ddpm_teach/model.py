"""A trained network with all that is needed to draw from it, in memory and on disk. Lesson 00 samples from one."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddpm_teach import nets
from ddpm_teach.checks import check_classes, check_finite, check_int, check_model, check_schedule, shown
from ddpm_teach.data.attributes import Attributes, one_hot
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.prompts import claim, described
from ddpm_teach.data.sets import load
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import EPS, TARGETS, Target, target_named
from ddpm_teach.diffusion.times import check_student_times
from ddpm_teach.diffusion.types import Denoiser, Net
from ddpm_teach.hardware.precision import check_device, tuned
from ddpm_teach.storage import check_same_shapes, course_path, read_tensors, understood, write_tensors

NAMES = ("sprites", "sprites-context", "mnist", "mnist-context", "mnist32")


@dataclass(frozen=True, eq=False)
class Model:
    """A network, and what it was trained for: nothing that takes a Model can read it as something else.

    Attributes:
        net: a module with `image_shape` (c, h, w), as every network of this course has; a wrapper of one in `tuned`.
        schedule: the one that it was trained with.
        target: what it predicts: EPS, X0, V or FLOW, or the name of one.
        classes: the names of its classes, in the order of the context vector; none, or as many as it is wide.
        card: how it was trained, as Markdown.
        attributes: the columns and words that it is told, in the order of the context's places; empty for a network
            that is told the class alone.
        data: the name of the data set that it was trained on, for `load`.
        times: of a student, which was distilled for few calls: the list, from T to 0, that all of its walks take, by
            ddim_step and with its teacher's guidance inside. () for all other networks.

    Raises:
        TypeError: for a network without `image_shape`, what is no schedule, classes that aren't names, or times that
            aren't whole numbers.
        ValueError: for a schedule or target that the network wasn't trained for, as far as it knows, a class named
            twice, another number of classes than its contexts are wide, or times that don't fall from T to 0.
    """

    net: nn.Module | Net
    schedule: Schedule
    target: Target | str = EPS
    classes: tuple[str, ...] = ()
    card: str = ""
    attributes: Attributes = field(default_factory=dict)
    data: str = ""
    times: Sequence[int] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", target_named(self.target))
        nets.image_shape(self.net)
        object.__setattr__(self, "classes", check_classes(self.classes, None if self.attributes else self.context_dim))
        check_schedule(self.schedule)
        self.schedule.check_net(self.net)
        self.target.check_net(self.net)
        object.__setattr__(self, "times", check_student_times(self.times, self.schedule.T))

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(c, h, w) of the pictures."""
        return nets.image_shape(self.net)

    @property
    def context_dim(self) -> int | tuple[int, ...] | None:
        """The width of the contexts that the network takes, or their shape, (77, 768); None if it takes none."""
        return nets.context_dim(self.net)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(nets.unwrapped(self.net).parameters(), torch.empty(0, device="cpu")).device

    @property
    def denoiser(self) -> Denoiser:
        """The network read through its schedule."""
        return self.read(self.net)

    def read(self, net: Net) -> Denoiser:
        """A network made of this one, guided for example, read as this one is: by its target, through its schedule."""
        return self.target.reader(net, self.schedule)

    def context(
        self, *names: str, n: int = 1, rng: torch.Generator | None = None, **words: str
    ) -> Float[Tensor, "b d"]:
        """Contexts for n pictures of each class or description named: one-hot rows, or rows of attributes.

            model.context("hero", "food")                              # any network with classes
            model.context("hero", n=8)                                 # told attributes: eight different heroes
            model.context("a king with green hair, holding an axe")    # told attributes
            model.context(kind="knight", hair="green", n=8, rng=rng)   # told attributes

        Of a network that is told attributes, what isn't named is as in a training picture that matches: a class alone
        lends all parts of one, and what is drawn may come near it. No condition is all zeros.

        Args:
            names: classes; or captions, where the network is told attributes. Without any, n contexts of any class.
            n: contexts for each name.
            rng: of what is drawn; torch's global generator unless given.
            words: column → word, of `attributes`, or "none"; `hair="green"` is short for `hair_color="green"`.

        Raises:
            TypeError: for a name that is no text, or an rng that is no torch.Generator.
            ValueError: for an unknown class or word, what no picture of a class can have, words for a network that is
                told the class alone, or a network that takes no context.
        """
        if self.context_dim is None:
            raise ValueError("context: this network takes none; leave it out, and it draws what it likes")
        check_int("n", n, 1)
        if not isinstance(rng, torch.Generator | None):
            raise TypeError(f"rng: expected a generator, got {shown(rng)}; use torch.Generator().manual_seed(0)")
        for name in (*names, *words.values()):
            if not isinstance(name, str):
                raise TypeError(f'context: expected text, got {shown(name)}; write "{name}"')
            if not name.strip():
                raise ValueError("context: expected some words, got an empty text; leave it out for any picture")
        if self.attributes:
            claims = [claim(column, word) for column, word in words.items()]
            images = _training_pictures(self.data)
            parts = [described(images, self.attributes, name, claims, n, rng) for name in names or [""]]
            return torch.cat(parts)
        if words:
            raise ValueError(
                f"context: this network is told the class alone ({', '.join(self.classes)}), and no {', '.join(words)}"
            )
        return one_hot(self.classes, names, n, rng)

    def all_contexts(self, each: int = 1, rng: torch.Generator | None = None) -> Tensor | None:
        """`each` contexts for every class, class by class; None if there are no classes, or none can be named."""
        if self.context_dim is None or not self.classes:
            return None
        return self.context(*self.classes, n=each, rng=rng)

    def check_contexts(self, contexts: Tensor, n: int) -> None:
        """Refuses contexts that the network doesn't take.

        Raises:
            TypeError: for what is no tensor.
            ValueError: for another width, another number than 1 or n, NaN, or a network that takes none.
        """
        if self.context_dim is None:
            raise ValueError("contexts: this network takes none; leave them out, and it draws what it likes")
        if not isinstance(contexts, Tensor):
            remedy = f"model.context({contexts!r})" if isinstance(contexts, str) else "torch.as_tensor(contexts)"
            raise TypeError(f"contexts: expected a tensor, got {shown(contexts)}; use {remedy}, or model.context(name)")
        shape = (self.context_dim,) if isinstance(self.context_dim, int) else tuple(self.context_dim)
        if tuple(contexts.shape[1:]) != shape or len(contexts) not in (1, n):
            raise ValueError(
                f"contexts: expected shape {(n, *shape)} or {(1, *shape)} for {n} pictures,"
                f" got {tuple(contexts.shape)}; model.context(name) makes one"
            )
        check_finite("contexts", contexts)

    def noise(self, n: int, rng: torch.Generator) -> Tensor:
        """x_T (n, c, h, w): drawn in float32 on rng's device, then in the network's dtype and on its device."""
        weights = nets.unwrapped(self.net).parameters()
        like = next((weight for weight in weights if weight.is_floating_point()), torch.empty(0, device="cpu"))
        return torch.randn(n, *self.image_shape, generator=rng, device=rng.device).to(like)

    def tuned(self, precision: str = "auto") -> Model:
        """The same model, its network computed as the device is fastest (see `hardware.precision.tuned`).

        What changes the network afterwards doesn't change the result, unless `precision` is "float32". A tuned model
        gives itself.
        """
        if hasattr(self.net, "wraps"):
            return self
        return replace(self, net=tuned(self.net, self.device, precision))

    def to(self, device: torch.device | str) -> Model:
        """The same model on another device; the network itself is moved, as torch does it. Of a tuned one the network
        that was tuned. A ValueError for a device that isn't here."""
        device = check_device(device)
        net = self.net if isinstance(self.net, nn.Module) else nets.unwrapped(self.net)
        return replace(self, net=net.to(device))


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


@functools.cache
def _training_pictures(data: str) -> ImageSet:
    """Whose records lend what isn't named."""
    return load(data)


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
    meta |= {"alpha_bar": model.schedule.alpha_bar.tolist(), "target": model.target.name}
    meta |= {"attributes": dict(model.attributes), "data": model.data} if model.attributes else {}
    meta |= {"times": list(model.times)} if model.times else {}
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
            f"{path}: holds a {meta['net']['name']}, which draws nothing; ddpm_teach.model.load_net reads it"
        )
    with understood(path):
        schedule = Schedule(torch.tensor(meta["alpha_bar"], dtype=torch.float64, device="cpu"))
        target = target_named(meta.get("target", "eps"))  # files of the first edition know no other
        net.target = target.name
        attributes = {name: tuple(words) for name, words in meta.get("attributes", {}).items()}
        told = ("", attributes, meta.get("data", ""), meta.get("times", ()))
        return Model(net, schedule, target, tuple(meta["classes"]), *told)


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
