"""Models that are told words, and models of latents: what they draw, how they are kept, and what they refuse."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import pytest
import torch

import ddpm_teach as dt
from ddpm_teach.cli import main
from ddpm_teach.data.latents import encoded
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.model_files import digest, load_autoencoder, save_net
from ddpm_teach.nets import Autoencoder, TextUNet
from ddpm_teach.training import pages
from ddpm_teach.training.presets import VOCABULARY
from tests.small_runs import assert_same, snapshot

CAPTION = "a wizard with a red hat left of a green slime, at night"
SMALL = dict(latent_channels=4, widths=(8, 8, 8, 8), depth=1, groups=4)
TEXT = dict(words=VOCABULARY, widths=(16, 16), text_width=16, text_depth=1, groups=4)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer()


@pytest.fixture(scope="module")
def autoencoder_file(tmp_path_factory):
    torch.manual_seed(1)
    net = Autoencoder(**SMALL)
    net.scale.fill_(2.0)
    save_net(path := tmp_path_factory.mktemp("autoencoder") / "small.safetensors", net, ())
    return path


def text_net(**config):
    """A network whose output depends on the words: what is zero at first is not."""
    torch.manual_seed(0)
    net = TextUNet(**TEXT | config).eval().requires_grad_(False)
    for parameter in net.parameters():
        parameter.add_(0.1 * torch.randn(parameter.shape))
    return net


@pytest.fixture
def model(tokenizer, autoencoder_file):
    return dt.Model(
        text_net(channels=4),
        dt.linear(),
        "v",
        data="scenes",
        tokenizer=tokenizer,
        autoencoder=load_autoencoder(autoencoder_file),
    )


def test_a_student_of_words_draws_in_its_own_steps(model, tmp_path):
    """Neither the usual steps and guidance of words nor a negative caption are its own."""
    student = replace(model, times=(1000, 300, 0))
    drawn = student.draw(CAPTION, n=2, seed=3)
    assert torch.equal(drawn, dt.sample(student, 2, student.context(CAPTION), seed=3))
    dt.save_weights(tmp_path / "w", student)
    assert dt.load_model(tmp_path / "w").times == (1000, 300, 0)
    for bad in ({"steps": 20}, {"guidance_scale": 4.0}):
        with pytest.raises(ValueError, match=rf"^{next(iter(bad))}: .*student walks its own times, 1000, 300, 0"):
            student.draw(CAPTION, **bad)
    with pytest.raises(ValueError, match="^negative: .*a student takes none"):
        student.draw(CAPTION, negative="a king")
    assert main(["sample", str(tmp_path / "w"), "--negative", "a king", "--png", str(tmp_path / "x.png")]) == 2
    assert not (tmp_path / "x.png").exists()


def test_drawing_is_guided_sampling_then_decoding(model):
    drawn = model.draw(CAPTION, n=2, seed=3, steps=4, guidance_scale=2.0)
    sampler = dt.Sampler(steps=4, guidance_scale=2.0)
    *_, last = sampler.frames(model, 2, model.context(CAPTION, n=2), seed=3)
    assert last.x.shape == (2, 4, 8, 8) and drawn.shape == (2, 3, 32, 32)
    assert torch.equal(drawn, model.decoded(last.x)) and drawn.abs().max() <= 1
    by_sample = dt.sample(model, 2, model.context(CAPTION), seed=3, steps=4, guidance_scale=2.0)
    assert torch.equal(by_sample, drawn)
    assert torch.equal(drawn, model.draw(CAPTION, n=2, seed=3, steps=4, guidance_scale=2.0))
    assert not torch.equal(drawn, model.draw(CAPTION, n=2, seed=4, steps=4, guidance_scale=2.0))


def test_latents_are_not_clipped_as_pictures_are(model):
    """A latent is about normal: a third of its numbers are beyond ±1."""
    frames = list(dt.Sampler(steps=4).frames(model, 2, seed=0))
    assert frames[1].x0.abs().max() > 1
    pictures = replace(model, autoencoder=None, limit=1.0)
    assert next(itertools.islice(dt.Sampler(steps=4).frames(pictures, 2, seed=0), 1, None)).x0.abs().max() <= 1


def test_words_their_order_and_negatives_act(model):
    draw = lambda text, **options: model.draw(text, steps=3, **options)  # noqa: E731
    one = draw("a red knight left of a blue dragon")
    assert not torch.allclose(one, draw("a blue knight left of a red dragon"), atol=1e-4)
    assert not torch.allclose(one, draw("a red knight left of a blue dragon", negative="a king"), atol=1e-4)
    several = model.draw(["a king", "a red apple"], n=2, steps=3)
    assert several.shape[0] == 4
    assert torch.allclose(several[:2], model.draw("a king", n=4, steps=3)[:2], atol=1e-5)


def test_no_words_are_the_empty_caption(model):
    """So guidance needs no null of its own, and context dropout, which multiplies by 0, leaves the empty caption."""
    empty = model.context("")
    assert torch.equal(empty, torch.zeros(1, model.tokenizer.length, dtype=torch.long))
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([500, 500])
    assert torch.equal(model.net(x, t, empty.expand(2, -1)), model.net(x, t))
    wanted = model.context(CAPTION)
    by_hand = model.net(x, t) + 3.0 * (model.net(x, t, wanted.expand(2, -1)) - model.net(x, t))
    assert torch.allclose(dt.guided(model.net, wanted, 3.0)(x, t), by_hand, atol=1e-4)


def test_frames_are_decoded_one_by_one(model):
    frames = list(dt.Sampler(steps=2).frames(model, 2, model.context(CAPTION), seed=0))
    decoded = list(model.decoded_frames(frames))
    assert [frame.t for frame in decoded] == [frame.t for frame in frames]
    for latent, picture in zip(frames, decoded, strict=True):
        assert torch.equal(picture.x, model.decoded(latent.x))
    assert decoded[0].x0 is None and torch.equal(decoded[1].x0, model.decoded(frames[1].x0))


def test_encoding_is_what_training_did(model):
    scenes = dt.load("scenes", "test", n=8)
    latents = encoded(scenes, model.autoencoder)
    assert torch.allclose(model.encoded(scenes.pictures(slice(None))), latents.pictures(slice(None)), atol=1e-2)


def test_a_model_keeps_its_words_and_its_autoencoder_in_its_file(model, tmp_path, autoencoder_file):
    dt.save_weights(tmp_path / "words.safetensors", model)
    back = dt.load_model(tmp_path / "words.safetensors")
    assert back.tokenizer == model.tokenizer and back.data == "scenes"
    assert digest(back.autoencoder) == digest(model.autoencoder)
    assert torch.allclose(back.draw(CAPTION, steps=2), model.draw(CAPTION, steps=2), atol=0.02)

    other = Autoencoder(**SMALL)
    save_net(autoencoder_file, other, ())
    try:
        with pytest.raises(ValueError, match="was trained with other weights of the autoencoder"):
            dt.load_model(tmp_path / "words.safetensors")
    finally:
        save_net(autoencoder_file, model.autoencoder, ())


def scenes_run(autoencoder_file, **options):
    scenes = dt.load("scenes", "train", n=64).captioned(Tokenizer())
    latents = encoded(scenes, load_autoencoder(autoencoder_file))
    chosen = dict(steps=60, batch_size=16, lr=3e-3, target="v", condition="caption", precision="float32") | options
    options = dt.RunOptions("scenes", autoencoder=str(autoencoder_file), **chosen)
    torch.manual_seed(0)
    return dt.TrainState.create(TextUNet(**TEXT, channels=4), dt.linear(), options, told=latents.told), latents


def test_a_run_on_captions_learns_and_goes_on_exactly(autoencoder_file, tmp_path):
    whole, latents = scenes_run(autoencoder_file)
    before = pages.held_out_loss(whole, latents)
    for _ in dt.train(whole, latents):
        pass
    assert pages.held_out_loss(whole, latents) < 0.9 * before
    half, _ = scenes_run(autoencoder_file)
    for log in dt.train(half, latents):
        if log.step == 30:
            break
    dt.save_checkpoint(tmp_path / "half.pt", half)
    half = dt.load_checkpoint(tmp_path / "half.pt")
    for _ in dt.train(half, latents):
        pass
    assert_same(snapshot(half), snapshot(whole))
    assert half.model.tokenizer == Tokenizer() and half.model.picture_shape == (3, 32, 32)
    line = pages.page_of(half, tmp_path / "page.png", n=2)
    assert "caption" in line and (tmp_path / "page.png").exists()


def test_other_latents_are_another_data_set(autoencoder_file, tmp_path):
    state, latents = scenes_run(autoencoder_file)
    next(iter(dt.train(state, latents)))
    other = load_autoencoder(autoencoder_file)
    other.scale.mul_(1.5)
    scenes = dt.load("scenes", "train", n=64).captioned(Tokenizer())
    with pytest.raises(ValueError, match="other pictures"):
        next(iter(dt.train(state, encoded(scenes, other))))


def test_the_presets_know_the_vocabulary(tokenizer):
    assert tokenizer.size == VOCABULARY
    for budget in ("cpu-minutes", "cpu-hour", "gpu"):
        net = dt.build_net(dt.preset("scenes", budget))
        assert net.vocabulary == VOCABULARY and net.image_shape == Autoencoder().latent_shape


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda model: model.draw("a wizzard"), "'wizzard' .* did you mean wizard"),
        (lambda model: model.draw("red " * 80), "at most 56"),
        (lambda model: model.context(kind="knight"), "told words, got .*knight"),
        (lambda model: dt.load_model("mnist").draw("seven"), "isn't told words"),
        (lambda model: model.draw("a king", guidance_scale=1.0, negative="red"), "negative: acts through guidance"),
        (lambda model: dt.sample(model, 2, torch.zeros(2, 5, dtype=torch.long)), "expected shape"),
        (lambda model: replace(model, autoencoder=Autoencoder()), "its latents have shape"),
    ],
    ids=["unknown", "long", "columns", "no words", "no guidance", "shape", "another autoencoder"],
)
def test_bad_input_is_refused_in_one_sentence(model, call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence) as error:
        call(model)
    assert "\n" not in str(error.value)


def test_the_command_line_draws_to_prompts(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dt.save_weights("words.safetensors", model)
    quick = ["--n", "2", "--steps", "2", "--precision", "float32"]
    assert (
        main(["sample", "words.safetensors", "--prompt", CAPTION, "--negative", "a king", "--gif", "a.gif", *quick])
        == 0
    )
    assert main(["sample", "words.safetensors", "--png", "free.png", *quick]) == 0
    assert {path.name for path in tmp_path.glob("*.[gp]*")} == {"a.gif", "free.png"}
    capsys.readouterr()
    for arguments, sentence in (
        (["words.safetensors", "--context", "hero"], "--context: .* use --prompt"),
        (["mnist-context", "--prompt", "a king"], "--prompt: .* takes no words"),
        (["words.safetensors", "--prompt", "a wizzard"], "did you mean wizard"),
        (["words.safetensors", "--negative", "a king", "--guidance", "1"], "--negative: acts through guidance"),
    ):
        assert main(["sample", *arguments]) == 2
        assert re.search(sentence, capsys.readouterr().err), arguments
