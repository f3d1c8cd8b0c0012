"""The source `mlx_lm`: which folder is meant, what can be told of it before it is opened, and what its recipe stands on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.contract import Question, Refused
from harness.shelf import Shelf
from models.sources import mlx_lm

pytestmark = pytest.mark.mlx

HUB = "org/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def site(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A project that has a model."""
    monkeypatch.setenv("HALLMARK_CACHE", str(tmp_path / "cache"))
    shutil.copytree(tiny, tmp_path / "project" / "models" / "tiny")
    return Shelf(tmp_path / "project", print)


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache that has a model, laid out as the hub's own library does."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--org--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(tiny, repository / "snapshots" / COMMIT))


@pytest.mark.parametrize("named", ["./models/tiny", "./models/../models/tiny"])
def test_a_folder_of_the_project_is_opened(site: Shelf, tiny: Path, named: str) -> None:
    options = {"mlx_lm": named, "generate": {"max_tokens": 4}}
    assert list(mlx_lm.faults(options, site)) == []
    assert mlx_lm.folder(options, site).samefile(site.root / "models" / "tiny")
    model = mlx_lm.open(options, site)
    (answer,) = model.answer([Question("q", "the cat")])
    assert len(answer["tokens"]) == 4
    assert mlx_lm.open_folder(tiny, options, site).answer([Question("q", "the cat")]) == [answer]


def test_a_model_of_the_hub_is_opened_from_the_local_cache(site: Shelf, hub: Path) -> None:
    for options in ({"mlx_lm": HUB}, {"mlx_lm": HUB, "revision": COMMIT}):
        assert list(mlx_lm.faults(options, site)) == []
        assert mlx_lm.folder(options, site) == hub
        assert mlx_lm.recipe(options, site) == ["mlx_lm", HUB, COMMIT]
    assert mlx_lm.open({"mlx_lm": HUB}, site).facts()["type"] == "llama"


def test_a_folder_of_the_project_goes_before_a_model_of_the_hub(site: Shelf, hub: Path) -> None:
    shutil.copytree(site.root / "models" / "tiny", site.root / "org" / "tiny")
    assert mlx_lm.folder({"mlx_lm": f"./{HUB}"}, site) == site.root / HUB  # as the planner writes it
    assert mlx_lm.folder({"mlx_lm": HUB}, site) == hub


def test_a_model_that_was_never_downloaded_is_told_of_when_it_is_opened(site: Shelf, hub: Path) -> None:
    said = "`org/other` is not in the local cache; run `hf download org/other`, or name a folder"
    with pytest.raises(Refused) as refused:
        mlx_lm.open({"mlx_lm": "org/other"}, site)
    assert str(refused.value) == said
    with pytest.raises(Refused, match="run `hf download org/tiny --revision v2`"):
        mlx_lm.open({"mlx_lm": HUB, "revision": "v2"}, site)
    assert list(mlx_lm.faults({"mlx_lm": "org/other"}, site)) == []
    assert mlx_lm.recipe({"mlx_lm": "org/other"}, site) == ["mlx_lm", "org/other", None]


@pytest.mark.parametrize(
    ("options", "what", "instead"),
    [
        ({"mlx_lm": "./models/tinny"}, "there is no folder `./models/tinny`", "name one of the project, or a model of"),
        ({"mlx_lm": "tinny"}, "there is no folder `tinny`", "name one of the project, or a model of the hub: org/name"),
        ({"mlx_lm": "a/b/c"}, "there is no folder `a/b/c`", "name one of the project"),
        ({"mlx_lm": ".."}, "`..` is outside the project", "put the model in it, or name one of the hub: org/name"),
        ({"mlx_lm": "/tmp"}, "`/tmp` is outside the project", "put the model in it"),
        ({"mlx_lm": "link"}, "`link` is outside the project", "put the model in it"),
    ],
)
def test_a_folder_that_can_not_be_had_is_remarked_on_and_refused_when_it_is_opened(
    site: Shelf, options: dict[str, str], what: str, instead: str
) -> None:
    (site.root / "link").symlink_to(site.root.parent)
    assert not list(mlx_lm.faults(options, site))
    (remark,) = mlx_lm.remarks(options, site, set())
    assert remark.startswith(f"a model can't be opened as it is: {what}")
    assert f"; {instead}" in remark
    with pytest.raises(Refused, match=r"; "):
        mlx_lm.open(options, site)
    assert mlx_lm.recipe(options, site)


def test_a_folder_has_no_revision(site: Shelf) -> None:
    (objection,) = mlx_lm.faults({"mlx_lm": "./models/tiny", "revision": "v1"}, site)
    assert objection.path == ("revision",)
    assert objection.what.startswith("`./models/tiny` is a folder, and `revision` belongs to")


def test_what_the_way_tells_is_a_fault_and_what_the_headers_tell_a_remark(site: Shelf) -> None:
    config = site.root / "models" / "tiny" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_file": "code.py"}))
    options = {"mlx_lm": "./models/tiny", "generate": {"top_k": 3}}
    (way,) = mlx_lm.faults(options, site)
    assert way.path == ("generate", "top_k")
    (python,) = mlx_lm.remarks(options, site, set())
    assert python.endswith("give --allow-python if you trust it")
    assert not list(mlx_lm.remarks(options, Shelf(site.root, print, trusted=True), set()))
    (site.root / "models" / "tiny" / "model.safetensors").write_bytes(b"\x80\x04K\x01.")
    assert "pickle" in next(mlx_lm.remarks(options, Shelf(site.root, print, trusted=True), set()))


def test_the_recipe_follows_the_bytes_and_not_the_way_the_place_or_the_time(
    site: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"mlx_lm": "./models/tiny"}
    folder = site.root / "models" / "tiny"
    first = mlx_lm.recipe(options, site)
    shutil.copytree(folder, site.root / "copy")
    (folder / "README.md").write_text("of no matter")
    os.utime(folder / "model.safetensors", (1, 1))
    assert mlx_lm.recipe({"mlx_lm": "./copy", "generate": {"max_tokens": 3}}, site) == first
    assert mlx_lm.recipe(options, site) == first
    monkeypatch.setattr(mlx_lm, "_LARGE", 1000)
    assert mlx_lm.recipe(options, site) == first
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        file = folder / name
        whole = file.read_bytes()
        file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        assert mlx_lm.recipe(options, site) != first
        file.write_bytes(whole)
    assert mlx_lm.recipe(options, site) == first


def test_a_large_file_is_read_once(site: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    shelf = Shelf(site.root, said.append)
    monkeypatch.setattr(mlx_lm, "_LARGE", 100_000)
    recipes = [mlx_lm.recipe({"mlx_lm": "./models/tiny"}, shelf) for _ in range(3)]
    assert said == ["reading model.safetensors for its digest, once"]
    assert recipes[0] == recipes[1] == recipes[2]


def test_without_mlx_lm_it_says_what_to_install(site: Shelf, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.language import folder as folders

    real = folders.find_spec
    for missing, said in (
        ("mlx_lm", "mlx-lm is not installed: pip install 'mlx-hallmark[lm]'"),
        ("mlx.core", "MLX is not installed: pip install 'mlx-hallmark[mlx,lm]'"),
    ):
        monkeypatch.setattr(folders, "find_spec", lambda name, missing=missing: None if name == missing else real(name))
        for options in ({"mlx_lm": "./models/tiny"}, {"mlx_lm": HUB}):
            with pytest.raises(Refused) as refused:
                mlx_lm.open(options, site)
            assert str(refused.value) == said


def test_the_room_is_light_enough_for_a_planner() -> None:
    code = (
        "import sys, models.sources.mlx_lm, models.data\n"
        "heavy = {'mlx', 'numpy', 'mlx_lm', 'transformers', 'huggingface_hub', 'scipy'}\n"
        "print(*sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_its_layers_can_be_looked_at(site: Shelf, tiny: Path) -> None:
    layers = mlx_lm.inspect(tiny)
    assert {"model.embed_tokens", "lm_head", "model.layers.1.mlp.down_proj"} <= {layer["name"] for layer in layers}


def test_its_schema_takes_what_the_docs_say(site: Shelf) -> None:
    from jsonschema import Draft202012Validator

    schema: dict[str, Any] = {**mlx_lm.SCHEMA, "additionalProperties": False}
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate({"mlx_lm": HUB, "revision": "main", "generate": {"max_tokens": 3}})
    assert mlx_lm.SERVING == ("generate",)
