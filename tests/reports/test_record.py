"""The record that travels in the page: what was packed comes out, and what was touched does not."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.html import record

DATA = {"plan.json": b'{"hallmark":"1"}', "outcomes.jsonl": b'{"is":"begin"}\n' * 40}


def _page(parts: list[record.Part]) -> bytes:
    blocks = [
        f'<script type="application/octet-stream" data-file="{part.file}" data-sha256="{part.sha256}">{part.text}</script>'
        for part in parts
    ]
    return "\n".join(["<!doctype html><p>told</p>", *blocks, "</body>"]).encode()


def _held(packed: bytes, file: str = "plan.json") -> bytes:
    """A page one of whose parts is this text, with a digest that fits."""
    parts = [part for part in record.pack(DATA) if part.file != file]
    return _page([record.Part(file, hashlib.sha256(packed).hexdigest(), packed.decode()), *parts])


@given(st.binary(max_size=2000), st.binary(max_size=2000))
def test_what_was_packed_comes_out_to_the_byte(plan: bytes, outcomes: bytes) -> None:
    data = {"plan.json": plan, "outcomes.jsonl": outcomes}
    assert record.record_of(_page(record.pack(data))) == data


@given(st.data())
def test_a_flipped_bit_in_a_part_is_refused(data: st.DataObject) -> None:
    page = bytearray(_page(record.pack(DATA)))
    first, last = page.index(b"<script"), page.rindex(b"</script>") + len(b"</script>")
    at = data.draw(st.integers(first, last - 1))
    page[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        held = record.record_of(bytes(page))
    except ValueError:
        return
    # What lies between the two parts is the page's own text, held against what is told.
    assert held == DATA
    assert record.without(bytes(page)) != record.without(_page(record.pack(DATA)))


def test_another_packing_of_the_same_bytes_is_the_same_record() -> None:
    other = base64.b64encode(zlib.compress(DATA["plan.json"], 1))
    page = _held(other)
    assert record.record_of(page) == DATA
    assert record.without(page) == record.without(_page(record.pack(DATA)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (base64.b64encode(b"not packed at all"), "plan.json in it can't be unpacked"),
        (base64.b64encode(zlib.compress(b"x") + b"more"), "plan.json in it goes on after its end"),
        (base64.b64encode(zlib.compress(b"x" * 99)[:-2]), "plan.json in it is cut off"),
        (b"????", "plan.json in it is not base64"),
        (b"eJxz\nAAAA", "plan.json in it is not base64"),
        (b"QR==", "plan.json in it is not written as base64 writes it"),
    ],
)
def test_what_no_packer_writes_is_refused_and_named(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        record.record_of(_held(text))


def test_a_digest_that_does_not_fit_is_refused() -> None:
    plan, outcomes = record.pack(DATA)
    with pytest.raises(ValueError, match=r"outcomes\.jsonl in it does not fit its digest"):
        record.record_of(_page([plan, outcomes._replace(sha256="0" * 64)]))


@pytest.mark.parametrize("order", [(), (0,), (1, 0), (0, 1, 1), (0, 0)])
def test_each_file_stands_once_and_in_order(order: tuple[int, ...]) -> None:
    parts = record.pack(DATA)
    with pytest.raises(ValueError, match="it does not hold the record of a run"):
        record.record_of(_page([parts[at] for at in order]))


def test_a_stranger_cannot_unpack_a_page_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "_MOST", 1000)
    with pytest.raises(ValueError, match="unpacks to more than 1,000 bytes"):
        record.record_of(_held(base64.b64encode(zlib.compress(bytes(2000)))))
