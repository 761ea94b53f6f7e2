"""How good are samples? metrics.py measures, evaluate.py judges a model and a sampler."""
