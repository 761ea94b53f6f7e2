"""The autoencoder: its KL term against torch's, its scale, its training by the loop of all runs, and its refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

import ddpm_teach as dt
from ddpm_teach.data.latents import LatentSet, encoded
from ddpm_teach.model_files import digest, load_autoencoder, save_net
from ddpm_teach.nets.autoencoder import Autoencoder, Latent
from ddpm_teach.training import pages
from ddpm_teach.training.autoencoding import latent_scale, reconstruction_error, reconstruction_loss
from tests.small_runs import assert_same, snapshot

SMALL = dict(latent_channels=4, widths=(8, 8, 8, 8), depth=1, groups=4)
NET = {"name": "Autoencoder", "config": SMALL}
TINY = dt.RunOptions("scenes", net=NET, steps=6, batch_size=4, precision="float32")


@pytest.fixture(scope="module")
def scenes():
    return dt.load("scenes", "test", n=64)


@pytest.fixture
def small():
    torch.manual_seed(0)
    return Autoencoder(**SMALL)


def test_the_kl_term_is_that_of_normal_distributions():
    torch.manual_seed(0)
    latent = Latent(torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8))
    torch_says = kl_divergence(Normal(latent.mean, (latent.log_variance / 2).exp()), Normal(0, 1))
    assert torch.allclose(latent.kl(), torch_says, atol=1e-5)
    zeros = torch.zeros(1, 1, 1, 1)
    assert torch.equal(Latent(zeros, zeros).kl(), zeros)


def test_samples_have_the_mean_and_the_variance():
    latent = Latent(torch.full((1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1), 0.25).log())
    z = latent.sample(torch.randn(100_000, 1, 1, 1, generator=torch.Generator().manual_seed(0)))
    assert abs(z.mean() - 3) < 0.01 and abs(z.std() - 0.5) < 0.01


def test_scaled_latents_have_variance_one_and_decode_to_the_same_pictures(small, scenes):
    x = scenes.pictures(slice(None))
    before = small(x)
    small.scale.fill_(latent_scale(small, scenes))
    z = small.encode(x)
    assert z.shape[1:] == small.latent_shape == (4, 8, 8)
    assert abs(z.std() - 1) < 1e-3
    assert torch.allclose(small.decode(z), before, atol=1e-5)


def test_the_loss_is_error_and_weighted_kl(small, scenes):
    x, noise = scenes.pictures(slice(0, 4)), torch.zeros(4, 4, 8, 8)
    error, kl = small(x) - x, small.distribution(x).kl().mean()
    plain = error.abs().mean() + error.square().mean()
    for weight in (0.0, 0.5):
        loss, shown = reconstruction_loss(small, x, noise, weight)
        assert torch.allclose(loss, plain + weight * kl) and torch.allclose(shown, plain)
    assert torch.allclose(torch.tensor(reconstruction_error(small, scenes, n=4)), plain)


def test_noise_of_a_latent_reaches_the_encoder_s_variance(small, scenes):
    """Without reparametrisation nothing would tell the encoder how much noise the decoder bears."""
    noise = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    loss, _ = reconstruction_loss(small, scenes.pictures(slice(0, 4)), noise, 0.0)
    loss.backward()
    last = small.encoder[-1].weight.grad
    assert all(part.abs().sum() > 0 for part in last.chunk(2))  # of the mean, and of the log-variance


def trained(options, scenes, steps=None):
    net = dt.build_net(options)
    state = dt.TrainState.create(net, options.noise_schedule(), options, scenes.classes)
    for log in dt.train(state, scenes):
        if log.step == steps:
            break
    return state


def test_a_run_learns_and_goes_on_exactly(scenes, tmp_path):
    options = replace(TINY, steps=40, batch_size=16, lr=5e-3)
    whole, half = trained(options, scenes), trained(options, scenes, steps=20)
    dt.save_checkpoint(tmp_path / "half.pt", half)
    half = dt.load_checkpoint(tmp_path / "half.pt")
    for _ in dt.train(half, scenes):
        pass
    assert_same(snapshot(half), snapshot(whole))
    first = reconstruction_error(dt.build_net(options), scenes)
    assert pages.held_out_loss(whole, scenes) < 0.7 * first


def test_a_run_may_begin_with_weights(scenes, small, tmp_path):
    save_net(tmp_path / "mine.safetensors", small, ())
    net = dt.build_net(replace(TINY, start=str(tmp_path / "mine.safetensors")))
    assert (
        digest(net) == digest(load_autoencoder(tmp_path / "mine.safetensors")) and next(net.parameters()).requires_grad
    )
    with pytest.raises(ValueError, match=r"start: .*another network \(AttentionUNet\)"):
        dt.build_net(replace(TINY, start="sprites"))
    sprites = dt.preset("sprites", "cpu-hour")
    assert digest(dt.build_net(replace(sprites, start="sprites"))) == digest(dt.load_model("sprites").net)
    with pytest.raises(ValueError, match="start: sprites predicts v; use --target v"):
        dt.build_net(replace(sprites, start="sprites", target="eps"))


def test_the_kl_weight_acts(scenes):
    options = replace(TINY, steps=60, batch_size=16, lr=5e-3)
    x = scenes.pictures(slice(None))
    kls = [
        trained(replace(options, kl_weight=weight), scenes).ema.module.distribution(x).kl().mean().item()
        for weight in (0.0, 3.0)
    ]
    assert kls[1] < 0.5 * kls[0]


def test_a_page_shows_pictures_above_their_reconstructions(scenes, tmp_path):
    line = pages.page_of(trained(replace(TINY, steps=1), scenes), tmp_path / "page.png", n=4)
    assert "reconstructions" in line and (tmp_path / "page.png").stat().st_size > 1000


def test_latents_are_a_data_set_of_their_own(small, scenes):
    latents = encoded(scenes, small, batch_size=10)
    assert isinstance(latents, LatentSet) and latents.image_shape == (4, 8, 8) and len(latents) == 64
    assert torch.allclose(latents.pictures(slice(None)), small.encode(scenes.pictures(slice(None))), atol=1e-2)
    assert latents.classes == scenes.classes and torch.equal(latents.labels, scenes.labels)
    assert latents.subset([3]).pictures(slice(None)).shape == (1, 4, 8, 8)
    assert latents.fingerprint() != scenes.fingerprint()
    with pytest.raises(TypeError, match="half precision"):
        LatentSet(scenes.images, scenes.labels, scenes.classes)


def test_weights_come_back_with_their_scale_and_name(small, tmp_path):
    small.scale.fill_(1.25)
    save_net(tmp_path / "mine.safetensors", small, ())
    back = load_autoencoder(tmp_path / "mine.safetensors")
    assert back.scale == 1.25 and back.name.endswith("mine.safetensors")
    assert digest(back) == digest(load_autoencoder(tmp_path / "mine.safetensors"))
    back.scale.fill_(1.26)
    assert digest(back) != digest(load_autoencoder(tmp_path / "mine.safetensors"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("target", "v"), ("times", "stratified"), ("min_snr", 5.0), ("condition", "attributes"), ("schedule", "cosine")],
)
def test_options_without_effect_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}: .*autoencoder"):
        replace(TINY, **{name: value})


def test_what_is_no_autoencoder_s_is_refused(scenes, tmp_path, small):
    with pytest.raises(ValueError, match="kl_weight: .*autoencoder"):
        dt.RunOptions(net={"name": "ContextUNet", "config": {}}, kl_weight=1.0)
    with pytest.raises(ValueError, match="draws nothing"):
        _ = trained(replace(TINY, steps=1), scenes).model
    with pytest.raises(ValueError, match="multiple of 4"):
        Autoencoder(size=30)
    with pytest.raises(ValueError, match="four multiples of groups"):
        Autoencoder(widths=(7, 8, 8, 8))
    with pytest.raises(ValueError, match="32×32|32x32"):
        small.encode(torch.zeros(1, 3, 16, 16))
    save_net(tmp_path / "judge.safetensors", dt.Classifier(3, 16, 5), ("a", "b", "c", "d", "e"))
    with pytest.raises(ValueError, match="holds a Classifier, and no autoencoder"):
        load_autoencoder(tmp_path / "judge.safetensors")
