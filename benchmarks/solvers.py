"""DDIM and Heun against the differential equation's own solution, on 40 sprites. Lesson 06.

    uv run python benchmarks/solvers.py           # about four minutes on one CPU core

Writes data/results/solvers.csv: how far the end of a walk is from that of Heun's method with 250 moves, which starts
from the same noise, in levels of 255 (mean over 8 sprites of each class, with its standard error), and by how much Heun
is nearer than DDIM on the same pictures. The column "first" is the distance of the first picture of each class from the
end of Heun's 25 quadratic moves, which the lesson computes again. The row "check" is Heun with 125 moves instead.
"""

from __future__ import annotations

import argparse
import math

import torch
from measured import replacing
from torch import Tensor

from ddpm_teach import clipped, course_path, ddim_step, guided, heun_step, load_model, quadratic, trailing, walk

EACH, MOVES = 8, (3, 5, 10, 25, 50)  # sprites of a class; Heun's moves: 5, 9, 19, 49, 99 calls
SOLVERS = {"DDIM": ddim_step, "Heun": heun_step}
SPACINGS = {"trailing": trailing, "quadratic": quadratic}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=course_path("data") / "results" / "solvers.csv")
    args = parser.parse_args()
    model = load_model("sprites-context")
    contexts = model.context(*model.classes).repeat(EACH, 1)
    starts = model.noise(len(contexts), torch.Generator().manual_seed(0))
    denoise = clipped(model.read(guided(model.net, contexts, 1.0)), model.schedule)

    def end(solver: str, spacing: str, moves: int) -> Tensor:
        times = SPACINGS[spacing](model.schedule.T, moves)
        *_, last = walk(SOLVERS[solver](denoise, model.schedule), starts, times)
        return last.x

    def levels(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3)) * 127.5

    def measured(values: Tensor) -> list[str]:
        return [f"{values.mean():.3f}", f"{values.std() / math.sqrt(len(values)):.3f}"]

    columns = ["solver", "spacing", "moves", "calls", "n", "off", "error", "nearer", "nearer_error", "first"]
    with replacing(args.out, columns) as write:
        solution, coarse = end("Heun", "quadratic", 250), end("Heun", "quadratic", 25)
        check = levels(end("Heun", "quadratic", 125), solution)
        write(["check", "quadratic", 125, 249, len(starts), *measured(check), "", "", ""])
        for spacing in SPACINGS:
            for moves in MOVES:
                calls = 2 * moves - 1
                ends = {"DDIM": end("DDIM", spacing, calls), "Heun": end("Heun", spacing, moves)}
                off = {solver: levels(x, solution) for solver, x in ends.items()}
                nearer = {"DDIM": ["", ""], "Heun": measured(off["DDIM"] - off["Heun"])}
                for solver, x in ends.items():
                    first = levels(x, coarse)[: len(model.classes)].mean()
                    row = [solver, spacing, calls if solver == "DDIM" else moves, calls, len(starts)]
                    write([*row, *measured(off[solver]), *nearer[solver], f"{first:.3f}"])
                    print(*row, *measured(off[solver]), *nearer[solver], flush=True)


if __name__ == "__main__":
    main()
