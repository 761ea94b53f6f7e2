"""The playground without a browser: its sliders are moved from Python, its film is read as data."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from ddpm_teach import load_pretrained
from ddpm_teach.nets import LayerNormUNet
from ddpm_teach.samplers import SAMPLERS, SPACINGS
from ddpm_teach.schedule import linear
from ddpm_teach.weights import Pretrained
from ddpm_teach.widgets import playground, scrub
from ddpm_teach.widgets.live import Latest


@pytest.fixture
def ground():
    return playground(load_pretrained("sprites"), n=2, steps=3)


def film(ground) -> dict:
    ground.wait()
    return ground.film.data


def test_every_control_changes_the_film_and_the_same_settings_give_the_same(ground):
    first = film(ground)
    moves = {"steps": 4, "seed": 7, "guidance": 5.0, "hero": 0.0, "food": 0.5, "eta": 1.0}
    moves |= {"sampler": "ddpm", "spacing": "quadratic"}
    before = first
    for name, value in moves.items():
        ground.controls[name].value = value
        after = film(ground)
        assert after != before, name
        assert ground.message.value == "" and ground.progress.value == 0
        before = after
    again = playground(load_pretrained("sprites"), n=2, steps=3)
    assert film(again) == first


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
    model = Pretrained(LayerNormUNet().eval(), linear(), tuple("0123456789"), "")
    ground = playground(model, n=1, steps=2)
    assert set(ground.controls) == {"sampler", "spacing", "steps", "eta", "seed"}
    film(ground)


def test_what_the_network_predicts_is_read_as_that():
    model = load_pretrained("sprites")
    films = [film(playground(replace(model, target=target), n=1, steps=2)) for target in ("eps", "v", "x0")]
    assert films[0] != films[1] != films[2] != films[0]


def test_it_shows_a_still_that_needs_no_kernel_and_then_the_widgets(ground, monkeypatch):
    shown = []
    monkeypatch.setattr("ddpm_teach.widgets.live.display", lambda bundle, raw: shown.append(bundle))
    ground._ipython_display_()
    still, widgets = shown
    assert ground.film.stands_in in still["text/html"] and {"image/png", "text/plain"} < set(still)
    assert widgets["application/vnd.jupyter.widget-view+json"]["model_id"] == ground.box.model_id
    assert widgets["text/plain"] == repr(ground) == f"Playground({scrub(ground.frames(ground.settings()))!r})"
