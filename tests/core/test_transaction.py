"""Fee bumps: always a valid replacement, never above the cap."""

from hypothesis import given
from hypothesis import strategies as st

from oracle.core.transaction import Fees, bumped

WEI = st.integers(min_value=1, max_value=10**13)


@given(
    WEI, WEI, st.integers(min_value=0, max_value=100), st.integers(min_value=1, max_value=10**14)
)
def test_a_bump_replaces_and_stays_below_the_cap(
    max_fee: int, priority: int, percent: int, cap: int
) -> None:
    fees = bumped(Fees(max_fee, priority), percent, cap)
    if fees is None:
        assert -(-max_fee * (100 + max(percent, 10)) // 100) > cap
    else:
        assert fees.max_fee * 10 >= max_fee * 11
        assert fees.max_priority_fee * 10 >= priority * 11
        assert fees.max_fee <= cap
