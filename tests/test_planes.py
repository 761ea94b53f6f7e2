"""Figures of the toy world: paths are the frames', arrows the field's, and a figure's pixels are its own."""

from __future__ import annotations

import inspect
import io
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from torch import Tensor

from ddpm_teach import Frame, show

WALK = [Frame(t, torch.tensor([[t / 3, 1.0], [0.5, -t / 3], [t / 9, t / 9]])) for t in (3, 2, 1, 0)]


def hill(x: Tensor) -> Tensor:
    return torch.exp(-x.square().sum(1))


def inwards(x: Tensor, strength: float = 1.0) -> Tensor:
    return -strength * x


EVERY = {
    "paths": lambda: show.paths({"one": WALK, "two": WALK}, density=hill),
    "arrows": lambda: show.arrows({"in": inwards}, points=torch.zeros(2, 2), density={"in": hill}),
    "arrows of nothing": lambda: show.arrows({"none": torch.zeros_like}, density=lambda x: 0 * x[:, 0]),
    "lines": lambda: show.lines({"a": ([1, 2], [3, 4])}, "x", "y", log="xy", markers=True, fill=True),
}


@pytest.mark.parametrize("name", EVERY)
def test_each_can_be_drawn_and_leaves_none_open_nor_a_setting_changed(name):
    settings = dict(plt.rcParams)
    figure = EVERY[name]()
    assert isinstance(figure, Figure) and plt.get_fignums() == [] and dict(plt.rcParams) == settings
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize(("n", "drawn"), [(2, 2), (20, 3)])
def test_paths_are_those_of_the_frames_from_start_to_end(n, drawn):
    figure = show.paths({"a": iter(WALK), "b": WALK[:2]}, n=n, extent=3.0)
    assert [axes.get_title("left") for axes in figure.axes] == ["a", "b"]
    for axes, frames in zip(figure.axes, (WALK, WALK[:2]), strict=True):
        expected = torch.stack([frame.x for frame in frames])[:, :drawn].transpose(0, 1)
        assert np.allclose([line.get_xydata() for line in axes.lines], expected)
        start, end = (c.get_offsets() for c in axes.collections if isinstance(c, PathCollection))
        assert np.allclose(start, expected[:, 0]) and np.allclose(end, expected[:, -1])
        assert axes.get_xlim() == axes.get_ylim() == (-3, 3) and axes.get_aspect() == 1


def quiver(axes) -> Quiver:
    (found,) = (c for c in axes.collections if isinstance(c, Quiver))
    return found


@pytest.mark.parametrize("common", [False, True])
def test_arrows_are_the_fields_own_and_say_their_scale(common):
    fields = {"weak": inwards, "strong": partial(inwards, strength=10.0)}
    figure = show.arrows(fields, grid=4, extent=1.0, common=common)
    weak, strong = map(quiver, figure.axes)
    for drawn, strength in ((weak, 1), (strong, 10)):
        assert np.allclose(np.stack([drawn.U, drawn.V], 1), -strength * drawn.XY)
        assert drawn.XY.shape == (16, 2) and np.abs(drawn.XY).max() == 0.75
    assert strong.scale / weak.scale == pytest.approx(1 if common else 10)
    longest = np.hypot(strong.U, strong.V).max()
    assert longest / strong.scale == pytest.approx(1.5 * 0.5)  # one and a half cells


def test_points_and_densities_stand_in_every_panel_or_in_their_own():
    fields, x = {"a": inwards, "b": inwards}, torch.tensor([[0.5, -0.5], [1.0, 0.0]])

    def dots(figure: Figure) -> list[int]:
        return [sum(isinstance(c, PathCollection) for c in axes.collections) for axes in figure.axes]

    everywhere = show.arrows(fields, points=x)
    assert dots(everywhere) == [1, 1] and dots(show.arrows(fields, points={"b": x})) == [0, 1]
    (one,) = (c for c in everywhere.axes[0].collections if isinstance(c, PathCollection))
    assert np.allclose(one.get_offsets(), x)
    shaded = [len(axes.collections) for axes in show.arrows(fields, density={"a": hill}).axes]
    assert shaded[0] > shaded[1]
    assert len({len(axes.collections) for axes in show.arrows(fields, density=hill).axes}) == 1


def test_functions_are_asked_without_gradients_and_on_the_cpu():
    asked = []

    def field(x: Tensor) -> Tensor:
        asked.append((x.device.type, torch.is_grad_enabled()))
        return x * torch.ones(2, requires_grad=True, device="cpu")

    with torch.device("meta"):
        show.arrows({"field": field}, density=hill)
    assert asked == [("cpu", False)]


def test_lines_hold_their_numbers():
    (axes,) = show.lines({"a": (torch.tensor([1.0, 2.0]), [3, 4]), "b": (range(3), [1, 2, 4])}, "x", "y", log="y").axes
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[1, 3], [2, 4]], [[0, 1], [1, 2], [2, 4]]]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale(), axes.get_yscale()) == ("x", "y", "linear", "log")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    filled = show.lines({"a": ([1, 2], [3, 4])}, "x", "y", fill=True).axes[0]
    assert len(filled.collections) == 1 and filled.get_legend() is None


def test_a_figures_pixels_are_a_picture_of_its_size():
    figure = show.lines({"a": ([1, 2], [3, 4])}, "x", "y")
    figure.set_size_inches(700 / 96, 300 / 96)
    pixels, canvas = show.figure_pixels(figure), figure.canvas
    assert pixels.shape == (1, 3, 300, 700) and pixels.min() >= -1 and pixels[0, :, 0, 0].tolist() == [1, 1, 1]
    figure.set_facecolor("black")
    with plt.rc_context({"savefig.bbox": "tight"}):
        dark = show.figure_pixels(figure)
    assert dark.shape == pixels.shape and dark[0, :, 0, 0].tolist() == [-1, -1, -1] and figure.canvas is canvas


def test_figures_make_a_small_film_whose_pixels_are_the_screens():
    frames = {}
    for i in range(1, 13):
        figure = show.paths({"a": WALK[: i % 4 + 1], "b": WALK}, density=lambda x, i=i: hill(x / i))
        figure.set_size_inches(700 / 96, 300 / 96)
        frames[f"step {i}"] = show.figure_pixels(figure)
    film = show.browse(frames)
    assert film.data["scale"] == 1 and len(film.html()) < 300_000


# Without the shape checks of the tests, which would answer first.
paths, arrows, lines = map(inspect.unwrap, (show.paths, show.arrows, show.lines))


@pytest.mark.parametrize(
    ("call", "error", "argument"),
    [
        (lambda: paths({}), ValueError, "walks: "),
        (lambda: paths([WALK]), TypeError, "walks: "),
        (lambda: paths({"a": []}), ValueError, r"walks\['a'\]: "),
        (lambda: paths({"a": [WALK[0].x]}), TypeError, r"walks\['a'\]: "),
        (lambda: paths({"a": [Frame(0, torch.zeros(3, 1, 2, 2))]}), ValueError, r"walks\['a'\]: "),
        (lambda: paths({"a": [WALK[0], Frame(0, torch.zeros(1, 2))]}), ValueError, r"walks\['a'\]: "),
        (lambda: paths({"a": WALK}, n=0), ValueError, "n: "),
        (lambda: paths({"a": WALK}, extent=0.0), ValueError, "extent: "),
        (lambda: paths({"a": WALK}, density={"b": hill}), ValueError, "density: "),
        (lambda: paths({"a": WALK}, density=inwards), ValueError, "density: "),
        (lambda: arrows(inwards), TypeError, "fields: "),
        (lambda: arrows({"a": 3}), TypeError, r"fields\['a'\]: "),
        (lambda: arrows({"a": hill}), ValueError, r"fields\['a'\]: "),
        (lambda: arrows({"a": inwards}, points=torch.zeros(2)), ValueError, "points: "),
        (lambda: arrows({"a": inwards}, grid=1), ValueError, "grid: "),
        (lambda: lines({}, "x", "y"), ValueError, "curves: "),
        (lambda: lines({"a": ([1, 2], [3])}, "x", "y"), ValueError, r"curves\['a'\]: "),
        (lambda: lines({"a": (torch.zeros(2, 2), [1, 2])}, "x", "y"), ValueError, r"curves\['a'\]: "),
        (lambda: lines({"a": ([1], [3])}, "x", "y", log="z"), ValueError, "log: "),
    ],
)
def test_refusals_name_the_argument(call, error, argument):
    with plt.rc_context(show.STYLE), pytest.raises(error, match="^" + argument):
        call()
