"""A PyTorch file is read without PyTorch, and nothing that its pickles name is run."""

import io
import pickle
import random
import sys
import types
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from trainer.networks import torch_file

VALUES = np.arange(24, dtype=np.float32)


class Storage:
    """The elements of a tensor, which torch.save keeps outside of the pickle."""

    def __init__(self, kind, values):
        self.kind, self.values = kind, values


class Tensor:
    """A tensor that is pickled as PyTorch does it."""

    def __init__(self, storage, offset, shape, strides):
        self.storage = storage
        self.arguments: tuple[object, ...] = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", obj.kind, str(id(obj)), "cpu", len(obj.values), None)
        return None


def of_module(module, value):
    value.__module__, value.__qualname__ = module, value.__name__
    setattr(sys.modules[module], value.__name__, value)
    return value


@pytest.fixture
def torch(monkeypatch):
    """Two modules with the names that PyTorch's pickles refer to."""
    for name in ("torch", "torch._utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    def _rebuild_tensor_v2(): ...

    of_module("torch._utils", _rebuild_tensor_v2)
    return types.SimpleNamespace(
        floats=of_module("torch", type("FloatStorage", (), {})),
        longs=of_module("torch", type("LongStorage", (), {})),
        doubles=of_module("torch", type("DoubleStorage", (), {})),
    )


def saved(path, tensors):
    """Write `tensors`, by their names, as torch.save did before PyTorch 1.6."""
    file, storages = io.BytesIO(), {}
    for value in (torch_file.MAGIC, torch_file.VERSION, {"little_endian": True}):
        pickle.dump(value, file, protocol=2)
    Pickler(file, protocol=2).dump(OrderedDict(tensors))
    for tensor in tensors.values():
        storages[str(id(tensor.storage))] = tensor.storage.values
    pickle.dump(list(storages), file, protocol=2)
    for values in storages.values():
        file.write(len(values).to_bytes(8, "little") + values.tobytes())
    path.write_bytes(file.getvalue())
    return path


def test_tensors_have_their_names_shapes_and_strides(torch, tmp_path):
    storage = Storage(torch.floats, VALUES)
    tensors = {
        "whole": Tensor(storage, 0, (4, 6), (6, 1)),
        "transposed": Tensor(storage, 0, (6, 4), (1, 6)),
        "part": Tensor(storage, 8, (3,), (2,)),
        "steps": Tensor(Storage(torch.longs, np.array([7])), 0, (), ()),
    }
    read = torch_file.read(saved(tmp_path / "a.pth", tensors))
    expected: dict[str, Any] = {
        "whole": VALUES.reshape(4, 6),
        "transposed": VALUES.reshape(4, 6).T,
        "part": VALUES[8:13:2],
        "steps": 7,
    }
    assert list(read) == list(expected)
    assert all(np.array_equal(read[name], value) for name, value in expected.items())
    assert {name: array.dtype.name for name, array in read.items()} == {
        **dict.fromkeys(expected, "float32"),
        "steps": "int64",
    }


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(1, (4, 6), (6, 1)), (0, (25,), (1,)), (0, (10**6,), (0,)), (-1, (2,), (1,)), (23, (2,), (-1,))],
)
def test_a_view_outside_of_its_elements_is_refused(offset, shape, strides, torch, tmp_path):
    path = saved(tmp_path / "a.pth", {"x": Tensor(Storage(torch.floats, VALUES), offset, shape, strides)})
    with pytest.raises(ValueError, match="does not fit its 24 elements"):
        torch_file.read(path)


def test_other_elements_are_named(torch, tmp_path):
    path = saved(tmp_path / "a.pth", {"x": Tensor(Storage(torch.doubles, np.zeros(2)), 0, (2,), (1,))})
    with pytest.raises(ValueError, match=r"it names torch\.DoubleStorage"):
        torch_file.read(path)


class Harm:
    def __reduce__(self):
        return print, ("harm",)


def test_nothing_that_a_pickle_names_is_run(tmp_path, capsys):
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(Harm(), protocol=2))
    with pytest.raises(ValueError, match=r"it names (__builtin__|builtins)\.print, expected tensors alone"):
        torch_file.read(path)
    assert capsys.readouterr().out == ""


def test_a_zip_file_of_a_newer_pytorch_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ValueError, match=r"a\.pth: not readable as tensors of PyTorch"):
        torch_file.read(path)


def test_damaged_files_are_refused_or_read(torch, tmp_path):
    path = saved(tmp_path / "a.pth", {"x": Tensor(Storage(torch.floats, VALUES), 0, (4, 6), (6, 1))})
    whole, draw, refused = path.read_bytes(), random.Random(1), 0
    for _ in range(300):
        damaged = bytearray(whole[: draw.randrange(len(whole))] if draw.random() < 0.3 else whole)
        for _ in range(draw.randrange(4)):
            if damaged:
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            read = torch_file.read(path)
        except ValueError:
            refused += 1
        else:
            assert all(array.nbytes <= len(whole) for array in read.values())
    assert refused > 100
