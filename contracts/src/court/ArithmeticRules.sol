// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BINARY32, Format, formatOf} from "./Binary32.sol";
import {Case, IRules, Verdict} from "./Case.sol";
import {Casting} from "./Casting.sol";
import {ElementType} from "./ElementType.sol";
import {ElementValue} from "./ElementValue.sol";
import {FloatArithmetic} from "./FloatArithmetic.sol";
import {Opcode} from "./Opcode.sol";
import {Operands} from "./Operands.sol";

/// @title Rules for ADD, SUB, MUL, DIV, SQRT, NEG, ABS, SIGN, FLOOR, CEIL, ROUND and CAST
/// @notice One or two operands, one possible result: correctly rounded float32, integers modulo 2^bits, conversions.
///         Knows no tolerance. docs/court.md, 4, 6.1, 6.2 and 6.6.
contract ArithmeticRules is IRules {
    uint256 private constant ONE = 0x3f800000;

    /// @inheritdoc IRules
    function judge(Case calldata case_) external pure returns (Verdict) {
        (bool isDefined, uint256 expected) = _expected(case_, case_.outputType);
        return isDefined ? Operands.mustBe(case_, expected) : Verdict.Undefined;
    }

    function _expected(Case calldata case_, uint256 kind) private pure returns (bool, uint256) {
        uint256 opcode = case_.opcode;
        if (ElementType.size(kind) == 0) return (false, 0);
        if (opcode == Opcode.CAST) {
            if (case_.operandTypes.length != 1) return (false, 0);
            uint256 source = case_.operandTypes[0];
            if (!Operands.isOne(case_, source)) return (false, 0);
            return Casting.convert(source, kind, Operands.single(case_, 0));
        }
        // No rule of these is for bools.
        if (kind == ElementType.BOOL) return (false, 0);
        if (opcode >= Opcode.ADD && opcode <= Opcode.DIV) {
            if (!Operands.isPair(case_, kind)) return (false, 0);
            (uint256 a, uint256 b) = (Operands.single(case_, 0), Operands.single(case_, 1));
            if (ElementType.isInteger(kind)) return _integers(opcode, kind, a, b);
            return kind == ElementType.FLOAT32 ? _floats(opcode, a, b) : (false, 0);
        }
        if (!Operands.isOne(case_, kind)) return (false, 0);
        uint256 bits = Operands.single(case_, 0);
        if (ElementType.isInteger(kind)) return _integer(opcode, kind, ElementType.integerValue(kind, bits));
        return _float(opcode, kind, bits);
    }

    function _floats(uint256 opcode, uint256 a, uint256 b) private pure returns (bool, uint256) {
        if (!BINARY32.isFinite(a) || !BINARY32.isFinite(b)) return (false, 0);
        if (opcode == Opcode.ADD) return (true, FloatArithmetic.sum(a, b));
        if (opcode == Opcode.SUB) return (true, FloatArithmetic.sum(a, b ^ BINARY32.signBit()));
        if (opcode == Opcode.MUL) return (true, FloatArithmetic.product(a, b));
        return BINARY32.isZero(b) ? (false, uint256(0)) : (true, FloatArithmetic.quotient(a, b));
    }

    function _integers(uint256 opcode, uint256 kind, uint256 a, uint256 b) private pure returns (bool, uint256) {
        (int256 first, int256 second) = (ElementType.integerValue(kind, a), ElementType.integerValue(kind, b));
        int256 result;
        // At most 64 bits each.
        unchecked {
            if (opcode == Opcode.ADD) {
                result = first + second;
            } else if (opcode == Opcode.SUB) {
                result = first - second;
            } else if (opcode == Opcode.MUL) {
                result = first * second;
            } else {
                if (second == 0) return (false, 0);
                result = first / second;
                (, int256 greatest) = ElementValue.range(kind);
                if (result > greatest) return (false, 0);
            }
        }
        return (true, ElementValue.cut(kind, result));
    }

    function _integer(uint256 opcode, uint256 kind, int256 value) private pure returns (bool, uint256) {
        // At most 64 bits.
        unchecked {
            if (opcode == Opcode.NEG || (opcode == Opcode.ABS && value < 0)) {
                value = -value;
            } else if (opcode == Opcode.SIGN) {
                value = value > 0 ? int256(1) : value < 0 ? -1 : int256(0);
            } else if (opcode != Opcode.ABS) {
                return (false, 0);
            }
        }
        return (true, ElementValue.cut(kind, value));
    }

    function _float(uint256 opcode, uint256 kind, uint256 bits) private pure returns (bool, uint256) {
        Format format = formatOf(kind);
        if (opcode == Opcode.NEG) return (true, bits ^ format.signBit());
        if (opcode == Opcode.ABS) return (true, format.magnitude(bits));
        if (kind != ElementType.FLOAT32) return (false, 0);
        if (opcode == Opcode.SIGN) {
            if (BINARY32.isNaN(bits)) return (false, 0);
            return (true, BINARY32.isZero(bits) ? 0 : ONE | (bits & BINARY32.signBit()));
        }
        if (!BINARY32.isFinite(bits)) return (false, 0);
        if (opcode == Opcode.SQRT) {
            // -0 is not negative.
            if (BINARY32.key(bits) < 0) return (false, 0);
            return (true, FloatArithmetic.root(bits));
        }
        if (opcode == Opcode.FLOOR) return (true, FloatArithmetic.floor(bits));
        if (opcode == Opcode.CEIL) return (true, FloatArithmetic.ceiling(bits));
        if (opcode == Opcode.ROUND) return (true, FloatArithmetic.nearestInteger(bits));
        return (false, 0);
    }
}
