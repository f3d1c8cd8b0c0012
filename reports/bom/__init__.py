"""What a run is about as a CycloneDX 1.6 bill of materials: models with their cards, and the data they were held to.

A pure function of the run, its serial number too. It is written by hand: the CycloneDX library for Python has no words
for model cards, only the schema that this is held to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from harness.codec import digest_of, to_pretty_json
from harness.contract import Check, CheckResult, Declared, Pages
from reports.inert import file_of, inert

FILE = "bom.cdx.json"
ON_REQUEST = True

_HEX = frozenset("0123456789abcdef")


def tell(pages: Pages) -> bytes:
    certificate = pages.certificate
    metadata: dict[str, Any] = {
        "tools": {"components": [{"type": "application", "name": "Hallmark", "version": inert(pages.plan.hallmark)}]},
        "component": _subject(pages),
        "properties": _properties(_facts(pages)),
    }
    if certificate.run.finished:
        metadata = {"timestamp": certificate.run.finished, **metadata}
    return to_pretty_json(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{_serial(pages)}",
            "version": 1,
            "metadata": metadata,
            "components": [*_models(pages), *_data(pages)],
            "dependencies": list(_dependencies(pages)),
        }
    )


def _serial(pages: Pages) -> str:
    """The same for the same record, wherever and whenever it is told."""
    record = sorted(pages.certificate.provenance["record"].items())
    return str(uuid5(NAMESPACE_URL, "hallmark:" + "|".join(f"{name}={digest}" for name, digest in record)))


def _subject(pages: Pages) -> dict[str, Any]:
    names = ", ".join(spec.name for spec in pages.plan.specs)
    about = "; ".join(spec.about for spec in pages.plan.specs if spec.about)
    told = {"type": "application", "bom-ref": "run", "name": inert(names) or "run", "version": pages.certificate.run.id}
    return {**told, "description": inert(about)} if about else told


def _facts(pages: Pages) -> Iterator[tuple[str, object]]:
    certificate = pages.certificate
    yield "status", certificate.status
    yield "reason", certificate.reason
    yield "score", repr(certificate.score)
    yield "run", certificate.run.id
    if certificate.expires:
        yield "expires", certificate.expires
    if certificate.locked:
        yield "lock", certificate.locked.digest
    for name, digest in certificate.provenance["record"].items():
        yield f"record:{name}", digest
    for criterion in certificate.criteria:
        yield "criterion", f"{criterion.id}: {criterion.verdict}{', waived' * criterion.waived}"


def _properties(facts: Iterator[tuple[str, object]]) -> list[dict[str, str]]:
    return [{"name": f"hallmark:{name}", "value": inert(value)} for name, value in facts]


# -------------------------------------------------------------------------------------------- models


def _models(pages: Pages) -> Iterator[dict[str, Any]]:
    results = {result.id: result for result in pages.certificate.checks}
    for key, declared in pages.plan.models.items():
        checks = [check for check in pages.plan.checks if check.model == key]
        digests = pages.certificate.provenance["models"][key]["digests"]
        told: dict[str, Any] = {
            "type": "machine-learning-model",
            "bom-ref": _model_ref(key),
            "name": inert(declared.name) or "model",
            "description": inert(f"made by {declared.made()}"),
        }
        # A model that was not the same throughout has no digest that tells which it was.
        if len(digests) == 1 and (hashes := _hashes(digests[0])):
            told["hashes"] = hashes
        told["modelCard"] = _card(pages, checks, results)
        told["properties"] = _properties(_of_model(declared, digests))
        yield told


def _of_model(declared: Declared, digests: list[str]) -> Iterator[tuple[str, object]]:
    yield "recipe", declared.recipe
    for digest in digests:
        yield "digest", digest
    for step in declared.steps:
        yield "step", f"{step.what}: {step.recipe}"


def _card(pages: Pages, checks: list[Check], results: Mapping[str, CheckResult]) -> dict[str, Any]:
    mine = [results[check.id] for check in checks]
    told: dict[str, Any] = {}
    if data := sorted({path for check in checks for path in _asked(check)}):
        told["modelParameters"] = {"datasets": [{"ref": _file_ref(path)} for path in data]}
    if metrics := [metric for result in mine for metric in _metrics(result)]:
        told["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    if limits := list(dict.fromkeys(inert(line) for line in _limits(pages, mine))):
        told["considerations"] = {"technicalLimitations": limits}
    return told


def _metrics(result: CheckResult) -> Iterator[dict[str, Any]]:
    if result.estimate is None:
        return
    slice = inert(f"{result.id}: {result.verdict}{', waived' * result.waived}, n = {result.n}")
    told: dict[str, Any] = {"type": inert(result.kind), "value": repr(result.estimate), "slice": slice}
    if result.interval is not None:
        low, high = result.interval
        told["confidenceInterval"] = {"lowerBound": repr(low), "upperBound": repr(high)}
    yield told
    for name, value in result.figures.items():
        yield {"type": inert(f"{result.kind}: {name}"), "value": repr(value), "slice": inert(result.id)}


def _limits(pages: Pages, mine: list[CheckResult]) -> Iterator[str]:
    certificate = pages.certificate
    if certificate.status != "certified":
        yield f"Not certified: {certificate.status}: {certificate.reason}"
    for result in mine:
        if result.verdict != "pass":
            yield f"{result.id}: {result.verdict}{', waived' * result.waived}: {result.reason}"
    if certificate.expires:
        yield f"What was shown holds until {certificate.expires}"
    yield from certificate.notes


# ---------------------------------------------------------------------------------------------- data


def _data(pages: Pages) -> Iterator[dict[str, Any]]:
    specs = {spec.path for spec in pages.plan.specs}
    cases = {path for check in pages.plan.checks for path in _asked(check)}
    lessons = {path for model in pages.plan.models.values() for step in model.steps for path in step.files}
    for path, digest in _files(pages).items():
        use = [word for word, paths in (("cases", cases), ("lessons", lessons)) if path in paths]
        kind = "dataset" if use else "configuration" if path in specs else "other"
        told: dict[str, Any] = {
            "type": "data",
            "bom-ref": _file_ref(path),
            "name": inert(path) or "data",
            "data": [{"type": kind, "name": inert(path), "description": " and ".join(use) or "read by the plan"}],
        }
        if hashes := _hashes(digest):
            told["hashes"] = hashes
        yield told


def _files(pages: Pages) -> dict[str, str]:
    """All files that were read, by path, with their digests; none where nobody took it."""
    found = {file_of(path): digest for path, digest in pages.plan.files.items()}
    for model in pages.plan.models.values():
        for step in model.steps:
            found |= {file_of(path): digest for path, digest in step.files.items()}
    for path in (path for check in pages.plan.checks for path in _asked(check)):
        found.setdefault(path, "")
    return dict(sorted(found.items()))


def _asked(check: Check) -> set[str]:
    """The files that hold what its model is asked."""
    return {path for case in check.cases if case.asks and (path := file_of(case.at))}


def _dependencies(pages: Pages) -> Iterator[dict[str, Any]]:
    models = pages.plan.models
    yield {"ref": "run", "dependsOn": [_model_ref(key) for key in models]}
    for key, declared in models.items():
        base = f"{key.rpartition('::')[0]}::{declared.base}"
        needs = [_model_ref(base)] if declared.base and base in models and base != key else []
        needs += sorted({_file_ref(file_of(path)) for step in declared.steps for path in step.files})
        if needs:
            yield {"ref": _model_ref(key), "dependsOn": needs}


def _model_ref(key: str) -> str:
    return _ref("model", key)


def _file_ref(path: str) -> str:
    return _ref("file", path)


def _ref(of: str, name: str) -> str:
    """A reference: what it names, or a digest of that where it can't be shown as it is."""
    return f"{of}:{name if inert(name) == name else digest_of(name)}"


def _hashes(digest: str) -> list[dict[str, str]]:
    kind, _, content = digest.partition(":")
    fits = kind == "sha256" and len(content) == 64 and _HEX.issuperset(content)
    return [{"alg": "SHA-256", "content": content}] if fits else []
