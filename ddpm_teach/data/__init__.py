"""Data sets: pictures with labels, by name or from a folder."""
