"""Tells an MLflow server of a run: its figures as metrics, its digests as tags, its files as artifacts.

A run is told once: telling it again finds the one that is there, by the tag `hallmark.run`, and finishes what was left.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from harness.codec import digest, digest_of, to_pretty_json
from harness.contract import Pages, Refused
from reports.inert import inert
from reports.mlflow.figures import metrics, params

ON_REQUEST = True
NEEDS = "mlflow"

_TOLD = "hallmark.told"
"""Set when all else is there."""
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Of its client, unless the user has them otherwise: it tells nobody else, gives up soon, and prints nothing."""


def send(pages: Pages, folder: Path, to: str = "") -> str:
    """Where the run can be seen."""
    where = to or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not where:
        raise Refused("say where MLflow is: `--to http://localhost:5000`, or set MLFLOW_TRACKING_URI")
    files = _files(pages, folder)
    # MLflow takes a folder only from those who say that they know that it will be given up: who names one does.
    on_disk = "://" not in where or where.startswith("file:")
    with _settings(_SETTINGS | ({"MLFLOW_ALLOW_FILE_STORE": "true"} if on_disk else {})):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            return _told(pages, folder, files, MlflowClient(tracking_uri=where, registry_uri=where), where)
        except (MlflowException, OSError) as error:
            said = inert(re.sub(r"//[^/@\s]*@", "//", str(error)), 300)
            raise Refused(f"MLflow at {_shown(where)} does not take it: {said}") from None


def _told(pages: Pages, folder: Path, files: list[Path], client: Any, where: str) -> str:
    experiment = _experiment(client)
    wanted = _tags(pages)
    found = _found(client, experiment, wanted)
    if found is None:
        started = _milliseconds(pages.certificate.run.started)
        run = client.create_run(experiment, start_time=started, tags=wanted, run_name=wanted["hallmark.run"])
        known: Mapping[str, str] = {}
    else:
        run, known = found, found.data.params
    id = run.info.run_id
    if run.data.tags.get(_TOLD) != wanted["hallmark.certificate"]:
        _write(client, id, pages, wanted, known)
        for file in files:
            within = file.parent.relative_to(folder).as_posix()
            client.log_artifact(id, str(file), None if within == "." else within)
        client.set_terminated(
            id,
            status="FAILED" if pages.certificate.status == "incomplete" else "FINISHED",
            end_time=_milliseconds(pages.certificate.run.finished),
        )
        client.set_tag(id, _TOLD, wanted["hallmark.certificate"])
    return _seen_at(where, experiment, id)


def _experiment(client: Any) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "") or "hallmark"
    known = client.get_experiment_by_name(name)
    if known is not None and known.lifecycle_stage != "active":
        raise Refused(f"the experiment `{name}` is deleted there: restore it, or set MLFLOW_EXPERIMENT_NAME")
    return str(known.experiment_id if known is not None else client.create_experiment(name))


def _found(client: Any, experiment: str, wanted: Mapping[str, str]) -> Any:
    """The run that this one was told as before."""
    quoted = wanted["hallmark.run"].replace("'", "")
    for run in client.search_runs([experiment], f"tags.`hallmark.run` = '{quoted}'"):
        if run.data.tags.get("hallmark.record") == wanted["hallmark.record"]:
            return run
        raise Refused(f"another record was told there as run {quoted}: one of them was changed")
    return None


def _write(client: Any, id: str, pages: Pages, wanted: Mapping[str, str], known: Mapping[str, str]) -> None:
    from mlflow.entities import Metric, Param, RunTag

    at = _milliseconds(pages.certificate.run.finished) or 0
    figures = [Metric(name, value, at, 0) for name, value in metrics(pages).items()]
    facts = [Param(name, value) for name, value in params(pages).items() if name not in known]
    labels = [RunTag(name, value) for name, value in wanted.items()]
    labels.append(RunTag("hallmark.link", f"runs:/{id}/certificate.json"))
    # A server takes a thousand metrics at once, and a hundred of the others.
    for first in range(0, len(figures), 1000):
        client.log_batch(id, metrics=figures[first : first + 1000])
    for first in range(0, len(facts), 100):
        client.log_batch(id, params=facts[first : first + 100])
    client.log_batch(id, tags=labels)


def _tags(pages: Pages) -> dict[str, str]:
    certificate = pages.certificate
    record = certificate.provenance["record"]
    told = {
        "hallmark.run": inert(certificate.run.id, 100).replace("'", ""),
        "hallmark.record": digest_of(record),
        "hallmark.certificate": digest(to_pretty_json(certificate)),
        "hallmark.status": certificate.status,
        "hallmark.reason": certificate.reason,
        "hallmark.specs": ", ".join(spec.name for spec in pages.plan.specs),
        "hallmark.expires": certificate.expires or "",
        "hallmark.lock": certificate.locked.digest if certificate.locked else "",
        "mlflow.source.name": "hallmark",
    }
    told |= {f"hallmark.digest.{name}": value for name, value in record.items()}
    return {name: inert(value, 1000) for name, value in told.items() if value}


def _files(pages: Pages, folder: Path) -> list[Path]:
    """The files of the run's folder, once it is known that they are of this run. Links may lead anywhere."""
    expected = {**pages.data, "certificate.json": to_pretty_json(pages.certificate)}
    for name, data in expected.items():
        if not (folder / name).is_file() or (folder / name).read_bytes() != data:
            raise Refused(f"{name} in that folder is not this run's; `hallmark verify` says more")
    found = [Path(within) / name for within, _, names in os.walk(folder) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _milliseconds(when: str | None) -> int | None:
    return round(datetime.fromisoformat(when).timestamp() * 1000) if when else None


def _seen_at(where: str, experiment: str, id: str) -> str:
    if where.partition("://")[0] in ("http", "https"):
        return f"{_shown(where).rstrip('/')}/#/experiments/{experiment}/runs/{id}"
    return f"{_shown(where)}: experiment {experiment}, run {id}"


def _shown(where: str) -> str:
    """Without what a password may stand in."""
    parts = urlsplit(where)
    if not parts.netloc:
        return inert(where)
    return inert(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))


@contextmanager
def _settings(wanted: Mapping[str, str]) -> Iterator[None]:
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
