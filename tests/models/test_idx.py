"""IDX files: what is written is read, and what is no whole IDX file is refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.zoo.lenet5 import idx

WHOLE = struct.pack(">HBB2I", 0, 8, 2, 2, 3) + bytes(range(6))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays.arrays(np.uint8, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)),
    st.booleans(),
)
def test_what_is_written_is_read_plain_or_gzipped(tmp_path: Path, array: np.ndarray, zipped: bool) -> None:
    path = tmp_path / "a-idx"
    path.with_name("a-idx.gz").unlink(missing_ok=True)
    idx.write(path, array)
    if zipped:
        path.with_name("a-idx.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()
    read = idx.read(path)
    assert read.dtype == np.uint8
    assert read.shape == array.shape
    assert (read == array).all()


def test_a_file_of_mnist_is_read_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(WHOLE)
    assert idx.read(tmp_path / "a").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_plain_file_is_preferred_to_the_gzipped_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(WHOLE)
    (tmp_path / "a.gz").write_bytes(b"not read")
    assert idx.read(tmp_path / "a").shape == (2, 3)


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "cut").write_bytes(WHOLE[:length])
    with pytest.raises(ValueError, match=r"^cut "):
        idx.read(tmp_path / "cut")


@pytest.mark.parametrize(
    "data",
    [
        WHOLE + b"\0",
        b"\x00\x00\x0d" + WHOLE[3:],
        b"\x01\x00\x08" + WHOLE[3:],
        b"PK\x03\x04" + WHOLE,
        struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 4),
        struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1) + b"\0",
        gzip.compress(WHOLE, mtime=0),
    ],
)
def test_a_file_that_is_no_idx_or_holds_another_number_of_bytes_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "odd").write_bytes(data)
    with pytest.raises(ValueError, match=r"^odd "):
        idx.read(tmp_path / "odd")


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        idx.read(tmp_path / "absent")


@pytest.mark.parametrize(
    ("images", "labels"), [((2, 3, 3), (3,)), ((2, 9), (2,)), ((2, 3, 3), (2, 1)), ((0, 3, 3), (1,))]
)
def test_images_and_labels_that_do_not_belong_together_are_refused(
    tmp_path: Path, images: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    idx.write(tmp_path / "i", np.zeros(images, np.uint8))
    idx.write(tmp_path / "l", np.zeros(labels, np.uint8))
    with pytest.raises(ValueError, match="do not belong together"):
        idx.read_pair(tmp_path, ("i", "l"))


def test_images_come_with_their_labels(tmp_path: Path) -> None:
    idx.write(tmp_path / "i", np.ones((2, 3, 3), np.uint8))
    idx.write(tmp_path / "l", np.array([4, 5], np.uint8))
    images, labels = idx.read_pair(tmp_path, ("i", "l"))
    assert images.shape == (2, 3, 3)
    assert labels.tolist() == [4, 5]
