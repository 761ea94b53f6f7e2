"""Where and how precisely to compute: precision.py chooses, cuda_graphs.py records. The mathematics knows nothing of it."""
