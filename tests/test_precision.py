"""What a device computes in: chosen by what the hardware has or gains, and said in one line."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from ddpm_teach.hardware import precision
from ddpm_teach.hardware.precision import Evaluated, InPrecision, Tuned, compute_dtype, describe, tuned
from ddpm_teach.nets import AttentionUNet, ContextUNet, LayerNormUNet, TextUNet, random_contexts

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))
AMX, AVX512 = "_is_amx_tile_supported", "_is_avx512_bf16_supported"


@pytest.fixture
def machine(monkeypatch):
    """machine(gain, *claims): a machine whose processor claims these and gains so much; its probes are counted."""
    probes = []

    def make(gain: float, *claims: str) -> list[float]:
        monkeypatch.setattr(precision, "_claims", lambda question: question in claims)
        monkeypatch.setattr(precision, "bfloat16_gain", lambda: probes.append(gain) or gain)
        precision.choose.cache_clear()
        return probes

    yield make
    monkeypatch.undo()
    precision.choose.cache_clear()


@pytest.mark.parametrize(
    ("claims", "gain", "dtype", "reason", "probes"),
    [
        ((), 9.0, "float32", "no bfloat16 units", 0),
        ((AMX, AVX512), 0.1, "bfloat16", "in hardware", 0),
        ((AVX512,), 1.9, "bfloat16", "tried: .* 1.9 times as fast", 1),
        ((AVX512,), 1.02, "float32", "tried: .* 1 times as fast", 1),  # attention gains less than what is tried
        ((AVX512,), 0.46, "float32", "tried: .* 0.46 times as fast", 1),
    ],
    ids=["no units", "matrix units", "vector units that gain", "vector units that hardly gain", "slow vector units"],
)
def test_auto_on_a_cpu(machine, claims, gain, dtype, reason, probes):
    tries = machine(gain, *claims)
    for _ in range(3):
        assert compute_dtype(CPU, "auto") == getattr(torch, dtype)
        assert dtype in describe(CPU)
    assert len(tries) == probes, "tried once per process, and only where the name doesn't tell"
    assert re.search(reason, describe(CPU))


def test_a_precision_that_is_asked_for_is_taken_without_a_trial(machine):
    tries = machine(0.1, AVX512)
    assert compute_dtype(CPU, "bfloat16") == torch.bfloat16 and compute_dtype(CPU, "float32") == torch.float32
    assert "bfloat16 on cpu (as asked for)" in describe(CPU, "bfloat16")
    assert not tries


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_auto_on_a_gpu_goes_by_its_generation(machine, monkeypatch, capability, dtype):
    tries = machine(0.1, AVX512)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert dtype in describe(CUDA) and "CUDA graphs" in describe(CUDA)
    assert "CUDA graphs" not in describe(CUDA, "float32")
    assert not tries


def test_other_devices_compute_in_float32(machine):
    machine(9.0, AMX, AVX512)
    assert compute_dtype(MPS, "auto") == torch.float32


@pytest.mark.parametrize("precision", ["float16", "", "half"])
def test_an_unknown_precision_is_refused(precision):
    for ask in (compute_dtype, describe):
        with pytest.raises(ValueError, match="precision: expected one of auto, float32, bfloat16"):
            ask(CPU, precision)


SURROUNDINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "default device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_the_trial_measures_and_leaves_no_trace_within(name, untouched):
    threads = torch.get_num_threads()
    with SURROUNDINGS[name](), untouched():
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert 0.01 < precision.bfloat16_gain() < 100
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == modes
    assert torch.get_num_threads() == threads


def test_the_trial_measures_float32_also_where_the_default_is_another_dtype(monkeypatch):
    seen, conv2d = set(), torch.nn.functional.conv2d
    monkeypatch.setattr(precision.F, "conv2d", lambda x, w, **o: seen.add(w.dtype) or conv2d(x, w, **o))
    torch.set_default_dtype(torch.float64)
    try:
        precision.bfloat16_gain()
    finally:
        torch.set_default_dtype(torch.float32)
    assert seen == {torch.float32}


def test_the_trial_is_short_and_puts_the_threads_back_after_an_error(monkeypatch):
    threads, calls = torch.get_num_threads(), []

    def fail(*args, **options):
        calls.append(torch.get_num_threads())
        raise RuntimeError("the planted failure")

    monkeypatch.setattr(precision.F, "conv2d", fail)
    with pytest.raises(RuntimeError, match="planted"):
        precision.bfloat16_gain()
    assert calls == [1] and torch.get_num_threads() == threads


BUILD = {
    "context": lambda: ContextUNet(1, 8, 3),
    "layernorm": lambda: LayerNormUNet((1, 12, 12)),
    "attention": lambda: AttentionUNet(1, (8, 16, 16, 16, 24, 24), groups=8, heads=2, size=16, context_dim=3),
    "words": lambda: TextUNet(9, 5, 2, widths=(8, 16), text_width=8, groups=4, heads=2),
}


def arguments(net, dtype=torch.float32):
    x = torch.randn(2, *net.image_shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    context = random_contexts(net, 2, torch.Generator().manual_seed(2))
    c = [] if context is None else [context.to(dtype) if context.is_floating_point() else context]
    return x, torch.tensor([3, 700]), *c


@pytest.fixture(params=BUILD)
def net(request):
    net = BUILD[request.param]()
    for parameter in net.parameters():  # a fresh network's last layers may be zero, and then everything agrees
        parameter.data += 0.02 * torch.randn_like(parameter)
    return net.eval()


@pytest.mark.parametrize("gain", [0.5, 2.0])
@torch.no_grad()
def test_tuned_computes_what_the_network_computes(machine, net, gain):
    machine(gain, AVX512)
    result = tuned(net, CPU)(*arguments(net))
    assert result.dtype == torch.float32
    close = dict(rtol=1e-4, atol=1e-5) if gain < 1 else dict(rtol=0, atol=0.05)
    torch.testing.assert_close(result, net(*arguments(net)), **close)


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
@torch.no_grad()
def test_a_float64_network_keeps_its_digits(machine, net, precision):
    machine(2.0, AVX512)
    net.double()
    args = arguments(net, torch.float64)
    result = tuned(net, CPU, precision)(*args)
    assert result.dtype == torch.float64 and torch.equal(result, net(*args))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_results_and_gradients_have_the_dtype_of_the_pictures(precision, dtype):
    net = nn.Conv2d(1, 1, 3, padding=1).to(dtype)
    x = torch.randn(2, 1, 4, 4, dtype=dtype, requires_grad=True)
    for predict in (InPrecision(net, CPU, precision), tuned(net, CPU, precision)):
        result = predict(x)
        (gradient,) = torch.autograd.grad(result.sum(), x)
        assert result.dtype == gradient.dtype == dtype


def test_tuned_is_a_copy_in_eval_mode_and_float32_is_the_network_itself(machine, toy_net):
    machine(2.0, AVX512)
    net = toy_net().train()
    net.norm.eval()  # as for fine-tuning
    modes = [module.training for module in net.modules()]
    x, t = torch.randn(2, 1, 4, 4), torch.tensor([1, 2])
    fast, exact = tuned(net, CPU), tuned(net, CPU, "float32")
    assert type(fast) is Tuned and type(exact) is Evaluated and fast.wraps is exact.wraps is net
    assert torch.equal(fast(x, t), fast(x, t)), "no dropout"
    before = exact(x, t)
    assert torch.equal(exact(x, t), before), "no dropout here either"
    assert net.modes == [False, False] and [module.training for module in net.modules()] == modes
    with torch.no_grad():
        copy = fast(x, t)
        net.conv.weight.zero_()
        assert torch.equal(fast(x, t), copy) and not torch.equal(exact(x, t), before)
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in net.parameters())


def test_evaluated_puts_the_modes_back_after_an_error(toy_net):
    net = toy_net(fails_at=0).train()
    net.norm.eval()
    modes = [module.training for module in net.modules()]
    with pytest.raises(RuntimeError, match="planted"):
        Evaluated(net)(torch.randn(2, 1, 4, 4), torch.tensor([1, 2]))
    assert [module.training for module in net.modules()] == modes


def test_a_tuned_network_can_be_differentiated_by_its_input(machine, net):
    machine(2.0, AVX512)
    x, *rest = arguments(net)
    (gradient,) = torch.autograd.grad(tuned(net, CPU)(x.requires_grad_(), *rest).square().sum(), x)
    assert gradient.isfinite().all() and gradient.abs().sum() > 0
