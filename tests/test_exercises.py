"""Exercises: every solution passes, every declared mistake is named, and anything else is answered by a sentence."""

import inspect
import json
import os

import pytest
import torch

from ddpm_teach import exercises

ALL = [exercise for found in exercises.declared().values() for exercise in found]
MISTAKES = [(exercise, i) for exercise in ALL for i in range(len(exercise.mistakes))]


@pytest.fixture(autouse=True)
def progress_file(tmp_path, monkeypatch):
    path = tmp_path / "kept" / "progress.json"
    monkeypatch.setenv("DDPM_TEACH_PROGRESS", str(path))
    return path


def each(f):
    return pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)(f)


def with_body(exercise, body):
    """A learner's function: the stub's first line and this body."""
    signature = inspect.signature(exercise.answer)
    space = {}
    exec(f"def {exercise.answer.__name__}{signature}:\n    {body}", space)
    return space[exercise.answer.__name__]


@each
def test_the_solution_passes(exercise):
    report = exercises.check(exercise.id, exercise.answer)
    assert report.passed and exercise.covers in report.text


@pytest.mark.parametrize(
    "exercise, i", MISTAKES, ids=[f"{exercise.id}-{exercise.mistakes[i].says[:40]}" for exercise, i in MISTAKES]
)
def test_each_mistake_is_called_by_its_name(exercise, i):
    says, function = exercise.mistakes[i]
    report = exercises.check(exercise.id, function)
    assert (report.status, report.text) == ("mistake", f"{exercise.id} {says}")


@each
def test_there_is_enough_of_everything(exercise):
    assert len(exercise.mistakes) >= 2 and len(exercise.hints) >= 2
    assert exercise.difficulty in (1, 2, 3) and exercise.minutes > 0
    assert len({mistake.says for mistake in exercise.mistakes}) == len(exercise.mistakes)
    assert len(exercise.inputs()) >= 5
    code = inspect.getsource(exercise.answer).splitlines()[-1].removeprefix("    return ")
    assert len(code) < 3 or all(code not in mistake.says for mistake in exercise.mistakes)  # gives nothing away


@each
@pytest.mark.parametrize("body", ["...", "'''Says what it does.'''\n    ...", "pass", "raise NotImplementedError"])
def test_a_stub_is_not_attempted_yet(exercise, body, progress_file):
    report = exercises.check(exercise.id, with_body(exercise, body))
    assert report.status == "not attempted" and "not attempted yet" in report.text
    assert not progress_file.exists()


@each
@pytest.mark.parametrize("body", ["return torch_is_missing", "return None + 1", "return {}['key']", "assert False"])
def test_what_a_function_raises_becomes_a_sentence(exercise, body):
    report = exercises.check(exercise.id, with_body(exercise, body))
    assert report.status == "error" and "Error" in report.text
    assert "Traceback" not in report.text and "engine" not in report.text


@each
@pytest.mark.parametrize("value", [torch.zeros(7, 7), "a word", [], float("nan")], ids=str)
def test_a_wrong_kind_of_value_becomes_a_sentence(exercise, value):
    report = exercises.check(exercise.id, lambda *args: value)
    assert report.status == "wrong" and "smallest case that fails" in report.text and "got" in report.text


def my_add_noise(alpha_bar, x0, t, eps):
    share = alpha_bar[t]
    return share.to(x0.dtype) @ x0.not_there


def test_the_learners_own_line_is_shown():
    report = exercises.check("01.3", my_add_noise)
    assert "AttributeError" in report.text
    assert "in line 3 of my_add_noise: return share.to(x0.dtype) @ x0.not_there" in report.text
    assert "t = [" in report.text  # the input that did it


def test_the_smallest_failing_case_is_shown():
    def nearly(alpha_bar, x0, t, eps):
        share = alpha_bar[t][:, None, None, None].to(x0.dtype)
        return share.sqrt() * x0 + (1 - share).sqrt() * eps + (0.5 if x0.shape[1] == 3 else 0)

    report = exercises.check("01.3", nearly)
    assert report.status == "wrong" and "float32 (2, 3, 4, 6)" in report.text  # the first one with three channels
    assert "at [0, 0, 0, 0]: expected" in report.text and "144 of 144 values differ" in report.text


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda x: x, ["(x)", "(alpha_bar, x0, t, eps)", "first line"]),
        (lambda alpha_bar, x0, t, eps: print(end=""), ["returns None", "return"]),
        (lambda alpha_bar, x0, t, eps: x0.double(), ["expected dtype float32, got float64"]),
        (torch.zeros(3), ["function itself", "check('01.3', my_add_noise)"]),
    ],
)
def test_what_is_no_attempt_at_all_is_answered_too(function, words):
    report = exercises.check("01.3", function)
    assert not report.passed and all(word in report.text for word in words)


def test_an_argument_changed_in_place_is_noticed():
    def careless(alpha_bar, x0, t, eps):
        share = alpha_bar[t][:, None, None, None].to(x0.dtype)
        x0 *= share.sqrt()
        return x0 + (1 - share).sqrt() * eps

    report = exercises.check("01.3", careless)
    assert report.status == "mistake" and "x0 in place" in report.text


def test_checking_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    exercises.check("01.3", lambda alpha_bar, x0, t, eps: torch.randn_like(x0))
    assert torch.equal(torch.rand(1), expected)


def test_an_unknown_exercise_is_refused():
    with pytest.raises(ValueError, match="'99.1'.*01.1"):
        exercises.check("99.1", len)


def test_progress_grows_by_what_is_solved_and_by_nothing_else(progress_file):
    assert "0 of 4" in repr(exercises.progress()).splitlines()[0]
    exercises.check("01.3", lambda alpha_bar, x0, t, eps: x0)
    assert not progress_file.exists()
    for id in ("01.3", "01.1", "01.3"):
        exercises.check(id, exercises.find(id).answer)
    assert json.loads(progress_file.read_text()) == ["01.1", "01.3"]
    assert repr(exercises.progress()).splitlines()[0].endswith("●○●○  2 of 4")
    assert "●○●○" in exercises.progress()._repr_html_()


@pytest.mark.parametrize("damage", ["{", "5", "\x00"])
def test_a_damaged_progress_file_is_put_aside(damage, progress_file):
    progress_file.parent.mkdir()
    progress_file.write_text(damage)
    assert exercises.check("01.1", exercises.find("01.1").answer).passed
    assert json.loads(progress_file.read_text()) == ["01.1"]
    assert progress_file.with_name("progress.json.damaged").read_text() == damage


def test_a_solution_passes_where_nothing_can_be_noted(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DDPM_TEACH_PROGRESS", os.fspath(tmp_path / "file" / "progress.json"))
    report = exercises.check("01.1", exercises.find("01.1").answer)
    assert report.passed and "couldn't be noted" in report.text


def test_reports_are_words_in_a_terminal_and_coloured_in_a_notebook():
    report = exercises.check("01.3", with_body(exercises.find("01.3"), "..."))
    assert repr(report).startswith("○ 01.3 not attempted yet")
    assert "<div" in report._repr_html_() and "01.3 not attempted yet" in report._repr_html_()
    assert "&lt;" in exercises.Report("wrong", "a < b")._repr_html_()
