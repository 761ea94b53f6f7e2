"""The networks: the sizes the course promises, and the faults that tutorials' networks have."""

from __future__ import annotations

import math

import pytest
import torch

from ddpm_teach import nets
from ddpm_teach.nets import AttentionUNet, ContextUNet, DiffusionTransformer, LayerNormUNet, TextUNet, summary
from ddpm_teach.nets.attention_unet import Attention
from ddpm_teach.nets.blocks import sinusoids
from ddpm_teach.nets.layernorm_unet import PictureNorm

TINY = dict(widths=(8, 16, 16, 16, 24, 24), groups=8, heads=2, size=16)
TINY_TEXT = dict(widths=(8, 16), text_width=8, groups=4, heads=2)


def awake(net: torch.nn.Module) -> torch.nn.Module:
    """With noise in the weights that begin as zeros, as those have that decide how much of a part is added."""
    for weights in net.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.2)
    return net


SMALL = {
    "ContextUNet": lambda: ContextUNet(1, 8, 3),
    "ContextUNet, GroupNorm": lambda: ContextUNet(1, 8, 3, norm="group"),
    "LayerNormUNet": lambda: LayerNormUNet((1, 12, 12)),
    "AttentionUNet": lambda: AttentionUNet(1, **TINY),
    "AttentionUNet, context": lambda: AttentionUNet(3, context_dim=3, **TINY),
    "TextUNet": lambda: awake(TextUNet(9, 5, 2, 8, dropout=0.1, **TINY_TEXT)),
    "DiffusionTransformer": lambda: awake(DiffusionTransformer(9, 5, 2, 8, 2, 16, 2, 2, text_width=8)),
}


def small(**options) -> ContextUNet:
    return ContextUNet(**{"channels": 1, "features": 8, "context_dim": 3, **options}).eval()


@pytest.fixture(params=SMALL)
def net(request) -> torch.nn.Module:
    """A small one of every kind, in eval mode."""
    return SMALL[request.param]().eval()


def inputs(net: torch.nn.Module, b: int = 4) -> list[torch.Tensor]:
    """x, t and, for a network that takes one, c."""
    context = nets.random_contexts(net, b)
    c = [] if context is None else [context]
    return [torch.randn(b, *net.image_shape), torch.randint(1, net.T + 1, (b,)), *c]


# --- what all networks promise --------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_batch_of_one_is_computed_like_a_batch_of_64(net):
    together = net(*(given := inputs(net, 64)))
    for i in (0, 1, 63):
        one = net(*(value[i : i + 1] for value in given))
        torch.testing.assert_close(one, together[i : i + 1], rtol=1e-4, atol=1e-5)


def test_the_gradient_reaches_every_parameter_that_is_trained(net):
    """In eval mode, where BatchNorm is affine: in training a bias in front of it has no influence, rightly.

    LayerNormUNet's last block has a norm that is never used, as its source has it.
    """
    net(*inputs(net)).square().sum().backward()
    idle = {name for name, p in net.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    unused = {f"stage6.blocks.2.norm.{part}" for part in ("weight", "bias")}
    assert idle == (unused if isinstance(net, LayerNormUNet) else set())


def test_all_that_computes_is_saved(net):
    """A convolution that is built inside `forward` is random at every call and in no state_dict."""
    given = inputs(net)
    twin = nets.from_config(nets.describe(net)).eval()
    assert not torch.equal(net(*given), twin(*given))
    twin.load_state_dict(net.state_dict())
    assert torch.equal(net(*given), twin(*given)) and torch.equal(net(*given), net(*given))
    assert nets.describe(twin) == nets.describe(net)


def test_each_picture_has_its_own_time_and_context(net):
    x, t, *c = inputs(net)
    answer = net(x, t, *c)
    t[1] = t[1] % net.T + 1
    if c:
        c[0][2] += 1
    changed = [not torch.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in zip(answer, net(x, t, *c), strict=True)]
    assert changed == [False, True, bool(c), False]


def test_every_time_is_told_apart(net):
    x, _, *c = inputs(net, 1)
    with torch.no_grad():
        answers = torch.cat([net(x, torch.tensor([time]), *c) for time in (1, 2, 500, 999, 1000)])
    distances = torch.cdist(answers.flatten(1), answers.flatten(1)) + torch.eye(5)
    assert (distances > 1e-6).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_tells_neighbouring_times_apart(net, dtype):
    """801/1000 and 802/1000 are one number in bfloat16, so what reads the time reads it in float32."""
    x, _, *c = inputs(net, 2)
    times = torch.tensor([801, 802])
    x[1] = x[0]
    if c:
        c[0][1] = c[0][0]
    with torch.autocast("cpu", dtype):
        mixed = net(x, times, *c)
    half = net.to(dtype)(x.to(dtype), times, *(value.to(dtype) if value.is_floating_point() else value for value in c))
    for answer in (mixed, half):
        assert not torch.equal(answer[0], answer[1])


def test_channels_last_pictures_and_weights_give_the_same_answer(net):
    given = inputs(net)
    expected = net(*given)
    net.to(memory_format=torch.channels_last)
    given[0] = given[0].contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(net(*given), expected, rtol=1e-4, atol=1e-5)


def test_the_network_computes_in_float64_as_well(net):
    given = inputs(net)
    exact = net.double()(*(value.double() if value.is_floating_point() else value for value in given))
    torch.testing.assert_close(net.float()(*given).double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_only_training_has_chance_in_it(net, training):
    """Dropout, in the attention too, acts in training and never in eval: the same question, the same answer."""
    net.train(training)
    given = inputs(net)
    same = torch.equal(net(*given), net(*given))
    assert same == (not (training and net.config.get("dropout", 0) > 0))


def test_the_summary_counts_every_layer_once(net):
    net.train()
    table = summary(net)
    assert net.training and not net._forward_hooks
    assert table.parameters == sum(p.numel() for p in net.parameters())
    idle = sum(p.numel() for name, p in net.named_parameters() if "stage6.blocks.2.norm" in name)
    assert sum(layer.parameters for layer in table.layers) == table.parameters - idle
    assert sum(layer.flops for layer in table.layers) == table.flops > 0
    attention = [layer for layer in table.layers if layer.kind == "Attention"]
    assert bool(attention) == isinstance(net, AttentionUNet | TextUNet), (
        "what isn't in a layer of its own has a row as well"
    )
    assert all(layer.flops == 2 * 2 * layer.output[0] * math.prod(layer.output[1:]) ** 2 for layer in attention)
    text, page = repr(table), table._repr_html_()
    for layer in table.layers:
        assert layer.name in text and layer.name in page and f"{layer.parameters:,}" in text
    assert len({len(line) for line in text.splitlines()[1:]}) == 1, "the columns line up"


# --- ContextUNet ----------------------------------------------------------------------------------------------------


def test_the_standard_network_has_the_promised_number_of_parameters():
    # counted by hand from the description of ContextUNet at (3, 64, 5, 16)
    assert sum(p.numel() for p in ContextUNet(3, 64, 5, 16).parameters()) == 1_481_027


@pytest.mark.parametrize("size", [16, 20, 24, 28, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_gives_a_picture_of_the_same_shape(size, channels):
    net = small(size=size, channels=channels)
    x, t, c = inputs(net, 2)
    assert net(x, t, c).shape == (2, channels, size, size)
    assert net.image_shape == (channels, size, size)


def test_the_levels_halve_and_the_bottleneck_is_one_vector():
    """28 → 14 → 7 → 1 → 7 → 14 → 28 with 64, 64, 128, 128, 128, 64, 64 channels."""
    net, shapes = ContextUNet(3, 64, 5, 28).eval(), []
    for name in ("stem", "down1", "down2", "to_vector", "lift", "up1", "up2"):
        getattr(net, name).register_forward_hook(lambda module, args, result: shapes.append(tuple(result.shape[1:3])))
    with torch.no_grad():
        net(torch.zeros(1, 3, 28, 28), torch.tensor([1]))
    assert shapes == [(64, 28), (64, 14), (128, 7), (128, 1), (128, 7), (64, 14), (64, 28)]


def test_the_bottleneck_is_the_mean_over_the_whole_picture():
    """AvgPool2d(4) would crop a 7×7 level: its last rows and columns would have no part in the vector."""
    net, maps = small(size=28), torch.randn(1, 16, 7, 7)
    expected = torch.nn.functional.gelu(maps.mean((2, 3)))
    torch.testing.assert_close(net.to_vector(maps)[..., 0, 0], expected)


def test_context_and_time_change_the_answer():
    net = small()
    x, t, c = inputs(net)
    answer = net(x, t, c)
    for other in (net(x, t % 1000 + 1, c), net(x, t, c + 1), net(x + 1, t, c)):
        assert all(not torch.equal(a, b) for a, b in zip(answer, other, strict=True))


def test_no_context_is_the_zero_context():
    net = small()
    x, t, c = inputs(net)
    assert torch.equal(net(x, t), net(x, t, torch.zeros_like(c)))


def test_a_half_precision_context_or_whole_one_hot_is_taken():
    net = small()
    x, t, _ = inputs(net)
    hot = torch.eye(3, dtype=torch.long)[[0, 1, 2, 0]]
    assert torch.equal(net(x, t, hot), net(x, t, hot.float()))


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (dict(size=15), "size"),
        (dict(size=18), "size"),
        (dict(size=36), "size"),
        (dict(features=12), "features"),
        (dict(norm="layer"), "norm"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(bad, match):
    with pytest.raises(ValueError, match=f"{match}: "):
        ContextUNet(**bad)


# --- LayerNormUNet --------------------------------------------------------------------------------------------------


def test_the_layernorm_network_has_the_size_of_its_source():
    """606,852 parameters, of which the time table's 100,000 are frozen."""
    net = LayerNormUNet()
    assert sum(p.numel() for p in net.parameters()) == 606_852
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == 506_852
    assert summary(net).flops == pytest.approx(49.86e6, rel=1e-4)


def test_the_sinusoids_have_the_right_exponents():
    """10000^(-2i/d), i over pairs; over columns, 34 of 100 would vary by ≤ 0.001."""
    table = sinusoids(1000, 100)
    for t, i in ((1, 0), (999, 3), (500, 49), (1000, 25)):
        angle = t / 10_000 ** (2 * i / 100)
        assert table[t - 1, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-4)
        assert table[t - 1, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-4)
    spread = table[:999].max(0).values - table[:999].min(0).values
    assert (spread <= 0.001).sum() == 0
    angles = torch.arange(1000)[:, None] / 10_000 ** (2 * torch.arange(0, 100, 2) / 100)  # as the tutorials have it
    wrong = torch.cat([angles.sin(), angles.cos()], dim=1).double()
    assert ((wrong.max(0).values - wrong.min(0).values) <= 0.001).sum() == 34


def test_its_norm_is_torchs_own_in_any_layout():
    norm, x = PictureNorm((4, 6, 5)), torch.randn(3, 4, 6, 5)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    expected = torch.nn.functional.layer_norm(x, (4, 6, 5), norm.weight, norm.bias)
    for same in (x, x.contiguous(memory_format=torch.channels_last)):
        assert torch.allclose(norm(same), expected, atol=1e-6)


def test_the_level_of_the_picture_is_not_lost():
    """A norm over the whole picture makes x and x + 0.3 the same; the sum at the end tells them apart again."""
    net, x, t = LayerNormUNet(), torch.randn(2, 1, 28, 28), torch.tensor([3, 900])
    assert torch.allclose(net(x + 0.3, t) - net(x, t), torch.full_like(x, 0.3), atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 20, 20), (2, 36, 36), (1, 28, 20)])
def test_the_layernorm_network_takes_sides_with_an_odd_quarter(shape):
    net = LayerNormUNet(shape, T=10)
    assert net(torch.randn(2, *shape), torch.tensor([1, 10])).shape == (2, *shape)


@pytest.mark.parametrize("side", [4, 16, 24, 27, 32])
def test_other_sides_are_refused(side):
    with pytest.raises(ValueError, match=f"image_shape: expected sides of 12, 20, 28 or 36 .* got {side}×{side}; pad"):
        LayerNormUNet((1, side, side))


@pytest.mark.parametrize("time_dim", [99, 1, 0])
def test_sines_without_their_cosines_are_refused(time_dim):
    with pytest.raises(ValueError, match="time_dim: .*even"):
        LayerNormUNet((1, 12, 12), time_dim=time_dim)


def test_a_network_without_context_refuses_one():
    for net in (LayerNormUNet((1, 12, 12)), AttentionUNet(1, **TINY)):
        x, t = inputs(net)
        with pytest.raises((ValueError, TypeError)):
            net(x, t, torch.zeros(4, 3))


# --- AttentionUNet --------------------------------------------------------------------------------------------------


def test_the_levels_of_the_attention_network():
    """64-128-256 down, 512 at the bottom, 512-384 up at 32×32; attention at 16×16 only; no level is lost."""
    net, shapes = AttentionUNet().eval(), []
    for i in range(1, 7):
        getattr(net, f"level{i}").register_forward_hook(
            lambda module, args, out: shapes.append((*out.shape[1:3], isinstance(module.attention, Attention)))
        )
    with torch.no_grad():
        net(torch.zeros(1, 1, 32, 32), torch.tensor([1]))
    assert shapes == [
        (64, 32, False),
        (128, 16, True),
        (256, 8, False),
        (512, 4, False),
        (512, 8, False),
        (384, 16, True),
    ]


def test_attention_is_the_softmax_of_products_over_all_pixels():
    layer = Attention(8, heads=2, dropout=0.0, groups=4).eval().double()
    x = torch.randn(3, 8, 4, 5).double()
    q, k, v = layer.to_qkv(layer.norm(x)).flatten(2).reshape(3, 3, 2, 4, 20).unbind(1)  # (b, heads, d, pixels)
    weights = (q.transpose(-1, -2) @ k / 2).softmax(-1)
    out = (v @ weights.transpose(-1, -2)).reshape(3, 8, 4, 5)
    torch.testing.assert_close(layer(x), x + layer.project(out), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (dict(size=30), "size"),
        (dict(widths=(8, 16, 16)), "widths"),
        (dict(widths=(8, 16, 16, 16, 16, 24)), "widths"),
        (dict(groups=7), "widths"),
        (dict(heads=5), "widths"),
        (dict(attention_at=(7,)), "attention_at"),
        (dict(widths=(7, 16, 16, 16, 24, 24), groups=1, heads=1), "widths"),
    ],
)
def test_attention_networks_that_cannot_be_built_are_refused(options, match):
    with pytest.raises(ValueError, match=f"{match}: "):
        AttentionUNet(1, **(TINY | options))


# --- building and refusing ------------------------------------------------------------------------------------------


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="ContextUNet"):
        nets.from_config({"name": "os.system", "config": {}})


@pytest.mark.parametrize(
    "change",
    [
        dict(x=torch.zeros(4, 3, 16, 16)),
        dict(x=torch.zeros(4, 1, 20, 20)),
        dict(x=torch.zeros(4, 1, 16, 20)),
        dict(x=torch.zeros(1, 16, 16)),
        dict(t=torch.tensor([0, 1, 2, 3])),
        dict(t=torch.tensor([1, 2, 3, 1001])),
        dict(t=torch.tensor([1, 2, 3])),
        dict(t=torch.tensor(5)),
        dict(t=5),
        dict(t=torch.ones(4)),
        dict(t=torch.ones(4, dtype=torch.bool)),
        dict(c=torch.zeros(4, 5)),
        dict(c=torch.zeros(1, 3)),
        dict(c=torch.zeros(3)),
    ],
)
def test_bad_input_is_refused_before_any_computation(change):
    """ValueError or TypeError, from our check or from the annotation's; the first layer never runs."""
    net, ran = small(), []
    net.stem.register_forward_hook(lambda *args: ran.append(1))
    good = dict(zip("xtc", inputs(net), strict=True))
    with pytest.raises((ValueError, TypeError)):
        net(**(good | change))
    assert not ran
