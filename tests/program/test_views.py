"""Views: numpy's own idea of where elements lie, without touching one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.core.schema import ElementType
from oracle.program.instruction import Space, TensorInfo
from oracle.program.reading.view import Index, View, loop

INFO = TensorInfo("t", ElementType.INT32, (2, 3, 4), (2, 0, 1))


def positions(view: View) -> np.ndarray:
    """Where each element of the view lies, from its strides."""
    grid = np.indices(view.shape)
    return view.offset + sum(stride * axis for stride, axis in zip(view.strides, grid, strict=True))


def committed(info: TensorInfo) -> np.ndarray:
    """The tensor whose elements are their own flat positions."""
    return np.asarray(info.unflatten(np.arange(info.size, dtype=np.int32)))


def test_whole_tensor() -> None:
    view = View.whole(Space.TRACE, 0, INFO)
    np.testing.assert_array_equal(positions(view), committed(INFO))


@given(st.permutations(range(3)), st.permutations(range(3)))
def test_transposed_layouts(layout: list[int], axes: list[int]) -> None:
    info = TensorInfo("t", ElementType.INT32, (2, 3, 4), tuple(layout))
    view = View.whole(Space.TRACE, 0, info).transposed(axes)
    np.testing.assert_array_equal(positions(view), committed(info).transpose(axes))


def test_flatten_and_back() -> None:
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    np.testing.assert_array_equal(INFO.unflatten(INFO.flatten(array)), array)


def test_slices_with_negative_steps() -> None:
    view = View.whole(Space.TRACE, 0, INFO).moved(lambda a: a[::-1, 1:, ::-2])
    assert view is not None
    np.testing.assert_array_equal(positions(view), committed(INFO)[::-1, 1:, ::-2])


def test_reshape_is_a_view_or_none() -> None:
    row_major = TensorInfo("t", ElementType.INT32, (2, 3, 4), (0, 1, 2))
    view = View.whole(Space.TRACE, 0, row_major).reshaped((6, 4))
    assert view is not None
    np.testing.assert_array_equal(positions(view), committed(row_major).reshape(6, 4))
    assert View.whole(Space.TRACE, 0, INFO).reshaped((24,)) is None


def test_broadcast() -> None:
    info = TensorInfo("t", ElementType.INT32, (3, 1), (0, 1))
    view = View.whole(Space.TRACE, 0, info).broadcast((2, 3, 4))
    np.testing.assert_array_equal(positions(view), np.broadcast_to(committed(info), (2, 3, 4)))
    with pytest.raises(ValueError, match="broadcast"):
        View.whole(Space.TRACE, 0, info).broadcast((4, 4))


def test_scalars() -> None:
    info = TensorInfo("t", ElementType.INT32, (), ())
    view = View.whole(Space.TRACE, 0, info)
    assert view.shape == ()
    assert view.access([], 2).coefficients == (0, 0)
    reshaped = view.reshaped((1, 1))
    assert reshaped is not None
    assert reshaped.offset == 0


def test_window_access() -> None:
    """Row 2·i + k - 1 of a tensor, column j: a convolution of stride 2 and padding 1."""
    info = TensorInfo("t", ElementType.INT32, (5, 3), (0, 1))
    row = Index(((0, 2), (2, 1)), -1, guarded=True)
    access = View.whole(Space.TRACE, 0, info).access([row, loop(1)], 3)
    assert access.offset == -3
    assert access.coefficients == (6, 1, 3)
    (guard,) = access.guards
    assert (guard.offset, guard.coefficients, guard.limit) == (-1, (2, 0, 1), 5)
