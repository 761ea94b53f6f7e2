"""The field that completes words: in a page of its own with the keyboard, and in JupyterLab with the playground."""

import nbformat
import pytest

from ddpm_teach.data.lexicon import vocabulary
from ddpm_teach.show.films.prompt import SCRIPT, STYLE

pytestmark = pytest.mark.browser

# What anywidget hands to a widget's script: its values, and whom to tell of changes.
MODEL = """words => {
  const values = {value: 'a king', words, description: 'prompt'}, listeners = {};
  window.sent = [];
  window.model = {
    get: name => values[name],
    set(name, value) { values[name] = value; for (const f of listeners[`change:${name}`] || []) f(); },
    on(event, f) { (listeners[event] ||= new Set()).add(f); },
    off(event, f) { listeners[event]?.delete(f); },
    save_changes() { window.sent.push(values.value); },
    listening: () => listeners['change:value'].size,
  };
}"""


@pytest.fixture
def field(new_page, tmp_path):
    """The field alone on a page, between two others, in a box that clips what sticks out; (page, input)."""
    script = SCRIPT.replace("export default {render};", "window.render = render;")
    boxed = '<input id="before"><div style="overflow: auto; height: 44px"><div id="here"></div></div><input id="after">'
    page = new_page(800, 500)
    (tmp_path / "field.html").write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{boxed}", "utf-8")
    page.goto((tmp_path / "field.html").as_uri())
    page.add_script_tag(content=script)
    page.evaluate(MODEL, list(vocabulary()))
    page.evaluate("() => { window.gone = render({model, el: document.querySelector('#here')}); }")
    return page, page.get_by_role("combobox", name="prompt")


def offered(page):
    return [option.text_content() for option in page.get_by_role("option").all() if option.is_visible()]


def test_words_that_begin_so_are_offered_and_taken_by_tab(field):
    page, text = field
    assert text.input_value() == "a king" and offered(page) == []
    text.fill("")
    text.press_sequentially("a wiz")
    assert offered(page) == ["wizard"] and text.get_attribute("aria-expanded") == "true"
    menu, under = page.get_by_role("listbox").bounding_box(), text.bounding_box()
    assert menu["height"] > 20 and menu["y"] >= under["y"] + under["height"], "not clipped by the box around"
    text.press("Tab")
    assert text.input_value() == "a wizard " and offered(page) == [] and page.evaluate("sent") == []
    text.press_sequentially("with a R")
    words = offered(page)
    assert 1 < len(words) <= 8 and "red" in words and all(word.startswith("r") for word in words)
    text.press("Tab")
    assert text.input_value() == f"a wizard with a {words[0]} "
    text.press("Tab")  # nothing is offered: on to the next field, and the text is told
    assert page.evaluate("[document.activeElement.id, sent]") == ["after", [f"a wizard with a {words[0]} "]]


def test_arrows_move_enter_takes_and_then_tells(field):
    page, text = field
    text.fill("")
    text.press_sequentially("s")
    words = offered(page)
    active = lambda: page.locator("[aria-selected=true]").all_text_contents()  # noqa: E731
    assert active() == []
    text.press("ArrowDown")
    text.press("ArrowDown")
    assert active() == [words[1]]
    assert page.locator(f"#{text.get_attribute('aria-activedescendant')}").text_content() == words[1]
    text.press("ArrowUp")
    text.press("ArrowUp")
    assert active() == [words[-1]], "around the end"
    text.press("ArrowDown")
    text.press("Enter")
    assert text.input_value() == f"{words[0]} " and page.evaluate("sent") == [] and offered(page) == []
    text.press("Enter")
    text.press("Enter")
    assert page.evaluate("sent") == [f"{words[0]} "], "once"


def test_enter_tells_what_is_typed_though_words_are_offered(field):
    page, text = field
    text.fill("")
    text.press_sequentially("a wizz")
    text.press("Backspace")
    assert offered(page) == ["wizard"]
    text.press("Enter")
    assert page.evaluate("sent") == ["a wiz"] and offered(page) == []


def test_escape_closes_and_down_opens_again(field):
    page, text = field
    text.fill("")
    text.press_sequentially("drag")
    assert offered(page) == ["dragon"]
    text.press("Escape")
    assert offered(page) == [] and text.input_value() == "drag"
    text.press("ArrowDown")
    assert offered(page) == ["dragon"]
    text.press("Tab")
    assert text.input_value() == "dragon "


def test_the_word_under_the_cursor_is_completed_and_the_rest_stays(field):
    page, text = field
    text.fill("a wiz, at night")
    text.evaluate("input => { input.focus(); input.setSelectionRange(4, 4); }")
    text.press("Escape")
    text.press("ArrowDown")
    assert offered(page) == [word for word in vocabulary() if word.startswith("wi")][:8]
    page.get_by_role("option", name="wizard").click()
    assert text.input_value() == "a wizard, at night"
    assert text.evaluate("input => [input.selectionStart, document.activeElement === input]") == [8, True]


def test_known_words_and_spaces_offer_nothing(field):
    page, text = field
    text.fill("a wizard")
    assert offered(page) == []
    text.press_sequentially(" ")
    assert offered(page) == []


def test_what_python_sets_is_shown_and_a_view_that_has_gone_hears_no_more(field):
    page, text = field
    page.evaluate("() => model.set('value', 'a red apple')")
    assert text.input_value() == "a red apple" and page.evaluate("model.listening()") == 1
    page.evaluate("() => gone()")
    assert page.evaluate("model.listening()") == 0


PLAYGROUND = """
import torch, ddpm_teach
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.show import playground

torch.manual_seed(0)
tokens = Tokenizer()
small = dict(channels=3, size=32, patch=4, widths=(16, 16), text_width=16, text_depth=1, groups=4)
net = ddpm_teach.TextUNet(tokens.size, **small)
for weights in net.parameters():
    weights.data.add_(0.1 * torch.randn(weights.shape))
ground = playground(ddpm_teach.Model(net, ddpm_teach.linear(), "v", tokenizer=tokens), n=2, steps=3)
ground
"""
SUMS = """canvases => canvases.map(canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  .data.reduce((sum, level, i) => sum + i % 97 * level, 0))"""


def test_a_prompt_in_jupyterlab_is_completed_drawn_and_lit_by_its_words(lab, new_page):
    kernel = {"name": "python3", "display_name": "Python 3"}
    cell = nbformat.v4.new_code_cell(PLAYGROUND)
    page = new_page(1300, 1300)
    lab.open(page, nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), "prompt.ipynb")
    try:
        lab.run_all(page)
        below = page.locator(".ddpm-below")
        below.locator(".ddpm-scrub[data-ready]").wait_for()
        assert below.locator("figure").count() == 6  # wizard red hat green slime night

        text = page.get_by_role("combobox", name="prompt")
        text.fill("a red dra")
        text.press("End")
        text.press_sequentially("g")
        page.get_by_role("option", name="dragon").wait_for()
        text.press("Tab")
        text.press("Enter")
        page.wait_for_function("document.querySelectorAll('.ddpm-below figure').length === 2")
        assert [name.partition(" ·")[0] for name in below.locator("figcaption").all_text_contents()] == [
            "red",
            "dragon",
        ]

        slider = page.locator(".ddpm-scrub input[type=range]:visible")
        assert slider.count() == 1, "the maps follow the film's"
        canvases = below.locator("canvas")
        last = canvases.evaluate_all(SUMS)
        slider.press("ArrowLeft")
        earlier = canvases.evaluate_all(SUMS)
        assert all(a != b for a, b in zip(last, earlier, strict=True))
        slider.press("Home")
        assert below.locator(".empty").count() == 2  # before any call
        slider.press("End")
        assert canvases.evaluate_all(SUMS) == last

        text.fill("a wizzard")
        text.press("Enter")
        page.get_by_text("did you mean wizard").wait_for()
        assert below.locator("figure").count() == 2
    finally:
        lab.shut_down(page)
