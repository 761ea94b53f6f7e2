"""What may be recorded as a CUDA graph, and the bookkeeping around a recording, with a stand-in for the graph itself.

test_gpu.py has what only a CUDA device can show.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from ddpm_teach.hardware import cuda_graphs as graphs
from ddpm_teach.hardware.precision import Evaluated, tuned
from ddpm_teach.nets import AttentionUNet, Classifier, ContextUNet, LayerNormUNet, TextUNet

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
        return graphs._Recording(made[-1], [arg for arg in static if arg is not None], made[-1].result)

    monkeypatch.setattr(graphs, "_record", record)
    return made


@pytest.mark.parametrize("build", [LayerNormUNet, AttentionUNet, lambda: TextUNet(9), lambda: Classifier(1, 28, 10)])
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


def convolutions(net):
    return (module for module in net.modules() if type(module) is nn.Conv2d)


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.register_forward_hook(hook),
        lambda net: net.register_forward_pre_hook(hook),
        lambda net: net.register_full_backward_hook(hook),
        lambda net: next(iter(net.children())).register_forward_hook(hook),
        lambda net: net.add_module("own", OwnLayer()),
        lambda net: setattr(net, "forward", lambda *args: args[0]),
        lambda net: net.compile(backend="eager"),
        lambda net: next(net.parameters()).register_hook(hook),
        lambda net: next(net.parameters()).register_post_accumulate_grad_hook(hook),
        lambda net: parametrize.register_parametrization(next(convolutions(net)), "weight", nn.Identity()),
    ],
    ids=[
        "forward hook",
        "pre-hook",
        "backward hook",
        "a layer's hook",
        "own layer",
        "own forward",
        "compiled",
        "a weight's hook",
        "a gradient's hook",
        "parametrized",
    ],
)
def test_what_does_more_than_compute_is_not_recorded(net, change):
    assert graphs.can_be_recorded(net, CUDA)
    change(net)
    assert not graphs.can_be_recorded(net, CUDA)


def test_a_hook_on_all_modules_stops_recording_until_it_is_removed(net):
    handle = nn.modules.module.register_module_forward_hook(hook)
    try:
        assert not graphs.can_be_recorded(net, CUDA)
    finally:
        handle.remove()
    assert graphs.can_be_recorded(net, CUDA)


def test_own_networks_wrappers_and_functions_are_not_recorded(net):
    assert not graphs.can_be_recorded(OwnNet(features=8), CUDA)
    assert not graphs.can_be_recorded(torch.compile(net, backend="eager"), CUDA)
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


def test_only_the_signatures_used_last_keep_a_recording(recordings, monkeypatch):
    monkeypatch.setattr(graphs, "SIGNATURES", 2)
    replay = graphs.recorded(lambda x: 2 * x)

    def run(n):
        """Whether the call with n numbers recorded."""
        before = len(recordings)
        assert torch.equal(replay(torch.ones(n)), torch.full((n,), 2.0))
        return len(recordings) > before

    assert [run(n) for n in (1, 1, 2, 2)] == [False, True, False, True]
    assert not run(1)
    run(3)  # now 2 has been unused for longest
    assert [run(n) for n in (1, 2, 2)] == [False, False, True]


def test_a_recording_that_is_dropped_frees_its_memory(monkeypatch):
    dropped = []

    class Graph(FakeGraph):
        def __del__(self):
            dropped.append(len(self.static[0]))

    def record(run, args):
        return graphs._Recording(graph := Graph(run, list(args), run(*args)), list(args), graph.result)

    monkeypatch.setattr(graphs, "_record", record)
    monkeypatch.setattr(graphs, "SIGNATURES", 2)
    replay = graphs.recorded(lambda x: 2 * x)
    for n in (1, 2, 3, 4):
        replay(torch.ones(n)), replay(torch.ones(n))
    assert dropped == [1, 2]
    del replay
    assert dropped == [1, 2, 3, 4]


class Regression(nn.Module):
    """A step on one weight and one buffer. As a graph does, a replay runs none of its Python: it reads and writes where
    the recording did."""

    def __init__(self):
        super().__init__()
        self.weight, self.recordings, self.schedule = nn.Parameter(torch.ones(2)), 0, object()
        self.register_buffer("offset", torch.zeros(2))
        self.recordable = True

    def step(self, x):
        self.weight.grad = x * self.weight.detach() + self.offset
        return self.weight.grad.sum()

    def record(self, run, args):
        static = [arg.clone() for arg in args]
        result, self.recordings = run(*static), self.recordings + 1
        x, weight, offset, gradient = static[0], self.weight.detach(), self.offset, self.weight.grad

        class Graph:
            replay = staticmethod(lambda: result[0].copy_(gradient.copy_(x * weight + offset).sum()))

        return graphs._Recording(Graph, static, result)

    def recorded(self):
        return graphs.recorded_step(self.step, self, CUDA, lambda: self.schedule)


@pytest.fixture
def model(monkeypatch):
    model = Regression()
    monkeypatch.setattr(graphs, "_record", model.record)
    monkeypatch.setattr(graphs, "can_be_recorded", lambda net, device: net.recordable)
    return model


@pytest.mark.parametrize("between", [lambda w: setattr(w, "grad", None), lambda w: setattr(w, "grad", torch.zeros(2))])
def test_what_a_caller_does_to_gradients_between_two_steps_changes_nothing(model, between):
    run = model.recorded()
    for k in range(8):
        run(torch.full((2,), float(k)))
        assert torch.equal(model.weight.grad, torch.full((2,), float(k)))
        between(model.weight)
    assert model.recordings == 1


def test_each_batch_size_has_gradients_of_its_own(model):
    run = model.recorded()
    for k in range(8):
        for n in (2, 1):  # a batch of one number, which both weights share
            assert run(torch.full((n,), float(k + n))) == 2 * (k + n)
            assert model.weight.grad.tolist() == [k + n, k + n]
    assert model.recordings == 2


def five_steps(model, run):
    """How many recordings there are after five steps, and the gradient."""
    for _ in range(5):
        run(torch.ones(2))
    return model.recordings, model.weight.grad.tolist()


CHANGES = {
    "a weight that has moved, as .to() does": (lambda m: setattr(m.weight, "data", torch.full((2,), 3.0)), [3.0, 3.0]),
    "a frozen weight": (lambda m: m.weight.requires_grad_(False), [1.0, 1.0]),
    "another weight": (lambda m: setattr(m, "weight", nn.Parameter(torch.full((2,), 3.0))), [3.0, 3.0]),
    "another buffer": (lambda m: setattr(m, "offset", torch.ones(2)), [2.0, 2.0]),
    "another schedule": (lambda m: setattr(m, "schedule", object()), [1.0, 1.0]),
    "another mode": (lambda m: m.eval(), [1.0, 1.0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_step_is_recorded_anew_for(model, change):
    alter, gradient = CHANGES[change]
    run = model.recorded()
    assert five_steps(model, run) == (1, [1.0, 1.0])
    assert five_steps(model, run) == (1, [1.0, 1.0])
    alter(model)
    assert five_steps(model, run) == (2, gradient)
    assert five_steps(model, run) == (2, gradient)


def test_what_is_changed_in_place_needs_no_other_recording(model):
    run = model.recorded()
    five_steps(model, run)
    with torch.no_grad():
        model.weight.fill_(4.0), model.offset.fill_(1.0)
    assert five_steps(model, run) == (1, [5.0, 5.0])


def test_a_step_that_can_be_recorded_no_more_runs_as_it_is_and_later_is_recorded_again(model):
    run = model.recorded()
    assert five_steps(model, run)[0] == 1
    model.recordable = False  # as a hook makes it
    model.offset = torch.ones(2)
    assert five_steps(model, run) == (1, [2.0, 2.0])
    model.recordable = True
    assert five_steps(model, run) == (2, [2.0, 2.0])


def test_a_step_that_cannot_be_recorded_at_first_just_runs(model):
    model.recordable = False
    assert five_steps(model, model.recorded()) == (0, [1.0, 1.0])


def test_watched_objects_are_compared_by_identity_and_kept(model):
    """An equal schedule may have its tables elsewhere, and one that is gone could lend its id to the next."""
    model.schedule = []
    run = model.recorded()
    five_steps(model, run)
    model.schedule = []
    assert five_steps(model, run)[0] == 2
    model.schedule = (model.schedule, "target")
    five_steps(model, run)
    model.schedule = (model.schedule[0], "target")
    assert five_steps(model, run)[0] == 3


def test_float32_is_the_off_switch_also_on_a_cuda_device(net):
    exact = tuned(net, CUDA, "float32")
    assert type(exact) is Evaluated and exact.wraps is net


def test_a_gpu_of_another_kind_without_bfloat16_gets_the_network_itself(net):
    assert tuned(net, torch.device("mps")).wraps is net
    assert type(tuned(net, torch.device("mps"))) is Evaluated
