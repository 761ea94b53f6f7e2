"""Real programs: Debian's Chromium through Playwright, and JupyterLab on a free port of the loopback interface."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from ddpm_teach.course.home import environment

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
SETTINGS = {  # what only tests need; the rest is as learners get it
    "@jupyterlab/apputils-extension:sessionDialogs": {"skipKernelRestartDialog": True},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}


class Server:
    """A Jupyter server on a free port of the loopback address, with settings and files of its own."""

    def __init__(self, home: Path, python: str, options: list[str], names: dict[str, str] | None = None):
        self.root, self.token = home / "root", secrets.token_hex(16)
        self.root.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        env |= {name: str(home / name) for name in (*folders, "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")}
        env["PATH"] = f"{Path(python).parent}{os.pathsep}{env['PATH']}"
        known = {"port": port, "token": self.token, "root": self.root, "home": home}
        command = [python, "-m", *(option.format(**known) for option in options), "--no-browser", "--allow-root"]
        with open(home / "server.log", "wb") as log:
            pipes = {"stdout": log, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen(command, env=env | (names or {}), start_new_session=True, **pipes)
        self.url = f"http://127.0.0.1:{port}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + 120
        while True:
            try:
                opener.open(f"{self.url}/api/status?token={self.token}", timeout=2).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    raise RuntimeError((home / "server.log").read_text()[-2000:]) from None
                time.sleep(0.1)

    @staticmethod
    def wait_for_kernel(page):
        """Until JupyterLab shows a notebook whose kernel has started."""
        page.wait_for_function("window.jupyterapp && jupyterapp.shell.currentWidget?.sessionContext")
        page.evaluate("async () => { await jupyterapp.restored; await jupyterapp.shell.currentWidget.revealed; }")
        page.wait_for_function("jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'")

    @staticmethod
    def shut_down(page):
        page.evaluate("async () => await jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def close(self):
        os.killpg(self.process.pid, signal.SIGTERM)  # the command `ddpm-teach` has the server as its child
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)


class Lab(Server):
    """JupyterLab."""

    def __init__(self, home: Path):
        (home / "app").mkdir(parents=True)
        (home / "app/overrides.json").write_text(json.dumps(SETTINGS))
        options = ["jupyterlab", "--expose-app-in-browser", "--LabApp.extension_manager=readonly"]
        options += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        options += ["--IdentityProvider.token={token}", "--ServerApp.root_dir={root}"]
        names = {name: environment()[name] for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH")}
        super().__init__(home, sys.executable, [*options, "--LabApp.app_settings_dir={home}/app"], names)

    def open(self, page, notebook, name="lesson.ipynb"):
        """The page with the notebook alone in it, its kernel started."""
        import nbformat

        nbformat.write(notebook, self.root / name)
        page.goto(f"{self.url}/doc/tree/{name}?reset&token={self.token}")
        self.wait_for_kernel(page)

    @staticmethod
    def run_all(page):
        """Restart and run all; fails for any cell's error."""
        page.evaluate("""() => Promise.race([
          jupyterapp.commands.execute('notebook:restart-run-all'),
          new Promise((_, fail) => setTimeout(() => fail(Error('still running after ten minutes')), 600_000)),
        ])""")
        errors = page.evaluate("""() => [...jupyterapp.shell.currentWidget.content.model.cells]
          .filter(cell => cell.type === 'code').flatMap(cell => cell.outputs.toJSON())
          .filter(output => output.output_type === 'error').map(error => `${error.ename}: ${error.evalue}`)""")
        assert errors == []


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH, and the variable CHROMIUM names none")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright isn't installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(chromium, tmp_path_factory):
    pytest.importorskip("jupyterlab", reason="JupyterLab isn't installed")
    lab = Lab(tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def new_page(chromium):
    """Makes pages; a script's error on any of them fails the test."""
    contexts, errors = [], []

    def make(width=1200, height=1000, **options):
        contexts.append(chromium.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(300_000)  # on a machine that others load, a kernel's start alone has taken a minute
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    # JupyterLab's own word when a kernel is shut down while it was asking it something.
    assert [error for error in errors if "Canceled future for" not in error] == []


def check_playground(page, seed):
    """The still has given way to the widget; moving the seed's slider by a key makes another film of it."""
    films = ".jupyter-widgets .ddpm-scrub[data-ready]"
    film = page.locator(films).first
    film.wait_for()
    assert page.locator(".ddpm-scrub:visible").count() == 1
    before = film.locator("canvas").first.evaluate("canvas => canvas.toDataURL()")
    seed.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "([films, before]) => document.querySelector(films)?.querySelector('canvas').toDataURL() !== before",
        arg=[films, before],
    )
    assert film.get_attribute("data-index") == "3"  # it stays where it was: at the end
