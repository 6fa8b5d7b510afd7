"""Verifies a TFLite model before the runtime gets it: its structure, and the sizes of its tensors and operators.

The runtime trusts what it is given: a wrong offset ends in a segmentation fault, a stride of 0 in a division by zero, a
large shape in gigabytes. The numbers of fields and types are those of TensorFlow Lite's schema,
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs.

What passes here may still be a bad model: edge.system.model_trial runs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.system.flatbuffer import FlatBuffer, FlatBufferError, Table

TFLITE_IDENTIFIER = b"TFL3"  # at bytes 4 to 8
MAX_DIMENSIONS = 8
MAX_TENSOR_BYTES = 64_000_000  # of one tensor that is computed; the largest of the shipped model has 0.4 MB
MAX_COMPUTED_BYTES = 512_000_000  # of all of them together; the runtime reuses memory
MAX_STRIDE = 1024  # also of dilations and pooling windows

# TensorType -> bytes of an element. Others (strings, resources, four bits) do not occur in networks for images.
ELEMENT_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1, 10: 8, 12: 8, 15: 4, 16: 2}
_QUANTIZED_RANGES = {3: (0, 255), 9: (-128, 127), 7: (-32768, 32767)}  # uint8, int8, int16
# BuiltinOptions -> fields with a vector of int32; the options of all others are numbers only.
_OPTION_VECTORS = {17: (0,), 30: (0,)}  # reshape, squeeze
_UNREADABLE_OPTIONS = (3, 107, 108, 109, 110, 111, 115)  # with other vectors and strings; not of networks for images
# BuiltinOptions -> fields that divide or multiply sizes: strides, dilations, pooling windows, depth multiplier.
_POSITIVE_OPTIONS = {1: (1, 2), 2: (1, 2), 5: (1, 2, 3, 4), 49: (1, 2)}
_DILATIONS = {1: (4, 5), 2: (5, 6)}  # likewise; 1 by default
_FULLY_CONNECTED_OPTIONS = 8
_QUANTIZATION_SPECS_FIELD = 5  # of fully connected layers: of types that are not read


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    element_bytes: int
    buffer: int

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.element_bytes


def verify(model: bytes) -> None:
    """Raise FlatBufferError, with what is wrong where, unless `model` is a TFLite model within the limits above."""
    root = FlatBuffer(model, TFLITE_IDENTIFIER).root
    root.check_string(3)
    root.numbers(5, "i")
    codes = root.tables(1)
    for code in codes:
        _check_code(code)
    _require(8 not in root and 9 not in root, "external buffers are not supported")
    graphs = root.tables(2)
    _require(len(graphs) == 1, f"it has {len(graphs)} subgraphs, expected one: control flow is not supported")
    buffers = [_buffer_length(buffer) for buffer in root.tables(4)]
    for metadata in root.tables(6):
        metadata.check_string(0)
        _require(metadata.number(1, "I") < len(buffers), "metadata refers to a buffer that does not exist")
    tensors = _verify_graph(graphs[0], buffers, len(codes))
    for signature in root.tables(7):
        _check_signature(signature, tensors)


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise FlatBufferError(problem)


def _check_code(code: Table) -> None:
    code.check_string(1)
    _require(not code.vector_range(1, 1), "custom operators are not supported")
    code.number(0, "b")
    _require(code.number(2, "i", 1) >= 1, "an operator's version is below 1")
    _require(code.number(3, "i") >= 0, "an operator's code is below 0")


def _buffer_length(buffer: Table) -> int:
    _require(buffer.number(1, "Q") == buffer.number(2, "Q") == 0, "a buffer is outside of the FlatBuffer")
    return len(buffer.vector_range(0, 1))


def _verify_graph(graph: Table, buffers: list[int], codes: int) -> int:
    """Return the number of tensors of `graph`."""
    graph.check_string(4)
    tensors = []
    for index, table in enumerate(graph.tables(0)):
        try:
            tensors.append(_read_tensor(table, buffers))
        except FlatBufferError as error:
            raise FlatBufferError(f"tensor {index}: {error}") from error
    computed = sum(tensor.size for tensor in tensors if not buffers[tensor.buffer])
    _require(computed <= MAX_COMPUTED_BYTES, f"its tensors take {computed:,} bytes, at most {MAX_COMPUTED_BYTES:,}")
    for name, field in (("input", 1), ("output", 2)):
        indices = graph.numbers(field, "i")
        _require(bool(indices), f"it has no {name}")
        _require(all(0 <= index < len(tensors) for index in indices), f"its {name} is a tensor that does not exist")
        constant = any(buffers[tensors[index].buffer] for index in indices)
        _require(not constant, f"its {name} is a constant")
    ready = {index for index, tensor in enumerate(tensors) if buffers[tensor.buffer]} | set(graph.numbers(1, "i"))
    for index, operator in enumerate(graph.tables(3)):
        try:
            _check_operator(operator, codes, ready, len(tensors))
        except FlatBufferError as error:
            raise FlatBufferError(f"operator {index}: {error}") from error
    _require(ready >= set(graph.numbers(2, "i")), "no operator computes its output")
    return len(tensors)


def _read_tensor(table: Table, buffers: list[int]) -> _Tensor:
    table.check_string(3)
    kind, buffer, shape = table.number(1, "b"), table.number(2, "I"), table.numbers(0, "i")
    _require(kind in ELEMENT_BYTES, f"type {kind} is not supported")
    _require(buffer < len(buffers), f"buffer {buffer} does not exist")
    _require(len(shape) <= MAX_DIMENSIONS, f"{len(shape)} dimensions, at most {MAX_DIMENSIONS} are supported")
    _require(all(length >= (0 if buffers[buffer] else 1) for length in shape), f"shape {shape}")
    signature = table.numbers(7, "i")
    _require(not signature or len(signature) == len(shape), f"{len(signature)} dimensions in the signature")
    _require(all(length in (-1, known) for length, known in zip(signature, shape, strict=False)), "another signature")
    _require(not table.number(5, "B"), "variables are not supported")
    _require(all(field not in table for field in (6, 9, 10)), "sparse, variant and external tensors are not supported")
    tensor = _Tensor(shape, ELEMENT_BYTES[kind], buffer)
    if buffers[buffer]:
        _require(tensor.size == buffers[buffer], f"shape {shape} needs {tensor.size:,} bytes, not {buffers[buffer]:,}")
    else:
        _require(tensor.size <= MAX_TENSOR_BYTES, f"{tensor.size:,} bytes, at most {MAX_TENSOR_BYTES:,} are supported")
    quantization = table.table(4)
    if quantization is not None:
        _check_quantization(quantization, kind, shape)
    return tensor


def _check_quantization(table: Table, kind: int, shape: tuple[int, ...]) -> None:
    table.numbers(0, "f")
    table.numbers(1, "f")
    scales, zero_points = table.numbers(2, "f"), table.numbers(3, "q")
    _require(not table.number(4, "B") and 5 not in table, "custom quantization is not supported")
    _require(all(0 < scale < math.inf for scale in scales), "a scale is not a positive number")
    _require(len(zero_points) in (0, len(scales)), f"{len(zero_points)} zero points for {len(scales)} scales")
    low, high = _QUANTIZED_RANGES.get(kind, (0, 0))
    _require(all(low <= point <= high for point in zero_points), "a zero point is out of range")
    dimension = table.number(6, "i")
    _require(0 <= dimension < max(1, len(shape)), f"dimension {dimension} is quantized, of {len(shape)}")
    if len(scales) > 1:
        _require(bool(shape) and len(scales) == shape[dimension], f"{len(scales)} scales for shape {shape}")


def _check_operator(table: Table, codes: int, ready: set[int], tensors: int) -> None:
    """Raise FlatBufferError if the operator is invalid; add what it computes to the tensors that are `ready`."""
    _require(table.number(0, "I") < codes, "its code does not exist")
    inputs, outputs = table.numbers(1, "i"), table.numbers(2, "i")
    _require(bool(outputs), "it has no output")
    _require(all(-1 <= index < tensors for index in (*inputs, *table.numbers(8, "i"))), "an input does not exist")
    _require(ready >= set(inputs) - {-1}, "an input is computed later, or never")
    _require(all(0 <= index < tensors for index in outputs), "an output does not exist")
    _require(ready.isdisjoint(outputs) and len(set(outputs)) == len(outputs), "an output is computed twice")
    ready.update(outputs)
    _require(not any(table.numbers(7, "B")), "variables are not supported")
    _require(not table.vector_range(5, 1), "custom options are not supported")
    _require(not table.number(9, "Q") and not table.number(10, "Q"), "options outside of the FlatBuffer")
    _require(not table.number(11, "B") and 12 not in table, "options of a newer schema are not supported")
    kind, options = table.number(3, "B"), table.table(4)
    _require(bool(kind) == (options is not None), "its options have no type, or their type has none")
    if options is not None:
        _check_options(options, kind)


def _check_options(options: Table, kind: int) -> None:
    options.check_fields()
    _require(kind not in _UNREADABLE_OPTIONS, f"options of type {kind} are not supported")
    for field in _OPTION_VECTORS.get(kind, ()):
        _require(len(options.numbers(field, "i")) <= MAX_DIMENSIONS, "too many dimensions")
    limited = [options.number(field, "i") for field in _POSITIVE_OPTIONS.get(kind, ())]
    limited += [options.number(field, "i", 1) for field in _DILATIONS.get(kind, ())]
    _require(all(1 <= value <= MAX_STRIDE for value in limited), f"strides, dilations or windows of {limited}")
    if kind == _FULLY_CONNECTED_OPTIONS:
        _require(_QUANTIZATION_SPECS_FIELD not in options, "quantization per block is not supported")


def _check_signature(signature: Table, tensors: int) -> None:
    signature.check_string(2)
    _require(not signature.number(4, "I"), "a signature refers to a subgraph that does not exist")
    for field in (0, 1):
        for entry in signature.tables(field):
            entry.check_string(0)
            _require(entry.number(1, "I") < tensors, "a signature refers to a tensor that does not exist")
