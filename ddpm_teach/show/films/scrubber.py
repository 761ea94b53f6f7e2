"""The timestep scrubbers: walks as films that the hand moves, in plain HTML that needs no kernel.

scrub(walk(step, x_T, trailing(schedule.T, 50)), schedule)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ddpm_teach.checks import check_int
from ddpm_teach.diffusion.forward import add_noise
from ddpm_teach.diffusion.schedule import Schedule
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.sampler import generator
from ddpm_teach.show.films.captions import (
    LIMITS,
    TITLES,
    change_curve,
    distance_curve,
    label,
    level_curve,
    pictures_of,
)
from ddpm_teach.show.films.sheet import (
    Layout,
    Panel,
    Scrubber,
    check_one_shape,
    column,
    evenly,
    make,
    many,
    strip,
)
from ddpm_teach.show.pictures import check_batch, check_frames, tile


def scrub(
    frames: Iterable[Frame],
    schedule: Schedule | None = None,
    *,
    panels: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    scale: int | None = None,
    fps: float = 12.0,
    start: int | None = None,
    rows: Sequence[str] | None = None,
    cols: Sequence[str] | None = None,
    alt: str | None = None,
) -> Scrubber:
    """The frames of a walk under one slider. Lesson 00.

    Arrow keys, Home and End move it, the space bar plays it. Colours are clamped, never stretched: x and x0 show
    [-1, 1], eps shows [-3, 3]; NaN becomes mid grey, and the label counts it, as it names values far beyond white.

    Args:
        frames: pictures (b, c, h, w) with 1 or 3 channels, all of one shape.
        schedule: adds ᾱ and the signal-to-noise ratio to the label, and ᾱ's curve under the slider. Without it the
            curve is the change from frame to frame, with a gap where that isn't finite.
        panels: any of "x", "x0", "eps", from left to right; x, and x0 where some frame has it, unless given.
        titles: a heading for each panel.
        start: position 0, 1, … of the frame that is shown at first; the last one unless given.
        columns, scale, fps, rows, cols, alt: see `Layout`.

    Raises:
        TypeError: for something else than frames, or pictures of whole numbers.
        ValueError: without frames, for other shapes, other panels, another number of titles than of panels, or a start
            that isn't there.
    """
    frames = check_frames("frames", frames)
    check_one_shape("frames", _every_picture(frames))
    if not isinstance(schedule, Schedule | None):
        raise TypeError(f"schedule: expected a Schedule such as linear(), got {schedule!r}")
    if panels is None:
        panels = ("x", "x0") if any(frame.x0 is not None for frame in frames) else ("x",)
    if not panels or not set(panels) <= set(TITLES):
        raise ValueError(f'panels: expected some of "x", "x0", "eps", got {panels!r}')
    titles = [TITLES[name] for name in panels] if titles is None else list(titles)
    if len(titles) != len(panels):
        raise ValueError(f"titles: expected {len(panels)}, one for each panel, got {len(titles)}")
    shown = [_panel(title, frames, name, range(len(frames))) for title, name in zip(titles, panels, strict=True)]
    labels = [label(frame, schedule, panels) for frame in frames]
    layout = Layout(columns, scale, fps, rows, cols, alt)
    curve = change_curve(frames) if schedule is None else level_curve(schedule, [frame.t for frame in frames])
    start = len(frames) - 1 if start is None else check_int("start", start, 0, len(frames) - 1)
    film = make(shown, frames[0].x, [f"t = {frame.t}" for frame in frames], labels, curve, layout)
    film.data["start"] = start
    return film


def compare(
    streams: Mapping[str, Iterable[Frame]],
    *,
    panel: str = "x",
    columns: int | None = None,
    scale: int | None = None,
    fps: float = 12.0,
    rows: Sequence[str] | None = None,
    cols: Sequence[str] | None = None,
    alt: str | None = None,
) -> Scrubber:
    """Two to four walks side by side under one slider: DDPM against DDIM, schedules, guidance scales. Lesson 06.

    The slider moves through the walk with the most frames; each of the others shows its frame nearest in time. The
    curve is the root mean square distance between the panels, over all their pairs.

    Args:
        streams: a heading for each walk; all pictures of one shape.
        panel: what is shown of each: "x", "x0" or "eps".
        columns, scale, fps, rows, cols, alt: see `Layout`.

    Raises:
        TypeError: for something else than walks by name, or pictures of whole numbers.
        ValueError: for fewer or more walks, an empty one, other shapes, or another panel.
    """
    if not isinstance(streams, Mapping):
        got = type(streams).__name__
        raise TypeError(f'streams: expected walks by their headings, {{"ddpm": walk(…), "ddim": walk(…)}}, got a {got}')
    if not 2 <= len(streams) <= 4:
        raise ValueError(f"streams: expected two to four walks, got {len(streams)}")
    if panel not in TITLES:
        raise ValueError(f'panel: expected "x", "x0" or "eps", got {panel!r}')
    walks = {title: check_frames(f"streams[{title!r}]", frames) for title, frames in streams.items()}
    check_one_shape("streams", [x for frames in walks.values() for x in _every_picture(frames)])
    own = {title: [frame.t for frame in frames] for title, frames in walks.items()}
    times = max(own.values(), key=len)
    at = {title: _nearest(ts, times) for title, ts in own.items()}
    shown = [_panel(title, frames, panel, at[title]) for title, frames in walks.items()]
    labels = [_times([own[title][at[title][i]] for title in walks]) for i in range(len(times))]
    like = next(iter(walks.values()))[0].x
    marks = [f"t = {t}" for t in times]
    layout = Layout(columns, scale, fps, rows, cols, alt)
    return make(shown, like, marks, labels, distance_curve(shown, times), layout)


def forward(
    images: Tensor,
    schedules: Schedule | Mapping[str, Schedule],
    *,
    seed: int = 0,
    frames: int = 51,
    columns: int | None = None,
    scale: int | None = None,
    fps: float = 12.0,
    rows: Sequence[str] | None = None,
    cols: Sequence[str] | None = None,
    alt: str | None = None,
) -> Scrubber:
    """The forward process, mixed in the browser: x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε (DDPM, eq. 4). Lesson 01.

    Only x_0, one ε and the rates travel: a few kilobytes for any number of frames and schedules. Of ε the page has 256
    levels between -4 and 4.

    Args:
        images: x_0 (b, c, h, w) with 1 or 3 channels, in [-1, 1].
        schedules: one, or several by name, to choose from in the widget.
        seed: of ε.
        frames: positions of the slider, evenly over 0…T.
        columns, scale, fps, rows, cols, alt: see `Layout`.

    Raises:
        TypeError: for pictures of whole numbers.
        ValueError: for other shapes, fewer than two frames, or no schedule.
    """
    check_batch("images", images)
    images = images.detach().float().cpu()
    count, _, height, width = images.shape
    schedules = {"": schedules} if isinstance(schedules, Schedule) else schedules
    if not isinstance(schedules, Mapping) or not schedules:
        raise ValueError(f"schedules: expected a Schedule, or a dict of some by name, got {schedules!r}")
    check_int("frames", frames, 2)
    eps, reach = torch.randn(images.shape, generator=generator(seed), device="cpu"), 4.0
    times = {
        name: [round(i * schedule.T / (frames - 1)) for i in range(frames)] for name, schedule in schedules.items()
    }
    variants = [
        {
            "name": name,
            "labels": [label(Frame(t, images), schedule, ()) for t in times[name]],
            "curve": level_curve(schedule, times[name]),
            "rates": [[round(math.sqrt(share), 5) for share in _shares(schedule, t)] for t in times[name]],
        }
        for name, schedule in schedules.items()
    ]
    layout = Layout(columns, scale, fps, rows, cols, alt)
    mix = {"x0": column(images), "eps": column(eps / reach), "reach": reach}
    title = "xₜ = √ᾱₜ x₀ + √(1 − ᾱₜ) ε"
    data = layout.data(width, height, count, 1)
    data |= {"start": 0, "panels": [{"title": title, "empty": [], "mix": mix}], "variants": variants}
    (name, schedule), *_ = schedules.items()
    shown = [times[name][i] for i in evenly(frames, width)]
    grids = [(tile(add_noise(schedule, images, t, eps), layout.columns_of(count), gap=0), False) for t in shown]
    still = strip([f"t = {t}" for t in shown], [("picture at time t", grids)], layout.words())
    what = f"{many(count, 'picture')} {width}×{height}, {many(len(schedules), 'schedule')}"
    return Scrubber(data, still, f"Forward({many(frames, 'frame')}, {what})")


def browse(
    pictures: Mapping[str, Tensor],
    title: str = "picture",
    *,
    columns: int | None = None,
    scale: int | None = None,
    fps: float = 2.0,
    rows: Sequence[str] | None = None,
    cols: Sequence[str] | None = None,
    alt: str | None = None,
) -> Scrubber:
    """Pictures under one slider that isn't the time: a guidance scale, a mixture, a number of steps. Lesson 05.

    Args:
        pictures: what the slider says there → pictures (b, c, h, w) in [-1, 1], all of one shape, in this order.
        title: a heading.
        columns, scale, fps, rows, cols, alt: see `Layout`.

    Raises:
        TypeError: for pictures of whole numbers.
        ValueError: without pictures, or for other shapes.
    """
    if not isinstance(pictures, Mapping) or not pictures:  # a batch would have too long a text
        got = "none" if isinstance(pictures, Mapping) else f"a {type(pictures).__name__}"
        raise ValueError(f"pictures: expected some by their labels, {{'scale 2': x, …}}, got {got}")
    check_one_shape("pictures", pictures.values())
    labels, shown = list(pictures), [x.detach().cpu() for x in pictures.values()]
    layout = Layout(columns, scale, fps, rows, cols, alt)
    return make([Panel(title, shown, range(len(shown)))], shown[0], labels, labels, None, layout)


def _shares(schedule: Schedule, t: int) -> tuple[float, float]:
    return schedule.at(t), 1 - schedule.at(t)


def _nearest(own: list[int], times: list[int]) -> Sequence[int]:
    """For each of the times the position of the own time next to it."""
    if own == times:  # also where a time comes twice
        return range(len(own))
    return [min(range(len(own)), key=lambda i: abs(own[i] - t)) for t in times]


def _times(of_panels: list[int]) -> str:
    """One time where it is the same for all, else one for each panel from left to right."""
    return "t = " + ", ".join(map(str, of_panels if len(set(of_panels)) > 1 else of_panels[:1]))


def _every_picture(frames: Iterable[Frame]) -> list[Tensor | None]:
    return [x for frame in frames for x in (frame.x, frame.x0, frame.eps)]


def _panel(title: str, frames: Sequence[Frame], name: str, at: Sequence[int]) -> Panel:
    return Panel(title, [None if x is None else x / LIMITS[name] for x in pictures_of(frames, name)], at)
