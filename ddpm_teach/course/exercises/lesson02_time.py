"""Exercises of lesson 02 UNet: telling the time."""

from __future__ import annotations

import torch

from ddpm_teach.course.exercises.engine import Exercise
from ddpm_teach.nets.blocks import sinusoids

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
    cases=lambda rng: [
        (1, 4),
        (2, 4),
        (10, 6),
        (torch.randint(40, 60, (), generator=rng).item(), 16),
        (torch.randint(800, 1001, (), generator=rng).item(), 2 * torch.randint(40, 51, (), generator=rng).item()),
    ],
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


@time_rows.mistake("your pairs begin with i = 1; the first is i = 0, with the frequency 1")
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] * 10_000 ** (-torch.arange(2, dim + 2, 2) / dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@time_rows.mistake("you tell t / T; the clock's angles count t itself, from 1 to T")
def _(T, dim):
    angles = torch.arange(1, T + 1)[:, None] / T * 10_000 ** (-torch.arange(0, dim, 2) / dim)
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
