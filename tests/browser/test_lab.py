"""What `ddpm-teach` opens, as a learner has it: her copies of the lessons in JupyterLab, with settings of her own."""

import json
import sys

import nbformat
import pytest
import torch
from nbformat.sign import NotebookNotary

from ddpm_teach import Frame, linear
from ddpm_teach.course.home import NOTES, digests_of
from ddpm_teach.show import scrub
from tests.browser.conftest import Server

pytestmark = pytest.mark.browser

LESSONS = ["01_forward_noise.ipynb", "05_context.ipynb"]
NEWS = "@jupyterlab/apputils-extension:notification"
DIRTY = "jupyterapp.shell.currentWidget.context.model.dirty"
SAVE = "async () => await jupyterapp.shell.currentWidget.context.save()"
# Of each paragraph: its width in em, and the letters in a full line of it; of each table: how far it sticks out.
MEASURED = """() => {
  const texts = [...document.querySelectorAll('.jp-RenderedMarkdown')];
  const inside = (tag, keep = () => true) => texts.flatMap(text => [...text.querySelectorAll(tag)].filter(keep));
  const style = node => getComputedStyle(node);
  return {
    ems: inside('p, li').map(p => p.clientWidth / parseFloat(style(p).fontSize)),
    letters: inside('p', p => p.textContent.length > 250 && !p.querySelector('mjx-container'))
      .map(p => p.textContent.length / Math.round(p.clientHeight / parseFloat(style(p).lineHeight))),
    tables: inside('table').map(table => table.getBoundingClientRect().right
      - table.closest('.jp-RenderedMarkdown').getBoundingClientRect().right),
    moves: inside('table').map(table => style(table).overflowX),
  };
}"""


class Home(Server):
    """`ddpm-teach` itself, in a folder that it fills."""

    def __init__(self, home):
        options = ["ddpm_teach", "lab", "--folder", "{root}", "--expose-app-in-browser"]
        options += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        super().__init__(home, sys.executable, [*options, "--IdentityProvider.token={token}"])

    def open(self, page, name):
        """The page with this file in JupyterLab, its kernel known to it."""
        page.goto(f"{self.url}/lab/tree/{name}?reset&token={self.token}")
        self.wait_for_kernel(page)
        page.evaluate("async () => { await jupyterapp.shell.currentWidget.sessionContext.session.kernel.info; }")
        page.wait_for_timeout(1500)  # nothing tells that nothing more is written


@pytest.fixture(scope="module")
def home(chromium, tmp_path_factory):
    pytest.importorskip("jupyterlab", reason="JupyterLab isn't installed")
    home = Home(tmp_path_factory.mktemp("home"))
    yield home
    home.close()


@pytest.fixture
def page(new_page):
    page = new_page(1280, 900)
    yield page
    Home.shut_down(page)


@pytest.mark.parametrize("name", LESSONS)
def test_opening_a_lesson_changes_nothing_and_asks_nothing(home, page, name):
    before = (home.root / name).read_bytes()
    home.open(page, name)
    assert page.evaluate(DIRTY) is False
    assert page.locator(".Toastify__toast").count() == 0
    assert (home.root / name).read_bytes() == before


def test_without_the_kernels_own_metadata_opening_is_a_change(home, page):
    """So that the test above sees what it looks for."""
    notebook = nbformat.read(home.root / LESSONS[0], 4)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(notebook, home.root / "short.ipynb")
    home.open(page, "short.ipynb")
    assert page.evaluate(DIRTY) is True


def test_a_copy_that_is_only_saved_again_counts_as_untouched(home, page):
    name = LESSONS[0]
    home.open(page, name)
    page.evaluate("jupyterapp.shell.currentWidget.context.model.setMetadata('of_a_learner', 1)")
    page.evaluate(SAVE)
    saved = json.loads((home.root / name).read_text("utf8"))
    assert saved["metadata"]["of_a_learner"] == 1
    assert json.loads((home.root / NOTES).read_text("utf8"))["lessons"][name] == digests_of(saved)


@pytest.mark.parametrize("signed", [False, True])
def test_a_still_in_a_lesson_that_isn_t_trusted_tells_the_way_to_the_slider(home, page, signed):
    film = scrub([Frame(t, torch.full((1, 1, 8, 8), t / 1000)) for t in (1000, 500, 0)], linear())
    output = nbformat.v4.new_output("execute_result", film._repr_mimebundle_(), execution_count=1)
    cell = nbformat.v4.new_code_cell("film", outputs=[output], execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata=nbformat.read(home.root / LESSONS[0], 4).metadata)
    notebook.cells[0].source = f"film  # signed: {signed}"
    nbformat.write(notebook, home.root / "film.ipynb")
    if signed:
        NotebookNotary(data_dir=str(home.root.parent / "JUPYTER_DATA_DIR")).sign(notebook)
    home.open(page, "film.ipynb")
    output = page.locator(".jp-OutputArea-output")
    output.locator("canvas" if signed else "img").first.wait_for()
    assert (output.get_by_text("run this cell for the slider").count() == 1) is not signed
    assert (output.locator("img").count() == 1) is not signed


def test_what_a_learner_has_chosen_counts(home, page):
    """Asked again by her own wish, JupyterLab shows its question."""
    home.open(page, LESSONS[0])
    choose = "async ([id, raw]) => await jupyterapp.serviceManager.settings.save(id, raw)"
    page.evaluate(choose, [NEWS, '{"fetchNews": "none"}'])
    try:
        home.open(page, LESSONS[0])
        page.locator(".Toastify__toast").first.wait_for()
    finally:
        page.evaluate(choose, [NEWS, "{}"])


def test_lines_are_of_a_length_that_can_be_read_and_tables_stay_in_their_box(home, page):
    home.open(page, "05_context.ipynb")  # its table of symbols is the widest
    page.wait_for_function("document.querySelector('.jp-RenderedMarkdown table mjx-container')")
    for width in (1280, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        found = page.evaluate(MEASURED)
        assert len(found["ems"]) > 5 and max(found["ems"]) <= 45.1
        assert found["letters"] and max(found["letters"]) <= 95
        assert found["tables"] and max(found["tables"]) <= 1 and set(found["moves"]) == {"auto"}
