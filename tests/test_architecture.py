"""The shape of the house: which room may import which, how long its files are, and what a step checks."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import ddpm_teach
from ddpm_teach import checks
from ddpm_teach.diffusion.guidance import guided
from ddpm_teach.diffusion.schedule import linear
from ddpm_teach.diffusion.steps import ddim_step, ddpm_step, dpm_step, heun_step
from ddpm_teach.diffusion.targets import clipped, from_eps
from ddpm_teach.nets import ContextUNet

PACKAGE = Path(ddpm_teach.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")
# From the ground up: a room imports from those before it, and from itself.
FLOORS = [
    {"checks", "storage"},
    {"diffusion", "nets"},  # which know nothing of each other
    {"hardware"},
    {"data"},
    {"model"},
    {"model"},
    {"sampler", "model_files"},
    {"training"},
    {"interop", "evaluation"},
    {"show"},
    {"course"},
    {"cli"},
    {"__main__"},
]
UP = {  # imports inside of a function that point the other way, and why; no others
    ("model.py", "sampler"),  # a model draws by one
    ("model_files.py", "training"),  # load_model opens checkpoints as well
    ("training/pages.py", "show"),  # a run saves pages of samples
}
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    """The room of "ddpm_teach.room.file"; "" for the package itself."""
    return [*module.split("."), ""][1]


def imported(path: Path) -> set[str]:
    """All modules of the package that a file imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide the room"
            modules |= {node.module} if node.module != "ddpm_teach" else {f"ddpm_teach.{a.name}" for a in node.names}
    return {module for module in modules if module.split(".")[0] == "ddpm_teach"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    others = {room_of(module) for module in imported(path)} - {room}
    if room in ("show", "course", "cli"):  # what learners see may name what learners import
        others = {other for other in others if other in HEIGHT}
    upwards = {other for other in others if HEIGHT[other] >= HEIGHT[room]}
    assert upwards <= {other for name, other in UP if name == path.relative_to(PACKAGE).as_posix()}
    if room in ("diffusion", "nets"):
        assert others <= {"checks"}
    if room == "checks":
        assert not others


def test_no_room_is_missing_from_the_plan():
    assert {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES} == HEIGHT.keys()


def test_the_mathematics_is_read_in_one_evening():
    files = (PACKAGE / "diffusion").glob("*.py")
    assert sum(len(path.read_text(encoding="utf8").splitlines()) for path in files) <= 1100


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf8").splitlines()) <= 300


def outermost_checks(call: Callable[[], object]) -> list[str]:
    """The calls into checks.py that `call` makes from elsewhere."""
    home, names = checks.__file__, []

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename == home and frame.f_code.co_name.startswith("check"):
            caller = frame.f_back
            while caller is not None and caller.f_code.co_filename != home:
                caller = caller.f_back
            if caller is None:
                names.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.parametrize(("make", "most"), [(ddim_step, 5), (ddpm_step, 5), (heun_step, 10), (dpm_step, 5)])
@pytest.mark.parametrize("with_guidance", [False, True])
def test_a_step_makes_at_most_five_checks_for_each_call_of_the_network(make, most, with_guidance):
    schedule, net = linear(), ContextUNet(1, 8, 3).eval()
    net = guided(net, torch.eye(3)[:1], 2.0) if with_guidance else net
    step = make(clipped(from_eps(net, schedule), schedule), schedule)
    with torch.no_grad():
        x = step(torch.zeros(2, 1, 16, 16), 520, 500).x  # some do more from a move's end than from a start
        names = outermost_checks(lambda: step(x, 500, 480))
    assert 0 < len(names) <= most, names
