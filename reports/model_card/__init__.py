"""A model card for the Hugging Face Hub: front matter with a `model-index`, and what the certificate says.

One card a run. Its `model-index` has an entry for each model that a check is about; what was not measured whole has
none. It claims nothing that the certificate does not: its status stands first, and a rate stands with its interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.contract import Check, CheckResult, Pages
from reports.inert import file_of, inert
from reports.model_card.body import names_of, span, written

FILE = "model_card.md"
ON_REQUEST = True
NEEDS = "hub"

_TOLD = ("pass", "fail", "inconclusive")
"""Verdicts that stand on what was measured."""


def tell(pages: Pages) -> bytes:
    from huggingface_hub import CardData

    certificate = pages.certificate
    tags = ["hallmark", f"hallmark-{certificate.status}"]
    with_mlx = any("mlx" in setting.facts for setting in pages.settings)
    head: dict[str, Any] = {"library_name": "mlx"} if with_mlx else {}
    head["tags"] = ["mlx", *tags] if with_mlx else tags
    # Their ModelCardData writes one model only; what makes an entry of a model's results is theirs as well.
    if index := list(_index(pages)):
        head["model-index"] = index
    front = CardData(**head).to_yaml()
    return f"---\n{front}\n---\n\n{written(pages)}".encode()


def _index(pages: Pages) -> Iterator[dict[str, Any]]:
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    if pages.certificate.status == "incomplete":
        return
    results = {result.id: result for result in pages.certificate.checks}
    for key, name in names_of(pages).items():
        of_it = [(check, results[check.id]) for check in pages.plan.checks if check.model == key]
        found = [
            EvalResult(
                task_type="other",
                task_name=inert(f"{check.kind} check"),
                dataset_type="custom",
                dataset_name=inert(", ".join(path.rpartition("/")[2] for path in _sources(check)) or "no cases"),
                # Results with one task, data set, configuration and revision are shown as one.
                dataset_config=inert(check.id),
                dataset_revision=_revision(pages, check),
                metric_type=inert(check.kind),
                metric_name=inert(_metric(name, result)),
                metric_value=result.estimate,
                metric_args=_args(name, result),
            )
            for check, result in of_it
            if result.verdict in _TOLD and result.estimate is not None
        ]
        if found:
            yield from eval_results_to_model_index(inert(name), found)


def _sources(check: Check) -> Sequence[str]:
    """The files that its cases were written in; where no model is asked, the spec that says what is looked at."""
    asked = [case for case in check.cases if case.asks] or check.cases
    return list(dict.fromkeys(path for case in asked if (path := file_of(case.at))))


def _revision(pages: Pages, check: Check) -> str | None:
    """The digest of its data, where that is one file."""
    sources = _sources(check)
    return pages.plan.files.get(sources[0]) if len(sources) == 1 else None


def _metric(name: str, result: CheckResult) -> str:
    verdict = f"{result.verdict}, waived" if result.waived else result.verdict
    return f"{result.name} of {name}: {span(result)} ({verdict})"


def _args(name: str, result: CheckResult) -> dict[str, Any]:
    told: dict[str, Any] = {"model": inert(name), "verdict": result.verdict, "n": result.n}
    if result.waived:
        told["waived"] = True
    if result.interval is not None:
        told |= {"interval": list(result.interval), "method": inert(result.method)}
    return told
