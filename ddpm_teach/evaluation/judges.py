"""Who judges samples: a classifier that also names attributes, and is unsure of what isn't data. Lesson 10.

A network that only ever saw sprites calls anything a sprite, noise too, and surely. So a judge is shown what isn't data
as well, and learns to name no class there (outlier exposure: Hendrycks et al. 2019, arXiv:1812.04606).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ddpm_teach.data.attributes import Attributes
from ddpm_teach.data.images import ImageSet
from ddpm_teach.nets import Classifier

SURE = 0.9  # a class is named surely where its probability is above this
SPECKLE = 0.05  # of the noise that is added in training, since samples are never quite flat


def not_data(x: Float[Tensor, "b c h w"], labels: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
    """Pictures made of real ones that aren't data: noise, averages, half and half, upside down, pixels shuffled.

    Partners have other labels. Digits that are digits upside down (0, 1, 8) aren't among those that are turned.
    """
    partner = torch.randperm(len(x), generator=rng, device="cpu").to(x.device)
    other = labels != labels[partner]
    half = x.clone()
    half[..., x.shape[-1] // 2 :] = x[partner][..., x.shape[-1] // 2 :]
    half_below = x.clone()
    half_below[..., x.shape[-2] // 2 :, :] = x[partner][..., x.shape[-2] // 2 :, :]
    pixels = torch.randperm(x.shape[-1] * x.shape[-2], generator=rng, device="cpu").to(x.device)
    digits = x.shape[1] == 1
    turned = x.flip(-2)
    if digits:
        turned = x.flip(-1)[~torch.isin(labels, labels.new_tensor([0, 1, 8]))]
    return {
        "noise": torch.rand(x.shape, generator=rng, device="cpu").to(x.device) * 2 - 1,
        "averages": ((x + x[partner]) / 2)[other],
        "half and half": half[other],
        "top and bottom": half_below[other],
        "mirrored" if digits else "upside down": turned,
        "shuffled": x.flatten(2)[:, :, pixels].reshape(x.shape),
    }


def train_judge(
    net: Classifier, images: ImageSet, epochs: int = 6, batch_size: int = 128, seed: int = 0
) -> Iterator[float]:
    """AdamW with a one-cycle rate; yields the loss after every epoch. The network ends in eval mode.

    Args:
        images: on the network's device, with `told` attributes, where the judge names them: column by column as
            `net.config["columns"]`, of which word 0 is "none".
    """
    rng = torch.Generator("cpu").manual_seed(seed)
    steps = epochs * (len(images) // batch_size)
    optimizer = torch.optim.AdamW(net.parameters())
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    targets = numbered(images.contexts(slice(None)), images.told) if net.config["columns"] else None
    for _ in range(epochs):
        total = 0.0
        order = torch.randperm(len(images), generator=rng, device="cpu").to(images.images.device)
        for index in order.split(batch_size)[: steps // epochs]:
            loss = _judge_loss(net, images, index, targets, rng)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
            total += loss.item()
        yield total / (steps // epochs)
    net.eval()


def _judge_loss(
    net: Classifier, images: ImageSet, index: Tensor, targets: Tensor | None, rng: torch.Generator
) -> Tensor:
    x, labels = images.pictures(index), images.labels[index]
    kinds = list(not_data(x, labels, rng).values())
    outliers = torch.cat([kind[k :: len(kinds)] for k, kind in enumerate(kinds)])  # together about as many
    both = torch.cat([x, outliers])
    noise = torch.randn(both.shape, generator=rng, device="cpu").to(both.device)
    logits, words = net.judge(both + SPECKLE * noise)
    loss = cross_entropy(logits[: len(x)], labels)
    loss = loss - 0.5 * logits[len(x) :].log_softmax(1).mean()  # the distance from naming every class alike
    if targets is not None:
        losses = [cross_entropy(named[: len(x)], targets[index, k]) for k, named in enumerate(words)]
        loss = loss + torch.stack(losses).sum() / 4
    return loss


def numbered(rows: Float[Tensor, "n d"], attributes: Attributes) -> Tensor:
    """(n, columns) the number of the word in every column of rows: 0 for none, then as in `attributes`."""
    parts = rows.split([len(words) for words in attributes.values()], dim=1)
    return torch.stack([torch.where(part.any(1), part.argmax(1) + 1, 0) for part in parts], 1)


@torch.no_grad()
def sure(net: nn.Module, x: Tensor) -> float:
    """The share of pictures for which the judge names a class surely."""
    return (net(x).softmax(1).max(1).values > SURE).float().mean().item()
