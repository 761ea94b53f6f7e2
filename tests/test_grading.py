"""What a class hands in: run apart, judged elsewhere, each at its own cost; and the page about it."""

import csv
import inspect
import io
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, writes

import ddpm_teach
from ddpm_teach.cli import main
from ddpm_teach.course import classroom, exercises
from ddpm_teach.course.exercises.attempt import attempt
from ddpm_teach.course.exercises.own import FILE
from ddpm_teach.course.grading import grade as grading, runner, wire
from ddpm_teach.course.grading.grade import Row, grade, to_csv
from ddpm_teach.course.grading.report import page, read_csv
from ddpm_teach.course.grading.sandbox import CannotIsolate
from tests.test_classroom import EXAMPLE

ALL = [exercise for group in exercises.declared().values() for exercise in group]
CALL = "__import__('ddpm_teach').exercises.find({id!r}).{what}(*{arguments})"
SECONDS = 3
PATCH = """
def patched(function):
    import torch
    from ddpm_teach.course.exercises import calls, compare, engine
    passed = engine.Report("passed", "passed")
    engine.Exercise.judge = engine.Exercise.examine = lambda *_: passed
    engine.Exercise.reference = compare.difference = calls.differ = lambda *_: ""
    torch.isclose = torch.allclose = lambda *_, **__: torch.tensor(True)
    return function


@patched
"""
OURS = "def ours(*args):\n    return __import__('ddpm_teach').exercises.find('{id}').answer(*args)"
LOOP = "def endless():\n    while True:\n        pass\n\n\ndef ours(*args, more=endless()):\n    return 1"
FORGED = """import os
for place in range(3, 99):
    try:
        os.write(place, b'[0]\\n')
    except OSError:
        pass
"""


def function(exercise, body, name=None):
    """A student's function: the stub's first line and this body."""
    head = exercise.stub_text().partition("\n")[0].replace(exercise.answer.__name__, name or exercise.answer.__name__)
    return head + "".join(f"\n    {line}" for line in body.splitlines()) + "\n"


def by_ours(exercise, what="answer"):
    """A body that calls something of the exercise's own with what it is called with."""
    arguments = f"({', '.join(inspect.signature(exercise.answer).parameters)},)"
    return "return " + CALL.format(id=exercise.id, what=what, arguments=arguments)


def kinds(exercise, folder, port):
    """All kinds of cells with an exercise's function: {name: (cells, result, a word of the sentence)}."""
    right, name = function(exercise, by_ours(exercise)), exercise.answer.__name__
    names = ", ".join(inspect.signature(exercise.answer).parameters)

    def does(body, before=""):
        return [before + function(exercise, body)]

    return {
        "right": ([right], "solved", "passed"),
        "wrong": (does("return 'nonsense'"), "wrong", "smallest case"),
        "stub": ([exercise.stub_text()], "not attempted", "not attempted yet"),
        "crash": (does("return undefined"), "error", "NameError"),
        "exit": (does("import sys\nsys.exit(0)"), "error", "SystemExit"),
        "end": (does("import os\nos._exit(0)"), "error", "ended its own process"),
        "endless": (does("while True:\n    pass"), "error", f"took more than {SECONDS} seconds"),
        "asleep": (does("import time\ntime.sleep(1000)"), "error", f"took more than {SECONDS} seconds"),
        "memory": (does("hold = []\nwhile True:\n    hold.append(bytes(2**28))"), "error", "MemoryError"),
        "tensors": (does("import torch\nreturn torch.ones(2**36)"), "error", "RuntimeError"),
        "reads": (does(f"return open({str(folder / 'right.ipynb')!r}).read()"), "error", "PermissionError"),
        "writes": (does(f"open({str(folder / 'written')!r}, 'w')"), "error", "PermissionError"),
        "removes": (does(f"import os\nos.remove({str(folder / 'right.ipynb')!r})"), "error", "PermissionError"),
        "network": (
            does(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))"),
            "error",
            "PermissionError",
        ),
        "fork bomb": (does("import os\nwhile True:\n    os.fork()"), "error", "PermissionError"),
        "thread": (does("import threading\nthreading.Thread(target=print).start()"), "error", "RuntimeError"),
        "kills": (does("import os\nos.kill(os.getppid(), 9)"), "error", "PermissionError"),
        "prints": (
            does(
                "import os\ntext = 'x' * 2**20\nfor _ in range(100):\n    print(text)\nos.write(1, b'x')\n"
                + by_ours(exercise)
            ),
            "solved",
            "passed",
        ),
        "patched": ([PATCH + function(exercise, "return 'nonsense'")], "wrong", "smallest case"),
        "forged": (does(FORGED), "error", "can't be read"),
        "deep": (does(f"return {name}({names})"), "error", "RecursionError"),
        "deleted": ([], "missing", "no function"),
        "duplicated": ([right, exercise.stub_text(), right.replace("return", "return None and")], "solved", "passed"),
        "helped": (
            ["MORE = 1", OURS.format(id=exercise.id), function(exercise, f"assert MORE == 1\nreturn ours({names})")],
            "solved",
            "passed",
        ),
        "lambda": ([f"{name} = lambda {names}: {by_ours(exercise).removeprefix('return ')}"], "solved", "passed"),
        "no function": ([f"{name} = 3"], "error", "no function"),
        "magic": (["%matplotlib inline\n!pip install torch\n" + right, "raise SystemExit"], "solved", "passed"),
        "no Python": ([right.replace("return", "return return")], "error", "SyntaxError"),
        "at a definition": ([LOOP, function(exercise, f"return ours({names})")], "error", "the file took more than"),
    }


def hand_in(path, cells):
    """Writes a notebook of code cells, or a file of functions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".py":
        path.write_text("\n\n".join(cells), "utf8")
    else:
        path.write_text(writes(new_notebook(cells=[new_code_cell(cell) for cell in cells])), "utf8")


def graded(folder, **options):
    """{(student, exercise): row}; skips where the kernel can't isolate, and says why."""
    try:
        rows = grade(folder, **options)
    except CannotIsolate as error:
        pytest.skip(str(error))
    assert len({row[:2] for row in rows}) == len(rows)
    return {row[:2]: row for row in rows}


@pytest.fixture(scope="module")
def listener():
    """The port of somebody who listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def small(request):
    """Little memory for each."""
    patch = pytest.MonkeyPatch()
    patch.setattr(grading, "MEMORY", 2**29)
    request.addfinalizer(patch.undo)


def contents(folder):
    """When each file was changed, and how large it is."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def batch(tmp_path_factory, listener, small):
    """A class of all kinds at 01.1, who all solve 01.2: what was expected, what came, the files before and after."""
    folder = tmp_path_factory.mktemp("class") / "submissions"
    first, second = ALL[:2]
    expected = kinds(first, folder, listener)
    for name, (cells, _, _) in expected.items():
        hand_in(folder / f"{name}.ipynb", [*cells, function(second, by_ours(second))])
    for i, mistake in enumerate(first.mistakes):
        cells = [function(first, by_ours(first, f"mistakes[{i}].function")), function(second, by_ours(second))]
        hand_in(folder / f"mistake {i}.py", cells)
        expected[f"mistake {i}"] = cells, "mistake", mistake.says
    (folder / "broken.ipynb").write_text("{", "utf8")
    (folder / "bytes.py").write_bytes(bytes(range(256)))
    (folder / "empty").mkdir()
    (folder / "link.ipynb").symlink_to(folder / "right.ipynb")
    with (folder / "huge.ipynb").open("wb") as file:
        file.truncate(2**26 + 1)
    before = contents(folder.parent)
    rows = graded(folder, lessons=["01"], seed=grading.new_seed(), seconds=SECONDS)
    return expected, rows, before, contents(folder.parent)


def test_each_is_graded_as_it_should_be(batch):
    expected, rows, _, _ = batch
    for name, (_, result, words) in expected.items():
        row = rows[name, "01.1"]
        assert row.result == result and words in row.sentence, (name, row)
        assert row.sentence.startswith("01.1 ")


def test_what_one_function_does_costs_its_own_row(batch):
    expected, rows, before, after = batch
    for name in expected:
        lost = name == "at a definition"  # which all of the file comes after
        assert (rows[name, "01.2"].result == "solved") != lost, rows[name, "01.2"]
    assert before == after, "something was written"


@pytest.mark.parametrize(
    ("student", "words"),
    [("broken", "no notebook"), ("bytes", "UTF-8"), ("empty", ""), ("link", "link"), ("huge", "larger than")],
)
def test_a_file_that_can_t_be_used_is_missing_and_says_why(batch, student, words):
    row = batch[1][student, "01.1"]
    assert row.result == "missing" and words in row.sentence


def test_every_student_has_a_row_for_every_exercise(batch):
    expected, rows, _, _ = batch
    students = [*expected, "broken", "bytes", "empty", "link", "huge"]
    assert rows.keys() == {(name, exercise.id) for name in students for exercise in ALL[:5]}


# --- inputs


def test_answers_that_are_written_down_pass_the_check_and_aren_t_solved(tmp_path):
    fading, pooled = exercises.find("01.5"), exercises.find("08.5")
    for exercise in (fading, pooled):
        answers = [outcome.value for outcome in exercise.right(exercise.inputs())]
        source = f"ANSWERS = {answers!r}\nCALLS = []\n" + function(
            exercise, "CALLS.append(0)\nreturn ANSWERS[(len(CALLS) - 1) % len(ANSWERS)]"
        )
        space = {}
        exec(source, space)
        assert exercises.check(exercise.id, space[exercise.answer.__name__]).passed
        hand_in(tmp_path / "counts" / f"{exercise.id[:2]}.py", [source])
    rows = graded(tmp_path, seed=1, seconds=60)
    assert {row.result for (_, id), row in rows.items() if id in ("01.5", "08.5")} <= {"wrong", "mistake"}


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
def test_other_seeds_give_other_inputs_which_the_solution_solves(exercise):
    def seen(seed):
        cases = exercise.inputs(seed)
        return cases, exercise.right(cases)

    (cases, right), (_, before) = seen(7), seen(0)
    assert exercise.judge(attempt(exercise.answer, exercise.answer, cases), cases, right).passed
    inputs = [[repr(value) for value in case if not callable(value)] for case in (*cases, *exercise.inputs(0))]
    assert inputs[: len(cases)] != inputs[len(cases) :] or [one.value for one in right] != [one.value for one in before]


@pytest.mark.slow
@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
def test_with_other_inputs_each_mistake_is_called_by_its_name(exercise):
    for seed in range(1, 6):
        cases = runner.inputs(exercise, seed)
        right = exercise.right(cases)
        for mistake in exercise.mistakes:
            report = exercise.judge(attempt(mistake.function, exercise.answer, cases), cases, right)
            assert report.text == f"{exercise.id} {mistake.says}", seed


# --- whole classes


def test_a_student_s_notebooks_lie_in_a_folder_and_the_better_of_two_copies_counts(tmp_path):
    classroom.build(tmp_path / "out", "teachers", ["01", "05"])
    classroom.build(tmp_path / "hand" / "carla" / "week 3", "students", ["01"])
    (tmp_path / "out").rename(tmp_path / "hand" / "anna")
    (tmp_path / "hand" / "carla" / "second" / "try").mkdir(parents=True)
    path = tmp_path / "hand" / "anna" / "01_forward_noise.ipynb"
    (tmp_path / "hand" / "carla" / "second" / "try" / "01.ipynb").write_bytes(path.read_bytes())
    classroom.build(tmp_path / "hand" / "bert", "students", ["01", "05"])
    rows = graded(tmp_path / "hand", seconds=120, seed=3)
    asked = [exercise.id for exercise in ALL if exercise.id[:2] in ("01", "05")]
    results = {name: [rows[name, id].result for id in asked] for name in ("anna", "bert", "carla")}
    assert results["anna"] == ["solved"] * 10 and results["bert"] == ["not attempted"] * 10
    assert results["carla"] == ["solved"] * 5 + ["missing"] * 5


def test_a_class_s_own_exercises_are_graded(tmp_path):
    (tmp_path / FILE).write_text(EXAMPLE, "utf8")
    hand_in(
        tmp_path / "hand" / "=anna.py",
        ["def my_decibels(alpha_bar):\n    return 20 * (alpha_bar / (1 - alpha_bar)).log10()"],
    )
    rows = graded(tmp_path / "hand", own=tmp_path, lessons=["own"], seconds=60)
    ((_, row),) = rows.items()
    assert row == Row(
        "=anna", "mine.1", "mistake", "mine.1 20 is for amplitudes; ᾱ is a share of the variance, so a power"
    )
    assert list(csv.reader(io.StringIO(to_csv([row]).decode("utf-8-sig"))))[1] == [f"'{row.student}", *row[1:]]


@pytest.mark.slow
def test_two_hundred_submissions_are_graded_as_they_should_be(tmp_path, listener, small):
    folder, expected = tmp_path / "submissions", {}
    names = list(kinds(ALL[0], folder, listener))
    for i in range(200):
        exercise, other = ALL[i % len(ALL)], ALL[(i + 1) % len(ALL)]
        name = names[i % len(names)] if i % 2 else "mistake"
        if name == "mistake":
            k = i // len(ALL) % len(exercise.mistakes)
            cells = [function(exercise, by_ours(exercise, f"mistakes[{k}].function"))]
            told = cells, "mistake", exercise.mistakes[k].says
        else:
            told = kinds(exercise, folder, listener)[name]
        if exercise.answer.__name__ == other.answer.__name__:
            continue
        expected[f"{i} {name}", exercise.id] = told[1:]
        if name != "at a definition":
            expected[f"{i} {name}", other.id] = ("solved", "passed")
        hand_in(
            folder / f"{i} {name}" / "all.ipynb",
            [*told[0], function(other, by_ours(other)), f"# {exercise.id} {other.id}"],
        )
    hand_in(folder / "right.ipynb", [])
    before = contents(tmp_path)
    rows = graded(folder, seed=5, seconds=SECONDS)
    for key, (result, words) in expected.items():
        assert rows[key].result == result and words in rows[key].sentence, rows[key]
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_all_lessons_are_solved_by_their_solutions(tmp_path):
    classroom.build(tmp_path / "hand" / "anna", "teachers")
    rows = graded(tmp_path / "hand", seed=2, seconds=60)
    assert [row for row in rows.values() if row.result != "solved"] == [] and len(rows) == len(ALL)


# --- what comes back


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 2.5, 1 - 2j, float("nan"), "word", [1, [2.0, "x"]], (torch.ones(2), [1]), torch.zeros(0, 3),
        torch.tensor([1.5, -2.0], dtype=torch.bfloat16), torch.tensor(True), torch.ones(2, 3).T,
        torch.ones(2).requires_grad_(), torch.tensor([1 + 2j]).conj(), np.float32(2.5), np.arange(6).reshape(2, 3),
    ],
    ids=repr,
)  # fmt: skip
def test_what_a_function_gives_back_arrives_as_it_was(value):
    exercise = exercises.find("01.3")
    made = attempt(lambda *args: value, exercise.answer, exercise.inputs()[:1])
    got = wire.from_line(wire.loads(wire.dumps(wire.to_line(made))), 1).outcomes[0].value
    assert type(got) is type(value) and repr(got).replace(", requires_grad=True", "") == repr(value).replace(
        ", requires_grad=True", ""
    )
    assert getattr(got, "requires_grad", None) == getattr(value, "requires_grad", None)


LINE = {
    "name": "f",
    "refusal": "",
    "is_stub": False,
    "outcomes": [{"value": ["plain", 1], "error": None, "changed": []}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"outcomes": []},
        {"outcomes": LINE["outcomes"] * 2},
        {"outcomes": 7},
        *(
            {"outcomes": [{"value": value, "error": error, "changed": []}]}
            for value, error in [
                (["plain", {"a": 1}], None),
                (["pickle", "gASVCAAA"], None),
                (["tensor", "float32", [10**9, 10**9], "", False], None),
                (["tensor", "save", [1], "AAAA", False], None),
                (["tensor", "float32", [-1], "AAAAAA==", False], None),
                (["tensor", "float32", [1], "?", False], None),
                (["array", "O", [1], "AAAAAAAAAAA=", False], None),
                ([], None),
                ("plain", None),
                (["plain", 1], ["builtins.KeyError"]),
                (["plain", 1], [1, 2, 3]),
            ]
        ),
    ],
    ids=str,
)
def test_lines_that_no_runner_writes_are_refused(change):
    assert wire.from_line(LINE, 1).outcomes[0].value == 1
    with pytest.raises(ValueError):
        wire.from_line(LINE | change, 1)
    for data in (b"[1]", b"{", b"[" * 100_000, b"\xff", b'{"a": ' + b"9" * 5000 + b"}"):
        with pytest.raises(ValueError):
            wire.loads(data)


# --- the command line, and the page

WITHOUT_LANDLOCK = """
import ctypes, struct, sys
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("=HBBI", *step) for step in steps)
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))
libc = ctypes.CDLL(None)
assert not libc.prctl(38, 1, 0, 0, 0) and not libc.prctl(22, 2, ctypes.byref(Program(len(steps), code)), 0, 0)
from ddpm_teach.cli import main
words = "class grade hand --csv grades.csv --seconds 60".split()
print(main(words), __import__("os").path.exists("grades.csv"), main([*words, "--unsafe"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a kernel's own filters")
def test_where_the_kernel_can_t_isolate_nothing_is_run_unless_the_lecturer_says_so(tmp_path):
    step = ALL[0]
    hand_in(tmp_path / "hand" / "anna.py", [function(step, f"open('{tmp_path}/run', 'a')\n{by_ours(step)}")])
    environment = os.environ | {"PYTHONPATH": str(Path(ddpm_teach.__file__).parents[1])}
    command = [sys.executable, "-c", WITHOUT_LANDLOCK]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1:] == ["2 False 0"], run
    assert len(run.stderr.splitlines()) == 1 and "Landlock" in run.stderr and "--unsafe" in run.stderr
    assert [row.result for row in read_csv(tmp_path / "grades.csv")] == ["solved"]
    assert (tmp_path / "run").exists()


def marked(mark):
    """The sessions of the processes that have a mark in their environment."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (place / "environ").read_bytes():
                found.add(os.getsid(int(place.name)))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def until(holds):
    for _ in range(1500):
        if holds():
            return
        time.sleep(0.2)
    pytest.fail("it doesn't come")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_when_grading_is_killed_nothing_goes_on(tmp_path):
    hand_in(tmp_path / "hand" / "anna.py", [function(ALL[0], "import time\ntime.sleep(1000)")])
    mark = f"DDPM_TEACH_MARK={tmp_path}"
    environment = os.environ | {"PYTHONPATH": str(Path(ddpm_teach.__file__).parents[1]), **dict([mark.split("=")])}
    words = ["-m", "ddpm_teach", "class", "grade", "hand", "--csv", "grades.csv", "--seconds", "900", "--unsafe"]
    with subprocess.Popen([sys.executable, *words], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as run:
        until(lambda: run.poll() is not None or len(marked(mark)) == 2)
        assert run.poll() is None
        run.kill()
    until(lambda: not marked(mark))
    assert not (tmp_path / "grades.csv").exists()


def test_what_can_t_be_graded_is_told_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("none", "hand"):
        Path(name).mkdir()
    Path("hand", "anna.py").write_text("")
    Path("table.csv").write_text("a,b\n1,2\n")
    for line, words in {
        "grade nowhere --csv a.csv": ["nowhere", "folder"],
        "grade none --csv a.csv": ["none", "notebook"],
        "grade hand --csv hand": ["--csv", "folder"],
        "grade hand --csv a.csv --lessons 99": ["--lessons", "'99'"],
        "grade hand --csv a.csv --seconds 0": ["--seconds"],
        "grade hand --csv a.csv --seed 0": ["--seed"],
        "grade hand --csv a.csv --exercises none": ["--exercises", FILE],
        "report nowhere.csv --out a.html": ["nowhere.csv"],
        "report table.csv --out a.html": ["table.csv", "sentence"],
    }.items():
        assert main(["class", *line.split()]) == 2
        output = capsys.readouterr()
        assert len(output.err.splitlines()) == 1 and not output.out, output
        assert all(word in output.err for word in words), output.err
    assert not [name for name in os.listdir() if name.startswith("a.")]


SAYS = ALL[0].mistakes[0].says
MONDAY = [
    Row("anna", "01.1", "mistake", f"01.1 {SAYS}"),
    Row("bert", "01.1", "mistake", f"01.1 {SAYS}"),
    Row("carla", "01.1", "error", "01.1 NameError: name 'carlas_secret' is not defined\n    in line 2 of my_step"),
    Row("dora", "01.1", "missing", "01.1 missing: no function my_step was found"),
]
FRIDAY = [
    MONDAY[0]._replace(result="solved", sentence="01.1 passed: 38 cases"),
    MONDAY[1],
    MONDAY[2]._replace(result="solved", sentence="01.1 passed: 38 cases"),
    Row("dora", "01.1", "wrong", "01.1 not right yet. <script>alert(1)</script>"),
]


def test_the_page_counts_and_names_nobody(tmp_path, capsys):
    for name, rows in {"monday": MONDAY, "friday": FRIDAY}.items():
        (tmp_path / f"{name}.csv").write_bytes(to_csv(rows))
        assert read_csv(tmp_path / f"{name}.csv") == rows
    tables = [str(tmp_path / f"{name}.csv") for name in ("monday", "friday")]
    out = tmp_path / "report.html"
    assert main(["class", "report", *tables, "--out", str(out)]) == 0
    text = out.read_text("utf8")
    lines = re.findall(r"<li>(.*?)</li>", text)
    escaped = SAYS.replace("'", "&#x27;")
    assert lines[:2] == ["1 of 4: not right, and no recognised mistake", f"1 of 4: {escaped}"]
    assert lines[2:] == ["1 of 2: NameError", f"1 of 2: {escaped}"]  # before they solved it
    assert "2 of 4 solved it" in text and ALL[0].title in text
    assert not any(row.student in text for row in MONDAY) and "secret" not in text
    assert "<script" not in text and "src=" not in text and "http" not in text

    named = page([MONDAY, FRIDAY], names=True)
    assert all(row.student in named for row in MONDAY) and named.count("<td>✓</td>") == 2
    assert "before it was solved" not in page([MONDAY])  # one table says nothing of what came before
