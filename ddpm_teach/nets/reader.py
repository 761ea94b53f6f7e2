"""A reader of scenes: it names the background, how two sprites stand to each other, and what each of them is.

Lesson 13 measures with it whether a picture shows what its caption asks for.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ddpm_teach.nets.classifier import PaletteLook
from ddpm_teach.nets.inputs import check_size, check_sizes, check_tuple

CELL = 4  # pixels: the width of a cell of the last map, and of the grid on which scenes' sprites stand
WINDOW = 4  # cells: a sprite's canvas
OVERVIEW = 8  # channels in which the whole map is looked at


class Names(NamedTuple):
    """Logits of all that is named of b pictures. Of two sprites the one further left comes first, and the upper one
    where one is above the other.

    Attributes:
        background: (b, backgrounds).
        relation: (b, 3) no second sprite, side by side, one above the other.
        centres: (b, 2, points) at which crossing of the cells' borders each sprite has its centre, row by row.
        words: for every column (b, 2, words), word 0 being none.
    """

    background: Tensor
    relation: Tensor
    centres: Tensor
    words: tuple[Tensor, ...]


class SceneReader(nn.Module):
    """Convolutions down to cells of 4×4 pixels; then it finds the two sprites, and reads each in a window of 4×4 cells
    around its centre, wherever that is.

    Sprites stand on the grid of the cells, so a window shows a sprite alike at any place. Colours are looked up in the
    pictures' palette, as neighbouring ones are hard to tell apart.

    Args:
        channels, size: of the pictures.
        backgrounds: how many.
        columns: for each attribute of a sprite the number of its words, none included.
        width: channels of the first level; the next have 2 and 3 times as many.
        hidden: the width of the layer that a sprite's attributes are named from.
        palette: the number of colours that pictures are painted with. They come with the weights; `set_palette` takes
            them for new ones.
    """

    def __init__(
        self,
        channels: int = 3,
        size: int = 32,
        backgrounds: int = 8,
        columns: tuple[int, ...] = (53, 31),
        width: int = 32,
        hidden: int = 384,
        palette: int = 16,
    ) -> None:
        super().__init__()
        check_sizes(channels=channels, backgrounds=backgrounds, width=width, hidden=hidden, palette=palette)
        check_sizes(CELL, size=size)
        columns = check_tuple("columns", columns, "(words, …)")
        self.config = dict(
            channels=channels,
            size=size,
            backgrounds=backgrounds,
            columns=columns,
            width=width,
            hidden=hidden,
            palette=palette,
        )
        last, cells = 3 * width, size // CELL
        points = (cells + 1) ** 2
        self.look = nn.Sequential(PaletteLook(channels, palette), nn.Conv2d(palette, width, 1))
        self.pixels = nn.Conv2d(channels, width, 3, padding=1)
        self.map = nn.Sequential(
            *(nn.BatchNorm2d(width), nn.GELU()),
            *(*_level(width, width), nn.MaxPool2d(2)),
            *(*_level(width, 2 * width), nn.MaxPool2d(2)),
            *(*_level(2 * width, last), *_level(last, last)),
        )
        self.background = nn.Linear(last, backgrounds)
        self.overview = nn.Sequential(
            *(nn.Conv2d(last, OVERVIEW, 1), nn.Flatten(), nn.Linear(OVERVIEW * cells**2, 4 * width), nn.GELU())
        )
        self.relation = nn.Linear(4 * width, 3)
        self.whose = nn.Linear(4 * width, 2 * points)  # roughly where each is, seen from afar
        self.here = nn.Conv2d(last, 2, 2, padding=1)  # exactly, seen from around the point
        self.sprite = nn.Sequential(nn.Linear(last * WINDOW**2, hidden), nn.LayerNorm(hidden), nn.GELU())
        self.words = nn.Linear(hidden, sum(columns))

    def set_palette(self, colors: Float[Tensor, "n c"]) -> None:
        """Takes the colours, in [-1, 1], that pictures are painted with."""
        self.look[0].colors.copy_(colors)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the pictures."""
        return self.config["channels"], self.config["size"], self.config["size"]

    def cells(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f i j"]:
        """What is seen in each cell of pictures in [-1, 1]."""
        check_size(x, self.image_shape)
        return self.map(self.look(x) + self.pixels(x))

    def features(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """The mean over the cells, which the Fréchet distance compares."""
        return self.cells(x).mean((2, 3))

    def forward(self, x: Float[Tensor, "b c h w"], centres: Tensor | None = None) -> Names:
        """Names what pictures in [-1, 1] show.

        Args:
            centres: (b, 2) where the sprites are, while the reader learns; where it finds them itself unless given.
        """
        cells = self.cells(x)
        seen = self.overview(cells)
        where = self.whose(seen).unflatten(1, (2, -1)) + self.here(cells).flatten(2)  # (b, 2, points)
        sprites = self.sprite(_windows(cells, where.argmax(2) if centres is None else centres))
        words = self.words(sprites).split(self.config["columns"], dim=2)
        return Names(self.background(cells.mean((2, 3))), self.relation(seen), where, words)


def centres_of(boxes: Tensor, size: int = 32) -> Tensor:
    """The crossing of cells' borders that is nearest to the centre of each box (top, left, bottom, right), row by row:
    (n, k) of boxes (n, k, 4) in pixels of pictures of size × size."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / (2 * CELL)
    row, column = middle.round().long().unbind(-1)
    return row * (size // CELL + 1) + column


def _level(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.GELU()]


def _windows(cells: Float[Tensor, "b f i j"], points: Int[Tensor, "b s"]) -> Float[Tensor, "b s d"]:
    """The WINDOW × WINDOW cells around each point; zeros beyond the picture."""
    half, side = WINDOW // 2, cells.shape[-1] + 1
    padded = nn.functional.pad(cells, (half,) * 4)
    offsets = torch.arange(WINDOW, device=cells.device)
    rows, columns = ((corner[..., None] + offsets) for corner in (points // side, points % side))  # (b, s, WINDOW)
    batch = torch.arange(len(cells), device=cells.device)[:, None, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[..., :, None], columns[..., None, :]].flatten(2)  # b s (i j f)
