"""Kernels that make one column of one block, for the synthetic source.

A maker gets a random generator of its own and the block, and gives an Arrow array. Everything
happens in numpy and Arrow kernels: Python loops over rows cost more than sending them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lab import draw, permutation

Array = Any  # a pyarrow array; the stubs' element types say nothing here
Words = npt.NDArray[np.uint64]

BLOCK = 32_768  # rows: large enough to hide Python, small enough for the processor's second cache

_FRESH = 16  # characters of a text that are made anew: 64 bits, so texts are distinct
_DAY_ZERO = 20_454  # 2026-01-01 in days since 1970


@dataclass
class Block:
    """Rows of one block: *rows* are their numbers, *codes* what made columns chose, by column."""

    rows: npt.NDArray[np.int64]
    codes: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


Maker = Callable[[np.random.Generator, Block], Array]
Pick = Callable[[np.random.Generator, Block], npt.NDArray[Any]]


# --- makers ---------------------------------------------------------------------------------


def sequence(first: int, kind: pa.DataType) -> Maker:
    """*first* plus the row's number."""
    return lambda _, block: numbers(block.rows + first, kind)


def clock(start_us: int, step_us: float, late: tuple[float, draw.ValueLaw] | None, kind: pa.DataType) -> Maker:
    """A time that advances evenly with the row's number; some rows, by a share, tell an earlier one."""

    def make(random: np.random.Generator, block: Block) -> Array:
        time = np.floor(block.rows * step_us).astype(np.int64) + start_us
        if late is not None:
            share, by = late
            delay_us = (by.values(random, len(block)) * 1e6).astype(np.int64)
            time -= np.where(random.random(len(block)) < share, delay_us, 0)
        return pa.array(time).view(pa.timestamp("us")).cast(kind, safe=False)

    return make


def keyed(name: str, pool: Array, pick: Pick) -> Maker:
    """The values of *pool* that *pick* chooses by index; what was chosen is kept under *name*."""

    def make(random: np.random.Generator, block: Block) -> Array:
        codes = pick(random, block)
        block.codes[name] = codes
        return pool.take(pa.array(codes))

    return make


def lawful(law: draw.ValueLaw, kind: pa.DataType) -> Maker:
    """Independent values of a law."""
    return lambda random, block: numbers(law.values(random, len(block)), kind)


def trending(law: draw.Uniform, correlation: float, rows: int, kind: pa.DataType) -> Maker:
    """A uniform law whose rank correlation with the row's number is *correlation*."""
    return lambda random, block: numbers(law.at(quantiles(random, block, correlation, rows)), kind)


def by_case(parent: str, laws: Sequence[draw.ValueLaw], kind: pa.DataType) -> Maker:
    """Values of the law that belongs to what column *parent* chose."""

    def make(random: np.random.Generator, block: Block) -> Array:
        made = np.empty(len(block), np.float64)
        for case, law in enumerate(laws):
            at = np.flatnonzero(block.codes[parent] == case)
            made[at] = law.values(random, len(at))
        return numbers(made, kind)

    return make


def per(parent: str, values: Array) -> Maker:
    """*values* by what column *parent* chose: drawn once for each of its keys."""
    return lambda _, block: values.take(pa.array(block.codes[parent]))


def fresh(kind: pa.DataType, width: int | draw.ValueLaw, tape: npt.NDArray[np.uint8], wrap: tuple[str, str]) -> Maker:
    """Texts or byte strings, practically distinct, *width* characters long, between *wrap*."""

    def make(random: np.random.Generator, block: Block) -> Array:
        body = _letters(random, len(block), tape)
        if isinstance(width, int):
            offsets = np.arange(len(block) + 1, dtype=np.int32) * body.shape[1]
        else:
            widths = np.clip(np.rint(width.values(random, len(block))), 0, body.shape[1]).astype(np.int32)
            offsets = np.concatenate([np.zeros(1, np.int32), np.cumsum(widths, dtype=np.int32)])
            body = body[np.arange(body.shape[1]) < widths[:, None]]
        made = _strings(kind, offsets, body)
        return pc.binary_join_element_wise(wrap[0], made, wrap[1], "") if any(wrap) else made

    return make


def uuids() -> Maker:
    """Random UUIDs of version 4."""
    return lambda random, block: uuid_of(words(random, 2 * len(block)))


def coins() -> Maker:
    """Booleans, either as likely."""
    return lambda random, block: pa.array(random.random(len(block)) < 0.5)


# --- which key ------------------------------------------------------------------------------


def by_rank(ranks: draw.Ranks, keys: npt.NDArray[np.int32] | None) -> Pick:
    """Ranks drawn by a law; *keys* says which key has which rank, so that hot keys lie apart."""
    if keys is None:
        return lambda random, block: ranks.draw(random, len(block))
    return lambda random, block: keys.take(ranks.draw(random, len(block)), mode="clip")


def evenly(n: int) -> Pick:
    """Every key of n alike."""
    return lambda random, block: random.integers(0, n, len(block), dtype=np.int32)


def in_turn(n: int) -> Pick:
    """Key number row mod n."""
    return lambda _, block: block.rows % n


def along(n: int, correlation: float, rows: int) -> Pick:
    """Every key of n alike, with a rank correlation between key and row number."""
    return lambda random, block: (quantiles(random, block, correlation, rows) * n).astype(np.int64)


def fanned(counts: npt.NDArray[np.int64]) -> Pick:
    """Key k for *counts*[k] rows on end, then the next; from the start again after the last."""
    ends = np.cumsum(counts)
    return lambda _, block: np.searchsorted(ends, block.rows % ends[-1], side="right")


def given(parent: str, shares: npt.NDArray[np.float64]) -> Pick:
    """Index drawn with the probabilities *shares*[c], shape (cases, values), c by column *parent*.

    One search for all cases: case c's distribution function is laid out in [c, c + 1).
    """
    bounds: npt.NDArray[np.float64] = np.cumsum(shares, axis=1)
    bounds /= bounds[:, -1:]
    line: npt.NDArray[np.float64] = (bounds + np.arange(len(shares))[:, None]).ravel()
    width = shares.shape[1]

    def pick(random: np.random.Generator, block: Block) -> npt.NDArray[Any]:
        case = block.codes[parent]
        index: npt.NDArray[Any] = np.searchsorted(line, random.random(len(block)) + case, side="right")
        index -= case * width
        return index.clip(max=width - 1)  # the sum may round up into the next case

    return pick


def quantiles(random: np.random.Generator, block: Block, correlation: float, rows: int) -> npt.NDArray[np.float64]:
    """Uniform on [0, 1), with a rank correlation of *correlation* to the row's number.

    With probability |correlation| the row's own place in *rows*, else independent of it: the
    mixture of a comonotone and an independent copula has just that Spearman coefficient.
    """
    own = (block.rows % rows + random.random(len(block))) / rows
    place = own if correlation >= 0 else np.nextafter(1.0, 0.0) - own
    tied = random.random(len(block)) < abs(correlation)
    return np.clip(np.where(tied, place, random.random(len(block))), 0.0, np.nextafter(1.0, 0.0))


# --- values ---------------------------------------------------------------------------------


def numbers(values: npt.NDArray[Any], kind: pa.DataType) -> Array:
    """Numbers as the Arrow type *kind*; rounded to nearest where it holds fewer digits.

    >>> numbers(np.array([1.005, -2.5]), pa.decimal128(6, 1)).to_pylist()
    [Decimal('1.0'), Decimal('-2.5')]
    """
    if pa.types.is_decimal(kind):
        return _decimals(np.rint(values * 10.0**kind.scale).astype(np.int64), kind)
    if pa.types.is_integer(kind) and values.dtype.kind == "f":
        values = np.rint(values)
    if pa.types.is_boolean(kind):
        return pa.array(values != 0)
    return pa.array(values).cast(kind)


def _decimals(units: npt.NDArray[np.int64], kind: pa.DataType) -> Array:
    """Whole numbers of the last digit, widened to the 128 bits that Arrow keeps."""
    wide = np.empty((len(units), 2), np.int64)
    wide[:, 0] = units
    wide[:, 1] = units >> 63
    return pa.Array.from_buffers(kind, len(units), [None, _buffer(wide)])


def key_values(n: int, kind: pa.DataType, width: int, salt: int) -> Array:
    """n distinct values of the type, value k for key k; whole numbers count from 1.

    ValueError where the type, or a text of *width* letters, has no n values.
    """
    texts = pa.types.is_string(kind) or pa.types.is_binary(kind)
    most = 2 if pa.types.is_boolean(kind) else 16 ** min(width, _FRESH) if texts else n
    if n > most:
        raise ValueError(f"there are no {n} values of this type and width, only {most}")
    keys = np.arange(n, dtype=np.int64)
    if pa.types.is_boolean(kind):
        return pa.array(keys % 2 == 1)
    if pa.types.is_date(kind):
        return pa.array((keys + _DAY_ZERO).astype(np.int32)).view(kind)
    if pa.types.is_timestamp(kind):
        return pa.array((keys + _DAY_ZERO * 86_400) * 1_000_000).view(kind)
    if pa.types.is_fixed_size_binary(kind):
        salted = keys.astype(np.uint64) * np.uint64(2) + np.uint64(salt)
        return uuid_of(permutation.mix(np.stack([salted, salted + np.uint64(1)], axis=1).ravel()))
    if texts:
        return _labels(keys, kind, width, salt)
    return numbers(keys + 1, kind)


def _labels(keys: npt.NDArray[np.int64], kind: pa.DataType, width: int, salt: int) -> Array:
    """Distinct labels of *width* letters: a permutation of the keys, spelled to the base 16."""
    short = min(width, _FRESH)
    if short < _FRESH:
        code = permutation.permuted(keys, 16**short, salt % 2**32).astype(np.uint64)
        code <<= np.uint64(4 * (_FRESH - short))
    else:
        code = permutation.mix(keys.astype(np.uint64) + np.uint64(salt))
    body = np.full((len(keys), width), ord("x"), np.uint8)
    body[:, :short] = spelled(code)[:, :short]
    return _strings(kind, np.arange(len(keys) + 1, dtype=np.int32) * width, body)


def words(random: np.random.Generator, size: int) -> Words:
    """*size* random 64-bit words."""
    return random.integers(0, 2**64, size, dtype=np.uint64)


def spelled(code: Words) -> npt.NDArray[np.uint8]:
    """Sixteen letters a to p for each word, most significant first: shape (n, 16).

    >>> spelled(np.array([0x0123456789abcdef], dtype=np.uint64)).tobytes()
    b'abcdefghijklmnop'
    """
    halves = np.stack([code >> np.uint64(32), code & np.uint64(0xFFFFFFFF)], axis=1)
    for shift, mask in ((16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F)):
        halves = ((halves << np.uint64(shift)) | halves) & np.uint64(mask)
    halves += np.uint64(0x6161616161616161)
    return halves.astype(">u8").view(np.uint8).reshape(len(code), _FRESH)


def tape(width: int, *key: str | int) -> npt.NDArray[np.uint8]:
    """Random letters for the tails of texts: shape (BLOCK, width)."""
    per_row = -(-width // _FRESH)
    letters = spelled(words(draw.rng(*key, "tape"), BLOCK * per_row))
    return np.ascontiguousarray(letters.reshape(BLOCK, per_row * _FRESH)[:, :width])


def _letters(random: np.random.Generator, size: int, tails: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Random letters, shape (size, width): sixteen made anew, the rest from the tape, shifted at random.

    Making all of them anew costs more than sending them.
    """
    body = np.empty((size, tails.shape[1]), np.uint8)
    body[:, :_FRESH] = spelled(words(random, size))[:, : tails.shape[1]]
    shift = int(random.integers(0, BLOCK))
    first = min(size, BLOCK - shift)
    body[:first, _FRESH:] = tails[shift : shift + first, _FRESH:]
    body[first:, _FRESH:] = tails[: size - first, _FRESH:]
    return body


def uuid_of(pairs: Words) -> Array:
    """UUIDs of version 4 from two words each."""
    pairs[0::2] = (pairs[0::2] & np.uint64(0xFFFFFFFFFFFF0FFF)) | np.uint64(0x4000)
    pairs[1::2] = (pairs[1::2] & np.uint64(0x3FFFFFFFFFFFFFFF)) | np.uint64(0x8000000000000000)
    return pa.Array.from_buffers(pa.binary(16), len(pairs) // 2, [None, _buffer(pairs.astype(">u8"))])


def _strings(kind: pa.DataType, offsets: npt.NDArray[np.int32], body: npt.NDArray[np.uint8]) -> Array:
    return pa.Array.from_buffers(kind, len(offsets) - 1, [None, _buffer(offsets), _buffer(body)])


def _buffer(values: Any) -> pa.Buffer:
    """The memory of a numpy array, not copied."""
    return pa.py_buffer(values)


def with_nulls(values: Array, random: np.random.Generator, share: float) -> Array:
    """*values*, each null with probability *share*."""
    valid = random.random(len(values)) >= share
    bitmap = _buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(values.type, len(values), [bitmap, *values.buffers()[1:]])
