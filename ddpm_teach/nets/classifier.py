"""A small classifier of clean pictures: the course's judge of samples. Lesson 08."""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddpm_teach.nets.inputs import check_size, check_sizes


class Classifier(nn.Module):
    """Two looks at a picture, at its shapes (three halvings) and at how much of each colour it has (single pixels, then
    their mean); then one hidden layer, whose values are the features that metrics compare.

    Args:
        channels, size: of the pictures.
        classes: how many.
        width: channels of the first level; the others have 2 and 4 times as many.
        hidden: the number of features.
        columns: for each attribute that it names, too, the number of its words.
    """

    def __init__(
        self,
        channels: int = 3,
        size: int = 16,
        classes: int = 5,
        width: int = 24,
        columns: tuple[int, ...] = (),
        hidden: int = 64,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, classes=classes, width=width, hidden=hidden)
        check_sizes(8, size=size)  # three halvings leave at least a pixel
        self.config = dict(
            channels=channels, size=size, classes=classes, width=width, columns=tuple(columns), hidden=hidden
        )
        widths = [channels, width, 2 * width, 4 * width]
        levels = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.GELU(), nn.MaxPool2d(2))
            for a, b in pairwise(widths)
        ]
        self.shapes = nn.Sequential(*levels, nn.Flatten())
        self.colors = nn.Sequential(
            *(nn.Conv2d(channels, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, 2 * width, 1), nn.GELU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        trunk = 4 * width * (size // 8) ** 2 + 2 * width
        self.hidden = nn.Sequential(nn.Linear(trunk, hidden), nn.GELU())
        self.head = nn.Linear(hidden, classes)
        # From before the hidden layer: so many words don't fit through it.
        self.attributes = nn.ModuleList(nn.Linear(trunk, words) for words in columns)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    def trunk(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Both looks at pictures in [-1, 1]."""
        check_size(x, self.image_shape)
        return torch.cat([self.shapes(x), self.colors(x)], 1)

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """The hidden layer's values, for pictures in [-1, 1]."""
        return self.hidden(self.trunk(x))

    def words(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """For every column the number of the word that it names, (b,); 0 is none."""
        trunk = self.trunk(x)
        return [head(trunk).argmax(1) for head in self.attributes]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the classes, for pictures in [-1, 1]."""
        return self.head(self.features(x))
