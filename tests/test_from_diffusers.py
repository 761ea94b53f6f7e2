"""diffusers' UNets under our walk: the pictures of its own pipelines, and schedulers of every kind that can be read.

Tiny UNets with random weights: a wrong time, target or schedule shows at once. The pipelines take our ᾱ, a product in
float64; their own is one in float32.
"""

from __future__ import annotations

import copy
import inspect

import pytest
import torch

from ddpm_teach import (
    EPS,
    Model,
    clipped,
    cosine,
    ddim_step,
    ddpm_step,
    guided,
    leading,
    linear,
    sample,
    scaled_linear,
    trailing,
    walk,
    zero_terminal_snr,
)
from ddpm_teach.model_files import load_weights, save_weights
from tests.laws import generator
from tests.small_runs import make_net

diffusers = pytest.importorskip("diffusers", reason="diffusers (a development tool) is missing")
interop = pytest.importorskip("ddpm_teach.interop")

SIZES = dict(sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=4)
STABLE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def unet(**options):
    """A UNet2DModel of some ten thousand random weights."""
    torch.manual_seed(3)
    kinds = dict(down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"))
    return diffusers.UNet2DModel(**(SIZES | kinds | options)).eval()


def conditional(**options):
    """A UNet2DConditionModel as small, for contexts (b, n, 6)."""
    torch.manual_seed(3)
    kinds = dict(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D")
    )
    return diffusers.UNet2DConditionModel(**(SIZES | kinds | dict(cross_attention_dim=6) | options)).eval()


def with_our_table(scheduler):
    scheduler.alphas_cumprod = interop.schedule_of(scheduler).alpha_bar[1:].float()
    return scheduler


def drawn(kind, net, scheduler, **options):
    """Pictures (2, 3, 8, 8) of one of diffusers' pipelines, in [0, 1] as it gives them."""
    pipeline = kind(unet=net, scheduler=scheduler)
    with_our_table(pipeline.scheduler)  # a DDIMPipeline makes a scheduler of its own
    pipeline.set_progress_bar_config(disable=True)
    pictures = pipeline(batch_size=2, generator=generator(7), output_type="np", **options).images
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def walked(model, make, times):
    """The same by our walk, from the same generator: first the start, then each step's noise."""
    rng = generator(7)
    denoise = clipped(model.denoiser, model.schedule)
    *_, last = walk(make(denoise, model.schedule, rng), model.noise(2, rng), times)
    return (last.x / 2 + 0.5).clamp(0, 1)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize(("spacing", "eta"), [(leading, 0.0), (leading, 0.7), (trailing, 0.0)])
def test_the_pictures_of_its_ddim_pipeline(prediction, spacing, eta):
    net = unet()
    scheduler = diffusers.DDIMScheduler(prediction_type=prediction, timestep_spacing=spacing.__name__)
    theirs = drawn(
        diffusers.DDIMPipeline, net, scheduler, num_inference_steps=10, eta=eta, use_clipped_model_output=True
    )
    model = interop.from_diffusers(net, scheduler)
    ours = walked(model, lambda d, s, rng: ddim_step(d, s, eta, rng=rng), spacing(1000, 10))
    assert 0.1 < theirs.mean() < 0.9 and theirs.std() > 0.1
    assert (ours - theirs).abs().max() <= 1e-5


@pytest.mark.parametrize(("variance", "name"), [("posterior", "fixed_small"), ("beta", "fixed_large")])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_pictures_of_its_ddpm_pipeline(prediction, variance, name):
    net, T = unet(), 40
    scheduler = diffusers.DDPMScheduler(T, 2.5e-3, 0.5, variance_type=name, prediction_type=prediction)
    theirs = drawn(diffusers.DDPMPipeline, net, scheduler, num_inference_steps=T)
    model = interop.from_diffusers(net, scheduler)
    ours = walked(model, lambda d, s, rng: ddpm_step(d, s, variance, rng=rng), trailing(T, T))
    assert (ours - theirs).abs().max() <= 1e-5


def loop(net, scheduler, x, steps):
    """diffusers' own loop in float64, without a pipeline's last clamp; its step has our table."""
    net, scheduler = copy.deepcopy(net).double(), copy.deepcopy(scheduler)
    scheduler.alphas_cumprod = interop.schedule_of(scheduler).alpha_bar[1:]
    scheduler.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    scheduler.set_timesteps(steps)
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            x = scheduler.step(net(x, timestep).sample, timestep, x, use_clipped_model_output=True).prev_sample
    return x


@pytest.mark.parametrize("clipping", [{}, {"clip_sample_range": 0.4}, {"clip_sample": False}])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_sample_clips_as_its_scheduler_does(clipping, zero_snr):
    scheduler = diffusers.DDIMScheduler(
        timestep_spacing="trailing", prediction_type="v_prediction", rescale_betas_zero_snr=zero_snr, **clipping
    )
    model = interop.from_diffusers(unet().double(), scheduler)
    x = model.noise(2, generator(7))
    theirs = loop(unet(), scheduler, x, 10)
    assert (theirs.abs().max() <= 1) == (clipping.get("clip_sample", True))
    assert (sample(model, 2, steps=10, seed=7) - theirs).abs().max() <= 1e-9 * theirs.abs().max()


def test_our_times_are_theirs_and_one():
    net = unet()
    model = interop.from_diffusers(net, diffusers.DDIMScheduler())
    x, t = model.noise(3, generator(0)), torch.tensor([1, 500, 1000])
    with torch.no_grad():
        ours = model.net(x, t)
        assert torch.equal(ours, net(x, torch.tensor([0, 499, 999])).sample)
        assert (ours - net(x, t).sample).abs().max() > 1e-4  # one too late is another prediction


def test_contexts_are_its_encoder_hidden_states_and_none_is_the_null():
    net, null = conditional(), torch.randn(1, 5, 6, generator=generator(1))
    model = interop.from_diffusers(net, diffusers.DDIMScheduler(), null)
    assert model.context_dim == (5, 6) and model.image_shape == (4, 8, 8)
    x, t, c = model.noise(2, generator(0)), torch.tensor([3, 70]), torch.randn(2, 5, 6, generator=generator(2))
    with torch.no_grad():
        predict = lambda c: net(x, t - 1, encoder_hidden_states=c).sample  # noqa: E731
        assert torch.equal(model.net(x, t, c), predict(c))
        assert torch.equal(model.net(x, t), predict(null.expand(2, -1, -1)))
        told = guided(model.net, c, 3.0)(x, t)
        untold = predict(null.expand(2, -1, -1))
        assert torch.allclose(told, untold + 3 * (predict(c) - untold), atol=1e-5)


def test_without_a_null_there_are_77_tokens_of_zeros():
    model = interop.from_diffusers(conditional(), diffusers.DDIMScheduler())
    assert model.context_dim == (77, 6) and not model.net.null.any()


def test_sample_guides_away_from_the_null_in_any_precision():
    null = torch.randn(1, 5, 6, generator=generator(1))
    model = interop.from_diffusers(conditional(), diffusers.DDIMScheduler(), null)
    contexts, options = torch.randn(2, 5, 6, generator=generator(2)), dict(steps=4, guidance_scale=3.0, seed=1)
    step = ddim_step(clipped(model.read(guided(model.net, contexts, 3.0, null=null)), model.schedule), model.schedule)
    *_, last = walk(step, model.noise(2, generator(1)), trailing(1000, 4))
    exact = sample(model, 2, contexts, precision="float32", **options)
    assert (exact - last.x).abs().max() <= 1e-5
    fast = sample(model, 2, contexts, precision="bfloat16", **options)
    assert (fast - exact).abs().mean() < 0.05
    assert {weight.dtype for weight in model.net.parameters()} == {torch.float32}  # the network itself is as it was


@pytest.mark.parametrize(
    ("kind", "options", "schedule"),
    [
        ("DDPMScheduler", {}, linear()),
        ("DDPMScheduler", {"beta_schedule": "squaredcos_cap_v2"}, cosine()),
        ("PNDMScheduler", STABLE, scaled_linear()),
        ("EulerDiscreteScheduler", {}, linear()),
        ("EulerAncestralDiscreteScheduler", {}, linear()),
        ("HeunDiscreteScheduler", {"beta_start": 1e-4, "beta_end": 0.02}, linear()),
        ("DPMSolverMultistepScheduler", {}, linear()),
        ("UniPCMultistepScheduler", {}, linear()),
        ("DDIMScheduler", {"rescale_betas_zero_snr": True}, zero_terminal_snr(linear())),
        ("EulerDiscreteScheduler", {"rescale_betas_zero_snr": True}, zero_terminal_snr(linear())),
    ],
)
def test_every_scheduler_of_discrete_times_says_what_the_network_was_trained_with(kind, options, schedule):
    scheduler = getattr(diffusers, kind)(prediction_type="v_prediction", **options)
    model = interop.from_diffusers(unet(), scheduler)
    assert model.target.name == "v"
    assert model.schedule.T == 1000 and (model.schedule.alpha_bar - schedule.alpha_bar).abs().max() <= 1e-6


def refuse(words, error=ValueError, net=unet, scheduler=diffusers.DDIMScheduler, null=None, **options):
    """The same refusal, made by the function as it is without the shape checks of the tests."""
    with pytest.raises(error, match=f"^{words}"):
        inspect.unwrap(interop.from_diffusers)(net(**options), scheduler(), null)


@pytest.mark.parametrize("kind", ["FlowMatchEulerDiscreteScheduler", "EDMEulerScheduler", "VQDiffusionScheduler"])
def test_a_scheduler_of_other_times_is_refused(kind):
    options = {"num_vec_classes": 4} if kind == "VQDiffusionScheduler" else {}
    refuse(f"scheduler: .*discrete times.*{kind}.*DDIMScheduler", scheduler=lambda: getattr(diffusers, kind)(**options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"use_flow_sigmas": True}, "scheduler: .*discrete times"),
        ({"prediction_type": "flow_prediction", "use_flow_sigmas": False}, "scheduler: .*prediction_type.*flow_"),
    ],
)
def test_a_scheduler_of_flow_matching_is_refused(options, words):
    refuse(words, scheduler=lambda: diffusers.DPMSolverMultistepScheduler(**options))


def test_epsilon_at_zero_terminal_snr_is_refused_at_once():
    zero = lambda: diffusers.DDIMScheduler(rescale_betas_zero_snr=True)  # noqa: E731
    refuse("scheduler: expected v_prediction or sample .*got epsilon", scheduler=zero)


def test_an_alpha_bar_that_isn_t_the_product_is_refused():
    shifted = lambda: diffusers.CogVideoXDDIMScheduler(snr_shift_scale=3.0)  # noqa: E731
    refuse("scheduler: its alphas_cumprod isn't .*CogVideoXDDIMScheduler", scheduler=shifted)


@pytest.mark.parametrize(
    ("net", "options", "words"),
    [
        (unet, {"num_class_embeds": 5}, "unet: .*no more than encoder_hidden_states, got num_class_embeds=5"),
        (unet, {"class_embed_type": "timestep"}, "unet: .*got class_embed_type='timestep'"),
        (unet, {"out_channels": 6}, "unet: .*3 in and 6 out"),
        (unet, {"sample_size": None}, "unet: .*sample_size is None"),
        (unet, {"time_embedding_type": "fourier"}, "unet: .*fourier"),
        (conditional, {"time_cond_proj_dim": 8}, "unet: .*got time_cond_proj_dim=8"),
        (conditional, {"in_channels": 9}, "unet: .*9 in and 4 out"),
        (conditional, {"cross_attention_dim": (6, 6)}, "unet: .*one cross_attention_dim"),
    ],
)
def test_a_network_that_is_told_or_predicts_more_is_refused(net, options, words):
    refuse(words, net=net, **options)


def test_other_networks_and_what_is_no_scheduler_are_refused():
    refuse("unet: expected a UNet2DModel or UNet2DConditionModel, got a ContextUNet", TypeError, net=make_net)
    with pytest.raises(TypeError, match="^scheduler: expected one of diffusers, got 'ddim'"):
        inspect.unwrap(interop.schedule_of)("ddim")


@pytest.mark.parametrize(
    ("net", "null", "error", "words"),
    [
        (unet, torch.zeros(1, 5, 6), ValueError, "null: a UNet2DModel takes no contexts"),
        (conditional, torch.zeros(1, 5, 7), ValueError, r"null: .*\(1, tokens, 6\), got \(1, 5, 7\)"),
        (conditional, torch.zeros(2, 5, 6), ValueError, r"null: .*\(1, tokens, 6\), got \(2, 5, 6\)"),
        (conditional, torch.zeros(1, 5, 6).long(), TypeError, "null: expected a context of floats"),
        (conditional, "", TypeError, "null: expected a context of floats.* got ''"),
        (conditional, torch.full((1, 5, 6), torch.nan), ValueError, "null: expected finite numbers"),
    ],
)
def test_a_null_that_doesn_t_fit_is_refused(net, null, error, words):
    refuse(words, error, net=net, null=null)


def test_a_network_without_contexts_refuses_one():
    model = interop.from_diffusers(unet(), diffusers.DDIMScheduler())
    with pytest.raises(ValueError, match="^c: this network takes no context"):
        model.net(torch.zeros(1, 3, 8, 8), torch.tensor([1]), torch.zeros(1, 5, 6))


def test_the_wrong_reader_and_a_weights_file_refuse_it(tmp_path):
    model = interop.from_diffusers(unet(), diffusers.DDIMScheduler(prediction_type="v_prediction"))
    with pytest.raises(ValueError, match="^net: was trained to predict 'v', not 'eps'"):
        EPS.reader(model.net, model.schedule)
    with pytest.raises(ValueError, match="^net: expected a network of this course, got a DiffusersUNet"):
        save_weights(tmp_path / "unet.safetensors", model)


@pytest.mark.parametrize("limit", [1.0, 0.5, None])
def test_a_limit_is_kept_in_a_file_and_in_a_pipeline(limit, tmp_path):
    model = Model(make_net().eval(), linear(20, 5e-3, 0.7), limit=limit)
    save_weights(tmp_path / "net.safetensors", model)
    assert load_weights(tmp_path / "net.safetensors").limit == limit
    scheduler = interop.to_pipeline(model).scheduler
    assert interop.from_diffusers(unet(), scheduler).limit == limit


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_a_limit_of_nothing_is_refused(limit):
    with pytest.raises(ValueError, match="^limit: "):
        Model(make_net(), linear(20, 5e-3, 0.7), limit=limit)
