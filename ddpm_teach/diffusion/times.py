"""Lists of times for `walk`: from near T down to 0, strictly decreasing, in as many moves as asked for. Lesson 06.

`ldm_uniform` and `ldm_quad` are latent diffusion's own lists, for comparison: they count, begin and end differently.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ddpm_teach.checks import check_int, shown


def trailing(T: int, steps: int) -> list[int]:
    """Even spacing from T: the times round(T · k / steps), k = steps…0, halves up (Lin et al. 2024, table 2)."""
    check_int("steps", steps, 1, T)
    return [(2 * T * k + steps) // (2 * steps) for k in range(steps, -1, -1)]  # whole numbers round exactly


def leading(T: int, steps: int) -> list[int]:
    """Even spacing from time 1: k · ⌊T / steps⌋ + 1 for k = steps - 1…0, then 0. It begins below T (unless steps = T),
    as low as T / 2: the network is told that x is less noisy than it is.
    """
    stride = T // check_int("steps", steps, 1, T)
    return [k * stride + 1 for k in range(steps - 1, -1, -1)] + [0]


def quadratic(T: int, steps: int) -> list[int]:
    """Spacing that shrinks towards the picture: round(T · (k / steps)²), k = steps…0, but at least k: no time twice."""
    check_int("steps", steps, 1, T)
    return [max(k, (2 * T * k * k + steps**2) // (2 * steps**2)) for k in range(steps, -1, -1)]


def check_student_times(times: Iterable[int], T: int) -> tuple[int, ...]:
    """`times` as a tuple, if they are the times of a student's walk: none, or whole numbers that fall from T to 0."""
    if not isinstance(times, Iterable):
        raise TypeError(f"times: expected a list of times from {T} to 0, got {shown(times)}; use trailing({T}, 4)")
    times = tuple(check_int("times", t, 0, T) for t in times)
    if times and list(times) != sorted({T, *times, 0}, reverse=True):
        raise ValueError(f"times: expected times that fall from {T} to 0, got {shown(times)}; use trailing({T}, 4)")
    return times


def ldm_uniform(T: int, steps: int) -> list[int]:
    """Latent diffusion's "uniform" list in our times: 50 of 1000 are 982, 962, …, 22, 2 and then 1. It never reaches 0.

    Its loop counts from 0 and adds 1, so that its [1, 21, …, 981] are our [2, 22, …, 982]; its last move ends at its
    ᾱ[0], which is our ᾱ_1. Where `steps` doesn't divide T there are more moves than asked for. A ValueError where its
    own is an IndexError: for 599 of the 1000 numbers of steps at T = 1000.
    """
    return _from_ldm(T, steps, list(range(0, T, T // check_int("steps", steps, 1, T))))


def ldm_quad(T: int, steps: int) -> list[int]:
    """Latent diffusion's "quad" list in our times: it begins near 0.8 T, not at T, and ends at 1, as above.

    With many steps it names times twice; that is no move, so `walk` refuses it. `quadratic` is the list to use. A
    ValueError for as many steps as T, up to 5, as above.
    """
    check_int("steps", steps, 1, T)
    end = math.sqrt(0.8 * T)
    line = [k * (end / max(steps - 1, 1)) for k in range(steps)]
    if steps > 1:
        line[-1] = end  # numpy's linspace ends exactly
    return _from_ldm(T, steps, [int(root * root) for root in line])


def _from_ldm(T: int, steps: int, indices: list[int]) -> list[int]:
    times = [index + 2 for index in indices]  # it adds 1, and counts from 0 where we count from 1
    if times[-1] > T:
        raise ValueError(f"steps: latent diffusion's {steps} steps run to time {times[-1]}, past T = {T}; use trailing")
    return [*times[::-1], 1]


SPACINGS = {spacing.__name__: spacing for spacing in (trailing, leading, quadratic)}
