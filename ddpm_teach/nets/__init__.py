"""The networks. Each takes (x, t, c=None) and returns a picture of x's shape; each file is readable alone.

A network keeps the arguments that it was built with in `net.config`, so a file can say in words how to build it again.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ddpm_teach.checks import check_net, shown
from ddpm_teach.nets.attention_unet import AttentionUNet
from ddpm_teach.nets.autoencoder import Autoencoder
from ddpm_teach.nets.classifier import Classifier
from ddpm_teach.nets.context_unet import ContextUNet
from ddpm_teach.nets.layernorm_unet import LayerNormUNet
from ddpm_teach.nets.reader import SceneReader
from ddpm_teach.nets.summary import summary
from ddpm_teach.nets.text_unet import TextUNet
from ddpm_teach.nets.transformer import DiffusionTransformer

_DENOISERS = (AttentionUNet, ContextUNet, DiffusionTransformer, LayerNormUNet, TextUNet)
NETS = {net.__name__: net for net in (*_DENOISERS, Autoencoder, Classifier, SceneReader)}


def unwrapped(net: Any) -> Any:
    """The network inside of torch.compile's wrapper, or of one that says in `wraps` what it is around."""
    while (inside := getattr(net, "_orig_mod", getattr(net, "wraps", None))) is not None:  # a module may be false
        net = inside
    return net


def image_shape(net: Any) -> tuple[int, ...]:
    """(c, h, w) of the pictures that a network takes.

    Raises:
        TypeError: for a network that doesn't say so, in whole numbers, and for what is no network.
    """
    check_net(net)
    net = unwrapped(net)
    shape = getattr(net, "image_shape", None)
    if not isinstance(shape, tuple | list) or not all(isinstance(side, int) and side > 0 for side in shape):
        raise TypeError(
            f"net: expected an image_shape of whole numbers, got {shown(shape)} of a {type(net).__name__};"
            " set net.image_shape = (c, h, w)"
        )
    return tuple(shape)


def context_dim(net: Any) -> int | tuple[int, ...] | None:
    """The width of the contexts that a network takes, or their shape; None if it takes none."""
    net = unwrapped(net)
    return getattr(net, "config", {}).get("context_dim", getattr(net, "context_dim", None))


def vocabulary(net: Any) -> int | None:
    """How many word ids a network knows, padding among them, whose contexts are rows of them; None for others."""
    return getattr(unwrapped(net), "vocabulary", None)


def random_contexts(net: Any, n: int, rng: torch.Generator | None = None) -> torch.Tensor | None:
    """n contexts of the kind that a network takes, on the CPU: noise, or rows of word ids; None if it takes none."""
    width = context_dim(net)
    if not width:
        return None
    shape = (n, *([width] if isinstance(width, int) else width))
    if (words := vocabulary(net)) is None:
        return torch.randn(shape, generator=rng, device="cpu")
    return torch.randint(words - 1, shape, generator=rng, device="cpu")  # so that id + 1 is a word as well


def is_known(net: nn.Module) -> bool:
    """Whether a file can say how to build the network: one of this course, and no subclass of one."""
    net = unwrapped(net)
    return NETS.get(type(net).__name__) is type(net)


def describe(net: nn.Module) -> dict:
    """What `from_config` needs to make the same network, apart from its weights; of your own network the name alone."""
    net = unwrapped(net)
    return {"name": type(net).__name__, "config": net.config} if is_known(net) else {"name": type(net).__qualname__}


def completed(description: dict) -> dict:
    """The description with every option named: a file from before an option existed means its default."""
    if "config" not in description:
        return description
    with torch.device("meta"):  # neither memory nor random numbers
        return describe(from_config(description))


def from_config(description: dict) -> nn.Module:
    """The network that `describe` described, with new weights.

    Raises:
        ValueError: for a name that isn't a network of this course, or an option that it hasn't.
    """
    description = checked(description)
    return NETS[description["name"]](**description["config"])


def checked(description: dict) -> dict:
    """A description of one of this course's networks, with tuples where JSON has lists.

    Raises:
        ValueError: as `from_config`; the options' values are looked at where a network is built.
    """
    name, config = (description.get(key) if isinstance(description, Mapping) else None for key in ("name", "config"))
    if not isinstance(name, str) or name not in NETS or not isinstance(config, Mapping):
        known = ", ".join(NETS)
        raise ValueError(
            f'net: expected {{"name": …, "config": {{…}}}} with a name of {known}, got {shown(description)}'
        )
    options = inspect.signature(NETS[name]).parameters
    if unknown := [option for option in config if option not in options]:
        raise ValueError(f"net: expected a config of {', '.join(options)} for {name}, got {unknown[0]!r}; leave it out")
    return {"name": name, "config": {key: tuple(one) if isinstance(one, list) else one for key, one in config.items()}}


__all__ = [
    "NETS",
    "AttentionUNet",
    "Autoencoder",
    "Classifier",
    "ContextUNet",
    "DiffusionTransformer",
    "LayerNormUNet",
    "SceneReader",
    "TextUNet",
    "checked",
    "completed",
    "context_dim",
    "describe",
    "from_config",
    "image_shape",
    "is_known",
    "random_contexts",
    "summary",
    "unwrapped",
    "vocabulary",
]
