"""Films of a walk that the hand moves: in JupyterLab, in Colab, and on pages without a kernel."""
