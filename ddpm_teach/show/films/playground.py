"""The sampler playground: sliders for all that a sampler can be asked, and the film of what came of it. Lesson 06.

    playground(load_model("sprites"))

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
from ipywidgets import FloatSlider, IntSlider

from ddpm_teach.checks import check_int, check_model
from ddpm_teach.diffusion.times import SPACINGS
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.model import Model
from ddpm_teach.sampler import SAMPLERS, Sampler
from ddpm_teach.show.films.scrubber import scrub
from ddpm_teach.show.films.sheet import SCRIPT, STYLE, Scrubber


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
    return () => model.off('change:data', refresh);
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
        model: computes as the device is fastest, converted or recorded once for all films.
        controls: "sampler", "spacing", "steps", "eta", "seed", "guidance" where something can be named, and "prompt"
            for a network that is told attributes ("a king with green hair") → ipywidget; setting a value is like moving
            it by hand. Of a student "seed" and "prompt" alone.
        classes: name of a class → its slider, apart, since a class may be called "seed".
        film: the film's widget.
        message: what is going on, or what went wrong, in words.
        scrubber: the film that is shown now.
    """

    def __init__(self, model: Model, n: int, steps: int) -> None:
        self.model, self.n = model.tuned("auto"), n
        names = model.classes if model.context_dim == len(model.classes) and not model.attributes else ()
        self.classes = {name: _slider(FloatSlider, float(i == 0), 0.0, 1.0, 0.05, name) for i, name in enumerate(names)}
        self.controls = _controls(steps, model.schedule.T, bool(self.classes or model.attributes))
        if model.times:  # a student knows one walk, and no guidance but its own
            self.controls = {"seed": self.controls["seed"]}
        if model.attributes:
            self.controls["prompt"] = ipywidgets.Text("a hero", description="prompt", continuous_update=False, **STYLED)
        self.message = ipywidgets.HTML()
        self.progress = ipywidgets.FloatProgress(
            min=0, max=1, layout={"width": "100%", "max_width": "640px", "height": "12px"}
        )
        self.scrubber: Scrubber = scrub(self.frames(self.settings()), model.schedule)
        self.film = Film(data=self.scrubber.data, stands_in=f"{self.scrubber.name}-still")
        how = [control for name, control in self.controls.items() if name not in WHAT]
        what = [self.controls[name] for name in WHAT if name in self.controls] + [*self.classes.values()]
        columns = [ipywidgets.VBox(part) for part in (how, what) if part]
        columns = ipywidgets.HBox(columns, layout={"flex_flow": "row wrap"})  # one on a phone
        self.box = ipywidgets.VBox([columns, self.progress, self.message, self.film])
        self._latest = Latest(self._work, self._failed)
        for control in (*self.controls.values(), *self.classes.values()):
            control.observe(self._moved, "value")

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
        """The values of all controls, and those of the classes, in their order, as "mixture"."""
        values = {name: control.value for name, control in self.controls.items()}
        return values | {"mixture": [slider.value for slider in self.classes.values()]}

    def frames(self, settings: dict[str, Any]) -> Iterator[Frame]:
        """The walk that the settings ask for, computed as it is read."""
        mixture = settings["mixture"]
        prompt = settings.get("prompt", "").strip()
        contexts = torch.tensor([mixture], dtype=torch.float32, device="cpu") if any(mixture) else None
        if prompt:
            rng = torch.Generator("cpu").manual_seed(settings["seed"])
            contexts = self.model.context(prompt, n=self.n, rng=rng)
        sampler = Sampler()
        if not self.model.times:
            sampler = Sampler(
                settings["sampler"],
                steps=settings["steps"],
                spacing=settings["spacing"],
                eta=settings["eta"] if settings["sampler"] == "ddim" else 0.0,
                # without a class or a prompt guidance has nothing to push towards
                guidance_scale=1.0 if contexts is None else settings["guidance"],
            )
        return sampler.frames(self.model, self.n, contexts, settings["seed"])

    def wait(self, seconds: float = 60.0) -> None:
        """Until everything that was asked for is shown, for scripts and tests.

        Raises:
            TimeoutError: if it takes longer.
        """
        if not self._latest.idle.wait(seconds):
            raise TimeoutError(f"seconds: the playground is still sampling after {seconds}")

    def _moved(self, change: object) -> None:
        if "eta" in self.controls:
            self.controls["eta"].disabled = self.controls["sampler"].value != "ddim"
        self._latest.ask(self.settings())

    def _work(self, settings: dict[str, Any], stale: Callable[[], bool]) -> None:
        self.message.value, self.progress.bar_style = "sampling …", ""
        frames = []
        for frame in self.frames(settings):
            if stale():
                return
            frames.append(frame)
            self.progress.value = len(frames) / (len(self.model.times) or settings["steps"] + 1)
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


def playground(model: Model, *, n: int = 8, steps: int = 20) -> Playground:
    """Sliders for seed, steps, η, guidance scale, the mixture of classes, sampler and spacing, over the film of a walk.

    Moving one samples anew when it is let go; what was still being sampled is dropped.

    Of a network that is told attributes what to draw is typed: a class, or a caption. With all class sliders at 0, or
    nothing typed, guidance has nothing to push towards. From Python,
    `.controls["steps"].value = 50` moves a slider, `.classes["hero"].value = 0.5` a class's; `.wait()` waits for the
    film, `.scrubber` is the film. The network is used as it is now: training it further changes no film.

    Args:
        model: what `load_model` gives, or a Model of your own network.
        n: pictures in the film.
        steps: at the start, 1…100, or 1…T where T is less; a student has its own.

    Raises:
        TypeError: for something else than a Model.
        ValueError: for n or steps out of range.
        FloatingPointError: for a network that makes numbers that aren't finite.
    """
    check_model(model)
    check_int("n", n, 1)
    check_int("steps", steps, 1, min(100, model.schedule.T))
    return Playground(model, n, steps)


WHAT = ("prompt", "guidance")  # controls that say what is drawn; the others say how
STYLED = {"style": {"description_width": "90px"}, "layout": {"width": "320px", "max_width": "100%"}}


def _slider(kind: type, value: float, low: float, high: float, step: float, name: str) -> ipywidgets.Widget:
    numbers = {"value": value, "min": low, "max": high, "step": step}
    return kind(description=name, continuous_update=False, **numbers, **STYLED)  # a sampling when it is let go


def _controls(steps: int, T: int, guidance: bool) -> dict[str, ipywidgets.Widget]:
    controls = {
        "sampler": ipywidgets.Dropdown(options=list(SAMPLERS), description="sampler", **STYLED),
        "spacing": ipywidgets.Dropdown(options=list(SPACINGS), description="spacing", **STYLED),
        "steps": _slider(IntSlider, steps, 1, min(100, T), 1, "steps"),
        "eta": _slider(FloatSlider, 0.0, 0.0, 1.0, 0.05, "η (ddim)"),
        "seed": _slider(IntSlider, 0, 0, 99, 1, "seed"),
    }
    return controls | ({"guidance": _slider(FloatSlider, 2.0, 0.0, 8.0, 0.5, "guidance")} if guidance else {})
