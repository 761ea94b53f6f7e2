"""The bound's shapes and its randomness; that its numbers are right is tests/laws.py's matter."""

from __future__ import annotations

import pytest
import torch

from ddpm_teach.data.sets import load
from ddpm_teach.diffusion.bound import (
    bound_moves,
    move_variance,
    posterior_log_variance,
    variational_bound,
    variational_weights,
)
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.targets import from_eps
from tests.laws import generator


def test_the_bound_is_its_moves_and_its_prior_one_call_each(strong, counting, untouched):
    net, x0 = counting(lambda x, t, c: 0.3 * x), load("sprites", "test").pictures(torch.arange(3))
    with untouched():
        bound = variational_bound(from_eps(net, strong), strong, x0, rng=generator(1))
    assert bound.prior.shape == (3,) and bound.moves.shape == (21, 3) and bound.total.shape == (3,)
    assert [call[1][0].item() for call in net.calls] == list(range(1, 21))
    assert (bound.prior > 0).all() and (bound.moves[1:] > 0).all() and not bound.moves[0].any()
    torch.testing.assert_close(bound.total, bound.prior + bound.moves[1:].sum(0))
    moves = list(bound_moves(from_eps(net, strong), strong, x0, range(1, 21), rng=generator(1)))
    assert torch.equal(torch.stack(moves), bound.moves[1:])


def test_a_few_times_cost_a_few_calls_and_no_gradients(strong, counting):
    net, x0 = counting(), torch.zeros(2, 5, requires_grad=True)  # not in 256 levels: only the move t = 1 asks for that
    (bits,) = bound_moves(from_eps(net, strong), strong, x0, [7])
    assert len(net.calls) == 1 and not bits.requires_grad and torch.is_grad_enabled()


def test_a_clean_picture_costs_next_to_nothing_when_it_is_known(strong):
    """All bits lie in the prior and the decoder: the moves between them are told exactly."""
    x0 = load("sprites", "test").pictures(torch.arange(4))

    def net(x, t, c=None):
        return (x - strong.signal_rate(t, x) * x0) / strong.noise_rate(t, x)

    bound = variational_bound(from_eps(net, strong), strong, x0, "posterior", generator(2))
    assert bound.moves[2:].abs().max() < 1e-6


@pytest.mark.parametrize("T", [1, 2])
def test_the_shortest_schedules_have_tables(T):
    schedule = Schedule(torch.tensor([1.0, 0.4, 0.001][: T + 1]))
    for table in (posterior_log_variance(schedule), move_variance(schedule, 0.5), variational_weights(schedule)):
        assert table.shape == (T + 1,) and table[0].isnan() and table[1:].isfinite().all()


@pytest.mark.parametrize(("variance", "v"), [("posterior", 0.0), ("beta", 1.0)])
def test_a_number_mixes_the_variances(strong, variance, v):
    named, mixed = move_variance(strong, variance), move_variance(strong, 0.25)
    assert torch.equal(named[1:], move_variance(strong, v)[1:])
    between = 0.75 * move_variance(strong, 0.0) + 0.25 * move_variance(strong, 1.0)
    torch.testing.assert_close(mixed[1:], between[1:])
