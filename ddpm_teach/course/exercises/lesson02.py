"""Exercises of lesson 02, the UNet."""

from __future__ import annotations

import torch
from torch import nn

from ddpm_teach.course.exercises.engine import Exercise

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
        for size in (4, 7, 16, *torch.randint(17, 33, (2,), generator=rng).tolist())
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


@sizes.mistake("you round to the nearest whole number; a window that fits in part doesn't count, so round down")
def _(size, kernel, stride, padding):
    return round((size + 2 * padding - kernel) / stride) + 1


@sizes.mistake("the last place isn't counted: range stops before its end")
def _(size, kernel, stride, padding):
    return len(range(0, size + 2 * padding - kernel, stride))


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
    `layers` makes of this one tensor is the answer.
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


@level.mistake("layers takes one tensor: put the skip beside x with torch.cat before you call it")
def _(x, skip, context, time, layers):
    return layers(context[:, :, None, None] * x + time[:, :, None, None], skip)


@level.mistake("the skip isn't in it: put it beside x with torch.cat, along the channels")
def _(x, skip, context, time, layers):
    return layers(context[:, :, None, None] * x + time[:, :, None, None])


@level.mistake("you add the context; it multiplies, and only the time is added")
def _(x, skip, context, time, layers):
    return layers(torch.cat([x + context[:, :, None, None] + time[:, :, None, None], skip], dim=1))


@level.mistake("the time isn't in it")
def _(x, skip, context, time, layers):
    return layers(torch.cat([context[:, :, None, None] * x, skip], dim=1))


@level.mistake("the context isn't in it")
def _(x, skip, context, time, layers):
    return layers(torch.cat([x + time[:, :, None, None], skip], dim=1))
