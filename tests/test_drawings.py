"""Drawings: what stands in them is what the network, the pictures and the formula say, and no words lie on others."""

from __future__ import annotations

import inspect
import io
import math
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from ddpm_teach import (
    AttentionUNet,
    Classifier,
    ContextUNet,
    DiffusionTransformer,
    LayerNormUNet,
    TextUNet,
    show,
    summary,
)
from ddpm_teach.nets.blocks import named_parts
from ddpm_teach.nets.wiring import wiring
from ddpm_teach.show.pictures import to_uint8
from tests.test_nets import awake

SMALL_ATTENTION = dict(widths=(8, 16, 24, 32, 32, 24), size=16, heads=2, groups=4, attention_at=(8,))
NETS = {
    "layernorm": LayerNormUNet(),
    "context": ContextUNet(3, 32, 5, 16),
    "attention": AttentionUNet(**SMALL_ATTENTION, context_dim=4),
    "attention without context": AttentionUNet(**SMALL_ATTENTION),
    "words": TextUNet(9, 5, widths=(16, 32)),
    "words, three levels": awake(TextUNet(9, 5, 3, 64, 2, widths=(8, 16, 32))),
    "transformer": awake(DiffusionTransformer(9, 5, width=32, depth=3)),
}
POINTS = torch.tensor([1.2, 1.6]), torch.tensor([1.8, 0.3])
EVERY = {
    "chain": lambda: show.chain_drawing(),
    "chain of pictures": lambda: show.chain_drawing(torch.linspace(-1, 1, 4 * 3 * 8 * 6).reshape(4, 3, 8, 6)),
    "modulation": lambda: show.modulation_drawing(),
    "ddim": lambda: show.ddim_drawing(*POINTS, 0.3, 0.7),
    "ddim with noise": lambda: show.ddim_drawing(*POINTS, 0.1, 0.5, 0.4),
    **{name: lambda net=net: show.unet_drawing(net) for name, net in NETS.items()},
}


def named(figure: Figure, name: str) -> list:
    return [text for text in figure.axes[0].texts if text.get_gid() == name]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def images(axes: Axes) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in axes.get_images()]


@pytest.mark.parametrize("name", EVERY)
def test_each_can_be_drawn_and_leaves_none_open_nor_a_setting_changed(name):
    settings, state = dict(plt.rcParams), torch.random.get_rng_state()
    figure = EVERY[name]()
    assert isinstance(figure, Figure) and plt.get_fignums() == [] and dict(plt.rcParams) == settings
    assert torch.equal(torch.random.get_rng_state(), state)
    figure.savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("name", EVERY)
def test_words_are_large_enough_lie_on_no_others_and_inside_of_the_page(name):
    figure = EVERY[name]()
    figure.draw_without_rendering()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    assert all(text.get_fontsize() >= 9 for text in texts)
    boxes = [text.get_window_extent().shrunk(0.9, 0.8) for text in texts]
    for (a, one), (b, other) in combinations(zip(texts, boxes, strict=True), 2):
        assert not one.overlaps(other), (a.get_text(), b.get_text())
    for text, box in zip(texts, boxes, strict=True):
        assert figure.bbox.containsx(box.x0) and figure.bbox.containsx(box.x1), text.get_text()
        assert figure.bbox.containsy(box.y0) and figure.bbox.containsy(box.y1), text.get_text()


@pytest.mark.parametrize("name", NETS)
def test_every_part_of_a_network_stands_with_its_name_and_its_shape(name):
    net, said = NETS[name], words(show.unet_drawing(NETS[name]))
    table = {layer.name: layer.output for layer in summary(net).layers if "time" not in layer.name}
    others = ("time", "context", "embed", "text", "modulation", "norm")
    parts = [part for part, _ in named_parts(net) if not part.startswith(others)]
    for part in parts:  # whose last layer's output is its own
        shape = [output for layer, output in table.items() if f"{layer}.".startswith(f"{part}.")][-1]
        assert said[said.index(part) + 1] == "×".join(map(str, shape))


def test_another_width_or_size_is_another_drawing():
    small, wide, large = (
        words(show.unet_drawing(ContextUNet(3, f, 5, size))) for f, size in ((32, 16), (64, 16), (32, 28))
    )
    assert {"3×16×16", "32×16×16", "32×8×8", "64×4×4", "64×1×1"} <= set(small)
    assert {"64×16×16", "64×8×8", "128×4×4"} <= set(wide) and "32×16×16" not in wide
    assert {"32×28×28", "32×14×14", "64×7×7"} <= set(large)


@pytest.mark.parametrize(
    ("name", "skips", "times", "contexts", "sums"),
    [
        ("layernorm", 3, 7, 0, 1),  # x + head(…)
        ("context", 3, 2, 2, 0),
        ("attention", 3, 6, 6, 0),
        ("attention without context", 3, 6, 0, 0),
        ("words", 1, 3, 3, 0),  # a new one has the words by the time's embedding alone
        ("words, three levels", 2, 5, 5, 0),
        ("transformer", 0, 4, 4, 0),
    ],
)
def test_arrows_are_as_many_as_there_are_connections(name, skips, times, contexts, sums):
    figure = show.unet_drawing(NETS[name])
    count = {gid: len(named(figure, gid)) for gid in ("skip", "time", "context", "sum")}
    assert count == {"skip": skips, "time": times, "context": contexts, "sum": sums}


def test_boxes_are_as_high_as_pictures_and_as_wide_as_the_root_of_their_channels():
    axes = show.unet_drawing(ContextUNet(4, 64, 5, 16)).axes[0]
    sizes = {(round(patch.get_width(), 6), round(patch.get_height(), 6)) for patch in axes.patches}
    wide, tall = max(width for width, _ in sizes), max(height for _, height in sizes)
    assert (wide, round(tall / 4, 6)) in sizes  # 128×4×4
    assert any(h == tall / 2 and w == pytest.approx(wide / math.sqrt(2), abs=1e-5) for w, h in sizes)  # 64×8×8


def test_attention_is_marked_where_it_is():
    def colors(at: tuple[int, ...]) -> int:
        figure = show.unet_drawing(AttentionUNet(**SMALL_ATTENTION | {"attention_at": at}))
        first, *others = [patch.get_edgecolor() for patch in figure.axes[0].patches]
        return sum(color != first for color in others)

    assert [colors(at) for at in ((), (8,), (16,), (2, 4))] == [0, 2, 1, 3]
    figure = show.unet_drawing(NETS["words, three levels"])  # whose levels of 32×32 have none
    first, *others = [patch.get_edgecolor() for patch in figure.axes[0].patches]
    assert sum(color != first for color in others) == 3


class Mine(nn.Module):
    """A learner's own UNet: adds its skip, takes the time between its parts, calls a part by keyword."""

    image_shape, T = (1, 8, 8), 10

    def __init__(self) -> None:
        super().__init__()
        self.first, self.down = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 4, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(6, 4, 2, 2), nn.Conv2d(4, 1, 1)
        self.gone = nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor, t: Tensor, c: None = None) -> Tensor:
        first = self.first(x)
        up = self.up(self.down(input=first) + t.view(-1, 1, 1, 1) / 10)
        return self.last(torch.cat([up + first], dim=1))


def test_a_network_of_ones_own_is_measured_the_same_way():
    parts = {part.name: part for part in wiring(Mine())}
    assert list(parts) == ["x", "first", "down", "up", "last", "output"]
    assert parts["last"].sources == ("up", "first") and parts["output"].sources == ("last",)
    assert [part.before for part in parts.values()] == [(), (), (), ("time",), (), ()]
    figure = show.unet_drawing(Mine())
    assert [len(named(figure, name)) for name in ("skip", "sum", "time")] == [0, 1, 1]


@pytest.mark.parametrize("name", NETS)
def test_measuring_a_network_leaves_it_as_it_was(name):
    net = NETS[name].train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    wiring(net)
    assert net.training and all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not any(part._forward_hooks for part in net.children())


def test_the_chain_goes_both_ways_and_has_its_pictures_in_the_order_of_time():
    figure = show.chain_drawing()
    forth, back = named(figure, "q"), named(figure, "p")
    assert len(forth) == len(back) == 5 and not figure.axes[0].get_images()
    assert all(a.xy[0] < a.xyann[0] for a in forth) and all(a.xy[0] > a.xyann[0] for a in back)
    x = torch.linspace(-1, 1, 4 * 3 * 5 * 5).reshape(4, 3, 5, 5)
    drawn = images(show.chain_drawing(x).axes[0])
    assert all(np.array_equal(a, b) for a, b in zip(drawn, to_uint8(x.flip(0))[[0, 1, 2, 3]], strict=True))
    assert [len(images(show.chain_drawing(x[:k]).axes[0])) for k in (2, 3, 4)] == [2, 2, 4]


def test_modulation_is_worked_out():
    """In the drawing's pictures gain · h + shift is what its numbers say, up to what lies beyond black and white."""
    figure = show.modulation_drawing()
    numbers = [float(word.replace("−", "-")) for word in words(figure) if word.lstrip("−").replace(".", "").isdigit()]
    pictures = [x.astype(float) / 127.5 - 1 for x in images(figure.axes[0])]
    for row in range(3):
        (gain, shift), (h, scaled, out) = numbers[2 * row : 2 * row + 2], pictures[3 * row : 3 * row + 3]
        assert np.allclose((gain * h).clip(-1, 1), scaled, atol=0.02)
        assert np.allclose((gain * h + shift).clip(-1, 1), out, atol=0.02)


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_the_step_of_ddim_ends_where_the_formula_says(sigma):
    x_t, x0_hat = POINTS
    ab_t, ab_s = 0.2, 0.6
    eps = (x_t - math.sqrt(ab_t) * x0_hat) / math.sqrt(1 - ab_t)
    kept = math.sqrt(ab_s) * x0_hat
    end = kept + math.sqrt(1 - ab_s - sigma**2) * eps
    figure = show.ddim_drawing(x_t, x0_hat, ab_t, ab_s, sigma)
    (signal,), (noise,) = named(figure, "signal"), named(figure, "noise")
    assert signal.xyann == (0, 0) and np.allclose(signal.xy, kept) and np.allclose(noise.xyann, kept)
    assert np.allclose(noise.xy, end)
    axes = figure.axes[0]
    assert axes.get_aspect() == 1
    assert [patch.radius for patch in axes.patches] == ([sigma] if sigma else [])


@pytest.mark.parametrize(
    ("call", "error", "argument"),
    [
        (lambda: show.chain_drawing(torch.rand(1, 3, 4, 4)), ValueError, "pictures: "),
        (lambda: show.unet_drawing(Classifier()), ValueError, "net: "),
        (lambda: show.ddim_drawing(*POINTS, 0.7, 0.3), ValueError, "ab_t: "),
        (lambda: show.ddim_drawing(*POINTS, 0.3, 1.3), ValueError, "ab_s: "),
        (lambda: show.ddim_drawing(*POINTS, 0.3, 0.7, 0.9), ValueError, "sigma: "),
    ],
)
def test_refusals_name_the_argument(call, error, argument):
    with pytest.raises(error, match="^" + argument):
        call()


def test_what_is_no_point_and_no_unet_is_refused_in_one_sentence():
    drawing = inspect.unwrap(show.ddim_drawing)
    bad = [1.0, 2.0], torch.zeros(3), torch.tensor([1, math.nan])
    for point, error in zip(bad, (TypeError, ValueError, ValueError), strict=True):
        with pytest.raises(error, match="^x_t: "):
            drawing(point, POINTS[1], 0.3, 0.7)

    class Flat(Mine):
        def forward(self, x: Tensor, t: Tensor, c: None = None) -> Tensor:
            return self.gone(x)

    with pytest.raises(ValueError, match="^net: "):
        show.unet_drawing(Flat())
