"""Who reads scenes: what is seen on a picture as records, and how the reader learns it. Lesson 13.

Which sprite of two is the first is a matter of the caption: "a left of b" is "b right of a". A reading therefore has an
order of its own: the sprite further left comes first, or the upper one where one is above the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from ddpm_teach.data.attributes import NONE, Attributes
from ddpm_teach.data.backgrounds import PLACES
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.prompts import Record
from ddpm_teach.data.scenes import records
from ddpm_teach.evaluation.judges import SPECKLE
from ddpm_teach.evaluation.metrics import Measured
from ddpm_teach.model_files import load_net
from ddpm_teach.nets.reader import Names, SceneReader, centres_of
from ddpm_teach.storage import course_path

ORDERED = (NONE, "left of", "above")  # how the first sprite of a reading stands to the second
TURNED = {"right of": "left of", "below": "above"}  # what is the same of the second and the first
ABSENT = -100  # a target that cross-entropy passes over
EVERY = 100  # steps whose losses make one value
PART = 500  # pictures that are read at a time


class Reading(NamedTuple):
    """What is seen on a picture: where it is, how the first sprite stands to the second, and one or two sprites."""

    background: str
    relation: str
    sprites: tuple[Record, ...]


@runtime_checkable
class Reads(Protocol):
    """Who reads pictures (n, 3, 32, 32) in [-1, 1]."""

    def read(self, x: Tensor) -> list[Reading]: ...

    def features(self, x: Tensor) -> Tensor: ...


class Reader:
    """A network that names what it sees by number, with the words.

    Args:
        attributes: the columns of a sprite's record, in the network's order, and their words but for none.
    """

    def __init__(self, net: SceneReader, attributes: Attributes) -> None:
        self.net, self.columns = net.eval(), {name: (NONE, *words) for name, words in attributes.items()}

    @torch.no_grad()
    def read(self, x: Float[Tensor, "n c h w"]) -> list[Reading]:
        """What is seen on each of n pictures in [-1, 1]."""
        return [reading for part in x.split(PART) for reading in self._named(self.net(part))]

    @torch.no_grad()
    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """What the Fréchet distance compares."""
        return torch.cat([self.net.features(part) for part in x.split(PART)])

    def _named(self, names: Names) -> list[Reading]:
        places, relations = names.background.argmax(1).tolist(), names.relation.argmax(1).tolist()
        numbers = torch.stack([logits.argmax(2) for logits in names.words], 2).tolist()  # (n, 2, columns)
        readings = []
        for place, relation, both in zip(places, relations, numbers, strict=True):
            shown = both if relation else both[:1]
            sprites = tuple(
                {name: words[k] for (name, words), k in zip(self.columns.items(), row, strict=True)} for row in shown
            )
            readings.append(Reading(tuple(PLACES)[place], ORDERED[relation], sprites))
        return readings


def load_reader() -> Reader:
    """The reader that comes with the course.

    Raises:
        FileNotFoundError, ValueError: for a file that isn't there, or is damaged.
    """
    net, meta = load_net(course_path("data/weights/scenes-reader.safetensors"))
    return Reader(net, {name: tuple(words) for name, words in meta["attributes"].items()})


def in_order(relation: str, sprites: tuple) -> tuple[str, tuple]:
    """A relation and what belongs to the two sprites, in the order of a reading."""
    return (TURNED[relation], sprites[::-1]) if relation in TURNED else (relation, sprites)


def truth(attributes: Mapping[str, np.ndarray], i: int) -> Reading:
    """What a reader without fault sees on scene i."""
    relation, sprites = in_order(str(attributes["relation"][i]), tuple(records(attributes, i)))
    return Reading(str(attributes["background"][i]), relation, sprites)


def targets(images: ImageSet, boxes: Int[Tensor, "n 2 4"], attributes: Attributes) -> dict[str, Tensor]:
    """What `Names` shall say of scenes, as numbers; ABSENT of a second that isn't there.

    Args:
        boxes: of the scenes, as `scene_boxes` has them.
    """
    table, turned = images.attributes, np.isin(images.attributes["relation"], list(TURNED))
    relations = [ORDERED.index(TURNED.get(word, word)) for word in table["relation"].tolist()]
    words = []
    for name, known in attributes.items():
        number = {word: k for k, word in enumerate((NONE, *known))}
        said = np.stack([table[f"first {name}"], table[f"second {name}"]], 1)
        words.append(np.vectorize(number.__getitem__, otypes=[np.int64])(said))
    absent, turn = boxes[:, :, 0] < 0, torch.from_numpy(turned)
    both = torch.from_numpy(np.stack(words, 2)).masked_fill(absent[..., None], ABSENT)  # (n, 2, columns)
    centres = centres_of(boxes, images.image_shape[1]).masked_fill(absent, ABSENT)
    return {
        "background": images.labels,
        "relation": torch.tensor(relations, device="cpu"),
        "centres": torch.where(turn[:, None], centres.flip(1), centres),
        "words": torch.where(turn[:, None, None], both.flip(1), both),
    }


def train_reader(
    net: SceneReader, images: ImageSet, told: dict[str, Tensor], steps: int, batch_size: int = 64, seed: int = 0
) -> Iterator[float]:
    """AdamW with a one-cycle rate; yields the mean loss of every EVERY steps. The network ends in eval mode.

    It learns where sprites are beside what they are, and reads them where they are, not where it believes them to be:
    so both begin at once.

    Args:
        told: `targets` of the images.
    """
    rng = torch.Generator("cpu").manual_seed(seed)
    optimizer = torch.optim.AdamW(net.parameters())
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    total, left = 0.0, torch.empty(0, dtype=torch.long, device="cpu")
    for step in range(1, steps + 1):
        if len(left) < batch_size:
            left = torch.randperm(len(images), generator=rng, device="cpu")
        index, left = left[:batch_size], left[batch_size:]
        loss = _loss(net, images.pictures(index), {name: target[index] for name, target in told.items()}, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
        total += loss.item()
        if step % EVERY == 0:
            yield total / EVERY
            total = 0.0
    net.eval()


def _loss(net: SceneReader, x: Tensor, told: dict[str, Tensor], rng: torch.Generator) -> Tensor:
    noise = torch.randn(x.shape, generator=rng, device="cpu").to(x.device)
    names = net(x + SPECKLE * noise, told["centres"].clamp(min=0))
    columns = [
        cross_entropy(logits.flatten(0, 1), told["words"][..., k].flatten()) for k, logits in enumerate(names.words)
    ]
    whole = cross_entropy(names.background, told["background"]) + cross_entropy(names.relation, told["relation"])
    return (
        whole + cross_entropy(names.centres.flatten(0, 1), told["centres"].flatten()) + torch.stack(columns).sum() / 4
    )


def agreement(real: Sequence[Reading], read: Sequence[Reading]) -> dict[str, Measured]:
    """The share of scenes of which the background is read rightly, of which the relation, and for each column the share
    of the sprites: of two, those in one place are compared, and a sprite that isn't seen is read wrongly."""
    pairs = list(zip(real, read, strict=True))
    both = [pair for one, other in pairs for pair in zip_longest(one.sprites, other.sprites[: len(one.sprites)])]
    whole = {name: [getattr(a, name) == getattr(b, name) for a, b in pairs] for name in ("background", "relation")}
    columns = {name: [b is not None and a[name] == b[name] for a, b in both] for name in real[0].sprites[0]}
    return {name: Measured.share(sum(right), len(right)) for name, right in (whole | columns).items()}


class Reconstructed(NamedTuple):
    """The share that is read rightly on reconstructions, and on their originals."""

    reconstruction: Measured
    original: Measured

    @property
    def ratio(self) -> float:
        """What reconstruction leaves; NaN where originals can't be read."""
        return self.reconstruction.value / self.original.value if self.original.value else math.nan


def compared_by_reconstruction(
    roundtrip: Callable[[Tensor], Tensor], reader: Reads, images: ImageSet
) -> dict[str, Reconstructed]:
    """For background, relation and every column: how much of what is read on scenes is still read after a round trip.

    Args:
        roundtrip: pictures in [-1, 1] → their reconstructions, PART at a time.
        images: scenes, with their attributes.
    """
    x, real = images.pictures(slice(None)), [truth(images.attributes, i) for i in range(len(images))]
    with torch.no_grad():
        again = torch.cat([roundtrip(part) for part in x.split(PART)])
    before, after = (agreement(real, reader.read(pictures)) for pictures in (x, again))
    return {name: Reconstructed(after[name], before[name]) for name in before}
