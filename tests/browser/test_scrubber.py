"""The scrubber where learners meet it: in JupyterLab, and on an exported page without kernel or network."""

import re

import nbformat
import pytest
import torch

import ddpm_teach as ddpm
from ddpm_teach.show import compare, forward, scrub
from ddpm_teach.show.films.sheet import SCRIPT
from tests.browser.conftest import check_playground

pytestmark = pytest.mark.browser

SOURCE = """
import torch
import ddpm_teach as ddpm
from ddpm_teach.show import scrub

def walk():  # towards eight sprites, with the denoiser that knows them
    schedule = ddpm.linear()
    sprites = ddpm.load("sprites").pictures(slice(0, 8))
    rng = torch.Generator().manual_seed(0)
    def denoiser(x, t):
        return ddpm.Estimate(sprites, (x - schedule.signal_rate(t, x) * sprites) / schedule.noise_rate(t, x))
    step = ddpm.ddim_step(denoiser, schedule)
    return list(ddpm.walk(step, torch.randn(sprites.shape, generator=rng), ddpm.trailing(1000, 50)))

scrub(walk(), ddpm.linear())
"""
PIXELS = """canvas => { let hash = 0;
  const ctx = canvas.getContext('2d');
  for (const v of ctx.getImageData(0, 0, canvas.width, canvas.height).data) hash = (hash * 31 + v) | 0;
  return hash; }"""
# From the key's own time stamp until the changed pixels can be read back.
LATENCY = """root => {
  const canvas = root.querySelector('canvas'), ctx = canvas.getContext('2d');
  let pressed;
  window.latencies = [];
  document.addEventListener('keydown', event => { pressed = event.timeStamp; }, true);
  new MutationObserver(() => {
    ctx.getImageData(0, 0, canvas.width, canvas.height);
    window.latencies.push(performance.now() - pressed);
  }).observe(root, {attributeFilter: ['data-index']});
}"""


@pytest.fixture(scope="module")
def bundle():
    space = {}
    exec(SOURCE.replace("\nscrub(", "\nresult = scrub("), space)
    return space["result"]._repr_mimebundle_()


def notebook(bundle):
    output = nbformat.v4.new_output("execute_result", bundle, execution_count=1)
    cell = nbformat.v4.new_code_cell(SOURCE, outputs=[output], execution_count=1)
    kernel = {"name": "python3", "display_name": "Python 3"}  # without it JupyterLab asks which one
    return nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})


@pytest.fixture
def exported(new_page, bundle, tmp_path):
    """Opens the notebook's export from file://, the network refused: (page, the scrubber)."""
    exporter = pytest.importorskip("nbconvert").HTMLExporter()

    def open_export(width=1200, twice=False, **options):
        lesson = notebook(bundle)
        if twice:
            lesson.cells += notebook(bundle).cells  # with an id of its own
        path = tmp_path / "lesson.html"
        path.write_text(exporter.from_notebook_node(lesson)[0], encoding="utf-8")
        page = new_page(width, **options)
        page.route(re.compile("^(?!file:|data:|blob:)"), lambda route: route.abort())
        page.goto(path.as_uri())
        return page, film(page)

    return open_export


def film(page):
    root = page.locator(".ddpm-scrub[data-ready]").first
    root.wait_for()
    root.scroll_into_view_if_needed()
    return root


def pixels(root):
    return [canvas.evaluate(PIXELS) for canvas in root.locator("canvas").all()]


def label(root):
    return root.locator(".now").text_content()


def check_keys(root):
    """From the first frame on: to the right, back again, to the ends."""
    slider = root.locator("input")
    slider.focus()
    assert root.get_attribute("data-index") == "50"  # a film opens with what came out
    slider.press("Home")
    first = pixels(root)
    seen = [first]
    for _ in range(5):
        slider.press("ArrowRight")
        seen.append(pixels(root))
    assert len({x for x, _ in seen}) == 6
    assert label(root).startswith("t = 900 · ᾱ = ")
    assert slider.get_attribute("aria-valuetext") == f"{label(root)}, frame 6 of 51"
    for before in reversed(seen[:-1]):
        slider.press("ArrowLeft")
        assert pixels(root) == before
    slider.press("End")
    assert label(root) == "t = 0 · ᾱ = 1.0000 · SNR +∞ dB"
    assert len(set(pixels(root))) == 1  # x_0 is its own estimate
    slider.press("ArrowRight")
    assert root.get_attribute("data-index") == "50"
    slider.press("Home")
    assert pixels(root) == first
    assert root.locator("canvas").nth(1).get_attribute("aria-label").endswith("no estimate yet")


def test_exported_page_without_network(exported):
    _, root = exported()
    check_keys(root)


def test_play_pause_speed_and_loop(exported):
    page, root = exported()
    root.get_by_role("button", name="speed 1×").click()
    root.get_by_role("button", name="speed 2×").click()
    root.locator("input").press("Home")
    root.get_by_role("button", name="play").click()
    page.wait_for_function("root => root.dataset.index > 3", arg=root.element_handle())
    root.get_by_role("button", name="pause").click()
    stopped = root.get_attribute("data-index")
    page.wait_for_timeout(200)
    assert root.get_attribute("data-index") == stopped

    root.locator("input").press("End")
    root.locator("input").press("ArrowLeft")
    root.locator("input").press(" ")
    root.get_by_role("button", name="play").wait_for()  # stopped by itself
    assert root.get_attribute("data-index") == "50"

    root.get_by_role("button", name="loop").click()
    root.locator("input").press("ArrowLeft")
    root.locator("input").press(" ")
    page.wait_for_function("root => root.dataset.index < 40", arg=root.element_handle())
    root.get_by_role("button", name="pause").click()


def test_the_same_output_twice_on_a_page(exported):
    page, root = exported(twice=True)
    assert page.locator(".ddpm-scrub[data-ready]").count() == 2
    root.locator("input").press("Home")
    assert [page.locator(".ddpm-scrub").nth(i).get_attribute("data-index") for i in (0, 1)] == ["0", "50"]


def test_fits_a_phone_and_follows_the_finger(exported):
    page, root = exported(390, has_touch=True, device_scale_factor=3)
    box = root.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    for canvas in root.locator("canvas").all():
        times = canvas.evaluate("c => c.getBoundingClientRect().width / c.width * devicePixelRatio")
        assert times == pytest.approx(round(times), abs=1e-3)
    place = root.locator(".curve").bounding_box()
    page.touchscreen.tap(place["x"] + place["width"] / 2, place["y"] + 20)
    assert root.get_attribute("data-index") == "25"


def test_films_that_take_each_others_place_leave_nobody_watching(new_page):
    """The playground mounts a film for each move of a slider; whoever is watched for stays in memory."""
    page = new_page()
    watching = page.evaluate(
        """([script, data]) => {
          let watching = 0;
          window.ResizeObserver = class extends ResizeObserver {
            observe(element) { watching++; super.observe(element); }
            disconnect() { watching--; super.disconnect(); }
          };
          const mount = new Function(`${script}; return mount;`)();
          for (let i = 0; i < 5; i++) mount(document.body, data);
          return watching;
        }""",
        [SCRIPT, scrub([ddpm.Frame(0, torch.zeros(1, 1, 4, 4))]).data],
    )
    assert watching == 1


def test_a_script_in_a_title_stays_text(new_page, tmp_path):
    evil = "</script><script>window.evil = 1</script><b>"
    frames = [ddpm.Frame(t, torch.zeros(1, 1, 4, 4)) for t in (2, 1)]
    (tmp_path / "page.html").write_text("<!doctype html><meta charset=utf-8>" + scrub(frames, titles=[evil]).html())
    page = new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert film(page).locator("figcaption").text_content() == evil
    assert page.evaluate("window.evil") is None


def test_jupyterlab(lab, new_page, bundle):
    page = new_page()
    lab.open(page, notebook(bundle))
    try:
        still = page.locator(".jp-OutputArea img").first  # not yet trusted: scripts are stripped
        still.wait_for()
        assert still.get_attribute("alt") == bundle["text/plain"]
        assert page.locator(".ddpm-scrub").count() == 0

        lab.run_all(page)
        root = film(page)
        page.keyboard.press("Escape")  # command mode
        check_keys(root)
        assert page.locator(".jp-Cell").count() == 1  # no key made or deleted a cell

        sent = []
        page.on("websocket", lambda socket: socket.on("framesent", sent.append))
        page.on("request", lambda request: None if "/api/" in request.url else sent.append(request.url))  # Lab polls it
        root.evaluate(LATENCY)
        root.locator("input").press("Home")
        page.evaluate("window.latencies.length = 0")
        for _ in range(30):
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(30)
        assert len(page.evaluate("window.latencies")) == 30, "every key is painted"
        assert sent == [], "a film needs neither kernel nor server"
    finally:
        lab.shut_down(page)


PLAYGROUND = """
import ddpm_teach
from ddpm_teach.show import playground
playground(ddpm_teach.load_pretrained("sprites"), n=2, steps=3)
"""


def test_the_playground_in_jupyterlab_and_what_stays_without_a_kernel(lab, new_page, tmp_path):
    kernel = {"name": "python3", "display_name": "Python 3"}
    cell = nbformat.v4.new_code_cell(PLAYGROUND)
    page = new_page()
    lab.open(page, nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), "playground.ipynb")
    try:
        lab.run_all(page)
        check_playground(page, page.locator(".widget-hslider .noUi-handle").nth(2))  # steps, η, seed
        page.evaluate("async () => await jupyterapp.commands.execute('docmanager:save')")
    finally:
        lab.shut_down(page)

    # The page that nbconvert makes has no kernel, and no network to fetch the widgets' own code from.
    exporter = pytest.importorskip("nbconvert").HTMLExporter()
    saved = nbformat.read(lab.root / "playground.ipynb", as_version=4)
    (tmp_path / "page.html").write_text(exporter.from_notebook_node(saved)[0], encoding="utf-8")
    page = new_page()
    page.route(re.compile("^(?!file:|data:|blob:)"), lambda route: route.abort())
    page.goto((tmp_path / "page.html").as_uri())
    root = film(page)
    last = pixels(root)
    root.locator("input").press("Home")
    assert pixels(root) != last


@pytest.fixture
def open_film(new_page, tmp_path):
    """Opens a film alone on a page."""

    def opened(scrubber, **options):
        (tmp_path / "film.html").write_text("<!doctype html><meta charset=utf-8>" + scrubber.html(), encoding="utf-8")
        page = new_page(**options)
        page.goto((tmp_path / "film.html").as_uri())
        return film(page)

    return opened


@pytest.mark.parametrize("channels", [1, 3])
def test_the_browser_mixes_what_add_noise_mixes(open_film, channels):
    """Picture by picture and level by level, with both schedules, against the package's own arithmetic."""
    x0 = ddpm.load("sprites").pictures(slice(0, 3))[:, :channels]
    schedules = {"linear": ddpm.linear(), "cosine": ddpm.cosine()}
    root = open_film(forward(x0, schedules, seed=5, frames=5, columns=2))
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(5))
    slider = root.locator("input")
    for name, schedule in schedules.items():
        root.locator("select").select_option(name)
        slider.press("Home")
        for i in range(5):
            t = 250 * i
            assert label(root).startswith(f"t = {t} · ")
            seen = root.locator("canvas").evaluate(
                "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
            )
            seen = torch.tensor(seen).reshape(2 * 17 - 1, 2 * 17 - 1, 4)
            mixed = (ddpm.add_noise(schedule, x0, t, eps).clamp(-1, 1) + 1) * 127.5
            for k in range(3):
                top, left = k // 2 * 17, k % 2 * 17
                shown = seen[top : top + 16, left : left + 16, :channels].movedim(-1, 0)
                assert (shown - mixed[k]).abs().max() <= 2.6, (name, t)  # ε has 256 levels between -4 and 4
            slider.press("ArrowRight")


def test_two_walks_move_under_one_slider(open_film):
    def walk(times, offset):
        return [ddpm.Frame(t, torch.full((1, 1, 4, 4), t / 500 - 1 + offset)) for t in times]

    root = open_film(compare({"fine": walk(range(1000, -1, -100), 0), "coarse": walk([1000, 500, 0], -0.1)}))
    slider = root.locator("input")
    slider.press("Home")
    captions = root.locator("figcaption").all_text_contents()
    assert captions == ["fine", "coarse"]
    values = "c => c.getContext('2d').getImageData(0, 0, 1, 1).data[0]"
    for i, coarse in enumerate([1000] * 3 + [500] * 5 + [0] * 3):
        t = 1000 - 100 * i
        assert label(root) == (f"t = {t}" if t == coarse else f"t = {t}, {coarse}")
        one, other = (canvas.evaluate(values) for canvas in root.locator("canvas").all())
        assert one == pytest.approx(t / 500 * 127.5, abs=4)  # of 64 colours
        assert other == pytest.approx(max(0, coarse / 500 - 0.1) * 127.5, abs=4)
        slider.press("ArrowRight")


@pytest.mark.parametrize("width", [1000, 360])
def test_names_stand_beside_their_rows_and_above_their_columns(open_film, width):
    x = torch.zeros(6, 3, 16, 16)
    names = dict(rows=["first run", "second run"], cols=["hero", "food", "side hero"])
    root = open_film(scrub([ddpm.Frame(0, x)], scale=4, **names), width=width)
    canvas = root.locator("canvas").bounding_box()
    for kind, side, length in (("rows", "y", "height"), ("cols", "x", "width")):
        spans = root.locator(f".{kind} span").all()
        assert [span.text_content() for span in spans] == names[kind]
        for i, span in enumerate(spans):
            box, share = span.bounding_box(), canvas[length] / len(spans)
            assert abs(box[side] + box[length] / 2 - canvas[side] - (i + 0.5) * share) < 3
    assert root.get_attribute("aria-label") == "film of a diffusion walk"  # nobody said what it shows
    assert canvas["x"] + canvas["width"] <= width
    assert all(name in root.locator("canvas").get_attribute("aria-label") for name in names["cols"])
