// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

import {FixedPoint} from "./FixedPoint.sol";

/// @title exp, log, erf, tanh, sigmoid and softplus of a finite binary32 number
/// @notice The argument is `significand · 2^exponent` as `Binary32` decodes it, and so is the result. docs/court.md, 7,
///         says each step and how far from the function the result may be.
/// @dev Unchecked throughout: |significand| < 2^24 and -149 <= exponent <= 104, from which each function shows that
///      nothing reaches 2^255. Knows neither claims nor tolerances.
library ElementaryFunctions {
    int256 private constant ONE = FixedPoint.ONE;
    uint256 private constant BITS = FixedPoint.BITS;

    /// floor(2/sqrt(pi) · 2^80)
    int256 private constant TWO_OVER_ROOT_PI = 0x120DD750429B6D11AE3A9;
    uint256 private constant ERF_BITS = 80;
    int256 private constant ERF_ONE = 1 << 80;
    /// erf is 1 from here on: erfc(sqrt 44) < 2^-66.
    int256 private constant ERF_LARGEST_SQUARE = 44 << 80;
    /// 2k + 1 of the last term of the series.
    int256 private constant ERF_LAST_FACTOR = 2 * 159 + 1;
    /// 2k of the last term of the series of sinh and cosh.
    int256 private constant TANH_LAST_FACTOR = 2 * 16;

    /// @notice e^x: positive, never zero.
    function exponential(int256 significand, int256 exponent) internal pure returns (int256, int256) {
        unchecked {
            (int256 mantissa, int256 power) = FixedPoint.exp(FixedPoint.fromBinary(significand, exponent));
            return (mantissa, power - int256(BITS));
        }
    }

    /// @notice ln x of a positive x.
    function logarithm(int256 significand, int256 exponent) internal pure returns (int256, int256) {
        unchecked {
            // 2^log2 <= significand < 2^(log2 + 1): shifted, the significand is in [1, 2).
            uint256 places = BITS - FixedPointMathLib.log2(uint256(significand));
            int256 result = FixedPoint.ln(significand << places, exponent - int256(places) + int256(BITS));
            return (result, -int256(BITS));
        }
    }

    /// @notice erf x = x · 2/sqrt(pi) · e^-z · sum_k (2z)^k / (1·3·5···(2k+1)), z = x² (DLMF 7.6.2).
    /// @dev z < 44, so a term is below e^44 < 2^64 and their sum too: below 2^144 in units of 2^-80; times 2z it is
    ///      below 2^232, times e^-z <= 1 below 2^225.
    function errorFunction(int256 significand, int256 exponent) internal pure returns (int256, int256) {
        unchecked {
            if (significand == 0) return (0, 0);
            // exponent < 0: the square is below 2^48 · 2^78.
            int256 square = exponent >= 0
                ? ERF_LARGEST_SQUARE
                : FixedPoint.shift(significand * significand, 2 * exponent + int256(ERF_BITS));
            if (square >= ERF_LARGEST_SQUARE) return (significand > 0 ? int256(1) : -1, 0);
            int256 term = ERF_ONE;
            int256 total = ERF_ONE;
            int256 twice = 2 * square;
            for (int256 factor = 3; term != 0; factor += 2) {
                if (factor > ERF_LAST_FACTOR) break;
                term = FixedPointMathLib.rawSDiv((term * twice) >> ERF_BITS, factor);
                total += term;
            }
            (int256 mantissa, int256 power) = FixedPoint.exp(-(square << (BITS - ERF_BITS)));
            // power <= 0, as the argument is.
            int256 slope = (total * (mantissa >> (BITS - ERF_BITS))) >> uint256(int256(ERF_BITS) - power);
            slope = (slope * TWO_OVER_ROOT_PI) >> ERF_BITS;
            return (significand * slope, exponent - int256(ERF_BITS));
        }
    }

    /// @notice tanh x = x · (sinh x / x) / cosh x below 1, (1 - e^-2x) / (1 + e^-2x) from there on.
    /// @dev Below 1 the square is below 2^120, sinh x / x and cosh x are below 2, the significand times their quotient
    ///      below 2^145.
    function hyperbolicTangent(int256 significand, int256 exponent) internal pure returns (int256, int256) {
        unchecked {
            int256 absolute = significand < 0 ? -significand : significand;
            if (absolute < int256(1) << (exponent < 0 ? uint256(-exponent) : 0)) {
                int256 square = FixedPoint.shift(significand * significand, 2 * exponent + int256(BITS));
                int256 sinh = ONE;
                int256 cosh = ONE;
                for (int256 k = TANH_LAST_FACTOR; k != 0; k -= 2) {
                    sinh = ONE + FixedPointMathLib.rawSDiv((square * sinh) >> BITS, k * (k + 1));
                    cosh = ONE + FixedPointMathLib.rawSDiv((square * cosh) >> BITS, k * (k - 1));
                }
                // slither-disable-next-line divide-before-multiply (the quotient is a fixed-point number)
                return (significand * ((sinh << BITS) / cosh), exponent - int256(BITS));
            }
            int256 decay = FixedPoint.decay(absolute, exponent + 1);
            int256 ratio = ((ONE - decay) << BITS) / (ONE + decay);
            return (significand > 0 ? ratio : -ratio, -int256(BITS));
        }
    }

    /// @notice 1 / (1 + e^-x), from e^-|x| so that nothing overflows.
    function logistic(int256 significand, int256 exponent) internal pure returns (int256, int256) {
        unchecked {
            int256 decay = FixedPoint.decay(significand < 0 ? -significand : significand, exponent);
            int256 numerator = significand < 0 ? decay : ONE;
            return ((numerator << BITS) / (ONE + decay), -int256(BITS));
        }
    }

    /// @notice ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
    function softplus(int256 significand, int256 exponent) internal pure returns (int256, int256) {
        unchecked {
            int256 argument = FixedPoint.fromBinary(significand, exponent);
            if (argument == FixedPoint.LIMIT) return (significand, exponent);
            int256 decay = FixedPoint.decay(significand < 0 ? -significand : significand, exponent);
            int256 rest = FixedPoint.ln(ONE + decay, 0);
            return ((argument > 0 ? argument : int256(0)) + rest, -int256(BITS));
        }
    }
}
