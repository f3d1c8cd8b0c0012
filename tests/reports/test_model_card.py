"""Model cards: read back by the Hub's own parser, no more than the certificate says, no shape from a stranger's text."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.pages import Run
from reports import model_card
from reports.inert import file_of, inert
from reports.model_card.body import code, prose
from tests.reports.told import CASES, WEIGHTS, a_run

hub = pytest.importorskip("huggingface_hub")

HOSTILE = [
    "---\n# not the card\n---\n",
    "a: [b, {c: d}] # e",
    "!!python/object/apply:os.system ['true']",
    "&a *a",
    "'\"`",
    "|",
    "| a | b |\n| --- | --- |",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "http://evil.example www.evil.example someone@evil.example",
    "\x1b[31mred\x07\x00",
    "\u202etxt.exe\u2066\u200b",
    "# heading\n\n- list\n\n1. one",
    "```\n``` ` `` ",
    "$$x$$ ~~gone~~ **bold** _slant_ \\",
    "=",
    "null",
    "\ufeff\u2028\u2029\x85",
    "%TAG ! tag:evil.example,2026:",
    "&lt;b&gt; &#60;b&#62;",
]


def _card(run: Run) -> Any:
    return hub.ModelCard(model_card.tell(run).decode())


def test_the_hubs_parser_reads_the_results_back() -> None:
    card = _card(a_run())
    assert card.data.library_name == "mlx"
    assert card.data.tags == ["mlx", "hallmark", "hallmark-certified"]
    assert card.data.license is None
    base, small = card.data.eval_results
    assert (base.metric_args["model"], small.metric_args["model"]) == ("base", "small")
    assert small.metric_value == 0.75
    assert small.metric_args["interval"] == [0.5, 0.875]
    assert "0.75, between 0.5 and 0.875" in small.metric_name
    assert (small.dataset_name, small.dataset_revision) == ("digits.jsonl", CASES)
    assert small.metric_args["n"] == 4


def test_no_result_is_said_to_be_verified_by_the_hub() -> None:
    told = model_card.tell(a_run()).decode()
    assert not re.search("verified|verifyToken", told)
    assert all(result.verified is None and result.verify_token is None for result in _card(a_run()).data.eval_results)


def test_each_model_has_an_entry_of_its_own() -> None:
    import yaml

    front = yaml.safe_load(model_card.tell(a_run()).decode().split("\n---\n")[0].removeprefix("---\n"))
    assert [entry["name"] for entry in front["model-index"]] == ["base", "small"]
    assert [len(entry["results"]) for entry in front["model-index"]] == [1, 1]


@pytest.mark.parametrize(("verdict", "status"), [("fail", "blocked"), ("inconclusive", "inconclusive")])
def test_a_run_that_is_not_certified_says_so_first(verdict: Any, status: str) -> None:
    card = _card(a_run(verdict))
    assert f"hallmark-{status}" in card.data.tags
    assert "hallmark-certified" not in card.data.tags
    said = [line for line in card.text.splitlines() if line and not line.startswith("#")]
    assert said[0].startswith(f"**Hallmark: {status}.**")
    assert said[1].startswith("**This is not certified:**")
    assert f"({verdict})" in card.data.eval_results[1].metric_name


def test_a_run_that_did_not_finish_has_no_results() -> None:
    card = _card(a_run(finished=False))
    assert card.data.eval_results is None
    assert "**Hallmark: incomplete.**" in card.text


def test_a_check_that_could_not_be_measured_is_no_result() -> None:
    (only,) = _card(a_run("error")).data.eval_results
    assert only.metric_args["model"] == "base"


def test_what_holds_it_up_is_told_with_its_line_and_command() -> None:
    text = _card(a_run("fail")).text
    assert "## What holds it up" in text
    assert "specs/a.yaml:7" in text
    assert "`hallmark run specs/a.yaml::golden::digits`" in text
    assert "## What holds it up" not in _card(a_run()).text


def test_it_says_how_to_verify_it_and_which_record_it_is_of() -> None:
    run = a_run()
    text = _card(run).text
    assert "hallmark verify" in text
    assert "mlx-hallmark==1.2.3" in text
    for digest in [*run.digests.values(), *WEIGHTS.values()]:
        assert digest in text


def test_the_same_run_gives_the_same_card() -> None:
    assert model_card.tell(a_run()) == model_card.tell(a_run())


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_stranger_wrote_stays_text(text: str) -> None:
    _stays_text(a_run("fail", text=text, name=text, model=text, path="golden/x.jsonl"))


@settings(max_examples=40)
@given(st.text(st.characters(codec="utf-8"), max_size=40), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_stays_text(text: str, name: str) -> None:
    _stays_text(a_run("fail", text=text, name=name, model=name))


def _stays_text(run: Run) -> None:
    told = model_card.tell(run).decode()
    card = hub.ModelCard(told)
    assert len(card.data.eval_results) == 2
    assert set(card.data.to_dict()) == {"library_name", "tags", "model-index"}
    assert card.data.tags == ["mlx", "hallmark", "hallmark-blocked"]
    assert all(sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in told)
    heads = [line for line in card.text.splitlines() if line.startswith("## ")]
    assert heads == [
        "## What holds it up",
        "## Criteria",
        "## Limits",
        "## Checks",
        "## Models",
        "## Data",
        "## How to verify this",
    ]
    markdown = pytest.importorskip("markdown_it")
    shown = markdown.MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(card.text)
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z0-9]+)", shown))
    assert tags <= {
        *["h1", "h2", "p", "strong", "ul", "li", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "br"]
    }
    rows = [line.count("</td>") for line in shown.replace("</tr>", "</tr>\n\n").split("\n\n")]
    assert {count for count in rows if count} <= {2, 4, 7}


def test_code_is_fenced_by_more_backticks_than_it_has() -> None:
    assert code("a``b") == "```a``b```"
    assert code("`") == "`` ` ``"
    assert code("") == ""


def test_prose_makes_no_links() -> None:
    assert "http://" not in prose("http://evil.example")
    assert "www." not in prose("www.evil.example")
    assert prose("plain, as 0.98 of 3 (a-b).") == "plain, as 0.98 of 3 (a-b)."


def test_inert_text_is_one_line_in_which_everything_is_seen() -> None:
    assert inert("a\nb\tc") == "a b c"
    assert inert("\x1b[1m\u202e") == "\\u001b[1m\\u202e"
    assert inert("x" * 9, 4) == "xxx…"
    assert inert("grüße 日本") == "grüße 日本"


def test_a_place_on_a_machine_is_told_by_its_name_alone() -> None:
    assert file_of("golden/a.jsonl:12") == "golden/a.jsonl"
    assert file_of("golden/a.jsonl:12:3") == "golden/a.jsonl"
    assert file_of("/home/somebody/a.jsonl:1") == "a.jsonl"
    assert file_of("") == ""
