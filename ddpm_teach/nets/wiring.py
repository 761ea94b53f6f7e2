"""wiring(net): the parts of a network and what each of them gets, found by running it. Drawings are made from it.

`forward` says in code how the parts hang together; saying it a second time could become wrong. So it is measured: the
output of every part is held as it was, one thing is changed, and whatever moves then is connected with it directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ddpm_teach.checks import shown
from ddpm_teach.nets.blocks import evaluating, named_parts

PICTURE, OUTPUT = "x", "output"


class Run(NamedTuple):
    """A part's call: its first argument, its own output, and the channels of all pictures among its arguments."""

    x: Tensor
    y: Tensor
    width: int


class Part(NamedTuple):
    """A part of a network, by its attribute's name, as it ran; "x" is the picture, "output" what the network returns.

    Attributes:
        shape: of its output, without the batch.
        width: channels of the pictures that it is called with.
        sources: the parts that it gets, the latest first. More than one are concatenated, or added: see `joined`.
        before: of "time" and "context" those that change its input.
        inside: those that it takes besides.
    """

    name: str
    shape: tuple[int, ...]
    width: int
    sources: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()


def wiring(net: nn.Module) -> list[Part]:
    """The picture, the parts that make pictures of it in the order in which they run, and the output.

    Parts are the network's own attributes, and those in its lists ("levels.0"); one that runs twice is noted as it ran
    last. A connection whose weights are all zero isn't found, since nothing goes through it.

    Raises:
        TypeError: for a network without `image_shape`.
        ValueError: for one that doesn't return pictures of that shape, or returns NaN.
    """
    from ddpm_teach.nets import unwrapped  # which imports this file

    net, rng = unwrapped(net), torch.Generator().manual_seed(0)
    inputs = _inputs(net, rng)
    first = _run(net, inputs, {})
    out = first[OUTPUT].y
    if out.shape != inputs[PICTURE].shape or not out.isfinite().all():
        raise ValueError(
            f"net: expected one that returns finite numbers of the picture's shape {tuple(inputs[PICTURE].shape[1:])},"
            f" got {shown(out[0])}{'' if out.isfinite().all() else ' with NaN or infinity'};"
            " summary(net) lists the layers of any network"
        )
    other = _run(net, inputs | {PICTURE: _changed(inputs[PICTURE], rng)}, {})
    held = {name: run.y for name, run in first.items() if name != OUTPUT and not torch.equal(run.y, other[name].y)}

    sources: dict[str, list[str]] = {name: [] for name in (*held, OUTPUT)}
    before: dict[str, list[str]] = {name: [] for name in sources}
    inside: dict[str, list[str]] = {name: [] for name in sources}
    for cause in (*reversed(held), *inputs):
        fixed, given = held, inputs
        if cause in held:
            fixed = held | {cause: _changed(held[cause], rng)}
        else:
            given = inputs | {cause: _changed(inputs[cause], rng)}
        now = _run(net, given, fixed)
        for name in sources:
            if name == cause or torch.equal(first[name].y, now[name].y):
                continue
            if cause in held or cause == PICTURE:
                sources[name].append(cause)
            else:
                (inside if torch.equal(first[name].x, now[name].x) else before)[name].append(cause)
    shapes = {PICTURE: inputs[PICTURE], **held, OUTPUT: out}
    return [
        Part(
            name,
            tuple(y.shape[1:]),
            first[name].width if name in first else 0,
            *(tuple(found.get(name, ())) for found in (sources, before, inside)),
        )
        for name, y in shapes.items()
    ]


def joined(part: Part, parts: Mapping[str, Part]) -> str:
    """How a part's sources come together: "concatenated" if their channels add up to its input's, else "added"."""
    return "concatenated" if sum(parts[name].shape[0] for name in part.sources) == part.width else "added"


def _inputs(net: Any, rng: torch.Generator) -> dict[str, Tensor]:
    """A picture of noise, the time 1 and a context, as far as the network takes them, in the order of its arguments."""
    from ddpm_teach.nets import image_shape, random_contexts

    shape = image_shape(net)  # which refuses a Model
    device = next(net.parameters(), torch.empty(0, device="cpu")).device
    inputs = {PICTURE: torch.randn(1, *shape, generator=rng, device="cpu").to(device)}
    if hasattr(net, "T"):
        inputs["time"] = torch.ones(1, dtype=torch.long, device=device)
    if (context := random_contexts(net, 1, rng)) is not None:
        inputs["context"] = context.to(device)
    return inputs


def _changed(value: Tensor, rng: torch.Generator) -> Tensor:
    """Noise in the place of numbers, time 2 in that of time 1, and the next word for each word."""
    if not value.is_floating_point():
        return value + 1
    return torch.randn(value.shape, generator=rng, device="cpu").to(value)


def _run(net: nn.Module, inputs: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> dict[str, Run]:
    """The calls of the parts that return (b, c, h, w), by name; what is `held` is handed on instead of their output."""
    seen: dict[str, Run] = {}

    def note(name: str, args: tuple[object, ...], named: dict[str, object], y: object) -> Tensor | None:
        if isinstance(y, Tensor) and y.ndim == 4:
            given = [x for x in (*args, *named.values()) if isinstance(x, Tensor)]
            seen[name] = Run(given[0], y, sum(x.shape[1] for x in given if x.ndim == 4))
            return held.get(name)
        return None

    hooks = [
        part.register_forward_hook(lambda _, args, named, y, name=name: note(name, args, named, y), with_kwargs=True)
        for name, part in named_parts(net)
    ]
    try:
        with evaluating(net), torch.no_grad():
            out = net(*inputs.values())
    finally:
        for hook in hooks:
            hook.remove()
    return {**seen, OUTPUT: Run(out, out, out.shape[1])}
