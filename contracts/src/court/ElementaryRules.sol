// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

import {BINARY32} from "./Binary32.sol";
import {Case, IRules, Verdict} from "./Case.sol";
import {ElementType} from "./ElementType.sol";
import {ElementaryFunctions} from "./ElementaryFunctions.sol";
import {FixedPoint} from "./FixedPoint.sol";
import {Opcode} from "./Opcode.sol";

/// @title EXP, LOG, ERF, TANH, SIGMOID and SOFTPLUS
/// @notice How far a library's result may be from the function (docs/court.md, 7). How the function is evaluated:
///         `ElementaryFunctions`.
contract ElementaryRules is IRules {
    /// @dev A tolerance of `(relative·|f| + absolute·2^power) · 2^-60`.
    struct Tolerance {
        int256 relative;
        int256 absolute;
        int256 power;
    }

    /// 2^60 · (2^-21 + 2^-60)
    int256 private constant RELATIVE = (1 << 39) + 1;
    /// 2^60 · (2^-22 + 2^-60)
    int256 private constant SIGMOID_ABSOLUTE = (1 << 38) + 1;
    /// The least normal float32 is 2^-126: results below it may be flushed to zero.
    int256 private constant SMALLEST_POWER = 60 - 126;

    /// 2^128 - 2^103, the least number that rounds to infinity.
    int256 private constant OVERFLOW_SIGNIFICAND = (1 << 25) - 1;
    int256 private constant OVERFLOW_EXPONENT = 103;

    /// Function values nearer to zero than 2^-150 are replaced by ±2^-152: claims are multiples of 2^-149, and so is
    /// the tolerance's absolute part, so the verdict is the same for both.
    int256 private constant NEGLIGIBLE_TOP = -150;
    int256 private constant NEGLIGIBLE_EXPONENT = -152;

    /// @inheritdoc IRules
    function judge(Case calldata case_) external pure returns (Verdict) {
        bool typed = case_.outputType == ElementType.FLOAT32 && case_.operandTypes.length == 1
            && case_.operandTypes[0] == ElementType.FLOAT32 && case_.operands.length == 1;
        // An operand whose guard fails has no bytes.
        if (!typed || case_.operands[0].length != 4) return Verdict.Undefined;
        uint256 opcode = case_.opcode;
        if (opcode < Opcode.EXP || opcode > Opcode.SOFTPLUS) return Verdict.Undefined;
        uint256 bits = ElementType.reversed(uint32(bytes4(case_.operands[0])), 4);
        if (!BINARY32.isFinite(bits)) return Verdict.Undefined;
        (int256 significand, int256 exponent) = BINARY32.decode(bits);
        if (opcode == Opcode.LOG && significand <= 0) return Verdict.Undefined;
        (significand, exponent) = _evaluate(opcode, significand, exponent);
        return _near(case_.claimed, significand, exponent, _tolerance(opcode)) ? Verdict.Within : Verdict.Violated;
    }

    function _evaluate(uint256 opcode, int256 significand, int256 exponent) private pure returns (int256, int256) {
        if (opcode == Opcode.EXP) return ElementaryFunctions.exponential(significand, exponent);
        if (opcode == Opcode.LOG) return ElementaryFunctions.logarithm(significand, exponent);
        if (opcode == Opcode.ERF) return ElementaryFunctions.errorFunction(significand, exponent);
        if (opcode == Opcode.TANH) return ElementaryFunctions.hyperbolicTangent(significand, exponent);
        if (opcode == Opcode.SIGMOID) return ElementaryFunctions.logistic(significand, exponent);
        return ElementaryFunctions.softplus(significand, exponent);
    }

    function _tolerance(uint256 opcode) private pure returns (Tolerance memory) {
        if (opcode == Opcode.SIGMOID) return Tolerance(0, SIGMOID_ABSOLUTE, 0);
        if (opcode == Opcode.SOFTPLUS) return Tolerance(RELATIVE, RELATIVE, 0);
        return Tolerance(RELATIVE, 1, SMALLEST_POWER);
    }

    /// @notice Whether a claim is at most the tolerance from `f = significand · 2^exponent`; an infinite one, whether
    ///         a number that near to f rounds to that infinity.
    /// @dev Exact. Both numbers are made integers in units of the smaller exponent; the tolerance's absolute part, cut
    ///      off to such units, is compared with integers only. Numbers whose magnitudes are too far apart for that are
    ///      told apart by where their highest bits are.
    ///
    ///      Bounds: the highest bits are at most two places apart, or none is above 2^-124 (with exponents of -271 or
    ///      more), of sigmoid and softplus 2^-18 (-152 or more). f has at most 145 bits and a claim 25. So the integers
    ///      are below 2^150, and with the 60 bits of the tolerance below 2^210.
    function _near(uint256 claimed, int256 significand, int256 exponent, Tolerance memory tolerance)
        private
        pure
        returns (bool)
    {
        unchecked {
            if (BINARY32.isNaN(claimed)) return false;
            bool infinite = BINARY32.isInfinite(claimed);
            (int256 claim, int256 unit) = BINARY32.decode(claimed);
            if (infinite) {
                (claim, unit) = (claim < 0 ? -OVERFLOW_SIGNIFICAND : OVERFLOW_SIGNIFICAND, OVERFLOW_EXPONENT);
            }
            int256 top = _top(significand, exponent);
            if (top <= NEGLIGIBLE_TOP) {
                top = NEGLIGIBLE_TOP;
                exponent = NEGLIGIBLE_EXPONENT;
                if (significand != 0) significand = significand < 0 ? int256(-1) : int256(1);
            }
            int256 absoluteTop = _top(tolerance.absolute, tolerance.power - 60);
            int256 claimTop = _top(claim, unit);
            if (claimTop > FixedPointMathLib.max(top, absoluteTop) + 2) return false;
            if (top > FixedPointMathLib.max(claimTop, absoluteTop) + 2) {
                return infinite && (claim < 0) == (significand < 0);
            }

            if (unit > exponent) {
                claim <<= uint256(unit - exponent);
                unit = exponent;
            } else {
                significand <<= uint256(exponent - unit);
            }
            int256 distance = claim - significand;
            // Of an infinite claim only the lack counts: f may lie beyond the least number that rounds to it.
            if (infinite ? claim < 0 : distance < 0) distance = -distance;
            if (significand < 0) significand = -significand;
            int256 absolute = FixedPoint.shift(tolerance.absolute, tolerance.power - unit);
            return distance << 60 <= tolerance.relative * significand + absolute;
        }
    }

    /// @return The number is below 2^top and, unless it is zero, not below 2^(top - 1).
    function _top(int256 significand, int256 exponent) private pure returns (int256) {
        unchecked {
            if (significand == 0) return NEGLIGIBLE_TOP;
            return exponent + 1 + int256(FixedPointMathLib.log2(FixedPointMathLib.abs(significand)));
        }
    }
}
