"""Exercises of lesson 13 words: a caption that fails, and whether its maps say why."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ddpm_teach.course.exercises.engine import Exercise

CAPTIONS = ("a red knight left of a blue dragon", "a king left of an apple", "a slime right of a book")


def blobs(at: Tensor, size: int) -> Tensor:
    """Maps (n, size, size) that are brightest at a place (n, 2) in 0…1 of each."""
    line = torch.linspace(0, 1, size)
    down, across = ((line - at[:, i : i + 1]).square() for i in range(2))
    return torch.exp(-(down[:, :, None] + across[:, None]) / 0.1) + 0.02


def trials(rng: torch.Generator) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Three captions, of other numbers of pictures; where a picture is wrong, its nouns look at places that are
    as far apart as in the others, nearer by little or much, or further."""
    for nearer in (0.5, 0.15, 0.0, -0.6):
        for size, most in ((4, 6), (8, 12), (8, 40)):
            right, maps = {}, {}
            for name, n, share in zip(CAPTIONS, (most, most * 3, most * 2), (0.7, 0.55, 0.4), strict=True):
                good = torch.arange(n) < max(2, round(share * n))
                right[name] = good[torch.randperm(n, generator=rng)]
                first, apart = 0.4 * torch.rand(n, 2, generator=rng), 0.3 + 0.3 * torch.rand(n, 1, generator=rng)
                second = first + apart * torch.where(right[name], 1.0, 1 - nearer)[:, None]
                strength = 0.1 + torch.rand(n, 2, 1, 1, generator=rng)  # how much is looked at a word at all
                maps[name] = strength * torch.stack([blobs(first, size), blobs(second, size)], 1)
            yield right, maps


def _overlap(maps: Tensor) -> Tensor:
    """(n,): 1 less half the distance between the two maps as distributions."""
    a, b = (maps / maps.sum((2, 3), keepdim=True)).unbind(1)
    return 1 - (a - b).abs().sum((1, 2)) / 2


def _compared(overlap: Tensor, right: Tensor) -> tuple[float, float]:
    """How much more overlap wrong pictures have, and the standard error of that."""
    parts = [overlap[chosen].double() for chosen in (~right, right)]
    error = sum((part.var() / len(part)).item() for part in parts) ** 0.5
    return (parts[0].mean() - parts[1].mean()).item(), error


def _worst(right: dict[str, Tensor]) -> str:
    return min(right, key=lambda name: right[name].double().mean().item())


def _explanation(right: dict[str, Tensor], maps: dict[str, Tensor]) -> tuple[str, float, bool]:
    name = _worst(right)
    difference, error = _compared(_overlap(maps[name]), right[name])
    return name, difference, difference > 2 * error


explanation = Exercise(
    "13.5",
    "A caption that fails, and why",
    difficulty=3,
    minutes=30,
    task=r"""
    Draw, have the pictures read, and look at the maps of the caption that fails: when a red knight and a blue dragon get mixed up, do their words look at the same place? One picture proves nothing, so measure, and decide.
    `right[caption]` (n,) are bools, whether each picture shows what was asked; `maps[caption]` (n, 2, h, w) the maps of its two nouns in each picture, their mean over the steps. Both are dicts; n isn't the same for all captions, and each has at least two right and two wrong pictures. Return three things:

    1. the caption with the smallest share of right pictures;
    2. how much more the two maps overlap in its wrong pictures than in its right ones: the difference of the mean overlaps. The *overlap* of two maps, each divided by its own sum, is the sum over all places of the smaller of the two numbers: 1 for the same map, 0 for maps apart;
    3. whether that explains it: true if the difference is larger than twice its standard error, $\sqrt{s_w^2/n_w + s_r^2/n_r}$, with the variances $s^2$ of the overlaps (torch's `var`) and the numbers of wrong and of right pictures.

    Then run it on the captions of this lesson, and on one of your own that fails.
    """,
    hints=(
        "`min(right, key=lambda caption: …)` is the caption for which something is least; the mean of bools is a share, after `.float()`.",
        "`maps[caption].sum((2, 3), keepdim=True)` has one sum for each map; `.unbind(1)` takes the two nouns apart, and `torch.minimum` has the smaller number at each place.",
        "`overlap[right[caption]]` are the overlaps of the right pictures, `overlap[~right[caption]]` those of the wrong ones. Only more overlap where it went wrong explains that it went wrong.",
    ),
    covers="three captions of 6 to 120 pictures each; their overlap explains much, little, nothing, or the contrary",
    cases=trials,
    reference=_explanation,
)


@explanation.solution
def my_explanation(right, maps):
    caption = min(right, key=lambda name: right[name].float().mean())
    first, second = (maps[caption] / maps[caption].sum((2, 3), keepdim=True)).unbind(1)
    overlap = torch.minimum(first, second).sum((1, 2))
    wrong, good = overlap[~right[caption]], overlap[right[caption]]
    difference = wrong.mean() - good.mean()
    error = (wrong.var() / len(wrong) + good.var() / len(good)).sqrt()
    return caption, difference.item(), bool(difference > 2 * error)


def _by(right, overlap_of_maps, maps, name=None):
    """The explanation by another overlap, or of another caption."""
    name = _worst(right) if name is None else name
    difference, error = _compared(overlap_of_maps(maps[name]), right[name])
    return name, difference, difference > 2 * error


@explanation.mistake(
    "the maps aren't divided by their sums, so that overlap grows with how much is looked at a word at all"
)
def _(right, maps):
    return _by(right, lambda m: m.amin(1).sum((1, 2)), maps)


@explanation.mistake("that is the overlap where it went wrong; without that of the right pictures it explains nothing")
def _(right, maps):
    name = _worst(right)
    wrong = _overlap(maps[name])[~right[name]]
    return name, wrong.mean().item(), bool(wrong.mean() > 2 * (wrong.var() / len(wrong)).sqrt())


@explanation.mistake("any difference is enough for you; among few pictures chance alone makes one")
def _(right, maps):
    name, difference, _ = _explanation(right, maps)
    return name, difference, difference > 0


@explanation.mistake("a difference of one standard error comes by chance every sixth time; take two")
def _(right, maps):
    name = _worst(right)
    difference, error = _compared(_overlap(maps[name]), right[name])
    return name, difference, difference > error


@explanation.mistake(
    "you compare with the spread of single pictures; the error of a mean of n is smaller by the root of n"
)
def _(right, maps):
    name = _worst(right)
    overlap = _overlap(maps[name])
    difference, _ = _compared(overlap, right[name])
    spread = (overlap[right[name]].var() + overlap[~right[name]].var()).sqrt()
    return name, difference, bool(difference > 2 * spread)


@explanation.mistake("your sign doesn't count: words that look *further* apart where it went wrong explain no mixing")
def _(right, maps):
    name = _worst(right)
    difference, error = _compared(_overlap(maps[name]), right[name])
    return name, difference, abs(difference) > 2 * error


@explanation.mistake("the difference is the wrong way round: it is the wrong pictures that should overlap more")
def _(right, maps):
    name = _worst(right)
    difference, error = _compared(_overlap(maps[name]), ~right[name])
    return name, difference, difference > 2 * error


@explanation.mistake(
    "that is the caption with the most wrong pictures; of more pictures more are wrong, so take the share"
)
def _(right, maps):
    return _by(right, _overlap, maps, max(right, key=lambda name: (~right[name]).sum().item()))


@explanation.mistake("that is the caption that succeeds most; the one that fails most was wanted")
def _(right, maps):
    return _by(right, _overlap, maps, max(right, key=lambda name: right[name].double().mean().item()))


@explanation.mistake("you divide by the largest number of each map; divided by their sums two equal maps overlap by 1")
def _(right, maps):
    return _by(right, lambda m: (m / m.amax((2, 3), keepdim=True)).amin(1).sum((1, 2)), maps)


@explanation.mistake("a product of the two maps isn't their overlap: even the same map twice would be far from 1")
def _(right, maps):
    return _by(right, lambda m: (m / m.sum((2, 3), keepdim=True)).prod(1).sum((1, 2)), maps)


@explanation.mistake(
    "you average over places instead of adding them up, so that large maps overlap less than small ones"
)
def _(right, maps):
    return _by(right, lambda m: _overlap(m) / m[0, 0].numel(), maps)
