"""Where nouns look: networks of which it is known, and one that has learned nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import ddpm_teach as dt
from ddpm_teach.data.scenes import load_scenes, records, scene_boxes
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.evaluation.maps import mass_inside, nouns_in_boxes


def test_mass_inside_a_box():
    flat = torch.ones(1, 2, 8, 8)
    boxes = torch.tensor([[[0, 0, 16, 32], [4, 4, 8, 12]]])
    assert torch.allclose(mass_inside(flat, boxes), torch.tensor([[0.5, 2 / 64]]))
    assert torch.allclose(mass_inside(torch.ones(1, 2, 16, 16), boxes), torch.tensor([[0.5, 2 / 64]]))
    spot = torch.zeros(1, 2, 8, 8)
    spot[:, :, 2, 3] = 5.0  # rows 8…11, columns 12…15
    half = torch.tensor([[[8, 12, 12, 14], [12, 0, 32, 32]]])
    assert torch.allclose(mass_inside(spot, half), torch.tensor([[0.5, 0.0]]))
    with pytest.raises(ValueError, match="maps: "):
        mass_inside(torch.zeros(1, 2, 8, 8), boxes)
    with pytest.raises(ValueError, match="boxes: "):
        mass_inside(flat, torch.full((1, 2, 4), -1))


class Looking(dt.CrossAttention):
    """Every noun lights its sprite's box in the scene whose caption it is told; or all words light everything."""

    def __init__(self, n: int, seeing: bool) -> None:
        super().__init__(4, 4, 1)
        scenes, self.tokenizer = load_scenes("test", n), Tokenizer()
        self.seeing, self.attributes, self.boxes = seeing, scenes.attributes, scene_boxes("test", n)
        captions = scenes.attributes["caption"].tolist()
        self.scene = {tuple(row): i for i, row in enumerate(self.tokenizer.encode(captions).tolist())}

    def forward(self, ids: Tensor) -> Tensor:
        return ids

    def weights(self, ids: Tensor) -> Tensor:
        if not self.seeing:
            return torch.ones(len(ids), 57, 32, 32)
        maps = torch.zeros(len(ids), 57, 32, 32)
        for row, light in zip(ids.tolist(), maps, strict=True):
            i, said = self.scene[tuple(row)], self.tokenizer.decode(row)
            for record, (top, left, bottom, right) in zip(records(self.attributes, i), self.boxes[i], strict=False):
                for k, word in enumerate(said, 1):
                    light[k, top:bottom, left:right] += word == record["kind"].split()[-1]
        return maps


class Lookers(torch.nn.Module):
    """A network that does nothing but look at words."""

    image_shape, context_dim, T, vocabulary = (3, 32, 32), (56,), 1000, Tokenizer().size

    def __init__(self, looking: Looking) -> None:
        super().__init__()
        self.looking = looking

    def forward(self, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        self.looking(c)
        return torch.zeros_like(x)


def test_nouns_that_light_their_sprites_and_nouns_that_light_everything():
    n = 20
    sees, deaf = (
        nouns_in_boxes(dt.Model(Lookers(Looking(4 * n, seeing)), dt.linear(), tokenizer=Tokenizer()), n, size=8)
        for seeing in (True, False)
    )
    assert sees.n == deaf.n == n and sees.share.value == pytest.approx(1) and sees.floor.value < 0.7
    assert deaf.share == pytest.approx(deaf.floor) and 0.05 < deaf.share.value < 0.3, "the boxes' share of the scene"
    assert {"value", "error", "ceiling", "floor", "n"} == sees.record().keys()


def test_a_network_that_has_learned_nothing_looks_nowhere():
    net = dt.TextUNet(Tokenizer().size, channels=3, size=32, patch=4, widths=(8, 8), text_width=8, groups=4)
    drawn = nouns_in_boxes(dt.Model(net, dt.linear(), tokenizer=Tokenizer()), 40)
    assert abs(drawn.share.value - drawn.floor.value) < 5 * drawn.share.error
