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
    Tensor tensor;
    /// Number of the operand, for errors.
    uint256 operand;
    /// Ascending, apart from each other.
    Shown[] pieces;
    /// The piece that was read last: the next read is often there, or in the one after it.
    uint256 last;
}

/// @title Proves leaves, and reads elements out of them
library Openings {
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

    /// @notice Proves leaves of a tensor; reverts where they are not what was committed.
    function prove(
        LeafOpening calldata leaves,
        Tensor memory tensor,
        ProgramHeader calldata header,
        TraceClaim calldata trace,
        uint256 row
    ) internal view returns (Shown memory shown) {
        uint256 leafBytes = header.leafBytes;
        uint256 length = leaves.data.length;
        uint256 whole = tensor.count * ElementType.size(tensor.elementType);
        shown.begin = leaves.first * leafBytes;
        shown.end = shown.begin + length;
        if (shown.end > whole || (length % leafBytes != 0 && shown.end != whole)) {
            revert LeafLength(tensor.number, leaves.first, length);
        }
        bytes calldata data = leaves.data;
        uint256 source;
        assembly ("memory-safe") {
            source := data.offset
        }
        shown.source = source;

        uint256 head = tensor.number << 32 | leaves.first;
        bytes32 root;
        if (tensor.isConstant) {
            root = Sha256Tree.rootOf(
                header.constantLeafCount,
                tensor.firstLeaf + leaves.first,
                uint256(uint32(Sha256Tree.CONSTANT)) << 96 | head,
                data,
                leafBytes,
                leaves.path
            );
            if (root != header.constantRoot) revert LeafMismatch(tensor.number, leaves.first);
        } else {
            if (row >= trace.rows) revert RowOutside(row, trace.rows);
            root = Sha256Tree.rootOf(
                trace.rows * header.rowLeafCount,
                row * header.rowLeafCount + tensor.firstLeaf + leaves.first,
                uint256(uint32(Sha256Tree.TRACE)) << 96 | row << 64 | head,
                data,
                leafBytes,
                leaves.path
            );
            if (root != trace.treeRoot) revert LeafMismatch(tensor.number, leaves.first);
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
        evidence = new Evidence[](step.operands.length);
        uint256 next;
        for (uint256 number; number < evidence.length; ++number) {
            uint256 begin = next;
            while (next < openings.length && openings[next].operand == number) ++next;
            Evidence memory of_ = evidence[number];
            of_.tensor = step.operands[number].tensor;
            of_.operand = number;
            of_.pieces = new Shown[](next - begin);
            uint256 last;
            for (uint256 piece; piece < of_.pieces.length; ++piece) {
                LeafOpening calldata leaves = openings[begin + piece].leaves;
                of_.pieces[piece] = prove(leaves, of_.tensor, header, trace, row);
                if (of_.pieces[piece].begin < last) revert OpeningsOutOfOrder(number, leaves.first);
                last = of_.pieces[piece].end;
            }
        }
        if (next != openings.length) revert OperandUnknown(openings[next].operand);
    }

    /// @notice The element at a position of the tensor, which has it; reverts where its leaf was not shown.
    function element(Evidence memory evidence, uint256 position) internal pure returns (uint256) {
        uint256 bytes_ = ElementType.size(evidence.tensor.elementType);
        Shown memory piece = pieceWith(evidence, position, bytes_);
        // The position is inside the tensor, and its bytes are inside the piece.
        unchecked {
            return elementAt(piece.source + position * bytes_ - piece.begin, bytes_);
        }
    }

    /// @notice The piece in which the element at a position lies. No element straddles two leaves: leaf lengths are
    ///         multiples of 8 bytes.
    function pieceWith(Evidence memory evidence, uint256 position, uint256 bytes_)
        internal
        pure
        returns (Shown memory piece)
    {
        Shown[] memory pieces = evidence.pieces;
        uint256 number = evidence.last;
        // Positions of a tensor, of at most 8 bytes each, and numbers of pieces.
        unchecked {
            uint256 offset = position * bytes_;
            for (uint256 left = pieces.length; left != 0; --left) {
                piece = pieces[number];
                if (piece.begin <= offset && offset < piece.end) {
                    evidence.last = number;
                    return piece;
                }
                if (++number == pieces.length) number = 0;
            }
        }
        revert LeafMissing(evidence.operand, position);
    }

    /// @notice The element of `bytes_` bytes, little-endian, at a place in calldata.
    function elementAt(uint256 source, uint256 bytes_) internal pure returns (uint256 bits) {
        assembly ("memory-safe") {
            bits := shr(sub(256, shl(3, bytes_)), calldataload(source))
        }
        return ElementType.reversed(bits, bytes_);
    }
}
