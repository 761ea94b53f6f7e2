"""Helpers of the tests: small exact worlds in which the right answer is known in closed form."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from torch import Tensor, nn

import ddpm_teach
from ddpm_teach.data.images import ImageSet
from ddpm_teach.diffusion.schedule import Schedule
from tests import laws

# The same examples in every run, and no clock: these machines are shared.
hypothesis.settings.register_profile("ddpm_teach", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ddpm_teach")

# The shape checks would answer before the package does; test_package.py runs these files without them.
WITHOUT_CHECKS = ["test_messages.py", "test_compile.py", "test_options.py"]
collect_ignore = [] if os.environ.get("DDPM_TEACH_SHAPE_CHECKS") == "off" else WITHOUT_CHECKS


@pytest.fixture(scope="session")
def redrawn_sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a fresh sprites.npz (without compression), drawn by the script with seed 0."""
    folder = Path(__file__).parents[1] / "data" / "sprites"
    path = tmp_path_factory.mktemp("redrawn") / "sprites.npz"
    code = "import sys, numpy, make_sprites; numpy.savez(sys.argv[1], **make_sprites.make(0))"
    env = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code, str(path)], env=env, check=True)
    return path


@pytest.fixture(autouse=True)
def _fixed_global_generator() -> None:
    """Every test draws the same numbers, alone or in company."""
    torch.manual_seed(0)


class CountingNet:
    """A network that notes its calls: (x, t, c) of each one. Its answer is `answer(x, t, c)`."""

    def __init__(self, answer: Callable[..., Tensor] | None = None) -> None:
        self.answer = answer or (lambda x, t, c: torch.zeros_like(x))
        self.calls: list[tuple[Tensor, Tensor, Tensor | None]] = []

    def __call__(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        self.calls.append((x, t, c))
        return self.answer(x, t, c)


@pytest.fixture
def counting() -> type[CountingNet]:
    return CountingNet


class ToyNet(nn.Module):
    """A module with the parts that behave differently in training: dropout and BatchNorm."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.norm = nn.BatchNorm2d(1)
        self.drop = nn.Dropout(0.5)
        self.modes: list[bool] = []
        self.fails_at = fails_at

    def forward(self, x: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        if len(self.modes) == self.fails_at:
            raise RuntimeError("the planted failure")
        self.modes.append(self.training)
        return torch.tanh(self.drop(self.norm(self.conv(x)))) + (t.to(x.dtype) / 1000).reshape(-1, 1, 1, 1)


@pytest.fixture
def toy_net() -> type[ToyNet]:
    return ToyNet


@pytest.fixture
def untouched() -> Callable[[], contextlib.AbstractContextManager]:
    """`with untouched():` fails if the global generator is drawn from or seeded inside."""

    @contextlib.contextmanager
    def guard() -> Iterator[None]:
        before = torch.get_rng_state()
        yield
        assert torch.equal(torch.get_rng_state(), before), "the global generator was used"

    return guard


@pytest.fixture
def toy_images() -> ImageSet:
    """Two classes, 16×16, one channel: 0 is dark on the left, 1 is dark on the right, each with some noise."""
    rng = torch.Generator().manual_seed(5)
    labels = torch.arange(24) % 2
    images = torch.randint(180, 256, (24, 1, 16, 16), generator=rng)
    images[labels == 0, :, :, :8] -= 150
    images[labels == 1, :, :, 8:] -= 150
    return ImageSet(images.to(torch.uint8), labels, ("left", "right"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refuses every connection at once, as a machine without network does. The list notes the attempts."""
    import socket
    import urllib.error
    import urllib.request

    attempts: list[str] = []

    def refuse(*args: object, **options: object) -> None:
        attempts.append(str(args[:1]))
        raise urllib.error.URLError("the tests have no network")

    def refuse_socket(*args: object, **options: object) -> None:
        attempts.append(str(args[1:2]))
        raise OSError("the tests have no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(urllib.request, "urlretrieve", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse_socket)
    monkeypatch.setattr(socket, "create_connection", refuse_socket)
    return attempts


@pytest.fixture
def strong() -> Schedule:
    """Twenty big steps, so that every mistake in a coefficient is big as well; ᾱ_20 = 0.0002."""
    return laws.strong(ddpm_teach)


@pytest.fixture
def smooth_net() -> Callable[..., Tensor]:
    """A smooth, deterministic stand-in for a network, different at every time and pixel."""
    return laws.smooth_net
