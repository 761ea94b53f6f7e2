"""Training: one run is one run, however often it was interrupted and whatever was looked at in between."""

from __future__ import annotations

import copy
import itertools
import os

import pytest
import torch

from ddpm_teach.data import ImageSet
from ddpm_teach.denoise import from_eps, from_v, from_x0
from ddpm_teach.forward import noise_from, velocity
from ddpm_teach.nets import AttentionUNet, ContextUNet
from ddpm_teach.sampling import sample
from ddpm_teach.schedule import linear, zero_terminal_snr
from ddpm_teach.training import (
    TIMES,
    TrainState,
    load_checkpoint,
    save_checkpoint,
    snr_weight,
    step_generator,
    stratified_times,
    train,
    validation_loss,
)

STEPS = 5


@pytest.fixture
def new_run(strong):
    """new_run(…): a small run, the same one every time."""

    def make(**options) -> TrainState:
        torch.manual_seed(options.pop("net_seed", 3))
        net = ContextUNet(channels=1, features=8, context_dim=2, size=16, T=20)
        return TrainState.create(net, strong, **{"steps": STEPS, "classes": ("left", "right"), "seed": 1, **options})

    return make


def advance(state: TrainState, images: ImageSet, steps: int | None = None, **options) -> list[float]:
    return [
        log.loss.item()
        for log in train(state, images, steps=steps, **{"batch_size": 8, "precision": "float32", **options})
    ]


def tensors_of(value, path="") -> dict:
    """Every leaf of a nested state, under its path."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in tensors_of(item, f"{path}.{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, item in enumerate(value) for k, v in tensors_of(item, f"{path}.{i}").items()}
    return {path: value}


def assert_same_run(a: TrainState, b: TrainState) -> None:
    """Bit for bit: network, BatchNorm's buffers, EMA, Adam's moments, rates, counters."""
    one, other = tensors_of(a.state_dict()), tensors_of(b.state_dict())
    assert one.keys() == other.keys()
    assert any("exp_avg_sq" in name for name in one) and any("running_mean" in name for name in one)
    for name, value in one.items():
        same = torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        assert same, name


# --- resuming -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("at", [0, 1, 3, STEPS])
def test_a_run_resumed_from_a_file_is_the_uninterrupted_run(new_run, toy_images, tmp_path, at, fresh):
    whole = new_run()
    losses = advance(whole, toy_images)
    part = new_run()
    first = advance(part, toy_images, at)
    save_checkpoint(tmp_path / "run", part)
    resumed = load_checkpoint(tmp_path / "run", None if fresh else new_run(net_seed=99, seed=7))
    assert resumed.step == at and resumed.classes == ("left", "right")
    assert first + advance(resumed, toy_images) == losses
    assert_same_run(resumed, whole)


def test_an_interruption_after_every_single_step_changes_nothing(new_run, toy_images, tmp_path):
    whole, state = new_run(), new_run()
    losses = advance(whole, toy_images)
    pieces = []
    for step in range(1, STEPS + 1):
        pieces += advance(state, toy_images, step)
        save_checkpoint(tmp_path / "run", state)
        state = load_checkpoint(tmp_path / "run")
    assert pieces == losses
    assert_same_run(state, whole)
    assert os.listdir(tmp_path) == ["run"]


def test_resuming_is_exact_with_dropout_too(strong, toy_images, tmp_path, untouched):
    """Dropout draws from torch's global generator, which no checkpoint holds."""

    def fresh() -> TrainState:
        torch.manual_seed(3)
        net = AttentionUNet(widths=(8,) * 3 + (16,) * 3, size=16, groups=4, heads=2, context_dim=2, T=20)
        return TrainState.create(net, strong, steps=STEPS, classes=toy_images.classes)

    whole, part = fresh(), fresh()
    with untouched():
        advance(whole, toy_images)
        advance(part, toy_images, 2)
    save_checkpoint(tmp_path / "run", part)
    torch.manual_seed(1234)  # another process, somewhere else in its stream
    resumed = load_checkpoint(tmp_path / "run", fresh())
    torch.manual_seed(99)
    advance(resumed, toy_images)
    for name, value in whole.net.state_dict().items():
        assert torch.equal(resumed.net.state_dict()[name], value), name


def test_a_run_on_other_pictures_is_refused(new_run, toy_images, tmp_path):
    """One pixel, one label, or another order: the (seed, step) that draws them would draw others."""
    run = new_run()
    advance(run, toy_images, 1)
    save_checkpoint(tmp_path / "run", run)
    resumed = load_checkpoint(tmp_path / "run", new_run())
    other = [toy_images.subset(torch.arange(len(toy_images)).flip(0)), copy.deepcopy(toy_images)]
    other[1].images[0, 0, 0, 0] ^= 1
    for images in other:
        assert images.fingerprint() != toy_images.fingerprint()
        for state in (run, resumed):
            with pytest.raises(ValueError, match="images: the run began on other pictures"):
                train(state, images)
        begun = new_run()
        advance(begun, images, 1)
        with pytest.raises(ValueError, match="was trained on other pictures than the run at hand"):
            load_checkpoint(tmp_path / "run", begun)
    advance(resumed, toy_images)


def test_resuming_is_exact_in_bfloat16_too(new_run, toy_images, tmp_path):
    whole, part = new_run(), new_run()
    losses = advance(whole, toy_images, precision="bfloat16")
    first = advance(part, toy_images, 2, precision="bfloat16")
    save_checkpoint(tmp_path / "run", part)
    assert first + advance(load_checkpoint(tmp_path / "run"), toy_images, precision="bfloat16") == losses


def test_a_run_at_its_end_can_be_given_a_later_one(new_run, toy_images, tmp_path):
    """From there it goes on as every run does, at the rate lr · (1 - step / steps); lr may be another."""
    run = new_run(lr=1e-2)
    advance(run, toy_images)
    save_checkpoint(tmp_path / "run", run)
    run = load_checkpoint(tmp_path / "run")
    run.end_at(2 * STEPS, lr=4e-3)
    rates = [log.lr for log in train(run, toy_images, batch_size=8, precision="float32")]
    assert rates == pytest.approx([4e-3 * (1 - step / (2 * STEPS)) for step in range(STEPS, 2 * STEPS)])
    with pytest.raises(ValueError, match=f"has done {2 * STEPS} already, so it can't end at {STEPS}"):
        run.end_at(STEPS)


def test_a_run_built_from_its_file_keeps_every_choice_it_was_created_with(new_run, toy_images, tmp_path):
    """Among them those that are no tensors: the rate it started with, its end, its seed, the decay of its EMA."""
    options = dict(
        lr=3e-4, ema_decay=0.15, steps=4, seed=12345
    )  # below the warm-up's 2/11: the decay acts from the start
    whole, part = new_run(**options), new_run(**options)
    advance(whole, toy_images)
    advance(part, toy_images, 2)
    save_checkpoint(tmp_path / "run", part)
    resumed = load_checkpoint(tmp_path / "run")
    advance(resumed, toy_images)
    assert_same_run(resumed, whole)


def test_a_checkpoint_builds_the_network_and_schedule_it_names(new_run, tmp_path, strong):
    state = new_run()
    save_checkpoint(tmp_path / "run", state)
    again = load_checkpoint(tmp_path / "run")
    assert again.net.config == state.net.config and torch.equal(again.schedule.alpha_bar, strong.alpha_bar)
    for name, value in state.net.state_dict().items():
        assert torch.equal(again.net.state_dict()[name], value), name


def test_saving_does_not_change_the_run(new_run, toy_images, tmp_path, untouched):
    state = new_run()
    advance(state, toy_images, 2)
    kept = copy.deepcopy(state.state_dict())
    with untouched():
        save_checkpoint(tmp_path / "run", state)
    after = tensors_of(state.state_dict())
    assert all(
        torch.equal(v, after[k]) if isinstance(v, torch.Tensor) else v == after[k] for k, v in tensors_of(kept).items()
    )


def test_a_finished_run_has_nothing_left_to_do(new_run, toy_images):
    state = new_run()
    assert len(advance(state, toy_images)) == STEPS and advance(state, toy_images) == []


@pytest.mark.parametrize("other", ["schedule", "net", "size", "classes"])
def test_a_checkpoint_of_another_run_is_refused_by_name_and_changes_nothing(
    new_run, toy_images, tmp_path, strong, other
):
    saved = new_run()
    advance(saved, toy_images, 1)
    save_checkpoint(tmp_path / "run", saved)
    net = dict(channels=1, features=8, context_dim=2, size=16, T=20)
    schedule, classes, word = strong, ("left", "right"), "schedule"
    if other == "schedule":
        schedule = linear(20, 0.05, 0.61)
    elif other in ("net", "size"):
        net, word = net | ({"features": 16} if other == "net" else {"size": 20}), "features"
    else:
        classes, word = ("right", "left"), "classes"
    state = TrainState.create(ContextUNet(**net), schedule, steps=STEPS, classes=classes)
    before = copy.deepcopy(state.net.state_dict())
    with pytest.raises(ValueError, match=word):
        load_checkpoint(tmp_path / "run", state)
    assert state.step == 0
    assert all(torch.equal(value, before[name]) for name, value in state.net.state_dict().items())


# --- one run is one run ---------------------------------------------------------------------------------------------


def test_the_seed_decides_the_run_and_the_global_generator_has_no_part(new_run, toy_images, untouched):
    one, again, other = new_run(), new_run(), new_run(seed=2)
    with untouched():
        losses = advance(one, toy_images)
    torch.manual_seed(12345)
    assert advance(again, toy_images) == losses
    assert advance(other, toy_images) != losses
    assert_same_run(one, again)


def test_every_step_of_every_run_draws_its_own_numbers():
    draws = {torch.rand(1, generator=step_generator(seed, step)).item() for seed in range(20) for step in range(50)}
    assert len(draws) > 990  # of 1000; float32 has 2^24 values, so a few may coincide


@pytest.mark.parametrize("look", ["ema", "net", "print"])
def test_what_happens_between_two_steps_does_not_change_the_run(new_run, toy_images, look):
    """A preview from the EMA or from the network itself (which is in training mode), global draws, a thousand seeds."""
    plain, watched = new_run(), new_run()
    losses = advance(plain, toy_images)
    seen = []
    for log in train(watched, toy_images, batch_size=8, precision="float32"):
        seen.append(log.loss.item())
        torch.manual_seed(log.step)
        torch.randn(3)
        if look != "print":
            net = watched.ema.module if look == "ema" else watched.net
            sample(net, watched.schedule, (2, 1, 16, 16), steps=2, context=torch.eye(2), guidance_scale=2.0)
    assert seen == losses
    assert_same_run(plain, watched)


def test_a_network_left_in_eval_mode_by_the_caller_trains_all_the_same(new_run, toy_images):
    """'None of what comes between two yields changes the run': BatchNorm must see batches again at the next step."""
    plain, watched = new_run(), new_run()
    losses, seen = advance(plain, toy_images), []
    for log in train(watched, toy_images, batch_size=8, precision="float32"):
        seen.append(log.loss.item())
        watched.net.eval()
    assert seen == losses


# --- what a step does -----------------------------------------------------------------------------------------------


def test_the_average_is_a_hand_loop_with_warm_up(new_run, toy_images):
    """ema ← d ema + (1-d) net with d = min(decay, (1+n)/(10+n)); the first update and counts copy."""
    decay, state = 0.25, new_run(ema_decay=0.25, steps=7)
    expected: dict = {}
    for n, _ in enumerate(train(state, toy_images, batch_size=8, precision="float32")):
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


def test_the_rate_falls_linearly_to_zero(new_run, toy_images):
    state = new_run(lr=2e-3, steps=8)
    logs = list(train(state, toy_images, batch_size=8, precision="float32"))
    assert [log.step for log in logs] == list(range(1, 9))
    assert [log.lr for log in logs] == pytest.approx([2e-3 * (1 - k / 8) for k in range(8)], rel=1e-6)
    assert state.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_a_step_is_algorithm_1_of_the_paper(new_run, toy_images, strong):
    """The pictures that the network sees are √ᾱ_t x_0 + √(1-ᾱ_t) ε of the data, times are 1…T, contexts their labels,
    and the loss is the mean square of ε - ε̂: checked on 40 batches through a network that keeps what it gets."""

    class Spy(torch.nn.Module):
        image_shape, config = (1, 16, 16), {"context_dim": 2, "T": 20}

        def __init__(self):
            super().__init__()
            self.weight, self.calls = torch.nn.Parameter(torch.zeros(1)), []

        def forward(self, x, t, c):
            self.calls.append((x, t, c))
            return x * self.weight

    spy = Spy()
    state = TrainState.create(spy, strong, steps=40, lr=0.0)
    losses = [log.loss for log in train(state, toy_images, batch_size=64, precision="float32", context_dropout=0.25)]
    x, t, c = (torch.cat(parts) for parts in zip(*spy.calls, strict=True))
    assert t.min() == 1 and t.max() == 20 and t.dtype == torch.long
    assert abs(t.float().mean() - 10.5) < 5 * (399 / 12 / len(t)) ** 0.5  # variance of a uniform 1…20: (20² - 1)/12
    dropped = (c == 0).all(1)
    assert abs(dropped.float().mean() - 0.25) < 5 * (0.25 * 0.75 / len(t)) ** 0.5
    assert (c.sum(1)[~dropped] == 1).all()
    signal, noise = strong.signal_rate(t, x), strong.noise_rate(t, x)
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


def test_all_or_no_context_is_dropped(new_run, toy_images):
    seen = []
    for dropout in (0.0, 1.0):
        state = new_run()
        state.net.register_forward_pre_hook(lambda module, args: seen.append(args[2].sum().item()))
        advance(state, toy_images, 3, context_dropout=dropout)
    assert seen == [8.0] * 3 + [0.0] * 3


def test_a_small_set_is_learned_by_heart(new_run, toy_images):
    """Predicting 0 costs E[ε²] = 1. Two pictures without noise can nearly be solved: well below half of that."""
    labels = torch.tensor([0, 1])
    two = ImageSet((toy_images.images[:2] > 128).to(torch.uint8) * 255, labels, toy_images.classes)
    state = new_run(steps=70, lr=6e-3)
    losses = advance(state, two, batch_size=16)
    assert losses[0] > 0.7
    assert sum(losses[-20:]) / 20 < 0.5


def test_the_network_is_in_training_mode_and_gradients_are_left_for_the_caller(new_run, toy_images):
    state = new_run()
    state.net.eval()
    next(train(state, toy_images, batch_size=8, precision="float32"))
    assert state.net.training and torch.is_grad_enabled()
    norm = torch.stack([p.grad.norm() for p in state.net.parameters()]).norm()
    assert 0 < norm <= 1.0001, "clipped to 1"


@pytest.mark.parametrize("target", ["eps", "x0", "v"])
def test_each_target_is_learned_and_kept_with_the_run(new_run, toy_images, tmp_path, strong, target):
    """With the best answer for data of one point the loss is 0, whatever the target."""

    class Knows(torch.nn.Module):
        image_shape, config, T = (1, 16, 16), {}, 20

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x, t, c=None):
            eps = noise_from(strong, x, t, point.expand_as(x))
            said = {"eps": eps, "x0": point.expand_as(x), "v": velocity(strong, point.expand_as(x), eps, t)}
            return self.weight * said[target]

    one = ImageSet(toy_images.images[:1], toy_images.labels[:1], ())
    point = one.pictures(slice(None))
    state = TrainState.create(Knows(), strong, steps=3, lr=0.0, target=target)
    for gamma in (None, 5.0):
        logs = train(state, one, steps=state.step + 1, min_snr=gamma, batch_size=16, precision="float32")
        assert [log.loss.item() for log in logs] == pytest.approx([0.0], abs=1e-8)

    run = new_run(target=target)
    advance(run, toy_images, 1)
    save_checkpoint(tmp_path / "run", run)
    assert load_checkpoint(tmp_path / "run").target == target


def test_a_target_can_be_chosen_until_the_run_has_begun(new_run, toy_images):
    run = new_run()
    next(train(run, toy_images, batch_size=8, target="v"))
    assert run.target == "v"
    with pytest.raises(ValueError, match="target: the run predicts 'v', got 'eps'"):
        train(run, toy_images, target="eps")
    for make in (lambda: new_run(target="noise"), lambda: train(new_run(), toy_images, target="noise")):
        with pytest.raises(ValueError, match="target: "):
            make()


def test_min_snr_weighs_the_error_of_the_picture_whatever_the_target(strong):
    """min(SNR, γ) ‖x_0 - x̂_0‖², told through an error of 1 in ε̂, x̂_0 or v̂: the error in x̂_0 is that of `from_…`."""
    t, gamma = torch.arange(1, 21), 2.0
    x, zero, one = torch.zeros(20, 1), torch.zeros(20, 1), torch.ones(20, 1)
    for target, read in (("eps", from_eps), ("x0", from_x0), ("v", from_v)):
        a, b = (read(lambda x, t, c=None, raw=raw: raw, strong)(x, t).x0 for raw in (zero, one))
        expected = strong.snr[t].clamp(max=gamma) * (a - b)[:, 0].double() ** 2
        torch.testing.assert_close(snr_weight(strong, t, target, gamma).double(), expected, rtol=1e-4, atol=0)
    assert (snr_weight(strong, t, "eps", gamma)[strong.snr[t] < gamma] == 1).all()


def test_min_snr_is_finite_where_nothing_is_left_of_the_picture(strong):
    """There ε is all that can be asked for; 0/0 would be no number."""
    pure = zero_terminal_snr(strong)
    weights = {target: snr_weight(pure, torch.tensor([pure.T]), target, 5.0).item() for target in ("eps", "x0", "v")}
    assert weights == {"eps": 1, "x0": 0, "v": 0}


def test_the_reported_loss_has_no_weights(new_run, toy_images):
    """The first step of both has the same network, so the same errors; the second doesn't."""
    plain, weighted = (advance(new_run(), toy_images, 2, min_snr=gamma) for gamma in (None, 0.5))
    assert plain[0] == weighted[0] and plain[1] != weighted[1]


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan")])
def test_a_gamma_that_is_not_positive_is_refused(new_run, toy_images, gamma):
    with pytest.raises(ValueError, match="min_snr: "):
        train(new_run(), toy_images, min_snr=gamma)


@pytest.mark.parametrize("draw", TIMES.values(), ids=TIMES)
def test_every_time_is_drawn_as_often_as_any_other(draw):
    """20,000 batches of 7 from 10 times: 14,000 of each, with a standard deviation of at most √(14,000 · 0.9) = 112."""
    rng = torch.Generator().manual_seed(0)
    batches = torch.stack([draw(7, 10, rng) for _ in range(20_000)])
    counts = batches.flatten().bincount(minlength=11)
    assert counts[0] == 0 and len(counts) == 11 and ((counts[1:] - 14_000).abs() < 5 * 112).all()


@pytest.mark.parametrize(("n", "T"), [(1, 1), (4, 4), (4, 1000), (64, 1000), (1000, 1000), (3000, 1000)])
def test_stratified_times_leave_out_no_part(n, T):
    times = stratified_times(n, T, torch.Generator().manual_seed(1))
    place = torch.arange(n, dtype=torch.float64) / n * T  # where each part begins
    assert times.shape == (n,) and times.dtype == torch.long
    assert (times > place).all() and (times <= (place + T / n).ceil() + (n < T)).all() and times.max() <= T
    if n % T == 0:
        assert (times.bincount()[1:] == n // T).all()


def test_stratified_batches_are_steadier():
    """The mean of n independent times has the standard deviation T / √(12 n); one from each part, an n-th of that."""
    n, T, rng = 16, 1000, torch.Generator().manual_seed(0)
    spread = torch.stack([stratified_times(n, T, rng).double().mean() for _ in range(2000)]).std()
    assert spread == pytest.approx(T / (12 * n) ** 0.5 / n, rel=0.1)


def test_the_validation_loss_has_no_chance_in_it(new_run, toy_images, untouched):
    """The same figure every time; of a network that says 0, the mean of the noise's squares."""
    state = new_run()
    state.ema.module.train()
    with untouched():
        one, again = (validation_loss(state.ema.module, state.schedule, toy_images) for _ in range(2))
    assert one == again and state.ema.module.training
    for parameter in state.ema.module.parameters():
        torch.nn.init.zeros_(parameter)
    silent = validation_loss(state.ema.module, state.schedule, toy_images)
    assert silent == pytest.approx(1, abs=5 * (2 / (24 * 256)) ** 0.5)


def test_weights_that_are_not_finite_are_never_written(new_run, toy_images, tmp_path):
    state = new_run()
    advance(state, toy_images, 1)
    save_checkpoint(tmp_path / "run", state)
    good = (tmp_path / "run").read_bytes()
    next(state.net.parameters()).data[0] = float("inf")
    with pytest.raises(ValueError, match="step 1 aren't finite"):
        save_checkpoint(tmp_path / "run", state)
    assert (tmp_path / "run").read_bytes() == good and os.listdir(tmp_path) == ["run"]


# --- refusing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [dict(batch_size=0), dict(context_dropout=-0.1), dict(context_dropout=1.1), dict(context_dropout=float("nan"))],
)
def test_bad_numbers_are_refused_at_the_call(new_run, toy_images, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        train(new_run(), toy_images, **options)


def test_pictures_that_do_not_fit_the_network_are_refused_at_the_call(new_run, toy_images):
    state = new_run()
    small = ImageSet(toy_images.images[..., :8], toy_images.labels, toy_images.classes)
    more = ImageSet(toy_images.images, toy_images.labels, ("left", "right", "up"))
    empty = ImageSet(toy_images.images[:0], toy_images.labels[:0], toy_images.classes)
    for images in (small, more, empty):
        with pytest.raises(ValueError, match="images: "):
            train(state, images)
    assert state.step == 0


def test_pictures_of_other_classes_than_the_run_says_are_refused(new_run, toy_images):
    """Same number, other names: a network of MNIST's digits must not be trained on with fashion by mistake."""
    other = ImageSet(toy_images.images, toy_images.labels, ("up", "down"))
    with pytest.raises(ValueError, match="classes"):
        train(new_run(), other)


def test_a_network_for_another_number_of_steps_than_the_schedule_is_refused(strong):
    """The network reads the time as t/T: with another T it would be told wrong times, silently."""
    with pytest.raises(ValueError, match="T"):
        TrainState.create(ContextUNet(1, 8, 2, 16, T=1000), strong, steps=3)


def test_an_exception_between_steps_leaves_a_state_that_goes_on(new_run, toy_images):
    whole, state = new_run(), new_run()
    advance(whole, toy_images)
    logs = train(state, toy_images, batch_size=8, precision="float32")
    list(itertools.islice(logs, 2))
    logs.close()
    advance(state, toy_images)
    assert_same_run(state, whole)
