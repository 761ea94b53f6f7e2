"""torch.compile(fullgraph=True) takes the whole mathematics in one graph: a graph break is an error there.

But for dpm_step: no graph can look up which picture it was given, so that it is compiled in parts.

tests/test_package.py runs this file in a process of its own, without the shape checks, which torch can't trace. The
backend "eager" runs the captured graph as it is, so that no C++ compiler is needed. Noise is drawn from the global
generator: torch can't trace a torch.Generator.
"""

from __future__ import annotations

import pytest
import torch

import ddpm_teach as m
from ddpm_teach.nets import random_contexts
from tests.laws import smooth_net, steps_of_every_kind, strong

SCHEDULE = strong(m)
PLAIN = m.from_eps(smooth_net, SCHEDULE)
X, T = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([5, 9])
KNOWN = m.inpainting(m.ddim_step(PLAIN, SCHEDULE), SCHEDULE, torch.zeros_like(X), torch.ones(4, dtype=torch.bool))

FUNCTIONS = {
    "add_noise": lambda x: m.add_noise(SCHEDULE, x, T, X),
    "forward_step": lambda x: m.forward_step(SCHEDULE, x, T, X),
    "velocity": lambda x: m.velocity(SCHEDULE, x, X, T),
    "posterior": lambda x: m.posterior(SCHEDULE, x, X, 9, 5).mean,
    "from_eps": lambda x: PLAIN(x, T).x0,
    "from_x0": lambda x: m.from_x0(smooth_net, SCHEDULE)(x, T).eps,
    "from_v": lambda x: m.from_v(smooth_net, SCHEDULE)(x, 5).x0,
    "from_flow": lambda x: m.from_flow(smooth_net, SCHEDULE)(x, T).x0,
    "what the loss asks": lambda x: sum(target.ask(SCHEDULE, x, X, T) for target in m.TARGETS.values()),
    "clipped": lambda x: m.clipped(PLAIN, SCHEDULE)(x, 5).eps,
    "thresholded": lambda x: m.thresholded(PLAIN, SCHEDULE)(x, 5).x0,
    "score_corrected": lambda x: m.score_corrected(PLAIN, SCHEDULE, lambda x, t: -x, 0.1)(x, T).x0,
    "projected": lambda x: m.projected(PLAIN, SCHEDULE, torch.tanh)(x, 5).eps,
    "repeated": lambda x: m.ddpm_step(PLAIN, SCHEDULE, rng=m.repeated())(x, 9, 5).x,
    "dropped_out": lambda x: m.ddpm_step(PLAIN, SCHEDULE, rng=m.dropped_out(None, 0.2))(x, 9, 5).x,
    "guided": lambda x: m.guided(lambda x, t, c: x * c.sum(), torch.ones(1, 2), 2.0)(x, T),
    "inpainting": lambda x: KNOWN(x, 9, 5).x,
    "ddim_inversion": lambda x: m.ddim_inversion(PLAIN, SCHEDULE)(x, 5, 9).x,
    "ddim": lambda x: m.ddim_step(PLAIN, SCHEDULE)(x, 9, 5).x,
    "ddim 0.5": lambda x: m.ddim_step(PLAIN, SCHEDULE, 0.5)(x, 9, 5).x,
    "ddpm": lambda x: m.ddpm_step(PLAIN, SCHEDULE)(x, 9, 5).x,
    "heun": lambda x: m.heun_step(PLAIN, SCHEDULE)(x, 9, 5).x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_one_graph(name):
    torch._dynamo.reset()
    compiled = torch.compile(FUNCTIONS[name], fullgraph=True, backend="eager")
    torch.manual_seed(0)
    expected = FUNCTIONS[name](X)
    torch.manual_seed(0)
    torch.testing.assert_close(compiled(X), expected, rtol=1e-5, atol=1e-5)


OVER_TIMES = {  # of pictures, times, contexts
    "add_noise": lambda x, t, c: m.add_noise(SCHEDULE, x, t, X),
    "forward_step": lambda x, t, c: m.forward_step(SCHEDULE, x, t, X),
    "velocity": lambda x, t, c: m.velocity(SCHEDULE, x, X, t),
    "from_eps": lambda x, t, c: PLAIN(x, t).x0,
    "clipped": lambda x, t, c: m.clipped(PLAIN, SCHEDULE)(x, t).eps,
    "score_corrected": lambda x, t, c: m.score_corrected(PLAIN, SCHEDULE, lambda x, t: -x, 0.1)(x, t).x0,
    "guided": lambda x, t, c: m.guided(lambda x, t, c: x * c.sum() + t[0], c, 2.0)(x, t),
    "inpainting": lambda x, t, c: m.inpainting(m.ddim_step(PLAIN, SCHEDULE), SCHEDULE, x, (x > 0).float())(X, 9, 0).x,
    "snr_weight": lambda x, t, c: m.snr_weight(SCHEDULE, t, "x0", 5.0),
    "a network": lambda x, t, c: NET(x, t, c),
    "the bound": lambda x, t, c: next(m.bound_moves(PLAIN, SCHEDULE, x.sign(), [1], rng=torch.zeros_like)),
}
NET = m.AttentionUNet(1, (8,) * 4 + (16, 16), (), 8, groups=4, heads=2, context_dim=2, T=20).eval()


@pytest.mark.parametrize("name", OVER_TIMES)
@torch.no_grad()
def test_it_can_be_mapped_over_pictures_times_and_contexts(name):
    """Under torch.vmap a tensor stands for many: its shape can be checked there, its numbers can't."""
    function = OVER_TIMES[name]
    x, t, c = torch.randn(3, *X.shape), torch.tensor([[5, 9], [1, 20], [7, 7]]), torch.randn(3, 2, 2)
    if name == "a network":
        x = torch.randn(3, 2, 1, 8, 8)
    expected = torch.stack([function(*given) for given in zip(x, t, c, strict=True)])
    torch.testing.assert_close(torch.vmap(function)(x, t, c), expected, rtol=1e-4, atol=1e-4)


def test_a_schedule_that_has_no_tables_yet_is_traced_too():
    torch._dynamo.reset()
    schedule = strong(m)
    compiled = torch.compile(lambda x: m.add_noise(schedule, x, T, X), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(X), m.add_noise(SCHEDULE, X, T, X))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "net",
    [
        m.ContextUNet(1, 8, 3),
        m.LayerNormUNet((1, 12, 12)),
        m.AttentionUNet(1, (8, 16, 16, 16, 24, 24), groups=8, heads=2, size=16, dropout=0.0, context_dim=3),
        m.TextUNet(9, 5, 2, widths=(8, 16), text_width=8, groups=4, heads=2),
        m.DiffusionTransformer(9, 5, 2, width=16, depth=2, text_width=8),
    ],
    ids=lambda net: type(net).__name__,
)
def test_every_network_is_one_graph(net, training):
    torch._dynamo.reset()
    net.train(training)
    x, t = torch.randn(2, *net.image_shape), torch.tensor([3, 700])
    c = [] if (contexts := random_contexts(net, 2)) is None else [contexts]
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, t, *c), net(x, t, *c), rtol=1e-4, atol=1e-5)


def test_a_step_that_remembers_is_compiled_in_parts():
    torch._dynamo.reset()
    compiled = torch.compile(m.dpm_step(PLAIN, SCHEDULE), backend="eager")
    for times in ([20, 9, 5, 0], [20, 5, 0]):
        pairs = zip(m.walk(compiled, X, times), m.walk(m.dpm_step(PLAIN, SCHEDULE), X, times), strict=True)
        for mine, expected in pairs:
            torch.testing.assert_close(mine.x, expected.x, rtol=1e-5, atol=1e-5)


def test_every_kind_of_step_is_among_them():
    kinds = {kind.split()[0] for kind in steps_of_every_kind(m, PLAIN, SCHEDULE)}
    assert kinds - {"dpm"} <= FUNCTIONS.keys()  # whose memory of the move before is no part of a graph
