"""What every method owes: no NaN and no warning, whatever the data; an answer, a reason or a refusal; a light import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.statistics
from harness.statistics import agreement, arms, corrections, paired, proportion, prospects, unconditional
from harness.statistics.estimate import Estimate

Draw = Callable[[st.SearchStrategy[Any]], Any]

SIZES = st.integers(1, 40) | st.integers(1, 1000) | st.sampled_from([10**4, 10**6])
COUNTS = SIZES.flatmap(lambda n: st.tuples(st.integers(0, n) | st.sampled_from([0, n]), st.just(n)))
LEVELS = st.floats(0.5, 0.9999) | st.sampled_from([0.5, 0.95, 1 - 1e-9])
ANY_LEVELS = LEVELS | st.floats(1e-9, 0.5)
ALPHAS = st.floats(1e-6, 0.5) | st.sampled_from([0.05, 1e-12])
SHARES = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 5e-324, 1 - 1e-16])
NUMBERS = (
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 5e-324, 1e308])
)
LABELS = st.integers(0, 3) | st.booleans()


@st.composite
def pairs(draw: Draw, sizes: st.SearchStrategy[int] = SIZES) -> tuple[int, int, int]:
    n = draw(sizes)
    gained = draw(st.integers(0, n) | st.integers(0, min(n, 5)))
    return gained, draw(st.integers(0, n - gained) | st.integers(0, min(n - gained, 5))), n


PAIRS = pairs()
SMALL = pairs(st.integers(1, 200))
TABLES = st.integers(2, 5).flatmap(
    lambda arms: st.lists(st.lists(st.integers(0, 1), min_size=arms, max_size=arms), min_size=1, max_size=30)
)
TWO_RATERS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)
UNITS = st.lists(st.lists(st.none() | LABELS, max_size=4), min_size=1, max_size=20)
MEASURED = st.lists(st.lists(st.none() | NUMBERS, max_size=4), min_size=1, max_size=20)


def rated(units: list[list[Any]]) -> list[list[Any]]:
    """At least one rating, as there must be."""
    return [*units, [0]]


METHODS: dict[str, Callable[[Draw], Any]] = {
    "share": lambda d: proportion.share(*d(COUNTS), d(ANY_LEVELS), d(st.sampled_from(["clopper-pearson", "wilson"]))),
    "newcombe": lambda d: proportion.newcombe(*d(COUNTS), *d(COUNTS), d(ANY_LEVELS)),
    "p_at_least": lambda d: proportion.p_at_least(*d(COUNTS), d(SHARES | NUMBERS)),
    "decide": lambda d: proportion.decide(*d(COUNTS), d(SHARES | NUMBERS), d(ANY_LEVELS)),
    "least_n": lambda d: proportion.least_n(d(SHARES | NUMBERS), d(ANY_LEVELS)),
    "deciding_n": lambda d: proportion.deciding_n(*d(COUNTS), d(SHARES), d(LEVELS)),
    "tango_interval": lambda d: paired.tango_interval(*d(PAIRS), d(ANY_LEVELS)),
    "mcnemar": lambda d: paired.mcnemar(
        *d(PAIRS),
        exact=d(st.booleans()),
        alternative=d(st.sampled_from(["two-sided", "greater", "less"])),
        confidence=d(ANY_LEVELS),
    ),
    "noninferior_share": lambda d: paired.noninferior_share(*d(PAIRS), d(SHARES), d(ALPHAS)),
    "superior_share": lambda d: paired.superior_share(*d(PAIRS), d(ALPHAS), d(SHARES)),
    "equivalent_share": lambda d: paired.equivalent_share(*d(PAIRS), d(SHARES), d(ALPHAS)),
    "different_share": lambda d: paired.different_share(
        *d(PAIRS), d(ALPHAS), d(st.none() | SHARES), method=d(st.sampled_from(["mid-p", "exact"]))
    ),
    "p_above": lambda d: paired.p_above(*d(PAIRS), d(st.floats(-1, 1))),
    "p_gained": lambda d: paired.p_gained(*d(PAIRS)[:2]),
    "least_discordant": lambda d: paired.least_discordant(d(ALPHAS), exact=d(st.booleans())),
    "least_pairs": lambda d: paired.least_pairs(
        d(st.floats(1e-4, 1)), d(LEVELS), d(st.sampled_from(["score", "exact"]))
    ),
    "deciding_pairs": lambda d: paired.deciding_pairs(
        *d(SMALL), d(st.floats(-0.5, 0.5)), d(st.floats(0.5, 0.99)), d(st.sampled_from(["score", "exact"]))
    ),
    "median_at_least": lambda d: paired.median_at_least(d(st.lists(NUMBERS, max_size=50)), d(ANY_LEVELS)),
    "bounds": lambda d: unconditional.bounds(*d(PAIRS), d(LEVELS)),
    "p_over": lambda d: unconditional.p_over(*d(PAIRS), d(st.floats(-1, 1)), d(LEVELS)),
    "of_share": lambda d: prospects.of_share(d(SIZES), d(SHARES), d(SHARES), d(LEVELS)),
    "of_pairs": lambda d: prospects.of_pairs(
        d(st.sampled_from(["noninferior", "superior", "equivalent", "different"])),
        d(st.integers(1, 12)),
        d(st.floats(0, 0.5)),
        d(st.floats(0, 0.5)),
        d(SHARES),
        d(ALPHAS),
    ),
    "cochran_q": lambda d: arms.cochran_q(d(TABLES)),
    "holm": lambda d: corrections.holm(d(st.lists(st.none() | SHARES))),
    "benjamini_hochberg": lambda d: corrections.benjamini_hochberg(d(st.lists(st.none() | SHARES))),
    "kappa": lambda d: agreement.kappa(
        *map(list, zip(*d(TWO_RATERS), strict=True)),
        d(st.sampled_from([None, "linear", "quadratic"])),
        d(ANY_LEVELS),
    ),
    "krippendorff": lambda d: agreement.krippendorff(
        rated(d(UNITS)), d(st.sampled_from(["nominal", "ordinal"])), d(ANY_LEVELS)
    ),
    "krippendorff of numbers": lambda d: agreement.krippendorff(rated(d(MEASURED)), "interval", d(ANY_LEVELS)),
}
"""Every method, as a function of what is drawn. Whoever adds a method adds it here."""


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=40)
@given(data=st.data())
def test_no_data_bring_a_nan_or_a_warning(method: str, data: st.DataObject) -> None:
    """Warnings are errors in these tests."""
    answer = METHODS[method](data.draw)
    assert all(isfinite(number) for number in numbers(answer))
    for found in estimates(answer):
        assert found.method
        assert found.n >= 1
        assert 0 <= found.effective_n <= found.n
        assert found.p is None or 0 <= found.p <= 1
        assert found.estimate is not None or found.reason
        if found.interval is not None:
            assert found.estimate is not None
            assert found.interval[0] <= found.estimate + 1e-9
            assert found.estimate - 1e-9 <= found.interval[1]
            assert all(type(bound) is float for bound in found.interval)
        elif found.p is None:
            assert found.reason


def test_no_import_of_a_method_loads_what_it_computes_with() -> None:
    modules = [f"harness.statistics.{file.stem}" for file in Path(harness.statistics.__path__[0]).glob("[a-z]*.py")]
    assert len(modules) > 5
    code = f"import sys, {', '.join(modules)}; print({{'numpy', 'scipy', 'statsmodels', 'pandas'}} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def numbers(answer: object) -> Iterator[float]:
    if isinstance(answer, int | float):
        yield answer
    elif isinstance(answer, tuple | list):
        for part in answer:
            yield from numbers(part)


def estimates(answer: object) -> Iterator[Estimate]:
    if isinstance(answer, Estimate):
        yield answer
    elif isinstance(answer, tuple | list):
        for part in answer:
            yield from estimates(part)
