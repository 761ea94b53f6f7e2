"""On a CUDA device: a replayed graph computes what the network computes, and neither loop waits for the device."""

from __future__ import annotations

import contextlib
import itertools

import pytest
import torch

from ddpm_teach import (
    ContextUNet,
    ImageSet,
    clipped,
    ddim_step,
    from_eps,
    graphs,
    guided,
    linear,
    trailing,
    walk,
)
from ddpm_teach.devices import choice, tuned
from ddpm_teach.nets import AttentionUNet, LayerNormUNet
from ddpm_teach.training import TrainState, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
DEVICE = torch.device("cuda")
NETS = {
    "context": lambda: ContextUNet(features=32),
    "layernorm": LayerNormUNet,
    "attention": lambda: AttentionUNet(widths=(32, 48, 64, 64, 96, 80), groups=8, heads=4, context_dim=5, dropout=0.2),
}


@pytest.fixture(params=NETS)
def net(request):
    torch.manual_seed(0)
    net = NETS[request.param]().to(DEVICE)
    for parameter in net.parameters():  # a fresh network's last layers may be zero, and then everything agrees
        parameter.data += 0.02 * torch.randn_like(parameter)
    return net


def arguments(net, n=4, seed=1):
    torch.manual_seed(seed)
    x, t = torch.randn(n, *net.image_shape, device=DEVICE), torch.randint(1, 1001, (n,), device=DEVICE)
    context_dim = net.config.get("context_dim")
    return (x, t, torch.eye(context_dim, device=DEVICE)[torch.arange(n) % context_dim]) if context_dim else (x, t)


def pictures(net, n=64):
    images = torch.randint(0, 256, (n, *net.image_shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    classes = tuple("abcde")
    return ImageSet(images, torch.arange(n) % len(classes), classes)


@contextlib.contextmanager
def no_waiting():
    """Inside the block, whatever makes Python wait for the device is an error."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_waiting_would_be_noticed():
    with pytest.raises(RuntimeError, match="synchroniz"), no_waiting():
        torch.ones(1, device=DEVICE).item()


@torch.no_grad()
def test_a_replay_for_sampling_gives_what_the_network_gives(net):
    fast, close = tuned(net, DEVICE), dict(rtol=0, atol=0.05)
    net.eval()
    kept = []
    for seed in range(5):  # the first call runs, the second is recorded, the others are replayed
        for n in (4, 2):
            args = arguments(net, n, seed)
            found = fast(*args)
            torch.testing.assert_close(found, net(*args), **close)
            kept.append((found, found.clone()))
    assert all(torch.equal(found, copy) for found, copy in kept), "a replay wrote over an earlier result"


def test_a_tuned_network_can_still_be_differentiated(net):
    fast, (x, *rest) = tuned(net, DEVICE), arguments(net)
    for _ in range(3):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(fast(x, *rest).square().sum(), x)
        assert gradient.abs().sum() > 0


def test_a_network_with_hooks_is_not_recorded(net):
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    fast = tuned(net, DEVICE)
    with torch.no_grad():
        for _ in range(4):
            fast(*arguments(net))
    assert len(calls) == 4


def training(net, precision="auto", **options):
    """A state, and a run that begins with it."""
    images = pictures(net)
    state = TrainState.create(net, linear(), steps=100, lr=1e-4)
    return state, train(state, images, batch_size=8, precision=precision, **options)


def trained(build):
    torch.manual_seed(0)
    state, loop = training(build().to(DEVICE), "bfloat16")
    return state, [log.loss.item() for log in itertools.islice(loop, 8)]


@pytest.mark.parametrize("name", NETS)
def test_training_by_replays_is_the_same_training(name, monkeypatch):
    state, losses = trained(NETS[name])
    monkeypatch.setattr("ddpm_teach.graphs.can_be_recorded", lambda net, device: False)
    expected_state, expected = trained(NETS[name])
    assert losses == pytest.approx(expected, rel=0.02)
    buffers, wanted = (dict(s.net.named_buffers()) for s in (state, expected_state))
    for key, value in buffers.items():  # BatchNorm's statistics: the warm-up before a recording must leave no trace
        torch.testing.assert_close(value, wanted[key], rtol=0.05, atol=0.02, msg=lambda text, key=key: f"{key}: {text}")


def test_dropout_is_drawn_anew_in_every_replay_and_follows_the_seed():
    net = NETS["attention"]().to(DEVICE).train()
    predict = graphs.recorded(net)

    @torch.no_grad()
    def at(seed):
        torch.manual_seed(seed)
        return predict(*args)

    args = arguments(net)
    at(0), at(0)
    first, other, again = at(1), at(2), at(1)
    assert (first - other).abs().max() > 0.01
    torch.testing.assert_close(again, first, rtol=0, atol=1e-4)  # not to the last bit: some kernels add in any order


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_training_never_waits_for_the_device(net, precision):
    state, loop = training(net, precision, min_snr=5.0)
    list(itertools.islice(loop, 5))
    with no_waiting():
        list(itertools.islice(loop, 5))
    assert state.step == 10


def test_sampling_never_waits_for_the_device(net):
    schedule, (x, _, *context) = linear(), arguments(net)
    predict = tuned(net, DEVICE)
    if context:
        predict = guided(predict, *context, scale=2.0)
    step = ddim_step(clipped(from_eps(predict, schedule), schedule), schedule, eta=1.0, rng=torch.Generator())
    walking = walk(step, x, trailing(1000, 10))
    list(itertools.islice(walking, 4))
    with no_waiting():
        assert len(list(walking)) == 7


def test_the_choice_says_that_graphs_are_replayed():
    assert "CUDA graphs" in choice(DEVICE) and "CUDA graphs" not in choice(DEVICE, "float32")
