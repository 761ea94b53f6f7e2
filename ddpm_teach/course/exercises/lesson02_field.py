"""Exercises of lesson 02 UNet: the receptive field."""

from __future__ import annotations

import torch
from torch import nn

from ddpm_teach.course.exercises.engine import Exercise

field = Exercise(
    "02.5",
    "How far a pixel sees",
    difficulty=3,
    minutes=12,
    task=r"""
    Write the receptive field: how many pixels of the input, counted along one axis, can change one pixel of the output. `layers` is a list of
    `(kernel, stride)`, from the input on. No layers: 1.
    """,
    hints=(
        "Two 3×3 convolutions with stride 1 see 5 pixels: each adds kernel - 1.",
        "After a layer with stride 2, neighbouring pixels are 2 pixels of the input apart. So a later kernel adds (kernel - 1) *times that "
        "distance*.",
        "Keep two numbers while you go through the layers: the field, and the distance between neighbours.",
    ),
    covers="0 to 12 layers, kernels 2 to 4, strides 1 and 2; ContextUNet's way down among them",
    cases=lambda rng: [
        ([],),
        ([(3, 1)],),
        ([(4, 2)],),
        ([(3, 1), (3, 1)],),
        ([(2, 2), (4, 1)],),
        ([(4, 2), (3, 1)],),
        ([(3, 1), (2, 2), (3, 1), (2, 2), (3, 1)],),
        ([(3, 1)] * 2 + ([(3, 1)] * 4 + [(2, 2)]) * 2,),
        ([(3, 1), (3, 1), (4, 2)] * 4,),
        *((_layers(n, rng),) for n in (5, 6)),
    ],
    reference=lambda layers: _receptive_field(layers),
    tolerance=0,
)


def _layers(n, rng):
    kernels, strides = torch.randint(2, 5, (n,), generator=rng), torch.randint(1, 3, (n,), generator=rng)
    return list(zip(kernels.tolist(), strides.tolist(), strict=True))


def _receptive_field(layers):
    """By trying, and not by a formula: which of the input's numbers get a gradient from one of the output's."""
    x = torch.zeros(1, 1, 401, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel, stride in layers:
        y = nn.functional.conv1d(y, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)
    y[0, 0, 0].backward()
    return int((x.grad != 0).sum())


@field.solution
def my_field(layers):
    seen, distance = 1, 1
    for kernel, stride in layers:
        seen += (kernel - 1) * distance
        distance *= stride
    return seen


@field.mistake("the strides aren't in it: after a stride, neighbours are further apart")
def _(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


@field.mistake("each kernel adds one pixel too much: its middle one is the pixel that was there before")
def _(layers):
    seen, distance = 1, 1
    for kernel, stride in layers:
        seen += kernel * distance
        distance *= stride
    return seen


@field.mistake("a layer's stride counts for the layers after it, and not yet for its own kernel")
def _(layers):
    seen, distance = 1, 1
    for kernel, stride in layers:
        distance *= stride
        seen += (kernel - 1) * distance
    return seen


@field.mistake("each stride counts for one layer only; distances multiply from layer to layer")
def _(layers):
    seen, before = 1, 1
    for kernel, stride in layers:
        seen += (kernel - 1) * before
        before = stride
    return seen


@field.mistake("field · stride belongs to a recursion from the last layer back to the first; you go forward")
def _(layers):
    seen = 1
    for kernel, stride in layers:
        seen = seen * stride + kernel - stride
    return seen


@field.mistake(
    "going back, one pixel more costs stride pixels more, but the first costs the kernel alone: field · stride is too much"
)
def _(layers):
    seen = 1
    for kernel, stride in reversed(layers):
        seen = seen * stride + kernel - 1
    return seen


@field.mistake(
    "field · stride + kernel - 1, from the first layer on, is wrong twice: such a recursion goes back, and its first pixel "
    "costs the kernel alone"
)
def _(layers):
    seen = 1
    for kernel, stride in layers:
        seen = seen * stride + kernel - 1
    return seen


@field.mistake("a layer's stride counts for all layers after it, and you let it count for its own kernel alone")
def _(layers):
    return 1 + sum((kernel - 1) * stride for kernel, stride in layers)


@field.mistake("you multiply the field by the stride; a stride changes the distance that later kernels count in")
def _(layers):
    seen = 1
    for kernel, stride in layers:
        seen = (seen + kernel - 1) * stride
    return seen


@field.mistake("you multiply the kernels; two 3×3 convolutions see 5 pixels along an axis, not 9")
def _(layers):
    seen = 1
    for kernel, _ in layers:
        seen *= kernel
    return seen


@field.mistake("you add the strides; each one multiplies the distance between neighbours")
def _(layers):
    seen, distance = 1, 1
    for kernel, stride in layers:
        seen += (kernel - 1) * distance
        distance += stride
    return seen


@field.mistake("you add stride - 1 to the distance; after two strides of 2 neighbours are 4 apart, not 3")
def _(layers):
    seen, distance = 1, 1
    for kernel, stride in layers:
        seen += (kernel - 1) * distance
        distance += stride - 1
    return seen


@field.mistake("your field begins at 0; without any layer a pixel sees one pixel, itself")
def _(layers):
    seen, distance = 0, 1
    for kernel, stride in layers:
        seen += (kernel - 1) * distance
        distance *= stride
    return seen


@field.mistake("your distance begins at 0 and stays there; neighbours in the input are 1 apart")
def _(layers):
    return 1


@field.mistake("kernel // 2 on either side is right for odd kernels only; any kernel adds kernel - 1 in all")
def _(layers):
    seen, distance = 1, 1
    for kernel, stride in layers:
        seen += kernel // 2 * 2 * distance
        distance *= stride
    return seen
