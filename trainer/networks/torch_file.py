"""Reads the tensors of a PyTorch file without PyTorch, and without running what a pickle may name."""

from __future__ import annotations

import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

# A file of torch.save before PyTorch 1.6: pickles of this number, the version, the sizes of C types, the tensors and
# the names of their storages; then, for each storage, the number of its elements and its bytes.
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    """Where the elements of tensors are."""

    key: str
    dtype: np.dtype[Any]
    length: int  # elements


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides are in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Makes nothing but dictionaries, numbers, strings and the two tuples above."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise ValueError(f"it names {module}.{name}, expected tensors alone")

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, length, _ = pid
        return _Storage(key, dtype, length)


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of `path`, a state dictionary in the format before PyTorch 1.6, by their names.

    Raises ValueError when the file is none, is cut off, or holds anything but tensors of float32 and int64; OSError
    when it cannot be read.
    """
    with path.open("rb") as file:
        try:
            if [_Unpickler(file).load() for _ in range(3)][:2] != [MAGIC, VERSION]:
                raise ValueError("not a file of torch.save before PyTorch 1.6")
            tensors, keys = _Unpickler(file).load(), _Unpickler(file).load()
            storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
            size = path.stat().st_size
            elements = {key: _read_storage(file, size, storages[key]) for key in keys}
            return {name: _array(tensor, elements[tensor.storage.key]) for name, tensor in tensors.items()}
        except OSError:
            raise
        except Exception as error:  # a damaged pickle raises nearly anything
            raise ValueError(f"{path}: not readable as tensors of PyTorch: {error}") from error


def _read_storage(file: IO[bytes], file_size: int, storage: _Storage) -> np.ndarray:
    length, size = int.from_bytes(file.read(8), "little"), storage.length * storage.dtype.itemsize
    if length != storage.length or file.tell() + size > file_size:
        raise ValueError(f"storage {storage.key} has {length} elements of {storage.length}, or is cut off")
    return np.frombuffer(file.read(size), storage.dtype)


def _array(tensor: _Tensor, elements: np.ndarray) -> np.ndarray:
    """Return a copy of what `tensor` shows of `elements`."""
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    fits = tensor.offset >= 0 and last < len(elements) and math.prod(tensor.shape) <= len(elements)
    if not fits or min((*tensor.shape, 1)) < 1 or min((*tensor.strides, 0)) < 0:
        raise ValueError(f"a tensor of shape {tensor.shape} does not fit its {len(elements)} elements")
    strides = [stride * elements.itemsize for stride in tensor.strides]
    return as_strided(elements[tensor.offset :], tensor.shape, strides).copy()
