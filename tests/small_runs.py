"""Small training runs for the tests of training, and what "the same run" means: bit for bit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ddpm_teach as dt
from ddpm_teach.data.images import ImageSet
from tests import laws

STEPS = 5


def make_net(seed: int = 3, **config: object) -> dt.ContextUNet:
    """A tiny ContextUNet for `toy_images`, the same one every time."""
    torch.manual_seed(seed)
    return dt.ContextUNet(**(dict(channels=1, features=8, context_dim=2, size=16, T=20) | config))


def new_run(net: nn.Module | None = None, net_seed: int = 3, **options: object) -> dt.TrainState:
    """A run of STEPS steps on `toy_images` by the strong schedule, the same one every time."""
    chosen = dict(steps=STEPS, batch_size=8, seed=1, precision="float32") | options
    net = make_net(net_seed) if net is None else net
    return dt.TrainState.create(net, laws.strong(dt), dt.RunOptions(**chosen), ("left", "right"))


def advance(state: dt.TrainState, images: ImageSet, until: int | None = None) -> list[float]:
    """Trains up to that step, or to the end; the losses. Nothing at all where that step is done already."""
    losses: list[float] = []
    if state.step == (until := state.options.steps if until is None else until):
        return losses
    for log in dt.train(state, images):
        losses.append(log.loss.item())
        if log.step == until:
            break
    return losses


def tensors_of(value: object, path: str = "") -> dict[str, object]:
    """Every leaf of a nested state, under its path."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in tensors_of(item, f"{path}.{key}").items()}
    if isinstance(value, list | tuple):
        return {k: v for i, item in enumerate(value) for k, v in tensors_of(item, f"{path}.{i}").items()}
    return {path: value.clone() if isinstance(value, Tensor) else value}


def snapshot(state: dt.TrainState) -> dict[str, object]:
    """All that a run is, as leaves that don't change any more."""
    numbers = {"step": state.step, "data": state.data, "options": state.options, "classes": state.classes}
    return tensors_of(state.state_dict()) | numbers


def assert_same(one: dict[str, object], other: dict[str, object]) -> None:
    """Bit for bit: network, BatchNorm's buffers, EMA, Adam's moments, rates, numbers."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        same = torch.equal(value, other[name]) if isinstance(value, Tensor) else value == other[name]
        assert same, name


def assert_same_run(a: dt.TrainState, b: dt.TrainState) -> None:
    one = snapshot(a)
    assert any("exp_avg_sq" in name for name in one) and any("running_mean" in name for name in one)
    assert_same(one, snapshot(b))


class OwnNet(nn.Module):
    """A network as a user may write it: of the course's conventions it has only `image_shape`."""

    image_shape = (1, 16, 16)

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.layers(x)


class SubNet(dt.ContextUNet):
    """A course network with something changed: no file can say what."""
