"""Exercises: every solution passes, every declared mistake is named, and anything else is answered by a sentence."""

import copy
import functools
import importlib
import inspect
import json
import os
import random
import sys
import types
import warnings
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch
from torch import nn

from ddpm_teach.course import exercises
from ddpm_teach.course.exercises import Exercise

progress = importlib.import_module("ddpm_teach.course.exercises.progress")  # a function there has the same name
ALL = [exercise for group in exercises.declared().values() for exercise in group]
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
    assert len(exercise.mistakes) >= 3 and len(exercise.hints) >= 2
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


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return torch.sqrt(t)", True),
        ("return add_noise(alpha_bar, x0, t, eps)", True),
        ("return trch.sqrt(t)", False),
        ("y = y + 1", False),
        ("return LESSON", False),
    ],
)
def test_a_name_that_the_lesson_imports_is_told_with_where_it_is_imported(body, told):
    report = exercises.check("01.3", with_body(exercises.find("01.3"), body))
    assert report.status == "error" and ("run the cells above first" in report.text) == told, report
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


# --- whatever can be called


def as_object(function):
    class Own:
        def __call__(self, *args):
            return function(*args)

    return Own()


def as_nameless(function):
    class Nameless:
        def __call__(self, *args):
            return function(*args)

        def __getattr__(self, name):
            raise RuntimeError(f"no {name} here")

    return Nameless()


def as_module(function):
    class Own(nn.Module):
        def forward(self, *args):
            return function(*args)

    return Own()


def as_decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


CALLABLES = {
    "function": lambda f: f,
    "lambda": lambda f: lambda *args: f(*args),
    "partial": functools.partial,
    "partial of partial": lambda f: functools.partial(functools.partial(f)),
    "method": lambda f: types.MethodType(lambda self, *args: f(*args), object()),
    "object": as_object,
    "object whose attributes raise": as_nameless,
    "module": as_module,
    "decorated": as_decorated,
    "no_grad": lambda f: torch.no_grad()(f),
}
SOME = [exercises.find(id) for id in ("01.3", "02.2", "03.2", "04.4", "05.3", "06.3")]


def some(f):
    return pytest.mark.parametrize("exercise", SOME, ids=lambda exercise: exercise.id)(f)


def any_callable(f):
    return pytest.mark.parametrize("dressed", CALLABLES.values(), ids=CALLABLES)(f)


@some
@any_callable
def test_the_solution_passes_however_it_is_dressed(exercise, dressed):
    assert exercise.examine(dressed(exercise.answer)).passed


@some
@any_callable
@pytest.mark.parametrize("body", ["raise RuntimeError", "sys.exit(3)", "return (lambda f: f(f))(lambda f: f(f))"])
def test_what_any_callable_raises_becomes_a_sentence(exercise, dressed, body):
    report = exercise.examine(dressed(with_body(exercise, f"import sys; {body}")))
    assert report.status == "error"
    assert any(word in report.text for word in ("RuntimeError", "SystemExit", "RecursionError"))


@some
@any_callable
def test_any_callable_that_returns_nothing_is_answered(exercise, dressed):
    report = exercise.examine(dressed(with_body(exercise, "len('')")))
    assert report.status == "error" and "returns None" in report.text


@some
@pytest.mark.parametrize("dressed", ["function", "partial", "partial of partial", "decorated"])
def test_a_stub_is_not_attempted_however_it_is_dressed(exercise, dressed):
    report = exercise.examine(CALLABLES[dressed](with_body(exercise, "...")))
    assert report.status == "not attempted" and exercise.answer.__name__ in report.text


@some
@pytest.mark.parametrize("function", [len, max, dict, type, torch.cat, torch.nn.functional.pad, torch.relu, np.add])
def test_builtins_and_classes_are_answered(exercise, function):
    assert exercise.examine(function).status in ("error", "wrong")


def test_a_builtin_without_a_signature_can_pass():
    assert exercises.check("09.1", torch.nn.functional.scaled_dot_product_attention).passed


# --- whatever can be raised


class Mute(Exception):
    def __str__(self):
        raise ValueError("not even a message")


class Base(BaseException):
    pass


@some
@pytest.mark.parametrize(
    "error",
    [SystemExit, SystemExit(0), GeneratorExit, CancelledError, Base, Mute, MemoryError, StopIteration],
    ids=repr,
)
def test_every_error_is_told(exercise, error):
    def function(*args):
        raise error

    report = exercise.examine(function)
    assert report.status == "error" and (error if isinstance(error, type) else type(error)).__name__ in report.text


def test_who_ends_the_program_is_told_the_remedy():
    report = exercises.check("01.1", lambda *args: sys.exit(0))
    assert "SystemExit" in report.text and "return" in report.text


@some
def test_an_interrupt_stays_one(exercise):
    def function(*args):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercise.examine(function)


def test_an_error_of_torch_is_no_stub():
    report = exercises.check("08.3", lambda eps_hat, alpha_bar_t: eps_hat.to_sparse().sigmoid())
    assert report.status == "error" and len(report.text) < 600  # torch lists all of its devices


def test_the_line_is_counted_in_the_function_that_failed():
    def helper(x):
        number = 0

        return number + x.not_there

    report = exercises.check("08.3", lambda eps_hat, alpha_bar_t: helper(eps_hat))
    assert "in line 4 of helper: return number + x.not_there" in report.text


# --- whatever can be returned


class Hostile:
    def __eq__(self, other):
        raise RuntimeError("not comparable")

    def __repr__(self):
        raise RuntimeError("not printable")

    __hash__ = None


def result_of(exercise, change):
    """The exercise's own answer, changed afterwards."""
    return lambda *args: change(exercise.answer(*args))


TENSOR_RESULTS = {
    "on meta": (lambda x: x.to("meta"), ["meta", "cpu"]),
    "sparse": (lambda x: x.to_sparse(), ["sparse", "to_dense"]),
    "complex": (lambda x: x.to(torch.complex64), ["complex64"]),
    "bools": (lambda x: x > 0, ["bool"]),
    "half": (lambda x: x.to(torch.float16), ["float16"]),
    "quantized": (lambda x: torch.quantize_per_tensor(x.float(), 0.1, 0, torch.qint8), ["qint8"]),
    "an array": (lambda x: x.numpy(), ["tensor", "array"]),
    "a list": (lambda x: x.tolist(), ["tensor"]),
    "of another shape": (lambda x: x[None], ["shape"]),
}


@pytest.mark.parametrize("change, words", TENSOR_RESULTS.values(), ids=TENSOR_RESULTS)
@pytest.mark.parametrize("id", ["01.3", "08.3", "04.4", "05.1", "09.3"])
def test_a_tensor_of_another_kind_is_told(id, change, words):
    exercise = exercises.find(id)
    report = exercise.examine(result_of(exercise, change))
    assert report.status == "wrong" and all(word in report.text for word in words)


@each
@pytest.mark.parametrize(
    "value",
    [Hostile(), [Hostile()], np.arange(3), torch.zeros(2, device="meta"), torch.zeros(1, device="meta"), 1j, {}, len,
     torch.eye(2).to_sparse(), torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)]), object(), "\n" * 500],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_whatever_is_returned_is_answered(exercise, value):
    report = exercise.examine(lambda *args: value)
    assert report.status == "wrong" and "got" in report.text and " at 0x" not in report.text.partition("got")[2][:60]


NUMBERS = {
    "numpy": lambda x: np.float64(x) if isinstance(x, float) else np.int64(x),
    "numpy, no axes": np.array,
    "a tensor": lambda x: torch.tensor(x, dtype=torch.float64),
    "a tensor of one": lambda x: torch.tensor([x], dtype=torch.float64),
}


@pytest.mark.parametrize("kind", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("id", ["02.1", "02.5", "06.2", "06.3", "10.1"])
def test_equal_numbers_of_other_kinds_are_right(id, kind):
    exercise = exercises.find(id)

    def change(x):
        x = x.item() if isinstance(x, torch.Tensor) else x
        return [kind(number) for number in x] if isinstance(x, list) else kind(x)

    assert exercise.examine(result_of(exercise, change)).passed
    wrong = exercise.examine(result_of(exercise, lambda x: change([*x[:-1], 77] if isinstance(x, list) else x + 77)))
    assert wrong.status == "wrong"


# --- what a function does besides


def test_an_argument_changed_in_place_is_noticed():
    def careless(alpha_bar, x0, t, eps):
        share = alpha_bar[t][:, None, None, None].to(x0.dtype)
        x0 *= share.sqrt()
        return x0 + (1 - share).sqrt() * eps

    report = exercises.check("01.3", careless)
    assert report.status == "mistake" and "x0 in place" in report.text


@each
def test_every_argument_that_can_be_changed_is_watched(exercise):
    changes = {
        torch.Tensor: [lambda x: x.add_(1) if x.dtype != torch.bool else x.logical_not_(), lambda x: x.resize_(0)],
        list: [lambda x: x.append(7), lambda x: x.clear() if x else x.append(7), lambda x: x.insert(0, None)],
    }
    names = list(inspect.signature(exercise.answer).parameters)
    for place, value in enumerate(exercise.inputs()[-1]):
        for change in next((changes[kind] for kind in changes if isinstance(value, kind)), []):

            def careless(*args, change=change, place=place):
                result = exercise.answer(*args)
                result = result.clone() if isinstance(result, torch.Tensor) else copy.deepcopy(result)
                change(args[place])
                return result

            report = exercise.examine(careless)
            assert report.status == "mistake" and f"{names[place]} in place" in report.text and "copy" in report.text


@pytest.mark.parametrize(
    "before, change",
    [
        ({"a": torch.zeros(2)}, lambda x: x["a"].add_(1)),
        ({"a": 1}, lambda x: x.update(b=2)),
        ([{"a": [1, 2]}], lambda x: x[0]["a"].pop()),
        (np.zeros(2), lambda x: x.fill(1)),
        ({1, 2}, lambda x: x.add(3)),
        (torch.zeros(2), lambda x: x.data.fill_(1)),
        ([torch.zeros(2)], lambda x: x.append(x)),
    ],
    ids=lambda value: None if callable(value) is False else "change",  # no address in a name
)
def test_changes_inside_containers_are_seen(before, change):
    outcome = exercises.engine.outcome_of(lambda x, y: change(y), (5, before))
    assert outcome.changed == (1,)
    assert exercises.engine.outcome_of(lambda x, y: None, (5, before)).changed == ()
    assert exercises.engine.outcome_of(lambda x: None, (torch.tensor([float("nan")]),)).changed == ()


@some
def test_what_is_printed_or_warned_of_is_dropped(exercise, capfd):
    def loud(*args):
        print("fifty times")
        print("and here", file=sys.stderr)
        warnings.warn("beware", stacklevel=1)
        return exercise.answer(*args)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert exercise.examine(loud).passed
    assert capfd.readouterr() == ("", "")


@some
def test_global_generators_are_as_they_were(exercise):
    def noisy(*args):
        torch.manual_seed(7)
        np.random.seed(7)
        random.seed(7)
        torch.rand(3), np.random.rand(3), random.random()
        return exercise.answer(*args)

    def draw():
        return torch.rand(1).item(), np.random.rand(), random.random()

    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    expected = draw()
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    assert exercise.examine(noisy).passed
    assert draw() == expected


@pytest.mark.parametrize("device", ["cuda", "xpu"])
def test_generators_of_devices_in_use_are_put_back(device, monkeypatch):
    """No such device is needed: torch's own functions are replaced by a spy."""
    module, states = getattr(torch, device), ["before"]
    monkeypatch.setattr(module, "is_initialized", lambda: True)
    monkeypatch.setattr(module, "get_rng_state_all", lambda: states[-1])
    monkeypatch.setattr(module, "set_rng_state_all", states.append)
    monkeypatch.setattr(module, "manual_seed_all", lambda seed: states.append("seeded"))
    assert exercises.find("01.1").examine(exercises.find("01.1").answer).passed
    assert "seeded" not in states  # we seed the CPU alone
    exercises.find("01.1").examine(lambda *args: torch.manual_seed(0))
    assert "seeded" in states and states[-1] == "before"


@some
@pytest.mark.parametrize(
    "setting, put_back",
    [
        (lambda: torch.set_default_device("meta"), lambda: torch.set_default_device(None)),
        (lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)),
        (lambda: torch.set_grad_enabled(False), lambda: torch.set_grad_enabled(True)),
    ],
    ids=["default device", "default dtype", "no gradients"],
)
def test_what_a_notebook_has_set_breaks_nothing(exercise, setting, put_back):
    setting()
    try:
        state = torch.get_default_device(), torch.get_default_dtype(), torch.is_grad_enabled()
        assert exercise.examine(exercise.answer).passed
        assert exercise.examine(exercise.mistakes[0].function).text == f"{exercise.id} {exercise.mistakes[0].says}"
        assert (torch.get_default_device(), torch.get_default_dtype(), torch.is_grad_enabled()) == state
    finally:
        put_back()


@some
def test_inference_mode_breaks_nothing(exercise):
    with torch.inference_mode():
        assert exercise.examine(exercise.answer).passed
        assert torch.is_inference_mode_enabled()


def test_where_nothing_can_be_right_no_learner_is_blamed(monkeypatch):
    exercise = exercises.find("01.1")
    monkeypatch.setattr(exercise, "_right", None)
    monkeypatch.setattr(exercise, "reference", lambda *args: 1 / 0)
    report = exercises.check("01.1", exercise.answer)
    assert report.status == "error" and "can't be checked" in report.text and "restart" in report.text


def test_what_a_function_sets_is_put_back():
    def careless(*args):
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        warnings.simplefilter("error")
        sys.stdout.close()

    exercises.check("01.1", careless)
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
    print(end="")


# --- a mistake is recognised by what it does


@each
@pytest.mark.parametrize(
    "error",
    [AssertionError, AttributeError, IndexError, KeyError, NameError, RuntimeError, TypeError, ValueError,
     ZeroDivisionError, UnboundLocalError, OverflowError],
)  # fmt: skip
def test_an_error_of_its_own_is_no_known_mistake(exercise, error):
    def function(*args):
        raise error("not enough values to unpack (expected 3, got 1)")

    report = exercise.examine(function)
    assert report.status == "error" and error.__name__ in report.text


def test_a_known_mistake_in_other_sizes_is_still_known():
    def function(net, x, t, c, scale):  # the times are doubled, the pictures aren't
        return net(x, torch.cat([t, t]), c)

    report = exercises.check("05.3", function)
    assert report.status == "mistake" and "doubled alike" in report.text


def test_a_tensor_of_another_dtype_is_no_number():
    exercise = Exercise("0.0", "", 1, 1, "", (), "", lambda rng: [(torch.ones(2),)], lambda x: x.sum())
    exercise.solution(lambda x: x.sum())
    exercise.mistake("a number")(lambda x: x.sum().item())
    assert exercise.examine(lambda x: x.sum().item()).text == "0.0 a number"
    assert "got float64" in exercise.examine(lambda x: x.double().sum()).text


def test_another_error_from_the_same_place_is_another():
    report = exercises.check("05.3", lambda net, x, t, c, scale: net(torch.cat([x, x])))
    assert report.status == "error" and "missing" in report.text


def test_an_unknown_exercise_is_refused():
    with pytest.raises(ValueError, match="'99.1'.*01.1"):
        exercises.check("99.1", len)


def test_the_lesson_goes_on_with_the_learners_function_once_it_passes(capsys):
    right, wrong = exercises.find("01.2").answer, lambda beta: beta
    yours = functools.wraps(right)(lambda *args: right(*args))
    assert exercises.yours_or_ours("01.2", yours) is yours
    assert exercises.yours_or_ours("01.2", wrong) is right
    first, second = capsys.readouterr().out.splitlines()
    assert "your" in first and "our" in second and "your" not in second


def test_progress_grows_by_what_is_solved_and_by_nothing_else(progress_file):
    assert "0 of 5" in repr(exercises.progress()).splitlines()[0]
    exercises.check("01.3", lambda alpha_bar, x0, t, eps: x0)
    assert not progress_file.exists()
    for id in ("01.3", "01.1", "01.3"):
        exercises.check(id, exercises.find(id).answer)
    assert json.loads(progress_file.read_text()) == {"edition": 2, "solved": ["01.1", "01.3"]}
    assert repr(exercises.progress()).splitlines()[0].endswith("●○●○○  2 of 5")
    assert "●○●○○" in exercises.progress()._repr_html_()


def test_what_was_solved_in_the_first_edition_is_carried_over_and_told_once(progress_file, monkeypatch, capsys):
    monkeypatch.setattr(progress, "EDITION_1", {"07": "09", "08": "10", "09": "14", "06.4": "07.2", "03.2": None})
    progress_file.parent.mkdir()
    progress_file.write_text('["01.1", "03.2", "06.3", "06.4", "07.1", "09.3"]')
    assert "●○○○○  1 of 5" in repr(exercises.progress()).splitlines()[0]
    (told,) = capsys.readouterr().out.splitlines()
    assert "first edition" in told and "5 exercises" in told and "1 others" in told
    kept = {"edition": 2, "solved": ["01.1", "06.3", "07.2", "09.1", "14.3"], "edition 1": ["03.2"]}
    assert json.loads(progress_file.read_text()) == kept

    exercises.check("01.3", exercises.find("01.3").answer)
    assert not capsys.readouterr().out
    assert json.loads(progress_file.read_text()) == kept | {"solved": ["01.1", "01.3", *kept["solved"][1:]]}


def test_every_exercise_of_the_first_edition_has_a_place():
    """Each id once, in a lesson of this edition, or under "edition 1"."""
    numbers = {1: 4, 2: 4, 3: 4, 4: 4, 5: 4, 6: 4, 7: 3, 8: 4, 9: 3}
    ids = [f"{lesson:02}.{n}" for lesson, many in numbers.items() for n in range(1, many + 1)]
    kept = progress.carried_over(ids)
    assert len(kept["solved"]) + len(kept.get("edition 1", [])) == len(ids)
    assert {id[:2] for id in kept["solved"]} <= {f"{n:02}" for n in range(1, 15)}


def test_progress_is_shown_where_it_can_t_be_written(progress_file, monkeypatch):
    progress_file.parent.mkdir()
    progress_file.write_text('["01.1"]')
    monkeypatch.setattr(progress, "write_bytes", lambda *args: (_ for _ in ()).throw(OSError(30, "read-only")))
    assert "1 of 5" in repr(exercises.progress())
    assert progress_file.read_text() == '["01.1"]'


@pytest.mark.parametrize("damage", ["{", "5", "\x00", "{}", '{"solved": 5}'])
def test_a_damaged_progress_file_is_put_aside(damage, progress_file):
    progress_file.parent.mkdir()
    progress_file.write_text(damage)
    assert exercises.check("01.1", exercises.find("01.1").answer).passed
    assert json.loads(progress_file.read_text()) == {"edition": 2, "solved": ["01.1"]}
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
