"""The laws are sharp: a copy of the package with one planted fault breaks them, every time.

Each fault is a mistake seen in public code (DESIGN.md section 4) or one that is easy to make, written as the text to
find in a file of the core and the text to put there, with a law that must notice.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ddpm_teach
from tests.laws import LAWS

CORE = (
    "checks",
    "schedule",
    "graphs",
    "devices",
    "noise",
    "times",
    "forward",
    "kinds",
    "guidance",
    "denoise",
    "sampling",
    "bound",
)

# name: (file, right, wrong, the law that notices)
FAULTS = {
    # the forward process
    "an extra 1 - β_0 in every ᾱ": (
        "schedule",
        "betas.new_ones(1), (1 - betas).cumprod(0)",
        "betas.new_ones(1), (1 - betas).cumprod(0) * (1 - betas[0])",
        "the_tables_are_products_of_one_minus_beta",
    ),
    "ᾱ one step late": (
        "schedule",
        "math.sqrt(self._floats[share][t])",
        "math.sqrt(self._floats[share][max(t - 1, 0)])",
        "the_rates_are_the_roots_of_the_shares",
    ),
    "1 - ᾱ as the noise's scale, for an int": (
        "schedule",
        "math.sqrt(self._floats[share][t])",
        '(self._floats[share][t] if share == "noise" else math.sqrt(self._floats[share][t]))',
        "one_jump_is_as_many_single_steps",
    ),
    "1 - ᾱ as the noise's scale, for a tensor": (
        "schedule",
        "self._shares[share].sqrt()",
        '(self._shares[share] if share == "noise" else self._shares[share].sqrt())',
        "the_three_readings_return_what_was_put_in",
    ),
    "a line in β where Stable Diffusion has one in √β": (
        "schedule",
        "_line(T, beta_start, beta_end, 0.5) ** 2",
        "_line(T, beta_start, beta_end)",
        "the_tables_end_where_the_papers_say",
    ),
    "the cosine without its square": (
        "schedule",
        ".cos() ** 2",
        ".cos()",
        "the_tables_are_products_of_one_minus_beta",
    ),
    "zero SNR by shifting alone": (
        "schedule",
        "root = (root - root[-1]) * root[0] / (root[0] - root[-1])",
        "root = root - root[-1]",
        "zero_terminal_snr_shifts_and_scales_the_root",
    ),
    "a single step that uses ᾱ": (
        "forward",
        "return kept * x + added * eps",
        "return schedule.signal_rate(t, x) * x + added * eps",
        "one_jump_is_as_many_single_steps",
    ),
    "a single step's noise from a rounded α": (
        "forward",
        "return kept * x + added * eps",
        "return kept * x + (1 - kept**2).sqrt() * eps",
        "single_steps_keep_their_noise_in_every_precision",
    ),
    "the picture and the noise swapped in v": (
        "forward",
        "schedule.signal_rate(t, x0) * eps - schedule.noise_rate(t, x0) * x0",
        "schedule.signal_rate(t, x0) * x0 - schedule.noise_rate(t, x0) * eps",
        "the_three_readings_return_what_was_put_in",
    ),
    "the posterior's variance without its factor": (
        "forward",
        "return Gaussian(mean, beta_ts * (1 - ab_s) / (1 - ab_t))",
        "return Gaussian(mean, beta_ts)",
        "the_posterior_is_bayes_rule",
    ),
    "the factors of x_0 and x_t swapped": (
        "forward",
        "(1 - ab_t)) * x0 + ((ab_t / ab_s) ** 0.5 * (1 - ab_s) / (1 - ab_t)) * xt",
        "(1 - ab_t)) * xt + ((ab_t / ab_s) ** 0.5 * (1 - ab_s) / (1 - ab_t)) * x0",
        "a_mixture_comes_back_with_its_weights",
    ),
    "one step's β in a leap": (
        "forward",
        "beta_ts = 1 - ab_t / ab_s",
        "beta_ts = schedule.beta[t].item()",
        "the_posterior_is_bayes_rule",
    ),
    # reading a network
    "x̂_0 not divided by √ᾱ": (
        "forward",
        "return (x - schedule.noise_rate(t, x) * eps) / schedule.signal_rate(t, x)",
        "return x - schedule.noise_rate(t, x) * eps",
        "the_three_readings_return_what_was_put_in",
    ),
    "the sign of v": (
        "denoise",
        "Estimate(velocity(schedule, v, x, t), add_noise(schedule, v, t, x))",
        "Estimate(velocity(schedule, -v, x, t), add_noise(schedule, -v, t, x))",
        "the_three_readings_return_what_was_put_in",
    ),
    "ε̂ left behind by the clipped x̂_0": (
        "denoise",
        "return Estimate(x0, noise_from(schedule, x, t, x0))",
        "return Estimate(x0, denoiser(x, t).eps)",
        "every_wrapped_estimate_still_agrees_with_its_picture",
    ),
    "one threshold for the whole batch": (
        "denoise",
        "values.quantile(quantile, dim=1)",
        "values.quantile(quantile).expand(len(x0))",
        "dynamic_thresholding_looks_at_each_picture_alone",
    ),
    "guidance with 1 + scale": (
        "guidance",
        "return without + scale * (with_context - without)",
        "return without + (1 + scale) * (with_context - without)",
        "guidance_is_its_formula_at_its_price",
    ),
    "guidance's sign, s·ε_c + (s-1)·ε_u": (
        "guidance",
        "return without + scale * (with_context - without)",
        "return scale * with_context + (scale - 1) * without",
        "guidance_is_its_formula_at_its_price",
    ),
    "guidance's halves swapped": (
        "guidance",
        "without, with_context = net(",
        "with_context, without = net(",
        "guidance_is_its_formula_at_its_price",
    ),
    "a correction of the score with the wrong sign": (
        "guidance",
        "denoiser(x, t).eps - scale",
        "denoiser(x, t).eps + scale",
        "a_corrected_score_is_the_score_of_the_conditional_law",
    ),
    "a correction of the score without √(1 - ᾱ)": (
        "guidance",
        "- scale * schedule.noise_rate(t, x) * change",
        "- scale * change",
        "a_corrected_score_is_the_score_of_the_conditional_law",
    ),
    "inpainting that keeps the hole": (
        "guidance",
        "torch.where(keep.to(x.device), noisy, frame.x)",
        "torch.where(keep.to(x.device), frame.x, noisy)",
        "inpainting_keeps_what_is_known",
    ),
    "inpainting with the clean picture at every time": (
        "guidance",
        "noisy = add_noise(schedule, original, s, draw_noise(x, rng)) if s > 0 else original",
        "noisy = original",
        "inpainting_keeps_what_is_known",
    ),
    "inpainting noised to the time before the move": (
        "guidance",
        "noisy = add_noise(schedule, original, s, draw_noise(x, rng)) if s > 0 else original",
        "noisy = add_noise(schedule, original, t, draw_noise(x, rng))",
        "inpainting_keeps_what_is_known",
    ),
    # the steps
    "noise at the last step": (
        "sampling",
        "if s == 0:  # the last",
        "if s < 0:  # the last",
        "the_last_step_adds_no_noise",
    ),
    "the two variances swapped": (
        "sampling",
        "(1 - mix) * small + mix * (1 -",
        "mix * small + (1 - mix) * (1 -",
        "ancestral_sampling_of_gaussian_data_follows_its_recursion",
    ),
    "the variance where its root belongs": (
        "sampling",
        "sigma = math.sqrt((1 - mix) *",
        "sigma = ((1 - mix) *",
        "ancestral_sampling_of_gaussian_data_follows_its_recursion",
    ),
    "DDIM's direction without - σ²": (
        "sampling",
        "max(1 - ab_s - sigma**2, 0.0)",
        "1 - ab_s",
        "ddim_keeps_the_marginals_for_every_eta",
    ),
    "DDIM's σ without its second factor": (
        "sampling",
        "eta * math.sqrt((1 - ab_s) / (1 - ab_t) * (1 - ab_t / ab_s))",
        "eta * math.sqrt((1 - ab_s) / (1 - ab_t))",
        "ddim_with_eta_one_is_ddpm_with_the_posterior_variance",
    ),
    "DDIM towards x̂_0 with t's factor": (
        "sampling",
        "x = math.sqrt(ab_s) * x0",
        "x = math.sqrt(ab_t) * x0",
        "ddim_of_gaussian_data_is_the_exact_affine_map",
    ),
    "DDIM's direction with t's factor": (
        "sampling",
        "max(1 - ab_s - sigma**2, 0.0)",
        "max(1 - ab_t - sigma**2, 0.0)",
        "data_of_one_point_come_back_exactly",
    ),
    "temperature on the mean as well": (
        "sampling",
        "return Frame(s, mean + temperature * sigma * draw_noise(x, rng), x0, eps)",
        "return Frame(s, temperature * (mean + sigma * draw_noise(x, rng)), x0, eps)",
        "temperature_scales_the_noise_alone",
    ),
    "Heun without the mean": (
        "sampling",
        "eps = (first.eps + denoiser(first.x, s).eps) / 2",
        "eps = denoiser(first.x, s).eps",
        "heun_converges_to_second_order_and_ddim_to_first",
    ),
    "Heun's second look at the old time": (
        "sampling",
        "denoiser(first.x, s).eps) / 2",
        "denoiser(first.x, t).eps) / 2",
        "heun_converges_to_second_order_and_ddim_to_first",
    ),
    "inversion that forgets the noise that is there": (
        "sampling",
        "x0 = picture_from(schedule, x, t, eps)",
        "x0 = x / schedule.signal_rate(t, x)",
        "inversion_and_sampling_return_the_picture",
    ),
    "one noise for the whole batch": (
        "noise",
        "torch.randn(x.shape, generator=rng, device=device, dtype=dtype)",
        "torch.randn(x.shape[1:], generator=rng, device=device, dtype=dtype).expand_as(x)",
        "members_of_a_batch_do_not_share_noise",
    ),
    "dropped noise that isn't rescaled": (
        "noise",
        "return noise * kept.to(x.device) / (1 - p)",
        "return noise * kept.to(x.device)",
        "noise_may_be_repeated_or_dropped_out",
    ),
    # times
    "range(T, 0, -(T // n))": (
        "times",
        "return [(2 * T * k + steps) // (2 * steps) for k in range(steps, -1, -1)]",
        "return [*range(T, 0, -(T // steps)), 0]",
        "lists_of_times_fall_strictly_to_zero_in_exactly_as_many_moves",
    ),
    "a quadratic list that names a time twice": (
        "times",
        "max(k, (2 * T * k * k + steps**2) // (2 * steps**2))",
        "(2 * T * k * k + steps**2) // (2 * steps**2)",
        "lists_of_times_fall_strictly_to_zero_in_exactly_as_many_moves",
    ),
    "a list that stops at time 1": (
        "times",
        "[k * stride + 1 for k in range(steps - 1, -1, -1)] + [0]",
        "[k * stride + 1 for k in range(steps, -1, -1)]",
        "lists_of_times_fall_strictly_to_zero_in_exactly_as_many_moves",
    ),
    # the bound
    "a KL without its ½": (
        "bound",
        "(true.mean - model.mean) ** 2 / sigma2[t]) / 2",
        "(true.mean - model.mean) ** 2 / sigma2[t])",
        "the_bound_of_gaussian_data_has_closed_terms",
    ),
    "a KL the other way round": (
        "bound",
        "ratio = true.variance / sigma2[t]",
        "ratio = sigma2[t] / true.variance",
        "the_bound_of_gaussian_data_has_closed_terms",
    ),
    "a parenthesis lost, as in latent diffusion's weights of x_0": (
        "bound",
        "(signal * schedule.beta / (1 - ab)) ** 2",
        "(signal * schedule.beta / 1 - ab) ** 2",
        "the_variational_weights_are_differences_of_snr",
    ),
    "a decoder whose levels are half as wide": (
        "bound",
        "(x0 - 1 / 255 - mean) / sigma, (x0 + 1 / 255 - mean) / sigma",
        "(x0 - 0.5 / 255 - mean) / sigma, (x0 + 0.5 / 255 - mean) / sigma",
        "the_decoder_shares_out_all_of_its_mass",
    ),
    "nats for bits": (
        "bound",
        "nats.reshape(len(nats), -1).mean(1) / math.log(2)",
        "nats.reshape(len(nats), -1).mean(1)",
        "the_bound_of_a_discrete_law_is_just_above_its_entropy",
    ),
}


@pytest.fixture
def copy_of_the_core(tmp_path, monkeypatch):
    """make(file, right, wrong): the core as a package of its own, with `right` replaced by `wrong` in one file."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(file: str | None = None, right: str = "", wrong: str = "") -> ModuleType:
        package = f"faulty_{tmp_path.name.replace('-', '_')}_{len(made)}"
        folder = tmp_path / package
        folder.mkdir()
        names = []
        for module in CORE:
            text = (Path(ddpm_teach.__file__).parent / f"{module}.py").read_text(encoding="utf8")
            if module == file:
                assert text.count(right) == 1, f"{right!r} must stand once in {file}.py"
                text = text.replace(right, wrong)
            (folder / f"{module}.py").write_text(re.sub(r"\bddpm_teach\b", package, text), encoding="utf8")
            names.append(f"from {package}.{module} import *\n")
        (folder / "__init__.py").write_text("".join(names))
        made.append(package)
        return importlib.import_module(package)

    yield make
    for name in [name for name in sys.modules if name.split(".")[0] in made]:
        del sys.modules[name]


def test_a_faultless_copy_obeys_every_law(copy_of_the_core):
    """So that what breaks a law below is the fault and not the copying."""
    core = copy_of_the_core()
    for name in {notices for *_, notices in FAULTS.values()}:
        LAWS[name](core)


@pytest.mark.filterwarnings("ignore:alpha_bar")  # some faults leave a visible end
@pytest.mark.parametrize("fault", FAULTS)
def test_the_planted_fault_is_noticed(fault, copy_of_the_core):
    file, right, wrong, notices = FAULTS[fault]
    core = copy_of_the_core(file, right, wrong)
    with pytest.raises(AssertionError):
        LAWS[notices](core)


def test_every_law_notices_a_fault():
    silent = LAWS.keys() - {notices for *_, notices in FAULTS.values()}
    assert silent == set(), "a law without a fault that it notices may be blind"
