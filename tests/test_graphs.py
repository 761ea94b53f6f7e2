"""What may be recorded as a CUDA graph, and the bookkeeping around a recording, with a stand-in for the graph itself.

test_gpu.py has what only a CUDA device can show.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ddpm_teach import ContextUNet, devices, graphs
from ddpm_teach.nets import AttentionUNet, Classifier, LayerNormUNet

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(scope="module")
def small():
    return ContextUNet(features=8)


@pytest.fixture
def net(small):
    return copy.deepcopy(small)


class FakeGraph:
    """Replaying it runs what was recorded, on what is in its place then."""

    def __init__(self, run, static, result):
        self.run, self.static, self.result = run, static, result

    def replay(self):
        self.result.copy_(self.run(*self.static))


@pytest.fixture
def recordings(monkeypatch):
    made = []

    def record(run, args):
        static = [None if arg is None else arg.clone() for arg in args]
        made.append(FakeGraph(run, static, run(*static)))
        return made[-1], [arg for arg in static if arg is not None], made[-1].result

    monkeypatch.setattr(graphs, "_record", record)
    return made


@pytest.mark.parametrize("build", [LayerNormUNet, AttentionUNet, lambda: Classifier(1, 28, 10)])
def test_the_networks_of_the_course_are_recorded_on_a_cuda_device_only(build):
    with torch.device("meta"):
        net = build()
    assert graphs.can_be_recorded(net, CUDA)
    assert not graphs.can_be_recorded(net, CPU) and not graphs.can_be_recorded(net, torch.device("mps"))


class OwnLayer(nn.Module):
    def forward(self, x):
        return x


class OwnNet(ContextUNet):
    pass


def hook(*_):
    return None


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.register_forward_hook(hook),
        lambda net: net.register_forward_pre_hook(hook),
        lambda net: net.register_full_backward_hook(hook),
        lambda net: next(iter(net.children())).register_forward_hook(hook),
        lambda net: net.add_module("own", OwnLayer()),
        lambda net: setattr(net, "forward", lambda *args: args[0]),
    ],
    ids=["forward hook", "pre-hook", "backward hook", "a layer's hook", "own layer", "own forward"],
)
def test_what_does_more_than_compute_is_not_recorded(net, change):
    assert graphs.can_be_recorded(net, CUDA)
    change(net)
    assert not graphs.can_be_recorded(net, CUDA)


def test_own_networks_wrappers_and_functions_are_not_recorded(net):
    assert not graphs.can_be_recorded(OwnNet(features=8), CUDA)
    assert not graphs.can_be_recorded(torch.optim.swa_utils.AveragedModel(net), CUDA)
    assert not graphs.can_be_recorded(lambda x, t: x, CUDA)


def test_each_signature_is_warmed_up_recorded_once_and_replayed(recordings):
    calls = []

    def run(x, c=None):
        calls.append(len(x))
        return 2 * x if c is None else x + c

    replay = graphs.recorded(run, warm=2)
    results = [replay(torch.full((n,), float(k))) for k in range(5) for n in (3, 4)]
    assert len(recordings) == 2
    for k, result in enumerate(results):  # each a tensor of its own: no later replay wrote over it
        assert torch.equal(result, torch.full_like(result, 2.0 * (k // 2)))
    replay(torch.ones(3), torch.ones(3))
    replay(torch.ones(3).double())
    replay(torch.ones(3), None)
    assert len(recordings) == 2, "another number, dtype or kind of arguments is another signature"


def test_a_call_that_fails_does_not_count_as_warming_up(recordings):
    bad = [True]

    def run(x):
        if bad:
            bad.pop()
            raise ValueError("no")
        return x

    replay = graphs.recorded(run)
    with pytest.raises(ValueError):
        replay(torch.ones(1))
    replay(torch.ones(1))
    assert not recordings
    replay(torch.ones(1))
    assert len(recordings) == 1


def test_what_cannot_be_recorded_runs_on_after_a_warning(monkeypatch):
    def fail(run, args):
        raise torch.OutOfMemoryError("no room for a graph")

    monkeypatch.setattr(graphs, "_record", fail)
    replay = graphs.recorded(lambda x: 2 * x)
    replay(torch.ones(2))
    with pytest.warns(UserWarning, match="no room for a graph"):
        assert torch.equal(replay(torch.ones(2)), torch.full((2,), 2.0))
    assert torch.equal(replay(torch.ones(2)), torch.full((2,), 2.0)), "and warns no second time"


class Regression:
    """A step on one weight. As a graph does, a replay runs none of its Python: it reads and writes where the recording
    did."""

    def __init__(self):
        self.weight, self.recordings = nn.Parameter(torch.ones(2)), 0

    def step(self, x):
        self.weight.grad = x * self.weight.detach()
        return self.weight.grad.sum()

    def record(self, run, args):
        static = [arg.clone() for arg in args]
        result, self.recordings = run(*static), self.recordings + 1
        weight, gradient = self.weight.detach(), self.weight.grad
        self.replay = lambda: result.copy_(torch.mul(static[0], weight, out=gradient).sum())
        return self, static, result


@pytest.fixture
def model(monkeypatch):
    model = Regression()
    monkeypatch.setattr(graphs, "_record", model.record)
    return model


@pytest.mark.parametrize("between", [lambda w: setattr(w, "grad", None), lambda w: setattr(w, "grad", torch.zeros(2))])
def test_what_a_caller_does_to_gradients_between_two_steps_changes_nothing(model, between):
    run = graphs.recorded_step(model.step, [model.weight])
    for k in range(8):
        run(torch.full((2,), float(k)))
        assert torch.equal(model.weight.grad, torch.full((2,), float(k)))
        between(model.weight)
    assert model.recordings == 1


def test_weights_that_have_moved_or_are_frozen_are_recorded_anew(model):
    run = graphs.recorded_step(model.step, [model.weight])

    def five_steps():
        for _ in range(5):
            run(torch.ones(2))
        return model.recordings, model.weight.grad.tolist()

    assert five_steps() == (1, [1.0, 1.0])
    model.weight.data = torch.full((2,), 3.0)  # as .to() does
    assert five_steps() == (2, [3.0, 3.0])
    model.weight.requires_grad_(False)
    assert five_steps() == (3, [3.0, 3.0])


def test_float32_is_the_off_switch_also_on_a_cuda_device(net):
    step = lambda x: x  # noqa: E731
    assert devices.tuned(net, CUDA, "float32") is net
    assert devices.tuned_step(step, net, CUDA, "float32") is step
    assert devices.tuned_step(step, net, CPU) is step
    assert devices.tuned_step(step, net, CUDA) is not step


def test_a_gpu_of_another_kind_without_bfloat16_gets_the_network_itself(net):
    assert devices.tuned(net, torch.device("mps")) is net
