"""Maps of the words: what they say, by the layers' own weights, and that reading them changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ddpm_teach as dt
from ddpm_teach import CrossAttention, attention_maps
from tests.test_text_nets import CAPTIONS, LENGTH, TIMES, transformer, unet, x_for


@pytest.mark.parametrize("make", [unet, transformer, lambda: unet(channels=3, size=32, patch=4)])
@torch.no_grad()
def test_maps_say_how_much_of_each_word_a_place_reads(make):
    net = make()
    x = x_for(net)
    answer = net(x, TIMES, CAPTIONS)
    with attention_maps(net) as maps:
        assert torch.equal(net(x, TIMES, CAPTIONS), answer), "reading changes nothing"
        net(x, TIMES)
        net(x, TIMES, CAPTIONS.roll(1, 0))
    maps = torch.stack(maps)
    assert maps.shape == (3, 4, LENGTH + 1, *net.image_shape[1:])
    torch.testing.assert_close(maps.sum(2), torch.ones(3, 4, *net.image_shape[1:]))
    words = nn.functional.pad(CAPTIONS > 0, (1, 0), value=True)
    assert torch.equal((maps[0] > 0).amax((2, 3)), words) and (maps[1, :, 0] == 1).all()
    net(x, TIMES, CAPTIONS)
    assert len(maps) == 3 and not any(part._forward_hooks for part in net.modules())


def test_a_map_is_the_mean_of_its_layers_enlarged_to_the_picture():
    net, asked = unet(), []
    layers = [part for part in net.modules() if isinstance(part, CrossAttention)]
    assert len(layers) == 3
    hooks = [layer.register_forward_hook(lambda layer, args, _: asked.append((layer, args))) for layer in layers]
    with attention_maps(net) as maps:
        net(x_for(net), TIMES, CAPTIONS)
    for hook in hooks:
        hook.remove()
    top, bottom, end = [layer.weights(*args) for layer, args in asked]
    assert bottom.shape == (4, 7, 4, 4)
    large = bottom.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(maps[0], (top + large + end) / 3)


def test_maps_of_a_guided_walk_have_both_halves_and_end_with_an_error():
    model = dt.Model(unet(), dt.linear(), dt.V)
    with attention_maps(model.net) as maps:
        dt.sample(model, 2, CAPTIONS[:1], steps=3, guidance_scale=2.0, seed=0)
    assert [one.shape for one in maps] == [(4, LENGTH + 1, 8, 8)] * 3
    assert (maps[0][:2, 0] == 1).all() and (maps[0][2:, 0] < 1).all(), "no words, then those of the caption"
    with pytest.raises(RuntimeError, match="planted"), attention_maps(model.net):
        raise RuntimeError("planted")
    assert not any(part._forward_hooks for part in model.net.modules())


def test_networks_without_words_have_no_maps():
    with pytest.raises(ValueError, match="net: .*attention to words.*ContextUNet"), attention_maps(dt.ContextUNet()):
        pass
