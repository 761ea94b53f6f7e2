"""The training loop: what a step does, that nothing between two steps changes a run, and what is refused before one."""

from __future__ import annotations

import copy
import itertools
import os
from dataclasses import replace

import pytest
import torch

import ddpm_teach as dt
from ddpm_teach.data.images import ImageSet
from ddpm_teach.training.backward import seeded
from tests.small_runs import STEPS, OwnNet, SubNet, advance, assert_same, assert_same_run, make_net, new_run, snapshot

# --- one run is one run ---------------------------------------------------------------------------------------------


def test_the_seed_decides_the_run_and_the_global_generator_has_no_part(toy_images, untouched):
    one, again, other = new_run(), new_run(), new_run(seed=2)
    with untouched():
        losses = advance(one, toy_images)
    torch.manual_seed(12345)
    assert advance(again, toy_images) == losses
    assert advance(other, toy_images) != losses
    assert_same_run(one, again)


def test_every_step_of_every_run_draws_its_own_numbers():
    draws = {torch.rand(1, generator=dt.step_generator(seed, step)).item() for seed in range(20) for step in range(50)}
    assert len(draws) > 990  # of 1000; float32 has 2^24 values, so a few may coincide


@pytest.mark.parametrize("look", ["ema", "net", "print"])
def test_what_happens_between_two_steps_does_not_change_the_run(toy_images, look):
    """A preview from the EMA or from the network itself (which is in training mode), global draws, a thousand seeds."""
    plain, watched = new_run(), new_run()
    losses = advance(plain, toy_images)
    seen = []
    for log in dt.train(watched, toy_images):
        seen.append(log.loss.item())
        torch.manual_seed(log.step)
        torch.randn(3)
        if look != "print":
            model = watched.model if look == "ema" else replace(watched.model, net=watched.net)
            dt.sample(model, 2, torch.eye(2), steps=2, guidance_scale=2.0)
    assert seen == losses
    assert_same_run(plain, watched)


def test_a_network_left_in_eval_mode_by_the_caller_trains_all_the_same(toy_images):
    """'None of what comes between two yields changes the run': BatchNorm must see batches again at the next step."""
    plain, watched = new_run(), new_run()
    losses, seen = advance(plain, toy_images), []
    for log in dt.train(watched, toy_images):
        seen.append(log.loss.item())
        watched.net.eval()
    assert seen == losses


def test_an_exception_between_steps_leaves_a_state_that_goes_on(toy_images):
    whole, state = new_run(), new_run()
    advance(whole, toy_images)
    logs = dt.train(state, toy_images)
    list(itertools.islice(logs, 2))
    logs.close()
    advance(state, toy_images)
    assert_same_run(state, whole)


def test_dropout_s_numbers_come_from_the_seed_and_the_generator_is_left_as_it_was(untouched):
    with untouched():
        draws = []
        for seed in (1, 1, 2):
            with seeded(seed, torch.device("cpu")):
                draws.append(torch.rand(3))
        with pytest.raises(ZeroDivisionError), seeded(1, torch.device("cpu")):
            1 / 0  # noqa: B018
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


# --- what a step does -----------------------------------------------------------------------------------------------


def test_the_average_is_a_hand_loop_with_warm_up(toy_images):
    """ema ← d ema + (1-d) net with d = min(decay, (1+n)/(10+n)); the first update and counts copy."""
    decay, state = 0.25, new_run(ema_decay=0.25, steps=7)
    expected: dict = {}
    for n, _ in enumerate(dt.train(state, toy_images)):
        d = min(decay, (1 + n) / (10 + n))
        for name, value in state.net.state_dict().items():
            if n == 0 or not value.is_floating_point():
                expected[name] = value.double().clone()
            else:
                expected[name] = d * expected[name] + (1 - d) * value.double()
    assert (1 + 1) / (10 + 1) < decay < (1 + 6) / (10 + 6), "both branches of the minimum are met"
    averages = state.ema.module.state_dict()
    assert averages.keys() == expected.keys() and any("running_var" in name for name in averages)
    for name, value in expected.items():
        torch.testing.assert_close(averages[name].double(), value, rtol=1e-5, atol=1e-6)


def test_the_rate_falls_linearly_to_zero(toy_images):
    state = new_run(lr=2e-3, steps=8)
    logs = list(dt.train(state, toy_images))
    assert [log.step for log in logs] == list(range(1, 9))
    assert [log.lr for log in logs] == pytest.approx([2e-3 * (1 - k / 8) for k in range(8)], rel=1e-6)


def test_a_run_at_its_end_can_be_given_a_later_one(toy_images):
    """From there it goes on as every run does, at the rate lr · (1 - step / steps); lr may be another."""
    run = new_run(lr=1e-2)
    advance(run, toy_images)
    with pytest.raises(ValueError, match=rf"all of its {STEPS} steps; state\.end_at\({2 * STEPS}\) goes on"):
        dt.train(run, toy_images)
    run.end_at(2 * STEPS, lr=4e-3)
    rates = [log.lr for log in dt.train(run, toy_images)]
    assert rates == pytest.approx([4e-3 * (1 - step / (2 * STEPS)) for step in range(STEPS, 2 * STEPS)])
    with pytest.raises(ValueError, match=f"^steps: .* has done {2 * STEPS} already, .* {STEPS}"):
        run.end_at(STEPS)
    assert run.options.steps == 2 * STEPS and run.options.lr == 4e-3


class Spy(torch.nn.Module):
    """Says 0, and keeps what it gets."""

    image_shape, context_dim, T = (1, 16, 16), 2, 20

    def __init__(self):
        super().__init__()
        self.weight, self.calls = torch.nn.Parameter(torch.zeros(1)), []

    def forward(self, x, t, c):
        self.calls.append((x, t, c))
        return x * self.weight


def test_a_step_is_algorithm_1_of_the_paper(toy_images, strong):
    """The pictures that the network sees are √ᾱ_t x_0 + √(1-ᾱ_t) ε of the data, times are 1…T, contexts their labels,
    and the loss is the mean square of ε - ε̂: checked on 40 batches through a network that keeps what it gets."""
    spy = Spy()
    state = new_run(spy, steps=40, lr=1e-30, batch_size=64, context_dropout=0.25)
    losses = [log.loss for log in dt.train(state, toy_images)]
    x, t, c = (torch.cat(parts) for parts in zip(*spy.calls, strict=True))
    assert t.min() == 1 and t.max() == 20 and t.dtype == torch.long
    assert abs(t.float().mean() - 10.5) < 5 * (399 / 12 / len(t)) ** 0.5  # variance of a uniform 1…20: (20² - 1)/12
    dropped = (c == 0).all(1)
    assert abs(dropped.float().mean() - 0.25) < 5 * (0.25 * 0.75 / len(t)) ** 0.5
    assert (c.sum(1)[~dropped] == 1).all()
    signal, noise = strong.rates(t, x)
    clean = toy_images.pictures(slice(None))
    # which picture it was: the one for which the rest looks most like unit noise
    rest = (x[:, None] - (signal * clean.reshape(1, 24, 256)).reshape(-1, 24, 1, 16, 16)) / noise[:, None]
    index = rest.square().mean((2, 3, 4)).argmin(1)
    eps = rest[torch.arange(len(t)), index]
    assert abs(eps.mean()) < 5 / eps.numel() ** 0.5 and abs(eps.var() - 1) < 0.01
    early = ~dropped & (t <= 6)  # later the pictures can't be told apart any more
    assert torch.equal(c[early].argmax(1), toy_images.labels[index[early]])
    per_batch = eps.reshape(40, -1).square().mean(1)  # the network says 0, so the loss is the mean of ε²
    torch.testing.assert_close(torch.stack(losses), per_batch, rtol=0, atol=0.01)


@pytest.mark.parametrize(("dropout", "total"), [(0.0, 8.0), (1.0, 0.0)])
def test_all_or_no_context_is_dropped(toy_images, dropout, total):
    spy = Spy()
    advance(new_run(spy, context_dropout=dropout), toy_images)
    assert [c.sum().item() for _, _, c in spy.calls] == [total] * STEPS


def test_a_small_set_is_learned_by_heart(toy_images):
    """Predicting 0 costs E[ε²] = 1. Two pictures without noise can nearly be solved: well below half of that."""
    labels = torch.tensor([0, 1])
    two = ImageSet((toy_images.images[:2] > 128).to(torch.uint8) * 255, labels, toy_images.classes)
    losses = advance(new_run(steps=70, lr=6e-3, batch_size=16), two)
    assert losses[0] > 0.7
    assert sum(losses[-20:]) / 20 < 0.5


def test_the_network_is_in_training_mode_and_gradients_are_left_for_the_caller(toy_images):
    state = new_run()
    state.net.eval()
    next(dt.train(state, toy_images))
    assert state.net.training and torch.is_grad_enabled()
    norm = torch.stack([p.grad.norm() for p in state.net.parameters()]).norm()
    assert 0 < norm <= 1.0001, "clipped to 1"


@pytest.mark.parametrize("min_snr", [0.0, 5.0])
@pytest.mark.parametrize("target", dt.TARGETS.values(), ids=dt.TARGETS)
def test_the_best_answer_costs_nothing_whatever_the_target(toy_images, strong, target, min_snr):
    """For data of one point the best answer is known."""

    class Knows(torch.nn.Module):
        image_shape, T = (1, 16, 16), 20

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x, t):
            eps = dt.noise_from(strong, x, t, point.expand_as(x))
            return self.weight * target.ask(strong, point.expand_as(x), eps, t)

    one = ImageSet(toy_images.images[:1], toy_images.labels[:1], ())
    point = one.pictures(slice(None))
    options = dt.RunOptions(steps=2, lr=1e-30, target=target, min_snr=min_snr, batch_size=16, precision="float32")
    state = dt.TrainState.create(Knows(), strong, options)
    assert advance(state, one) == pytest.approx([0.0, 0.0], abs=1e-8)
    assert dt.validation_loss(state.model, one, precision="float32") == pytest.approx(0.0, abs=1e-8)
    x = dt.sample(state.model, 2, steps=20, precision="float32")  # read as what it was trained for
    torch.testing.assert_close(x, point.expand_as(x), atol=1e-3, rtol=0)


def test_the_reported_loss_has_no_weights(toy_images):
    """The first step of both has the same network, so the same errors; the second doesn't."""
    plain, weighted = (advance(new_run(min_snr=gamma), toy_images, 2) for gamma in (0.0, 0.5))
    assert plain[0] == weighted[0] and plain[1] != weighted[1]


@pytest.mark.parametrize("precision", ["auto", "bfloat16"])
def test_other_precisions_train_as_well(toy_images, precision):
    exact, rounded = advance(new_run(), toy_images), advance(new_run(precision=precision), toy_images)
    assert rounded == pytest.approx(exact, rel=0.05)


# --- which networks are trained -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [OwnNet, lambda: SubNet(1, 8, 2, 16, T=20), lambda: torch.compile(make_net())])
def test_your_own_networks_are_trained_and_drawn_from(toy_images, make):
    """Of the conventions `image_shape` is enough; a compiled network is the network inside."""
    net = make() if make is not None else None
    if hasattr(net, "_orig_mod"):  # the wrapper is what is tried here, not the compiler
        net = torch.compile(net._orig_mod, backend="eager")
    state = new_run(net, steps=2)
    assert len(advance(state, toy_images)) == 2
    contexts = state.model.all_contexts(1)
    assert dt.sample(state.model, 2, contexts, steps=2).isfinite().all()
    assert dt.validation_loss(state.model, toy_images) > 0


def test_weights_that_ship_are_fine_tuned_by_the_remedy_of_the_sentence():
    """They are frozen when loaded: refused before a step, and not at the first gradient."""
    model, sprites = dt.load_model("sprites-context"), dt.load("sprites", "test")
    options = dt.RunOptions(steps=2, lr=1e-4, batch_size=4, target="v", precision="float32")
    with pytest.raises(ValueError, match=r"^net: .*frozen.*net\.requires_grad_\(True\)"):
        dt.TrainState.create(model.net, model.schedule, options, model.classes)
    state = dt.TrainState.create(model.net.requires_grad_(True), model.schedule, options, model.classes)
    before = next(state.net.parameters()).clone()
    assert len(advance(state, sprites)) == 2 and not torch.equal(before, next(state.net.parameters()))


@pytest.mark.parametrize("other", dt.TARGETS)
def test_a_network_that_was_trained_for_another_target_is_not_taught_this_one_unsaid(other):
    """Fine-tuning an x_0 network with the default options would begin from noise, and say nothing."""
    for target in dt.TARGETS:
        net = make_net()
        net.target = target
        if target == other:
            assert new_run(net, target=other).net is net
            continue
        with pytest.raises(ValueError, match=rf"^net: .*'{target}'.*RunOptions\(target='{target}'\)"):
            new_run(net, target=other)
        assert net.target == target


# --- refusing -------------------------------------------------------------------------------------------------------


def broken_calls(images: ImageSet) -> dict:
    """Calls of `train` that must be refused: name → (images, what the sentence begins with)."""
    pixels, labels, classes = images.images, images.labels, images.classes
    changed = copy.deepcopy(images)
    changed.images[0, 0, 0, 0] ^= 1
    return {
        "size": (ImageSet(pixels[..., :8, :8], labels, classes), "images: .*shape"),
        "channels": (ImageSet(pixels.repeat(1, 3, 1, 1), labels, classes), "images: .*shape"),
        "more classes": (ImageSet(pixels, labels, ("left", "right", "up")), "images: .*classes"),
        "other classes": (ImageSet(pixels, labels, ("up", "down")), "images: .*classes"),
        "none": (images.subset(torch.arange(0)), "images: .*at least one"),
        "pixel": (changed, "images: .*other pictures"),
        "order": (images.subset(torch.arange(len(images)).flip(0)), "images: .*other pictures"),
    }


REFUSED = ["size", "channels", "more classes", "other classes", "none", "pixel", "order"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_changes_nothing(toy_images, untouched, name):
    """Neither the run, nor the pictures, nor the global generator; it is refused at the call, before any step."""
    images, message = broken_calls(toy_images)[name]
    state, plain = new_run(), new_run()
    advance(state, toy_images, 2)
    before, pixels = snapshot(state), toy_images.images.clone()
    with untouched(), pytest.raises(ValueError, match=message):
        dt.train(state, images)
    assert_same(snapshot(state), before)
    assert torch.equal(toy_images.images, pixels)
    advance(plain, toy_images)
    advance(state, toy_images)
    assert_same_run(state, plain)


def test_a_run_that_went_on_with_other_pictures_is_not_mixed_with_these(toy_images):
    """Each of two streams was right at its call; the first step of one makes the other's wrong, before it does any."""
    state = new_run()
    one, other = dt.train(state, toy_images), dt.train(state, toy_images.subset(torch.arange(5)))
    next(one)
    before = snapshot(state)
    with pytest.raises(ValueError, match="^images: .*other pictures"):
        next(other)
    assert_same(snapshot(state), before)
    next(one)
    assert state.step == 2


def test_a_call_without_a_step_binds_the_run_to_nothing(toy_images):
    """Only a step is a beginning: until then other pictures are as good."""
    state = new_run()
    dt.train(state, toy_images)
    assert state.data == "" and state.step == 0
    advance(state, toy_images.subset(torch.arange(5)))


def test_a_network_for_another_number_of_steps_than_the_schedule_is_refused(strong):
    """The network reads the time as t/T: with another T it would be told wrong times, silently."""
    with pytest.raises(ValueError, match="T = 1000"):
        new_run(make_net(T=1000))


def test_a_network_that_does_not_say_its_shape_is_refused_with_the_remedy(strong):
    with pytest.raises(TypeError, match=r"^net: .*net\.image_shape = \(c, h, w\)"):
        dt.TrainState.create(torch.nn.Linear(2, 2), strong)


# --- validation -----------------------------------------------------------------------------------------------------


def test_the_validation_loss_has_no_chance_in_it(toy_images, untouched):
    """The same figure every time; of a network that says 0, the mean of the noise's squares."""
    model = new_run().model
    model.net.train()
    with untouched():
        one, again = (dt.validation_loss(model, toy_images, precision="float32") for _ in range(2))
    assert one == again and model.net.training
    for parameter in model.net.parameters():
        torch.nn.init.zeros_(parameter)
    silent = dt.validation_loss(model, toy_images)
    assert silent == pytest.approx(1, abs=5 * (2 / (24 * 256)) ** 0.5)


@pytest.mark.parametrize(("options", "name"), [({"n": 0}, "n"), ({"batch_size": 0}, "batch_size")])
def test_a_validation_of_nothing_is_refused(toy_images, options, name):
    with pytest.raises(ValueError, match=f"^{name}: "):
        dt.validation_loss(new_run().model, toy_images, **options)
    with pytest.raises(ValueError, match="^images: "):
        dt.validation_loss(new_run().model, toy_images.subset(torch.arange(0)))


@pytest.mark.parametrize(
    ("size", "classes"), [(8, ("left", "right")), (16, ("right", "left")), (16, ("left",)), (16, ("left", "up"))]
)
def test_a_validation_on_pictures_of_another_kind_is_refused(toy_images, size, classes):
    """The same classes in another order are other contexts: the figure would be a wrong one, and finite."""
    labels = toy_images.labels.clamp(max=len(classes) - 1)
    images = ImageSet(toy_images.images[..., :size, :size], labels, classes)
    with pytest.raises(ValueError, match="^images: .* got .*; load|^images: .*build"):
        dt.validation_loss(new_run().model, images)


@pytest.mark.parametrize("part", ["net", "ema"])
def test_no_half_of_a_run_that_is_not_finite_is_written(toy_images, tmp_path, part):
    """Averages of NaN under sound weights draw NaN, and weights of NaN under sound averages go on with it."""
    state = new_run()
    next(getattr(state, part).parameters()).data[0] = float("inf")
    with pytest.raises(ValueError, match=r"^state: .*step 0 aren't finite"):
        dt.save_checkpoint(tmp_path / "run", state)
    assert os.listdir(tmp_path) == []


def test_weights_that_are_not_finite_are_never_written_and_never_drawn_from(toy_images, tmp_path):
    state = new_run()
    advance(state, toy_images, 1)
    dt.save_checkpoint(tmp_path / "run", state)
    good = (tmp_path / "run").read_bytes()
    for net in (state.net, state.ema.module):
        next(net.parameters()).data[0] = float("nan")
    with pytest.raises(ValueError, match="step 1 aren't finite"):
        dt.save_checkpoint(tmp_path / "run", state)
    assert (tmp_path / "run").read_bytes() == good and os.listdir(tmp_path) == ["run"]
    assert not dt.validation_loss(state.model, toy_images) < 1e9
    with pytest.raises(FloatingPointError, match="^model: .*finite"):
        dt.sample(state.model, 1, steps=2)
