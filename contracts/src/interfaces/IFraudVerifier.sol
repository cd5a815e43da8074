// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Verdict} from "../court/Case.sol";

/// @title Judges one element of a computation, and says what a reveal must show
/// @notice No state, no token, no clock: everything follows from the roots that it is given, and anyone may call it.
///         What is in a proof and in a place is between the verifier and whoever writes them.
interface IFraudVerifier {
    /// @notice What an answer claims: this program, on this input, gave this result by way of these tensors.
    struct Claim {
        /// Root of the model's graph and weights.
        bytes32 programRoot;
        /// SHA-256 of the request's input bytes.
        bytes32 inputHash;
        /// SHA-256 of the answer's result bytes.
        bytes32 resultHash;
        /// Root over every tensor of the run.
        bytes32 traceRoot;
    }

    /// @notice Leaves of one tensor of one row, and where they lie in a trace of that many rows.
    struct Demand {
        uint32 rows;
        uint32 row;
        uint32 tensor;
        /// Of the tensor, in the trace of a row.
        uint32 firstLeaf;
        uint32 rowLeafCount;
        uint32 leafBytes;
        /// Of the tensor.
        uint32 byteCount;
        /// First leaf that is wanted, counted within the tensor, and how many.
        uint32 first;
        uint32 count;
    }

    /// @notice The verdict on the element that a proof opens. Reverts where the proof is malformed: that is the fault of
    ///         whoever brought it.
    function judge(Claim calldata claim, bytes calldata proof) external view returns (Verdict);

    /// @notice The leaves that a place names. Reverts unless the program has the tensor, and the tensor the leaves.
    /// @param place The program's header, the opening of the record that writes the tensor, and the row and leaves wanted.
    function demandOf(bytes32 programRoot, bytes calldata place) external view returns (Demand memory);

    /// @notice Whether `data` is what the trace root commits to at these leaves.
    function isRevealed(
        bytes32 programRoot,
        bytes32 traceRoot,
        Demand calldata demand,
        bytes calldata data,
        bytes32[] calldata path
    ) external view returns (bool);

    /// @notice Whether the trace root was made for this number of rows.
    function rowsOf(bytes32 programRoot, bytes32 traceRoot, uint32 rows, bytes32 treeRoot) external pure returns (bool);
}
