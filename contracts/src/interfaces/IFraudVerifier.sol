// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Judges one element of a computation
/// @notice Pure: no state, no token, no clock. What a proof contains is between the prover and the verifier.
interface IFraudVerifier {
    enum Verdict {
        /// The claimed element is within its bound.
        Honest,
        /// The claimed element cannot have come from its claimed inputs.
        Fraud,
        /// The specification gives no value to compare with (NaN or overflow in an operand).
        Undefined
    }

    /// @param programRoot Root of the model's graph and weights.
    /// @param inputHash SHA-256 of the request's input bytes.
    /// @param resultHash SHA-256 of the answer's result bytes.
    /// @param traceRoot Root over every tensor of the run.
    /// @param proof Openings of one element and what it was computed from.
    function judge(bytes32 programRoot, bytes32 inputHash, bytes32 resultHash, bytes32 traceRoot, bytes calldata proof)
        external
        view
        returns (Verdict);
}
