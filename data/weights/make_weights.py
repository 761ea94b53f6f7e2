"""Makes the weight files of this folder.

    python make_weights.py classifier sprites 12                # trains a judge of samples, for so many epochs
    python make_weights.py classifier mnist 8 cuda              # on a GPU
    python make_weights.py reader 4000                          # trains the reader of scenes, for so many steps
    python make_weights.py autoencoder ../../runs/autoencoder/last.pt  # from the run of `ddpm-teach train autoencoder`
    python make_weights.py scenes ../../runs/scenes/last.pt     # from the run of `ddpm-teach train scenes`
    python make_weights.py sprites ../../runs/sprites/last.pt   # from the run of `ddpm-teach train sprites`
    python make_weights.py sheet sprites                        # only draws the contact sheet anew
    python make_weights.py judge sprites                        # only prints the figures of the card

A network's command writes its file and a contact sheet, and prints the figures that its card quotes.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ddpm_teach import (
    Classifier,
    Model,
    Sampler,
    SceneReader,
    class_accuracy,
    evaluate,
    load,
    load_checkpoint,
    load_classifier,
    load_model,
    sample,
    save_weights,
    validation_loss,
)
from ddpm_teach.data.attributes import words_of
from ddpm_teach.data.backgrounds import PLACES, tones
from ddpm_teach.data.latents import encoded
from ddpm_teach.data.scenes import load_scenes, scene_boxes
from ddpm_teach.data.sprites import sprites
from ddpm_teach.evaluation.judges import not_data, numbered, sure, train_judge
from ddpm_teach.evaluation.reading import EVERY, agreement, load_reader, targets, train_reader, truth
from ddpm_teach.model_files import load_autoencoder, save_net
from ddpm_teach.show import save_png
from ddpm_teach.training.autoencoding import latent_scale

HERE = Path(__file__).parent


def quick(scale: float, steps: int = 20) -> Sampler:
    """DDIM. Times near the picture lie closer together: that leaves fewer specks in few steps."""
    return Sampler(steps=steps, spacing="quadratic", guidance_scale=scale)


SAMPLERS = {  # of a card's table; the first draws the contact sheet
    "sprites": (
        *(Sampler(steps=50, eta=1.0, guidance_scale=1.5), quick(1.5), quick(1.0), quick(2.0)),
        *(Sampler(steps=20, guidance_scale=1.5), Sampler(steps=100, eta=1.0, guidance_scale=1.5)),
    ),
    "sprites-context": (quick(2.0), Sampler(guidance_scale=2.0, steps=20)),
    "mnist": (quick(1.0, steps=50),),
    "mnist-context": (quick(2.0),),
    "mnist32": (quick(2.0),),
}
N, SEEDS = 1000, 3
SCENES = 100_000  # that the reader learns from, at most


def make_classifier(name: str, epochs: str, device: str = "cpu") -> None:
    """Trains a judge, and prints how right it is on test pictures, and how sure of what isn't data."""
    torch.manual_seed(0)
    train, test = load(name, "train"), load(name, "test")
    colors = sprites("train").palette if name == "sprites" else []
    if train.attributes:
        train = train.conditioned()
        test = test.conditioned(train.told)
    channels, size, _ = train.image_shape
    columns = tuple(1 + len(words) for words in train.told.values())
    net = Classifier(channels, size, len(train.classes), 32, columns, hidden=64, palette=len(colors))
    if len(colors):
        net.set_palette(torch.from_numpy(colors).float() / 127.5 - 1)
    net.to(device)
    for epoch, loss in enumerate(train_judge(net, train.to(device), int(epochs)), 1):
        print(f"epoch {epoch}: loss {loss:.3f}", flush=True)
    net.cpu()
    save_net(HERE / f"{name}-classifier.safetensors", net, train.classes, train.told)
    judge, x = load_classifier(name), test.pictures(slice(None))
    print(f"class {class_accuracy(judge, x, test.labels):.4f}, sure of test pictures {sure(judge, x):.4f}")
    if train.told:
        right = torch.stack(judge.words(x), 1) == numbered(test.contexts(slice(None)), test.told)
        print(dict(zip(train.told, [round(share, 4) for share in right.float().mean(0).tolist()], strict=True)))
    for what, pictures in not_data(x, test.labels, torch.Generator().manual_seed(1)).items():
        print(f"sure of {what}: {sure(judge, pictures):.4f}")


def make_reader(steps: str) -> None:
    """Trains the reader of scenes, and prints how right it is on test scenes."""
    torch.manual_seed(0)
    images, boxes = (make("train", min(SCENES, 64 * int(steps))) for make in (load_scenes, scene_boxes))
    attributes = words_of(sprites("train").attributes)
    colors = np.unique(np.concatenate([sprites("train").palette, tones()]), axis=0)
    columns = tuple(1 + len(words) for words in attributes.values())
    net = SceneReader(backgrounds=len(PLACES), columns=columns, palette=len(colors))
    net.set_palette(torch.from_numpy(colors).float() / 127.5 - 1)
    for k, loss in enumerate(train_reader(net, images, targets(images, boxes, attributes), int(steps)), 1):
        print(f"{k * EVERY} steps: loss {loss:.3f}", flush=True)
    save_net(HERE / "scenes-reader.safetensors", net, PLACES, attributes)
    for split in ("test", "held_out"):
        images = load_scenes(split, 2000)
        read = load_reader().read(images.pictures(slice(None)))
        seen = agreement([truth(images.attributes, i) for i in range(len(images))], read)
        print(split, {name: f"{share.value:.2%}" for name, share in seen.items()}, flush=True)


def make_autoencoder(checkpoint: str) -> None:
    """Keeps a run's averaged autoencoder in half precision, with its page, and prints the figures of its card."""
    state = load_checkpoint(checkpoint)
    net = state.ema.module.eval()
    net.scale.fill_(latent_scale(net, load("scenes", n=4096)))
    save_net(HERE / "autoencoder.safetensors", net, ())
    judge_autoencoder()


@torch.no_grad()
def judge_autoencoder() -> None:
    """Draws a page of test scenes above their reconstructions, and prints what is lost."""
    net, test = load_autoencoder("autoencoder"), load("scenes", "test", n=2000)
    parts = torch.arange(len(test)).split(500)
    decoded = torch.cat([net.decode(net.encode(test.pictures(part))).clamp(-1, 1) for part in parts])
    x = test.pictures(slice(None))
    save_png(torch.cat([x[:16], decoded[:16], x[16:32], decoded[16:32]]), HERE / "autoencoder.png", 16, scale=3)
    latents = torch.cat([net.encode(test.pictures(part)) for part in parts])
    logs = torch.cat([net.distribution(test.pictures(part)).log_variance for part in parts])
    widths = latents.std(dim=(0, 2, 3))
    print(f"root mean square error {(decoded - x).square().mean().sqrt().item() * 127.5:.2f} of 255")
    print(f"scale {net.scale.item():.4f}, latents {latents.mean().item():.3f} ± {latents.std().item():.3f}")
    print("deviations of the channels", [round(width, 2) for width in widths.tolist()])
    print("sigma / deviation", [round(s, 2) for s in ((logs / 2).exp().mean((0, 2, 3)) * net.scale / widths).tolist()])


def make_scenes(checkpoint: str) -> None:
    """Keeps a run's averaged denoiser of scenes in half precision, with its page, and prints its loss. The rest of the
    card is what `ddpm-teach evaluate scenes` prints."""
    state = load_checkpoint(checkpoint)
    save_weights(HERE / "scenes.safetensors", state.model, steps=state.step)
    scenes_sheet()
    model = load_model("scenes")
    test = encoded(load("scenes", "test", n=2000).captioned(model.tokenizer), model.autoencoder)
    loss = validation_loss(model, test, len(test), precision="float32")
    print(f"loss on {len(test)} test scenes ({model.target.name}): {loss:.5f}")


def scenes_sheet() -> None:
    """Draws a page of test scenes, and below each one that is drawn by its caption; none is chosen."""
    test = load("scenes", "test", n=32)
    x, captions = test.pictures(slice(None)), test.attributes["caption"].tolist()
    drawn = load_model("scenes").draw(captions)
    save_png(torch.cat([x[:16], drawn[:16], x[16:], drawn[16:]]), HERE / "scenes.png", 16, scale=2)


def make(name: str, checkpoint: str) -> None:
    """Keeps a run's averaged network in half precision, with its contact sheet, and prints the figures of its card."""
    state = load_checkpoint(checkpoint)
    save_weights(HERE / f"{name}.safetensors", state.model, steps=state.step)
    sheet(name)
    judge(name)
    model = load_model(name)
    contexts = model.all_contexts(8, torch.Generator().manual_seed(1))
    one, other = (draw(name, either, contexts) for either in (state.model, model))
    print("mean |difference| by half precision:", (one - other).abs().mean().item() * 127.5, "of 255")


def draw(name: str, model: Model, contexts: Tensor | None) -> Tensor:
    """Pictures as on the contact sheet: one for each context, or 64."""
    return sample(model, 64 if contexts is None else len(contexts), contexts, seed=0, **asdict(SAMPLERS[name][0]))


def sheet(name: str) -> None:
    """Draws the contact sheet of a card: 16 unselected samples of each class, or 64 of a network that takes none."""
    model = load_model(name)
    contexts = model.all_contexts(16, torch.Generator().manual_seed(0))
    save_png(
        draw(name, model, contexts), HERE / f"{name}.png", columns=16, scale=4 if name.startswith("sprites") else 2
    )


def judge(name: str) -> None:
    """Prints a card's table: the loss on all test pictures, and what `evaluate` says, the mean over SEEDS seeds."""
    model = load_model(name)
    dataset, size = ("mnist", model.image_shape[1]) if name.startswith("mnist") else (name.split("-")[0], None)
    test = load(dataset, "test", size=size)
    if model.attributes:
        test = test.conditioned(model.attributes)
    loss = validation_loss(model, test, len(test), precision="float32")
    print(f"loss on the {len(test)} pictures of the test split ({model.target.name}): {loss:.5f}", flush=True)
    for sampler in SAMPLERS[name]:
        records = [evaluate(model, sampler, N, seed).record() for seed in range(SEEDS)]
        print(sampler, mean_record(records), flush=True)


def mean_record(records: list[dict]) -> dict[str, str]:
    """Every measure's mean over the seeds ± its standard error, and what real pictures have in its place."""
    measures = {}
    for measure, first in records[0].items():
        if isinstance(first, dict):
            values = torch.tensor([record[measure]["value"] for record in records])
            real = first.get("floor", first.get("ceiling"))
            error = values.std().item() / len(values) ** 0.5
            measures[measure] = f"{values.mean().item():.3f} ± {error:.3f} (real {real:.3f})"
    return measures


COMMANDS = {
    "classifier": make_classifier,
    "reader": make_reader,
    "autoencoder": make_autoencoder,
    "judge-autoencoder": judge_autoencoder,
    "scenes": make_scenes,
    "scenes-sheet": scenes_sheet,
    "sheet": sheet,
    "judge": judge,
}

if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    COMMANDS[what](*rest) if what in COMMANDS else make(what, *rest)
