"""A real MLflow store is told of a run, once, and says the same back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.codec import to_pretty_json
from harness.contract import Refused
from harness.pages import Run
from reports import mlflow as room
from reports.mlflow.figures import metrics, params
from tests.conftest import REPOSITORY
from tests.reports.told import WEIGHTS, a_run

client_of: Any = pytest.importorskip("mlflow").MlflowClient


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder, the only store that the small client has besides a server; MLflow wants that said."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return str(tmp_path / "mlruns")


def _folder(run: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    for name, data in {**run.data, "certificate.json": to_pretty_json(run.certificate), "report.html": b"<p>"}.items():
        (folder / name).write_bytes(data)
    return folder


def _runs(store: str) -> list[Any]:
    client = client_of(tracking_uri=store)
    return list(client.search_runs([client.get_experiment_by_name("hallmark").experiment_id]))


def test_a_store_says_back_what_it_was_told(store: str, tmp_path: Path) -> None:
    run = a_run("fail")
    place = room.send(run, _folder(run, tmp_path), store)
    (told,) = _runs(store)
    assert told.info.run_id in place
    assert told.data.metrics == metrics(run)
    assert told.data.params == params(run)
    assert told.data.tags["hallmark.run"] == run.certificate.run.id == told.info.run_name
    assert told.data.tags["hallmark.status"] == "blocked"
    assert told.data.tags["hallmark.digest.plan.json"] == run.digests["plan.json"]
    assert told.data.tags["hallmark.link"] == f"runs:/{told.info.run_id}/certificate.json"
    assert told.info.status == "FINISHED"
    assert told.info.end_time - told.info.start_time == 9000
    names = {file.path for file in client_of(tracking_uri=store).list_artifacts(told.info.run_id)}
    assert names == {"plan.json", "outcomes.jsonl", "certificate.json", "report.html"}


def test_its_names_tell_check_and_figure(store: str) -> None:
    told = metrics(a_run(name="digits[int8]"))
    assert told["digits.int8/estimate"] == 0.75
    assert (told["digits.int8/lower"], told["digits.int8/upper"]) == (0.5, 0.875)
    assert told["digits.int8/figures/size_mb"] == 0.25
    assert told["digits.int8/passed"] == 1.0
    assert params(a_run())["model/small/digest"] == WEIGHTS["small"]


def test_telling_the_same_run_twice_adds_nothing(store: str, tmp_path: Path) -> None:
    run = a_run()
    folder = _folder(run, tmp_path)
    first = room.send(run, folder, store)
    assert room.send(run, folder, store) == first
    (told,) = _runs(store)
    history = client_of(tracking_uri=store).get_metric_history(told.info.run_id, "digits/estimate")
    assert len(history) == 1


def test_what_was_told_half_is_finished(store: str, tmp_path: Path) -> None:
    run = a_run()
    folder = _folder(run, tmp_path)
    first = room.send(run, folder, store)
    client = client_of(tracking_uri=store)
    (told,) = _runs(store)
    client.delete_tag(told.info.run_id, "hallmark.told")
    client.delete_tag(told.info.run_id, "hallmark.status")
    assert room.send(run, folder, store) == first
    (told,) = _runs(store)
    assert told.data.tags["hallmark.status"] == "certified"
    assert "hallmark.told" in told.data.tags


def test_another_record_under_the_same_id_is_refused(store: str, tmp_path: Path) -> None:
    room.send(a_run(), _folder(a_run(), tmp_path), store)
    other = a_run(text="changed")
    with pytest.raises(Refused, match="another record"):
        room.send(other, _folder(other, tmp_path), store)
    assert len(_runs(store)) == 1


def test_a_folder_that_is_not_the_runs_is_refused_before_anything_is_told(store: str, tmp_path: Path) -> None:
    run = a_run()
    folder = _folder(run, tmp_path)
    (folder / "certificate.json").write_bytes(b"{}")
    with pytest.raises(Refused, match=r"certificate\.json"):
        room.send(run, folder, store)
    assert not Path(store).exists()


def test_no_link_is_followed(store: str, tmp_path: Path) -> None:
    run = a_run()
    folder = _folder(run, tmp_path)
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    room.send(run, folder, store)
    (told,) = _runs(store)
    names = {file.path for file in client_of(tracking_uri=store).list_artifacts(told.info.run_id)}
    assert names == {"plan.json", "outcomes.jsonl", "certificate.json", "report.html"}


def test_what_was_attached_is_told_in_its_folder(store: str, tmp_path: Path) -> None:
    run = a_run()
    folder = _folder(run, tmp_path)
    (folder / "attached" / "a").mkdir(parents=True)
    (folder / "attached" / "a" / "b.html").write_text("x")
    room.send(run, folder, f"file://{store}")
    (told,) = _runs(store)
    (found,) = client_of(tracking_uri=store).list_artifacts(told.info.run_id, "attached/a")
    assert found.path == "attached/a/b.html"


def test_a_run_that_did_not_finish_failed(store: str, tmp_path: Path) -> None:
    run = a_run(finished=False)
    room.send(run, _folder(run, tmp_path), store)
    (told,) = _runs(store)
    assert (told.info.status, told.data.tags["hallmark.status"]) == ("FAILED", "incomplete")


@pytest.mark.parametrize("name", ["a/b", "../../up", "A", "a b\u202e", "", "x" * 400, "'; --", "\x00", "[int8]"])
def test_any_name_is_one_that_it_takes(store: str, tmp_path: Path, name: str) -> None:
    figures = {name: 1.0, f"{name} ": 2.0, f"{name}\u00e9": 3.0, name.upper() + "!": 4.0}
    run = a_run("fail", text=name, name=name, model=name, figures=figures)
    room.send(run, _folder(run, tmp_path), store)
    (told,) = _runs(store)
    assert told.data.metrics == metrics(run)
    assert sorted(value for key, value in told.data.metrics.items() if "/figures/" in key) == sorted(figures.values())


def test_nowhere_to_send_is_said(store: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="--to"):
        room.send(a_run(), _folder(a_run(), tmp_path))


def test_the_environment_says_where(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    room.send(a_run(), _folder(a_run(), tmp_path))
    assert len(_runs(store)) == 1


def test_a_server_that_is_not_there_is_said_in_a_line_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = dict(os.environ)
    with pytest.raises(Refused) as refused:
        room.send(a_run(), _folder(a_run(), tmp_path), "http://somebody:hidden@127.0.0.1:9")
    assert "\n" not in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert "127.0.0.1:9" in str(refused.value)
    assert dict(os.environ) == before


def test_it_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, reports.mlflow; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0
