// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ElementType} from "./ElementType.sol";
import {Instruction, Tensor} from "./ProgramRecord.sol";
import {LeafOpening, OperandOpening, ProgramHeader, TraceClaim} from "./Proof.sol";
import {Sha256Tree} from "./Sha256Tree.sol";

/// @notice Bytes of a tensor that have been proven; they stay in calldata.
struct Shown {
    /// Of the tensor: first byte, and the byte after the last.
    uint256 begin;
    uint256 end;
    /// Where in calldata the first byte lies.
    uint256 source;
}

/// @notice All that has been shown of one operand.
struct Evidence {
    /// Bytes of an element of the tensor, and how many elements it has.
    uint256 size;
    uint256 count;
    /// Number of the operand, for errors.
    uint256 operand;
    /// Ascending, apart from each other.
    Shown[] pieces;
    /// The piece that was read last: the next read is often there, or in the one after it.
    uint256 last;
}

/// @title Proves leaves, and reads elements out of them
library Openings {
    uint256 private constant ODD_BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant ODD_PAIRS = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;

    error TraceMismatch(bytes32 expected, bytes32 actual);
    error RowOutside(uint256 row, uint256 rows);
    error LeafMismatch(uint256 tensor, uint256 first);
    error LeafLength(uint256 tensor, uint256 first, uint256 length);
    error OpeningsOutOfOrder(uint256 operand, uint256 first);
    error OperandUnknown(uint256 operand);
    error LeafMissing(uint256 operand, uint256 position);

    /// @notice Reverts unless the answer's trace is the one claimed.
    function requireTrace(TraceClaim calldata trace, bytes32 programRoot, bytes32 traceRoot) internal pure {
        bytes32 actual = Sha256Tree.traceRoot(programRoot, trace.rows, trace.treeRoot);
        if (actual != traceRoot) revert TraceMismatch(traceRoot, actual);
    }

    /// @notice Proves leaves of a tensor, and says in `shown` which; reverts where they are not what was committed.
    function prove(
        LeafOpening calldata leaves,
        Tensor memory tensor,
        ProgramHeader calldata header,
        TraceClaim calldata trace,
        uint256 row,
        Shown memory shown
    ) internal view {
        uint256 leafBytes = header.leafBytes;
        uint256 first = leaves.first;
        bytes calldata data = leaves.data;
        {
            uint256 whole = tensor.count * ElementType.size(tensor.elementType);
            uint256 begin = first * leafBytes;
            uint256 end = begin + data.length;
            if (end > whole || (data.length % leafBytes != 0 && end != whole)) {
                revert LeafLength(tensor.number, first, data.length);
            }
            uint256 source;
            assembly ("memory-safe") {
                source := data.offset
            }
            (shown.begin, shown.end, shown.source) = (begin, end, source);
        }

        uint256 treeLeaves = header.constantLeafCount;
        uint256 treeFirst = tensor.firstLeaf + first;
        uint256 head = tensor.number << 32 | first;
        if (tensor.isConstant) {
            head |= uint256(uint32(Sha256Tree.CONSTANT)) << 96;
        } else {
            if (row >= trace.rows) revert RowOutside(row, trace.rows);
            treeLeaves = trace.rows * header.rowLeafCount;
            treeFirst += row * header.rowLeafCount;
            head |= uint256(uint32(Sha256Tree.TRACE)) << 96 | row << 64;
        }
        bytes32 root = Sha256Tree.rootOf(treeLeaves, treeFirst, head, data, leafBytes, leaves.path);
        if (root != (tensor.isConstant ? header.constantRoot : trace.treeRoot)) {
            revert LeafMismatch(tensor.number, first);
        }
    }

    /// @notice Proves what is shown of each operand of an instruction.
    function proveOperands(
        OperandOpening[] calldata openings,
        Instruction memory step,
        ProgramHeader calldata header,
        TraceClaim calldata trace,
        uint256 row
    ) internal view returns (Evidence[] memory evidence) {
        uint256 operands = step.operands.length;
        evidence = new Evidence[](operands);
        uint256 next;
        uint256 operand = _operandOf(openings, 0);
        for (uint256 number; number < operands; ++number) {
            uint256 begin = next;
            while (operand == number) operand = _operandOf(openings, ++next);
            Tensor memory tensor = step.operands[number].tensor;
            Evidence memory of_ = evidence[number];
            (of_.size, of_.count, of_.operand) = (ElementType.size(tensor.elementType), tensor.count, number);
            if (next == begin) continue;
            of_.pieces = new Shown[](next - begin);
            uint256 last;
            for (uint256 piece = begin; piece < next; ++piece) {
                LeafOpening calldata leaves = openings[piece].leaves;
                Shown memory shown = of_.pieces[piece - begin];
                prove(leaves, tensor, header, trace, row, shown);
                if (shown.begin < last) revert OpeningsOutOfOrder(number, leaves.first);
                last = shown.end;
            }
        }
        if (next != openings.length) revert OperandUnknown(operand);
    }

    /// @notice The element at a position of the tensor, which has it; reverts where its leaf was not shown.
    function element(Evidence memory evidence, uint256 position) internal pure returns (uint256) {
        (uint256 source,,) = place(evidence, position);
        return elementAt(source, evidence.size);
    }

    /// @notice Eight elements of 4 bytes from a position on, the first in the highest bits; zero where not all of them lie
    ///         in one piece.
    function eightWords(Evidence memory evidence, uint256 position) internal pure returns (uint256 words) {
        (uint256 source,, uint256 left) = place(evidence, position);
        if (left < 32) return 0;
        assembly ("memory-safe") {
            words := calldataload(source)
        }
        words = ((words >> 8) & ODD_BYTES) | ((words & ODD_BYTES) << 8);
        words = ((words >> 16) & ODD_PAIRS) | ((words & ODD_PAIRS) << 16);
    }

    /// @notice Where in calldata the element at a position of the tensor, which has it, lies, and how many bytes of its
    ///         piece lie before that and from there on; reverts where its leaf was not shown. No element straddles two
    ///         leaves: leaf lengths are multiples of 8 bytes.
    function place(Evidence memory evidence, uint256 position)
        internal
        pure
        returns (uint256 source, uint256 before, uint256 left)
    {
        Shown[] memory pieces = evidence.pieces;
        uint256 number = evidence.last;
        // Positions of a tensor, of at most 8 bytes each, and numbers of pieces.
        unchecked {
            uint256 offset = position * evidence.size;
            for (uint256 untried = pieces.length; untried != 0; --untried) {
                Shown memory piece = pieces[number];
                uint256 begin = piece.begin;
                if (begin <= offset && offset < piece.end) {
                    evidence.last = number;
                    before = offset - begin;
                    return (piece.source + before, before, piece.end - offset);
                }
                if (++number == pieces.length) number = 0;
            }
            revert LeafMissing(evidence.operand, position);
        }
    }

    /// @notice The element of `bytes_` bytes, little-endian, at a place in calldata.
    function elementAt(uint256 source, uint256 bytes_) internal pure returns (uint256 bits) {
        assembly ("memory-safe") {
            bits := shr(sub(256, shl(3, bytes_)), calldataload(source))
        }
        return ElementType.reversed(bits, bytes_);
    }

    /// @dev The operand that an opening is of; beyond the last, that of no instruction.
    function _operandOf(OperandOpening[] calldata openings, uint256 index) private pure returns (uint256) {
        return index < openings.length ? openings[index].operand : type(uint256).max;
    }
}
