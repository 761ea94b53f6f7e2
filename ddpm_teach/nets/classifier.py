"""A small classifier of clean pictures: the course's judge of samples. Lesson 10."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddpm_teach.nets.inputs import check_size, check_sizes

PARTS = 12  # times the width: the layer that tells parts apart
NEAR = 0.08  # in [-1, 1]: ten levels of a byte, by which a pixel may miss its colour


class PaletteLook(nn.Module):
    """How near every pixel is to each colour of a palette: shares that sum to 1, as of a mixture of normal laws.

    Neighbouring colours of a palette are hard to tell apart for a network that has to find them out by itself.

    Args:
        count: how many colours; the buffer `colors` (count, channels), in [-1, 1], comes with the weights.
    """

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.register_buffer("colors", torch.zeros(count, channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n h w"]:
        slopes, offsets = self.colors / NEAR**2, self.colors.square().sum(1) / (-2 * NEAR**2)
        logits = nn.functional.linear(x.permute(0, 2, 3, 1), slopes, offsets)  # -‖x - color‖² / 2 NEAR², but for ‖x‖²
        return logits.softmax(-1).permute(0, 3, 1, 2)


class Classifier(nn.Module):
    """Two looks at a picture, at its shapes (three halvings) and at how much of each colour it has (single pixels, then
    their mean); then one hidden layer, whose values are the features that metrics compare.

    Attributes are named by a wide layer beside it: which part has which colour is a matter of places, so it looks at
    shapes before their last halving, and at the palette's colours in the same way. Features that knew the palette would
    see nothing but shades that are off by a hair.

    Args:
        channels, size: of the pictures.
        classes: how many.
        width: channels of the first level; the others have 2 and 4 times as many.
        hidden: the number of features.
        columns: for each attribute that it names, too, the number of its words.
        palette: the number of colours that pictures are painted with; 0 where they have no palette. They come
            with the weights; `set_palette` takes them for new ones.
    """

    def __init__(
        self,
        channels: int = 3,
        size: int = 16,
        classes: int = 5,
        width: int = 24,
        columns: tuple[int, ...] = (),
        hidden: int = 64,
        palette: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, classes=classes, width=width, hidden=hidden)
        check_sizes(8, size=size)  # three halvings leave at least a pixel
        self.config = dict(
            channels=channels,
            size=size,
            classes=classes,
            width=width,
            columns=tuple(columns),
            hidden=hidden,
            palette=palette,
        )
        self.shapes = _levels(channels, width)
        self.colors = nn.Sequential(
            *(nn.Conv2d(channels, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, 2 * width, 1), nn.GELU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        last = 4 * width
        self.last = nn.Sequential(nn.MaxPool2d(2), nn.Flatten())
        self.hidden = nn.Sequential(nn.Linear(last * (size // 8) ** 2 + 2 * width, hidden), nn.GELU())
        self.head = nn.Linear(hidden, classes)
        if columns:
            look = [PaletteLook(channels, palette), nn.Conv2d(palette, width, 1)] if palette else []
            self.painted = nn.Sequential(*look, _levels(width if palette else channels, width))
            wide = PARTS * width
            self.parts = nn.Sequential(nn.Linear(2 * last * (size // 4) ** 2, wide), nn.BatchNorm1d(wide), nn.GELU())
            self.attributes = nn.ModuleList(nn.Linear(wide, words) for words in columns)

    def set_palette(self, colors: Float[Tensor, "n c"]) -> None:
        """Takes the colours, in [-1, 1], that pictures are painted with."""
        self.painted[0].colors.copy_(colors)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """The hidden layer's values, for pictures in [-1, 1]."""
        check_size(x, self.image_shape)
        return self._features(x, self.shapes(x))

    def _features(self, x: Tensor, shapes: Tensor) -> Tensor:
        return self.hidden(torch.cat([self.last(shapes), self.colors(x)], 1))

    def judge(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b k"], list[Float[Tensor, "b _"]]]:
        """Logits of the classes, and for every column those of its words, of which the first is none."""
        check_size(x, self.image_shape)
        shapes = self.shapes(x)
        logits = self.head(self._features(x, shapes))
        if not self.config["columns"]:
            return logits, []
        parts = self.parts(torch.cat([shapes, self.painted(x)], 1).flatten(1))
        return logits, [head(parts) for head in self.attributes]

    def words(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """For every column the number of the word that it names, (b,); 0 is none."""
        return [logits.argmax(1) for logits in self.judge(x)[1]]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the classes, for pictures in [-1, 1]."""
        return self.head(self.features(x))


def _levels(channels: int, width: int) -> nn.Sequential:
    """Three levels of shapes, with a halving between two of them."""
    first, second, third = (
        [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.GELU()]
        for a, b in pairwise([channels, width, 2 * width, 4 * width])
    )
    return nn.Sequential(*first, nn.MaxPool2d(2), *second, nn.MaxPool2d(2), *third)
