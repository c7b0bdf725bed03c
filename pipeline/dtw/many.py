"""Same-sentence scores of very many pairs of takes: compiled, and on fewer cells than the aligner's."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(cache=True)
def path_cells(
    distances: npt.NDArray[Any], diagonal: float, along_b: float, along_a: float
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    n, m = distances.shape
    step = np.zeros((n, m), np.uint8)
    row = np.empty(m)
    row[0] = distances[0, 0]
    for j in range(1, m):
        row[j] = row[j - 1] + along_b * distances[0, j]
        step[0, j] = 1
    for i in range(1, n):
        corner = row[0]
        row[0] += along_a * distances[i, 0]
        step[i, 0] = 2
        for j in range(1, m):
            d = distances[i, j]
            best, taken = corner + diagonal * d, 0
            if row[j - 1] + along_b * d < best:
                best, taken = row[j - 1] + along_b * d, 1
            if row[j] + along_a * d < best:
                best, taken = row[j] + along_a * d, 2
            corner = row[j]
            row[j] = best
            step[i, j] = taken
    cells_a = np.empty(n + m, np.int32)
    cells_b = np.empty(n + m, np.int32)
    k, i, j = n + m - 1, n - 1, m - 1
    while True:
        cells_a[k], cells_b[k] = i, j
        if i == 0 and j == 0:
            break
        taken = step[i, j]
        if taken != 1:
            i -= 1
        if taken != 2:
            j -= 1
        k -= 1
    return cells_a[k:], cells_b[k:]
