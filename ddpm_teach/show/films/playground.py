"""The sampler playground: sliders for all that a sampler can be asked, and the film of what came of it. Lesson 06.

    playground(load_model("sprites"))

It needs a kernel. Where none answers, the film that was shown last stays, and can be moved.
"""

from __future__ import annotations

import copy
import html
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import anywidget
import ipywidgets
import torch
import traitlets
from IPython.display import display
from ipywidgets import FloatSlider, IntSlider

from ddpm_teach import nets
from ddpm_teach.checks import check_int, check_model
from ddpm_teach.diffusion.times import SPACINGS
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.model import DRAW_SCALE, Model
from ddpm_teach.sampler import SAMPLERS, Sampler
from ddpm_teach.show.films.prompt import PromptField
from ddpm_teach.show.films.scrubber import scrub
from ddpm_teach.show.films.sheet import SCRIPT, STYLE, Scrubber
from ddpm_teach.show.films.words import film_of_words, looking, places_of


class Film(anywidget.AnyWidget):
    """The scrubber as a widget: what Python puts into `data` is shown at once, where the slider stands.

    Where `data` has another film as "below", of as many frames, that one's pictures follow the same slider.
    """

    _esm = (
        SCRIPT
        + """
export default {
  render({model, el}) {
    for (const still of document.querySelectorAll('.' + model.get('stands_in'))) still.hidden = true;
    const [above, below] = [0, 1].map(() => el.appendChild(document.createElement('div')));
    below.className = 'ddpm-below';
    let film;
    const refresh = () => {
      const data = model.get('data'), index = +(film?.root.dataset.index ?? data.start);
      below.replaceChildren();
      const under = data.below && mount(below, data.below, {index});
      const follow = () => under?.show(+film.root.dataset.index);
      film = mount(above, data, {index, onchange: follow});
      under?.ready.then(() => film.ready).then(follow);
    };
    model.on('change:data', refresh);
    refresh();
    return () => model.off('change:data', refresh);
  },
};
"""
    )
    _css = STYLE + ".ddpm-below .ddpm-scrub :is(.now, .controls) { display: none; }\n"
    data = traitlets.Dict().tag(sync=True)
    stands_in = traitlets.Unicode().tag(sync=True)  # class of the picture that is shown until this widget is

    def __repr__(self) -> str:
        return "Film()"


class Playground:
    """What `playground` makes: the widgets, and the thread that samples.

    Attributes:
        model: computes as the device is fastest, converted or recorded once for all films.
        controls: "sampler", "spacing", "steps", "eta", "seed", "guidance" where something can be named, and "prompt"
            for a network that is told attributes ("a king with green hair") or words, and of words "negative" →
            ipywidget; setting a value is like moving it by hand. Of a student "seed" and "prompt" alone.
        classes: name of a class → its slider, apart, since a class may be called "seed".
        film: the film's widget; of a prompt of words it has their maps below, for the first picture.
        message: what is going on, or what went wrong, in words.
        scrubber: the film that is shown now; `maps` is what is below it, or None.
    """

    def __init__(self, model: Model, n: int, steps: int) -> None:
        named, words = bool(model.attributes), model.tokenizer is not None
        # Maps are read from a network itself, not from a converted copy that may be a recorded graph.
        own = replace(model, net=copy.deepcopy(nets.unwrapped(model.net))).tuned("float32") if words else model
        self.model, self.n = own.tuned("auto"), n
        names = () if named or words or model.context_dim is None else model.classes
        self.classes = {name: _slider(FloatSlider, float(i == 0), 0.0, 1.0, 0.05, name) for i, name in enumerate(names)}
        self.controls = _controls(steps, model.schedule.T, bool(names) or named or words)
        if model.times:  # a student knows one walk, and no guidance but its own
            self.controls = {"seed": self.controls["seed"]}
        if named:
            self.controls["prompt"] = ipywidgets.Text("a hero", description="prompt", continuous_update=False, **STYLED)
        if words:
            known = [word for word in model.tokenizer.words if word.isalnum()]
            self.controls["prompt"] = PromptField(value=SCENE, words=known, description="prompt", layout=WIDE)
            if not model.times:
                self.controls["negative"] = PromptField(words=known, description="negative", layout=WIDE)
                self.controls["guidance"].value = DRAW_SCALE
        self.message = ipywidgets.HTML()
        self.progress = ipywidgets.FloatProgress(
            min=0, max=1, layout={"width": "100%", "max_width": "640px", "height": "12px"}
        )
        self.scrubber: Scrubber
        self.maps: Scrubber | None
        self.film = Film()
        self._work(self.settings(), lambda: False)
        self.film.stands_in = f"{self.scrubber.name}-still"
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
        unwanted = settings.get("negative", "").strip()
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
        negative = self.model.context(unwanted) if unwanted and sampler.guidance_scale != 1 else None
        return self.model.decoded_frames(sampler.frames(self.model, self.n, contexts, settings["seed"], negative))

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
        caption = settings.get("prompt", "").strip() if self.model.tokenizer is not None else ""
        places = places_of(self.model.tokenizer, caption) if caption else {}
        frames, looks = self.frames(settings), []
        for look in looking(self.model.net, frames) if places else ((frame, None) for frame in frames):
            if stale():
                return
            looks.append(look)
            self.progress.value = len(looks) / (len(self.model.times) or settings["steps"] + 1)
        self.scrubber = scrub([frame for frame, _ in looks], self.model.schedule)
        alt = f"what each word of “{caption}” lights"
        scale = max(1, BELOW // self.model.picture_shape[2])
        self.maps = film_of_words(looks, places, alt=alt, scale=scale) if places else None
        self.film.data = self.scrubber.data | ({"below": self.maps.data} if self.maps else {})
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

    Of a network that is told attributes or words what to draw is typed: a class, or a caption. A field for words
    completes them, and below the film stands the first picture, lit by what the network looks at for each word. With
    all class sliders at 0, or nothing typed, guidance has nothing to push towards. From Python,
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


SCENE = "a wizard with a red hat left of a green slime, at night"
WHAT = ("prompt", "negative", "guidance")  # controls that say what is drawn; the others say how
BELOW = 128  # pixels that a scene is wide on the screen, where it is lit by a word
WIDE = {"width": "520px", "max_width": "100%"}
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
