"""Exercises of lesson 02, the UNet."""

from __future__ import annotations

import torch
from torch import nn

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.nets.blocks import sinusoids

LESSON = "02 UNet"

time_rows = Exercise(
    "02.1",
    "The table of times",
    difficulty=2,
    minutes=10,
    task=r"""
    Write the table of sinusoids: a float32 tensor (T, dim), `dim` even. Row $t-1$ belongs to time $t = 1 \dots T$. Its columns come in
    pairs: columns $2i$ and $2i+1$ hold $\sin(t\,\omega_i)$ and $\cos(t\,\omega_i)$ with
    $\omega_i = 10000^{-2i/\text{dim}}$, $i = 0, 1, \dots$ up to the last pair.
    """,
    hints=(
        "There are dim/2 frequencies: `torch.arange(0, dim, 2)` holds $2i$ for each of them.",
        "`t[:, None] * omega` is a table (T, dim/2) of angles.",
        "`torch.stack([a.sin(), a.cos()], dim=-1)` is (T, dim/2, 2); `.flatten(1)` lays the pairs side by side.",
    ),
    covers="T from 1 to 1000, 2 to 100 columns",
    cases=lambda rng: [(1, 2), (2, 4), (10, 6), (50, 16), (1000, 100)],
    reference=sinusoids,
    tolerance=1e-3,
)


@time_rows.solution
def my_sinusoids(T, dim):
    t = torch.arange(1, T + 1)[:, None]  # (T, 1)
    angles = t * 10_000 ** (-torch.arange(0, dim, 2) / dim)  # (T, dim / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@time_rows.mistake(
    "your exponent counts columns twice over: it runs to nearly 2, so a third of the columns stands still"
)
def _(T, dim):
    j = torch.arange(dim)
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-2 * j / dim)
    return torch.where(j % 2 == 0, angles.sin(), angles.cos())


@time_rows.mistake("your exponent doubles what was doubled already: it runs to nearly 2, and slow pairs stand still")
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-2 * torch.arange(0, dim, 2) / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@time_rows.mistake("your exponent runs to a half only: i counts pairs, and there are dim/2 of them")
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-torch.arange(dim // 2) / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@time_rows.mistake("sine and cosine of each pair have changed places")
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-torch.arange(0, dim, 2) / dim)
    return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1)


@time_rows.mistake("sine and cosine of a pair have different frequencies; both columns of a pair share one")
def _(T, dim):
    j = torch.arange(dim)
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-j / dim)
    return torch.where(j % 2 == 0, angles.sin(), angles.cos())


@time_rows.mistake("your first row is time 0; times begin at 1 here")
def _(T, dim):
    angles = torch.arange(T)[:, None] * 10_000 ** (-torch.arange(0, dim, 2) / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@time_rows.mistake("all sines come first and all cosines after them; here they take turns")
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-torch.arange(0, dim, 2) / dim)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@time_rows.mistake("your frequencies grow from pair to pair: the exponent needs a minus")
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (torch.arange(0, dim, 2) / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


sizes = Exercise(
    "02.2",
    "How large a convolution's output is",
    difficulty=1,
    minutes=5,
    task=r"""
    Write the height that comes out of a convolution, given the height that goes in, its kernel, stride and padding. (Count the places where
    the kernel's window fits, on a picture that has `padding` more pixels on each of its sides.)
    """,
    hints=(
        "The padded picture has `size + 2 * padding` pixels. At stride 1 the window's first pixel can be at "
        "`padded - kernel + 1` places.",
        "With a stride one counts every `stride`-th of them, from the first: divide, round down, add one.",
    ),
    covers="PyTorch's own answer for sizes 4 to 32, kernels 1 to 5, strides 1 to 3, paddings 0 to 2",
    cases=lambda rng: [
        (size, kernel, stride, padding)
        for size in (4, 7, 16, 28, 32)
        for kernel in (1, 2, 3, 4, 5)
        for stride in (1, 2, 3)
        for padding in (0, 1, 2)
        if padding < kernel <= size
    ],
    reference=lambda size, kernel, stride, padding: nn.Conv1d(1, 1, kernel, stride, padding)(
        torch.zeros(1, 1, size)
    ).shape[-1],
)


@sizes.solution
def my_size(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride + 1


@sizes.mistake("you forgot to count the first place of the window")
def _(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride


@sizes.mistake("the padding is on both sides, and you count one")
def _(size, kernel, stride, padding):
    return (size + padding - kernel) // stride + 1


@sizes.mistake("the size comes out as a fraction; a window that fits in part doesn't count")
def _(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) / stride + 1


@sizes.mistake("the kernel is missing: a large window fits at fewer places")
def _(size, kernel, stride, padding):
    return (size + 2 * padding - 1) // stride + 1


parameters = Exercise(
    "02.3",
    "Counting a block's parameters",
    difficulty=2,
    minutes=10,
    task=r"""
    Write how many trainable numbers a block of `LayerNormUNet` has: a LayerNorm over (c_in, size, size), a 3×3 convolution from `c_in` to
    `c_out` channels, and a 3×3 convolution from `c_out` to `c_out`. (SiLU has none.)
    """,
    hints=(
        "LayerNorm has a factor and a summand for each number that it normalises together.",
        "A k×k convolution has k·k·c_in numbers *for each channel that comes out*, and one bias for each of those.",
    ),
    covers="PyTorch's own count, 1 to 80 channels, sizes 3 to 28",
    cases=lambda rng: [(1, 1, 3), (1, 10, 28), (10, 10, 28), (10, 20, 14), (80, 40, 7), (40, 20, 3)],
    reference=lambda c_in, c_out, size: sum(
        p.numel()
        for layer in (nn.LayerNorm((c_in, size, size)), nn.Conv2d(c_in, c_out, 3), nn.Conv2d(c_out, c_out, 3))
        for p in layer.parameters()
    ),
    tolerance=0,
)


@parameters.solution
def my_parameters(c_in, c_out, size):
    norm = 2 * c_in * size * size
    return norm + (9 * c_in * c_out + c_out) + (9 * c_out * c_out + c_out)


@parameters.mistake("the convolutions' biases are missing")
def _(c_in, c_out, size):
    return 2 * c_in * size * size + 9 * c_in * c_out + 9 * c_out * c_out


@parameters.mistake("a window of 3×3 has nine numbers for each channel that goes in, and you count three")
def _(c_in, c_out, size):
    return 2 * c_in * size * size + 3 * c_in * c_out + c_out + 3 * c_out * c_out + c_out


@parameters.mistake("your norm has two numbers for each channel; this one has two for each pixel of each channel")
def _(c_in, c_out, size):
    return 2 * c_in + 9 * c_in * c_out + c_out + 9 * c_out * c_out + c_out


@parameters.mistake("the norm isn't counted; its factors and summands are learned, too")
def _(c_in, c_out, size):
    return 9 * c_in * c_out + c_out + 9 * c_out * c_out + c_out


@parameters.mistake("the norm has a factor and a summand for each number, and you count one of the two")
def _(c_in, c_out, size):
    return c_in * size * size + 9 * c_in * c_out + c_out + 9 * c_out * c_out + c_out


@parameters.mistake("you count a convolution's bias for channels that go in; there is one for each that comes out")
def _(c_in, c_out, size):
    return 2 * c_in * size * size + 9 * c_in * c_out + c_in + 9 * c_out * c_out + c_out


field = Exercise(
    "02.4",
    "How far a pixel sees",
    difficulty=3,
    minutes=12,
    task=r"""
    Write the receptive field: how many pixels of the input, along one axis, the middle one included, can change one pixel of the output. `layers` is a list of
    `(kernel, stride)`, from the input on. No layers: 1.
    """,
    hints=(
        "Two 3×3 convolutions with stride 1 see 5 pixels: each adds kernel - 1.",
        "Behind a layer with stride 2, neighbouring pixels are 2 pixels of the input apart. So a later kernel adds (kernel - 1) *times that "
        "distance*.",
        "Keep two numbers while you go through the layers: the field, and the distance between neighbours.",
    ),
    covers="0 to 12 layers, kernels 1 to 4, strides 1 and 2; the networks of this lesson among them",
    cases=lambda rng: [
        ([],),
        ([(3, 1)],),
        ([(4, 2)],),
        ([(3, 1), (3, 1)],),
        ([(4, 2), (3, 1)],),
        ([(3, 1), (2, 2), (3, 1), (2, 2), (3, 1)],),
        ([(3, 1), (3, 1), (4, 2)] * 4,),
    ],
    reference=lambda layers: _receptive_field(layers),
    tolerance=0,
)


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


@field.mistake("the strides aren't in it: behind a stride, neighbours are further apart")
def _(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


@field.mistake("each kernel adds one pixel too much: its middle one is the pixel that was there before")
def _(layers):
    seen, distance = 1, 1
    for kernel, stride in layers:
        seen += kernel * distance
        distance *= stride
    return seen


@field.mistake("a layer's stride counts for the layers behind it, and not yet for its own kernel")
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
