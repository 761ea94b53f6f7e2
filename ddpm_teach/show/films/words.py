"""The film of words: the walk of one scene, and what of the picture each word of its caption lights. Lesson 13.

scrub_words(model, "a wizard with a red hat left of a green slime, at night")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.nn.functional import interpolate

from ddpm_teach import nets
from ddpm_teach.checks import check_model, shown
from ddpm_teach.data.lexicon import seen_words, tokens
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.model import DRAW_SCALE, DRAW_STEPS, Model
from ddpm_teach.nets.maps import attention_maps
from ddpm_teach.sampler import Sampler
from ddpm_teach.show.films.captions import TITLES, label, level_curve
from ddpm_teach.show.films.sheet import Layout, Panel, Scrubber, make

Look = tuple[Frame, Tensor | None]  # a frame of pictures, and the map (words, h, w) of the call that led to its x̂_0


def scrub_words(
    model: Model,
    caption: str,
    seed: int = 0,
    steps: int = DRAW_STEPS,
    guidance_scale: float = DRAW_SCALE,
    words: str | Sequence[str] | None = None,
) -> Scrubber:
    """The walk of one scene, and beside it a picture for each word, lit where the network looks at it. Lesson 13.

    A word's picture is x̂₀, decoded, dark where no place looks at the word when x̂₀ is predicted. Its light is the share
    of their attention that places give to the word, over heads and layers; "full light: 23 %" in its title says which
    share is the whole picture's brightness, the largest one in the film. So shares compare over the steps of one word,
    and between words by their titles.

    Args:
        model: one that is told words.
        caption: of the scene.
        seed, steps, guidance_scale: as for `model.draw`, which draws the last frame.
        words: of the caption, whose maps are shown; what can be seen (things, parts, colours and places) unless given.
            A word that comes twice has two maps.

    Raises:
        TypeError: for something else than a Model, or words that aren't texts.
        ValueError: for a network that isn't told words, a caption without any or with unknown ones, words that aren't
            in it, or a guidance scale of 0, which leaves the caption out.
    """
    check_model(model)
    if model.tokenizer is None:
        raise ValueError("model: expected one that is told words, got one without a tokenizer; scrub shows its walks")
    texts = [words] if isinstance(words, str | None) else words
    if not isinstance(texts, Sequence) or not all(isinstance(text, str | None) for text in texts):
        raise TypeError(f'words: expected words of the caption, got {shown(words)}; write ["red", "hat"]')
    places = places_of(model.tokenizer, caption, words)
    if not places:
        raise ValueError("caption: expected words, whose maps are shown, got none; scrub shows a walk without")
    if guidance_scale == 0:
        raise ValueError("guidance_scale: at 0 the network isn't told the caption, got 0; use 1 or more")
    model = replace(model, net=nets.unwrapped(model.net))
    sampler = Sampler(steps=steps, guidance_scale=guidance_scale, precision="float32")
    frames = model.decoded_frames(sampler.frames(model, 1, model.context(caption), seed))
    looks = list(looking(model.net, frames))
    alt = f"the walk to “{caption}”, and what its words light"
    return film_of_words(looks, places, ("x", "x0"), level_curve(model.schedule, [frame.t for frame, _ in looks]), alt)


def places_of(tokenizer: Tokenizer, caption: str, words: str | Sequence[str] | None = None) -> dict[str, int]:
    """Where words stand in a caption, from 1 on, as in `attention_maps`: {"red": 2, "knight": 3, "red (2)": 7}."""
    said = tokenizer.decode(tokenizer.encode(caption)[0])
    if words is None:
        chosen = [word for word in said if word in seen_words()] or said
    else:
        chosen = tokens(words if isinstance(words, str) else " ".join(words))
        for word in chosen:
            if word not in said:
                raise ValueError(
                    f"words: {word!r} isn't in the caption, whose words are {', '.join(dict.fromkeys(said))}"
                )
    places: dict[str, int] = {}
    for place, word in enumerate(said, 1):
        if word in chosen:
            times = said[:place].count(word)
            places[word if times == 1 else f"{word} ({times})"] = place
    return places


def looking(net: Any, frames: Iterable[Frame]) -> Iterator[Look]:
    """Each frame of a walk with the map of its first scene, as the network called for it looks at the caption.

    The first frame, before any call, has none. Guidance has the caption's half of the batch last.
    """
    with attention_maps(net) as maps:
        seen = 0
        for frame in frames:
            yield frame, maps[seen][-len(frame.x)] if len(maps) > seen else None
            seen = len(maps)


def film_of_words(
    looks: Sequence[Look],
    places: Mapping[str, int],
    panels: Sequence[str] = (),
    curve: dict[str, Any] | None = None,
    alt: str | None = None,
    scale: int | None = None,
) -> Scrubber:
    """The first scene's film: pictures of it, "x" and "x0", then one lit by each word."""
    frames = [Frame(frame.t, *(None if x is None else x[:1].cpu() for x in (frame.x, frame.x0))) for frame, _ in looks]
    every = range(len(frames))
    shown = [Panel(TITLES[name], [getattr(frame, name) for frame in frames], every) for name in panels]
    for word, place in places.items():
        maps = [None if seen is None else seen[place].float().cpu() for _, seen in looks]
        most = max((one.max().item() for one in maps if one is not None), default=0.0)
        lit = [
            None if one is None or frame.x0 is None else _lit(frame.x0, one / max(most, 1e-12))
            for frame, one in zip(frames, maps, strict=True)
        ]
        shown.append(Panel(f"{word} · full light: {100 * most:.3g} %", lit, every))
    layout = Layout(None, scale, 12.0, None, None, alt)
    labels = [label(frame, None, ()) for frame in frames]
    return make(shown, frames[0].x, [f"t = {frame.t}" for frame in frames], labels, curve, layout)


def _lit(x: Tensor, light: Tensor) -> Tensor:
    """Pictures (1, c, h, w) in [-1, 1], as bright as the light (i, j) in 0…1 at each place, enlarged without edges."""
    light = interpolate(light[None, None], x.shape[2:], mode="bilinear", align_corners=False)
    return (x.clamp(-1, 1) + 1) * light - 1
