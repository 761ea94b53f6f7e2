"""summary(net): what a network is made of, layer by layer, as a table for notebooks and terminals. Lesson 02."""

from __future__ import annotations

import html
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ddpm_teach.nets.blocks import evaluating, named_parts


class Layer(NamedTuple):
    """A layer as it ran: its name in the network, kind, shapes without the batch, parameters, FLOPs of one picture.

    A FLOP is a multiplication or an addition; layers without matrix products or convolutions count as 0. A module with
    parts of its own is a layer for what it has or computes besides them, as attention does with its products.
    """

    name: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    flops: int


class Summary:
    """The layers in the order in which the data go through them. Prints as text, shows as a table in a notebook."""

    def __init__(self, title: str, layers: list[Layer], parameters: int, trainable: int, flops: int) -> None:
        self.title, self.layers = title, layers
        self.parameters, self.trainable, self.flops = parameters, trainable, flops

    def _rows(self) -> list[tuple[str, ...]]:
        shape = lambda s: "×".join(map(str, s)) or "1"  # noqa: E731
        rows = [
            (a.name, a.kind, shape(a.input), shape(a.output), f"{a.parameters:,}", f"{a.flops / 1e6:.2f}")
            for a in self.layers
        ]
        total = ("all", "", "", "", f"{self.parameters:,}", f"{self.flops / 1e6:.2f}")
        return [("layer", "kind", "in", "out", "parameters", "MFLOP"), *rows, total]

    def __repr__(self) -> str:
        rows = self._rows()
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        lines = [
            "  ".join(
                cell.rjust(w) if i > 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        rule = "─" * len(lines[0])
        return "\n".join([self._title(), lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def _repr_html_(self) -> str:
        head, *body, total = (
            "".join(
                f"<td style='text-align:{'right' if i > 3 else 'left'}'>{html.escape(cell)}</td>"
                for i, cell in enumerate(row)
            )
            for row in self._rows()
        )
        rows = "".join(f"<tr>{row}</tr>" for row in body)
        return (
            f"<table><caption>{html.escape(self._title())}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody><tfoot><tr>{total}</tr></tfoot></table>"
        )

    def _title(self) -> str:
        return f"{self.title}: {self.parameters:,} parameters, {self.trainable:,} of them trained"


def summary(net: nn.Module) -> Summary:
    """Runs one picture of noise through the network, in eval mode, and notes every layer; the rows sum to the total.

    Raises:
        TypeError: for a Model in the place of its network, or a network without `image_shape`.
    """
    from torch.utils.flop_counter import FlopCounterMode  # here, since it imports Triton: half a second

    from ddpm_teach.nets import image_shape, random_contexts  # which import this file

    shape, device = image_shape(net), next(net.parameters(), torch.empty(0)).device
    arguments: list[Tensor] = [torch.zeros(1, *shape, device=device)]
    if hasattr(net, "T"):
        arguments.append(torch.ones(1, dtype=torch.long, device=device))
    if (context := random_contexts(net, 1, torch.Generator().manual_seed(0))) is not None:
        arguments.append(context.to(device))
    calls: list[tuple[str, nn.Module, Tensor, Tensor | tuple[Tensor, ...]]] = []
    hooks = [
        module.register_forward_hook(lambda m, args, result, name=name: calls.append((name, m, args[0], result)))
        for name, module in net.named_modules()
    ]
    try:
        with evaluating(net), torch.no_grad(), FlopCounterMode(display=False) as counter:
            net(*arguments)
    finally:
        for hook in hooks:
            hook.remove()
    counts = {name: sum(kinds.values()) for name, kinds in counter.get_flop_counts().items()}

    def flops(name: str) -> int:
        return counts.get(".".join(filter(None, (type(net).__name__, name))), 0)

    layers = []
    for name, module, x, result in calls:
        y = result[0] if isinstance(result, tuple) else result  # a text encoder returns vectors and their mask
        parts = [".".join(filter(None, (name, part))) for part, _ in named_parts(module)]
        own = sum(p.numel() for p in module.parameters(recurse=False)), flops(name) - sum(map(flops, parts))
        if not parts or any(own):
            layers.append(Layer(name, type(module).__name__, tuple(x.shape[1:]), tuple(y.shape[1:]), *own))
    parameters = list(net.parameters())
    return Summary(
        type(net).__name__,
        layers,
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        counter.get_total_flops(),
    )
