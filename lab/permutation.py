"""Pseudo-random permutations of numbers, and of words: any part of one can be had alone, and nothing is stored."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def permuted(index: Ints, n: int, key: int) -> Ints:
    """Where a pseudo-random permutation of 0..n-1, chosen by *key*, sends each of *index*.

    A four-round Feistel network over the
    next even power of two, walked until it is back below n (Black, Rogaway, "Ciphers with
    arbitrary finite domains", CT-RSA 2002).

    >>> sorted(permuted(np.arange(10), 10, key=3).tolist()) == list(range(10))
    True
    """
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    at = _feistel(index.astype(np.uint64), half, key)
    outside = np.flatnonzero(at >= n)
    while len(outside):
        at[outside] = _feistel(at[outside], half, key)
        outside = outside[at[outside] >= n]
    return at.astype(np.int64)


def _feistel(x: npt.NDArray[np.uint64], half: int, key: int) -> npt.NDArray[np.uint64]:
    mask = np.uint64((1 << half) - 1)
    left, right = x >> np.uint64(half), x & mask
    for round_ in range(4):
        mixed = mix(right + np.uint64((key * 4 + round_) * 0x9E3779B97F4A7C15 % 2**64))
        left, right = right, left ^ (mixed & mask)
    return (left << np.uint64(half)) | right


def mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection of 64-bit words whose every output bit depends on every input bit.

    The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
