"""The laws are sharp: with one planted fault in the package they break, every time.

Each fault is a mistake seen in public code or one that is easy to make: the name of something public, the wrong version
of it, and a law that must notice. The wrong version stands in for the right one wherever the package holds it, so that
neither a file's place nor the names inside of a function matter here. Where a fault sits in the middle of a function,
a sketch of the function takes it as an option; the sketch without a fault obeys the same laws.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import torch

import ddpm_teach as m
from ddpm_teach import EDM, EPS, FLOW, FLOW_TIME, Estimate, V
from tests.laws import LAWS
from tests.sketches import (
    SKETCHES,
    bayes,
    betas_to_table,
    clipping,
    correction,
    cosine_table,
    ddim,
    ddpm,
    dpm,
    guidance,
    heun,
    inversion,
    late_rates,
    masking,
    min_snr,
    moves,
    noise_of_the_batch,
    retargeted,
    right,
    step_with_a_rounded_alpha,
    step_with_all_of_the_signal,
    straight_table,
    thinned,
    thresholding,
    unrooted_noise,
    weights,
    zero_snr,
)


def plant(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any) -> None:
    """Puts `wrong` where the package holds the public thing of this name (or the method "Class.method")."""
    owner, _, method = name.partition(".")
    if method:
        monkeypatch.setattr(right[owner], method, wrong)
        return
    holders = [vars(module) for name, module in list(sys.modules.items()) if name.split(".")[0] == "ddpm_teach"]
    holders += [value for holder in holders for value in list(holder.values()) if isinstance(value, dict)]
    for holder in holders:
        for key in [key for key, value in list(holder.items()) if value is right[name]]:
            monkeypatch.setitem(holder, key, wrong)


READ = "what_a_target_asks_for_is_read_as_what_was_put_in"
JUMP = "one_jump_is_as_many_single_steps"
ANCESTRAL = "ancestral_sampling_of_gaussian_data_follows_its_recursion"
LISTS = "lists_of_times_fall_strictly_to_zero_in_exactly_as_many_moves"
SECOND = "heun_and_dpm_converge_to_second_order_and_ddim_to_first"
DPM = "dpm_is_the_algorithm_of_its_paper"
VOCABULARIES = "the_vocabularies_tell_one_process"
CORRECTED = "a_corrected_score_is_the_score_of_the_conditional_law"
PRODUCTS = "the_tables_are_products_of_one_minus_beta"

# name: (what is wrong, its wrong version, the law that notices)
FAULTS: dict[str, tuple[str, Any, str]] = {
    # the forward process
    "an extra 1 - β_0 in every ᾱ": ("from_betas", betas_to_table(extra=True), PRODUCTS),
    "ᾱ one step late": ("Schedule.rates", late_rates, "the_rates_are_the_roots_of_the_shares"),
    "1 - ᾱ as the noise's scale, for an int": ("Schedule.rates", unrooted_noise(int), JUMP),
    "1 - ᾱ as the noise's scale, for a tensor": ("Schedule.rates", unrooted_noise(torch.Tensor), READ),
    "a line in β where Stable Diffusion has one in √β": (
        "scaled_linear",
        lambda T=1000: m.linear(T, 0.00085, 0.012),
        "the_tables_end_where_the_papers_say",
    ),
    "the cosine without its square": ("cosine", cosine_table(power=1), PRODUCTS),
    "zero SNR by shifting alone": (
        "zero_terminal_snr",
        zero_snr(scaled=False),
        "zero_terminal_snr_shifts_and_scales_the_root",
    ),
    "a straight path with the β of a longer one": (
        "straight",
        straight_table(ends_at=lambda T: 1000),
        "euler_along_the_flow_is_ddim",
    ),
    "a single step that uses ᾱ": ("forward_step", step_with_all_of_the_signal, JUMP),
    "a single step's noise from a rounded α": (
        "forward_step",
        step_with_a_rounded_alpha,
        "single_steps_keep_their_noise_in_every_precision",
    ),
    "the picture and the noise swapped in v": (
        "V",
        retargeted(V, ask=lambda schedule, x0, eps, t: V.ask(schedule, eps, x0, t)),
        READ,
    ),
    "the posterior's variance without its factor": (
        "posterior",
        bayes(variance=lambda beta_ts, ab_t, ab_s: beta_ts),
        "the_posterior_is_bayes_rule",
    ),
    "one step's β in a leap": (
        "posterior",
        bayes(beta=lambda schedule, t: schedule.beta[t].item()),
        "the_posterior_is_bayes_rule",
    ),
    # reading a network
    "x̂_0 not divided by √ᾱ": (
        "EPS",
        retargeted(EPS, read=lambda eps, x, signal, noise: Estimate(x - noise * eps, eps)),
        READ,
    ),
    "the sign of v": ("V", retargeted(V, read=lambda v, *rest: V.read(-v, *rest)), READ),
    "the flow's sign": ("FLOW", retargeted(FLOW, read=lambda u, *rest: FLOW.read(-u, *rest)), READ),
    "the flow asked for backwards, and read so": (
        "FLOW",
        retargeted(FLOW, ask=lambda schedule, x0, eps, t: x0 - eps, read=lambda u, *rest: FLOW.read(-u, *rest)),
        "euler_along_the_flow_is_ddim",
    ),
    "the flow not divided by √ᾱ + √(1 - ᾱ)": (
        "FLOW",
        retargeted(FLOW, read=lambda u, x, signal, noise: Estimate(x - noise * u, x - noise * u + u)),
        "the_four_readers_have_their_formulas",
    ),
    "the error of v as that of the noise": (
        "V",
        retargeted(V, error_in_x0=lambda snr: 1 / (1 + 1 / snr)),
        "min_snr_weighs_the_error_of_the_picture",
    ),
    "the error of the flow as that of v": (
        "FLOW",
        retargeted(FLOW, error_in_x0=V.error_in_x0),
        "the_bound_weighs_every_targets_error_as_its_moves_do",
    ),
    "the error of ε as that of the picture": (
        "EPS",
        retargeted(EPS, error_in_x0=torch.ones_like),
        "the_bound_weighs_every_targets_error_as_its_moves_do",
    ),
    "min-SNR without its min": ("snr_weight", min_snr(clamp=False), "min_snr_weighs_the_error_of_the_picture"),
    "ε̂ left behind by the clipped x̂_0": (
        "clipped",
        clipping(left_behind=True),
        "every_wrapped_estimate_still_agrees_with_its_picture",
    ),
    "one threshold for the whole batch": (
        "thresholded",
        thresholding(lambda values, quantile: values.quantile(quantile)),
        "dynamic_thresholding_looks_at_each_picture_alone",
    ),
    "guidance with 1 + scale": (
        "guided",
        guidance(lambda without, told, scale: without + (1 + scale) * (told - without)),
        "guidance_is_its_formula_at_its_price",
    ),
    "guidance's sign, s·ε_c + (s-1)·ε_u": (
        "guided",
        guidance(lambda without, told, scale: scale * told + (scale - 1) * without),
        "guidance_is_its_formula_at_its_price",
    ),
    "guidance's halves swapped": ("guided", guidance(swapped=True), "guidance_is_its_formula_at_its_price"),
    "a correction of the score with the wrong sign": (
        "score_corrected",
        correction(lambda noise, scale: scale * noise),
        CORRECTED,
    ),
    "a correction of the score without √(1 - ᾱ)": (
        "score_corrected",
        correction(lambda noise, scale: -scale),
        CORRECTED,
    ),
    "inpainting that keeps the hole": ("inpainting", masking(hole=True), "inpainting_keeps_what_is_known"),
    "inpainting with the clean picture at every time": (
        "inpainting",
        masking(time=lambda t, s: 0),
        "inpainting_keeps_what_is_known",
    ),
    "inpainting noised to the time before the move": (
        "inpainting",
        masking(time=lambda t, s: t),
        "inpainting_keeps_what_is_known",
    ),
    # three vocabularies
    "σ² for σ": ("EDM", EDM._replace(level=lambda ab: (1 - ab) / ab), VOCABULARIES),
    "the straight path without its scale": ("FLOW_TIME", FLOW_TIME._replace(scale=lambda ab: 0 * ab + 1), VOCABULARIES),
    "1 - ᾱ as the time of the flow": (
        "FLOW_TIME",
        FLOW_TIME._replace(level=lambda ab: 1 - ab, alpha_bar=lambda s: 1 - s),
        "euler_along_the_flow_is_ddim",
    ),
    "DDIM towards the noise of EDM's σ": (
        "ddim_step",
        ddim(direction=lambda ab_t, ab_s, sigma: (1 - ab_s) / ab_s),
        "euler_in_edms_sigma_is_ddim",
    ),
    # the steps
    "the factors of x_0 and x_t swapped": (
        "ddpm_step",
        ddpm(mean=lambda a, b, x0, x: a * x + b * x0),
        "a_mixture_comes_back_with_its_weights",
    ),
    "noise at the last step": (
        "ddpm_step",
        ddpm(noise_at_end=True, variance_of=lambda mix, small, large: large),
        "the_last_step_adds_no_noise",
    ),
    "the two variances swapped": (
        "ddpm_step",
        ddpm(variance_of=lambda mix, small, large: mix * small + (1 - mix) * large),
        ANCESTRAL,
    ),
    "the variance where its root belongs": ("ddpm_step", ddpm(root=lambda variance: variance), ANCESTRAL),
    "DDIM's direction without - σ²": (
        "ddim_step",
        ddim(direction=lambda ab_t, ab_s, sigma: 1 - ab_s),
        "ddim_keeps_the_marginals_for_every_eta",
    ),
    "DDIM's σ without its second factor": (
        "ddim_step",
        ddim(sigma_of=lambda ab_t, ab_s: math.sqrt((1 - ab_s) / (1 - ab_t))),
        "ddim_with_eta_one_is_ddpm_with_the_posterior_variance",
    ),
    "DDIM towards x̂_0 with t's factor": (
        "ddim_step",
        ddim(signal=lambda ab_t, ab_s: ab_t),
        "ddim_of_gaussian_data_is_the_exact_affine_map",
    ),
    "DDIM's direction with t's factor": (
        "ddim_step",
        ddim(direction=lambda ab_t, ab_s, sigma: 1 - ab_t - sigma**2),
        "data_of_one_point_come_back_exactly",
    ),
    "temperature on the mean as well": ("ddpm_step", ddpm(hot_mean=True), "temperature_scales_the_noise_alone"),
    "Heun without the mean": ("heun_step", heun(mean=lambda first, second: second), SECOND),
    "Heun's second look at the old time": ("heun_step", heun(second_time=lambda t, s: t), SECOND),
    "DPM-Solver++ drawn out by a whole and not a half": (
        "dpm_step",
        dpm(lambda x0, before, h, h_before: x0 + h / h_before * (x0 - before)),
        SECOND,
    ),
    "DPM-Solver++ with the moves' ratio upside down": (
        "dpm_step",
        dpm(lambda x0, before, h, h_before: x0 + h_before / (2 * h) * (x0 - before)),
        DPM,
    ),
    "DPM-Solver++ that remembers by the time alone": ("dpm_step", dpm(remembers=lambda x, t: t), DPM),
    "DPM-Solver++ that doesn't ask what time it is": ("dpm_step", dpm(asks=False), DPM),
    "DPM-Solver++ drawn out to the picture itself": (
        "dpm_step",
        dpm(at_the_end=True),
        DPM,
    ),
    "inversion that forgets the noise that is there": (
        "ddim_inversion",
        inversion(start=lambda schedule, x, t, eps: x / schedule.signal_rate(t, x)),
        "inversion_and_sampling_return_the_picture",
    ),
    "one noise for the whole batch": ("draw_noise", noise_of_the_batch, "members_of_a_batch_do_not_share_noise"),
    "dropped noise that isn't rescaled": (
        "dropped_out",
        thinned(rescaled=False),
        "noise_may_be_repeated_or_dropped_out",
    ),
    # times
    "range(T, 0, -(T // n))": ("trailing", lambda T, steps: [*range(T, 0, -(T // steps)), 0], LISTS),
    "a quadratic list that names a time twice": (
        "quadratic",
        lambda T, steps: [(2 * T * k * k + steps**2) // (2 * steps**2) for k in range(steps, -1, -1)],
        LISTS,
    ),
    "a list that stops at time 1": (
        "leading",
        lambda T, steps: [k * (T // steps) + 1 for k in range(steps, -1, -1)],
        LISTS,
    ),
    # the bound
    "a KL without its ½": ("bound_moves", moves(half=1.0), "the_bound_of_gaussian_data_has_closed_terms"),
    "a KL the other way round": (
        "bound_moves",
        moves(ratio=lambda true, model: model / true),
        "the_bound_of_gaussian_data_has_closed_terms",
    ),
    "a parenthesis lost, as in latent diffusion's weights of x_0": (
        "variational_weights",
        weights(lambda signal, beta, ab: signal * beta / 1 - ab),
        "the_variational_weights_are_differences_of_snr",
    ),
    "a decoder whose levels are half as wide": (
        "bound_moves",
        moves(width=0.5),
        "the_decoder_shares_out_all_of_its_mass",
    ),
    "nats for bits": ("bound_moves", moves(log=1.0), "the_bound_of_a_discrete_law_is_just_above_its_entropy"),
}


@pytest.mark.parametrize("name", SKETCHES)
def test_a_sketch_without_a_fault_obeys_the_laws(name, monkeypatch):
    """So that what breaks a law below is the fault and not the sketch."""
    plant(monkeypatch, name, SKETCHES[name])
    assert getattr(m, name) is SKETCHES[name]
    for notices in {notices for planted, _, notices in FAULTS.values() if planted == name}:
        LAWS[notices](m)


@pytest.mark.filterwarnings("ignore:alpha_bar")  # some faults leave a visible end
@pytest.mark.parametrize("fault", FAULTS)
def test_the_planted_fault_is_noticed(fault, monkeypatch):
    name, wrong, notices = FAULTS[fault]
    plant(monkeypatch, name, wrong)
    with pytest.raises(AssertionError):
        LAWS[notices](m)


def test_every_law_notices_a_fault():
    silent = LAWS.keys() - {notices for *_, notices in FAULTS.values()}
    assert silent == set(), "a law without a fault that it notices may be blind"


def test_the_package_is_whole_after_a_fault():
    for name, value in right.items():
        assert getattr(m, name) is value
