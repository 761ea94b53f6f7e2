"""Figures: what they show is what was given, in one style, and nothing pops up."""

from __future__ import annotations

import inspect
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from ddpm_teach import Frame, cosine, linear
from ddpm_teach.show import plots
from ddpm_teach.show.pictures import tile


def pictures(n: int, channels: int = 3) -> torch.Tensor:
    return torch.linspace(-1, 1, n * channels * 20).reshape(n, channels, 4, 5)


FRAMES = [Frame(3, pictures(2)), Frame(2, pictures(2), pictures(2)), Frame(0, pictures(2), pictures(2))]
EVERY = {
    "image_grid": lambda: plots.image_grid(pictures(5)),
    "forward_strip": lambda: plots.forward_strip(linear(), pictures(2)),
    "schedule_curves": lambda: plots.schedule_curves({"a": linear(), "b": cosine(50)}),
    "loss_curve": lambda: plots.loss_curve({"run": [(1, 0.5), (2, 0.4), (3, 0.45)]}),
    "loss_by_time": lambda: plots.loss_by_time(torch.tensor([1, 500, 1000]), torch.rand(3), 1000),
    "measured_curves": lambda: plots.measured_curves({"a": [(1, 2), ((3, 0.1), (4, 0.2))]}, "x", "y", floor=1),
    "trajectory_strip": lambda: plots.trajectory_strip(FRAMES),
}


def test_every_public_function_is_tried_here():
    public = {name for name, f in vars(plots).items() if inspect.isfunction(f) and f.__module__ == plots.__name__}
    assert {name for name in public if not name.startswith("_")} == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
def test_each_returns_a_figure_that_can_be_drawn_and_leaves_none_open(name):
    settings = dict(plt.rcParams)
    figure = EVERY[name]()
    assert isinstance(figure, Figure) and plt.get_fignums() == []
    assert dict(plt.rcParams) == settings  # the style is the figure's, not the reader's session's
    figure.savefig(io.BytesIO(), format="png")


def shown(axes) -> np.ndarray:
    (image,) = axes.get_images()
    return np.asarray(image.get_array())


@pytest.mark.parametrize("n", [1, 2, 7, 13])
@pytest.mark.parametrize("channels", [1, 3])
def test_no_picture_of_a_grid_is_dropped(n, channels):
    x = pictures(n, channels)
    (axes,) = plots.image_grid(x).axes
    assert np.array_equal(shown(axes).reshape(tile(x).shape), tile(x))
    titled = plots.image_grid(x, titles=[str(i) for i in range(n)])
    full = [axes for axes in titled.axes if axes.get_images()]
    assert [axes.get_title() for axes in full] == [str(i) for i in range(n)]
    for axes, picture in zip(full, x, strict=True):
        assert np.array_equal(shown(axes).reshape(6, 7, channels), tile(picture[None]))


def test_a_flat_grey_picture_stays_grey():
    """matplotlib by itself would stretch it to black and white."""
    (axes,) = plots.image_grid(torch.full((1, 1, 3, 3), 0.2)).axes
    assert axes.get_images()[0].get_clim() == (0, 255)


def test_the_forward_strip_goes_from_the_picture_to_noise():
    axes = plots.forward_strip(linear(), pictures(2)).axes
    assert [place.get_title() for place in axes] == [
        "0%: t = 0",
        "25%: t = 250",
        "50%: t = 500",
        "75%: t = 750",
        "100%: t = 1000",
    ]
    assert np.array_equal(shown(axes[0]), tile(pictures(2), 1))


def test_half_precision_and_the_default_device_change_no_figure():
    """On "meta", and on a GPU that torch.set_default_device names, a tensor made without a device can't be shown."""
    x, schedule = pictures(2), linear()
    expected = [shown(axes) for axes in plots.forward_strip(schedule, x).axes]
    with torch.device("meta"):
        axes = plots.forward_strip(schedule, x.requires_grad_()).axes
        plots.schedule_curves(schedule)
        plots.trajectory_strip(FRAMES)
    assert all(np.array_equal(shown(place), pixels) for place, pixels in zip(axes, expected, strict=True))
    axes = plots.forward_strip(schedule, x.bfloat16()).axes
    assert np.abs(shown(axes[2]).astype(int) - expected[2]).max() <= 1


def test_curves_hold_the_schedules_own_numbers():
    left, right = plots.schedule_curves({"linear": linear()}).axes
    assert np.allclose(left.lines[0].get_ydata(), linear().alpha_bar[1:])
    assert right.lines[0].get_ydata()[-1] == pytest.approx(-43.9, abs=0.05)  # 10 log10 of 4.0358e-5


def test_the_running_mean_is_a_weighted_mean_of_the_past():
    axes = plots.loss_curve({"run": [(10, 4.0), (20, 2.0)]}, smoothing=0.5).axes[0]
    raw, mean = axes.lines
    assert list(raw.get_ydata()) == [4, 2] and list(mean.get_xdata()) == [10, 20]
    assert mean.get_ydata() == pytest.approx([4, (0.5 * 4 + 2) / 1.5])


def test_losses_by_time_are_means_of_equal_bins():
    t, losses = torch.tensor([1, 5, 6, 10]), torch.tensor([1.0, 3.0, 10.0, 30.0])
    axes = plots.loss_by_time(t, losses, T=10, bins=2).axes[0]
    line = axes.lines[0]
    assert list(line.get_xdata()) == [2.5, 7.5] and list(line.get_ydata()) == [2, 20]


def test_measured_curves_hold_values_and_errors():
    curves = {"a": [(1, (2.0, 0.5)), (10, (3.0, 0.25))], "b": [((5, 1), 6)]}
    (axes,) = plots.measured_curves(curves, "calls", "distance", log="x", floor=0.5).axes
    first, second = axes.containers
    assert first[0].get_xydata().tolist() == [[1, 2], [10, 3]] and second[0].get_xydata().tolist() == [[5, 6]]
    (bars,) = first[2]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[1.5, 2.5], [2.75, 3.25]]
    (bars,) = second[2]
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == [[4, 6]]
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "linear", "calls")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["floor", "a", "b"]


def test_the_strip_has_the_first_and_the_last_frame():
    axes = plots.trajectory_strip(FRAMES, n=2).axes
    assert [place.get_title() for place in axes] == ["t = 3", "t = 0", "", "x̂₀"]
    assert np.array_equal(shown(axes[1]), tile(FRAMES[-1].x))
    assert plots.trajectory_strip(FRAMES, n=1).axes[0].get_title() == "t = 0"
    assert len(plots.trajectory_strip(iter(FRAMES)).axes) == 6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plots.image_grid(pictures(1)[:0]), "x: expected at least one picture"),
        (lambda: plots.image_grid(pictures(2), columns=-3), "columns: .* ≥ 1"),
        (lambda: plots.image_grid(pictures(2), columns=0, titles=["a", "b"]), "columns: .* ≥ 1"),
        (lambda: plots.forward_strip(linear(), pictures(1), shares=[0, 1.5]), r"shares: .*\[0, 1\], got 1.5"),
        (lambda: plots.forward_strip(linear(), pictures(1), shares=[]), "shares: expected at least one"),
        (lambda: plots.schedule_curves({}), "schedules: expected a Schedule, or a dict"),
        (lambda: plots.trajectory_strip(FRAMES, n=0), "n: .* ≥ 1"),
        (lambda: plots.loss_curve({}), "runs: expected at least one"),
        (lambda: plots.loss_curve({"a": []}), "runs: expected at least one"),
        (lambda: plots.image_grid(pictures(3), titles=["a"]), "titles: expected 3"),
        (lambda: plots.trajectory_strip([]), "frames: expected at least one frame"),
    ],
)
def test_refusals_name_the_argument(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_pictures_of_whole_numbers_are_refused_in_one_sentence():
    whole = pictures(1).long()
    for call in (
        lambda: inspect.unwrap(plots.image_grid)(whole),
        lambda: inspect.unwrap(plots.forward_strip)(linear(), whole),
        lambda: plots.trajectory_strip([Frame(0, whole)]),
    ):
        with pytest.raises(TypeError, match="torch.int64; use x / 127.5 - 1"):
            call()
