"""Where and how precisely to compute: precision.py chooses, cuda_graphs.py records. diffusion/ knows nothing of it."""
