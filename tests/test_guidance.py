"""Saying what the pictures shall show: contexts, gradients and known parts that fit, and those that don't."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch

from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.guidance import gradient, guided, inpainting, score_corrected
from ddpm_teach.diffusion.steps import ddim_step, walk
from ddpm_teach.diffusion.targets import clipped, from_eps, from_v
from ddpm_teach.diffusion.times import trailing
from ddpm_teach.diffusion.types import carrying


def context_net(x, t, c):
    """A stand-in whose answer depends on the picture, its time and its context."""
    return x * c.sum(1).reshape(-1, 1, 1) + c[:, :1, None] ** 2 + t.to(x.dtype).reshape(-1, 1, 1)


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.0])
def test_one_context_serves_all_pictures(scale):
    x, t, c = torch.randn(4, 2, 2).double(), torch.tensor([1, 5, 2, 9]), torch.randn(1, 3).double()
    one, each = guided(context_net, c, scale), guided(context_net, c.expand(4, 3), scale)
    assert torch.equal(one(x, t), each(x, t))


def test_guidance_is_a_net_for_from_eps(strong):
    x, c = torch.randn(4, 2, 2).double(), torch.randn(4, 3).double()
    estimate = from_eps(guided(context_net, c, 2.0), strong)(x, 5)
    torch.testing.assert_close(add_noise(strong, estimate.x0, 5, estimate.eps), x, rtol=1e-12, atol=1e-12)


class NullNet(torch.nn.Module):
    """A network that says what stands for "no condition", as a text encoder's empty prompt does."""

    null = torch.tensor([[3.0, -1.0, 2.0]]).double()

    def forward(self, x, t, c):
        return context_net(x, t, c)


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0])
def test_guidance_leads_away_from_the_networks_own_null_unless_another_is_given(scale):
    net, x, t = NullNet(), torch.randn(4, 2, 2).double(), torch.tensor([1, 5, 2, 9])
    c, other = torch.randn(1, 3).double(), torch.randn(1, 3).double()
    said = guided(net, c, scale)(x, t)
    assert torch.equal(said, guided(context_net, c, scale, null=net.null)(x, t))
    assert (said - guided(context_net, c, scale)(x, t)).abs().max() > 0.1  # zeros are another null
    assert torch.equal(guided(net, c, scale, null=other)(x, t), guided(context_net, c, scale, null=other)(x, t))
    wrapper = carrying(lambda *args: net(*args), net)
    assert torch.equal(guided(wrapper, c, scale)(x, t), said)


@pytest.mark.parametrize("scale", [math.nan, math.inf, -math.inf])
def test_a_scale_that_is_not_finite_is_refused(scale):
    with pytest.raises(ValueError, match="scale: "):
        guided(context_net, torch.zeros(1, 3), scale)


def test_contexts_that_do_not_fit_never_reach_the_network(counting):
    net = counting(context_net)
    with pytest.raises(ValueError, match="null: "):
        guided(net, torch.zeros(1, 3), 2.0, torch.zeros(1, 4))
    with pytest.raises(ValueError, match="context: "):
        guided(net, torch.zeros(3, 3), 2.0)(torch.zeros(4, 2, 2), torch.ones(4, dtype=torch.long))
    with pytest.raises((ValueError, TypeError)):
        guided(net, torch.zeros(1, 3), 2.0)(torch.zeros(4, 2, 2), torch.ones(4, dtype=torch.long), torch.zeros(4, 3))
    assert not net.calls


def test_latents_and_text_contexts_pass_through_untouched(strong, counting):
    """Stable Diffusion's shapes: nothing asks for three channels, squares or flat contexts."""
    net = counting(lambda x, t, c: x * 0.1 + c.mean((1, 2))[:, None, None, None])
    context, empty = torch.randn(1, 77, 768), torch.randn(1, 77, 768)
    x = torch.randn(2, 4, 64, 64)
    denoise = clipped(from_eps(guided(net, context, 7.5, empty), strong), strong, 8.0)
    *_, last = walk(ddim_step(denoise, strong), x, trailing(20, 2))
    assert last.x.shape == (2, 4, 64, 64) and len(net.calls) == 2
    seen, _, contexts = net.calls[0]
    assert torch.equal(seen, torch.cat([x, x])) and contexts.shape == (4, 77, 768)
    assert torch.equal(contexts[:2], empty.expand(2, 77, 768))
    assert torch.equal(contexts[2:], context.expand(2, 77, 768))


# --- gradients -------------------------------------------------------------------------------------------------------


def test_a_gradient_is_each_pictures_own_also_without_grad_mode():
    x = torch.randn(5, 3).double()
    with torch.no_grad():
        found = gradient(lambda x, t: (x**3).sum(1) * t)(x, 2)
    torch.testing.assert_close(found, 6 * x**2)
    assert not found.requires_grad and not x.requires_grad


@pytest.mark.parametrize("modes", [(torch.inference_mode,), (torch.no_grad,), (torch.no_grad, torch.inference_mode)])
def test_a_gradient_is_taken_in_every_mode_and_with_every_reader(strong, modes):
    """Also through the schedule's own tables, made for the first time in there; and used for training afterwards."""
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    log_prob = lambda x, t: -(from_v(lambda x, t, c=None: weight * x, strong)(x, t).x0 ** 2).sum(1)  # noqa: E731
    x, times = torch.randn(5, 3).double(), torch.full((5,), 4)
    with contextlib.ExitStack() as stack:
        for mode in modes:
            stack.enter_context(mode())
        inside = gradient(log_prob)(x.clone(), times)
        assert gradient(log_prob)(x.clone(), 4).shape == x.shape
    torch.testing.assert_close(gradient(log_prob)(x, times), inside)
    (log_prob(x, times).sum() * inside.sum()).backward()
    assert weight.grad.isfinite().all()


def test_a_corrected_walk_goes_where_the_log_probability_rises(strong, smooth_net):
    """A pull towards bright pictures, inside a walk, which runs without gradients."""
    bright = lambda x, t: x.flatten(1).mean(1) * 40  # noqa: E731
    ends = []
    for scale in (0.0, 1.0):
        denoise = clipped(score_corrected(from_eps(smooth_net, strong), strong, gradient(bright), scale), strong)
        *_, last = walk(
            ddim_step(denoise, strong), torch.randn(8, 1, 4, 4, generator=torch.Generator()), trailing(20, 10)
        )
        ends.append(last.x.mean().item())
    assert ends[1] > ends[0] + 0.2


@pytest.mark.parametrize("scale", [math.nan, math.inf])
def test_a_scale_of_correction_that_is_not_finite_is_refused(strong, smooth_net, scale):
    with pytest.raises(ValueError, match="scale: "):
        score_corrected(from_eps(smooth_net, strong), strong, lambda x, t: x, scale)


# --- known parts -----------------------------------------------------------------------------------------------------


def test_inpainting_ends_at_the_known_part_exactly(strong, smooth_net, untouched):
    known, mask = torch.rand(3, 1, 4, 4) * 2 - 1, torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    step = ddim_step(clipped(from_eps(smooth_net, strong), strong), strong)
    with untouched():
        masked = inpainting(step, strong, known, mask, rng=torch.Generator().manual_seed(1))
        frames = list(walk(masked, torch.randn(3, 1, 4, 4, generator=torch.Generator()), trailing(20, 5)))
    assert torch.equal(frames[-1].x[..., :2], known[..., :2])
    assert not torch.isclose(frames[-1].x[..., 2:], known[..., 2:]).all()
    assert not torch.isclose(frames[-2].x[..., :2], known[..., :2]).all(), "before the end the known part is noisy"
    frames[-1].x.zero_()
    assert known.any(), "the last frame is a copy"


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        (torch.full((3, 2), 0.5), "zeros and ones"),
        (torch.tensor([math.nan, 1.0]), "zeros and ones"),
        (torch.ones(4, 2), "broadcasts to known's"),
        (torch.ones(5, 3, 2), "broadcasts to known's"),
    ],
)
def test_masks_that_are_none_are_refused_at_once(strong, mask, error):
    with pytest.raises(ValueError, match=f"mask: .*{error}"):
        inpainting(lambda x, t, s: None, strong, torch.zeros(3, 2), mask)


def test_a_known_picture_of_another_shape_is_refused(strong, smooth_net):
    step = inpainting(ddim_step(from_eps(smooth_net, strong), strong), strong, torch.zeros(2, 3), torch.ones(3))
    with pytest.raises(ValueError, match="known: "):
        step(torch.zeros(4, 3), 20, 10)
