"""What a leaf size costs on both sides: hashing a trace here, opening short runs on the chain.

The gas is what a transaction must pay at least: the calldata floor and the SHA-256 precompile. What
a contract spends around them is not in it, and depends little on the leaf size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import psutil

from oracle.core import merkle
from oracle.core.schema import ElementType
from oracle.core.types import Tier
from oracle.court.commitment import commit
from oracle.program.instruction import Program, TensorInfo, Trace

LEAF_SIZES = (256, 512, 1024, 2048, 4096, 8192)

CALLDATA_GAS = 40
"""Floor of a byte that is not zero (EIP-7623)."""
_PRECOMPILE_GAS = 60
_PRECOMPILE_WORD_GAS = 12
_ROUNDS = 3
_BLOCK = bytes(8 << 20)
"""Hashed without a word to the interpreter, it shows how many cores are free."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one challenged element reads of one row's trace: runs of neighbouring bytes."""

    name: str
    runs: int
    run_bytes: int
    tensor_bytes: int
    trace_bytes: int


READINGS = (
    Reading("tabular: 13 of 13 features", 1, 52, 52, 1 << 10),
    Reading("dense, K = 64", 1, 256, 256, 16 << 10),
    Reading("dense, K = 784", 1, 3_136, 3_136, 64 << 10),
    Reading("convolution 3x3x64", 3, 768, 1 << 18, 4 << 20),
    Reading("convolution 3x3x512", 3, 6_144, 1 << 20, 32 << 20),
    Reading("one element", 1, 4, 1 << 20, 32 << 20),
)


def measure(megabytes: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Throughput and least gas by leaf size; the throughput is that of the tree, too."""
    cores = len(psutil.Process().cpu_affinity() or [0])
    table = []
    for leaf_bytes in LEAF_SIZES:
        program, trace = _large(megabytes << 20, leaf_bytes)
        alone = _speed(program, trace, 1)
        together = _speed(program, trace, cores)
        free = _free(cores)
        say(
            f"leaves of {leaf_bytes} bytes: {alone:.2f} GB/s, {together:.2f} on {cores} cores, "
            f"{free:.1f} of them free"
        )
        table.append(
            {
                "leaf_bytes": leaf_bytes,
                "gb_per_s": round(alone, 3),
                "gb_per_s_all_cores": round(together, 3),
                "cores_free": round(free, 2),
                "gas": {one.name: opening_gas(one, leaf_bytes) for one in READINGS},
            }
        )
    return {"cores_used": cores, "trace_bytes": megabytes << 20, "leaf_sizes": table}


def opening_gas(reading: Reading, leaf_bytes: int) -> int:
    """Least gas to open what an element reads, the runs lying as unluckily as they can."""
    gas = 0
    tree_leaves = max(1, reading.trace_bytes // leaf_bytes)
    tensor_leaves = merkle.leaf_count(reading.tensor_bytes, leaf_bytes)
    for run in range(reading.runs):
        count = min(tensor_leaves, (reading.run_bytes + leaf_bytes - 2) // leaf_bytes + 1)
        shown = min(reading.tensor_bytes, count * leaf_bytes)
        first = min(tree_leaves - count, tree_leaves * (run + 1) // (reading.runs + 1) | 1)
        if first < 0:
            first, tree_leaves = 0, count
        path = merkle.proof_length(tree_leaves, first, count)
        gas += CALLDATA_GAS * (shown + merkle.DIGEST_BYTES * path)
        gas += count * _hash_gas(merkle.HEADER_BYTES + min(leaf_bytes, shown))
        gas += (path + count - 1) * _hash_gas(4 + 2 * merkle.DIGEST_BYTES)
    return gas


def _hash_gas(size: int) -> int:
    return _PRECOMPILE_GAS + _PRECOMPILE_WORD_GAS * -(-size // 32)


def _speed(program: Program, trace: Trace, threads: int) -> float:
    """The best of a few rounds, in 10^9 bytes a second; of the core's own time where it is one."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    best = float("inf")
    for _ in range(_ROUNDS):
        began = clock()
        commit(program, bytes(32), trace, threads=threads)
        best = min(best, clock() - began)
    return program.row_trace_bytes / best / 1e9


def _free(cores: int) -> float:
    """How much faster all cores hash long blocks than one of them undisturbed would."""
    began = time.thread_time()
    sha256(_BLOCK).digest()
    alone = time.thread_time() - began
    with ThreadPoolExecutor(cores) as pool:
        began = time.perf_counter()
        list(pool.map(lambda _: sha256(_BLOCK).digest(), range(cores)))
        together = time.perf_counter() - began
    return cores * alone / together


def _large(size: int, leaf_bytes: int) -> tuple[Program, Trace]:
    """A row of 16 equal tensors."""
    elements = size // 64
    infos = tuple(
        TensorInfo(f"t{number}", ElementType.FLOAT32, (elements,), (0,)) for number in range(16)
    )
    program = Program(
        tier=Tier.EXACT,
        leaf_bytes=leaf_bytes,
        source_sha256=bytes(32),
        tensors=infos,
        constants=(),
        constant_values=(),
        instructions=(),
        inputs=(0,),
        outputs=(15,),
    )
    generator = np.random.default_rng(0)
    row = tuple(generator.random(elements, dtype=np.float32) for _ in infos)
    return program, Trace((row,))
