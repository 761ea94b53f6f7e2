"""Networks that are told words: padding, order, cross-attention and its maps, by exact laws and torch's own layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss, scaled_dot_product_attention

import ddpm_teach as dt
from ddpm_teach import CrossAttention, DiffusionTransformer, TextEncoder, TextUNet, nets
from ddpm_teach.nets.blocks import attend
from ddpm_teach.nets.text import mean_of
from ddpm_teach.nets.transformer import DiTBlock
from tests.test_nets import TINY_TEXT, awake

WORDS, LENGTH = 9, 6
CAPTIONS = torch.tensor([[3, 1, 4, 0, 0, 0], [2, 7, 1, 8, 2, 8], [5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
TIMES = torch.tensor([1, 300, 700, 1000])


def unet(**options) -> TextUNet:
    return awake(TextUNet(**{"words": WORDS, "length": LENGTH, "channels": 2, **TINY_TEXT, **options})).eval()


def transformer(**options) -> DiffusionTransformer:
    sizes = dict(words=WORDS, length=LENGTH, channels=2, width=16, depth=2, heads=2, text_width=8)
    return awake(DiffusionTransformer(**sizes | options)).eval()


NETS = {"unet": unet, "pooled": lambda: unet(pooled=True), "transformer": transformer}


@pytest.fixture(params=NETS)
def net(request) -> nn.Module:
    return NETS[request.param]()


def x_for(net: nn.Module, n: int = 4) -> torch.Tensor:
    return torch.randn(n, *net.image_shape)


# --- padding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 2])
def test_padding_behind_a_caption_changes_no_vector(depth):
    encoder, ids = TextEncoder(WORDS, 12, 8, depth, 2), torch.tensor([[3, 1, 4]])
    short, all_seen = encoder(ids)
    long, mask = encoder(nn.functional.pad(ids, (0, 9)))
    torch.testing.assert_close(long[:, :4], short)
    assert all_seen.all() and mask.tolist() == [[True] * 4 + [False] * 9] and long.shape == (1, 13, 8)
    torch.testing.assert_close(mean_of(long, mask), short.mean(1))


def test_what_stands_at_padding_does_not_matter(net):
    x = x_for(net)
    answer = net(x, TIMES, CAPTIONS)
    with torch.no_grad():
        net.text.embed.weight[0] = 100 * torch.randn(8)
    torch.testing.assert_close(net(x, TIMES, CAPTIONS), answer)
    with torch.no_grad():
        net.text.embed.weight[8] += torch.randn(8)  # a word of the second caption alone
    changed = (net(x, TIMES, CAPTIONS) - answer).flatten(1).abs().amax(1) > 1e-5
    assert changed.tolist() == [False, True, False, False]


def test_a_caption_is_told_the_same_in_company_of_longer_ones(net):
    """Alone its padding is cut off, beside a longer one it is masked."""
    x = x_for(net)
    alone = torch.cat([net(x[i : i + 1], TIMES[i : i + 1], CAPTIONS[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(net(x, TIMES, CAPTIONS), alone, rtol=1e-4, atol=1e-5)


def test_no_context_is_the_empty_caption_and_so_is_what_guidance_takes_for_none(net):
    x, none = x_for(net), torch.zeros_like(CAPTIONS)
    assert torch.equal(net(x, TIMES), net(x, TIMES, none))
    assert torch.equal(dt.guided(net, CAPTIONS, 0.0)(x, TIMES), net(x, TIMES, none))
    both = dt.guided(net, CAPTIONS, 2.0)(x, TIMES)
    torch.testing.assert_close(both, 2 * net(x, TIMES, CAPTIONS) - net(x, TIMES), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(net(x, TIMES, CAPTIONS)[:3], net(x, TIMES)[:3], atol=1e-3)


# --- order ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (dict(), True),
        (dict(text_depth=0), True),  # where a word stands is in its vector
        (dict(pooled=True), True),
        (dict(positions=False), False),
        (dict(positions=False, text_depth=0), False),
    ],
)
def test_the_order_of_words_counts_unless_a_caption_is_a_bag_of_words(options, seen):
    net = unet(**options)
    x, swapped = x_for(net, 1), torch.tensor([[3, 4, 1, 0, 0, 0]])
    difference = (net(x, TIMES[:1], swapped) - net(x, TIMES[:1], CAPTIONS[:1])).abs().max()
    assert (difference > 1e-4) == seen and (seen or difference < 1e-5)
    others = net(x, TIMES[:1], torch.tensor([[3, 4, 2, 0, 0, 0]])) - net(x, TIMES[:1], swapped)
    assert others.abs().max() > 1e-4, "which words they are counts always"


def error_of_learning(net: nn.Module) -> float:
    """The last error of learning to draw "1 2" in white and "2 1" in black."""
    rng = torch.Generator().manual_seed(0)
    ids, drawn = torch.tensor([[1, 2], [2, 1]]), torch.tensor([1.0, -1.0]).view(2, 1, 1, 1).expand(2, *net.image_shape)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(40):
        x, t = torch.randn(drawn.shape, generator=rng), torch.randint(1, 1001, (2,), generator=rng)
        error = mse_loss(net(x, t, ids), drawn)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return error.item()


def test_two_words_and_their_order_decide_what_is_drawn():
    """A bag can't tell "1 2" from "2 1", so it is left with the mean of both: an error of the pictures' variance, 1."""
    sizes = dict(words=3, length=2, channels=1, size=4, widths=(8, 16), text_width=8, heads=2, groups=4)
    assert error_of_learning(TextUNet(**sizes)) < 0.2
    assert error_of_learning(DiffusionTransformer(3, 2, 1, 4, 2, 16, 2, 2, 8)) < 0.2
    assert error_of_learning(TextUNet(**sizes, text_depth=0, positions=False)) > 0.8


# --- attention ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learning", [True, False])
def test_attention_is_torchs_own_with_its_gradient(learning):
    """Written out while learning from few keys, the kernel else."""
    q, k, v = (torch.randn(4, 2, n, 8, dtype=torch.float64, requires_grad=learning) for n in (10, 6, 6))
    mask = CAPTIONS > 0
    mask[3, 0] = True
    for seen in (mask, None):
        expected = scaled_dot_product_attention(q, k, v, attn_mask=None if seen is None else seen[:, None, None])
        out = attend(q, k, v, seen)
        torch.testing.assert_close(out, expected)
        if learning:
            up = torch.randn_like(out)
            for ours, torchs in zip(*(torch.autograd.grad(one, (q, k, v), up) for one in (out, expected)), strict=True):
                torch.testing.assert_close(ours, torchs)


def test_cross_attention_is_torchs_multihead_attention():
    layer, text = awake(CrossAttention(16, 8, 4)).double(), torch.randn(4, 7, 8).double()
    x, mask = torch.randn(4, 16, 3, 5).double(), nn.functional.pad(CAPTIONS > 0, (1, 0), value=True)
    torchs = nn.MultiheadAttention(16, 4, kdim=8, vdim=8, batch_first=True).double()
    with torch.no_grad():
        torchs.q_proj_weight.copy_(layer.to_q.weight)
        torchs.k_proj_weight.copy_(layer.to_kv.weight[:16])
        torchs.v_proj_weight.copy_(layer.to_kv.weight[16:])
        torchs.in_proj_bias.copy_(torch.cat([layer.to_q.bias, layer.to_kv.bias]))
        torchs.out_proj.load_state_dict(layer.project.state_dict())
    places = layer.norm(x.flatten(2).mT)
    out, weights = torchs(places, text, text, key_padding_mask=~mask)
    torch.testing.assert_close(layer(x, text, mask), x + out.mT.reshape(x.shape))
    torch.testing.assert_close(layer.weights(x, text, mask), weights.mT.reshape(4, 7, 3, 5))


def test_new_layers_add_nothing():
    """So a new network is the one without words, and a new transformer predicts 0, whatever it is given."""
    x, text, mask = torch.randn(2, 16, 4, 4), torch.randn(2, 7, 8), torch.ones(2, 7, dtype=torch.bool)
    assert torch.equal(CrossAttention(16, 8, 2)(x, text, mask), x)
    assert torch.equal(DiTBlock(16, 12, 8, 2)(x, torch.randn(2, 12), text, mask), x)
    net = DiffusionTransformer(WORDS, LENGTH, width=16, depth=2, text_width=8)
    assert not net(x_for(net), TIMES, CAPTIONS).any()


@pytest.mark.parametrize("size", [8, 12])
def test_a_transformer_knows_where_a_patch_is(size):
    """Without positions it would move with its patches."""
    net = transformer(size=size)
    x = x_for(net, 1)
    moved = net(x.roll(2, -1), TIMES[:1]).roll(-2, -1)
    assert not torch.allclose(moved, net(x, TIMES[:1]), atol=1e-3)
    net.places.zero_()
    torch.testing.assert_close(net(x.roll(2, -1), TIMES[:1]).roll(-2, -1), net(x, TIMES[:1]), rtol=1e-4, atol=1e-5)


# --- sizes ----------------------------------------------------------------------------------------------------------


def test_the_standard_network_fits_in_ten_megabytes_and_half_of_it_is_at_the_bottom():
    net = TextUNet(341)
    parameters = sum(p.numel() for p in net.parameters())
    assert 2 * parameters < 10e6 and sum(p.numel() for p in net.levels[1].parameters()) > 0.5 * parameters
    assert dt.summary(net).flops < 200e6, "of a caption of 56 words"


@pytest.mark.parametrize(
    "make",
    [
        lambda: unet(channels=3, size=32, patch=4),
        lambda: unet(size=12, widths=(8, 8, 16)),
        lambda: unet(size=32, widths=(8, 8)),  # attention at 16×16 alone
        lambda: transformer(size=6, patch=1),
        lambda: transformer(size=12, patch=4),
    ],
)
@torch.no_grad()
def test_every_size_gives_pictures_of_its_shape_and_is_built_again_from_its_file(make, tmp_path):
    net = make()
    for weights in net.parameters():
        weights.copy_(weights.half())  # as files have them
    x = x_for(net)
    assert net(x, TIMES, CAPTIONS).shape == x.shape
    dt.save_weights(tmp_path / "net.safetensors", dt.Model(net, dt.linear(), dt.V))
    twin = dt.load_weights(tmp_path / "net.safetensors").net
    assert nets.describe(twin) == nets.describe(net) and nets.context_dim(twin) == (LENGTH,)
    assert nets.vocabulary(twin) == WORDS and torch.equal(twin(x, TIMES, CAPTIONS), net(x, TIMES, CAPTIONS))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: unet(words=1), "words: "),
        (lambda: unet(length=0), "length: "),
        (lambda: unet(widths=(8,)), "widths: expected two or three"),
        (lambda: unet(widths=(8, 10)), "widths: expected multiples of groups = 4 and heads = 2"),
        (lambda: unet(widths=(9, 9), groups=1, heads=1), "widths: expected an even first"),
        (lambda: unet(size=10, widths=(8, 8, 8)), "size: expected a multiple of patch = 1 · 2.2, for 3 widths, got 10"),
        (lambda: unet(size=64), "size: the lowest level has 32×32"),
        (lambda: unet(text_width=9), "width: expected a multiple of heads = 2, got 9"),
        (lambda: unet(text_depth=-1), "depth: "),
        (lambda: transformer(size=9), "size: expected a multiple of patch = 2, got 9"),
        (lambda: transformer(width=18), "width: expected a multiple of 4"),
        (lambda: transformer(width=20, heads=3), "width: expected a multiple of heads = 3, got 20"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    ("ids", "error", "match"),
    [
        (CAPTIONS.float(), TypeError, "c: expected word ids .*float32; tokenizer.encode"),
        (CAPTIONS > 0, TypeError, "c: expected word ids .*bool; tokenizer.encode"),
        (CAPTIONS[:1], ValueError, r"c: .*\(4, 6\).* got \(1, 6\)"),
        (CAPTIONS[:, :5], ValueError, r"c: .*\(4, 6\).* got \(4, 5\)"),
        (CAPTIONS + 1, ValueError, "c: expected word ids in 0…8, got values from 1 to 9; .*tokenizer"),
        (CAPTIONS - 1, ValueError, "c: expected word ids in 0…8, got values from -1 to 7"),
    ],
)
def test_contexts_that_are_no_captions_are_refused(net, ids, error, match):
    with pytest.raises(error, match=match):
        net(x_for(net), TIMES, ids)


def test_a_model_refuses_captions_of_another_length():
    model = dt.Model(unet(), dt.linear(), dt.V)
    with pytest.raises(ValueError, match=r"contexts: .*\(2, 6\)"):
        dt.sample(model, 2, torch.zeros(2, 7, dtype=torch.long), steps=2)
    assert dt.sample(model, 2, CAPTIONS[:2], steps=2, seed=0).shape == (2, 2, 8, 8)
