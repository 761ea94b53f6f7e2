"""Lists of times: ours for every number of steps, and latent diffusion's own where it works at all."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st

from ddpm_teach.diffusion.times import ldm_quad, ldm_uniform, leading, quadratic, trailing

SPACINGS = [trailing, leading, quadratic]


@given(st.integers(1, 1000).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T))))
def test_every_list_falls_strictly_to_zero_in_exactly_S_moves(T_and_steps):
    T, steps = T_and_steps
    for spacing in SPACINGS:
        times = spacing(T, steps)
        assert len(times) == steps + 1 and times[-1] == 0 and times[0] <= T
        assert all(type(t) is int and t > s for t, s in itertools.pairwise(times))
        assert times[0] == T or spacing is leading


@pytest.mark.parametrize("T", [1, 7, 99, 333, 1000])
def test_trailing_is_as_even_as_whole_numbers_can_be(T):
    for steps in range(1, T + 1):
        moves = {t - s for t, s in itertools.pairwise(trailing(T, steps))}
        assert max(moves) - min(moves) <= 1


@pytest.mark.parametrize(("T", "steps"), [(1000, 50), (1000, 7), (20, 3), (10, 4), (997, 600)])
def test_trailing_rounds_the_exact_fractions_half_up(T, steps):
    exact = [Fraction(T * k, steps) for k in range(steps, -1, -1)]
    assert trailing(T, steps) == [math.floor(time + Fraction(1, 2)) for time in exact]


@pytest.mark.parametrize(("T", "steps"), [(1000, 20), (1000, 50), (999, 7)])
def test_quadratic_rounds_the_exact_parabola(T, steps):
    """Where two roundings would meet, the later time is the number of moves that are left."""
    exact = [math.floor(Fraction(T * k * k, steps * steps) + Fraction(1, 2)) for k in range(steps, -1, -1)]
    assert quadratic(T, steps) == [max(k, time) for k, time in zip(range(steps, -1, -1), exact, strict=True)]


@pytest.mark.parametrize("spacing", [*SPACINGS, ldm_uniform, ldm_quad])
@pytest.mark.parametrize("steps", [0, -1, 1001, True, 2.0, "5", None])
def test_a_number_of_steps_that_is_impossible_is_refused(spacing, steps):
    with pytest.raises((ValueError, TypeError), match="steps"):
        spacing(1000, steps)


# --- latent diffusion's ----------------------------------------------------------------------------------------------


def test_the_uniform_list_is_what_latent_diffusion_prints():
    """Its 50 of 1000 are indices 1, 21, …, 981, our times 2, 22, …, 982; its ᾱ_prev begins with ᾱ[0], our ᾱ_1."""
    assert ldm_uniform(1000, 50) == [*range(982, 1, -20), 1]


def test_the_uniform_list_fails_where_latent_diffusion_does():
    """range(0, 1000, 1000 // S), plus 1, indexes an array of 1000: out of range for 599 of the 1000 numbers S."""
    failures = 0
    for steps in range(1, 1001):
        indices = [index + 1 for index in range(0, 1000, 1000 // steps)]
        if max(indices) > 999:
            failures += 1
            with pytest.raises(ValueError, match="steps: .* past T = 1000; use trailing"):
                ldm_uniform(1000, steps)
        else:
            assert ldm_uniform(1000, steps) == [index + 1 for index in reversed(indices)] + [1]
    assert failures == 599


def test_the_quad_list_is_the_squares_of_an_even_line_to_0_8_T():
    """For every number of steps, as numpy computes latent diffusion's formula, roundings and all."""
    for steps in range(1, 1001):
        indices = (np.linspace(0, np.sqrt(1000 * 0.8), steps) ** 2).astype(int) + 1
        assert ldm_quad(1000, steps) == [*(indices[::-1] + 1).tolist(), 1]


@pytest.mark.parametrize("T", [1, 2, 3, 4, 5])
def test_the_quad_list_fails_where_latent_diffusion_does(T):
    assert ((np.linspace(0, np.sqrt(T * 0.8), T) ** 2).astype(int) + 1).max() >= T
    with pytest.raises(ValueError, match=f"steps: .* past T = {T}; use trailing"):
        ldm_quad(T, T)


def test_the_quad_list_repeats_times_and_starts_low():
    times = ldm_quad(1000, 50)
    assert times[0] == 802 and len(set(times)) < len(times)
