"""What a model draws from words, against the words: what `ddpm-teach evaluate scenes` prints. Lesson 13.

Every measure has its ceiling, real scenes of the same captions read by the same reader, and its floor, the pictures
compared with each other's captions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ddpm_teach.checks import check_int, check_pictures
from ddpm_teach.data.attributes import holds
from ddpm_teach.data.backgrounds import SIZE
from ddpm_teach.data.captions import place_in_words
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.lexicon import RELATIONS, lexicon
from ddpm_teach.data.prompts import Claims, parse
from ddpm_teach.data.scenes import load_scenes, scenes_of, tells_held_out
from ddpm_teach.data.sprites import sprites
from ddpm_teach.evaluation.asked import ATTRIBUTES, as_asked, colors_right
from ddpm_teach.evaluation.evaluate import PARTS, chunk_seed
from ddpm_teach.evaluation.maps import Inside
from ddpm_teach.evaluation.metrics import Measured, Moments, frechet
from ddpm_teach.evaluation.reading import Reading, Reads

Draw = Callable[[list[str], int], Tensor]  # (captions, seed) -> pictures (n, 3, 32, 32) in [-1, 1]
SIFTED = 3  # held-out scenes that are looked at for each caption that tells what is held out
COLORS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "white", "black", "teal")  # of swapped pairs


class Scored(NamedTuple):
    """The share of n captions that are drawn as asked, beside that of real scenes and that of others' captions."""

    drawn: Measured
    ceiling: float
    floor: float
    n: int

    @property
    def of_ceiling(self) -> float:
        """What is reached of what can be reached; NaN where the reader can't read it on real scenes."""
        return self.drawn.value / self.ceiling if self.ceiling else math.nan

    def record(self) -> dict:
        """As JSON keeps it."""
        row = {**self.drawn._asdict(), "ceiling": self.ceiling, "floor": self.floor}
        return row | {"share of the ceiling": self.of_ceiling if self.ceiling else None, "n": self.n}

    def __str__(self) -> str:
        share = f"{self.drawn.value:6.1%} ± {self.drawn.error:.1%}"
        return f"{share}   (real {self.ceiling:.1%}, shuffled {self.floor:.1%}; {self.of_ceiling:.0%} of real)"


class SceneEvaluation(NamedTuple):
    """Of n test captions.

    Attributes:
        accuracy: for the "test" captions, those of them with "two sprites", and captions of "held-out combinations",
            for each attribute that they tell of, the share that is drawn as asked.
        binding: the share of pictures that are nearer to their caption than to the one with the two colours swapped; a
            tie counts half. Its floor is chance.
        frechet: the distance of the pictures' features from those of test scenes.
        floor: the distance that training scenes have in their place.
        seconds: for one picture.
        maps: of nouns, whether they look at their sprites; None of what has no maps.
    """

    n: int
    accuracy: dict[str, dict[str, Scored]]
    binding: Scored
    frechet: Measured
    floor: Measured
    seconds: float
    maps: Inside | None = None

    def record(self) -> dict:
        """As JSON keeps it: every value with its error, ceiling and floor."""
        shares = {name: {key: one.record() for key, one in rows.items()} for name, rows in self.accuracy.items()}
        distance = {**self.frechet._asdict(), "floor": self.floor.value}
        whole = {"n": self.n, "seconds": self.seconds, **shares, "binding": self.binding.record()}
        maps = {} if self.maps is None else {"noun inside its box": self.maps.record()}
        return whole | {"Fréchet distance": distance} | maps

    def lines(self) -> Iterator[str]:
        """As the command prints it."""
        for name, rows in self.accuracy.items():
            yield f"{name}:"
            yield from (f"  {attribute:18} {one}" for attribute, one in rows.items())
        yield f"{'binding':20} {self.binding}"
        yield f"{'Fréchet distance':20} {self.frechet}   (training scenes in their place: {self.floor})"
        if self.maps is not None:
            yield f"{'noun in its box':20} {self.maps}"
        yield f"{'seconds':20} {self.seconds:.3f} a picture"


def evaluate_scenes(draw: Draw, reader: Reads, n: int = 1000, seed: int = 0, size: int = 100) -> SceneEvaluation:
    """Has n test captions drawn, n of held-out combinations and n/4 pairs with swapped colours, and reads the pictures.

    Args:
        n: at least 20, rounded down to a multiple of PARTS.
        seed: of the noise; the captions are always the same.
        size: captions that are drawn at a time.

    Raises:
        TypeError, ValueError: for pictures of another kind or number than captions.
    """
    n = check_int("n", n, 2 * PARTS) // PARTS * PARTS
    check_int("size", size, 1)
    check_int("seed", seed, 0, 2**63 - 1)
    start, test = time.perf_counter(), load_scenes("test", n)
    x = _drawn(draw, test.attributes["caption"].tolist(), seed, 0, size)
    seconds = (time.perf_counter() - start) / n
    real, ours = reader.read(test.pictures(slice(None))), reader.read(x)
    asked = [parse(text) for text in test.attributes["caption"].tolist()]
    pairs = [k for k, claims in enumerate(asked) if claims.relation]
    rare = held_out_scenes(n)
    rare_asked = [parse(text) for text in rare.attributes["caption"].tolist()]
    rare_x = _drawn(draw, rare.attributes["caption"].tolist(), seed, 1, size)
    accuracy = {
        "test": scored(ours, real, asked),
        "two sprites": scored(*([rows[k] for k in pairs] for rows in (ours, real, asked))),
        "held-out combinations": scored(reader.read(rare_x), reader.read(rare.pictures(slice(None))), rare_asked),
    }
    distance, floor = _distances(reader, x)
    return SceneEvaluation(n, accuracy, binding(draw, reader, n // 4, seed, size), distance, floor, seconds)


def scored(drawn: Sequence[Reading], real: Sequence[Reading], asked: Sequence[Claims]) -> dict[str, Scored]:
    """For each attribute the share of the captions that tell of it for which the picture is read as asked.

    Args:
        drawn, real: readings of the pictures, and of real scenes, of the captions.
        asked: what the captions claim.
    """
    shifted = [*drawn[1:], *drawn[:1]]
    ours, ceiling, floor = (
        [as_asked(*pair) for pair in zip(rows, asked, strict=True)] for rows in (drawn, real, shifted)
    )
    result = {}
    for attribute in ATTRIBUTES:
        told = [k for k, right in enumerate(ours) if attribute in right]
        if told:
            hits = [sum(rows[k][attribute] for k in told) for rows in (ours, ceiling, floor)]
            shares = Measured.share(hits[0], len(told)), hits[1] / len(told), hits[2] / len(told)
            result[attribute] = Scored(*shares, len(told))
    return result


def held_out_scenes(n: int) -> ImageSet:
    """The first n held-out scenes whose captions tell what is held out."""
    scenes = load_scenes("held_out", n * SIFTED)
    told = [k for k, text in enumerate(scenes.attributes["caption"].tolist()) if tells_held_out(parse(text))]
    return scenes.subset(told[:n])


def binding(draw: Draw, reader: Reads, n: int = 250, seed: int = 0, size: int = 100) -> Scored:
    """Are colours bound to their sprites? n pairs such as "a red knight left of a blue dragon" and "a blue knight left
    of a red dragon" are drawn from the same noise: which pictures are nearer to their own caption, by the colours that
    are read at the two sprites? The ceiling: real scenes of the captions."""
    pairs = swapped_pairs(n)
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    asked = [[parse(text) for text in texts] for texts in sides]

    def nearer(pictures: list[Tensor]) -> Tensor:
        """(n,) of each pair's two pictures the share that is nearer to its own caption, a tie being half."""
        wins = torch.zeros(n, device="cpu")
        for mine, x in enumerate(pictures):
            for k, reading in enumerate(reader.read(x)):
                ahead = colors_right(reading, asked[mine][k]) - colors_right(reading, asked[1 - mine][k])
                wins[k] += (1 + (ahead > 0) - (ahead < 0)) / 4
        return wins

    ours = nearer([_drawn(draw, texts, seed, 2, size) for texts in sides])
    real = nearer([scenes_of(texts, "test").pictures(slice(None)) for texts in sides])
    near = torch.cat([ours, torch.tensor([1.0, 1.0, 0.0, 0.0], device="cpu")])  # "plus four", as Measured.share
    error = near.std(correction=0).item() / math.sqrt(len(near))
    return Scored(Measured(ours.mean().item(), error), real.mean().item(), 0.5, n)


def swapped_pairs(n: int) -> list[tuple[str, str]]:
    """n captions of two heroes or monsters with a colour each, and the same with the colours swapped; train and test
    have sprites of both."""
    tables = [sprites(split).attributes for split in ("train", "test")]
    kinds = sorted(kind for noun in ("hero", "monster") for kind in lexicon().kinds[(noun,)]["kind"])
    known = {
        "kind": {kind: frozenset([kind]) for kind in kinds},
        "color": {color: lexicon().colors[(color,)] for color in COLORS},
    }
    shows = {
        word: [holds(table, ({column: meant},)) for table in tables]
        for column, words in known.items()
        for word, meant in words.items()
    }

    def had(color: str, kind: str) -> bool:
        return all((a & b).any() for a, b in zip(shows[color], shows[kind], strict=True))

    rng, pairs = np.random.default_rng(0), []
    while len(pairs) < n:
        who, colors = rng.choice(kinds, 2, replace=False).tolist(), rng.choice(COLORS, 2, replace=False).tolist()
        relation = list(RELATIONS)[rng.integers(len(RELATIONS))]
        both = [list(zip(order, who, strict=True)) for order in (colors, colors[::-1])]
        if all(had(*pair) for pairing in both for pair in pairing):
            pairs.append(
                tuple(place_in_words([_with(*pair) for pair in pairing], relation, None, None) for pairing in both)
            )
    return pairs


def _with(color: str, kind: str) -> str:
    return f"{'an' if color[0] in 'aeiou' else 'a'} {color} {kind}"


def _drawn(draw: Draw, captions: list[str], seed: int, part: int, size: int) -> Float[Tensor, "n c h w"]:
    """The pictures to captions, `size` at a time; every part, and chunk, has a seed of its own."""
    chunks = []
    for i in range(0, len(captions), size):
        texts = captions[i : i + size]
        x = draw(texts, chunk_seed(seed, part, i))
        check_pictures("draw(captions, seed)", x)
        if x.shape != (len(texts), 3, SIZE, SIZE):
            raise ValueError(
                f"draw: expected pictures ({len(texts)}, 3, {SIZE}, {SIZE}), one for each caption, got {tuple(x.shape)}"
            )
        chunks.append(x.detach().float().cpu())
    return torch.cat(chunks)


def _distances(reader: Reads, x: Tensor) -> tuple[Measured, Measured]:
    """The Fréchet distances of pictures, and of as many training scenes, from other test scenes."""
    other = load_scenes("test", 2 * len(x), seed=1)  # not those whose captions were drawn
    train = load_scenes("train", len(x))
    reference, real = (reader.features(images.pictures(slice(None))) for images in (other, train))
    return tuple(
        frechet([Moments.of(part) for part in features.chunk(PARTS)], Moments.of(reference))
        for features in (reader.features(x), real)
    )
