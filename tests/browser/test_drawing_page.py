"""The page that draws, where it is opened: from a file, the network refused, in Chromium and in Firefox."""

import json
import os
import re
import shutil
import subprocess
import time

import pytest
import torch

from ddpm_teach import clipped, ddim_step, guided, inpainting, load_model, trailing, walk
from ddpm_teach.course.page import build_page

pytestmark = pytest.mark.browser

FIREFOX = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
DRAWN = "document.body.dataset.state === 'drawn' || document.body.dataset.state === 'refused'"
# Draws with noise that is given: x_T, then one picture of it for each time that a step asks.
DRAW = """async ({noise, known, keep, ...options}) => {
  const given = noise.map(list => Float32Array.from(list));
  const array = list => list && Float32Array.from(list);
  const x = await page.draw({
    ...options, context: array(options.context), x_T: given.shift(), noise: () => given.shift(),
    known: array(known), keep: array(keep),
  });
  return Array.from(x);
}"""
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = color => {
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = color => rgb(color).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    const color = getComputedStyle(node).backgroundColor;
    return /, 0\\)$/.test(color) && node.parentElement ? ground(node.parentElement) : color;
  };
  return [...document.querySelectorAll('body *')].filter(node => node.checkVisibility() &&
    [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())).map(node => {
      const [dark, bright] = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => a - b);
      return [(bright + 0.05) / (dark + 0.05), node.tagName + '#' + node.id];
    }).sort((a, b) => a[0] - b[0])[0];
}"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "sprites.html"
    path.write_text(build_page(), encoding="utf-8")
    return path


@pytest.fixture
def opened(new_page, page_file):
    """Opens the page from file://, the network refused, and waits for its first sprite."""
    asked = []

    def open_page(width=1280, script=None, wait=True, **options):
        page = new_page(width, 1000, **options)
        page.route(re.compile("^(?!file:|data:|blob:)"), lambda route: (asked.append(route.request.url), route.abort()))
        if script:
            page.add_init_script(script)
        page.goto(page_file.as_uri())
        if wait:
            page.wait_for_function(DRAWN)
            assert page.evaluate("document.body.dataset.state") == "drawn", page.locator("#status").text_content()
        return page

    yield open_page
    assert asked == []


@pytest.fixture(scope="module")
def cases():
    """Settings for the page, and the package's pictures for them: guided or not, with η, with a painted part."""
    model, rng = load_model("sprites"), torch.Generator().manual_seed(5)
    schedule = model.schedule
    contexts = model.context("a knight with a red cape", "a potion", rng=rng)
    found = []
    for steps, scale, eta, paint in [
        (20, 2.0, 0.0, False),
        (5, 1.0, 0.0, False),
        (6, 1.5, 1.0, False),
        (6, 2.0, 0.5, True),
    ]:
        context = contexts[len(found) % 2][None]
        noise = torch.randn(40, 1, 3, 16, 16, generator=rng)
        drawn = iter(noise).__next__
        step = ddim_step(
            clipped(model.read(guided(model.net, context, scale)), schedule),
            schedule,
            eta,
            rng=lambda x, draw=drawn: draw(),
        )
        options = {}
        if paint:
            keep = torch.ones(1, 1, 16, 16, dtype=torch.bool)
            keep[..., 4:12, 4:12] = False
            known = found[0][1][None]
            step = inpainting(step, schedule, known, keep, rng=lambda x, draw=drawn: draw())
            options = {"known": known.flatten().tolist(), "keep": keep.expand(1, 3, 16, 16).float().flatten().tolist()}
        *_, last = walk(step, drawn(), trailing(schedule.T, steps))
        options |= {"context": context[0].tolist(), "steps": steps, "scale": scale, "eta": eta}
        found.append((options | {"noise": noise.flatten(1).tolist()}, last.x[0]))
    return found


def far(picture, ours):
    """The mean difference, in levels of 255."""
    return (torch.tensor(picture).view_as(ours) - ours).abs().mean().item() * 127.5


def test_the_same_noise_gives_the_packages_pictures(opened, cases):
    page = opened()
    for options, ours in cases:
        assert far(page.evaluate(DRAW, options), ours) <= 2
        assert page.evaluate("document.body.dataset.state") == "drawn"
    wrong = cases[0][0] | {"scale": 0.0}
    assert far(page.evaluate(DRAW, wrong), cases[0][1]) > 10


class Firefox:
    """Firefox without a window, spoken to by WebDriver BiDi, which it has built in; Playwright drives its own build."""

    def __init__(self, home):
        websocket = pytest.importorskip("websocket", reason="websocket-client (of jupyter_server) is missing")
        if FIREFOX is None:
            pytest.skip("no firefox on PATH, and the variable FIREFOX names none")
        (home / "user.js").write_text('user_pref("browser.shell.checkDefaultBrowser", false);')
        command = [FIREFOX, "--headless", "--no-remote", "--profile", str(home), "--remote-debugging-port", "0"]
        log = home / "log"
        env = os.environ | {"HOME": str(home), "MOZ_CRASHREPORTER_DISABLE": "1"}
        with open(log, "wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=env)
        deadline = time.monotonic() + 300
        while not (found := re.search(r"WebDriver BiDi listening on (\S+)", log.read_text(errors="replace"))):
            assert self.process.poll() is None and time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.2)
        self.socket = websocket.create_connection(f"{found[1]}/session", timeout=600, suppress_origin=True)
        self.events, self.count = [], 0
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self.context = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method, **params):
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.count:
                assert message["type"] == "success", message
                return message["result"]
            self.events.append(message)

    def evaluate(self, expression):
        """What an expression, or the promise that it is, comes to, as JSON."""
        target = {"context": self.context}
        text = f"(async () => JSON.stringify(await ({expression})))()"
        result = self.send("script.evaluate", expression=text, target=target, awaitPromise=True)
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"])

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(60)


def test_firefox_draws_the_same(page_file, cases, tmp_path):
    firefox = Firefox(tmp_path)
    try:
        firefox.send("browsingContext.navigate", context=firefox.context, url=page_file.as_uri(), wait="complete")
        while not firefox.evaluate(DRAWN):
            time.sleep(0.1)
        assert firefox.evaluate("document.body.dataset.state") == "drawn"
        for options, ours in cases[:2]:
            assert far(firefox.evaluate(f"({DRAW})({json.dumps(options)})"), ours) <= 2
        kinds = {"network.beforeRequestSent": [], "log.entryAdded": []}
        for event in firefox.events:
            kinds[event["method"]].append(event["params"])
        urls = [request["request"]["url"] for request in kinds["network.beforeRequestSent"]]
        assert [url for url in urls if not url.startswith(("file:", "data:", "blob:"))] == []
        assert [entry["text"] for entry in kinds["log.entryAdded"] if entry["level"] == "error"] == []
    finally:
        firefox.close()


def test_every_control_draws_anew_and_the_film_is_moved_by_keys(opened):
    page = opened()

    def picture():
        page.wait_for_function(DRAWN)
        return page.evaluate("Array.from(page.frames.at(-1).x)")

    seen = [picture()]
    for name, key in [("steps", "ArrowLeft"), ("scale", "ArrowRight"), ("eta", "ArrowRight")]:
        page.locator(f"#{name}").press(key)
        seen.append(picture())
    page.locator("#seed").fill("7")
    page.locator("#seed").press("Enter")
    seen.append(picture())
    page.locator("#class").select_option("potion")
    seen.append(picture())
    page.locator("#another").press("Enter")
    seen.append(picture())
    page.locator("#noise").press("Enter")
    seen.append(picture())
    assert len({tuple(one) for one in seen}) == len(seen)
    page.locator("#class").select_option("hero")
    page.locator("#part-hat").select_option("crown")
    picture()
    assert "crown" in page.locator("#caption").text_content()
    told = load_model("sprites").attributes
    context = torch.tensor(page.evaluate("Array.from(page.settings.context)")).split(
        [len(words) for words in told.values()]
    )
    said = dict(zip(told, context, strict=True))
    assert said["hat"][told["hat"].index("crown")] == 1 and said["hat_color"].sum() == 1  # lent with its colour
    assert all(row.sum() <= 1 for row in context) and said["kind"].sum() == 1

    film, equation = page.locator("#frame"), page.locator("#equation")
    last = equation.inner_html()
    film.press("Home")
    assert page.locator("#now").text_content().startswith("t = 1000 ")
    first = page.locator("#x").evaluate("canvas => canvas.toDataURL()")
    film.press("ArrowRight")
    assert page.locator("#x").evaluate("canvas => canvas.toDataURL()") != first
    assert equation.inner_html() != last and "1000" in equation.text_content()


def test_what_is_painted_is_drawn_anew_and_nothing_else(opened):
    page = opened()
    before = torch.tensor(page.evaluate("Array.from(page.frames.at(-1).x)")).view(3, 16, 16)
    canvas = page.locator("#x")
    canvas.press("ArrowUp")
    canvas.press(" ")
    page.locator("#noise").press("Enter")
    page.wait_for_function(DRAWN)
    after = torch.tensor(page.evaluate("Array.from(page.frames.at(-1).x)")).view(3, 16, 16)
    painted = torch.zeros(16, 16, dtype=torch.bool)
    painted[6:9, 7:10] = True
    changed = (before != after).any(0)
    assert changed.any() and not (changed & ~painted).any()
    page.locator("#clear").press("Enter")
    page.locator("#noise").press("Enter")
    page.wait_for_function(DRAWN)
    assert (torch.tensor(page.evaluate("Array.from(page.frames.at(-1).x)")).view(3, 16, 16) != after).any(
        0
    ).float().mean() > 0.2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all_in_readable_colours(opened, scheme):
    page = opened(390, color_scheme=scheme, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for part in ("parts", "step", "licences"):
        page.locator(f"#{part} summary").click()
    page.wait_for_function("document.getElementById('notices').textContent.length > 1000")
    contrast, where = page.evaluate(CONTRAST)
    assert contrast >= 4.5, where


@pytest.mark.parametrize("lost", ["WebAssembly", "DecompressionStream"])
def test_a_browser_without_what_it_needs_is_told_so(opened, lost):
    page = opened(script=f"delete globalThis.{lost}", wait=False)
    page.wait_for_function(DRAWN)
    assert page.evaluate("document.body.dataset.state") == "refused"
    words = page.locator("#status").text_content()
    assert lost in words and "Firefox" in words
