"""The scrubber without a browser: what it makes, what it refuses. tests/browser moves it."""

import base64
import inspect
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import ddpm_teach.show
from ddpm_teach import Frame, linear
from ddpm_teach.show import browse, compare, forward, scrub
from ddpm_teach.show.films.still import evenly


def walk(n=51, shape=(8, 3, 16, 16), seed=0):
    """Noise that turns into stripes; the first frame has no estimate."""
    rng = torch.Generator().manual_seed(seed)
    noise, clean = torch.randn(shape, generator=rng), torch.linspace(-1, 1, shape[-1]).expand(shape).clone()
    for i in range(n):
        share = i / max(n - 1, 1)
        yield Frame(
            round(1000 * (1 - share)),
            (1 - share) * noise + share * clean,
            share * clean if i else None,
            noise if i else None,
        )


def film(scrubber, panel, i):
    """(h, w, 3): what panel number `panel` shows at frame i, cut out of its sheet as the browser does."""
    data, source = scrubber.data, scrubber.data["panels"][panel]
    (w, h), columns = data["size"], data["columns"]
    w, h = w * columns, h * -(-data["count"] // columns)
    sheet = Image.open(io.BytesIO(base64.b64decode(source["src"].partition(",")[2]))).convert("RGB")
    left, top = i % source["across"] * w, i // source["across"] * h
    return np.asarray(sheet)[top : top + h, left : left + w].astype(int)


def test_text_says_what_is_shown():
    assert repr(scrub(walk(), linear())) == "Scrubber(51 frames, t = 1000…0, 2 panels of 8 pictures 16×16)"
    one = [Frame(3, torch.zeros(1, 1, 4, 6))]
    assert repr(scrub(one)) == "Scrubber(1 frame, t = 3, 1 panel of 1 picture 6×4)"


def test_output_has_three_forms_and_is_the_same_for_the_same_frames():
    bundle = scrub(walk(), linear())._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert bundle == scrub(walk(), linear())._repr_mimebundle_()
    assert (
        f'<img alt="{bundle["text/plain"]}" src="data:image/png;base64,{bundle["image/png"]}">' in bundle["text/html"]
    )
    assert not any(word in bundle["text/html"] for word in ("http:", "https:", "import(", "fetch("))
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).width < 1000


def test_a_long_film_is_small():
    frames = list(walk())
    bundle = scrub(frames, linear())._repr_mimebundle_()
    assert sum(len(text.encode()) for text in bundle.values()) <= 200_000


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_every_picture_is_where_the_browser_looks_for_it(channels, n):
    levels = torch.linspace(-1, 1, n * 5).reshape(n, 5, 1, 1, 1).expand(n, 5, channels, 3, 4)
    scrubber = scrub([Frame(i, x) for i, x in enumerate(levels)], columns=2)
    for i, x in enumerate(levels):
        grid = film(scrubber, 0, i)
        for k in range(5):
            top, left = k // 2 * 3, k % 2 * 4
            expected = (x[k, 0, 0, 0].item() + 1) * 127.5
            assert np.abs(grid[top : top + 3, left : left + 4] - expected).max() <= 1


def test_clamped_never_stretched():
    x = torch.tensor([-2.0, -0.5, 0.5, 2.0]).reshape(1, 1, 1, 4)
    scrubber = scrub([Frame(1, x, x, 3 * x)], panels=("x", "eps"))
    for panel in (0, 1):
        assert np.abs(film(scrubber, panel, 0)[0, :, 0] - [0, 63.75, 191.25, 255]).max() <= 1


def test_panels_that_are_equal_look_so():
    *_, last = walk()
    scrubber = scrub([*walk(50), Frame(0, last.x0, last.x0)])
    assert (film(scrubber, 0, 50) == film(scrubber, 1, 50)).all()


def test_labels():
    labels = scrub([Frame(t, torch.eye(4)[None, None]) for t in (1000, 500, 0)], linear()).data["labels"]
    assert labels[0] == "t = 1000 · ᾱ = 4e-05 · SNR −43.9 dB"
    assert labels[2] == "t = 0 · ᾱ = 1.0000 · SNR +∞ dB"
    assert scrub([Frame(7, torch.eye(4)[None, None])]).data["labels"] == ["t = 7"]


def test_what_the_eye_cannot_tell_stands_in_the_label():
    x = torch.eye(4).repeat(2, 3, 1, 1)
    x[1, :, 0, 1:3] = x[0, 0, 2, 2] = torch.nan
    frames = [Frame(2, x), Frame(1, torch.full_like(x, 0.5), torch.full_like(x, torch.nan))]
    labels = scrub(frames).data["labels"]
    assert labels == ["t = 2 · 3 NaN pixels in xₜ", "t = 1 · xₜ is 0.50 everywhere · 32 NaN pixels in x̂₀"]
    assert scrub([frames[1]]).data["curve"] is None
    x[1, :, 0, 1:3], x[0, 0, 2, 2] = torch.inf, -torch.inf
    assert scrub([Frame(1, x)]).data["labels"] == ["t = 1 · 3 infinite pixels in xₜ"]


@pytest.mark.parametrize("size", [1e30, 1e300, torch.inf, torch.nan])
@pytest.mark.parametrize("schedule", [None, linear()])
def test_a_walk_that_explodes_is_shown_and_its_film_is_json(size, schedule):
    """Jupyter's own JSON refuses NaN. 1e30 squared is infinite in float32, and 1e300 squared is in float64."""
    x = torch.eye(4, dtype=torch.float64)[None, None]
    frames = [Frame(4, x), Frame(3, x + 1), Frame(2, x * size), Frame(1, x), Frame(0, x + 1)]
    for film in (
        scrub(frames, schedule),
        compare({"a": frames, "b": frames[::-1]}),
        browse({"a": x, "b": x * size}),
        forward(x * size, linear()),
    ):
        json.dumps(film.data, allow_nan=False)
        assert film.html() and film.still
    film = scrub(frames, schedule)
    assert ("|xₜ| reaches 1e+" if size < torch.inf else " in xₜ") in film.data["labels"][2]
    if (schedule is None and size > 1e30) or size != size:
        assert schedule or [point[1] for point in film.data["curve"]["at"]] == [None, 1, None, None, 1]


def test_a_change_that_float32_cannot_square_is_the_greatest():
    x = torch.zeros(1, 1, 4, 4)
    curve = scrub([Frame(2, x), Frame(1, x + 1e30), Frame(0, x + 1e30 + 1e29)]).data["curve"]
    assert [point[1] for point in curve["at"]] == [None, 1, pytest.approx(0.1)]
    assert curve["title"].endswith("at most 1e+30")


def test_missing_estimates():
    frames = list(walk(3))
    assert [panel["empty"] for panel in scrub(frames).data["panels"]] == [[], [0]]
    assert len(scrub(frames[:1]).data["panels"]) == 1
    assert scrub(frames[:1], panels=["eps"]).data["panels"][0]["empty"] == [0]


def test_curve_follows_the_walk():
    level = scrub(walk(3), linear()).data["curve"]
    assert level["at"] == [[0, 0], [0.5, pytest.approx(linear().at(500), abs=1e-4)], [1, 1]]
    assert level["ends"] == ["t = 1000", "t = 0"]
    assert scrub(reversed(list(walk(3))), linear()).data["curve"]["ends"] == ["t = 0", "t = 1000"]

    change = scrub(walk(4)).data["curve"]  # x̂₀ moves by as much each time
    assert change["at"] == [[0, None], [0.3333, None], [0.6667, pytest.approx(1)], [1, pytest.approx(1)]]
    assert change["line"] == change["at"][2:]
    same = [Frame(t, torch.zeros(1, 1, 2, 2)) for t in (2, 1)]
    assert scrub(same).data["curve"] is None


def test_a_film_opens_at_its_end_unless_told_where():
    assert scrub(walk()).data["start"] == 50
    assert scrub(walk(), start=0).data["start"] == 0 and scrub(walk(), start=17).data["start"] == 17


def test_titles_and_geometry():
    data = scrub(walk(2), titles=["a", "<b>"], columns=8, scale=3, fps=5.0).data
    assert [panel["title"] for panel in data["panels"]] == ["a", "<b>"]
    assert (data["columns"], data["scale"], data["fps"]) == (8, 3, 5)
    assert scrub(walk(2)).data["columns"] == 4


def test_walks_of_other_lengths_meet_at_the_nearest_time():
    fine, coarse = list(walk(5)), list(walk(3))  # t = 1000, 750, 500, 250, 0 and 1000, 500, 0
    scrubber = compare({"fine": fine, "coarse": coarse}, panel="x")
    assert repr(scrubber) == "Scrubber(5 frames, t = 1000…0, 2 panels of 8 pictures 16×16)"
    assert scrubber.data["panels"][1]["at"] == [0, 0, 1, 1, 2] and "at" not in scrubber.data["panels"][0]
    assert scrubber.data["labels"] == ["t = 1000", "t = 750, 1000", "t = 500", "t = 250, 500", "t = 0"]
    reverse = compare({"coarse": coarse, "fine": fine})
    assert [panel.get("at") for panel in reverse.data["panels"]] == [[0, 0, 1, 1, 2], None]


def test_the_curve_of_a_comparison_is_the_distance_of_its_panels():
    near, far = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.5)
    pair = {"a": [Frame(2, near), Frame(1, near)], "b": [Frame(2, near), Frame(1, far)]}
    curve = compare(pair).data["curve"]
    assert curve["title"] == "distance between the panels, at most 0.5" and curve["at"] == [[0, 0], [1, 1]]
    assert compare({"a": pair["a"], "b": pair["a"]}).data["curve"] is None
    third = compare(pair | {"c": pair["a"]}).data["curve"]  # two of three pairs are 0.5 apart
    assert third["title"].endswith("at most 0.41")


@pytest.mark.parametrize(
    ("streams", "options", "message"),
    [
        ({"a": walk(2)}, {}, "streams: expected two to four walks, got 1"),
        ({"a": walk(2), "b": []}, {}, "streams['b']: expected at least one frame"),
        ({"a": walk(2), "b": walk(2, (2, 3, 16, 16))}, {}, "all of one shape"),
        ({"a": walk(2), "b": walk(2)}, {"panel": "y"}, "panel: expected"),
    ],
)
def test_comparisons_that_make_no_sense_are_refused(streams, options, message):
    with pytest.raises(ValueError) as error:
        compare(streams, **options)
    assert message in str(error.value)


def test_pictures_by_anything_but_the_time():
    grey = {f"scale {k}": torch.full((2, 1, 4, 4), value) for k, value in enumerate((-1.0, 0.0, 1.0))}
    browser = browse(grey)
    assert browser.data["labels"] == ["scale 0", "scale 1", "scale 2"] and browser.data["curve"] is None
    assert [film(browser, 0, i).mean().round() for i in range(3)] == [0, 128, 255]
    assert repr(browser) == "Scrubber(3 frames, scale 0…2, 1 panel of 2 pictures 4×4)"


@pytest.mark.parametrize("pictures", [{}, {"a": torch.zeros(1, 1, 2, 2), "b": torch.zeros(4)}])
def test_pictures_that_cannot_be_browsed_are_refused(pictures):
    with pytest.raises(ValueError, match="expected (some by their labels|pictures)"):
        browse(pictures)


def test_the_forward_process_is_a_few_kilobytes_whatever_its_length():
    x0 = next(walk(1, (8, 3, 16, 16))).x
    short, long = (forward(x0, {"a": linear(), "b": linear(500)}, frames=n) for n in (2, 101))
    assert repr(long) == "Forward(101 frames, 8 pictures 16×16, 2 schedules)"
    assert long.data["panels"] == short.data["panels"]
    assert len(long.data["panels"][0]["mix"]["x0"]) + len(long.data["panels"][0]["mix"]["eps"]) < 20_000
    first, second = long.data["variants"]
    assert (first["labels"][-1][:8], second["labels"][-1][:7]) == ("t = 1000", "t = 500")
    signal, noise = first["rates"][50]
    assert signal**2 == pytest.approx(linear().at(500), abs=1e-4) and signal**2 + noise**2 == pytest.approx(1, abs=1e-4)
    assert forward(x0, linear()).data["variants"][0]["name"] == ""


@pytest.mark.parametrize(
    ("images", "schedules", "frames", "message"),
    [
        (torch.zeros(2, 2, 4, 4), linear(), 5, "(2, 2, 4, 4)"),
        (torch.zeros(2, 3, 4, 4), {}, 5, "schedules: expected a Schedule, or a dict"),
        (torch.zeros(2, 3, 4, 4), linear(), 1, "frames: expected a whole number ≥ 2, got 1"),
    ],
)
def test_a_forward_process_that_cannot_be_shown_is_refused(images, schedules, frames, message):
    with pytest.raises(ValueError) as error:
        forward(images, schedules, frames=frames)
    assert message in str(error.value)


X = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "frames: expected at least one"),
        ([Frame(1, X), Frame(0, X[:1])], {}, "all of one shape, got (1, 3, 4, 4), (2, 3, 4, 4)"),
        ([Frame(1, X, X[:1])], {}, "all of one shape, got (1, 3, 4, 4), (2, 3, 4, 4)"),
        ([Frame(1, X[:, :2])], {}, "got (2, 2, 4, 4)"),
        ([Frame(1, X[0])], {}, "got (3, 4, 4)"),
        ([Frame(1, X[:0])], {}, "(0, 3, 4, 4)"),
        ([Frame(1, X)], {"fps": 0}, "fps: expected a number in [0.1, 1000], got 0"),
        ([Frame(1, X)], {"fps": torch.inf}, "fps: expected a number in [0.1, 1000], got inf"),
        ([Frame(1, X)], {"columns": -3}, "columns: expected a whole number ≥ 1, got -3"),
        ([Frame(1, X)], {"scale": 0}, "scale: expected a whole number ≥ 1, got 0"),
        ([Frame(1, X)], {"panels": ("x", "x1")}, "panels: expected some of"),
        ([Frame(1, X)], {"panels": ()}, "panels: expected some of"),
        ([Frame(1, X)], {"titles": ["a", "b"]}, "titles: expected 1"),
        ([Frame(1, X)], {"start": 1}, "start: expected a whole number in 0…0, got 1"),
        ([Frame(1001, X)], {"schedule": linear()}, "t: expected a whole number in 0…1000, got 1001"),
    ],
)
def test_refusals_name_the_argument(frames, options, message):
    with pytest.raises(ValueError) as error:
        scrub(frames, **options)
    assert message in str(error.value)


WHOLE = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: scrub([Frame(0, WHOLE)]), "frames"),
        (lambda: scrub([Frame(0, X, X.long())]), "frames"),
        (lambda: compare({"a": [Frame(0, X)], "b": [Frame(0, WHOLE)]}), "streams['b']"),
        (lambda: browse({"a": WHOLE}), "pictures"),
        (lambda: inspect.unwrap(forward)(WHOLE, linear()), "images"),
    ],
)
def test_pictures_of_whole_numbers_are_refused_in_one_sentence(call, name):
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value).startswith(f"{name}: ") and "use x / 127.5 - 1" in str(error.value)


def test_walks_without_headings_are_refused_with_a_remedy():
    with pytest.raises(TypeError, match="streams: expected walks by their headings"):
        inspect.unwrap(compare)([walk(2), walk(2)])


def test_a_default_device_changes_no_film():
    frames, schedule = list(walk(3)), linear()
    films = scrub(frames), forward(frames[0].x, schedule, seed=3)
    with torch.device("meta"):
        again = scrub(frames), forward(frames[0].x, schedule, seed=3)
        assert len(scrub(frames[:1], panels=["eps"]).data["panels"]) == 1
    assert [film.data for film in again] == [film.data for film in films]


def test_the_room_gives_every_name_and_loads_nothing_before():
    assert {"show", "scrub", "playground", "forward_strip", "Scrubber", "STYLE"} <= set(ddpm_teach.show.__all__)
    assert set(ddpm_teach.show.__all__) <= set(dir(ddpm_teach.show))
    for name in ddpm_teach.show.__all__:
        assert getattr(ddpm_teach.show, name) is not None
    with pytest.raises(AttributeError, match="'scrubb'; it has .*scrub"):
        _ = ddpm_teach.show.scrubb
    code = """
import sys
heavy = {"torch", "matplotlib", "ipywidgets", "anywidget", "IPython"}
import ddpm_teach.show
print(sorted(heavy & set(sys.modules)))
from ddpm_teach.show import scrub, show
print(sorted(heavy & set(sys.modules)))
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "[]\n['torch']\n"


@pytest.mark.parametrize(
    "film",
    [
        lambda **names: scrub([Frame(1, torch.zeros(4, 1, 8, 8))], **names),
        lambda **names: compare({k: [Frame(1, torch.zeros(4, 1, 8, 8))] for k in "ab"}, **names),
        lambda **names: forward(torch.zeros(4, 1, 8, 8), linear(), **names),
        lambda **names: browse({"1": torch.zeros(4, 1, 8, 8)}, **names),
    ],
    ids=["scrub", "compare", "forward", "browse"],
)
def test_every_film_names_its_rows_and_columns_and_says_what_it_shows(film):
    named = film(rows=["hero", "food"], cols=["η = 0", "η = 1"], alt="two heroes, two kinds of food")
    assert (named.data["rows"], named.data["cols"], named.data["columns"]) == (["hero", "food"], ["η = 0", "η = 1"], 2)
    assert named.html().startswith(f'<div class="{named.name}"><img alt="two heroes, two kinds of food"')
    plain = film()
    assert not {"rows", "cols", "alt"} & set(plain.data) and plain.alt == plain.summary
    height = lambda one: Image.open(io.BytesIO(one.still)).height  # noqa: E731
    assert height(named) > height(plain)  # the still says the names in lines of their own
    with pytest.raises(ValueError, match="^rows: expected 2 names, one for each row, got 1"):
        film(rows=["hero"], columns=2)


def test_a_still_is_large_enough_to_recognise_a_sprite():
    frames = [Frame(t, torch.zeros(5, 3, 16, 16)) for t in range(20, -1, -1)]
    still = Image.open(io.BytesIO(scrub(frames, columns=5).still))
    count = len(evenly(21, 5 * 16))
    assert (still.width - 8) / count - 8 >= 5 * 32
