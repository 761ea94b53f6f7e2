"""The playground without a browser: its sliders are moved from Python, its film is read as data."""

from __future__ import annotations

import inspect
import itertools
import threading
from dataclasses import replace

import pytest
import torch

from ddpm_teach import ContextUNet, LayerNormUNet, Model, cosine, linear, load_model
from ddpm_teach.diffusion.times import SPACINGS
from ddpm_teach.hardware import precision
from ddpm_teach.sampler import SAMPLERS
from ddpm_teach.show import playground, scrub
from ddpm_teach.show.films.playground import Latest


@pytest.fixture
def ground():
    return playground(load_model("sprites-context"), n=2, steps=3)


def film(ground) -> dict:
    ground.wait()
    return ground.film.data


def test_every_control_changes_the_film_and_the_same_settings_give_the_same(ground):
    first = film(ground)
    moves = {"steps": 4, "seed": 7, "guidance": 5.0, "eta": 1.0, "sampler": "ddpm", "spacing": "quadratic"}
    moves = [(ground.controls[name], value) for name, value in moves.items()]
    moves += [(ground.classes["hero"], 0.0), (ground.classes["food"], 0.5)]
    before = first
    for control, value in moves:
        control.value = value
        after = film(ground)
        assert after != before, control
        assert ground.message.value == "" and ground.progress.value == 0
        before = after
    again = playground(load_model("sprites-context"), n=2, steps=3)
    assert film(again) == first


def test_a_network_that_is_told_words_takes_a_prompt():
    ground = playground(load_model("sprites"), n=2, steps=3)
    heroes = film(ground)
    ground.controls["prompt"].value = "a red slime with a crown"
    slimes = film(ground)
    assert slimes != heroes and ground.message.value == ""
    ground.controls["prompt"].value = "a hero"
    assert film(ground) == heroes  # the same words and seed, the same film
    ground.controls["prompt"].value = "a hoero"
    film(ground)
    assert "hoero" in ground.message.value


def test_a_student_has_nothing_to_set_but_its_seed_and_what_it_draws():
    told = load_model("sprites-context")
    for teacher, words in ((told, ()), (load_model("sprites"), ("prompt",))):
        ground = playground(replace(teacher, times=(1000, 400, 0)), n=1)
        assert ground.controls.keys() == {"seed", *words} and list(ground.classes) == list(told.classes) * (not words)
        first = film(ground)
        assert len(first["labels"]) == 3
        ground.controls["seed"].value = 3
        assert film(ground) != first and ground.message.value == "" and ground.progress.value == 0


def test_without_a_class_guidance_has_nothing_to_push_towards(ground):
    for slider in ground.classes.values():
        slider.value = 0.0
    free = film(ground)
    ground.controls["guidance"].value = 8.0
    assert film(ground) == free and ground.message.value == ""


def test_eta_moves_only_where_it_has_an_effect(ground):
    ground.controls["eta"].value = 1.0
    for kind in SAMPLERS:
        ground.controls["sampler"].value = kind
        film(ground)
        assert ground.message.value == "" and ground.controls["eta"].disabled == (kind != "ddim")


def test_a_class_may_be_called_as_a_control_is():
    torch.manual_seed(0)
    names = ("seed", "steps", "eta", "sampler", "spacing", "guidance")
    net = ContextUNet(channels=1, features=8, context_dim=len(names), size=16)
    ground = playground(Model(net, linear(), classes=names), n=1, steps=2)
    assert tuple(ground.classes) == names and set(ground.controls) == set(names)
    assert ground.settings()["mixture"] == [1, 0, 0, 0, 0, 0]
    for control in (ground.classes["seed"], ground.classes["steps"], ground.controls["seed"]):
        *_, before = ground.frames(ground.settings())
        control.value = 1 - control.value
        *_, after = ground.frames(ground.settings())
        assert not torch.equal(before.x, after.x)
    ground.wait()
    assert ground.settings()["mixture"] == [0, 1, 0, 0, 0, 0] and ground.message.value == ""


def test_one_converted_copy_serves_all_films(monkeypatch):
    made = []
    monkeypatch.setattr(precision, "Tuned", lambda *args, real=precision.Tuned: made.append(args) or real(*args))
    ground = playground(load_model("sprites"), n=1, steps=2)
    for seed in (1, 2):
        ground.controls["seed"].value = seed
        film(ground)
    assert len(made) <= 1 and ground.message.value == ""


def test_a_short_schedule_has_as_many_steps():
    torch.manual_seed(0)
    model = Model(LayerNormUNet(T=10), cosine(10))
    ground = playground(model, n=1, steps=10)
    assert ground.controls["steps"].max == 10
    with pytest.raises(ValueError, match="steps: .*1…10, got 20"):
        playground(model)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"model": "sprites"}, TypeError, "model: expected a Model, got 'sprites'; use load_model"),
        ({"n": 0}, ValueError, "n: .* ≥ 1"),
        ({"steps": 101}, ValueError, "steps: .*1…100"),
    ],
)
def test_refusals_name_the_argument(arguments, error, words):
    with pytest.raises(error, match=words):
        inspect.unwrap(playground)(**{"model": load_model("sprites")} | arguments)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_every_sampler_walks_every_spacing(ground, sampler, spacing):
    ground.controls["sampler"].value, ground.controls["spacing"].value = sampler, spacing
    assert len(film(ground)["labels"]) == 4 and ground.message.value == ""


def test_stale_work_is_dropped_and_never_queued():
    """While the first is at work ten more are asked for: only the last of them is done."""
    begun, done, gate, entered = [], [], threading.Event(), threading.Event()

    def work(wanted, stale):
        begun.append(wanted)
        entered.set()
        gate.wait(10)
        if not stale():
            done.append(wanted)

    latest = Latest(work, lambda error: None)
    latest.ask(0)
    assert entered.wait(10)
    for k in range(1, 11):
        latest.ask(k)
    gate.set()
    assert latest.idle.wait(10)
    assert (begun, done) == ([0, 10], [10])
    latest.ask(11)  # a new thread after the first has ended
    assert latest.idle.wait(10) and done == [10, 11]


def test_an_error_becomes_a_sentence_and_the_film_stays(ground, monkeypatch):
    before = film(ground)
    monkeypatch.setattr(ground, "frames", lambda settings: (_ for _ in ()).throw(ValueError("steps: 3 < 4 <b>")))
    ground.controls["seed"].value = 1
    assert film(ground) == before
    assert ground.message.value == "<b>steps: 3 &lt; 4 &lt;b&gt;</b>" and ground.progress.bar_style == "danger"
    monkeypatch.undo()
    ground.controls["seed"].value = 2
    assert film(ground) != before and ground.message.value == ""


def test_waiting_ends_with_a_sentence(ground):
    ground._latest.idle.clear()
    with pytest.raises(TimeoutError, match="still sampling after 0.01"):
        ground.wait(0.01)


def test_a_network_without_context_has_no_sliders_for_one():
    torch.manual_seed(0)
    model = Model(LayerNormUNet(), linear(), classes=tuple("0123456789"))
    ground = playground(model, n=1, steps=2)
    assert set(ground.controls) == {"sampler", "spacing", "steps", "eta", "seed"} and not ground.classes
    film(ground)


def test_what_the_network_predicts_is_read_as_that():
    torch.manual_seed(0)
    net = LayerNormUNet()
    films = [film(playground(Model(net, linear(), target), n=1, steps=2)) for target in ("eps", "v", "x0", "flow")]
    assert all(a != b for a, b in itertools.combinations(films, 2))


def test_it_shows_a_still_that_needs_no_kernel_and_then_the_widgets(ground, monkeypatch):
    shown = []
    monkeypatch.setattr("ddpm_teach.show.films.playground.display", lambda bundle, raw: shown.append(bundle))
    ground._ipython_display_()
    still, widgets = shown
    assert ground.film.stands_in in still["text/html"] and {"image/png", "text/plain"} < set(still)
    assert widgets["application/vnd.jupyter.widget-view+json"]["model_id"] == ground.box.model_id
    assert widgets["text/plain"] == repr(ground) == f"Playground({scrub(ground.frames(ground.settings()))!r})"
