"""What a learner reads when something is wrong: one sentence that names the argument, what came, and the remedy.

tests/test_package.py runs this file in a process of its own, without the shape checks: they would answer first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

import ddpm_teach as m
from ddpm_teach import nets
from ddpm_teach.data.images import ImageSet
from ddpm_teach.hardware import precision
from ddpm_teach.model import Model
from ddpm_teach.nets import AttentionUNet, ContextUNet, LayerNormUNet
from ddpm_teach.show import pictures
from ddpm_teach.show.films.playground import playground
from ddpm_teach.show.films.words import scrub_words
from ddpm_teach.storage import read_tensors, write_tensors
from tests.small_runs import assert_same, new_run, snapshot

S = m.from_betas(torch.linspace(0.05, 0.6, 20))
X, T3 = torch.zeros(3, 1, 16, 16), torch.tensor([1, 2, 3])


def nobody(*args: object) -> torch.Tensor:
    raise AssertionError("computed before the check")


def net(**options) -> ContextUNet:
    """A real network in which the first layer must not be reached."""
    made = ContextUNet(**{"channels": 1, "features": 8, "context_dim": 5, "size": 16, "T": 20, **options})
    made.stem.forward = nobody
    return made


def trained_for(target: str) -> ContextUNet:
    made = net()
    made.target = target
    return made


def in_place(schedule: m.Schedule) -> m.Schedule:
    schedule.alpha_bar[3] = 0.1
    return schedule


def images(classes: int = 5, channels: int = 1, size: int = 16, n: int = 4) -> ImageSet:
    names = tuple(f"class {i}" for i in range(classes))
    return ImageSet(torch.zeros(n, channels, size, size, dtype=torch.uint8), torch.zeros(n, dtype=torch.long), names)


def run(**options) -> m.TrainState:
    return m.TrainState.create(net(), S, m.RunOptions(**{"steps": 3, "batch_size": 2, **options}))


def model(**options) -> Model:
    return Model(net(**options), S, classes=("hero", "monster", "food", "spell", "facing"))


def options(**bad) -> Callable[[], object]:
    return lambda: m.RunOptions(**bad)


def sampler(**bad) -> Callable[[], object]:
    return lambda: m.sample(model(), 2, **bad)


def student(*times: int, **bad) -> Callable[[], object]:
    return lambda: m.sample(Model(net(), S, times=times or (20, 10, 0)), 2, **bad)


def accuracy(x: torch.Tensor = X[:2], labels: torch.Tensor = T3[:2]) -> Callable[[], object]:
    return lambda: m.class_accuracy(nobody, x, labels)


def own_net(shape: object) -> torch.nn.Module:
    made = torch.nn.Identity()
    made.image_shape = shape
    return made


def maps_of(net: object) -> None:
    with m.attention_maps(net):
        nobody()


TOKENIZER = m.Tokenizer(("a", "knight", "red"), length=4)
BROKEN = torch.full((3, 5), math.nan)
GUIDED = m.guided(nobody, torch.zeros(3, 5), 2.0)
DDIM = m.ddim_step(m.from_eps(nobody, S), S)
DDPM = m.ddpm_step(m.from_eps(nobody, S), S)

# id: (the call, the error, what its message must hold: the argument first, then what came, then the way out)
CASES = {
    # unknown names list the known ones
    "data set": (
        lambda: m.load("svhn"),
        ValueError,
        ["name: ", "'svhn'", "sprites", "mnist", "fashion_mnist", "cifar10"],
    ),
    "split": (lambda: m.load("sprites", "val"), ValueError, ["split: ", "'val'", "train", "test"]),
    "weights": (lambda: m.load_model("faces"), ValueError, ["weights: ", "'faces'", "sprites"]),
    "class": (lambda: model().context("hero", "elf"), ValueError, ["class: ", "'elf'", "hero, monster"]),
    "net": (lambda: nets.from_config({"name": "VGG", "config": {}}), ValueError, ["net: ", "'VGG'", "ContextUNet"]),
    "variance": (
        lambda: m.ddpm_step(nobody, S, "small"),
        ValueError,
        ["variance: ", "'small'", "beta", "posterior"],
    ),
    "precision": (
        sampler(steps=2, precision="half"),
        ValueError,
        ["precision: ", "'half'", "auto", "float32", "bfloat16"],
    ),
    # pictures, times and contexts at the network
    "channels": (
        lambda: net()(X.expand(3, 3, 16, 16), T3),
        ValueError,
        ["x: ", "expected 1 channels", "got 3", "build the net"],
    ),
    "no batch": (lambda: net()(X[0], T3), ValueError, ["x: ", "(1, 16, 16)", "(b, 1, 16, 16)"]),
    "size": (lambda: net()(torch.zeros(3, 1, 28, 28), T3), ValueError, ["x: ", "16×16", "28×28", "size="]),
    "not square": (lambda: net()(torch.zeros(3, 1, 16, 20), T3), ValueError, ["x: ", "16×16", "16×20"]),
    "t too small": (lambda: net()(X, T3 - 1), ValueError, ["t: ", "1…20", "from 0 to 2"]),
    "t too large": (lambda: net()(X, T3 + 20), ValueError, ["t: ", "1…20", "from 21 to 23"]),
    "t float": (lambda: net()(X, T3.float()), TypeError, ["t: ", "torch.float32", "t.long()"]),
    "t bool": (lambda: net()(X, T3 > 1), TypeError, ["t: ", "torch.bool", "long"]),
    "t int": (lambda: net()(X, 3), ValueError, ["t: ", "got 3", "torch.full"]),
    "t number": (lambda: net()(X, T3[:2]), ValueError, ["t: ", "(3,)", "got (2,)"]),
    "context width": (lambda: net()(X, T3, torch.zeros(3, 4)), ValueError, ["c: ", "(3, 5)", "got (3, 4)", "one_hot"]),
    "context number": (lambda: net()(X, T3, torch.zeros(1, 5)), ValueError, ["c: ", "(3, 5)", "(1, 5)"]),
    "context labels": (lambda: net()(X, T3, torch.tensor([0, 1, 2])), ValueError, ["c: ", "(3,)", "one_hot"]),
    "context list": (lambda: net()(X, T3, [0, 1, 2]), (ValueError, TypeError), ["c: "]),
    "picture bytes": (lambda: net()(X.to(torch.uint8), T3), (ValueError, TypeError), ["x: ", "uint8"]),
    "net size": (lambda: ContextUNet(size=18), ValueError, ["size: ", "18", "16, 20, 24, 28 or 32", "scale or pad"]),
    "net features": (lambda: ContextUNet(features=10), ValueError, ["features: ", "10", "multiple of 8"]),
    # times elsewhere
    "int t": (lambda: m.add_noise(S, X, 21, X), ValueError, ["t: ", "0…20", "got 21"]),
    "bool t": (lambda: m.add_noise(S, X, True, X), TypeError, ["t: ", "True", "int(t)"]),
    "float t": (lambda: m.add_noise(S, X, 2.5, X), TypeError, ["t: ", "2.5", "int(t)"]),
    "tensor t": (lambda: m.add_noise(S, X, T3 + 18, X), ValueError, ["t: ", "0…20", "from 19 to 21"]),
    "many t, one x": (lambda: m.add_noise(S, X[:1], T3, X[:1]), ValueError, ["t: ", "3"]),
    "wrong number of t": (lambda: m.add_noise(S, X, T3[:2], X), ValueError, ["t: ", "2"]),
    "wrong number of t in a denoiser": (lambda: m.from_eps(nobody, S)(X, T3[:2]), ValueError, ["t: ", "2"]),
    "eps shape": (lambda: m.add_noise(S, X, 1, X[:1]), ValueError, ["eps: ", "(3, 1, 16, 16)", "(1, 1, 16, 16)"]),
    "posterior t": (lambda: m.posterior(S, X, X, 0), ValueError, ["t: ", "1…20", "got 0"]),
    "posterior tensor t": (lambda: m.posterior(S, X, X, T3), (ValueError, TypeError), ["t: ", "int"]),
    "posterior s": (lambda: m.posterior(S, X, X, 5, 7), ValueError, ["s: ", "0…4", "got 7"]),
    "step t": (lambda: DDIM(X, 21, 3), ValueError, ["t: ", "1…20", "21"]),
    "step s": (lambda: DDPM(X, 5, 5), ValueError, ["s: ", "0…4", "got 5"]),
    "step s negative": (lambda: DDPM(X, 5, -1), ValueError, ["s: ", "got -1"]),
    "step tensor t": (lambda: DDIM(X, T3, 0), (ValueError, TypeError), ["t: ", "int"]),
    "walk floats": (lambda: m.walk(nobody, X, [2.0, 0.0]), TypeError, ["times: ", "2.0", "whole"]),
    "walk negative": (lambda: m.walk(nobody, X, [20, -1]), ValueError, ["times: ", "-1", "none negative"]),
    "walk nowhere": (lambda: m.walk(nobody, X, []), ValueError, ["times: ", "at least one"]),
    "every": (lambda: m.every([], 0), ValueError, ["n: ", "≥ 1", "got 0"]),
    # numbers
    "eta negative": (lambda: m.ddim_step(nobody, S, -0.1), ValueError, ["eta: ", "[0, 1]", "-0.1"]),
    "eta large": (lambda: m.ddim_step(nobody, S, 1.5), ValueError, ["eta: ", "[0, 1]", "1.5"]),
    "eta nan": (lambda: m.ddim_step(nobody, S, math.nan), ValueError, ["eta: ", "[0, 1]", "nan"]),
    "sample eta": (
        sampler(steps=2, eta=2.0),
        ValueError,
        ["eta: ", "[0, 1]", "2.0"],
    ),
    "temperature": (lambda: m.ddpm_step(nobody, S, temperature=-1.0), ValueError, ["temperature: ", "-1.0"]),
    "steps 0": (lambda: m.trailing(20, 0), ValueError, ["steps: ", "1…20", "got 0"]),
    "steps > T": (lambda: m.trailing(20, 21), ValueError, ["steps: ", "1…20", "got 21"]),
    "sample steps 0": (sampler(steps=0), ValueError, ["steps: ", "≥ 1", "got 0"]),
    "sample steps > T": (sampler(), ValueError, ["steps: ", "1…20", "got 50"]),
    "scale nan": (
        lambda: m.guided(nobody, torch.zeros(1, 5), math.nan),
        ValueError,
        ["scale: ", "finite", "nan"],
    ),
    "limit": (lambda: m.clipped(nobody, S, 0.0), ValueError, ["limit: ", "positive", "0.0"]),
    # contexts and guidance
    "guidance of nothing": (
        sampler(steps=2, guidance_scale=3.0),
        ValueError,
        ["guidance_scale: ", "3.0", "contexts="],
    ),
    "null": (
        lambda: m.guided(nobody, torch.zeros(1, 5), 2.0, torch.zeros(1, 4)),
        ValueError,
        ["null: ", "(5,)", "(4,)"],
    ),
    "contexts": (lambda: GUIDED(X[:2], T3[:2]), ValueError, ["context: ", "1 or 2", "got 3"]),
    "context twice": (lambda: GUIDED(X, T3, torch.zeros(3, 5)), ValueError, ["c: ", "guided"]),
    "sample context width": (
        sampler(steps=2, contexts=torch.zeros(1, 4), guidance_scale=2.0),
        ValueError,
        ["contexts: ", "(2, 5)", "(1, 4)", "model.context"],
    ),
    "sample contexts number": (
        sampler(steps=2, contexts=torch.zeros(3, 5)),
        ValueError,
        ["contexts: ", "(2, 5)", "(3, 5)", "model.context"],
    ),
    "sample contexts names": (
        sampler(steps=2, contexts="hero"),
        TypeError,
        ["contexts: ", "'hero'", "model.context('hero')"],
    ),
    "sample contexts of a free network": (
        lambda: m.sample(Model(LayerNormUNet((1, 12, 12), T=20), S), 2, torch.zeros(2, 5), steps=2),
        ValueError,
        ["contexts: ", "none", "leave them out"],
    ),
    "sample kind": (sampler(kind="euler"), ValueError, ["kind: ", "ddim, ddpm, heun, dpm", "'euler'"]),
    "sample spacing": (sampler(spacing="even"), ValueError, ["spacing: ", "trailing, leading, quadratic", "'even'"]),
    "sample eta of heun": (sampler(kind="heun", eta=0.5), ValueError, ["eta: ", "heun", "0.5", "leave it out"]),
    "sample n": (lambda: m.sample(model(), 0), ValueError, ["n: ", "≥ 1", "got 0"]),
    "sample seed": (sampler(steps=2, seed=-1), ValueError, ["seed: ", "got -1"]),
    # models
    "model schedule": (lambda: Model(net(T=1000), S), ValueError, ["schedule: ", "20", "1000"]),
    "model target": (lambda: Model(net(), S, "noise"), ValueError, ["target: ", "'noise'", "eps, x0, v, flow"]),
    "model of another target": (
        lambda: Model(trained_for("v"), S, "eps"),
        ValueError,
        ["net: ", "'v'", "'eps'", "from_v"],
    ),
    "model without a size": (lambda: Model(nobody, S), TypeError, ["net: ", "image_shape", "net.image_shape = "]),
    "student's steps": (
        student(steps=50),
        ValueError,
        ["steps: ", "student", "20, 10, 0", "got 50", "leave it out"],
    ),
    "student's kind": (student(kind="heun"), ValueError, ["kind: ", "by ddim", "got heun", "leave it out"]),
    "student's spacing": (
        student(spacing="leading"),
        ValueError,
        ["spacing: ", "20, 10, 0", "leading", "leave it"],
    ),
    "student's eta": (student(eta=1.0), ValueError, ["eta: ", "student", "got 1.0", "leave it out"]),
    "student's guidance": (
        student(guidance_scale=2.0, contexts=torch.zeros(1, 5)),
        ValueError,
        ["guidance_scale: ", "student", "guidance inside", "got 2.0", "leave it out"],
    ),
    "student of no end": (student(20, 10), ValueError, ["times: ", "from 20 to 0", "(20, 10)", "trailing(20, 4)"]),
    "student of no noise": (student(10, 0), ValueError, ["times: ", "from 20 to 0", "(10, 0)"]),
    "student of equal times": (student(20, 10, 10, 0), ValueError, ["times: ", "fall from 20", "(20, 10, 10, 0)"]),
    "student that turns": (student(20, 5, 10, 0), ValueError, ["times: ", "fall from 20", "(20, 5, 10, 0)"]),
    "student past T": (student(30, 10, 0), ValueError, ["times: ", "0…20", "got 30"]),
    "student below 0": (student(20, 0, -5), ValueError, ["times: ", "0…20", "got -5"]),
    "student of halves": (student(20, 7.5, 0), TypeError, ["times: ", "whole number", "7.5"]),
    "student of a number": (lambda: Model(net(), S, times=4), TypeError, ["times: ", "a list", "got 4", "trailing"]),
    "context of a free network": (
        lambda: Model(LayerNormUNet((1, 12, 12), T=20), S).context("hero"),
        ValueError,
        ["context: ", "none", "leave it out"],
    ),
    "context of a number": (lambda: m.load_model("mnist-context").context(3), TypeError, ["context: ", "got 3", '"3"']),
    "context by a seed": (
        lambda: m.load_model("sprites").context("hero", rng=0),
        TypeError,
        ["rng: ", "got 0", "torch.Generator().manual_seed(0)"],
    ),
    "wrong reader": (lambda: m.from_x0(trained_for("flow"), S), ValueError, ["net: ", "'flow'", "'x0'", "from_flow"]),
    # known parts, corrections, inversion, the bound
    "variance number": (lambda: m.ddpm_step(nobody, S, 1.5), ValueError, ["variance: ", "[0, 1]", "1.5"]),
    "eta text": (lambda: m.ddim_step(nobody, S, "1"), TypeError, ["eta: ", "'1'", "float(eta)"]),
    "eta bool": (lambda: m.ddim_step(nobody, S, True), TypeError, ["eta: ", "True", "float(eta)"]),
    "quantile": (lambda: m.thresholded(nobody, S, 1.5), ValueError, ["quantile: ", "[0, 1]", "1.5"]),
    "correction": (
        lambda: m.score_corrected(nobody, S, nobody, math.inf),
        ValueError,
        ["scale: ", "finite", "inf"],
    ),
    "context no tensor": (lambda: m.guided(nobody, [1, 0], 2.0), TypeError, ["context: ", "[1, 0]", "tensor"]),
    "null no tensor": (
        lambda: m.guided(nobody, torch.zeros(1, 5), 2.0, "none"),
        TypeError,
        ["null: ", "'none'", "torch.tensor"],
    ),
    "mask list": (lambda: m.inpainting(nobody, S, X, [1, 0]), TypeError, ["mask: ", "[1, 0]", "torch.tensor"]),
    "mask grey": (
        lambda: m.inpainting(nobody, S, X, X + 0.5),
        ValueError,
        ["mask: ", "zeros and ones", "threshold"],
    ),
    "mask shape": (
        lambda: m.inpainting(nobody, S, X, torch.ones(5, dtype=torch.bool)),
        ValueError,
        ["mask: ", "(3, 1, 16, 16)", "(5,)"],
    ),
    "known": (
        lambda: m.inpainting(nobody, S, X[:1], X[:1] == 0)(X, 5, 2),
        ValueError,
        ["known: ", "(3, 1, 16, 16)", "(1, 1, 16, 16)"],
    ),
    "inversion": (
        lambda: m.ddim_inversion(m.from_eps(nobody, S), S)(X, 5, 5),
        ValueError,
        ["s: ", "6…20", "got 5"],
    ),
    "noise all dropped": (lambda: m.dropped_out(None, 1.0), ValueError, ["p: ", "temperature"]),
    "picture bytes in add_noise": (
        lambda: m.add_noise(S, X.to(torch.uint8), 3, X),
        TypeError,
        ["x: ", "torch.uint8", "images.pictures"],
    ),
    "picture bytes in a denoiser": (
        lambda: m.from_eps(lambda x, t: x, S)(X.to(torch.uint8), 3),
        TypeError,
        ["x: ", "torch.uint8", "images.pictures"],
    ),
    "prediction": (
        lambda: m.from_eps(lambda x, t: x[:1], S)(X, 3),
        ValueError,
        ["net: ", "(3, 1, 16, 16)", "(1, 1, 16, 16)"],
    ),
    "projection": (
        lambda: m.projected(m.from_eps(lambda x, t: x, S), S, lambda x: x[:1])(X, 3),
        ValueError,
        ["projection: ", "(3, 1, 16, 16)", "(1, 1, 16, 16)"],
    ),
    "correction shape": (
        lambda: m.score_corrected(nobody, S, lambda x, t: x.mean())(X, 3),
        ValueError,
        ["correction: ", "(3, 1, 16, 16)", "()"],
    ),
    "correction without signal": (
        lambda: m.score_corrected(nobody, m.zero_terminal_snr(S), nobody)(X, 20),
        ValueError,
        ["t: ", "alpha_bar[20] = 0", "start at 19"],
    ),
    "log_prob": (
        lambda: m.gradient(lambda x, t: x.flatten(1))(X, 3),
        ValueError,
        ["log_prob: ", "(3,)", "(3, 256)", "log_softmax"],
    ),
    "noise shape": (
        lambda: m.draw_noise(X, lambda x: torch.randn(1)),
        ValueError,
        ["rng: ", "(3, 1, 16, 16)", "(1,)"],
    ),
    "guided schedule": (
        lambda: m.from_eps(m.guided(net(), torch.zeros(1, 5), 2.0), m.linear()),
        ValueError,
        ["schedule: ", "1000", "T = 20"],
    ),
    "nulls": (
        lambda: m.guided(nobody, torch.zeros(1, 5), 2.0, torch.zeros(2, 5))(X, T3),
        ValueError,
        ["null: ", "1 or 3", "got 2"],
    ),
    "zero snr of one step": (
        lambda: m.zero_terminal_snr(m.Schedule(torch.tensor([1.0, 0.5]))),
        ValueError,
        ["schedule.T: ", "≥ 2", "got 1"],
    ),
    "variance list": (lambda: m.ddpm_step(nobody, S, [1]), TypeError, ["variance: ", "[1]"]),
    "limit text": (lambda: m.clipped(nobody, S, "1"), TypeError, ["limit: ", "'1'"]),
    "beta none": (lambda: m.linear(10, None), TypeError, ["beta_start: ", "None"]),
    "bound range": (lambda: m.bound_moves(nobody, S, X + 3, [1]), ValueError, ["x0: ", "256 levels"]),
    "bound levels": (
        lambda: m.bound_moves(nobody, S, X + 0.3, [1]),
        ValueError,
        ["x0: ", "256 levels", "images.pictures"],
    ),
    "bound times": (lambda: m.bound_moves(nobody, S, X, [0]), ValueError, ["times: ", "1…20", "got 0"]),
    "target": (lambda: m.variational_weights(S, "noise"), ValueError, ["target: ", "'noise'", "eps, x0, v, flow"]),
    "leading": (lambda: m.leading(20, 21), ValueError, ["steps: ", "1…20", "got 21"]),
    "quadratic": (lambda: m.quadratic(20, 0), ValueError, ["steps: ", "1…20", "got 0"]),
    "ldm": (lambda: m.ldm_uniform(1000, 600), ValueError, ["steps: ", "600", "T = 1000", "trailing"]),
    # schedules
    "beta_start": (lambda: m.linear(10, 0.0), ValueError, ["beta_start: ", "between 0 and 1", "0.0"]),
    "beta_end": (lambda: m.scaled_linear(10, 0.1, 1.5), ValueError, ["beta_end: ", "between 0 and 1", "1.5"]),
    "max_beta": (lambda: m.cosine(10, max_beta=1.0), ValueError, ["max_beta: ", "between 0 and 1", "1.0"]),
    "cosine s": (lambda: m.cosine(10, -0.1), ValueError, ["s: ", "-0.1"]),
    "table": (lambda: m.Schedule(torch.tensor([0.9, 0.5])), ValueError, ["alpha_bar: ", "start at 1"]),
    "table shape": (lambda: m.Schedule(torch.ones(1, 2)), ValueError, ["alpha_bar: ", "(T + 1,)", "(1, 2)"]),
    "betas": (lambda: m.from_betas(torch.tensor([0.1, 1.0])), ValueError, ["betas: ", "between 0 and 1"]),
    "T": (lambda: m.linear(0), ValueError, ["T: ", "≥ 1", "got 0"]),
    "no signal": (
        lambda: m.from_eps(nobody, m.Schedule(torch.tensor([1.0, 0.5, 0.0])))(X, 2),
        ValueError,
        ["t: ", "alpha_bar[2] = 0", "start at 1"],
    ),
    # training
    "training channels": (
        lambda: m.train(run(), images(channels=3)),
        ValueError,
        ["images: ", "(1, 16, 16)", "(3, 16, 16)", "load"],
    ),
    "training size": (lambda: m.train(run(), images(size=28)), ValueError, ["images: ", "(1, 28, 28)", "size="]),
    "training classes": (
        lambda: m.train(run(), images(classes=3)),
        ValueError,
        ["images: ", "width 5", "3 classes"],
    ),
    "no pictures": (lambda: m.train(run(), images(n=0)), ValueError, ["images: ", "at least one"]),
    "options": (lambda: m.TrainState.create(net(), S, {"steps": 3}), TypeError, ["options: ", "RunOptions"]),
    "frozen": (
        lambda: m.TrainState.create(net().requires_grad_(False), S),
        ValueError,
        ["net: ", "no trainable", "requires_grad_(True)"],
    ),
    "batch size": (options(batch_size=0), ValueError, ["batch_size: ", "≥ 1", "got 0"]),
    "steps float": (options(steps=1.5), TypeError, ["steps: ", "1.5", "int(steps)"]),
    "steps none": (options(steps=0), ValueError, ["steps: ", "≥ 1", "got 0"]),
    "learning rate": (options(lr=0.0), ValueError, ["lr: ", "positive", "0"]),
    "learning rate nan": (options(lr=math.nan), ValueError, ["lr: ", "nan"]),
    "decay": (options(ema_decay=1.0), ValueError, ["ema_decay: ", "less than 1"]),
    "decay large": (options(ema_decay=1.5), ValueError, ["ema_decay: ", "1.5"]),
    "dropout": (options(context_dropout=2.0), ValueError, ["context_dropout: ", "[0, 1]", "2.0"]),
    "min_snr": (options(min_snr=-1.0), ValueError, ["min_snr: ", "-1.0"]),
    "training seed": (options(seed=-1), ValueError, ["seed: ", "got -1"]),
    "training times": (options(times="even"), ValueError, ["times: ", "uniform, stratified, logit-normal", "'even'"]),
    "training target": (options(target="noise"), ValueError, ["target: ", "eps, x0, v, flow", "'noise'"]),
    "training schedule": (options(schedule="flat"), ValueError, ["schedule: ", "linear", "cosine", "'flat'"]),
    "training precision": (options(precision="16"), ValueError, ["precision: ", "'16'", "float32"]),
    "noise where none can be read": (
        options(target="eps", schedule="straight"),
        ValueError,
        ["target: ", "eps", "straight", "x0, v or flow"],
    ),
    # pictures
    "picture floats": (
        lambda: ImageSet(torch.rand(4, 1, 16, 16), torch.zeros(4, dtype=torch.long), ("a",)),
        TypeError,
        ["images: ", "uint8", "float32", "* 255"],
    ),
    "picture floats in [-1, 1]": (
        lambda: ImageSet(torch.linspace(-1, 1, 1024).reshape(4, 1, 16, 16), torch.zeros(4, dtype=torch.long), ("a",)),
        TypeError,
        ["images: ", "uint8", "float32", "* 127.5"],
    ),
    "channels last": (
        lambda: ImageSet(torch.zeros(4, 16, 16, 3, dtype=torch.uint8), torch.zeros(4, dtype=torch.long), ("a",)),
        ValueError,
        ["images: ", "(4, 16, 16, 3)", "permute"],
    ),
    "labels": (
        lambda: ImageSet(images().images, torch.tensor([0, 1, 2, 3]), ("a", "b")),
        ValueError,
        ["labels: ", "2 classes", "from 0 to 3"],
    ),
    "labels number": (
        lambda: ImageSet(images().images, torch.zeros(3, dtype=torch.long), ("a",)),
        ValueError,
        ["labels: ", "(4,)", "(3,)"],
    ),
    "walk from bytes": (
        lambda: m.walk(nobody, images().images, [20, 0]),
        TypeError,
        ["x: ", "uint8", "127.5"],
    ),
    "walk from a list": (lambda: m.walk(nobody, [[0.0]], [20, 0]), TypeError, ["x: ", "list", "torch.as_tensor"]),
    "walk of nobody": (lambda: m.walk(nobody, X[:0], [20, 0]), ValueError, ["x: ", "at least one", "(0, 1, 16, 16)"]),
    "walk bool": (lambda: m.walk(nobody, X, [True]), TypeError, ["times: ", "True", "int(t)"]),
    "inpainting bytes": (
        lambda: m.inpainting(nobody, S, images().images, X[:1] == 0),
        TypeError,
        ["known: ", "uint8", "127.5"],
    ),
    # networks
    "net time_dim": (lambda: LayerNormUNet(time_dim=99), ValueError, ["time_dim: ", "even", "99"]),
    "net widths": (
        lambda: AttentionUNet(widths=(7, 16, 16, 16, 24, 24), groups=1, heads=1, size=16),
        ValueError,
        ["widths: ", "even", "(7, "],
    ),
    "too many steps": (lambda: m.linear(100_000), ValueError, ["betas: ", "100000", "fewer steps"]),
    "table in place": (lambda: in_place(m.linear()).at(1), ValueError, ["alpha_bar: ", "in place", "new Schedule"]),
    "net channels": (lambda: ContextUNet(channels=0), ValueError, ["channels: ", "≥ 1", "got 0"]),
    "net context": (lambda: ContextUNet(1, 8, 0), ValueError, ["context_dim: ", "≥ 1", "got 0"]),
    "net context negative": (lambda: AttentionUNet(context_dim=-1), ValueError, ["context_dim: ", "≥ 1", "got -1"]),
    "net context float": (lambda: AttentionUNet(context_dim=2.0), TypeError, ["context_dim: ", "2.0", "int("]),
    "net T": (lambda: LayerNormUNet(T=0), ValueError, ["T: ", "≥ 1", "got 0"]),
    "net heads": (lambda: AttentionUNet(heads=0), ValueError, ["heads: ", "≥ 1", "got 0"]),
    "net groups": (lambda: AttentionUNet(groups=0), ValueError, ["groups: ", "≥ 1", "got 0"]),
    "net dropout": (lambda: AttentionUNet(dropout=2.0), ValueError, ["dropout: ", "2.0"]),
    "net widths number": (lambda: AttentionUNet(widths=64), TypeError, ["widths: ", "64", "widths=("]),
    "net attention": (lambda: AttentionUNet(attention_at=16), TypeError, ["attention_at: ", "16", "attention_at=("]),
    "net words": (lambda: m.TextUNet(words=True), TypeError, ["words: ", "≥ 2", "True"]),
    "net text widths": (lambda: m.TextUNet(9, widths=80), TypeError, ["widths: ", "80", "widths=("]),
    "net transformer depth": (lambda: m.DiffusionTransformer(9, depth=0), ValueError, ["depth: ", "≥ 1", "got 0"]),
    "net image_shape": (
        lambda: LayerNormUNet((28, 28)),
        TypeError,
        ["image_shape: ", "(28, 28)", "(channels, height, width)"],
    ),
    "net norm": (lambda: ContextUNet(norm=["group"]), ValueError, ["norm: ", "batch, group", "['group']"]),
    "classifier size": (lambda: nets.Classifier(size=4), ValueError, ["size: ", "≥ 8", "got 4"]),
    "classifier classes": (lambda: nets.Classifier(classes=0), ValueError, ["classes: ", "≥ 1", "got 0"]),
    "reader size": (lambda: nets.SceneReader(size=2), ValueError, ["size: ", "≥ 4", "got 2"]),
    "reader columns": (lambda: nets.SceneReader(columns=53), TypeError, ["columns: ", "53", "columns=("]),
    "sinusoids odd": (lambda: m.sinusoids(10, 5), ValueError, ["dim: ", "even", "5"]),
    "net description": (
        lambda: m.RunOptions(net={"name": "ContextUNet", "config": {"bogus": 1}}),
        ValueError,
        ["net: ", "channels, features", "'bogus'", "leave it out"],
    ),
    "own net without a shape": (lambda: Model(own_net(None), S), TypeError, ["net: ", "None", "net.image_shape = ("]),
    "own net with half a shape": (lambda: Model(own_net((1, None)), S), TypeError, ["net: ", "net.image_shape = ("]),
    # words
    "captions of numbers": (lambda: TOKENIZER.encode([3]), TypeError, ["captions: ", "got 3", '"3"']),
    "captions a number": (lambda: TOKENIZER.encode(3), TypeError, ["captions: ", "got 3", '"a red apple"']),
    "word unknown": (lambda: TOKENIZER.encode("a knigt"), ValueError, ["captions: ", "'knigt'", "knight"]),
    "caption too long": (
        lambda: TOKENIZER.encode("a a a a a"),
        ValueError,
        ["captions: ", "at most 4", "got 5", "1 out"],
    ),
    "words in a list": (lambda: m.Tokenizer(["red"]), TypeError, ["words: ", "tuple", "['red']", "vocabulary()"]),
    "words in two rows": (lambda: TOKENIZER.decode([[1], [2]]), ValueError, ["row: ", "0…3", "[[1], [2]]", "for row"]),
    "words of floats": (lambda: TOKENIZER.decode(torch.ones(2)), ValueError, ["row: ", "0…3", "for row"]),
    "captions as text": (
        lambda: m.TextUNet(9)(torch.zeros(1, 16, 8, 8), T3[:1], "a knight"),
        TypeError,
        ["c: ", "(1, 56)", "'a knight'", "tokenizer.encode"],
    ),
    "maps of a Model": (lambda: maps_of(model()), TypeError, ["net: ", "model.net"]),
    "maps of no words": (lambda: maps_of(net()), ValueError, ["net: ", "words", "TextUNet", "ContextUNet"]),
    # classes and contexts
    "classes as a word": (
        lambda: Model(net(context_dim=2), S, classes="ab"),
        TypeError,
        ["classes: ", "'ab'", '("cat"'],
    ),
    "classes of a run": (lambda: m.TrainState.create(net(), S, classes="abcde"), TypeError, ["classes: ", "'abcde'"]),
    "classes twice": (
        lambda: Model(net(context_dim=2), S, classes=("a", "a")),
        ValueError,
        ["classes: ", "'a' twice", "own name"],
    ),
    "classes twice in pictures": (
        lambda: ImageSet(images().images, images().labels, ("a", "b", "a")),
        ValueError,
        ["classes: ", "'a' twice", "own name"],
    ),
    "classes twice in a run": (
        lambda: m.TrainState.create(net(), S, classes=list("abcda")),
        ValueError,
        ["classes: ", "'a' twice"],
    ),
    "classes number": (
        lambda: Model(net(context_dim=2), S, classes=("a", "b", "c")),
        ValueError,
        ["classes: ", "width 2", "3 classes", "name 2"],
    ),
    "classes number of a run": (
        lambda: m.TrainState.create(net(), S, classes=["a", "b"]),
        ValueError,
        ["classes: "],
    ),
    "contexts array": (
        sampler(steps=2, contexts=torch.zeros(1, 5).numpy()),
        TypeError,
        ["contexts: ", "ndarray", "(1, 5)", "torch.as_tensor"],
    ),
    "contexts nan": (
        sampler(steps=2, contexts=BROKEN[:1, :5]),
        ValueError,
        ["contexts: ", "finite", "NaN", "find out"],
    ),
    "guided by an array": (
        lambda: m.guided(nobody, torch.zeros(99, 5).numpy(), 2.0),
        TypeError,
        ["context: ", "ndarray", "(99, 5)", "torch.tensor"],
    ),
    "guided by nan": (lambda: m.guided(nobody, BROKEN, 2.0), ValueError, ["context: ", "finite", "NaN", "find out"]),
    "known nan": (
        lambda: m.inpainting(nobody, S, X * math.nan, X == 0),
        ValueError,
        ["known: ", "finite", "NaN", "find out"],
    ),
    "gamma nan": (lambda: m.snr_weight(S, T3, "eps", math.nan), ValueError, ["gamma: ", "nan"]),
    "gamma negative": (lambda: m.snr_weight(S, T3, "eps", -1), ValueError, ["gamma: ", "-1"]),
    "gamma zero": (lambda: m.snr_weight(S, T3, "eps", 0), ValueError, ["gamma: ", "positive", "0"]),
    # unknown words and devices
    "sampler kind list": (
        lambda: m.Sampler(kind=["ddim"]),
        ValueError,
        ["kind: ", "ddim, ddpm, heun, dpm", "['ddim']"],
    ),
    "sampler spacing none": (lambda: m.Sampler(spacing=None), ValueError, ["spacing: ", "trailing", "None"]),
    "sampler precision": (lambda: m.Sampler(precision="fp8"), ValueError, ["precision: ", "bfloat16", "'fp8'"]),
    "target list": (lambda: Model(net(), S, ["eps"]), ValueError, ["target: ", "eps, x0, v, flow", "['eps']"]),
    "sample keyword": (
        lambda: m.sample(model(), 2, guidance=3),
        TypeError,
        ["guidance: ", "steps", "guidance_scale", "precision"],
    ),
    "device of a model": (lambda: m.load_model("sprites", "foo"), ValueError, ["device: ", "'foo'", "'cpu'"]),
    "device elsewhere": (lambda: model().to("cuda:99"), ValueError, ["device: ", "'cuda:99'", "use '"]),
    "device of a run": (lambda: run().to("foo"), ValueError, ["device: ", "'foo'", "use '"]),
    "device of a checkpoint": (lambda: m.load_checkpoint("never", device="foo"), ValueError, ["device: ", "'foo'"]),
    "device of pictures": (lambda: images().to("foo"), ValueError, ["device: ", "'foo'", "use '"]),
    "budget": (lambda: m.preset("mnist", "x"), ValueError, ["budget: ", "'x'", "cpu-hour"]),
    # schedules, runs and pictures that aren't
    "schedule of a model": (lambda: Model(net(), None), TypeError, ["schedule: ", "None", "linear("]),
    "schedule of a run": (
        lambda: m.TrainState.create(net(), "linear"),
        TypeError,
        ["schedule: ", "'linear'", "linear("],
    ),
    "schedule of a reader": (lambda: m.from_v(nobody, 1000), TypeError, ["schedule: ", "1000", "linear("]),
    "schedule of one's own": (
        lambda: m.TrainState.create(net(), S).options.noise_schedule(),
        ValueError,
        ["schedule: ", "own", "state.schedule"],
    ),
    "train none": (lambda: m.train(run(), None), TypeError, ["images: ", "None", "ImageSet(images, labels"]),
    "train a tensor": (lambda: m.train(run(), images().images), TypeError, ["images: ", "(4, 1, 16, 16)", "ImageSet("]),
    "train a model": (lambda: m.train(model(), images()), TypeError, ["state: ", "Model", "TrainState.create"]),
    "save a model as a run": (lambda: m.save_checkpoint("never", model()), TypeError, ["state: ", "TrainState.create"]),
    "validation on a tensor": (lambda: m.validation_loss(model(), X), TypeError, ["images: ", "ImageSet("]),
    "validation on other classes": (
        lambda: m.validation_loss(model(), images()),
        ValueError,
        ["images: ", "'hero'", "'class 0'", "load"],
    ),
    "validation seed": (lambda: m.validation_loss(model(), images(), seed=-1), ValueError, ["seed: ", "got -1"]),
    "validation seed large": (lambda: m.validation_loss(model(), images(), seed=2**70), ValueError, ["seed: "]),
    "step seed": (lambda: m.step_generator(-1, 0), ValueError, ["seed: ", "got -1"]),
    "sampler by name": (lambda: m.evaluate(model(), "ddim"), TypeError, ["sampler: ", "'ddim'", "Sampler(steps="]),
    "columns none": (
        lambda: ImageSet(images().images, images().labels, (), None),
        TypeError,
        ["attributes: ", "None", "{}"],
    ),
    "columns number": (
        lambda: ImageSet(images().images, images().labels, (), {"x": 3}),
        ValueError,
        ["attributes: ", "'x'", "4 pictures"],
    ),
    "subset beyond": (lambda: images().subset([0, 4]), ValueError, ["index: ", "0…3", "0 to 4"]),
    "subset floats": (lambda: images().subset([0.0, 1.0]), TypeError, ["index: ", "float32", "torch.tensor(["]),
    "subset one": (lambda: images().subset(0), TypeError, ["index: ", "()", "torch.tensor(["]),
    "subset mask": (lambda: images().subset([True, False]), ValueError, ["index: ", "mask of 4", "got 2"]),
    # metrics
    "accuracy of one label": (accuracy(labels=torch.tensor([1])), ValueError, ["labels: ", "(2,)", "(1,)"]),
    "accuracy of columns": (accuracy(labels=torch.tensor([[1], [1]])), ValueError, ["labels: ", "(2,)", "(2, 1)"]),
    "accuracy of floats": (accuracy(labels=torch.ones(2)), TypeError, ["labels: ", "float32", "labels.long()"]),
    "accuracy of nothing": (accuracy(x=X[:0], labels=T3[:0]), ValueError, ["x: ", "at least one"]),
    "accuracy of bytes": (accuracy(x=images(n=2).images), TypeError, ["x: ", "uint8", "127.5"]),
    "diversity of bytes": (lambda: m.diversity(images().images, T3), TypeError, ["values: ", "uint8", "pictures"]),
    "diversity lengths": (lambda: m.diversity(X, torch.zeros(4).long()), ValueError, ["labels: ", "(3,)", "(4,)"]),
    "nearest of bytes": (lambda: m.nearest(images().images, X), TypeError, ["x: ", "uint8", "pictures"]),
    "nearest of nothing": (lambda: m.nearest(X[:0], X), ValueError, ["x: ", "at least one", "(0, 1, 16, 16)"]),
    "nearest among bytes": (lambda: m.nearest(X, images().images), TypeError, ["among: ", "uint8"]),
    "frechet widths": (
        lambda: m.frechet_distance(m.Moments.of(torch.rand(4, 3)), m.Moments.of(torch.rand(4, 2))),
        ValueError,
        ["b: ", "3", "got 2"],
    ),
    "frechet of features": (lambda: m.frechet_distance(torch.rand(4, 3), X), TypeError, ["a: ", "Moments.of"]),
    "moments of nan": (lambda: m.Moments.of(BROKEN), ValueError, ["features: ", "finite"]),
    # the rest
    "pad": (lambda: m.load("sprites", "test", size=8), ValueError, ["size: ", "16", "padded", "got 8"]),
    "film": (lambda: pictures.save_film([], "never.gif"), ValueError, ["frames: ", "at least one"]),
    "film format": (lambda: pictures.save_film([], "never.mp4"), ValueError, ["path: ", ".gif or .webp", "never.mp4"]),
    "device precision": (lambda: precision.compute_dtype(torch.device("cpu"), ""), ValueError, ["precision: ", "''"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_in_one_sentence_before_any_computation(case):
    """`nobody` stands where a computation would begin; it would raise an AssertionError, which is no ValueError."""
    call, kind, words = CASES[case]
    with pytest.raises(kind) as error:
        call()
    message = str(error.value)
    assert type(error.value) in (ValueError, TypeError), "our own, not torch's"
    assert message.startswith(words[0]), message
    assert [word for word in words if word not in message] == []
    assert "\n" not in message and len(message) < 300


# What takes a Net or a Model, given the other, or something else: one sentence for each.
OF_A_NET = {
    "reader": lambda net: m.from_eps(net, S),
    "guided": lambda net: m.guided(net, torch.zeros(1, 5), 2.0),
    "run": lambda net: m.TrainState.create(net, S),
    "model": lambda net: Model(net, S),
    "summary": m.summary,
}
OF_A_MODEL = {
    "sample": lambda model: m.sample(model, 1),
    "first edition's sample": lambda model: m.sample(model, S, (1, 1, 16, 16)),
    "frames": lambda model: m.Sampler().frames(model, 1),
    "evaluate": lambda model: m.evaluate(model, m.Sampler()),
    "validation": lambda model: m.validation_loss(model, images()),
    "weights": lambda model: m.save_weights("never", model),
    "playground": playground,
    "film of words": lambda model: scrub_words(model, "a king"),
}


@pytest.mark.parametrize("call", OF_A_NET.values(), ids=OF_A_NET)
@pytest.mark.parametrize(("given", "came"), [(model, "Model"), (run, "TrainState"), (lambda: None, "None")])
def test_what_takes_a_network_says_where_a_model_has_it(call, given, came):
    with pytest.raises(TypeError, match=rf"^net: expected a network.* got .*{came}.*; use model\.net") as error:
        call(given())
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("call", OF_A_MODEL.values(), ids=OF_A_MODEL)
@pytest.mark.parametrize(
    ("given", "came"), [(net, "ContextUNet"), (run, "TrainState"), (lambda: "sprites", "'sprites'")]
)
def test_what_takes_a_model_says_how_to_make_one(call, given, came):
    with pytest.raises(
        TypeError, match=rf"^model: expected a Model, got .*{came}.*; use .*Model\(net, schedule\)"
    ) as error:
        call(given())
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_damaged_file_is_told_with_its_path_and_a_way_out(tmp_path):
    path = tmp_path / "file"
    write_tensors(path, "weights", {"a": torch.zeros(3)}, {})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError) as error:
        read_tensors(path, "weights")
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "damaged or cut off" in message and "restore it" in message


def forged(path, changes: dict, without: str = "") -> None:
    """The file, whole and with a right checksum, but with other contents: another edition's, or another program's."""
    kind = "checkpoint" if path.suffix == ".pt" else "weights"
    tensors, meta = read_tensors(path, kind)
    meta = {name: value for name, value in (meta | changes).items() if value != "gone"}
    tensors = {name: tensor for name, tensor in tensors.items() if not (without and name.endswith(without))}
    write_tensors(path, kind, tensors, meta)


NET = {"name": "ContextUNet", "config": dict(channels=1, features=8, context_dim=2, size=16, T=20)}
FORGED = {
    "no net": ({"net": "gone"}, ""),
    "no classes": ({"classes": "gone"}, ""),
    "classes of numbers": ({"classes": [1, 2]}, ""),
    "net of another kind": ({"net": "ContextUNet"}, ""),
    "unknown network": ({"net": {"name": "VGG", "config": {}}}, ""),
    "unknown option": ({"net": NET | {"config": NET["config"] | {"bogus": 1}}}, ""),
    "another width": ({"net": NET | {"config": NET["config"] | {"features": 16}}}, ""),
    "options of no number": ({"net": NET | {"config": NET["config"] | {"features": None}}}, ""),
    "another T": ({"net": NET | {"config": NET["config"] | {"T": 30}}}, ""),
    "a weight is missing": ({}, "head.0.weight"),
}
OF_WEIGHTS = {
    "no schedule": ({"alpha_bar": [1.0]}, ""),
    "a schedule of words": ({"alpha_bar": "linear"}, ""),
    "unknown target": ({"target": "score"}, ""),
    "a limit of words": ({"limit": "none"}, ""),
    "a limit of nothing": ({"limit": 0.0}, ""),
}
OF_RUNS = {
    "no state": ({"state": "gone"}, ""),
    "no options": ({"options": "gone"}, ""),
    "a wrong option": ({"options": {"steps": 0}}, ""),
    "a step of words": ({"step": "third"}, ""),
    "a weight's average is missing": ({}, "ema.module.head.0.weight"),
    "no table": ({}, "schedule.alpha_bar"),
}


@pytest.mark.parametrize("name", FORGED | OF_WEIGHTS)
def test_weights_that_this_edition_cannot_read_are_told_with_their_path(tmp_path, name):
    path = tmp_path / "some.safetensors"
    m.save_weights(path, new_run().model)
    forged(path, *(FORGED | OF_WEIGHTS)[name])
    with pytest.raises(ValueError, match=f"^{path}: .*version of ddpm-teach") as error:
        m.load_model(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("name", FORGED | OF_RUNS)
def test_a_checkpoint_that_this_edition_cannot_read_is_told_with_its_path_and_changes_nothing(
    tmp_path, name, with_state
):
    path, state = tmp_path / "run.pt", new_run() if with_state else None
    m.save_checkpoint(path, new_run())
    forged(path, *(FORGED | OF_RUNS)[name])
    before = snapshot(state) if with_state else {}
    with pytest.raises(ValueError, match=f"^{path}: ") as error:
        m.load_checkpoint(path, state)
    assert "\n" not in str(error.value)
    assert_same(snapshot(state) if with_state else {}, before)


def test_the_warning_about_a_short_schedule_points_at_the_line_that_asked_for_it():
    with pytest.warns(UserWarning) as caught:
        m.linear(200)
    assert (caught[0].filename, "linear(200)" in line_of(caught[0])) == (__file__, True)
    with pytest.warns(UserWarning) as caught:
        m.from_betas(torch.full((3,), 0.1))
    assert (caught[0].filename, "from_betas(" in line_of(caught[0])) == (__file__, True)


def line_of(warning) -> str:
    with open(warning.filename, encoding="utf8") as file:
        return file.readlines()[warning.lineno - 1]
