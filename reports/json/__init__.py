"""The certificate as JSON, valid against harness/schema/certificate.json."""

from __future__ import annotations

from harness.codec import to_pretty_json
from harness.contract import Pages

FILE = "certificate.json"


def tell(pages: Pages) -> bytes:
    return to_pretty_json(pages.certificate)
