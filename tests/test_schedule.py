"""The schedule: one table ᾱ, everything else derived from it."""

from __future__ import annotations

import copy
import math
import pickle
import re
import warnings

import pytest
import torch

from ddpm_teach.checks import check_time
from ddpm_teach.diffusion.schedule import SCHEDULES, Schedule, from_betas, linear, zero_terminal_snr


def product_of_linear_betas(T: int, start: float, end: float) -> list[float]:
    """ᾱ_0…ᾱ_T by the definition, in a plain loop."""
    table = [1.0]
    for t in range(1, T + 1):
        beta = start + (end - start) * (t - 1) / (T - 1)
        table.append(table[-1] * (1 - beta))
    return table


@pytest.mark.parametrize(("T", "start", "end"), [(1000, 1e-4, 0.02), (20, 0.05, 0.6), (100, 1e-3, 0.2), (2, 0.9, 0.95)])
def test_the_table_is_the_product_of_one_minus_beta(T, start, end):
    expected = torch.tensor(product_of_linear_betas(T, start, end), dtype=torch.float64)
    schedule = linear(T, start, end)
    assert schedule.T == T
    assert schedule.alpha_bar.dtype == torch.float64 and schedule.alpha_bar.device.type == "cpu"
    torch.testing.assert_close(schedule.alpha_bar, expected, rtol=1e-11, atol=0)


def test_the_product_starts_at_time_one():
    """Setting ᾱ_0 = 1 after the product would leave an extra 1 - β_0 in every value."""
    schedule = linear()
    assert schedule.at(0) == 1
    assert schedule.at(1) == 1 - 1e-4


def test_beta_alpha_and_snr_follow_from_the_table():
    betas = torch.linspace(0.02, 0.7, 13, dtype=torch.float64)
    schedule = from_betas(betas)
    assert schedule.beta[0] == 0 and schedule.alpha[0] == 1
    torch.testing.assert_close(schedule.beta[1:], betas, rtol=1e-12, atol=0)
    torch.testing.assert_close(schedule.alpha, 1 - schedule.beta, rtol=1e-12, atol=0)
    for t in range(1, 14):
        snr = schedule.at(t) / (1 - schedule.at(t))
        assert schedule.snr[t].item() == pytest.approx(snr, rel=1e-12)
        assert schedule.log_snr[t].item() == pytest.approx(math.log(snr), rel=1e-12, abs=1e-12)
    assert schedule.snr[0] == math.inf and schedule.log_snr[0] == math.inf
    assert (schedule.snr.diff()[1:] < 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_rates_are_the_roots_in_the_dtype_of_the_picture(dtype, as_tensor):
    """signal² + noise² = 1, and each is its exact root within the dtype's rounding, at every one of the 1001 times.

    A table that was rounded to bfloat16 before 1 - ᾱ was taken would give a noise rate of 0 at t = 1 to 30.
    """
    schedule = linear()
    like = torch.empty(1001, 1, 1, 1, dtype=dtype)
    if as_tensor:
        signal, noise = (rate(torch.arange(1001), like) for rate in (schedule.signal_rate, schedule.noise_rate))
        assert signal.shape == noise.shape == (1001, 1, 1, 1)
    else:
        signal = torch.stack([schedule.signal_rate(t, like) for t in range(1001)])
        noise = torch.stack([schedule.noise_rate(t, like) for t in range(1001)])
    assert signal.dtype == noise.dtype == dtype
    # Two roundings, to float32 and to the dtype: an eps each is ample. float16 has no smaller normal number than 6e-5.
    close = dict(rtol=2 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).tiny)
    signal, noise = signal.double().flatten(), noise.double().flatten()
    torch.testing.assert_close(signal, schedule.alpha_bar.sqrt(), **close)
    torch.testing.assert_close(noise, (1 - schedule.alpha_bar).sqrt(), **close)
    torch.testing.assert_close(signal**2 + noise**2, torch.ones(1001).double(), rtol=4 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 3, 5, 5), (4, 1, 2, 3, 5)])
def test_rates_broadcast_against_any_picture(strong, shape):
    t = torch.tensor([0, 1, 7, 20])
    rate = strong.signal_rate(t, torch.empty(shape, dtype=torch.float64))
    assert rate.shape == (4, *[1] * (len(shape) - 1))
    assert rate.flatten().tolist() == pytest.approx([math.sqrt(strong.at(int(time))) for time in t], rel=1e-15)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
def test_whole_numbers_of_every_width_are_times(strong, dtype):
    """uint8 times must not be read as a mask, which is what indexing a tensor with uint8 means."""
    like = torch.empty(3, 1)
    expected = strong.signal_rate(torch.tensor([1, 0, 20]), like)
    assert torch.equal(strong.signal_rate(torch.tensor([1, 0, 20], dtype=dtype), like), expected)


READINGS = {
    "alpha_bar": lambda s: s.alpha_bar,
    "alpha": lambda s: s.alpha,
    "beta": lambda s: s.beta,
    "snr": lambda s: s.snr,
    "log_snr": lambda s: s.log_snr,
    "at": lambda s: s.at(1),
    "move": lambda s: s.move(2, 1),
    "rates": lambda s: s.rates(1, torch.zeros(2, 1)),
    "rates of each": lambda s: s.rates(torch.tensor([1, 2]), torch.zeros(2, 1)),
    "step_rates": lambda s: s.step_rates(1, torch.zeros(2, 1)),
    "signal_rate": lambda s: s.signal_rate(1, torch.zeros(2, 1)),
    "noise_rate": lambda s: s.noise_rate(1, torch.zeros(2, 1)),
    "zero_terminal_snr": zero_terminal_snr,
    "a copy": copy.deepcopy,
}


@pytest.mark.parametrize("reading", READINGS)
def test_a_table_that_was_changed_in_place_is_refused_wherever_it_is_read(reading):
    """Half of what was derived from it would be old."""
    schedule = from_betas(torch.linspace(0.05, 0.6, 20))
    for read in READINGS.values():  # whatever is kept from the first reading
        read(schedule)
    schedule.alpha_bar[1] = 0.9
    with pytest.raises(ValueError, match="alpha_bar: .*in place.*new Schedule"):
        READINGS[reading](schedule)


@pytest.mark.parametrize("name", ["alpha", "beta", "snr", "log_snr"])
def test_what_is_derived_may_be_changed_without_harm(strong, name):
    before = getattr(strong, name).clone()
    getattr(strong, name).zero_()
    assert torch.equal(getattr(strong, name), before)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_are_the_same_schedule(strong, duplicate):
    strong.rates(torch.tensor([1]), torch.zeros(1, 1))
    twin = duplicate(strong)
    assert torch.equal(twin.alpha_bar, strong.alpha_bar) and twin.T == strong.T == 20 and twin.at(3) == strong.at(3)
    assert "20" in repr(strong)


@pytest.mark.parametrize("name", ["alpha_bar", "alpha", "beta", "snr"])
def test_a_schedule_is_not_another_by_assignment(strong, name):
    with pytest.raises(AttributeError):
        setattr(strong, name, torch.ones(21))


def test_the_tables_are_double_and_on_the_cpu_whatever_is_the_default():
    expected = linear().alpha_bar
    with torch.device("meta"):
        schedule = linear()
    assert torch.equal(schedule.alpha_bar, expected)
    with torch.inference_mode():
        schedule = linear()
    assert torch.equal(schedule.alpha_bar, expected) and not schedule.alpha_bar.is_inference()


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("T", [20_000, 100_000])
def test_too_many_steps_are_a_schedule_or_one_sentence_with_the_remedy(make, T):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert make(T).T == T
        except ValueError as error:
            assert str(error).startswith(("betas: ", "alpha_bar: ")) and "\n" not in str(error)
            assert "fewer steps" in str(error) or "β" in str(error)


def test_the_schedule_keeps_its_own_table():
    table = torch.tensor([1.0, 0.5, 0.1], dtype=torch.float64)
    schedule = Schedule(table)
    table[1] = 0.9
    assert schedule.at(1) == 0.5 and schedule.alpha_bar[1] == 0.5


@pytest.mark.parametrize("T", [1, 2, 10, 50, 100, 200, 400])
def test_a_short_schedule_with_the_old_betas_warns_and_its_advice_works(T):
    """T = 200 with β ≤ 0.02 leaves ᾱ_T = 0.13. Both numbers in the advice must mend it."""
    with pytest.warns(UserWarning, match=rf"alpha_bar\[{T}\]") as caught:
        schedule = linear(T)
    message = str(caught[0].message)
    assert f"= {product_of_linear_betas(T, 1e-4, 0.02)[-1] if T > 1 else 1 - 1e-4:.3f}" in message
    factor = float(re.search(r"by about ([\d.]+)", message)[1])
    beta_end = float(re.search(r"beta_end = ([\d.e+-]+)\)", message)[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mended = from_betas((schedule.beta[1:] * factor).clamp(max=0.999))
        assert mended.alpha_bar[-1] <= 0.01
        assert linear(T, min(1e-4 * factor, 0.999), beta_end).alpha_bar[-1] <= 0.01


def test_the_shortened_schedule_of_the_tutorials_keeps_an_eighth():
    with pytest.warns(UserWarning, match="0.13"):
        assert linear(200).alpha_bar[-1].item() == pytest.approx(0.13, abs=0.005)


@pytest.mark.parametrize("T", [1000, 2000])
def test_a_schedule_that_ends_in_noise_does_not_warn(T):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear(T)


@pytest.mark.parametrize(
    "alpha_bar",
    [
        [0.9, 0.5],  # doesn't start at 1
        [1.0],  # no step
        [1.0, 0.5, 0.5],  # stays
        [1.0, 0.5, 0.6],  # rises
        [1.0, 0.5, -0.1],  # negative
        [1.0, math.nan, 0.1],
        [1.0, 0.5, math.nan],
        [[1.0, 0.5]],  # two dimensions
        [],
    ],
)
def test_a_table_that_is_no_schedule_is_refused(alpha_bar):
    with pytest.raises(ValueError, match="alpha_bar"):
        Schedule(torch.tensor(alpha_bar, dtype=torch.float64))


@pytest.mark.parametrize("betas", [[], [0.0, 0.1], [0.1, 1.0], [-0.1], [0.1, math.nan], [[0.1, 0.2]], [1e-20, 0.5]])
def test_betas_out_of_range_are_refused(betas):
    with pytest.raises(ValueError, match=r"beta|alpha_bar"):
        from_betas(torch.tensor(betas, dtype=torch.float64))


def test_a_schedule_may_end_in_pure_noise():
    schedule = Schedule(torch.tensor([1.0, 0.5, 0.0]))
    assert schedule.beta[2] == 1 and schedule.snr[2] == 0
    assert schedule.noise_rate(2, torch.zeros(1)) == 1


@pytest.mark.parametrize("t", [-1, 21, torch.tensor([3, 21]), torch.tensor([-1, 3])])
def test_times_out_of_range_are_refused(strong, t):
    with pytest.raises(ValueError, match="t: expected"):
        strong.signal_rate(t, torch.empty(2, 1))


@pytest.mark.parametrize(
    "t", [2.0, True, "3", None, torch.tensor([1.0, 2.0]), torch.tensor([True, False]), torch.tensor([1j, 2j])]
)
def test_times_that_are_no_whole_numbers_are_refused(strong, t):
    """TypeError, from our check or from the annotation's."""
    with pytest.raises(TypeError):
        strong.noise_rate(t, torch.empty(2, 1))
    with pytest.raises(TypeError):
        check_time(t, 0, 20)


@pytest.mark.parametrize("T", [0, -3, True])
def test_numbers_of_steps_below_one_are_refused(T):
    with pytest.raises((ValueError, TypeError), match="T: "):
        linear(T)
