"""Where a learner's own things lie: in Google Drive where it is mounted, since Colab forgets everything else."""

from __future__ import annotations

from pathlib import Path

DRIVE = Path("/content/drive/MyDrive")  # where Colab's file browser and drive.mount("/content/drive") mount it


def drive_folder() -> Path | None:
    """The course's folder in Drive, which needn't be there yet; None where no Drive is mounted."""
    return DRIVE / "ddpm-teach" if DRIVE.is_dir() else None


def lessons_folder() -> Path:
    """Where the lessons are laid unless a folder is named: my-lessons, in Drive or in the folder at hand."""
    return (drive_folder() or Path()) / "my-lessons"
