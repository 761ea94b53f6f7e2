"""Exercises of lesson 02, the UNet."""

from __future__ import annotations

import torch
from torch import nn

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.nets.blocks import sinusoids

LESSON = "02 UNet"

sizes = Exercise(
    "02.1",
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
        "With a stride one counts every `stride`-th of them, from the first: divide `padded - kernel` by the stride, round down, add one.",
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


@sizes.mistake("the padding isn't in it: it makes the picture larger, on both sides")
def _(size, kernel, stride, padding):
    return (size - kernel) // stride + 1


@sizes.mistake(
    "you add one before you divide; the first place counts whatever the stride, so add it after the division"
)
def _(size, kernel, stride, padding):
    return (size + 2 * padding - kernel + 1) // stride


@sizes.mistake("you add one twice: before the division and after it")
def _(size, kernel, stride, padding):
    return (size + 2 * padding - kernel + 1) // stride + 1


@sizes.mistake("you round up: the window's last place would reach beyond the padded picture")
def _(size, kernel, stride, padding):
    return -(-(size + 2 * padding - kernel) // stride) + 1


@sizes.mistake("the kernel is missing: a large window fits at fewer places")
def _(size, kernel, stride, padding):
    return (size + 2 * padding - 1) // stride + 1


def _levels(rng):
    """Cases of one level on the way up: x and skip alike, a row of factors and one of summands, and the layers."""
    for b, c, h, out in (
        (1, 2, 3, 2),
        (2, 3, 4, 3),
        (2, 4, 2, 4),
        (3, 2, 5, 2),
        (4, 6, 4, 6),
        (2, 1, 3, 2),
        (2, 2, 3, 0),
    ):
        # with one channel, (b, 1, 1, 1) fits all; nn.Identity takes any channels: so the kinds of error can be told apart
        layers = nn.ConvTranspose2d(2 * c, out, 2, 2) if out else nn.Identity()
        with torch.no_grad():
            for p in layers.parameters():
                p.copy_(torch.randn(p.shape, generator=rng))
        x, skip = torch.randn(2, b, c, h, h + 1, generator=rng)
        context, time = torch.randn(2, b, c, generator=rng)
        yield x, skip, context, time, layers.requires_grad_(False)


level = Exercise(
    "02.2",
    "One level up",
    difficulty=2,
    minutes=12,
    task=r"""
    Write one level of the way up. `x` (b, c, h, w) comes from below. First scale and shift it: `context` (b, c) multiplies, `time` (b, c)
    is added, one number for each channel. Then put `skip` (b, c, h, w) beside it, along the channels, `x` first. What
    `layers` makes of the two is the answer.
    """,
    hints=(
        "A number for each channel has to reach every pixel: `time[:, :, None, None]` is (b, c, 1, 1), and PyTorch repeats it.",
        "`torch.cat([a, b], dim=1)` puts b's channels after a's.",
        "The skip comes in as it is: neither scaled nor shifted.",
    ),
    covers="1 to 4 pictures, 1 to 6 channels, sizes 2×3 to 5×6",
    cases=_levels,
    reference=lambda x, skip, context, time, layers: layers(
        torch.cat([context[..., None, None] * x + time[..., None, None], skip], dim=1)
    ),
)


@level.solution
def my_level(x, skip, context, time, layers):
    scale, shift = context[:, :, None, None], time[:, :, None, None]  # (b, c, 1, 1)
    return layers(torch.cat([scale * x + shift, skip], dim=1))


@level.mistake("the skip comes first in your cat; the layers expect what comes from below first")
def _(x, skip, context, time, layers):
    return layers(torch.cat([skip, context[:, :, None, None] * x + time[:, :, None, None]], dim=1))


@level.mistake("context and time have changed places: context multiplies, time is added")
def _(x, skip, context, time, layers):
    return layers(torch.cat([time[:, :, None, None] * x + context[:, :, None, None], skip], dim=1))


@level.mistake("you multiply by 1 + context, as some networks do; this one multiplies by the context itself")
def _(x, skip, context, time, layers):
    return layers(torch.cat([(1 + context[:, :, None, None]) * x + time[:, :, None, None], skip], dim=1))


@level.mistake("you add the time before you multiply, so the context scales it as well")
def _(x, skip, context, time, layers):
    return layers(torch.cat([context[:, :, None, None] * (x + time[:, :, None, None]), skip], dim=1))


@level.mistake("you scale and shift the skip, too; only what comes from below is")
def _(x, skip, context, time, layers):
    film = lambda h: context[:, :, None, None] * h + time[:, :, None, None]  # noqa: E731
    return layers(torch.cat([film(x), film(skip)], dim=1))


@level.mistake("you scale and shift after the layers; it comes before them, and before the skip")
def _(x, skip, context, time, layers):
    return context[:, :, None, None] * layers(torch.cat([x, skip], dim=1)) + time[:, :, None, None]


@level.mistake("context and time are (b, c), and x is (b, c, h, w): give them two more axes of length 1")
def _(x, skip, context, time, layers):
    return layers(torch.cat([context * x + time, skip], dim=1))


@level.mistake("the layers get half of the channels that they expect: the skip is put beside x, and not added to it")
def _(x, skip, context, time, layers):
    return layers(context[:, :, None, None] * x + time[:, :, None, None] + skip)


@level.mistake("cat joins along the batch, dim=0, where nothing else is said; the channels are dim=1")
def _(x, skip, context, time, layers):
    return layers(torch.cat([context[:, :, None, None] * x + time[:, :, None, None], skip]))


@level.mistake("you put the skip beside x in the picture's width; along the channels is dim=1")
def _(x, skip, context, time, layers):
    return layers(torch.cat([context[:, :, None, None] * x + time[:, :, None, None], skip], dim=-1))


@level.mistake("you put the skip below x in the picture's height; along the channels is dim=1")
def _(x, skip, context, time, layers):
    return layers(torch.cat([context[:, :, None, None] * x + time[:, :, None, None], skip], dim=2))


@level.mistake("you scale and shift x and skip together; context and time have a number for each of x's channels only")
def _(x, skip, context, time, layers):
    return layers(context[:, :, None, None] * torch.cat([x, skip], dim=1) + time[:, :, None, None])


@level.mistake("you return what goes into the layers; call layers(…) on it")
def _(x, skip, context, time, layers):
    return torch.cat([context[:, :, None, None] * x + time[:, :, None, None], skip], dim=1)


@level.mistake("the time isn't in it")
def _(x, skip, context, time, layers):
    return layers(torch.cat([context[:, :, None, None] * x, skip], dim=1))


@level.mistake("the context isn't in it")
def _(x, skip, context, time, layers):
    return layers(torch.cat([x + time[:, :, None, None], skip], dim=1))


time_rows = Exercise(
    "02.3",
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
    covers="T from 1 to 1000, 4 to 100 columns",
    cases=lambda rng: [(1, 4), (2, 4), (10, 6), (50, 16), (1000, 100)],
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


@time_rows.mistake(
    "your slowest pair has ω = 1/10000: you divide i by dim/2 - 1, as some code bases do; here it is dim/2"
)
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-torch.arange(dim // 2) / (dim // 2 - 1))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@time_rows.mistake(
    "this is the table of DDPM's own code: sines first, then cosines, and i divided by dim/2 - 1; here they take turns, "
    "and it is dim/2"
)
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-torch.arange(dim // 2) / (dim // 2 - 1))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _fit(table, wanted):
    """The lesson's linear_fit: what the best linear layer for these rows answers to rows."""
    x, y = table - table.mean(0), wanted - wanted.mean()
    weight = torch.linalg.solve(x.T @ x + 1e-3 * len(x) * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
    return lambda rows: (rows - table.mean(0)) @ weight + wanted.mean()


def _questions(rng):
    """Tables of times, and what a linear layer shall make of them."""
    for T in (40, 100, 400):
        t = torch.arange(1, T + 1, dtype=torch.float64)[:, None] / T
        noise = torch.randn(T, T // 2 + 5, generator=rng, dtype=torch.float64)
        line = {"t / T": t, "random numbers": noise}
        yield line, 3 * t[:, 0]
        yield {"random numbers": noise, "one wave": (6 * t).sin(), "t / T": t}, (6 * t[:, 0]).sin() + 2
        yield {"t / T": t, "sinusoids": sinusoids(T, 20).double(), "random numbers": noise}, t[:, 0].log()
        late = torch.cat([t, (t - 0.6).clamp(min=0)], dim=1)
        yield {"knee": late, "square": t**2, "t / T": t}, (t[:, 0] - 0.6).clamp(min=0)
        step = (t > 0.5).double()
        yield {"step": step, "t / T": t, "two waves": torch.cat([(6 * t).sin(), (12 * t).cos()], dim=1)}, step[:, 0]
    for T in (40, 100):  # more columns than rows: they know the answers to all rows by heart that they were fitted on
        t = torch.arange(1, T + 1, dtype=torch.float64)[:, None] / T
        noise = torch.randn(T, 5 * T, generator=rng, dtype=torch.float64)
        shaky = 1.8 * t[:, 0] + 0.85 * torch.randn(T, generator=rng, dtype=torch.float64)
        yield {"random numbers": noise, "t / T": t}, t[:, 0].log()
        yield {"random numbers": noise, "t / T": t}, shaky
    for T in (12, 13, 16, 20, 24, 30):  # nothing to be known: which table is best depends on the rows that are measured
        several = torch.randn(4, T, 3, generator=rng, dtype=torch.float64)
        wanted = torch.randn(T, generator=rng, dtype=torch.float64)
        yield dict(zip(("one", "two", "three", "four"), several, strict=True)), wanted


choice = Exercise(
    "02.4",
    "Measure, then choose",
    difficulty=2,
    minutes=12,
    task=r"""
    Which way of telling the time does a linear layer read best? `tables` is a dictionary: name → a table (T, d) with a row for each time.
    `wanted` (T,) is what the layer shall answer. `fit(rows, answers)` gives the best layer for these rows: a function from rows to answers.
    A table with as many columns as rows can learn any answers by heart. So fit each table on every second row (the first, the third, …),
    measure its mean squared error on the rows between, and return the name of the best.
    """,
    hints=(
        "`table[::2]` has the first, the third, … row, `table[1::2]` those between; the same for `wanted`.",
        "`layer = fit(table[::2], wanted[::2])` is a function: `layer(table[1::2])` are its answers to rows that it hasn't seen.",
        "Collect the errors in a dictionary by name; `min(errors, key=errors.get)` is the name of the smallest.",
    ),
    covers="25 questions: 12 to 400 times, lines, waves, steps, logarithms, and columns of random numbers",
    cases=lambda rng: [(tables, wanted, _fit) for tables, wanted in _questions(rng)],
    reference=lambda tables, wanted, fit: min(tables, key=lambda name: _unseen(tables[name], wanted, fit)),
)


def _unseen(table, wanted, fit):
    return (fit(table[::2], wanted[::2])(table[1::2]) - wanted[1::2]).square().mean().item()


@choice.solution
def my_choice(tables, wanted, fit):
    errors = {}
    for name, table in tables.items():
        layer = fit(table[::2], wanted[::2])
        errors[name] = (layer(table[1::2]) - wanted[1::2]).square().mean().item()
    return min(errors, key=errors.get)


def _chosen(tables, error):
    errors = {name: error(table) for name, table in tables.items()}
    return min(errors, key=errors.get)


@choice.mistake("you measure on rows that the layer was fitted on, where many random columns know the answers by heart")
def _(tables, wanted, fit):
    return _chosen(tables, lambda x: (fit(x[::2], wanted[::2])(x[::2]) - wanted[::2]).square().mean())


@choice.mistake("you fit and measure on all rows; a layer must be measured on rows that weren't in its fit")
def _(tables, wanted, fit):
    return _chosen(tables, lambda x: (fit(x, wanted)(x) - wanted).square().mean())


@choice.mistake("you measure on the rows between, but you fit on all rows, so they were in the fit, too")
def _(tables, wanted, fit):
    return _chosen(tables, lambda x: (fit(x, wanted)(x[1::2]) - wanted[1::2]).square().mean())


@choice.mistake(
    "you fit on every second row, but you measure on all: half of those were in the fit; take the rows between only"
)
def _(tables, wanted, fit):
    return _chosen(tables, lambda x: (fit(x[::2], wanted[::2])(x) - wanted).square().mean())


@choice.mistake("the two halves have changed places: fit on the first, the third, … row and measure on those between")
def _(tables, wanted, fit):
    return _chosen(tables, lambda x: (fit(x[1::2], wanted[1::2])(x[::2]) - wanted[::2]).square().mean())


@choice.mistake("you take the mean of the errors' sizes; the mean of their squares is asked for")
def _(tables, wanted, fit):
    return _chosen(tables, lambda x: (fit(x[::2], wanted[::2])(x[1::2]) - wanted[1::2]).abs().mean())


@choice.mistake(
    "you fit on the first half of the times and measure on the second: that asks how it goes on, and not what lies between"
)
def _(tables, wanted, fit):
    k = len(wanted) // 2
    return _chosen(tables, lambda x: (fit(x[:k], wanted[:k])(x[k:]) - wanted[k:]).square().mean())


@choice.mistake("you return the name with the largest error")
def _(tables, wanted, fit):
    return _chosen(tables, lambda x: -(fit(x[::2], wanted[::2])(x[1::2]) - wanted[1::2]).square().mean())


@choice.mistake("errors of both signs cancel in your mean; square them first")
def _(tables, wanted, fit):
    return _chosen(tables, lambda x: (fit(x[::2], wanted[::2])(x[1::2]) - wanted[1::2]).mean())


@choice.mistake("you return the error; the name of the best is asked for")
def _(tables, wanted, fit):
    return min(_unseen(table, wanted, fit) for table in tables.values())


field = Exercise(
    "02.5",
    "How far a pixel sees",
    difficulty=3,
    minutes=12,
    task=r"""
    Write the receptive field: how many pixels of the input, along one axis, the middle one included, can change one pixel of the output. `layers` is a list of
    `(kernel, stride)`, from the input on. No layers: 1.
    """,
    hints=(
        "Two 3×3 convolutions with stride 1 see 5 pixels: each adds kernel - 1.",
        "After a layer with stride 2, neighbouring pixels are 2 pixels of the input apart. So a later kernel adds (kernel - 1) *times that "
        "distance*.",
        "Keep two numbers while you go through the layers: the field, and the distance between neighbours.",
    ),
    covers="0 to 12 layers, kernels 1 to 4, strides 1 and 2; the networks of this lesson among them",
    cases=lambda rng: [
        ([],),
        ([(3, 1)],),
        ([(4, 2)],),
        ([(3, 1), (3, 1)],),
        ([(2, 2), (4, 1)],),
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
