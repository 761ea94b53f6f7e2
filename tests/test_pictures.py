"""Pictures on disk: clamped, never stretched, and readable by others."""

from __future__ import annotations

import inspect
import io

import numpy as np
import pytest
import torch
from PIL import Image

from ddpm_teach import Frame, linear
from ddpm_teach.show import save_film, save_png, schedule_curves, scrub, show, tile, to_image, to_uint8


def opened(picture):
    return Image.open(io.BytesIO(picture.png)).convert("RGB")


def test_every_byte_survives_the_way_there_and_back():
    """0…255 → [-1, 1] → 0…255 is the identity: ImageSet.pictures and to_uint8 are inverse."""
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert np.array_equal(to_uint8(pixels.float() / 127.5 - 1)[0, ..., 0], pixels[0, 0].numpy())


def test_values_outside_are_clamped_and_never_stretched():
    """Stretching to a picture's own minimum and maximum would hide saturation, and divide by zero on a flat one."""
    x = torch.tensor([-9.0, -1.0, 0.5, 1.0, 9.0, float("inf"), float("-inf"), float("nan")]).reshape(1, 1, 2, 4)
    assert to_uint8(x).flatten().tolist() == [0, 0, 191, 255, 255, 255, 0, 128]
    flat = torch.full((1, 1, 4, 4), 0.2)
    assert np.unique(to_uint8(flat)).tolist() == [153]  # 1.2 · 127.5


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.complex64])
def test_what_is_not_in_floats_is_refused_and_not_shown_white(dtype):
    with pytest.raises(TypeError, match=r"^x: expected floats in \[-1, 1\], got torch\..* x / 127\.5 - 1"):
        unchecked(to_uint8)(torch.ones(1, 1, 1, 1, dtype=dtype))


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 3, 5, 7), (4, 2, 1, 5, 7)])
def test_channels_go_last_and_the_rest_stays(shape):
    x = torch.rand(shape) * 2 - 1
    pixels = to_uint8(x.bfloat16().requires_grad_())
    assert pixels.shape == (*shape[:-3], *shape[-2:], shape[-3]) and pixels.dtype == np.uint8
    c = shape[-3] - 1
    assert abs(float(pixels[..., 2, 3, c].flat[0]) - (float(x[..., c, 2, 3].flatten()[0]) + 1) * 127.5) <= 1


@pytest.mark.parametrize(
    ("n", "columns", "rows_columns"), [(1, None, (1, 1)), (6, None, (2, 3)), (6, 2, (3, 2)), (5, 4, (2, 4))]
)
@pytest.mark.parametrize("gap", [0, 1, 3])
def test_tiles_stand_row_by_row(n, columns, rows_columns, gap):
    x = torch.linspace(-1, 1, n).reshape(n, 1, 1, 1).expand(n, 3, 2, 4).contiguous()
    sheet, (rows, columns) = tile(x, columns, gap), rows_columns
    assert sheet.shape == (rows * (2 + gap) + gap, columns * (4 + gap) + gap, 3)
    values = to_uint8(x)[:, 0, 0, 0]
    background = np.ones(sheet.shape[:2], bool)
    for i in range(n):
        top, left = gap + i // columns * (2 + gap), gap + i % columns * (4 + gap)
        assert (sheet[top : top + 2, left : left + 4] == values[i]).all()
        background[top : top + 2, left : left + 4] = False
    assert (sheet[background] == 230).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_tiles_pixel_by_pixel(tmp_path, channels):
    x = torch.rand(4, channels, 5, 6) * 2 - 1
    save_png(x, tmp_path / "new" / "sheet.png", columns=2, scale=3)
    with Image.open(tmp_path / "new" / "sheet.png") as image:
        assert image.format == "PNG" and image.mode == {1: "L", 3: "RGB"}[channels]
        pixels = np.asarray(image).reshape(image.height, image.width, channels)
    assert np.array_equal(pixels[1::3, 1::3], tile(x, 2)) and pixels.shape[0] == 3 * tile(x, 2).shape[0]


def test_an_enlarged_picture_keeps_hard_edges():
    image = to_image(np.array([[[0], [255]]], np.uint8), scale=4)
    assert image.size == (8, 4) and sorted(set(np.asarray(image).flat)) == [0, 255]


@pytest.mark.parametrize("name", ["film.gif", "film.webp"])
@pytest.mark.parametrize("kind", [lambda x: x, lambda x: Frame(1, x)])
def test_a_film_shows_every_frame_and_rests_on_the_last(tmp_path, name, kind):
    batches = [torch.full((2, 3, 4, 4), value) for value in (-1.0, -0.3, 0.4, 7.0)]
    save_film(map(kind, batches), tmp_path / name, milliseconds=50, hold=1000)
    with Image.open(tmp_path / name) as film:
        assert film.n_frames == 4 and film.info["loop"] == 0
        durations, values = [], []
        for i in range(4):
            film.seek(i)
            film.load()
            durations.append(film.info["duration"])
            values.append(np.asarray(film.convert("RGB"))[8, 8, 0])
    assert durations == [50, 50, 50, 1000]
    off = 3 if name == "film.gif" else 0  # 256 colours for all
    assert np.allclose(values, [to_uint8(batch)[0, 0, 0, 0] for batch in batches], atol=off)


X = torch.zeros(2, 3, 4, 4)
BYTES = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)


def unchecked(f):
    """The function itself: in tests, the shape checks around it would answer first."""
    return inspect.unwrap(f)


@pytest.mark.parametrize("write", ["show", "tile", "save_png", "save_film"])
@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (BYTES, TypeError, ["torch.uint8", "x / 127.5 - 1"]),
        (X.long(), TypeError, ["torch.int64", "x / 127.5 - 1"]),
        (X[0], ValueError, ["(3, 4, 4)", "[None] makes a batch"]),
        (X[:0], ValueError, ["at least one", "(0, 3, 4, 4)"]),
        (X[..., :0], ValueError, ["(2, 3, 4, 0)"]),
        (X[:, :2], ValueError, ["1 or 3 channels", "(2, 2, 4, 4)"]),
        (torch.zeros(2, 4, 4, 4), ValueError, ["1 or 3 channels", "[:, :3]"]),
        (torch.zeros(2, 4, 5, 3), ValueError, ["1 or 3 channels", ".permute(0, 3, 1, 2)"]),
        (torch.zeros(4, 5, 1), ValueError, ["(4, 5, 1)", ".permute(2, 0, 1)[None] makes a batch"]),
    ],
    ids=[
        *("bytes", "whole numbers", "one picture", "no picture", "no width", "two channels", "latents"),
        *("channels last", "one picture, channels last"),
    ],
)
def test_what_is_no_batch_of_pictures_is_refused_and_leaves_no_file(tmp_path, write, x, error, words):
    path = tmp_path / "file.gif"
    calls = {
        "show": lambda: unchecked(show)(x, "words"),
        "tile": lambda: unchecked(tile)(x),
        "save_png": lambda: unchecked(save_png)(x, path),
        "save_film": lambda: unchecked(save_film)([Frame(1, X), Frame(0, x)], path),
    }
    with pytest.raises(error) as refusal:
        calls[write]()
    assert str(refusal.value).startswith("frames[1]: " if write == "save_film" else "x: ")
    assert all(word in str(refusal.value) for word in words) and not path.exists()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda path: tile(X, -3), ["columns: ", "≥ 1", "-3"]),
        (lambda path: tile(X, 0), ["columns: ", "≥ 1", "0"]),
        (lambda path: tile(X, gap=-1), ["gap: ", "≥ 0"]),
        (lambda path: show(X, "words", scale=0), ["scale: ", "≥ 1"]),
        (lambda path: save_film([], path), ["frames: ", "at least one"]),
        (lambda path: save_film([X, X[:1]], path), ["frames: ", "one shape", "(1, 3, 4, 4)"]),
        (lambda path: save_film([X], path, milliseconds=0), ["milliseconds: ", "1…"]),
        (lambda path: save_film([X], path, milliseconds=700_000), ["milliseconds: ", "1…655350", "700000"]),
        (lambda path: save_film([X], path.with_suffix(".webp"), hold=2**24), ["hold: ", "1…16777215"]),
        (lambda path: save_film([X], path, columns=1, scale=7000), ["frames: ", "65535 pixels a side", "scale"]),
        (lambda path: save_film([X], path.with_suffix(".webp"), scale=2000), ["frames: ", "16383 pixels a side"]),
        (lambda path: save_film([X], path.with_suffix(".mp4")), ["path: ", ".gif or .webp"]),
        (lambda path: save_png(X, path.with_suffix(".jpg")), ["path: ", ".png", "film.jpg"]),
        (lambda path: save_png(X, path.with_suffix("")), ["path: ", ".png", "film'"]),
        (lambda path: scrub([Frame(1, X), Frame(0, X)], linear()).save(path), ["path: ", ".html", "film.gif"]),
    ],
)
def test_numbers_without_a_meaning_are_refused_and_leave_no_file(tmp_path, call, words):
    with pytest.raises(ValueError) as refusal:
        call(tmp_path / "film.gif")
    assert all(word in str(refusal.value) for word in words) and not list(tmp_path.iterdir())


def test_a_figure_is_shown_with_words_too():
    picture = show(schedule_curves(linear()), "two falling curves")
    bundle = picture._repr_mimebundle_()
    assert bundle["text/plain"] == "two falling curves" and 'alt="two falling curves"' in bundle["text/html"]
    assert Image.open(io.BytesIO(picture.png)).width > 500


def test_names_stand_beside_rows_and_above_columns_and_the_pictures_stay_as_they_are():
    """The grid is a part of the labelled picture, pixel for pixel; each name adds ink beside its own row or column."""
    x = torch.rand(6, 3, 16, 16) * 2 - 1
    plain = opened(show(x, "six", columns=3))
    named = opened(show(x, "six", rows=["a", "b"], cols=["one", "two", "three"]))
    left, top = named.width - plain.width, named.height - plain.height
    assert left > 0 < top
    assert named.crop((left, top, named.width, named.height)).tobytes() == plain.tobytes()
    margin = np.asarray(named.convert("L")) < 128
    for i in range(2):  # every row's name, at its height
        assert margin[top + i * plain.height // 2 : top + (i + 1) * plain.height // 2, :left].any()
    for j in range(3):
        assert margin[:top, left + j * plain.width // 3 : left + (j + 1) * plain.width // 3].any()


def test_a_long_name_keeps_to_its_column():
    named = opened(show(torch.ones(2, 1, 16, 16), "two", cols=["a very long name of a column", " "]))
    margin = np.asarray(named.convert("L"))[: named.height - 18 * 4] < 128  # two pictures are 18 pixels high, by 4
    assert margin[:, : named.width // 2].any() and not margin[:, named.width // 2 :].any()


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (dict(rows=["a"], columns=2), "rows: expected 2 names, one for each row, got 1"),
        (dict(cols=["a", "b", "c"], columns=2), "cols: expected 2 names, one for each column, got 3"),
        (dict(cols="ab"), "cols: expected 2 names, one for each column, got 'ab'"),
    ],
)
def test_other_numbers_of_names_are_refused(names, sentence):
    with pytest.raises(ValueError, match=sentence):
        show(torch.zeros(4, 1, 8, 8), "four", **names)
