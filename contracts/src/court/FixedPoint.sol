// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title Fixed-point numbers with 120 bits of fraction, and e^x and ln x of them
/// @notice Every step is that of docs/court.md, 7, so that the results are defined to the last bit.
/// @dev Unchecked throughout; each function says what its arguments must be for nothing to reach 2^255. `rawSDiv` is `/`
///      without the check for a zero divisor: the divisors are constants and loop counters.
library FixedPoint {
    uint256 internal constant BITS = 120;
    int256 internal constant ONE = 1 << 120;
    /// floor(ln 2 · 2^120)
    int256 internal constant LN2 = 0xB17217F7D1CF79ABC9E3B39803F2F6;
    /// floor(sqrt 2 · 2^120)
    int256 private constant ROOT_TWO = 0x16A09E667F3BCC908B2FB1366EA957D;
    /// e^200 > 2^128 overflows and e^-200 < 2^-288 is nothing, so |x| ends here.
    int256 internal constant LIMIT = 200 << 120;
    /// Terms of Taylor's series of e^r; r^25/25! < 2^-121.
    uint256 private constant EXP_TERMS = 24;
    /// Terms of the series of artanh(s)/s; the next one is below 2^-113.
    uint256 private constant LN_TERMS = 21;

    /// @notice significand · 2^places, rounded toward minus infinity.
    /// @dev The caller knows that it fits.
    function shift(int256 significand, int256 places) internal pure returns (int256) {
        unchecked {
            return places >= 0 ? significand << uint256(places) : significand >> uint256(-places);
        }
    }

    /// @notice significand · 2^exponent in fixed point, limited to ±200.
    /// @dev |significand| <= 2^24 and exponent <= 105: below 2^249 before the limit.
    function fromBinary(int256 significand, int256 exponent) internal pure returns (int256 value) {
        unchecked {
            value = shift(significand, exponent + int256(BITS));
        }
        if (value > LIMIT) return LIMIT;
        if (value < -LIMIT) return -LIMIT;
    }

    /// @notice e^x is `mantissa · 2^(power - 120)`, the mantissa in [0.7, 1.42].
    /// @dev |x| <= 200: |rest| < 2^119 and |mantissa| < 2^121, so every product is below 2^240.
    function exp(int256 x) internal pure returns (int256 mantissa, int256 power) {
        unchecked {
            power = _floorDiv(2 * x + LN2, 2 * LN2);
            int256 rest = x - power * LN2;
            mantissa = ONE;
            for (int256 k = int256(EXP_TERMS); k != 0; --k) {
                mantissa = ONE + FixedPointMathLib.rawSDiv((rest * mantissa) >> BITS, k);
            }
        }
    }

    /// @notice e^-a of a = significand · 2^exponent >= 0: in [0, 1].
    /// @dev The arguments are those of `fromBinary`.
    function decay(int256 significand, int256 exponent) internal pure returns (int256) {
        unchecked {
            (int256 mantissa, int256 power) = exp(-fromBinary(significand, exponent));
            // power is not positive, as x is not.
            return mantissa >> uint256(-power);
        }
    }

    /// @notice ln(mantissa · 2^power) for a mantissa in [1, 2]: 2·artanh((m - 1)/(m + 1)).
    /// @dev |power| < 2^10; |ratio| < 2^118, |total| < 2^121, and mantissa - ONE < 2^120 is multiplied by 2^120.
    function ln(int256 mantissa, int256 power) internal pure returns (int256) {
        unchecked {
            if (mantissa >= ROOT_TWO) {
                mantissa >>= 1;
                ++power;
            }
            // slither-disable-next-line divide-before-multiply (the quotient is a fixed-point number)
            int256 ratio = ((mantissa - ONE) << BITS) / (mantissa + ONE);
            int256 square = (ratio * ratio) >> BITS;
            int256 total;
            for (int256 k = 2 * int256(LN_TERMS) - 1; k > 0; k -= 2) {
                total = ((total * square) >> BITS) + FixedPointMathLib.rawSDiv(ONE, k);
            }
            return power * LN2 + ((2 * ratio * total) >> BITS);
        }
    }

    /// @dev Rounded toward minus infinity; the denominator is positive.
    function _floorDiv(int256 numerator, int256 denominator) private pure returns (int256 quotient) {
        unchecked {
            // slither-disable-next-line divide-before-multiply (asks whether anything was left)
            quotient = numerator / denominator;
            if (numerator < 0 && quotient * denominator != numerator) --quotient;
        }
    }
}
