"""The sampler playground: sliders for all that a sampler can be asked, and the film of what came of it. Lesson 06.

    playground(load_pretrained("sprites"))

It needs a kernel. Where none answers, the film that was shown last stays, and can be moved.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anywidget
import ipywidgets
import torch
import traitlets
from IPython.display import display

from ddpm_teach.checks import check_int
from ddpm_teach.kinds import Frame
from ddpm_teach.samplers import SAMPLERS, SPACINGS, Recipe
from ddpm_teach.weights import Pretrained
from ddpm_teach.widgets.film import SCRIPT, STYLE, Scrubber
from ddpm_teach.widgets.scrubber import scrub


class Film(anywidget.AnyWidget):
    """The scrubber as a widget: what Python puts into `data` is shown at once, where the slider stands."""

    _esm = (
        SCRIPT
        + """
export default {
  render({model, el}) {
    for (const still of document.querySelectorAll('.' + model.get('stands_in'))) still.hidden = true;
    let film;
    const refresh = () => {
      film = mount(el, model.get('data'), film ? {index: +film.root.dataset.index} : {});
    };
    model.on('change:data', refresh);
    refresh();
  },
};
"""
    )
    _css = STYLE
    data = traitlets.Dict().tag(sync=True)
    stands_in = traitlets.Unicode().tag(sync=True)  # class of the picture that is shown until this widget is

    def __repr__(self) -> str:
        return "Film()"


class Playground:
    """What `playground` makes: the widgets, and the thread that samples.

    Attributes:
        controls: name → ipywidget; setting a value is like moving it by hand.
        film: the film's widget.
        message: what is going on, or what went wrong, in words.
        scrubber: the film that is shown now.
    """

    def __init__(self, model: Pretrained, n: int, steps: int, classes: tuple[str, ...]) -> None:
        self.model, self.n = model, n
        self.controls = _controls(steps, classes)
        self.message = ipywidgets.HTML()
        self.progress = ipywidgets.FloatProgress(
            min=0, max=1, layout={"width": "100%", "max_width": "640px", "height": "12px"}
        )
        self.scrubber: Scrubber = scrub(self.frames(self.settings()), model.schedule)
        self.film = Film(data=self.scrubber.data, stands_in=f"{self.scrubber.name}-still")
        columns = ipywidgets.HBox(_columns(self.controls), layout={"flex_flow": "row wrap"})  # one on a phone
        self.box = ipywidgets.VBox([columns, self.progress, self.message, self.film])
        self._latest = Latest(self._work, self._failed)
        for control in self.controls.values():
            control.observe(lambda _: self._latest.ask(self.settings()), "value")

    def __repr__(self) -> str:
        return f"Playground({self.scrubber!r})"

    def _ipython_display_(self) -> None:
        """The film as plain HTML, which stays where no kernel answers; then the widgets, whose film takes its place."""
        bundle = self.scrubber._repr_mimebundle_()
        still = f'<div class="{self.film.stands_in}">{bundle["text/html"]}</div>'
        display(bundle | {"text/html": still}, raw=True)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        display({"application/vnd.jupyter.widget-view+json": view, "text/plain": repr(self)}, raw=True)

    def settings(self) -> dict[str, Any]:
        """The values of all controls."""
        return {name: control.value for name, control in self.controls.items()}

    def frames(self, settings: dict[str, Any]) -> Iterator[Frame]:
        """The walk that the settings ask for, computed as it is read."""
        mix = [settings[name] for name in self.model.classes if name in settings]
        chosen = {name: settings[name] for name in ("sampler", "spacing", "steps", "eta")}
        recipe = Recipe(**chosen, guidance_scale=settings.get("guidance", 1.0))
        return recipe.frames(self.model, self.n, torch.tensor([mix]).float() if mix else None, settings["seed"])

    def wait(self, seconds: float = 60.0) -> None:
        """Until everything that was asked for is shown, for scripts and tests.

        Raises:
            TimeoutError: if it takes longer.
        """
        if not self._latest.idle.wait(seconds):
            raise TimeoutError(f"seconds: the playground is still sampling after {seconds}")

    def _work(self, settings: dict[str, Any], stale: Callable[[], bool]) -> None:
        self.message.value, self.progress.bar_style = "sampling …", ""
        frames = []
        for frame in self.frames(settings):
            if stale():
                return
            frames.append(frame)
            self.progress.value = len(frames) / (settings["steps"] + 1)
        self.scrubber = scrub(frames, self.model.schedule)
        self.film.data = self.scrubber.data
        self.message.value, self.progress.value = "", 0

    def _failed(self, error: Exception) -> None:
        self.message.value, self.progress.bar_style = f"<b>{html.escape(str(error))}</b>", "danger"


class Latest:
    """A thread that does the newest thing asked for. What is older is not begun, or dropped where it stands."""

    def __init__(self, work: Callable[[Any, Callable[[], bool]], None], failed: Callable[[Exception], None]) -> None:
        self._work, self._failed = work, failed
        self._lock = threading.Lock()
        self._wanted: list[Any] = []
        self.idle = threading.Event()
        self.idle.set()

    def ask(self, wanted: Any) -> None:
        """Returns at once."""
        with self._lock:
            self._wanted = [wanted]
            if self.idle.is_set():
                self.idle.clear()
                threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self.idle.set()
                    return
                wanted = self._wanted.pop()
            try:
                self._work(wanted, lambda: bool(self._wanted))
            except Exception as error:  # the thread's only way to say it
                self._failed(error)


def playground(model: Pretrained, *, n: int = 8, steps: int = 20) -> Playground:
    """Sliders for seed, steps, η, guidance scale, the mixture of classes, sampler and spacing, over the film of a walk.

    Moving one samples anew when it is let go; what was still being sampled is dropped.

    With all class sliders at 0 there is no class, and guidance has nothing to push towards. From Python,
    `.controls["steps"].value = 50` moves a slider, `.wait()` waits for the film, `.scrubber` is the film.

    Args:
        model: as `load_pretrained` gives it.
        n: pictures in the film.
        steps: at the start, 1…100.

    Raises:
        TypeError: for something else than a model of `load_pretrained`.
        ValueError: for n or steps out of range.
    """
    if not isinstance(model, Pretrained):
        got = type(model).__name__
        raise TypeError(f'model: expected what load_pretrained("sprites") gives, with net and schedule, got a {got}')
    check_int("n", n, 1)
    check_int("steps", steps, 1, 100)
    takes_context = model.net.config.get("context_dim") is not None
    return Playground(model, n, steps, model.classes if takes_context else ())


def _controls(steps: int, classes: tuple[str, ...]) -> dict[str, ipywidgets.Widget]:
    style = {"style": {"description_width": "90px"}, "layout": {"width": "320px", "max_width": "100%"}}

    def slider(kind: type, value: float, low: float, high: float, step: float, name: str) -> ipywidgets.Widget:
        numbers = {"value": value, "min": low, "max": high, "step": step}
        return kind(description=name, continuous_update=False, **numbers, **style)  # a sampling when it is let go

    whole, real = ipywidgets.IntSlider, ipywidgets.FloatSlider
    controls = {
        "sampler": ipywidgets.Dropdown(options=list(SAMPLERS), description="sampler", **style),
        "spacing": ipywidgets.Dropdown(options=list(SPACINGS), description="spacing", **style),
        "steps": slider(whole, steps, 1, 100, 1, "steps"),
        "eta": slider(real, 0.0, 0.0, 1.0, 0.05, "η (ddim)"),
        "seed": slider(whole, 0, 0, 99, 1, "seed"),
    }
    if classes:
        controls["guidance"] = slider(real, 2.0, 0.0, 8.0, 0.5, "guidance")
        controls |= {name: slider(real, float(i == 0), 0.0, 1.0, 0.05, name) for i, name in enumerate(classes)}
    return controls


def _columns(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.VBox]:
    """How to sample on the left, what to draw on the right."""
    how = [control for name, control in controls.items() if name in ("sampler", "spacing", "steps", "eta", "seed")]
    what = [control for control in controls.values() if control not in how]
    return [ipywidgets.VBox(part) for part in (how, what) if part]
