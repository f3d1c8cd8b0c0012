"""Specs to a plan: defaults, includes, lists, matrices, variables, criteria, ids."""

from __future__ import annotations

import pytest

from harness.contract import UNSET
from tests.harness.spec.conftest import HEAD, ONE, Folder

CHECK = f"{{name: c, kind: golden, model: m, cases: {ONE}}}"


def spec(checks: str, models: str = "{m: {echo: {}}}", more: str = "") -> str:
    return f"hallmark: 1\nmodels: {models}\nchecks:\n{checks}\n{more}"


def check(name: str = "c", more: str = "", model: str = "m") -> str:
    return f"  - {{name: {name}, kind: golden, model: {model}, cases: {ONE}{more}}}\n"


# ------------------------------------------------------------------------------------------- defaults


def test_defaults_fill_in_what_a_check_leaves_out_mapping_by_mapping(folder: Folder) -> None:
    defaults = "defaults: {golden: {timeout: 9, gate: {pass_rate: 0.5, population: suite}, model: m}}\n"
    found = folder.checks(
        f"{HEAD}{defaults}checks:\n"
        f"  - {{name: plain, kind: golden, cases: {ONE}}}\n"
        f"  - {{name: own, kind: golden, timeout: 3, gate: {{pass_rate: 0.75}}, cases: {ONE}}}\n"
    )
    assert found["plain"].timeout == 9
    assert found["plain"].model == "a.yaml::m"
    assert found["plain"].options["gate"] == {"pass_rate": 0.5, "population": "suite"}
    assert found["own"].timeout == 3
    assert found["own"].options["gate"] == {"pass_rate": 0.75, "population": "suite"}


def test_a_fault_in_a_default_is_told_once_at_the_default(folder: Folder) -> None:
    defaults = "defaults: {golden: {timeout: -1}}\n"
    assert folder.said(f"{HEAD}{defaults}checks:\n{check('a')}{check('b')}") == ["a.yaml:3:30: wrong-value"]


def test_a_default_of_an_unknown_kind_or_option_is_a_fault(folder: Folder) -> None:
    assert folder.said(f"{HEAD}defaults: {{goldn: {{}}}}\nchecks: [{CHECK}]\n") == ["a.yaml:3:12: unknown-kind"]
    assert folder.said(f"{HEAD}defaults: {{golden: {{name: x}}}}\nchecks: [{CHECK}]\n") == ["a.yaml:3:21: unknown-key"]


# ------------------------------------------------------------------------------------------- includes


def test_fragments_come_first_and_what_stands_nearer_to_the_spec_wins(folder: Folder) -> None:
    folder.put(
        "_far.yaml",
        "hallmark: 1\ndefaults: {golden: {timeout: 1, gate: {pass_rate: 0.25}}}\nmodels: {far: {echo: {}}}\n",
    )
    folder.put(
        "_near.yaml",
        f"hallmark: 1\ninclude: [_far.yaml]\ndefaults: {{golden: {{timeout: 2}}}}\nchecks:\n{check('first', model='far')}",
    )
    folder.put(
        "_other.yaml",
        f"hallmark: 1\nchecks:\n{check('second')}certificate: {{criteria: [{{id: one, needs: [first]}}]}}\n",
    )
    part = folder.plan(
        f"hallmark: 1\ninclude: [_near.yaml, _other.yaml]\nmodels: {{m: {{echo: {{}}}}}}\nchecks:\n{check('third', ', timeout: 3')}"
        "certificate: {criteria: [{id: two, needs: [third]}]}\n"
    )
    assert [c.name for c in part.checks] == ["first", "second", "third"]
    assert [c.timeout for c in part.checks] == [2, 2, 3]
    assert [c.options["gate"]["pass_rate"] for c in part.checks] == [0.25] * 3
    assert [c.id for c in part.criteria] == ["one", "two"]
    assert [c.at for c in part.checks] == ["_near.yaml:5", "_other.yaml:3", "a.yaml:5"]
    assert {c.id.partition("::")[0] for c in part.checks} == {"a.yaml"}
    assert sorted(part.files) == ["_far.yaml", "_near.yaml", "_other.yaml", "a.yaml"]


def test_a_later_fragment_wins_over_an_earlier_one(folder: Folder) -> None:
    for name, timeout in (("_a.yaml", 1), ("_b.yaml", 2)):
        folder.put(name, f"hallmark: 1\ndefaults: {{golden: {{timeout: {timeout}}}}}\n")
    assert folder.checks(f"include: [_a.yaml, _b.yaml]\n{HEAD}checks: [{CHECK}]\n")["c"].timeout == 2
    assert folder.checks(f"include: [_b.yaml, _a.yaml]\n{HEAD}checks: [{CHECK}]\n")["c"].timeout == 1


def test_a_fragment_reached_twice_is_merged_once(folder: Folder) -> None:
    folder.put("_base.yaml", f"hallmark: 1\nchecks:\n{check('base')}")
    folder.put("_a.yaml", "hallmark: 1\ninclude: [_base.yaml]\n")
    folder.put("_b.yaml", "hallmark: 1\ninclude: [_base.yaml]\n")
    part = folder.plan(f"include: [_a.yaml, _b.yaml, _base.yaml]\n{HEAD}")
    assert [c.name for c in part.checks] == ["base"]


def test_a_model_declared_twice_is_a_fault_that_names_the_other(folder: Folder) -> None:
    folder.put("_m.yaml", "hallmark: 1\nmodels:\n  m: {echo: {}}\n")
    (fault,) = folder.faults(f"include: [_m.yaml]\n{HEAD}checks: [{CHECK}]\n")
    assert str(fault.spot) == "a.yaml:3:10"
    assert fault.code == "duplicate-key"
    assert "_m.yaml:3" in fault.what


def test_faults_of_a_spec_and_of_its_fragments_are_told_together(folder: Folder) -> None:
    folder.put("_bad.yaml", "hallmark: 1\nmodels: {x: {ecko: {}}}\n")
    folder.put("_worse.yaml", "hallmark: 1\nmodels: [\n")
    text = f"include: [_bad.yaml, _worse.yaml, _missing.yaml]\n{HEAD}checks: [{{name: c, kind: goldn}}]\n"
    assert folder.said(text) == [
        "_bad.yaml:2:14: source",
        "_worse.yaml:3:1: yaml",
        "a.yaml:1:35: path",
        "a.yaml:4:26: unknown-kind",
    ]


def test_includes_that_are_endless_are_refused(folder: Folder) -> None:
    for i in range(40):
        folder.put(f"_{i}.yaml", f"hallmark: 1\ninclude: [_{i + 1}.yaml]\n")
    assert [said.rpartition(" ")[2] for said in folder.said(f"include: [_0.yaml]\n{HEAD}checks: [{CHECK}]\n")] == [
        "include"
    ]


# --------------------------------------------------------------------------------- models and labels


def test_a_list_of_models_becomes_a_check_each_labelled_by_its_model(folder: Folder) -> None:
    models = "{base: {echo: {}}, int8: {echo: {seconds: 0.5}}}"
    found = folder.checks(spec(check(model="[base, int8]"), models))
    assert {name: c.model for name, c in found.items()} == {"c[base]": "a.yaml::base", "c[int8]": "a.yaml::int8"}
    assert found["c[int8]"].id == "a.yaml::golden::c[int8]"


def test_a_list_of_one_model_is_labelled_and_a_single_model_is_not(folder: Folder) -> None:
    assert list(folder.checks(spec(check(model="[m]")))) == ["c[m]"]
    assert list(folder.checks(spec(check(model="m")))) == ["c"]


def test_a_model_named_twice_in_a_list_is_a_fault(folder: Folder) -> None:
    assert folder.said(spec(check(model="[m, m]"))) == ["a.yaml:4:12: duplicate-name"]


def test_a_batch_comes_from_the_models_declaration_or_its_source(folder: Folder) -> None:
    cases = ", ".join(f"{{id: c{i}, input: 1, expect: 1}}" for i in range(7))
    checks = f"  - {{name: c, kind: golden, model: [small, usual], cases: [{cases}]}}\n"
    found = folder.checks(spec(checks, "{small: {echo: {}, batch: 3}, usual: {echo: {}}}"))
    assert (found["c[small]"].batch, found["c[small]"].batches()) == (3, 3)
    assert (found["c[usual]"].batch, found["c[usual]"].batches()) == (250, 1)


@pytest.mark.parametrize("batch", ["0", "-1", "1.5", "4097", '"8"', "true"])
def test_a_batch_that_is_no_count_is_a_fault(folder: Folder, batch: str) -> None:
    (said,) = folder.said(spec(check(), f"{{m: {{echo: {{}}, batch: {batch}}}}}"))
    assert said.startswith("a.yaml:2:31: wrong-")


def test_a_models_recipe_changes_with_what_decides_it_and_with_nothing_else(folder: Folder) -> None:
    def recipe(declaration: str, name: str = "m") -> str:
        return folder.plan(spec(check(model=name), f"{{{name}: {declaration}}}")).models[f"a.yaml::{name}"].recipe

    folder.put("answers.jsonl", '{"id": "a", "answer": 1}\n')
    folder.put("more.jsonl", '{"id": "a", "answer": 2}\n')
    assert recipe("{echo: {}}") == recipe("{echo: {}, batch: 3}", "other")
    assert recipe("{echo: {}}") != recipe("{echo: {seconds: 1}}")
    saved = recipe("{replay: answers.jsonl}")
    assert saved != recipe("{replay: more.jsonl}")
    folder.put("answers.jsonl", '{"id": "a", "answer": 3}\n')
    assert saved != recipe("{replay: answers.jsonl}")


def test_what_a_source_wants_a_reviewer_to_know_is_noted(folder: Folder) -> None:
    folder.put("answers.jsonl", '{"id": "a", "answer": 1}\n{"id": "unasked", "answer": 1}\n')
    (note,) = folder.plan(spec(check(), "{m: {replay: answers.jsonl}}")).notes
    assert "unasked" in note


def test_an_objection_of_a_source_stands_at_the_option_it_speaks_of(folder: Folder) -> None:
    folder.put("answers.jsonl", "nope\n")
    (fault,) = folder.faults(spec(check(), "{m: {replay: answers.jsonl}}"))
    assert (str(fault.spot), fault.code) == ("a.yaml:2:22", "answers")
    assert "answers.jsonl:1:" in fault.what


# --------------------------------------------------------------------------------------------- matrix


def test_a_matrix_becomes_a_check_for_each_combination_in_order(folder: Folder) -> None:
    matrix = ', matrix: {rate: [0.5, 0.75], mode: [exact, "a b", true]}, gate: {pass_rate: "${matrix.rate}"}, about: "at ${matrix.rate}, ${matrix.mode}"'
    found = folder.checks(spec(check(more=matrix, model="[m]")))
    assert list(found) == [f"c[m-{rate}-{mode}]" for rate in ("0.5", "0.75") for mode in ("exact", "a_b", "true")]
    last = found["c[m-0.75-true]"]
    assert last.options["gate"] == {"pass_rate": 0.75}
    assert last.about == "at 0.75, true"


def test_a_matrix_value_alone_keeps_its_type_and_in_a_text_is_spelled(folder: Folder) -> None:
    found = folder.checks(spec(check(more=', matrix: {t: [5, "7"]}, timeout: "${matrix.t}"').replace('"7"', "6.5")))
    assert {name: c.timeout for name, c in found.items()} == {"c[5]": 5.0, "c[6.5]": 6.5}
    assert folder.said(spec(check(more=', matrix: {t: ["7"]}, timeout: "${matrix.t}"'))) == ["a.yaml:4:107: wrong-type"]


def test_a_matrix_may_choose_the_model_the_name_and_the_cases(folder: Folder) -> None:
    for name in ("x", "y"):
        folder.put(f"{name}.jsonl", f'{{"id": "{name}1", "input": 1, "expect": 1}}\n')
    text = '  - {name: "${matrix.n}s", kind: golden, model: "${matrix.n}", matrix: {n: [x, y]}, cases: "${matrix.n}.jsonl"}\n'
    found = folder.checks(spec(text, "{x: {echo: {}}, y: {echo: {}}}"))
    assert {name: (c.model, c.cases[0].id) for name, c in found.items()} == {
        "xs[x]": ("a.yaml::x", "x1"),
        "ys[y]": ("a.yaml::y", "y1"),
    }


@pytest.mark.parametrize("values", ['["a b", a_b]', "[a, a]", '[1, "1"]'])
def test_matrix_values_with_the_same_label_are_a_fault_at_the_second(folder: Folder, values: str) -> None:
    text = spec(check(more=f", matrix: {{x: {values}}}"))
    column = text.split("\n")[3].index(values) + values.index(",") + 3
    assert folder.said(text) == [f"a.yaml:4:{column}: duplicate-name"]


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ("{}", ["empty"]),
        ("{x: []}", ["empty"]),
        ("{x: 1}", ["wrong-type"]),
        ("{x: [[1]]}", ["wrong-type"]),
        ("{x: [null]}", ["wrong-type"]),
        ("{a-b: [1]}", ["wrong-name"]),
        ("[1]", ["wrong-type"]),
    ],
)
def test_a_matrix_that_is_none_is_a_fault(folder: Folder, matrix: str, said: list[str]) -> None:
    assert [fault.code for fault in folder.faults(spec(check(more=f", matrix: {matrix}")))] == said


# ------------------------------------------------------------------------------------------ variables


@pytest.mark.parametrize(("value", "timeout"), [("7", 7.0), ("0.5", 0.5), ("1.0e+1", 10.0)])
def test_an_environment_variable_alone_is_read_as_a_value(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, value: str, timeout: float
) -> None:
    monkeypatch.setenv("HT_X", value)
    assert folder.checks(spec(check(more=', timeout: "${env:HT_X}"')))["c"].timeout == timeout


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("soon", "wrong-type"),
        ("", "wrong-type"),
        (".nan", "number"),
        ("1e3", "surprise"),
        ("true", "wrong-type"),
        ("-1", "wrong-value"),
        ("\udcff", "variable"),
    ],
)
def test_an_environment_variable_that_does_not_fit_is_a_fault_where_it_is_used(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, value: str, code: str
) -> None:
    monkeypatch.setenv("HT_X", value)
    assert folder.said(spec(check(more=', timeout: "${env:HT_X}"'))) == [f"a.yaml:4:87: {code}"]


def test_an_environment_variable_in_a_text_stays_text(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HT_X", "007")
    found = folder.checks(spec(check(more=', about: "agent ${env:HT_X}${env:HT_X}"')))
    assert found["c"].about == "agent 007007"


def test_a_variable_without_a_value_takes_its_default_and_without_one_is_a_fault(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HT_X", raising=False)
    assert folder.checks(spec(check(more=', timeout: "${env:HT_X:-2.5}"')))["c"].timeout == 2.5
    assert folder.checks(spec(check(more=', about: "<${env:HT_X:-}>"')))["c"].about == "<>"
    assert folder.said(spec(check(more=', timeout: "${env:HT_X}"'))) == ["a.yaml:4:87: variable"]
    monkeypatch.setenv("HT_X", "4")
    assert folder.checks(spec(check(more=', timeout: "${env:HT_X:-2.5}"')))["c"].timeout == 4


@pytest.mark.parametrize(
    ("text", "read"),
    [("$$", "$"), ("a$$b", "a$b"), ("$${env:HT_X}", "${env:HT_X}"), ("$5", "$5"), ("$$$$", "$$"), ("$", "$")],
)
def test_two_dollars_are_one_and_one_alone_is_itself(folder: Folder, text: str, read: str) -> None:
    assert folder.checks(spec(check(more=f', about: "{text}"')))["c"].about == read


@pytest.mark.parametrize("text", ["${HOME}", "${matrix.x}", "${env.HOME}", "${}", "${{env:HOME}}"])
def test_what_is_not_a_variable_is_a_fault(folder: Folder, text: str) -> None:
    assert folder.said(spec(check(more=f', about: "{text}"')))[0] == "a.yaml:4:85: variable"


def test_nothing_is_filled_into_inline_cases(folder: Folder) -> None:
    text = f'{HEAD}checks: [{{name: c, kind: golden, model: m, cases: [{{id: "${{env:X}}", input: "$$ ${{y}}", expect: "${{z}}"}}]}}]\n'
    (case,) = folder.checks(text)["c"].cases
    assert (case.id, case.input, case.expect) == ("${env:X}", "$$ ${y}", "${z}")


def test_variables_are_filled_into_models_and_the_specs_own_words(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HT_X", "0.25")
    part = folder.plan(
        spec(check(), '{m: {echo: {seconds: "${env:HT_X}"}}}', 'about: "for ${env:HT_X}"\n')
        + 'certificate: {criteria: [{id: k, needs: [c], why: "at ${env:HT_X}"}]}\n'
    )
    assert part.models["a.yaml::m"].options == {"echo": {"seconds": 0.25}}
    assert part.spec.about == "for 0.25"
    assert part.criteria[0].why == "at 0.25"
    assert list(part.env) == ["HT_X"]


@pytest.mark.parametrize(
    "more", ['about: "${env:HT_X}"\n', 'certificate: {criteria: [{id: k, needs: [c], why: "${env:HT_X}"}]}\n']
)
def test_a_number_from_the_environment_where_text_belongs_is_a_fault(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.setenv("HT_X", "5")
    assert [fault.code for fault in folder.faults(spec(check(), more=more))] == ["wrong-type"]


# ------------------------------------------------------------------------------------------- criteria


def test_a_criterion_needs_checks_by_their_name_with_or_without_the_label(folder: Folder) -> None:
    models = "{x: {echo: {}}, y: {echo: {}}}"
    criteria = "certificate: {criteria: [{id: all, needs: [c], why: because}, {id: some, needs: ['c[y]', d]}, {id: twice, needs: [c, 'c[x]']}]}\n"
    part = folder.plan(spec(check(model="[x, y]") + check("d", model="x"), models, criteria))
    assert {c.id: [need.rpartition("::")[2] for need in c.needs] for c in part.criteria} == {
        "all": ["c[x]", "c[y]"],
        "some": ["c[y]", "d"],
        "twice": ["c[x]", "c[y]"],
    }
    assert part.criteria[0].why == "because"


@pytest.mark.parametrize(
    ("criteria", "code"),
    [
        ("[{id: k, needs: [cc]}]", "unknown-check"),
        ("[{id: k, needs: ['c[m]']}]", "unknown-check"),
        ("[{id: k, needs: []}]", "empty"),
        ("[{id: k, needs: c}]", "wrong-type"),
        ("[{id: k}]", "missing-key"),
        ("[{needs: [c]}]", "missing-key"),
        ("[{id: a b, needs: [c]}]", "wrong-value"),
        ("[{id: k, needs: [c], wy: x}]", "unknown-key"),
        ("[{id: k, needs: [c]}, {id: k, needs: [c]}]", "duplicate-name"),
        ("[c]", "wrong-type"),
        ("{}", "wrong-type"),
    ],
)
def test_a_criterion_that_says_nothing_is_a_fault(folder: Folder, criteria: str, code: str) -> None:
    assert [fault.code for fault in folder.faults(spec(check(), more=f"certificate: {{criteria: {criteria}}}\n"))] == [
        code
    ]


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43_200.0), ("90d", 7_776_000.0), ("8w", 4_838_400.0)])
def test_a_certificate_expires_after_hours_days_or_weeks(folder: Folder, text: str, seconds: float) -> None:
    assert folder.plan(spec(check(), more=f"certificate: {{expires: {text}}}\n")).spec.expires == seconds
    assert folder.plan(spec(check())).spec.expires is None


@pytest.mark.parametrize("text", ["0d", "-1d", "90", '"90 d"', "1.5d", "never", "''", "999999d", "90d90d"])
def test_an_expiry_that_is_no_time_is_a_fault(folder: Folder, text: str) -> None:
    (said,) = folder.said(spec(check(), more=f"certificate: {{expires: {text}}}\n"))
    assert said.startswith("a.yaml:6:24: wrong-")


# ---------------------------------------------------------------------------------------- checks, ids


def test_two_checks_of_one_name_and_kind_are_a_fault_that_names_the_first(folder: Folder) -> None:
    (fault,) = folder.faults(spec(check() + check()))
    assert (str(fault.spot), fault.code) == ("a.yaml:5:12", "duplicate-name")
    assert "a.yaml:4" in fault.what


def test_an_unrelated_edit_renames_nothing(folder: Folder) -> None:
    folder.put("c.jsonl", '{"id": "x", "input": 1, "expect": 1}\n{"id": "y", "input": 1, "expect": 1}\n')
    own = "  - {name: own, kind: golden, model: [m], cases: c.jsonl, matrix: {k: [1, 2]}}\n"

    def ids() -> list[str]:
        part = folder.plan()
        return [f"{c.id}::{case.id}" for c in part.checks if c.name.startswith("own") for case in c.cases]

    folder.put("a.yaml", spec(own))
    before = ids()
    assert before == [f"a.yaml::golden::own[m-{k}]::{i}" for k in (1, 2) for i in "xy"]
    folder.put(
        "a.yaml", "# a comment\n\n" + spec(check("before") + own + check("after"), "{z: {echo: {}}, m: {echo: {}}}")
    )
    assert ids() == before
    folder.put(
        "c.jsonl",
        '\n{"id": "w", "input": 1, "expect": 1}\n{"id": "y", "input": 1, "expect": 1}\n{"id": "x", "input": 2, "expect": 2}\n',
    )
    assert sorted(set(before) - set(ids())) == []


def test_everything_planned_says_where_it_was_written(folder: Folder) -> None:
    folder.put("data/c.jsonl", '\n{"id": "x", "input": 1, "expect": 1}\n')
    part = folder.plan(
        "hallmark: 1\nmodels:\n  m:\n    echo: {}\nchecks:\n  - kind: golden\n    name: c\n    model: m\n    cases: data/c.jsonl\n"
        "  - name: d\n    kind: golden\n    model: m\n    cases:\n      - id: a\n        input: 1\n        expect: 1\n"
        "certificate:\n  criteria:\n    - id: k\n      needs: [c]\n"
    )
    assert part.models["a.yaml::m"].at == "a.yaml:3"
    assert [c.at for c in part.checks] == ["a.yaml:7", "a.yaml:10"]
    assert [case.at for c in part.checks for case in c.cases] == ["data/c.jsonl:2", "a.yaml:14"]
    assert part.criteria[0].at == "a.yaml:19"


def test_a_spec_without_a_name_is_called_after_its_file(folder: Folder) -> None:
    assert folder.plan(spec(check()), name="sub/lenet.yaml").spec.name == "lenet"
    assert folder.plan(spec(check(), more="name: other\n"), name="sub/lenet.yaml").spec.name == "other"


def test_one_case_file_serves_several_checks(folder: Folder) -> None:
    folder.put("c.jsonl", '{"id": "x", "input": 1, "expect": 1}\n')
    found = folder.checks(spec("".join(f"  - {{name: {n}, kind: golden, model: m, cases: c.jsonl}}\n" for n in "ab")))
    assert found["a"].cases == found["b"].cases
    assert found["a"].cases[0].expect is not UNSET


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["a.yaml:1:1: empty"]),
        ("[]", ["a.yaml:1:1: wrong-type"]),
        ("text", ["a.yaml:1:1: wrong-type"]),
        ("name: x\n", ["a.yaml:1:1: missing-key"]),
        ("hallmark: 1\n", ["a.yaml:1:1: no-checks"]),
        ("hallmark: 1\nchecks: []\n", ["a.yaml:2:1: no-checks"]),
        ("hallmark: 1.0\nchecks: 7\n", ["a.yaml:2:9: wrong-type"]),
        ("hallmark: true\n", ["a.yaml:1:11: wrong-value"]),
        ("hallmark: 1\nchecks: {}\nmodels: []\n", ["a.yaml:2:9: wrong-type", "a.yaml:3:9: wrong-type"]),
        ("hallmark: 1\nchecks: [c]\n", ["a.yaml:2:10: wrong-type"]),
        ("hallmark: 1\nmodels: {m: echo}\n", ["a.yaml:2:13: wrong-type"]),
        ("hallmark: 1\nmodels: {a b: {echo: {}}}\n", ["a.yaml:2:10: wrong-name"]),
        (f"{HEAD}checks: [{{name: c, kind: [golden]}}]\n", ["a.yaml:3:26: unknown-kind"]),
        (f"{HEAD}checks: [{{name: 7, kind: golden, model: m, cases: {ONE}}}]\n", ["a.yaml:3:17: wrong-type"]),
        (f"{HEAD}checks: [{{name: c, kind: golden, model: {{}}, cases: {ONE}}}]\n", ["a.yaml:3:41: wrong-type"]),
        (f"{HEAD}checks: [{{name: c, kind: golden, model: [], cases: {ONE}}}]\n", ["a.yaml:3:41: wrong-type"]),
        (f"{HEAD}checks: [{{name: c, kind: golden, model: m, cases: 7}}]\n", ["a.yaml:3:51: wrong-type"]),
        (f"{HEAD}checks: [{{name: c, kind: golden, model: m, cases: {{}}}}]\n", ["a.yaml:3:51: wrong-type"]),
        (
            f"{HEAD}checks: [{{name: c, kind: golden, model: m, timeout: 0, cases: {ONE}}}]\n",
            ["a.yaml:3:53: wrong-value"],
        ),
    ],
)
def test_a_spec_of_the_wrong_shape_is_a_fault_at_its_place(folder: Folder, text: str, said: list[str]) -> None:
    assert folder.said(text) == said


def test_all_faults_of_a_spec_are_told_at_once_in_the_order_of_its_lines(folder: Folder) -> None:
    text = (
        "hallmark: 1\nmodels:\n  m: {ekho: {}}\n  n: {echo: {secs: 1}}\nchecks:\n"
        f"  - {{name: a, kind: goldn}}\n  - {{name: b, kind: golden, model: q, cases: {ONE}}}\n  - {{name: c, kind: golden, model: m, cases: no.jsonl}}\n"
    )
    assert folder.said(text) == [
        "a.yaml:3:7: source",
        "a.yaml:4:14: unknown-key",
        "a.yaml:6:21: unknown-kind",
        "a.yaml:7:36: unknown-model",
    ]
