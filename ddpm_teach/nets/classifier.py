"""A small classifier of clean pictures: the course's judge of samples. Lesson 08."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddpm_teach.nets.inputs import check_size, check_sizes

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
        pixels = x.permute(0, 2, 3, 1)
        logits = (pixels @ self.colors.T - self.colors.square().sum(1) / 2) / NEAR**2  # -‖x - color‖² / 2, but for ‖x‖²
        return logits.softmax(-1).permute(0, 3, 1, 2)


class Classifier(nn.Module):
    """Two looks at a picture, at its shapes (two halvings) and at how much of each colour it has (single pixels, then
    their mean); then one hidden layer, whose values are the features that metrics compare.

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
        self.look = nn.Sequential(PaletteLook(channels, palette), nn.Conv2d(palette, width, 1)) if palette else None
        seen = width if palette else channels
        levels = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.GELU())
            for a, b in pairwise([seen, width, 2 * width, 4 * width])
        ]
        self.halve = nn.MaxPool2d(2)
        self.shapes = nn.Sequential(levels[0], self.halve, levels[1], self.halve, levels[2])
        self.colors = nn.Sequential(
            *(nn.Conv2d(seen, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, 2 * width, 1), nn.GELU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        grid, mean = 4 * width, 2 * width
        self.hidden = nn.Sequential(nn.Linear(grid * (size // 8) ** 2 + mean, hidden), nn.GELU())
        self.head = nn.Linear(hidden, classes)
        # Which part has which colour is a matter of places: a finer grid, and a layer of its own, wide enough for all.
        parts = 12 * width if columns else 0
        self.parts = nn.Sequential(
            *(nn.Linear(grid * (size // 4) ** 2 + mean, parts), nn.BatchNorm1d(parts), nn.GELU()) if columns else ()
        )
        self.attributes = nn.ModuleList(nn.Linear(parts, words) for words in columns)

    def set_palette(self, colors: Float[Tensor, "n c"]) -> None:
        """Takes the colours, in [-1, 1], that pictures are painted with."""
        self.look[0].colors.copy_(colors)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    def trunk(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b k h w"], Float[Tensor, "b d"]]:
        """Both looks at pictures in [-1, 1]: shapes on a grid, and colours."""
        check_size(x, self.image_shape)
        seen = x if self.look is None else self.look(x)
        return self.shapes(seen), self.colors(seen)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """The hidden layer's values, for pictures in [-1, 1]."""
        return self.seen_as(*self.trunk(x))

    def seen_as(self, shapes: Tensor, colors: Tensor) -> Float[Tensor, "b f"]:
        """The hidden layer's values, of a trunk."""
        return self.hidden(torch.cat([self.halve(shapes).flatten(1), colors], 1))

    def named(self, shapes: Tensor, colors: Tensor) -> list[Float[Tensor, "b w"]]:
        """For every column the logits of its words, of a trunk."""
        parts = self.parts(torch.cat([shapes.flatten(1), colors], 1))
        return [head(parts) for head in self.attributes]

    def words(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """For every column the number of the word that it names, (b,); 0 is none."""
        return [logits.argmax(1) for logits in self.named(*self.trunk(x))]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the classes, for pictures in [-1, 1]."""
        return self.head(self.features(x))
