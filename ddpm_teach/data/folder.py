"""Your own pictures as a data set: what a folder holds, and of which classes. Lesson 09.

Reading a folder by rules that nobody sees trains the wrong thing without a word. So `survey` says in one line what it
counted and what it passed over, and why; what could be meant in two ways is refused.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ddpm_teach.checks import check_int
from ddpm_teach.data.decode import read_picture
from ddpm_teach.data.images import ImageSet

RUN = "run.json"  # what a training run writes into its folder: the pictures beside it are its own samples
_SYSTEM = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini"}
# Pillow knows these formats by name only, or by a program outside it, or (MPEG) as a film.
_NO_DECODER = {"BUFR", "GRIB", "HDF5", "WMF", "EPS", "MPEG"}
_PICTURES = {  # known as pictures, with or without a decoder here
    *(".heic", ".heif", ".hif", ".avif", ".avifs", ".webp", ".jxl", ".jxr", ".jp2", ".svg", ".svgz", ".eps", ".ps"),
    *(".ai", ".wmf", ".emf", ".exr", ".hdr", ".xcf", ".kra", ".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw"),
    *(".arw", ".srf", ".orf", ".rw2", ".raf", ".pef", ".srw", ".x3f", ".3fr"),
}


@dataclass
class _Contents:
    """What lies in a folder and in the folders inside it."""

    pictures: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)  # pictures of formats without a decoder here
    others: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    runs: list[Path] = field(default_factory=list)
    special: list[Path] = field(default_factory=list)  # called like a picture, and a pipe or a device: reading may hang

    def add(self, more: _Contents) -> None:
        for name, paths in vars(more).items():
            getattr(self, name).extend(paths)

    def passed_over(self, root: Path) -> list[str]:
        """A phrase for each reason for which something isn't a picture of the set."""
        phrases = []
        if self.hidden:
            phrases.append(_count(self.hidden, "hidden file or folder", "hidden files or folders"))
        if self.runs:
            where = _some(str(run.relative_to(root)) for run in self.runs)
            phrases.append(_count(self.runs, "folder", "folders") + f" of a run's own output ({where}: {RUN})")
        if self.unreadable:
            pictures = _count(self.unreadable, "picture", "pictures")
            phrases.append(f"{pictures} that Pillow can't open here ({_suffixes(self.unreadable)}): convert to .png")
        if self.special:
            names = _some(path.name for path in self.special)
            phrases.append(_count(self.special, "pipe or device", "pipes or devices") + f" ({names})")
        if self.others:
            phrases.append(_count(self.others, "other file", "other files") + f" ({_suffixes(self.others)})")
        return phrases


@dataclass(frozen=True)
class FolderSurvey:
    """The pictures of a folder, by class; as a string, one line that says how many there are and what is left out.

    Attributes:
        path: the folder.
        pictures: class → its files, both in order of their names.
        passed_over: a phrase for each reason why something in the folder is left out.
    """

    path: Path
    pictures: dict[str, tuple[Path, ...]]
    passed_over: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.pictures)

    def __str__(self) -> str:
        counts = [(name, len(files)) for name, files in self.pictures.items()]
        n, rest = sum(count for _, count in counts), [count for _, count in counts[20:]]
        shown = ", ".join(f"{name} {count}" for name, count in counts[:20])
        line = f"{self.path}: {n} picture{'s' * (n != 1)}: {shown}"
        if rest:
            line += f" and {len(rest)} more classes of {min(rest)} to {max(rest)} each"
        return line + (f"; passed over: {', '.join(self.passed_over)}" if self.passed_over else "")


def survey(path: str | Path) -> FolderSurvey:
    """What `from_folder` reads: the folders inside are the classes, or, without any, the folder itself is the only one.

    Pictures deeper down belong to the class of the topmost folder (cats/2023/a.png is one of cats). Hidden files and
    folders, a run's own output (a folder with a run.json), formats that Pillow can't open and files of other kinds are
    passed over, and counted; so are pipes and devices. Links are followed.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it.
        ValueError: for a class folder without a picture, pictures both in folders and beside them, or what this user
            isn't allowed to look at.
    """
    path = existing_folder(path)
    entries = _entries(path)
    if _is_run(entries):
        raise ValueError(f"path: {path} is a run's own output (it holds {RUN}); move your pictures elsewhere")
    suffixes, loose, folders = _readable_suffixes(), _Contents(), {}
    for entry in entries:
        if not _is_hidden(entry) and stat.S_ISDIR(_kind(entry)):
            folders[entry.name] = _contents(entry, suffixes, (path.resolve(),))
        else:
            _sort_in(entry, loose, suffixes)
    everything = _Contents()
    for contents in (loose, *folders.values()):
        everything.add(contents)
    # What holds runs and no pictures is no class: `runs/` itself, for example.
    folders = {name: contents for name, contents in folders.items() if contents.pictures or not contents.runs}
    phrases = everything.passed_over(path)
    if not everything.pictures:
        what = f"; there are only {', '.join(phrases)}" if phrases else ""
        raise FileNotFoundError(
            f"path: no pictures in {path}{what}; expected files such as .png or .jpg, or folders of them"
        )
    if not loose.pictures:
        for name, contents in folders.items():
            if not contents.pictures:
                raise ValueError(
                    f"path: {path / name} should be a class and holds no picture"
                    f" ({', '.join(contents.passed_over(path)) or 'nothing at all'}); put pictures there, or remove it"
                )
        pictures = {name: tuple(contents.pictures) for name, contents in folders.items()}
        return FolderSurvey(path, pictures, tuple(phrases))
    inside = [name for name, contents in folders.items() if contents.pictures or contents.unreadable]
    if inside:
        raise ValueError(
            f"path: {path} holds {_count(loose.pictures, 'picture', 'pictures')} beside folders of pictures"
            f" ({_some(inside)}); move the loose ones ({_some(file.name for file in loose.pictures)}) into a folder of"
            " their own, which makes them a class"
        )
    if folders:
        phrases.append(_count(folders, "folder", "folders") + f" without pictures ({_some(folders)})")
    return FolderSurvey(path, {path.resolve().name or "pictures": tuple(loose.pictures)}, tuple(phrases))


def existing_folder(path: str | Path) -> Path:
    """The folder, with ~ for the home folder.

    Raises:
        FileNotFoundError: for what is none; an empty text would be the current folder.
    """
    try:
        folder = Path(path).expanduser()
        if str(path) and folder.is_dir():
            return folder
    except (OSError, ValueError, RuntimeError):  # a name that is too long, or holds a null byte; a ~user without a home
        pass
    raise FileNotFoundError(f"path: {str(path)[:200]!r} is no folder; give one with pictures in it")


def folder_classes(path: str | Path) -> tuple[str, ...]:
    """The classes of `from_folder`: the names of the folders inside, or of the folder itself where it has none.

    Raises:
        FileNotFoundError, ValueError: as `survey`.
    """
    return survey(path).classes


def from_folder(path: str | Path, size: int, tell: Callable[[str], object] | None = print) -> ImageSet:
    """Your own pictures: all in a folder, each cut to a centred square and scaled to size × size, in RGB.

    Each is taken as a viewer shows it: turned as its EXIF orientation says, transparency laid over white, 16 bits
    scaled to 8, of an animation the first frame. Which pictures these are, and of which classes: see `survey`.

    Args:
        size: such as 16, 28 or 32.
        tell: is called with the survey's line, before the pictures are read; None says nothing, which all but one
            of several processes want.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it.
        ValueError: for a picture that can't be read, or doesn't say which of its numbers is white (it is named); a
            size below 1; a class folder without a picture; pictures both in folders and beside them.
    """
    check_int("size", size, 1)
    summary = survey(path)
    if tell is not None:
        tell(str(summary))
    files = [(file, label) for label, name in enumerate(summary.classes) for file in summary.pictures[name]]
    pixels = np.empty((len(files), size, size, 3), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large, but it is read
        for i, (file, _) in enumerate(files):
            pixels[i] = read_picture(file, size)
    labels = torch.from_numpy(np.array([label for _, label in files], np.int64))
    return ImageSet(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels, summary.classes)


def _readable_suffixes() -> set[str]:
    known = Image.registered_extensions()  # plugins, such as pillow-heif's, add theirs
    return {".mpo"} | {end for end, kind in known.items() if kind in Image.OPEN and kind not in _NO_DECODER}


def _is_hidden(entry: Path) -> bool:
    return entry.name.startswith(".") or entry.name.lower() in _SYSTEM


def _entries(folder: Path) -> list[Path]:
    try:
        os.stat(f"{folder}/.")  # entries may be listed and yet not be looked at
        return sorted(folder.iterdir())
    except OSError as error:
        raise ValueError(f"path: {folder} can't be listed ({error.strerror}); allow it, or remove the folder") from None


def _is_run(entries: list[Path]) -> bool:
    return any(entry.name == RUN for entry in entries)


def _kind(entry: Path) -> int:
    """The file's mode, which says what kind it is; 0 for a link to nothing.

    Raises:
        ValueError: for what this user may not look at.
    """
    try:
        return entry.stat().st_mode
    except PermissionError as error:
        raise ValueError(f"path: {entry} can't be looked at ({error.strerror}); allow it, or remove it") from None
    except OSError:
        return 0


def _contents(folder: Path, suffixes: set[str], above: tuple[Path, ...]) -> _Contents:
    contents, here = _Contents(), folder.resolve()
    if here in above:  # a link to a folder that it lies in
        return contents
    entries = _entries(folder)
    if _is_run(entries):
        contents.runs.append(folder)
        return contents
    for entry in entries:
        if not _is_hidden(entry) and stat.S_ISDIR(_kind(entry)):
            contents.add(_contents(entry, suffixes, (*above, here)))
        else:
            _sort_in(entry, contents, suffixes)
    return contents


def _sort_in(entry: Path, contents: _Contents, suffixes: set[str]) -> None:
    suffix = entry.suffix.lower()
    if _is_hidden(entry):
        contents.hidden.append(entry)
    elif suffix in suffixes:
        kind = _kind(entry)  # a link to nothing isn't passed over: reading it names it
        (contents.pictures if kind == 0 or stat.S_ISREG(kind) else contents.special).append(entry)
    elif suffix in _PICTURES:
        contents.unreadable.append(entry)
    else:
        contents.others.append(entry)


def _count(things: list | dict, one: str, many: str) -> str:
    return f"{len(things)} {one if len(things) == 1 else many}"


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _suffixes(files: list[Path]) -> str:
    counts = Counter(file.suffix.lower() or "without suffix" for file in files)
    return _some(name for name, _ in counts.most_common())
