"""The course's address: in every place or in none, and not a byte else changed; and what a setup cell makes of it."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from ddpm_teach import exercises
from ddpm_teach.cli import main
from ddpm_teach.course import address as addresses, home, paths
from ddpm_teach.course.address import Address, parse_address, read_address, stale
from ddpm_teach.course.build import build
from ddpm_teach.course.setup_cell import FOLDED, setup_source

ROOT = Path(__file__).parent.parent
HOME = "https://github.com/Ada-L/a.course/tree/main"
COLAB = "https://colab.research.google.com/github/Ada-L/a.course/blob/main/notebooks"
OTHER = "https://github.com/bob/fork/tree/2027/spring"
LESSONS = [f"notebooks/{name}.ipynb" for name in ("00_start_here", "05_context", "14_stable_diffusion")]
SETUP = new_code_cell("pass", metadata={"tags": ["setup"]}, id="s", execution_count=1)


def test_no_place_is_stale():
    """Whether the course has an address or none: all name the one in pyproject.toml. `ddpm-teach home` mends this."""
    assert not stale(ROOT, read_address(ROOT))


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A copy of what the command works on, with three of the lessons; it's the current folder."""
    for name in ("pyproject.toml", "README.md", *LESSONS):
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "clone" / name)
    monkeypatch.chdir(tmp_path / "clone")
    main(["home", "--none"])
    return tmp_path / "clone"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def setup_of(path):
    return next(cell for cell in nbformat.read(path, 4).cells if "setup" in cell.metadata.get("tags", []))


def test_an_address_comes_into_every_place_and_goes_again_without_a_trace(clone, capsys):
    before = contents(clone)
    assert main(["home", "https://github.com/Ada-L/a.course"]) == 0
    assert tomllib.loads((clone / "pyproject.toml").read_text())["project"]["urls"] == {"Repository": HOME}
    assert f"({COLAB}/00_start_here.ipynb)\n\n" in (clone / "README.md").read_text()
    assert read_address(clone) == Address("Ada-L", "a.course")
    for path in (clone / "notebooks").glob("*.ipynb"):
        title, badge, setup = nbformat.read(path, 4).cells[:3]
        assert title.source.startswith("# ") and badge.source.endswith(f"({COLAB}/{path.name})")
        assert setup.source == setup_source(HOME) and setup.outputs == []
    with_address = contents(clone)
    assert main(["home"]) == main(["home", HOME]) == 0 and contents(clone) == with_address
    assert main(["home", OTHER]) == 0 and read_address(clone) == Address("bob", "fork", "2027/spring")
    assert not any(b"Ada-L" in data for data in contents(clone).values())
    assert main(["home", HOME]) == 0 and contents(clone) == with_address
    assert main(["home", "--none"]) == 0 and contents(clone) == before
    assert "nothing is stale" in capsys.readouterr().out


def test_every_other_cell_keeps_every_byte(clone):
    """Also where another program wrote the file: its indent, order, escapes, numbers, texts in one piece."""
    output = {"output_type": "stream", "name": "stdout", "text": "ä\n"}
    cells = ['{"cell_type":"markdown","source":"# \\u00e4 [ { \\" ]","id":"t","metadata":{"x":1.50e2}}']
    cells += [json.dumps(SETUP, indent=4), json.dumps(new_code_cell("1", outputs=[output], id="z"), indent=3)]
    text = '{"nbformat": 4,\t"metadata":{"cells": [1]},"nbformat_minor":5, "cells" :[' + " ,\n".join(cells) + "] }"
    (clone / "notebooks/11_x.ipynb").write_text(text)
    main(["home", HOME])
    stamped = (clone / "notebooks/11_x.ipynb").read_text()
    nbformat.validate(nbformat.reads(stamped, 4))
    assert stamped.startswith(text[: text.index(cells[0])] + cells[0] + " ,\n")
    assert stamped.endswith(" ,\n" + cells[2] + "] }")
    _, badge, setup, last = nbformat.reads(stamped, 4).cells
    assert (badge.metadata.tags, setup.metadata, last.outputs) == (["badge"], FOLDED, [output])


def test_a_stamped_lesson_is_as_build_writes_it(tmp_path):
    """So `home` after `build`, or before it, leaves nothing to do."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "README.md").write_text("# A course\n")
    path = tmp_path / "notebooks/11_x.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# T"), SETUP, new_code_cell("print(1)")]), path)
    build(path)
    for address in (Address("a", "b"), None):
        addresses.write_all(stale(tmp_path, address))
        stamped = path.read_bytes()
        build(path)
        assert path.read_bytes() == stamped


def test_files_with_windows_line_ends_keep_them(clone):
    for path in (clone / "README.md", clone / "pyproject.toml", clone / "notebooks/00_start_here.ipynb"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before = contents(clone)
    main(["home", HOME])
    for name, data in contents(clone).items():
        assert data != before[name] and data.count(b"\n") - data.count(b"\r\n") in (0, data.count(b"\n")), name
    main(["home", "--none"])
    assert contents(clone) == before


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('[project.urls]\n# mine\nHomepage = "h"\n', {"Homepage": "h"}),
        (
            f'[project.urls]\nHomepage = "h"\nRepository   =   "{OTHER}"\nIssues = "i"\n',
            {"Homepage": "h", "Issues": "i"},
        ),
        ("[project.urls]\n", {}),
    ],
)
def test_other_rows_of_pyproject_stay(clone, table, expected):
    path = clone / "pyproject.toml"
    path.write_text(path.read_text() + table)
    main(["home", HOME])
    assert tomllib.loads(path.read_text())["project"]["urls"] == expected | {"Repository": HOME}
    assert ("# mine" in table) == ("# mine" in path.read_text())
    main(["home", "--none"])
    assert tomllib.loads(path.read_text())["project"].get("urls", {}) == expected


def test_a_badge_in_readme_is_renewed_where_it_stands(clone):
    old = "[![Open in Colab](x.svg)](https://colab.research.google.com/github/a/b/blob/main/notebooks/00.ipynb)"
    (clone / "README.md").write_text(f"words\n\n[![tests](t.svg)](t) {old} [![more](m.svg)](m)\n")
    main(["home", HOME])
    text = (clone / "README.md").read_text()
    assert text.startswith("words\n\n[![tests](t.svg)](t) [![Open") and text.endswith("ipynb) [![more](m.svg)](m)\n")
    main(["home", "--none"])
    assert (clone / "README.md").read_text() == "words\n\n[![tests](t.svg)](t) [![more](m.svg)](m)\n"


@pytest.mark.parametrize(
    "text",
    [
        *("https://github.com/a/b", "https://github.com/a/b/", "https://github.com/a/b.git", "git@github.com:a/b.git"),
        *("http://www.github.com/a/b", "git+https://github.com/a/b", " https://github.com/a/b/tree/main "),
    ],
)
def test_ways_to_write_an_address(text):
    assert str(parse_address(text)) == "https://github.com/a/b/tree/main"


@pytest.mark.parametrize("branch", ["v1.0", "2027/spring", "a_b-c+d"])
def test_branches(branch):
    assert parse_address("https://github.com/a/b", branch) == parse_address(f"https://github.com/a/b/tree/{branch}")


BAD_ADDRESSES = [
    *("", " ", "a/b", "github.com/a/b", "https://github.com", "https://github.com/a", "https://gitlab.com/a/b"),
    *("https://github.com/a/b c", "https://github.com/-a/b", "https://github.com/a/..", "https://github.com/a/b?x=1"),
    *(
        'https://github.com/a/b"',
        "https://github.com/a/b\nx",
        "https://github.com/ä/b",
        "https://github.com/a/b/blob/m/x",
    ),
]
BAD_BRANCHES = ["", " ", "my branch", "-x", "a..b", "a/", "/a", "a//b", "x.lock", "x.", "ä", "a@b", "a#b", "a)b", 'a"b']


@pytest.mark.parametrize(
    "words",
    [
        *([address] for address in BAD_ADDRESSES),
        *(["https://github.com/a/b", f"--branch={branch}"] for branch in BAD_BRANCHES),
        *(["https://github.com/a/b/tree/x", "--branch=y"], ["--branch=y"], ["--none", HOME], ["--none", ""]),
    ],
)
def test_what_is_no_address_is_refused_in_a_sentence(words, clone, capsys):
    before = contents(clone)
    capsys.readouterr()
    assert main(["home", *words]) == 2
    out, error = capsys.readouterr()
    assert not out and error.count("\n") == 1 and any(name in error for name in ("address:", "--branch:", "--none:"))
    assert contents(clone) == before


def without_lessons(clone):
    shutil.rmtree(clone / "notebooks")


def without_readme(clone):
    (clone / "README.md").unlink()


def without_pyproject(clone):
    (clone / "pyproject.toml").unlink()


def twice_set_up(clone):
    notebook = nbformat.read(clone / LESSONS[-1], 4)
    notebook.cells.append(SETUP)
    nbformat.write(notebook, clone / LESSONS[-1])


def breaks(name, *change):
    def damage(clone):
        text = (clone / name).read_bytes()
        (clone / name).write_bytes(text.replace(*change) if len(change) == 2 else change[0])

    damage.__name__ = f"{name}: {change[0][:20]}"
    return damage


DAMAGES = [
    *(without_lessons, without_readme, without_pyproject, breaks("pyproject.toml", b"[project]\nname = ")),
    *(breaks("pyproject.toml", b"[project]\n", b"[project]\nurls = {A = 'a'}\n"), breaks("README.md", b"\xff")),
    *(
        breaks(LESSONS[-1], data)
        for data in (b"", b"[]", b"{}", b'{"cells": {}}', b'{"cells": [5]}', b"\xff\xfe", b"{")
    ),
    *(breaks(LESSONS[-1], b'"setup"', b'"set"'), twice_set_up),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_no_whole_clone_is_told_and_nothing_is_written(damage, clone, capsys):
    damage(clone)
    before = contents(clone)
    capsys.readouterr()
    assert main(["home", HOME]) == 2
    out, error = capsys.readouterr()
    assert not out and error.count("\n") == 1 and contents(clone) == before


def test_an_address_that_cannot_be_read_is_told_and_can_be_replaced(clone, capsys):
    (clone / "pyproject.toml").write_text('[project]\nname = "x"\n\n[project.urls]\nRepository = "https://x.org"\n')
    assert main(["home"]) == 2 and "pyproject.toml" in capsys.readouterr().err
    assert main(["home", HOME]) == 0 and str(read_address(clone)) == HOME


@pytest.mark.parametrize("error", [OSError(28, "no space"), KeyboardInterrupt()])
def test_where_a_file_cannot_be_written_the_others_get_back_what_they_had(error, clone, monkeypatch):
    before, real = contents(clone), addresses.write_bytes

    def write(path, data):
        if path.name == "05_context.ipynb" and data != before["notebooks/05_context.ipynb"]:
            raise error
        real(path, data)

    monkeypatch.setattr(addresses, "write_bytes", write)
    assert main(["home", HOME]) in (2, 130)
    assert contents(clone) == before


# What a setup cell does.

PIP = """
import pathlib, sys
source, site = sys.argv[-1], pathlib.Path(__file__).parents[1]
pathlib.Path("asked").write_text(source)
if "broken" in source:
    sys.exit("no such thing")
(site / "ddpm_teach/course").mkdir(parents=True)
(site / "ddpm_teach/course/home.py").write_text("def keep_in_drive(): print('kept')")
"""


@pytest.fixture
def setup(tmp_path):
    """Runs a setup cell as in a fresh Colab whose Drive is a folder of ours: what pip is asked for, and the last line.

    There pip installs an empty package, and the next run begins without it.
    """
    content, drive, site = (tmp_path / name for name in ("content", "drive", "site"))
    content.mkdir()
    (site / "pip").mkdir(parents=True)
    (site / "pip/__main__.py").write_text(PIP)

    def run(home="", source=None):
        code = setup_source(home).replace("/content/drive/MyDrive", drive.as_posix())
        env = {"PYTHONPATH": os.fspath(site), "HOME": os.fspath(tmp_path), "PATH": os.environ["PATH"]}
        env |= {} if source is None else {"DDPM_TEACH_SOURCE": source}
        command = [sys.executable, "-S", "-c", code]  # -S: what is installed isn't there, so neither is this package
        done = subprocess.run(command, cwd=content, env=env, capture_output=True, text=True)
        asked = (content / "asked").read_text() if (content / "asked").exists() else None
        (content / "asked").unlink(missing_ok=True)
        shutil.rmtree(site / "ddpm_teach", ignore_errors=True)
        return asked, (done.stdout + done.stderr).strip().rpartition("\n")[2]

    run.content, run.drive = content, drive
    return run


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        *((HOME, "git+https://github.com/Ada-L/a.course@main"), (OTHER, "git+https://github.com/bob/fork@2027/spring")),
        *((f"git+{HOME}", "git+https://github.com/Ada-L/a.course@main"), ("git+ssh://g@h/r", "git+ssh://g@h/r")),
        ("https://example.org/r.git@v1", "git+https://example.org/r.git@v1"),
        *((url, url) for url in ("https://h/x.zip", "https://h/x-any.whl?download=1", "file:///a/x.tar.gz")),
        *(("'https://h/x.zip' ", "https://h/x.zip"), ("", "git+https://github.com/home/home@main")),
    ],
)
def test_a_source_by_address(setup, source, asked):
    assert setup("https://github.com/home/home/tree/main", source) == (asked, "")


@pytest.mark.parametrize("source", ["ddpm-teach", "./ddpm-teach", "~/content/ddpm-teach", "course.zip", "x.whl"])
def test_a_source_by_path_is_never_taken_for_the_name_of_a_package(setup, source):
    place = setup.content / Path(source).name
    asked, said = setup(HOME, source)
    assert asked is None and "neither an address nor a file" in said
    place.touch() if place.suffix else place.mkdir()
    assert setup(HOME, source) == (os.fspath(place), "")


def test_a_wheel_beside_the_notebook_comes_before_one_in_drive_and_both_before_the_home(setup):
    wheels = [
        setup.drive / "Colab Notebooks/ddpm_teach-1.9-py3-none-any.whl",
        setup.drive / "ddpm_teach-1.10-py3-none-any.whl",
        setup.content / "ddpm_teach-1.0-py3-none-any.whl",
    ]
    assert setup(HOME) == ("git+https://github.com/Ada-L/a.course@main", "")
    for wheel in wheels:
        wheel.parent.mkdir(parents=True, exist_ok=True)
        (wheel.parent / "another_package-9-py3-none-any.whl").touch()
        wheel.touch()
        assert setup(HOME) == (os.fspath(wheel), "kept" if setup.drive.exists() else "")
    assert setup(HOME, HOME)[0].startswith("git+"), "what is named comes first"


def test_without_any_source_one_sentence_says_what_to_do(setup):
    asked, said = setup()
    assert asked is None and said.startswith("ModuleNotFoundError: ddpm_teach is missing: put %env DDPM_TEACH_SOURCE=")


def test_what_pip_says_is_told(setup):
    asked, said = setup("https://h/broken.zip")
    assert asked in said and said.endswith("no such thing")


def test_where_the_package_is_a_setup_cell_does_nothing_and_says_nothing(tmp_path, capfd):
    exec(setup_source("https://h/never.zip").replace("/content/drive/MyDrive", os.fspath(tmp_path / "none")), {})
    assert capfd.readouterr() == ("", "")


# Where Drive is mounted, a learner's things are in it.


@pytest.fixture
def drive(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DRIVE", tmp_path / "MyDrive")
    monkeypatch.setenv("XDG_DATA_HOME", os.fspath(tmp_path / "data"))
    monkeypatch.delenv("DDPM_TEACH_PROGRESS")
    return tmp_path / "MyDrive"


def test_lessons_are_laid_into_drive_where_it_is_mounted(drive, capsys):
    home.keep_in_drive()
    assert not drive.exists() and capsys.readouterr().out == "" and paths.lessons_folder() == Path("my-lessons")
    drive.mkdir()
    home.keep_in_drive()
    laid = {path.name for path in (drive / "ddpm-teach/my-lessons").glob("*.ipynb")}
    assert laid == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert f"{drive / 'ddpm-teach/my-lessons'}: lessons: {len(laid)} copied" in capsys.readouterr().out
    assert paths.lessons_folder() == drive / "ddpm-teach/my-lessons"


def test_where_drive_is_full_that_is_told_and_the_lesson_goes_on(drive, capsys):
    drive.mkdir()
    (drive / "ddpm-teach").touch()
    home.keep_in_drive()
    assert "can't be kept" in capsys.readouterr().out


def test_what_was_solved_before_drive_was_mounted_counts_and_comes_along(drive):
    kept = drive / "ddpm-teach/progress.json"
    solve = lambda id: exercises.check(id, exercises.find(id).answer)  # noqa: E731
    assert solve("01.1").passed
    drive.mkdir()
    assert repr(exercises.progress()).splitlines()[0].endswith("●○○○○  1 of 5")
    assert solve("01.3").passed and json.loads(kept.read_text())["solved"] == ["01.1", "01.3"]
    shutil.rmtree(drive.parent / "data")  # as Colab does
    assert repr(exercises.progress()).splitlines()[0].endswith("●○●○○  2 of 5")
