// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BINARY32} from "./Binary32.sol";
import {ByteProducts} from "./ByteProducts.sol";
import {Case, IRules, Verdict} from "./Case.sol";
import {ElementType} from "./ElementType.sol";
import {ElementValue} from "./ElementValue.sol";
import {FloatArithmetic} from "./FloatArithmetic.sol";
import {Opcode} from "./Opcode.sol";
import {Operands} from "./Operands.sol";
import {Rounding} from "./Rounding.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title Rules for QUANTIZE, DEQUANTIZE, INTEGER_DOT and QUANTIZED_DOT
/// @notice Exact sums, and one rounding to an integer that accepts a neighbour only where the scaling's own roundings
///         can reach across a tie (docs/court.md, 8). Knows nothing of axes: scales and zero points come one per element.
contract QuantisedRules is IRules {
    /// @dev x/s is one division, or a product with 1/s.
    int256 private constant QUANTIZE_ROUNDINGS = 2;
    /// @dev float(acc), sa·sb, /sy and their product: (1 + u)^4 - 1 < 5u.
    int256 private constant REQUANTIZE_ROUNDINGS = 5;
    /// @dev 1/u.
    int256 private constant PRECISION = 1 << 24;
    /// @dev See `_rounded`.
    int256 private constant FAR = 128;

    /// @inheritdoc IRules
    function judge(Case calldata case_) external pure returns (Verdict) {
        uint256 opcode = case_.opcode;
        if (opcode == Opcode.QUANTIZED_DOT) return _quantizedDot(case_);
        if (opcode == Opcode.INTEGER_DOT) return _integerDot(case_);
        if (opcode == Opcode.QUANTIZE) return _quantize(case_);
        if (opcode == Opcode.DEQUANTIZE) return _dequantize(case_);
        return Verdict.Undefined;
    }

    /// @dev saturate(rne(x / s) + z).
    function _quantize(Case calldata case_) private pure returns (Verdict) {
        uint256 kind = case_.outputType;
        if (!_isNarrow(kind, 2)) return Verdict.Undefined;
        if (!Operands.isTriple(case_, ElementType.FLOAT32, ElementType.FLOAT32, kind)) return Verdict.Undefined;
        (uint256 value, uint256 scale) = (Operands.single(case_, 0), Operands.single(case_, 1));
        if (!BINARY32.isFinite(value) || !_isScale(scale)) return Verdict.Undefined;
        (int256 numerator, int256 exponent) = BINARY32.decode(value);
        (int256 denominator, int256 scaleExponent) = BINARY32.decode(scale);
        int256 zero = ElementType.integerValue(kind, Operands.single(case_, 2));
        return _rounded(case_, zero, numerator, exponent - scaleExponent, denominator, QUANTIZE_ROUNDINGS);
    }

    /// @dev RNE32(RNE32(x - z) · s).
    function _dequantize(Case calldata case_) private pure returns (Verdict) {
        if (case_.outputType != ElementType.FLOAT32 || case_.operandTypes.length != 3) return Verdict.Undefined;
        uint256 kind = case_.operandTypes[0];
        if (!_isNarrow(kind, 2) && kind != ElementType.INT32) return Verdict.Undefined;
        if (!Operands.isTriple(case_, kind, ElementType.FLOAT32, kind)) return Verdict.Undefined;
        uint256 scale = Operands.single(case_, 1);
        if (!BINARY32.isFinite(scale)) return Verdict.Undefined;
        int256 distance = ElementType.integerValue(kind, Operands.single(case_, 0))
            - ElementType.integerValue(kind, Operands.single(case_, 2));
        if (distance < type(int32).min || distance > type(int32).max) return Verdict.Undefined;
        uint256 rounded = Rounding.nearest(BINARY32, distance < 0, FixedPointMathLib.abs(distance), 0);
        return Operands.mustBe(case_, FloatArithmetic.product(rounded, scale));
    }

    /// @dev sum (a - c)·(b - d), modulo 2^32.
    function _integerDot(Case calldata case_) private pure returns (Verdict) {
        if (case_.outputType != ElementType.INT32 || case_.operandTypes.length != 4) return Verdict.Undefined;
        if (!_hasProducts(case_)) return Verdict.Undefined;
        return Operands.mustBe(case_, ElementValue.cut(ElementType.INT32, _products(case_)));
    }

    /// @dev saturate(rne(acc·sa·sb / sy) + zy), acc = sum (a - za)·(b - zb) (+ bias).
    function _quantizedDot(Case calldata case_) private pure returns (Verdict) {
        uint256 kind = case_.outputType;
        uint256 count = case_.operandTypes.length;
        if (!_isNarrow(kind, 1) || count < 8 || count > 9 || !_hasProducts(case_)) return Verdict.Undefined;
        for (uint256 index = 4; index < 7; ++index) {
            if (!Operands.isSingle(case_, index, ElementType.FLOAT32)) return Verdict.Undefined;
            if (!_isScale(Operands.single(case_, index))) return Verdict.Undefined;
        }
        if (!Operands.isSingle(case_, 7, kind)) return Verdict.Undefined;
        if (count == 9 && !Operands.isSingle(case_, 8, ElementType.INT32)) return Verdict.Undefined;
        (int256 scale, int256 exponent, int256 denominator) = _scaling(case_);
        if (denominator == 0) return Verdict.Undefined;
        int256 total = _products(case_);
        if (count == 9) total += ElementType.integerValue(ElementType.INT32, Operands.single(case_, 8));
        // The accumulator is an int32, the scales' product has 48 bits.
        unchecked {
            int256 numerator = int256(int32(total)) * scale;
            int256 zero = ElementType.integerValue(kind, Operands.single(case_, 7));
            return _rounded(case_, zero, numerator, exponent, denominator, REQUANTIZE_ROUNDINGS);
        }
    }

    /// @dev sa·sb/sy as significand · 2^exponent / denominator; no denominator where it or sa·sb leaves the normal range.
    function _scaling(Case calldata case_)
        private
        pure
        returns (int256 significand, int256 exponent, int256 denominator)
    {
        (int256 first, int256 firstExponent) = BINARY32.decode(Operands.single(case_, 4));
        (int256 second, int256 secondExponent) = BINARY32.decode(Operands.single(case_, 5));
        // Positive significands of 24 bits.
        unchecked {
            significand = first * second;
            exponent = firstExponent + secondExponent;
            int256 bits = int256(FixedPointMathLib.log2(uint256(significand)));
            if (!_isNormal(exponent + bits)) return (0, 0, 0);
            int256 lastExponent;
            (denominator, lastExponent) = BINARY32.decode(Operands.single(case_, 6));
            exponent -= lastExponent;
            // floor(log2) of the quotient is that of the significands, less one where the upper one is below.
            bits -= int256(FixedPointMathLib.log2(uint256(denominator)));
            bool isBelow =
                bits < 0 ? significand << uint256(-bits) < denominator : significand < denominator << uint256(bits);
            if (!_isNormal(exponent + bits - (isBelow ? int256(1) : int256(0)))) return (0, 0, 0);
        }
    }

    /// @notice Whether some number within roundings·u of q = numerator · 2^exponent / denominator, relatively, rounds and
    ///         saturates to the claim.
    /// @param numerator Below 2^80 in magnitude.
    /// @param denominator Positive, below 2^24.
    function _rounded(
        Case calldata case_,
        int256 zero,
        int256 numerator,
        int256 exponent,
        int256 denominator,
        int256 roundings
    ) private pure returns (Verdict) {
        uint256 kind = case_.outputType;
        int256 claimed = ElementType.integerValue(kind, case_.claimed);
        (int256 least, int256 greatest) = ElementValue.range(kind);
        // q ± roundings·u·|q| is compared with w ± 1/2, all times 2^25 · denominator and a power of two. The other side
        // is not zero and below 2^18 · 2^48, so that beyond 2^±128 the exponent no longer matters: 80 + 26 < 128. The
        // sides are below 2^(80 + 26 + 128) and 2^(18 + 48 + 128).
        unchecked {
            exponent = FixedPointMathLib.clamp(exponent, -FAR, FAR);
            int256 unit = denominator * PRECISION;
            if (exponent < 0) unit <<= uint256(-exponent);
            else numerator <<= uint256(exponent);
            int256 slack = numerator < 0 ? -2 * roundings * numerator : 2 * roundings * numerator;
            numerator *= 2 * PRECISION;
            int256 doubled = 2 * (claimed - zero);
            bool isReached = claimed == least || numerator + slack >= (doubled - 1) * unit;
            bool isNotPassed = claimed == greatest || numerator - slack <= (doubled + 1) * unit;
            return isReached && isNotPassed ? Verdict.Within : Verdict.Violated;
        }
    }

    /// @dev Whether operands 0 and 1 are of 8-bit types and 2 and 3 are their zero points.
    function _hasProducts(Case calldata case_) private pure returns (bool) {
        (uint256 first, uint256 second) = (case_.operandTypes[0], case_.operandTypes[1]);
        return _isNarrow(first, 1) && _isNarrow(second, 1) && Operands.isSingle(case_, 2, first)
            && Operands.isSingle(case_, 3, second);
    }

    function _products(Case calldata case_) private pure returns (int256) {
        return ByteProducts.sum(
            case_.operands[0],
            case_.operands[1],
            [Operands.single(case_, 2), Operands.single(case_, 3)],
            [case_.operandTypes[0] == ElementType.INT8, case_.operandTypes[1] == ElementType.INT8]
        );
    }

    /// @dev Whether it is an integer type of at most so many bytes.
    function _isNarrow(uint256 elementType, uint256 bytes_) private pure returns (bool) {
        return ElementType.isInteger(elementType) && ElementType.size(elementType) <= bytes_;
    }

    /// @dev Finite and positive.
    function _isScale(uint256 bits) private pure returns (bool) {
        return BINARY32.isFinite(bits) && BINARY32.key(bits) > 0;
    }

    /// @dev Whether numbers with this floor(log2) lie in [2^-126, 2^127).
    function _isNormal(int256 exponent) private pure returns (bool) {
        return exponent >= -126 && exponent <= 126;
    }
}
