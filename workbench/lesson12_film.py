"""Puts the section of the film into lesson 12: python l12.py TREE"""
import sys
from pathlib import Path
tree = Path(sys.argv[1]); sys.path.insert(0, str(tree))
from ddpm_teach.course.build import notebook_bytes, read_notebook
import nbformat

path = tree / "notebooks/12_latents.ipynb"
nb = read_notebook(path)
CELLS = [
("md", r"""## Diffusion in latents

Now the walk itself. `load_model("scenes")` draws latents to a caption (lesson 13 is about the words), and it brings the autoencoder along. The walk is lesson 06's, not a line is different. What it moves are latents; only to *see* them each frame is decoded, and the walk goes on with the latent.

**Predict first.** Lesson 00's film began with coloured specks, pixel by pixel. With what does this one begin, decoded? And what is settled first: the ground, where somebody stands, who it is, or the colours?"""),
("code", r"""from ddpm_teach import Sampler, load_model
from ddpm_teach.show import scrub

model = load_model("scenes")
captions = ["a red knight left of a green slime, at night", "a wizard in blue, in a desert"]
walk = Sampler(steps=20, guidance_scale=4.0)
frames = list(walk.frames(model, 2, model.context(*captions), seed=0))
scrub(model.decoded_frames(frames), model.schedule, columns=2, scale=4, start=7,
      alt="Two scenes come out of noise in 20 steps, decoded at each")"""),
("md", r"""Noise decodes to scraps of sprites and grounds, as above. The eye sees the order; counted, it is this: the reader (a network that names what it sees on a scene, lesson 13) reads the guess $\hat x_0$ of every step, decoded, and we ask of how many of 40 scenes it says already what it will say of the last one."""),
("code", r"""from ddpm_teach.evaluation.reading import load_reader

wishes = load("scenes", "test", n=40).attributes["caption"].tolist()
walks = list(walk.frames(model, 40, model.context(*wishes), seed=0))[1:]
readings = [load_reader().read(model.decoded(frame.x0)) for frame in walks]
asked = {"ground": lambda one: one.background,
         "relation": lambda one: one.relation,
         "kinds": lambda one: [sprite["kind"] for sprite in one.sprites],
         "main colours": lambda one: [sprite["color"] for sprite in one.sprites]}
curves = {}
for name, seen in asked.items():
    settled = [sum(seen(a) == seen(b) for a, b in zip(now, readings[-1], strict=True)) / 40
               for now in readings]
    curves[name] = ([frame.t for frame in walks], settled)
    print(f"{name:13} as in the end: {settled[0]:.0%} after the first call, "
          f"{settled[5]:.0%} after 6, {settled[10]:.0%} after 11")
show(lines(curves, "time t, from right to left", "share that is as in the end"),
     "What is settled when, of 40 scenes")"""),
("md", r"""⟨WHAT⟩"""),
]
at = next(i for i, c in enumerate(nb.cells) if c.source.startswith("With 16 channels, from 4 to 16"))
cell = nb.cells[at]
head, rest = cell.source.split("## What you now know")
nb.cells = [c for c in nb.cells if not c.get("metadata", {}).get("film12")]
at = nb.cells.index(cell)
cell.source = head.rstrip()
new = []
for kind, text in CELLS:
    c = (nbformat.v4.new_markdown_cell if kind == "md" else nbformat.v4.new_code_cell)(text)
    new.append(c)
know = nbformat.v4.new_markdown_cell("## What you now know" + rest.rstrip() + "\n7. Diffusion in latents is the walk you know; only what it moves is another thing.")
nb.cells[at + 1:at + 1] = [*new, know]
for c in nb.cells:  # smaller pictures, for the film's sake
    c.source = c.source.replace("descending=True)[:6]\nx, y, linear_16", "descending=True)[:4]\nx, y, linear_16").replace('"The six of 200 scenes that lose most",\n     rows=rows, columns=6', '"The four of 200 scenes that lose most",\n     rows=rows, columns=4')
path.write_bytes(notebook_bytes(nb))
