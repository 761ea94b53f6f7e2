"""The network: the size the course promises, and the faults that tutorials' networks have."""

from __future__ import annotations

import pytest
import torch

from ddpm_teach import nets
from ddpm_teach.nets import ContextUNet


def small(**options) -> ContextUNet:
    return ContextUNet(**{"channels": 1, "features": 8, "context_dim": 3, **options}).eval()


def inputs(net: ContextUNet, b: int = 4):
    return (
        torch.randn(b, *net.image_shape),
        torch.randint(1, net.config["T"] + 1, (b,)),
        torch.randn(b, net.config["context_dim"]),
    )


def test_the_standard_network_has_the_promised_number_of_parameters():
    # issue 2 and DESIGN.md section 5: counted by hand from the description of ContextUNet at (3, 64, 5, 16)
    assert sum(p.numel() for p in ContextUNet(3, 64, 5, 16).parameters()) == 1_481_027


@pytest.mark.parametrize("size", [16, 20, 24, 28, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_gives_a_picture_of_the_same_shape(size, channels):
    net = small(size=size, channels=channels)
    x, t, c = inputs(net, 2)
    assert net(x, t, c).shape == (2, channels, size, size)
    assert net.image_shape == (channels, size, size)


def test_the_levels_halve_and_the_bottleneck_is_one_vector():
    """28 → 14 → 7 → 1 → 7 → 14 → 28 with 64, 64, 128, 128, 128, 64, 64 channels (DESIGN.md section 5)."""
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


def test_a_batch_of_one_is_computed_like_a_batch_of_eight():
    net = small()
    x, t, c = inputs(net, 8)
    together = net(x, t, c)
    for i in range(8):
        torch.testing.assert_close(
            net(x[i : i + 1], t[i : i + 1], c[i : i + 1]), together[i : i + 1], rtol=1e-4, atol=1e-5
        )


def test_the_gradient_reaches_every_parameter():
    """In eval mode, where BatchNorm is affine: in training a bias in front of it has no influence, rightly."""
    net = small()
    x, t, c = inputs(net)
    net(x, t, c).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_all_that_computes_is_saved():
    """A convolution that is built inside `forward` is random at every call and in no state_dict."""
    torch.manual_seed(1)
    net, twin = small(), small()
    x, t, c = inputs(net)
    assert not torch.equal(net(x, t, c), twin(x, t, c))
    twin.load_state_dict(net.state_dict())
    assert torch.equal(net(x, t, c), twin(x, t, c)) and torch.equal(net(x, t, c), net(x, t, c))


def test_context_and_time_change_the_answer():
    net = small()
    x, t, c = inputs(net)
    answer = net(x, t, c)
    for other in (net(x, t % 1000 + 1, c), net(x, t, c + 1), net(x + 1, t, c)):
        assert all(not torch.equal(a, b) for a, b in zip(answer, other, strict=True))


def test_each_picture_has_its_own_time_and_context():
    net = small()
    x, t, c = inputs(net)
    answer, c2, t2 = net(x, t, c), c.clone(), t.clone()
    c2[2] += 1
    t2[1] = t2[1] % 1000 + 1
    changed = [not torch.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in zip(answer, net(x, t2, c2), strict=True)]
    assert changed == [False, True, True, False]


def test_no_context_is_the_zero_context():
    net = small()
    x, t, c = inputs(net)
    assert torch.equal(net(x, t), net(x, t, torch.zeros_like(c)))


def test_a_half_precision_context_or_whole_one_hot_is_taken():
    net = small()
    x, t, _ = inputs(net)
    hot = torch.eye(3, dtype=torch.long)[[0, 1, 2, 0]]
    assert torch.equal(net(x, t, hot), net(x, t, hot.float()))


def test_the_network_computes_in_float64_as_well():
    net = small()
    x, t, c = inputs(net)
    exact = net.double()(x.double(), t, c.double())
    torch.testing.assert_close(net.float()(x, t, c).double(), exact, rtol=1e-3, atol=1e-4)


def test_a_network_is_built_again_from_its_description():
    net = small(size=20, T=77, channels=2)
    again = nets.build(nets.describe(net))
    assert nets.describe(again) == nets.describe(net)
    again.load_state_dict(net.state_dict())
    x, t, c = inputs(net)
    assert torch.equal(again.eval()(x, t, c), net(x, t, c))


@pytest.mark.parametrize(
    ("bad", "match"),
    [(dict(size=15), "size"), (dict(size=18), "size"), (dict(size=36), "size"), (dict(features=12), "features")],
)
def test_networks_that_cannot_be_built_are_refused(bad, match):
    with pytest.raises(ValueError, match=f"{match}: "):
        ContextUNet(**bad)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="ContextUNet"):
        nets.build({"name": "os.system", "config": {}})


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
