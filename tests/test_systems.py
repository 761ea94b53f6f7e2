"""The four systems that the course carries, each from end to end through public names."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

import ddpm_teach as dt
from ddpm_teach.show import save_film, save_png
from ddpm_teach.training.presets import PRESETS, preset
from ddpm_teach.training.runs import train_run

CPU = torch.device("cpu")


def write_digits(folder, n=40):
    """Files of MNIST's layout with bright squares on black, in as many classes as squares have places."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    labels = np.arange(n, dtype=np.uint8) % 10
    images = np.zeros((n, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + label : 12 + label, 4 + label : 12 + label] = 255
    for split in ("train", "t10k"):
        (raw / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, n, 28, 28) + images.tobytes())
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, n) + labels.tobytes())


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")])
def test_ddpm_from_scratch_on_digits(name, folder, tmp_path, monkeypatch):
    """A LayerNormUNet, trained on files of that layout, best checkpoint, both sampling variances, grid, GIF."""
    write_digits(tmp_path / folder)
    monkeypatch.setenv("DDPM_TEACH_DATA", str(tmp_path))
    options = replace(preset(name, "cpu-minutes"), steps=4, batch_size=8, save_every=2)
    train_run(options, tmp_path / "run", device=CPU)
    model = dt.load_model(tmp_path / "run" / "best.pt")
    assert model.image_shape == (1, 28, 28) and len(model.classes) == 10
    last = {}
    for variance in ("beta", "posterior"):
        rng = torch.Generator().manual_seed(0)
        step = dt.ddpm_step(dt.clipped(model.denoiser, model.schedule), model.schedule, variance, rng=rng)
        frames = list(dt.walk(step, torch.randn(4, 1, 28, 28, generator=rng), dt.trailing(model.schedule.T, 10)))
        last[variance] = frames[-1].x
    assert not torch.equal(*last.values())
    save_png(last["beta"], tmp_path / "grid.png", columns=2)
    save_film(frames, tmp_path / "film.gif", columns=2)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 11


def test_context_unet_on_sprites():
    """ContextUNet told a class, none, or a mixture; DDPM and DDIM that skips; the table of shapes."""
    model, schedule = dt.load_model("sprites-context"), dt.linear()
    hero, food = model.context("hero"), model.context("food")
    mixed = (hero + food) / 2
    draw = {"eta": 0.0, "steps": 4, "seed": 0, "precision": "float32"}
    pictures = {"free": dt.sample(model, 2, **draw)}
    for name, context in {"hero": hero, "food": food, "mixed": mixed}.items():
        pictures[name] = dt.sample(model, 2, context, guidance_scale=2.0, **draw)
    assert all(x.shape == (2, 3, 16, 16) for x in pictures.values())
    values = list(pictures.values())
    assert not any(torch.equal(a, b) for i, a in enumerate(values) for b in values[:i])

    denoise = dt.clipped(dt.from_v(dt.guided(model.net, hero, 2.0), schedule), schedule)
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 3, 16, 16, generator=rng)
    *_, ddpm = dt.walk(dt.ddpm_step(denoise, schedule, rng=rng), noise, dt.trailing(1000, 4))
    *_, ddim = dt.walk(dt.ddim_step(denoise, schedule), noise, dt.trailing(1000, 4))
    assert ddpm.t == ddim.t == 0 and not torch.equal(ddpm.x, ddim.x)

    shapes = [layer.output for layer in dt.summary(model.net).layers]
    assert shapes[0][1:] == (16, 16) and (128, 1, 1) in shapes and shapes[-1] == (3, 16, 16)


def test_attention_unet_with_ema_and_resume(tmp_path):
    """AttentionUNet at 32×32: sinusoids, EMA, a checkpoint, an exact resume, and a strip of the way back."""
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (12, 1, 32, 32), generator=rng).to(torch.uint8)
    images = dt.ImageSet(pixels, torch.arange(12) % 2, ("a", "b"))
    options = dt.RunOptions(steps=4, batch_size=4, lr=1e-3, precision="float32")

    def new_run():
        torch.manual_seed(0)
        net = dt.AttentionUNet(1, (16, 16, 16, 16, 32, 32), groups=4, heads=2, dropout=0.1, context_dim=2)
        return dt.TrainState.create(net, dt.linear(), options, images.classes)

    assert torch.equal(new_run().net.time_table, dt.sinusoids(1000, 16))
    whole, cut = new_run(), new_run()
    for _ in dt.train(whole, images):
        pass
    for _ in islice(dt.train(cut, images), 2):
        pass
    dt.save_checkpoint(tmp_path / "run.pt", cut)
    resumed = dt.load_checkpoint(tmp_path / "run.pt")
    for _ in dt.train(resumed, images):
        pass
    for name, tensor in whole.ema.state_dict().items():
        assert torch.equal(tensor, resumed.ema.state_dict()[name]), name
    raw, averaged = (next(iter(net.parameters())) for net in (whole.net, whole.ema.module))
    assert not torch.equal(raw, averaged)

    frames = list(dt.Sampler(steps=5).frames(resumed.model, 2, resumed.model.context("a"), seed=0))
    from ddpm_teach.show import trajectory_strip

    assert len(trajectory_strip(frames, n=3).axes) == 6


class LatentNet(torch.nn.Module):
    """Stands for Stable Diffusion's UNet: 4×8×8 latents, told by 77 tokens of 768 numbers each."""

    image_shape, context_dim, T = (4, 8, 8), (77, 768), 1000

    def __init__(self):
        super().__init__()
        self.conv, self.read = torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.Linear(768, 4)

    def forward(self, x, t, c=None):
        words = 0 if c is None else self.read(c).mean(1)[:, :, None, None]
        return torch.tanh(self.conv(x) + words + t[:, None, None, None] / 1000)


@pytest.fixture
def latent():
    torch.manual_seed(0)
    return dt.Model(LatentNet(), dt.scaled_linear(), dt.V)


PROMPT = torch.randn(1, 77, 768, generator=torch.Generator().manual_seed(1))


def test_latent_diffusions_sampler_in_one_call(latent):
    """A context of words, unconditional_guidance_scale, eta, S and ddim_discretize through the one sampler."""
    for spacing in ("trailing", "leading", "quadratic"):
        sampler = dt.Sampler(steps=5, spacing=spacing, eta=0.5, guidance_scale=7.5)
        frames = list(sampler.frames(latent, 2, PROMPT, seed=0))
        assert len(frames) == 6 and frames[-1].x.isfinite().all()
    words = torch.cat([PROMPT, -PROMPT])
    assert dt.sample(latent, 2, words, steps=3, guidance_scale=2.0, seed=0).shape == (2, 4, 8, 8)


def ldm(latent, x, *, mask=None, x0=None, temperature=1.0, repeat=False, dropout=0.0, quantize=None, correct=None,
        negative=None, scale=7.5, times=None, eta=1.0, seed=0):  # fmt: skip
    """DDIMSampler.sample of latent diffusion, its arguments as this course writes them."""
    schedule, rng = latent.schedule, torch.Generator().manual_seed(seed)
    noise = dt.repeated(rng) if repeat else rng
    noise = dt.dropped_out(noise, dropout, rng) if dropout else noise
    denoise = latent.read(dt.guided(latent.net, PROMPT, scale, null=negative))
    if correct is not None:
        denoise = dt.score_corrected(denoise, schedule, correct)
    if quantize is not None:
        denoise = dt.projected(denoise, schedule, quantize)
    step = dt.ddim_step(denoise, schedule, eta, temperature, noise)
    if mask is not None:
        step = dt.inpainting(step, schedule, x0, mask, rng)
    *frames, last = dt.every(dt.walk(step, x, times or dt.ldm_uniform(1000, 10)), 5)  # log_every_t, callbacks
    return frames, last.x


X = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    "argument",
    [
        {"temperature": 0.0},
        {"repeat": True},
        {"dropout": 0.3},
        {"quantize": lambda x0: x0.sign()},
        {"correct": lambda x, t: -0.1 * x},
        {"negative": -PROMPT},
        {"scale": 1.0},
        {"eta": 0.0},
        {"times": dt.ldm_quad(1000, 10)},
        {"times": dt.trailing(1000, 10)[4:]},  # timesteps: the later part of the list
        {"mask": torch.ones(1, 1, 8, 8).tril(), "x0": X},
    ],
    ids=lambda argument: next(iter(argument)),
)
def test_every_argument_of_latent_diffusions_sampler_acts(latent, argument):
    (first, *_), plain = ldm(latent, X)
    _, changed = ldm(latent, X, **argument)
    assert torch.equal(first.x, X)
    assert changed.isfinite().all() and not torch.allclose(changed, plain)
    if "mask" in argument:
        kept = argument["mask"].expand_as(X).bool()
        noisy = dt.add_noise(latent.schedule, X, 1, torch.zeros_like(X))  # its list ends at our time 1
        assert (changed - noisy)[kept].abs().max() < 0.2 < (changed - noisy)[~kept].abs().max()


def test_all_presets_are_there():
    assert {"sprites", "mnist", "fashion_mnist", "mnist32", "cifar10"} <= set(PRESETS)
    assert all(set(budgets) == {"cpu-minutes", "cpu-hour", "gpu"} for budgets in PRESETS.values())
