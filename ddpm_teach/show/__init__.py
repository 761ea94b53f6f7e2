"""Pictures, figures and films: what the course shows. Each name is loaded from its home when it is first used.

show(x, "eight sprites")                    a batch in a notebook; save_png and save_film write files
trajectory_strip(frames)                    figures, each a matplotlib Figure
unet_drawing(net)                           drawings of ideas and networks, too
paths({"DDPM": frames})                     the toy world of points in the plane
scrub(frames, model.schedule)               films that the hand moves, on pages without a kernel, too
scrub_words(model, "a red slime at night")  what each word of a caption lights while it is drawn
playground(model)                           sliders that sample anew; needs a kernel
"""

from importlib import import_module
from typing import Any

_HOMES = {  # module: the public names that live there
    "pictures": "Picture save_film save_png show tile to_image to_png to_uint8",
    "plots": (
        "STYLE forward_strip image_grid loss_by_time loss_curve measured_curves schedule_curves trajectory_strip"
    ),
    "drawings": "chain_drawing ddim_drawing modulation_drawing",
    "unets": "unet_drawing",
    "planes": "arrows figure_pixels lines paths",
    "films.scrubber": "browse compare forward scrub",
    "films.words": "scrub_words",
    "films.sheet": "Scrubber",
    "films.playground": "Playground playground",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
