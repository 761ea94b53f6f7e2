"""`Sampler` and `sample`: what they put together, what a seed decides, and what they leave as it was."""

from __future__ import annotations

import contextlib
import itertools
import math
from dataclasses import replace

import pytest
import torch

from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.diffusion.schedule import linear
from ddpm_teach.diffusion.steps import ddim_step, ddpm_step, dpm_step, heun_step, walk
from ddpm_teach.diffusion.targets import TARGETS, clipped, from_eps, from_v
from ddpm_teach.diffusion.times import leading, quadratic, trailing
from ddpm_teach.model import Model
from ddpm_teach.nets import ContextUNet
from ddpm_teach.sampler import SAMPLERS, Sampler, generator, sample


@pytest.fixture
def toy(toy_net):
    """make(fails_at): a Model around the net with dropout and BatchNorm, for pictures of 8×8."""

    def make(fails_at: int | None = None) -> Model:
        net = toy_net(fails_at)
        net.image_shape = (1, 8, 8)
        return Model(net, linear())

    return make


STEPS = {
    "ddim": lambda denoise, schedule, rng: ddim_step(denoise, schedule, rng=rng),
    "ddim 0.5": lambda denoise, schedule, rng: ddim_step(denoise, schedule, 0.5, rng=rng),
    "ddpm": lambda denoise, schedule, rng: ddpm_step(denoise, schedule, rng=rng),
    "heun": lambda denoise, schedule, rng: heun_step(denoise, schedule),
    "dpm": lambda denoise, schedule, rng: dpm_step(denoise, schedule),
}


@pytest.mark.parametrize(("kind", "spacing"), [*itertools.product(STEPS, (trailing, leading, quadratic))])
def test_a_sampler_is_the_walk_that_its_docstring_names(toy, kind, spacing):
    model, (name, *eta) = toy(), kind.split()
    options = dict(kind=name, steps=6, spacing=spacing.__name__, eta=float(eta[0]) if eta else 0.0, precision="float32")
    frames = list(Sampler(**options).frames(model, 3, seed=11))
    rng = generator(11)
    start = torch.randn(3, 1, 8, 8, generator=rng)
    model.net.eval()
    step = STEPS[kind](clipped(from_eps(model.net, model.schedule), model.schedule), model.schedule, rng)
    for frame, expected in zip(frames, walk(step, start, spacing(1000, 6)), strict=True):
        assert frame.t == expected.t and torch.equal(frame.x, expected.x)
    x = sample(model, 3, seed=11, **options)
    assert torch.equal(x, frames[-1].x) and x.dtype == torch.float32 and not x.requires_grad
    assert x.abs().max() <= 1 or kind == "heun"


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_network_is_read_as_what_it_was_trained_for(target):
    """One that knows the picture draws it, whichever way it says so; nothing is asked of the caller."""
    schedule, picture = linear(), torch.linspace(-0.9, 0.9, 16).reshape(1, 1, 4, 4)

    class Knows(torch.nn.Module):
        image_shape = (1, 4, 4)

        def forward(self, x, t, c=None):
            signal, noise = schedule.rates(t, x)
            return target.ask(schedule, picture.expand_as(x), (x - signal * picture) / noise, t)

    for named in (target, target.name):
        x = sample(Model(Knows(), schedule, named), 2, steps=20, seed=0, precision="float32")
        torch.testing.assert_close(x, picture.expand(2, -1, -1, -1), rtol=0, atol=1e-4)


def test_guided_sampling_is_the_guided_walk():
    model = Model(ContextUNet(1, 8, 3), linear(), classes=("a", "b", "c"))
    contexts = model.context("b")
    net = model.net.eval()
    for scale, given in itertools.product((0.0, 1.0, 2.5), (contexts, contexts.expand(4, 3))):
        x = sample(model, 4, given, steps=3, guidance_scale=scale, seed=1, precision="float32")
        denoise = clipped(from_eps(guided(net, contexts, scale), model.schedule), model.schedule)
        start = torch.randn(4, 1, 16, 16, generator=generator(1))
        *_, last = walk(ddim_step(denoise, model.schedule), start, trailing(1000, 3))
        torch.testing.assert_close(x, last.x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("progress", [False, True])
def test_the_seed_decides_the_pictures(toy, untouched, progress):
    model = toy()
    options = dict(steps=4, eta=1.0, precision="float32", progress=progress)
    with untouched():
        one, again, other, free, free2 = (sample(model, 2, seed=seed, **options) for seed in (1, 1, 2, None, None))
    assert torch.equal(one, again)
    assert not torch.equal(one, other) and not torch.equal(free, free2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("fails_at", [None, 0, 2])
def test_the_network_samples_in_eval_mode_and_is_left_as_it_was(toy, fails_at, precision):
    model, modes = toy(fails_at), []
    net = model.net
    net.drop.register_forward_hook(lambda drop, *_: modes.append(drop.training))  # a copy of the network keeps it
    net.train()
    net.norm.eval()  # a frozen BatchNorm must stay frozen
    running = net.norm.running_mean.clone()
    with pytest.raises(RuntimeError, match="planted") if fails_at is not None else contextlib.nullcontext():
        sample(model, 2, steps=4, seed=0, precision=precision)
    assert [net.training, net.conv.training, net.norm.training, net.drop.training] == [True, True, False, True]
    assert modes == [False] * (4 if fails_at is None else fails_at)
    assert torch.equal(net.norm.running_mean, running)


BAD = [
    ("n", dict(n=0)),
    ("steps", dict(steps=0)),
    ("steps", dict(steps=1001)),
    ("eta", dict(eta=-1.0)),
    ("eta", dict(eta=math.nan)),
    ("eta", dict(kind="heun", eta=0.5)),
    ("eta", dict(kind="ddpm", eta=0.5)),
    ("eta", dict(kind="dpm", eta=0.5)),
    ("kind", dict(kind="euler")),
    ("spacing", dict(spacing="even")),
    ("precision", dict(precision="half")),
    ("guidance_scale", dict(guidance_scale=2.0)),
    ("guidance_scale", dict(guidance_scale=math.nan)),
    ("seed", dict(seed=-1)),
    ("contexts", dict(contexts=torch.zeros(1, 3))),
]


@pytest.mark.parametrize(("name", "bad"), BAD)
def test_bad_options_never_reach_the_network(toy, name, bad):
    model = toy()
    with pytest.raises(ValueError, match=f"{name}: "):
        sample(model, **({"n": 2} | bad))
    assert not model.net.modes and model.net.training


@pytest.mark.parametrize("shape", [(1, 4), (2, 3), (3,), (1, 1, 3)])
def test_contexts_that_do_not_fit_are_refused_at_the_call(shape):
    model = Model(ContextUNet(1, 8, 3), linear(), classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="contexts: "):
        Sampler().frames(model, 4, torch.zeros(shape))


@pytest.mark.parametrize("times", [(1000, 750, 500, 250, 0), (1000, 300, 0), (1000, 0)])
def test_a_student_walks_its_own_times_by_ddim_without_guidance(times):
    """Whatever is told but what it knows anyway; its contexts are those of any network."""
    model = Model(ContextUNet(1, 8, 3), linear(), "v", ("a", "b", "c"), times=times)
    net, start = model.net.eval(), torch.randn(4, 1, 16, 16, generator=generator(1))
    for contexts in (None, model.context("b"), model.context("b").expand(4, 3)):
        told = net if contexts is None else guided(net, contexts, 1.0)
        step = ddim_step(clipped(from_v(told, model.schedule), model.schedule), model.schedule)
        for options in ({}, {"steps": len(times) - 1}, {"kind": "ddim", "spacing": "trailing", "guidance_scale": 1}):
            sampler = Sampler(**options, precision="float32")
            frames = list(sampler.frames(model, 4, contexts, seed=1))
            assert [frame.t for frame in frames] == list(times) == sampler.times(model)
            for frame, expected in zip(frames, walk(step, start, times), strict=True):
                assert torch.equal(frame.x, expected.x)
            assert torch.equal(sample(model, 4, contexts, seed=1, precision="float32", **options), frames[-1].x)
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    sample(model, 1, seed=0, precision="float32")
    assert len(calls) == len(times) - 1


@pytest.mark.parametrize(
    "bad",
    [dict(steps=50), dict(steps=1), dict(kind="dpm"), dict(kind="ddpm"), dict(spacing="leading"), dict(eta=0.1),
     dict(guidance_scale=0.0), dict(guidance_scale=2.0)],
)  # fmt: skip
def test_a_student_refuses_what_it_was_not_made_for_before_its_network_runs(toy, bad):
    model = replace(toy(), times=(1000, 500, 0))
    ((name, value),) = bad.items()
    for draw in (lambda: sample(model, 2, **bad), lambda: Sampler(**bad).frames(model, 2)):
        with pytest.raises(ValueError, match=f"^{name}: .*1000, 500, 0.*got {value}; leave it out"):
            draw()
    assert not model.net.modes


def test_without_a_number_of_steps_there_are_fifty(toy):
    assert Sampler().times(toy()) == Sampler(steps=50).times(toy()) == trailing(1000, 50)


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("kind", SAMPLERS)
def test_pictures_that_are_not_finite_are_told_and_not_shown(toy, kind, number):
    """Also where a later step would hide it: clipping makes ±1 of an infinity."""
    model = toy()
    model.net.forward = lambda x, t, c=None: torch.where(t[0] > 500, number, 0.0) * x + 0.1
    with pytest.raises(FloatingPointError, match="model: "):
        sample(model, 2, steps=3, kind=kind, seed=0, precision="float32")


@pytest.mark.parametrize("scale", [1e308, -1e308])
@pytest.mark.parametrize("steps", [1, 3])
def test_guidance_that_is_too_strong_is_not_blamed_on_the_network(scale, steps):
    model = Model(ContextUNet(1, 8, 3), linear(), classes=("a", "b", "c"))
    options = dict(steps=steps, guidance_scale=scale, seed=0, precision="float32")
    with pytest.raises(FloatingPointError, match=rf"^guidance_scale: {scale} .*nearer to 1".replace("+", r"\+")):
        sample(model, 2, model.context("b"), **options)
    model.net.head[-1].bias.data.fill_(math.nan)
    with pytest.raises(FloatingPointError, match="^model: .*training stable"):
        sample(model, 2, model.context("b"), **options)


def test_a_sampler_is_frozen_and_made_anew_by_replace():
    sampler = Sampler(steps=20)
    with pytest.raises(AttributeError):
        sampler.steps = 5
    assert replace(sampler, kind="ddpm") == Sampler("ddpm", 20)
    with pytest.raises(ValueError, match="kind: "):
        replace(sampler, kind="ddpm2")


ACCELERATORS = [name for name, there in (("cuda", torch.cuda), ("mps", torch.backends.mps)) if there.is_available()]


@pytest.mark.skipif(not ACCELERATORS, reason="this machine has no accelerator to compare with")
def test_a_seed_gives_the_same_pictures_on_every_device(toy):
    model = toy()
    options = dict(steps=10, eta=1.0, seed=4, precision="float32")
    expected = sample(model, 3, **options)
    for device in ACCELERATORS:
        pictures = sample(model.to(device), 3, **options)
        assert pictures.device.type == device
        torch.testing.assert_close(pictures.cpu(), expected, rtol=0, atol=1e-3)
