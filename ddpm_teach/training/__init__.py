"""Training: the loss and the loop, the state that is saved, presets, and runs in a folder."""
