"""What lesson 13 says of guidance with words and of negative prompts, measured by the reader of scenes.

    uv run python benchmarks/words.py             # about 10 minutes on two CPU cores

Writes data/results/words_scale.csv: 500 test captions drawn at each guidance scale (DDIM, 20 steps), the shares that
are read as told, and the Fréchet distance to test scenes, with standard errors; the first row has real scenes of the
captions in their place. And data/results/words_negatives.csv: 100 pictures of a caption, the same noise in all rows,
guided from no words, or from a negative caption; how many show all that the caption tells of, and how many all that
the negative one does.
"""

from __future__ import annotations

import torch
from measured import replacing
from torch import Tensor

from ddpm_teach import Moments, as_asked, course_path, frechet, load_model, load_reader
from ddpm_teach.data.prompts import parse
from ddpm_teach.data.scenes import load_scenes
from ddpm_teach.evaluation.evaluate import PARTS
from ddpm_teach.evaluation.scenes import scored

SCALES, N = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0), 500
TOLD = ("background", "kind", "main colour", "all that is told")
NEGATIVES = {"a slime": "a blue slime", "a knight": "a knight at night", "a wizard": "a wizard facing left"}
DRAWN, SIZE = 100, 100  # pictures of a row of negatives; pictures that are drawn at a time


@torch.no_grad()
def main() -> None:
    results, reader = course_path("data") / "results", load_reader()
    model, test = load_model("scenes"), load_scenes("test", N)
    captions, real = test.attributes["caption"].tolist(), reader.read(test.pictures(slice(None)))
    reference = Moments.of(reader.features(load_scenes("test", 2 * N, seed=1).pictures(slice(None))))

    def row(scale: float | str, x: Tensor) -> list:
        shares = scored(reader.read(x), real, [parse(text) for text in captions])
        distance = frechet([Moments.of(part) for part in reader.features(x).chunk(PARTS)], reference)
        told = [shares[name].drawn for name in TOLD]
        print(scale, *told, distance, flush=True)
        return [scale, N, *(f"{number:.4f}" for one in (*told, distance) for number in one)]

    columns = ["scale", "n", *(word for name in TOLD for word in (name, f"{name} error")), "frechet", "error"]
    with replacing(results / "words_scale.csv", columns) as write:
        write(row("real", test.pictures(slice(None))))
        for scale in SCALES:
            chunks = [captions[i : i + SIZE] for i in range(0, N, SIZE)]
            x = [model.draw(chunk, seed=k, guidance_scale=scale) for k, chunk in enumerate(chunks)]
            write(row(scale, torch.cat(x)))
    with replacing(results / "words_negatives.csv", ["caption", "negative", "n", "wanted", "unwanted"]) as write:
        for caption, unwanted in NEGATIVES.items():
            for negative in ("", unwanted):
                readings = reader.read(model.draw(caption, n=DRAWN, negative=negative))
                counts = [
                    sum(as_asked(one, text)["all that is told"] for one in readings) for text in (caption, unwanted)
                ]
                print(caption, negative, *counts, sep=" | ", flush=True)
                write([caption, negative, DRAWN, *counts])


if __name__ == "__main__":
    main()
