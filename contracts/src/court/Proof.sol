// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a proof of fraud is about.
enum FraudKind {
    /// An element of the trace cannot have come from its operands.
    Element,
    /// The trace begins with another input than the request's.
    Input,
    /// The result is not what the trace ends with.
    Output,
    /// The trace has another number of rows than the input; none where the input is malformed.
    Rows,
    /// The result is empty, but the trace has rows, and their outputs fit a transaction.
    Empty
}

/// @notice What the program root is the hash of, beside the version of the format.
struct ProgramHeader {
    uint256 tier;
    uint256 leafBytes;
    uint256 recordCount;
    uint256 rowLeafCount;
    uint256 constantLeafCount;
    bytes32 recordRoot;
    bytes32 constantRoot;
    bytes32 sourceSha256;
}

/// @notice One record of a program: record 0 is the interface, the others are instructions.
struct RecordOpening {
    uint256 number;
    bytes data;
    bytes32[] path;
}

/// @notice Consecutive leaves of one tensor.
struct LeafOpening {
    /// Index, within the tensor, of the first leaf.
    uint256 first;
    bytes data;
    bytes32[] path;
}

/// @notice Leaves that an operand of an instruction reads.
struct OperandOpening {
    /// Number of the operand. Openings come in the order of their operands, and of their leaves.
    uint256 operand;
    LeafOpening leaves;
}

/// @notice The trace that an answer commits to.
struct TraceClaim {
    uint256 rows;
    bytes32 treeRoot;
}

/// @notice One element of the trace, with all that it was computed from.
struct ElementProof {
    ProgramHeader header;
    TraceClaim trace;
    RecordOpening record;
    uint256 row;
    /// Of the element, in the row-major order of the instruction's domain.
    uint256 position;
    LeafOpening output;
    OperandOpening[] operands;
}

/// @notice One element of an input or output tensor of a row (`Input`, `Output`), or no element (`Rows`, and `Output`
///         where the result has the wrong length): leaves without data.
struct InterfaceProof {
    ProgramHeader header;
    TraceClaim trace;
    RecordOpening record;
    /// The request's input (`Input`, `Rows`) or the answer's result (`Output`).
    bytes message;
    uint256 row;
    /// Number of the tensor among the inputs or among the outputs.
    uint256 tensor;
    uint256 position;
    LeafOpening leaves;
}

/// @notice How many rows the trace has, and how large the outputs of each are.
struct EmptyProof {
    ProgramHeader header;
    TraceClaim trace;
    RecordOpening record;
}

/// @notice Leaves of a tensor that somebody wants to see.
struct Place {
    ProgramHeader header;
    /// The instruction that writes the tensor, or the interface (record 0) for an input.
    RecordOpening record;
    /// Number of the input; nothing where the record is an instruction.
    uint256 input;
    uint256 rows;
    uint256 row;
    uint256 first;
    uint256 count;
}
