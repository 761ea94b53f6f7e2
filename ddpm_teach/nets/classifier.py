"""A small classifier of clean pictures: the course's judge of samples. Lesson 08."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from ddpm_teach.nets.inputs import check_size, check_sizes


class Classifier(nn.Module):
    """Three halvings, a mean over the picture, one hidden layer whose values are the features that metrics compare.

    Args:
        channels, size: of the pictures.
        classes: how many.
        width: channels of the first level; the others have 2 and 4 times as many.
    """

    def __init__(self, channels: int = 3, size: int = 16, classes: int = 5, width: int = 24) -> None:
        super().__init__()
        check_sizes(channels=channels, classes=classes, width=width)
        check_sizes(8, size=size)  # three halvings leave at least a pixel
        self.config = dict(channels=channels, size=size, classes=classes, width=width)
        widths = [channels, width, 2 * width, 4 * width]
        levels = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.GELU(), nn.MaxPool2d(2))
            for a, b in pairwise(widths)
        ]
        self.body = nn.Sequential(*levels, nn.Flatten(), nn.Linear(4 * width * (size // 8) ** 2, 64), nn.GELU())
        self.head = nn.Linear(64, classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 64"]:
        """The hidden layer's values, for pictures in [-1, 1]."""
        check_size(x, self.image_shape)
        return self.body(x)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Logits of the classes, for pictures in [-1, 1]."""
        return self.head(self.features(x))
