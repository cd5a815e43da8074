// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Opcode} from "./Opcode.sol";
import {Instruction} from "./ProgramRecord.sol";

/// @notice The families of rules, each in a contract of its own but the sums.
enum Family {
    Unknown,
    Sum,
    Arithmetic,
    Elementary,
    Selection,
    Quantised
}

/// @notice What an operation asks of an instruction (docs/court.md, 4).
struct Signature {
    Family family;
    uint256 leastOperands;
    uint256 mostOperands;
    /// The first so many operands are read at every tap, the others once.
    uint256 perTap;
    uint256 attributes;
    /// Whether it needs a domain axis.
    bool ranked;
    /// Whether its rule asks for the numbers of the taps.
    bool numbered;
}

library Signatures {
    /// @notice The signature of an operation; `Family.Unknown` where there is none such.
    function signatureOf(uint256 opcode) internal pure returns (Signature memory) {
        if (opcode == Opcode.DOT) return _signature(Family.Sum, 2, 3, 2, 0);
        if (opcode == Opcode.SUM) return _signature(Family.Sum, 1, 1, 1, 0);
        if (opcode == Opcode.MEAN) return _signature(Family.Sum, 1, 1, 1, 1);
        if (opcode >= Opcode.ADD && opcode <= Opcode.DIV) return _signature(Family.Arithmetic, 2, 2, 0, 0);
        if (opcode == Opcode.SQRT) return _signature(Family.Arithmetic, 1, 1, 0, 0);
        if (opcode >= Opcode.EXP && opcode <= Opcode.SOFTPLUS) return _signature(Family.Elementary, 1, 1, 0, 0);
        if (opcode == Opcode.COPY) return _signature(Family.Selection, 1, 1 << 16, 0, 0);
        if (opcode == Opcode.MAX || opcode == Opcode.MIN) return _signature(Family.Selection, 2, 2, 0, 0);
        if (opcode == Opcode.REDUCE_MAX || opcode == Opcode.REDUCE_MIN) {
            return _signature(Family.Selection, 1, 1, 1, 0);
        }
        if (opcode == Opcode.ARGMAX || opcode == Opcode.ARGMIN) {
            Signature memory choice = _signature(Family.Selection, 1, 1, 1, 1);
            choice.numbered = true;
            return choice;
        }
        if (opcode == Opcode.TOPK_VALUE || opcode == Opcode.TOPK_INDEX) {
            Signature memory choice = _signature(Family.Selection, 1, 1, 1, 1);
            choice.ranked = true;
            choice.numbered = opcode == Opcode.TOPK_INDEX;
            return choice;
        }
        if (opcode == Opcode.WHERE) return _signature(Family.Selection, 3, 3, 0, 0);
        if (opcode == Opcode.GATHER) return _signature(Family.Selection, 2, 2, 0, 2);
        if (opcode >= Opcode.CAST && opcode <= Opcode.ROUND) return _signature(Family.Arithmetic, 1, 1, 0, 0);
        if (opcode == Opcode.NOT) return _signature(Family.Selection, 1, 1, 0, 0);
        if (opcode >= Opcode.LESS && opcode <= Opcode.XOR) return _signature(Family.Selection, 2, 2, 0, 0);
        if (opcode == Opcode.TREE) {
            Signature memory tree = _signature(Family.Selection, 4, 4, 0, 2);
            tree.ranked = true;
            return tree;
        }
        if (opcode == Opcode.QUANTIZE || opcode == Opcode.DEQUANTIZE) return _signature(Family.Quantised, 3, 3, 0, 0);
        if (opcode == Opcode.INTEGER_DOT) return _signature(Family.Quantised, 4, 4, 2, 0);
        if (opcode == Opcode.QUANTIZED_DOT) return _signature(Family.Quantised, 8, 9, 2, 0);
        return _signature(Family.Unknown, 0, 0, 0, 0);
    }

    /// @notice Whether an instruction has the operands, attributes and axes that its operation asks for.
    function admits(Signature memory signature, Instruction memory step) internal pure returns (bool) {
        return signature.family != Family.Unknown && step.operands.length >= signature.leastOperands
            && step.operands.length <= signature.mostOperands && step.attributes.length >= signature.attributes
            && (!signature.ranked || step.domainRank != 0);
    }

    function _signature(Family family, uint256 least, uint256 most, uint256 perTap, uint256 attributes)
        private
        pure
        returns (Signature memory signature)
    {
        signature.family = family;
        signature.leastOperands = least;
        signature.mostOperands = most;
        signature.perTap = perTap;
        signature.attributes = attributes;
    }
}
