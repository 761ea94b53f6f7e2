"""The networks. Each takes (x, t, c=None) and returns a picture of x's shape; each file is readable alone.

A network keeps the arguments that it was built with in `net.config`, so a file can say in words how to build it again.
"""

import torch
from torch import nn

from ddpm_teach.nets.attention_unet import AttentionUNet
from ddpm_teach.nets.classifier import Classifier
from ddpm_teach.nets.context_unet import ContextUNet
from ddpm_teach.nets.layernorm_unet import LayerNormUNet
from ddpm_teach.nets.summary import summary

NETS = {net.__name__: net for net in (AttentionUNet, Classifier, ContextUNet, LayerNormUNet)}


def describe(net: nn.Module) -> dict:
    """What `build` needs to make the same network, apart from its weights."""
    return {"name": type(net).__name__, "config": net.config}


def completed(description: dict) -> dict:
    """The description with every option named: a file from before an option existed means its default."""
    with torch.device("meta"):  # neither memory nor random numbers
        return describe(build(description))


def build(description: dict) -> nn.Module:
    """The network that `describe` described, with new weights.

    Raises:
        ValueError: for a name that isn't a network of this course.
    """
    if description["name"] not in NETS:
        raise ValueError(f"name: unknown network {description['name']!r}; known are {', '.join(NETS)}")
    config = description["config"].items()  # JSON has lists only
    return NETS[description["name"]](
        **{key: tuple(value) if isinstance(value, list) else value for key, value in config}
    )


__all__ = ["NETS", "AttentionUNet", "Classifier", "ContextUNet", "LayerNormUNet", "build", "describe", "summary"]
