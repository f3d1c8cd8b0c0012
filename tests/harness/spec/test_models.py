"""Models made from others: chains, what decides a recipe, and what a model learned from."""

from __future__ import annotations

import pytest

from harness.contract import Declared
from harness.spec.memory import read_plan
from tests.harness.spec.conftest import ONE, Folder

BASE = "base: {zoo: lenet5, seed: 0}"


def spec(*models: str, check: str = f"{{name: c, kind: golden, model: base, cases: {ONE}}}") -> str:
    return "hallmark: 1\nmodels:\n" + "".join(f"  {model}\n" for model in models) + f"checks: [{check}]\n"


def models(folder: Folder, *written: str) -> dict[str, Declared]:
    return {key.partition("::")[2]: model for key, model in folder.plan(spec(*written)).models.items()}


def test_a_variant_carries_its_source_and_every_step_from_there(folder: Folder) -> None:
    made = models(
        folder,
        "tiny: {from: sparse, quantize: {bits: 4, group_size: 32, pad: true}, batch: 7}",  # before what it comes from
        BASE,
        "sparse: {from: base, prune: {sparsity: 0.8}}",
    )["tiny"]
    assert (made.how, made.options) == ("zoo", {"zoo": "lenet5", "seed": 0})
    assert [(step.what, step.options) for step in made.steps] == [
        ("prune", {"sparsity": 0.8}),
        ("quantize", {"bits": 4, "group_size": 32, "pad": True}),
    ]
    assert made.base == "sparse"
    assert made.made() == "zoo + prune + quantize"


def test_a_recipe_follows_from_all_that_went_before_and_from_no_name(folder: Folder) -> None:
    found = models(
        folder,
        BASE,
        "other: {zoo: lenet5, seed: 1}",
        "a: {from: base, quantize: {bits: 4, pad: true}}",
        "same: {from: base, quantize: {bits: 4, pad: true}, batch: 3}",
        "b: {from: other, quantize: {bits: 4, pad: true}}",
        "c: {from: base, quantize: {bits: 8, pad: true}}",
    )
    recipes = [found[name].recipe for name in ("base", "other", "a", "b", "c")]
    assert len(set(recipes)) == 5
    assert found["same"].recipe == found["a"].recipe


def test_the_batch_is_the_base_s_unless_told(folder: Folder) -> None:
    check = f"{{name: c, kind: golden, model: [sparse, other], cases: {ONE}}}"
    part = folder.plan(
        spec(
            "base: {zoo: lenet5, batch: 5}",
            "sparse: {from: base, prune: {sparsity: 0.5}}",
            "other: {from: base, prune: {sparsity: 0.5}, batch: 9}",
            check=check,
        )
    )
    assert [each.batch for each in part.checks] == [5, 9]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a: {from: b, prune: {sparsity: 0.5}}", "a.yaml:4:13: unknown-model: there is no model `b`"),
        (
            "a: {from: a, prune: {sparsity: 0.5}}",
            "a.yaml:4:13: circle: the model comes from itself: `a` -> `a`",
        ),
        (
            "a: {prune: {sparsity: 0.5}}",
            "a.yaml:4:7: source: the model `a` has a `prune`, and nothing that it is done to",
        ),
        (
            "a: {from: base, prune: {sparsity: 0.5}, quantize: {bits: 4}}",
            "a.yaml:4:43: source: the model `a` takes 2 steps at once",
        ),
        (
            "a: {from: base, prun: {sparsity: 0.5}}",
            "a.yaml:4:19: unknown-key: `prun` is not a key here; did you mean `prune`?",
        ),
        ("a: {from: base, seed: 2}", "a.yaml:4:19: unknown-key: `seed` is not a key here; known here: `batch`"),
        (
            "a: {from: base, quantize: {bits: 7}}",
            "a.yaml:4:36: quantize: affine has no 7 bits; write 2, 3, 4, 5, 6 or 8",
        ),
    ],
)
def test_what_is_wrong_with_a_variant_is_told_where_it_is_written(folder: Folder, written: str, said: str) -> None:
    (fault,) = folder.faults(spec(BASE, written))
    assert f"{fault.spot}: {fault.code}: {fault.what}; {fault.instead}".startswith(said)


def test_a_circle_of_two_is_told_once(folder: Folder) -> None:
    said = folder.said(spec(BASE, "a: {from: b, cast: float16}", "b: {from: a, cast: float16}"))
    assert said == ["a.yaml:5:13: circle"]


def test_a_model_that_only_asks_has_no_variants(folder: Folder) -> None:
    (fault,) = folder.faults(spec("base: {echo: {}}", "a: {from: base, cast: float16}"))
    assert fault.what == "`base` has no weights here to make a variant of: `echo` only asks"


# ------------------------------------------------------------------------------- beside other models

COMPARED = "{name: c, kind: compression, model: %s, baseline: %s, claim: {bytes: 0.5}, cases: " + ONE + "}"


def test_a_check_knows_the_models_of_its_roles(folder: Folder) -> None:
    part = folder.plan(spec(BASE, "a: {from: base, cast: float16}", check=COMPARED % ("[a]", "base")))
    (check,) = part.checks
    assert (check.model, check.others) == ("a.yaml::a", {"baseline": "a.yaml::base"})
    assert [case.asks for case in check.cases] == [True, False]


def test_an_unknown_model_in_a_role_is_told(folder: Folder) -> None:
    said = folder.faults(spec(BASE, check=COMPARED % ("base", "bse")))
    assert [(f.code, f.instead) for f in said] == [("unknown-model", "did you mean `base`?")]


def test_a_model_is_not_its_own_baseline(folder: Folder) -> None:
    assert [f.what for f in folder.faults(spec(BASE, check=COMPARED % ("base", "base")))] == [
        "a model is no smaller than itself"
    ]


# --------------------------------------------------------------------------------- what was learned

LORA = "tuned: {from: base, lora: {rank: 4, data: lessons.jsonl}}"
ASKED = "{name: c, kind: golden, model: tuned, cases: [{id: a, input: {prompt: ' one  two'}, expect: 3}, {id: b, input: x, expect: 1}]}"


def test_no_case_may_be_among_what_its_model_learned_from(folder: Folder) -> None:
    folder.put("lessons.jsonl", '{"input": "one two", "expect": "three"}\n')
    (fault,) = folder.faults(spec("base: {zoo: llama}", LORA, check=ASKED))
    assert fault.code == "learned"
    assert fault.what == "a case is among what `lora` at a.yaml:4:23 made `tuned` from: `a`"


def test_that_it_learned_from_none_of_them_is_noted_for_the_reviewer(folder: Folder) -> None:
    folder.put("lessons.jsonl", '{"input": "one", "expect": "three"}\n{"input": "two", "expect": "four"}\n')
    part = folder.plan(spec("base: {zoo: llama}", LORA, check=ASKED))
    assert part.notes == (
        "tuned: `lora` at a.yaml:4:23 learned from 2 inputs, none of which is written as one of the 2 cases that it is asked",
    )


def test_the_data_a_step_learns_from_is_part_of_its_recipe_and_of_the_plan(folder: Folder) -> None:
    folder.put("lessons.jsonl", '{"input": "one", "expect": "three"}\n')
    before = folder.plan(spec("base: {zoo: llama}", LORA, check=ASKED))
    folder.put("lessons.jsonl", '{"input": "one", "expect": "four"}\n')
    after = folder.plan(spec("base: {zoo: llama}", LORA, check=ASKED))
    assert before.models["a.yaml::tuned"].recipe != after.models["a.yaml::tuned"].recipe
    assert "lessons.jsonl" in after.files


def test_two_steps_on_one_line_are_both_remembered(folder: Folder) -> None:
    folder.put("one.jsonl", '{"input": "one two", "expect": "three"}\n')
    folder.put("two.jsonl", '{"input": "four", "expect": "five"}\n')
    models = (
        "hallmark: 1\nmodels: {base: {zoo: llama}, first: {from: base, lora: {data: one.jsonl, fuse: true}},"
        " tuned: {from: first, lora: {data: two.jsonl}}}\n"
    )
    assert [f.code for f in folder.faults(f"{models}checks: [{ASKED}]\n")] == ["learned"]


def test_a_chain_without_end_is_refused(folder: Folder) -> None:
    many = [f"m{i}: {{from: m{i + 1}, cast: float16}}" for i in range(400)]
    assert "deep" in {f.code for f in folder.faults(spec("base: {zoo: lenet5}", *many, "m400: {zoo: lenet5}"))}


def test_what_a_fragment_says_of_numerics_or_of_expiry_is_refused(folder: Folder) -> None:
    folder.put("_f.yaml", "hallmark: 1\nnumerics: fast\ncertificate: {expires: 1h}\n")
    said = folder.said("include: [_f.yaml]\n" + spec(BASE))
    assert said == ["_f.yaml:2:1: fragment", "_f.yaml:3:15: fragment"]


# ----------------------------------------------------------------------------------------- numerics


def test_specs_that_ask_for_different_numerics_do_not_run_together(folder: Folder) -> None:
    from harness.spec.faults import SpecFaults

    text = f"hallmark: 1\nmodels: {{m: {{echo: {{}}}}}}\nchecks: [{{name: c, kind: golden, model: m, cases: {ONE}}}]\n"
    a, b = folder.put("a.yaml", text), folder.put("b.yaml", "numerics: fast\n" + text)
    assert read_plan([a], folder.shelf).numerics == "strict"
    assert read_plan([b], folder.shelf).numerics == "fast"
    assert read_plan([a, b], folder.shelf, "strict").numerics == "strict"
    with pytest.raises(SpecFaults) as stop:
        read_plan([a, b], folder.shelf)
    assert stop.value.faults[0].what.startswith("the spec asks for fast numerics, and a.yaml for strict ones")


def test_a_plan_that_was_read_with_trust_is_not_taken_up_without(folder: Folder) -> None:
    from harness.shelf import Shelf
    from harness.spec.faults import SpecFaults

    text = f"hallmark: 1\nmodels: {{m: {{python: 'os:getcwd'}}}}\nchecks: [{{name: c, kind: golden, model: m, cases: {ONE}}}]\n"
    path = folder.put("a.yaml", text)
    read_plan([path], Shelf(folder.root, lambda text: None, trusted=True))
    with pytest.raises(SpecFaults):
        read_plan([path], folder.shelf)
