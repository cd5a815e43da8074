// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Case, IRules, Verdict} from "./Case.sol";
import {Choice} from "./Choice.sol";
import {ElementType} from "./ElementType.sol";
import {ElementValue} from "./ElementValue.sol";
import {lanesOf} from "./Lanes.sol";
import {Opcode} from "./Opcode.sol";
import {Operands} from "./Operands.sol";

/// @title Rules for choosing, moving and comparing elements, for logic, and for SUM of integers
/// @notice COPY, MAX, MIN, REDUCE_MAX, REDUCE_MIN, ARGMAX, ARGMIN, TOPK_VALUE, TOPK_INDEX, WHERE, GATHER, TREE, LESS,
///         LESS_EQUAL, EQUAL, NOT, AND, OR, XOR and SUM. Exact, infinities included; knows no tolerance.
///         docs/court.md, 4 and 6.3 to 6.5.
contract SelectionRules is IRules {
    /// @inheritdoc IRules
    function judge(Case calldata case_) external pure returns (Verdict) {
        uint256 opcode = case_.opcode;
        uint256 kind = case_.outputType;
        if (ElementType.size(kind) == 0) return Verdict.Undefined;
        if (
            (opcode >= Opcode.REDUCE_MAX && opcode <= Opcode.ARGMIN) || opcode == Opcode.TOPK_VALUE
                || opcode == Opcode.TOPK_INDEX
        ) return Choice.judge(case_);
        if (opcode == Opcode.COPY) return _copy(case_, kind);
        if (opcode == Opcode.MAX || opcode == Opcode.MIN) return _extreme(case_, kind);
        if (opcode == Opcode.WHERE) return _where(case_, kind);
        if (opcode == Opcode.GATHER || opcode == Opcode.TREE) {
            // The element that was led to.
            if (!Operands.isOne(case_, kind)) return Verdict.Undefined;
            return Operands.mustBe(case_, Operands.single(case_, 0));
        }
        if (opcode == Opcode.SUM) return _sum(case_, kind);
        if (kind != ElementType.BOOL) return Verdict.Undefined;
        if (opcode >= Opcode.LESS && opcode <= Opcode.EQUAL) return _compare(case_);
        if (opcode >= Opcode.NOT && opcode <= Opcode.XOR) return _logic(case_);
        return Verdict.Undefined;
    }

    function _copy(Case calldata case_, uint256 kind) private pure returns (Verdict) {
        uint256 count = case_.operandTypes.length;
        for (uint256 index; index < count; ++index) {
            if (case_.operandTypes[index] != kind) return Verdict.Undefined;
        }
        for (uint256 index; index < count; ++index) {
            if (case_.operands[index].length != 0) return Operands.mustBe(case_, Operands.single(case_, index));
        }
        if (case_.attributes.length == 0) return Verdict.Undefined;
        return Operands.mustBe(case_, ElementValue.cut(kind, case_.attributes[0]));
    }

    function _extreme(Case calldata case_, uint256 kind) private pure returns (Verdict) {
        if (kind == ElementType.BOOL || !Operands.isPair(case_, kind)) return Verdict.Undefined;
        (uint256 a, uint256 b) = (Operands.single(case_, 0), Operands.single(case_, 1));
        if (ElementValue.isNaN(kind, a) || ElementValue.isNaN(kind, b)) return Verdict.Undefined;
        bool isFirstLess = ElementValue.key(kind, a) < ElementValue.key(kind, b);
        return Operands.mustBe(case_, isFirstLess == (case_.opcode == Opcode.MIN) ? a : b);
    }

    function _where(Case calldata case_, uint256 kind) private pure returns (Verdict) {
        if (!Operands.isTriple(case_, ElementType.BOOL, kind, kind)) return Verdict.Undefined;
        return Operands.mustBe(case_, Operands.single(case_, Operands.single(case_, 0) != 0 ? 1 : 2));
    }

    function _sum(Case calldata case_, uint256 kind) private pure returns (Verdict) {
        if (case_.operandTypes.length != 1 || case_.operandTypes[0] != kind || !ElementType.isInteger(kind)) {
            return Verdict.Undefined;
        }
        return Operands.mustBe(case_, lanesOf(kind).sum(case_.operands[0]));
    }

    function _compare(Case calldata case_) private pure returns (Verdict) {
        if (case_.operandTypes.length != 2) return Verdict.Undefined;
        uint256 kind = case_.operandTypes[0];
        if (!Operands.isPair(case_, kind)) return Verdict.Undefined;
        (uint256 a, uint256 b) = (Operands.single(case_, 0), Operands.single(case_, 1));
        bool result;
        if (!ElementValue.isNaN(kind, a) && !ElementValue.isNaN(kind, b)) {
            (int256 first, int256 second) = (ElementValue.key(kind, a), ElementValue.key(kind, b));
            uint256 opcode = case_.opcode;
            result = first == second ? opcode != Opcode.LESS : first < second && opcode != Opcode.EQUAL;
        }
        return Operands.mustBe(case_, result ? 1 : 0);
    }

    /// @dev Any bits but 0 are true.
    function _logic(Case calldata case_) private pure returns (Verdict) {
        uint256 opcode = case_.opcode;
        bool result;
        if (opcode == Opcode.NOT) {
            if (!Operands.isOne(case_, ElementType.BOOL)) return Verdict.Undefined;
            result = Operands.single(case_, 0) == 0;
        } else {
            if (!Operands.isPair(case_, ElementType.BOOL)) return Verdict.Undefined;
            (bool a, bool b) = (Operands.single(case_, 0) != 0, Operands.single(case_, 1) != 0);
            result = opcode == Opcode.AND ? a && b : opcode == Opcode.OR ? a || b : a != b;
        }
        return Operands.mustBe(case_, result ? 1 : 0);
    }
}
