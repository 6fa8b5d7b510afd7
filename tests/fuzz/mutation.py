"""Inputs of a campaign: input `number` of `seed` is always the same, so that it can be tried again."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.fuzz.door import Door

MUTATIONS = (1, 1, 2, 4, 8)  # of one input
MAX_REPETITIONS = 4096
MAX_INPUT_BYTES = 2_000_000
INTERESTING_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
# Bounds of integers, and of sizes that programs check: where a comparison or a multiplication is wrong, it shows there.
INTERESTING_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0xFFFFFF, 0x3FFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def make_input(door: Door, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """Return input `number` of `seed`: number 0 and up are the seeds themselves, then mutations of them."""
    if number < len(seeds):
        return seeds[number]
    rng = random.Random(f"{seed}/{number}")
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.choice(MUTATIONS)):
        operation = rng.choice(_OPERATIONS)
        content = operation(content, rng, door, seeds)[:MAX_INPUT_BYTES]
    return bytes(content)


def _slice(content: bytearray, rng: random.Random) -> slice:
    """Return a random slice, mostly a short one."""
    start = rng.randint(0, len(content))
    return slice(start, start + min(len(content) - start, 1 << rng.randint(0, 12)))


def _flip_bit(content: bytearray, rng: random.Random, _: Door, __: Sequence[bytes]) -> bytearray:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _set_byte(content: bytearray, rng: random.Random, _: Door, __: Sequence[bytes]) -> bytearray:
    if content:
        content[rng.randrange(len(content))] = rng.choice((*INTERESTING_BYTES, rng.randrange(256)))
    return content


def _set_number(content: bytearray, rng: random.Random, _: Door, __: Sequence[bytes]) -> bytearray:
    size = rng.choice((2, 3, 4))
    number = rng.choice(INTERESTING_NUMBERS) & (1 << 8 * size) - 1
    place = rng.randint(0, max(0, len(content) - size))
    content[place : place + size] = number.to_bytes(size, rng.choice(("big", "little")))
    return content


def _delete(content: bytearray, rng: random.Random, _: Door, __: Sequence[bytes]) -> bytearray:
    del content[_slice(content, rng)]
    return content


def _truncate(content: bytearray, rng: random.Random, _: Door, __: Sequence[bytes]) -> bytearray:
    return content[: rng.randint(0, len(content))]


def _repeat(content: bytearray, rng: random.Random, _: Door, __: Sequence[bytes]) -> bytearray:
    place = _slice(content, rng)
    part = content[place] * rng.choice((2, 3, rng.randint(2, MAX_REPETITIONS)))
    content[place] = part[:MAX_INPUT_BYTES]
    return content


def _insert_token(content: bytearray, rng: random.Random, door: Door, _: Sequence[bytes]) -> bytearray:
    token = rng.choice(door.tokens) if door.tokens else rng.randbytes(rng.randint(1, 16))
    place = rng.randint(0, len(content))
    content[place : place + rng.choice((0, len(token)))] = token
    return content


def _splice(content: bytearray, rng: random.Random, _: Door, seeds: Sequence[bytes]) -> bytearray:
    other = rng.choice(seeds)
    return content[: rng.randint(0, len(content))] + other[rng.randint(0, len(other)) :]


_OPERATIONS: tuple[Callable[[bytearray, random.Random, Door, Sequence[bytes]], bytearray], ...] = (
    _flip_bit,
    _set_byte,
    _set_number,
    _delete,
    _truncate,
    _repeat,
    _insert_token,
    _splice,
)
