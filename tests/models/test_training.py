"""How a network learns: what the seed decides, which places count, what a teacher says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.contract import Refused

pytestmark = pytest.mark.mlx
mx = pytest.importorskip("mlx.core")
nn = pytest.importorskip("mlx.nn")
training = pytest.importorskip("models.training")
Batch, fit, labelled, softened = training.Batch, training.fit, training.labelled, training.softened


class Sides:
    """Points, and on which side of a line they lie; those beyond `labels` don't say."""

    def __init__(self, many: int = 64, labels: int = 64) -> None:
        self.points = np.random.default_rng(5).normal(size=(many, 2)).astype(np.float32)
        self.labels = labels

    def __len__(self) -> int:
        return len(self.points)

    def batch(self, chosen: Any, random: np.random.Generator | None) -> Any:
        points = self.points[chosen]
        moved = points if random is None else points + random.normal(scale=0.01, size=points.shape)
        sides, says = (points.sum(axis=1) > 0).astype(np.int32), (chosen < self.labels).astype(np.float32)
        return Batch(mx.array(moved.astype(np.float32)), mx.array(sides), mx.array(says), mx.ones(len(chosen)))


def _network(seed: int = 0) -> Any:
    mx.random.seed(seed)
    network = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    mx.eval(network.parameters())
    return network


def _parameters(network: Any) -> dict[str, Any]:
    return dict(pytest.importorskip("mlx.utils").tree_flatten(network.parameters()))


def _bytes(network: Any) -> dict[str, bytes]:
    return {path: bytes(memoryview(value)) for path, value in _parameters(network).items()}


def _fit(network: Any, study: Any = None, **told: Any) -> dict[str, Any]:
    options = {"epochs": 4, "batch": 8, "rate": 0.02, "seed": 0, "loss": labelled, "say": lambda text: None, **told}
    return fit(network, Sides() if study is None else study, **options)


def _fitted(**told: Any) -> dict[str, bytes]:
    network = _network()
    _fit(network, **told)
    return _bytes(network)


def test_it_learns() -> None:
    network, said = _network(), list[str]()
    figures = _fit(network, epochs=30, say=said.append)
    batch = Sides().batch(np.arange(64), None)
    assert (mx.argmax(network(batch.inputs), axis=1) == batch.targets).mean().item() > 0.95
    assert figures["loss"] < 0.2
    assert {**figures, "loss": 0} == {"epochs": 30, "batch": 8, "rate": 0.02, "seed": 0, "examples": 64, "loss": 0}
    assert len(said) == 10
    assert said[-1].startswith("  epoch 30 of 30")


def test_the_same_seed_gives_the_same_bits_and_another_others() -> None:
    assert _fitted() == _fitted()
    assert _fitted(seed=1) != _fitted()


def test_only_what_may_be_trained_moves_and_what_is_kept_is_kept_after_each_step() -> None:
    network = _network()
    network.layers[0].freeze()
    before, seen = _bytes(network), []

    def keep(network: Any) -> None:
        network.layers[2].bias = mx.zeros(2)
        seen.append(1)

    _fit(network, keep=keep)
    after = _bytes(network)
    assert len(seen) == 4 * 8
    assert {path for path in after if after[path] != before[path]} == {"layers.2.weight", "layers.2.bias"}
    assert network.layers[2].bias.tolist() == [0, 0]


def test_a_batch_may_be_larger_than_all_there_is_but_nothing_to_learn_from_is_refused() -> None:
    assert _fit(_network(), Sides(5), batch=64)["batch"] == 5
    with pytest.raises(Refused, match="the data has no example"):
        _fit(_network(), Sides(0))


def test_a_rate_that_is_too_high_is_told() -> None:
    with pytest.raises(Refused, match="diverged in epoch 1 of 4; write a lower `rate`"):
        _fit(_network(), rate=1e38)


def test_short_types_learn_in_float32_and_are_back_afterwards() -> None:
    network = _network()
    network.set_dtype(mx.bfloat16)
    with training.in_float32(network):
        assert network.layers[0].weight.dtype == mx.float32
        _fit(network, rate=1e-4)
    assert {value.dtype for value in _parameters(network).values()} == {mx.bfloat16}


def test_it_is_known_which_examples_say_anything() -> None:
    assert training.known(Sides(600, 259)).tolist() == [True] * 259 + [False] * 341


# ------------------------------------------------------------------------------------------------ losses


def _value(loss: Callable[[Any, Any], Any], network: Any, batch: Any) -> float:
    return float(loss(network, batch).item())


def test_cross_entropy_is_the_mean_over_the_places_that_count() -> None:
    network, whole = _network(), Sides().batch(np.arange(8), None)
    half = whole._replace(mask=mx.array([1.0] * 4 + [0.0] * 4))
    first = Batch(whole.inputs[:4], whole.targets[:4], mx.ones(4))
    assert _value(labelled, network, half) == pytest.approx(_value(labelled, network, first))
    assert _value(labelled, network, whole) == pytest.approx(
        nn.losses.cross_entropy(network(whole.inputs), whole.targets, reduction="mean").item()
    )
    assert _value(labelled, network, whole._replace(mask=mx.zeros(8))) == 0


def test_places_of_a_text_count_one_by_one() -> None:
    network = nn.Embedding(6, 6)
    tokens = mx.array([[1, 2, 3], [4, 5, 0]])
    mask = mx.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    rows = [(0, 0), (0, 1), (1, 0)]
    inputs, targets = (mx.array([each[at].item() for at in rows]) for each in (tokens, 5 - tokens))
    apart = _value(labelled, network, Batch(inputs, targets, mx.ones(3)))
    assert _value(labelled, network, Batch(tokens, 5 - tokens, mask)) == pytest.approx(apart)


def test_a_teacher_finds_no_fault_with_itself_and_some_with_another() -> None:
    batch = Sides().batch(np.arange(8), None)
    assert _value(softened(_network(), 4.0, 1.0), _network(), batch) == pytest.approx(0, abs=1e-6)
    assert _value(softened(_network(), 4.0, 1.0), _network(1), batch) > 0.005


def test_a_share_of_none_leaves_the_labels_alone_and_half_of_each_is_their_mean() -> None:
    batch, teacher, student = Sides().batch(np.arange(8), None), _network(), _network(1)
    labels = _value(labelled, student, batch)
    said = _value(softened(teacher, 2.0, 1.0), student, batch)
    assert _value(softened(teacher, 2.0, 0.0), student, batch) == pytest.approx(labels)
    assert _value(softened(teacher, 2.0, 0.5), student, batch) == pytest.approx((labels + said) / 2)


def test_a_teacher_is_heard_where_there_is_no_label_and_not_where_nothing_is() -> None:
    batch, teacher, student = Sides(labels=0).batch(np.arange(8), None), _network(), _network(1)
    said = _value(softened(teacher, 2.0, 1.0), student, batch)
    assert said > 0
    half = batch._replace(heard=mx.array([1.0] * 4 + [0.0] * 4))
    first = Batch(batch.inputs[:4], batch.targets[:4], mx.zeros(4), mx.ones(4))
    loss = softened(teacher, 2.0, 1.0)
    assert _value(loss, student, half) == pytest.approx(_value(loss, student, first))
    assert _value(loss, student, batch._replace(heard=None)) == 0


def test_a_teacher_is_not_moved_by_what_it_teaches() -> None:
    teacher, student = _network(), _network(1)
    before = _bytes(teacher)
    _fit(student, Sides(labels=0), epochs=30, loss=softened(teacher, 2.0, 1.0))
    assert _bytes(teacher) == before
    batch = Sides().batch(np.arange(64), None)
    assert _value(softened(teacher, 2.0, 1.0), student, batch) < 0.01
