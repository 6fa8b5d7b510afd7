"""A model whose structure or sizes would bring the runtime down is refused before the runtime gets it."""

from __future__ import annotations

import random

import pytest

from edge.config.models import packaged_model
from edge.inference.model_file import load
from edge.system.flatbuffer import FlatBufferError
from edge.system.tflite_verifier import MAX_TENSOR_BYTES, verify
from tests.support.flatbuffer_patch import FlatBufferPatch

CONV_2D, MEAN = 3, 40  # BuiltinOperator
INPUT, OUTPUT = 1, 2


@pytest.fixture(scope="module")
def model() -> bytes:
    return load(packaged_model())[0]


@pytest.fixture
def patch(model) -> FlatBufferPatch:
    return FlatBufferPatch(model)


def refusal(model: bytes) -> str:
    with pytest.raises(FlatBufferError) as caught:
        verify(model)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_shipped_model_is_verified(model):
    verify(model)


def test_shape_that_takes_gigabytes_is_refused(patch):
    tensor = patch.tensor(INPUT)
    patch.set_item(tensor, 7, "<i", -1, index=1)
    assert f"at most {MAX_TENSOR_BYTES:,}" in refusal(patch.set_item(tensor, 0, "<i", 1 << 24, index=1))


@pytest.mark.parametrize("length", [0, -1])
def test_shape_without_elements_is_refused(patch, length):
    assert "shape" in refusal(patch.set_item(patch.tensor(INPUT), 0, "<i", length, index=1))


def test_stride_of_zero_is_refused(patch):
    options = patch.follow(patch.field(patch.operator(CONV_2D), 4))
    assert "strides" in refusal(patch.set_number(options, 1, "<i", 0))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_scale_that_is_not_positive_is_refused(patch, scale):
    assert "scale" in refusal(patch.set_quantization(OUTPUT, scale, 0))


def test_zero_point_beyond_the_type_is_refused(patch):
    assert "zero point" in refusal(patch.set_quantization(OUTPUT, 1.0, 256))


@pytest.mark.parametrize("kind", [5, 13, 17, 99])
def test_type_of_unknown_size_is_refused(patch, kind):
    assert f"type {kind} is not supported" in refusal(patch.set_type(INPUT, kind))


def test_type_that_does_not_fit_its_buffer_is_refused(patch):
    weights = patch.number("<i", patch.follow(patch.field(patch.operator(CONV_2D), 1)) + 8)
    tensor = patch.table(patch.graph(), 0, weights)
    assert "bytes, not" in refusal(patch.set_number(tensor, 1, "<b", 4))


@pytest.mark.parametrize(("field", "word"), [(1, "input"), (2, "output")])
@pytest.mark.parametrize("index", [1 << 20, -2])
def test_operator_on_a_tensor_that_does_not_exist_is_refused(patch, field, word, index):
    assert word in refusal(patch.set_item(patch.operator(MEAN), field, "<i", index))


def test_operator_on_its_own_output_is_refused(patch):
    operator = patch.operator(MEAN)
    own = patch.number("<i", patch.follow(patch.field(operator, 2)) + 4)
    assert "computed later, or never" in refusal(patch.set_item(operator, 1, "<i", own))


def test_operator_without_a_code_is_refused(patch):
    assert "code does not exist" in refusal(patch.set_number(patch.operator(MEAN), 0, "<I", 999))


def test_buffer_that_does_not_exist_is_refused(patch):
    assert "buffer 9999" in refusal(patch.set_number(patch.tensor(INPUT), 2, "<I", 9999))


def test_any_change_is_verified_or_refused_with_a_reason(model):
    rng = random.Random(0)
    structure = len(model) * 9 // 10
    for _ in range(100):
        content = bytearray(model)
        content[rng.randrange(structure, len(model))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        try:
            verify(bytes(content))
        except FlatBufferError as error:
            assert str(error).isprintable()  # noqa: PT017 (either outcome is correct)
