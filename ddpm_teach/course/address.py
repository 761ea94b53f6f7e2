"""The course's home: its address on GitHub, and every place that names it.

pyproject.toml keeps it, as project.urls.Repository; README, the setup cell and the Colab badge of every lesson follow
from there. Without an address the course works as well: no badge, and a setup cell that says how to go on.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ddpm_teach.course.setup_cell import stamped
from ddpm_teach.storage import write_bytes

GITHUB = re.compile(
    r"(?:(?:git\+)?https?://(?:www\.)?github\.com/|git@github\.com:)"
    r"(?P<owner>[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38})/(?P<repository>[\w.-]+?)(?:\.git)?(?:/tree/(?P<branch>.+?))?/?",
    re.ASCII,
)
BRANCH = re.compile(r"(?!.*\.\.)[\w+][\w.+-]*(?:/[\w+][\w.+-]*)*(?<!\.)(?<!\.lock)", re.ASCII)  # what git takes, too
COLAB = "https://colab.research.google.com"
README_BADGE = re.compile(r"\[!\[Open in Colab\]\([^)\s]*\)\]\([^)\s]*\)")
KEY = "Repository"  # of project.urls
FIRST = "00_start_here.ipynb"  # the lesson that README's badge opens


@dataclass(frozen=True)
class Address:
    """A repository and a branch on GitHub, which is where Colab finds notebooks. Its text is a web address."""

    owner: str
    repository: str
    branch: str = "main"

    def __str__(self) -> str:
        return f"https://github.com/{self.owner}/{self.repository}/tree/{self.branch}"

    def badge(self, lesson: str) -> str:
        """Markdown: a button that opens the lesson, "00_start_here.ipynb", in Colab."""
        place = f"github/{self.owner}/{self.repository}/blob/{self.branch}/notebooks/{lesson}"
        return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/{place})"


def parse_address(text: str, branch: str | None = None) -> Address:
    """The address that a browser, or `git remote`, shows as https://github.com/OWNER/REPO.

    Args:
        branch: None for the one in the address (…/tree/BRANCH), else main.

    Raises:
        ValueError: for what is no such address, or a branch that git or an address can't have.
    """
    match = GITHUB.fullmatch(text.strip())
    if not match or match["repository"] in (".", ".."):
        raise ValueError(f"address: expected https://github.com/OWNER/REPO, since Colab opens no other, got {text!r}")
    if branch and match["branch"] and branch != match["branch"]:
        raise ValueError(f"branch: the address says {match['branch']!r}, and this {branch!r}; leave one out")
    branch = match["branch"] or "main" if branch is None else branch
    if not BRANCH.fullmatch(branch):
        raise ValueError(f"branch: expected letters, digits and any of ._+-/ as in main or 2027/spring, got {branch!r}")
    return Address(match["owner"], match["repository"], branch)


def find_clone(folder: Path) -> Path:
    """The folder of the clone in which `folder` lies.

    Raises:
        FileNotFoundError: if it lies in none that has the lessons.
    """
    for place in (folder := folder.resolve(), *folder.parents):
        if (place / "pyproject.toml").is_file():
            if (place / "README.md").is_file() and any((place / "notebooks").glob("*.ipynb")):
                return place
            raise FileNotFoundError(f"{place}: has no README.md, or no lessons in notebooks/; use a whole clone")
    raise FileNotFoundError(f"{folder}: lies in no clone of the course; change into one, where pyproject.toml is")


def read_address(clone: Path) -> Address | None:
    """The address that pyproject.toml has; None without one.

    Raises:
        ValueError: for one that `parse_address` refuses, or a damaged file.
    """
    try:
        text = _urls(_parsed((clone / "pyproject.toml").read_text(encoding="utf8"))).get(KEY)
        return None if text is None else parse_address(str(text))
    except ValueError as error:
        raise ValueError(f"pyproject.toml: {error}") from None


def stale(clone: Path, address: Address | None) -> dict[Path, bytes]:
    """What has to be written so that every place names the address, by the paths of the files that don't yet.

    Raises:
        ValueError: for a file in which there's no place for it; it is named.
    """
    files = [clone / "pyproject.toml", clone / "README.md", *sorted((clone / "notebooks").glob("*.ipynb"))]
    found = {}
    for path in files:
        old = path.read_bytes()
        try:
            text = old.decode("utf8")
            windows = text.count("\n") == text.count("\r\n") > 0  # as git may lay files there
            new = _with_address(path, text.replace("\r\n", "\n") if windows else text, address)
        except ValueError as error:
            what = "is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else error
            raise ValueError(f"{path.relative_to(clone)}: {what}; nothing was written") from None
        if (data := (new.replace("\n", "\r\n") if windows else new).encode()) != old:
            found[path] = data
    return found


def write_all(files: Mapping[Path, bytes]) -> None:
    """Writes the files, or none of them: where one can't be written, those before it get back what they had."""
    before = {}
    try:
        for path, data in files.items():
            before[path] = path.read_bytes()
            write_bytes(path, data)
    except BaseException:
        for path, data in before.items():
            if path.read_bytes() != data:
                write_bytes(path, data)
        raise


def _with_address(path: Path, text: str, address: Address | None) -> str:
    """One file's text."""
    if path.suffix == ".ipynb":
        return stamped(text, str(address or ""), address.badge(path.name) if address else "")
    return (_pyproject if path.suffix == ".toml" else _readme)(text, address)


def _readme(text: str, address: Address | None) -> str:
    """With a badge that opens the first lesson: where one stands already, else below the title."""
    if address is None:
        return re.sub(rf"^{README_BADGE.pattern}\n\n?|{README_BADGE.pattern} ?", "", text, count=1, flags=re.MULTILINE)
    badge = address.badge(FIRST)
    if README_BADGE.search(text):
        return README_BADGE.sub(lambda _: badge, text, count=1)
    title = re.search(r"^# .*\n\n?", text, re.MULTILINE)
    place = title.end() if title else 0
    return f"{text[:place]}{badge}\n\n{text[place:]}"


def _pyproject(text: str, address: Address | None) -> str:
    """With the address under [project.urls]; everything else, comments too, stays as it is."""
    row = f'{KEY} = "{address}"\n' if address else ""
    if table := re.search(r"^\[project\.urls\]\n(?P<rows>(?:(?!\[).*\n)*)", text, re.MULTILINE):
        rows, found = re.subn(rf"^{KEY} *=.*\n", lambda _: row, table["rows"], count=1, flags=re.MULTILINE)
        rows = rows if found else row + rows
        written, (start, end) = f"[project.urls]\n{rows}" if rows.strip() else "", table.span()
    else:
        project = re.search(r"^\[project\]\n(?:(?!\[).*\n)*", text, re.MULTILINE)
        written, start = f"[project.urls]\n{row}\n" if address else "", project.end() if project else 0
        end = start
    new = f"{text[:start]}{written}{text[end:]}"
    try:
        changed = tomllib.loads(new) == _with_url(_parsed(text), address)
    except tomllib.TOMLDecodeError:
        changed = False
    if not changed:
        raise ValueError("project.urls is written in a way that can't be changed here; make it a table [project.urls]")
    return new


def _with_url(pyproject: dict, address: Address | None) -> dict:
    """What pyproject.toml says, with the address: to compare with what was written."""
    urls = {name: url for name, url in _urls(pyproject).items() if name != KEY}
    urls |= {KEY: str(address)} if address else {}
    project = {name: value for name, value in pyproject.get("project", {}).items() if name != "urls"}
    return pyproject | {"project": project | ({"urls": urls} if urls else {})}


def _parsed(text: str) -> dict:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is no TOML ({error}); mend it") from None


def _urls(pyproject: dict) -> dict:
    return pyproject.get("project", {}).get("urls", {})
