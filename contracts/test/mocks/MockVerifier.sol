// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Verdict} from "../../src/court/Case.sol";
import {IFraudVerifier} from "../../src/interfaces/IFraudVerifier.sol";

/// @notice A verifier whose proofs say what they prove, and nobody checks: but each holds for one claim only, each place
///         for one program, and each reveal for one demand, as with the real one.
contract MockVerifier is IFraudVerifier {
    error ProofMalformed();
    error PlaceMalformed();

    /// @inheritdoc IFraudVerifier
    function judge(Claim calldata claim, bytes calldata proof) external pure returns (Verdict) {
        require(proof.length == 96, ProofMalformed());
        (bytes32 claimHash, Verdict verdict,) = abi.decode(proof, (bytes32, Verdict, uint256));
        return claimHash == keccak256(abi.encode(claim)) ? verdict : Verdict.Undefined;
    }

    /// @inheritdoc IFraudVerifier
    function demandOf(bytes32 programRoot, bytes calldata place) external pure returns (Demand memory) {
        (bytes32 root, Demand memory demand) = abi.decode(place, (bytes32, Demand));
        require(root == programRoot, PlaceMalformed());
        return demand;
    }

    /// @inheritdoc IFraudVerifier
    function isRevealed(
        bytes32 programRoot,
        bytes32 traceRoot,
        Demand calldata demand,
        bytes calldata data,
        bytes32[] calldata path
    ) external pure returns (bool) {
        return path.length == 1 && path[0] == keccak256(data)
            && keccak256(data) == keccak256(dataOf(programRoot, traceRoot, demand));
    }

    /// @inheritdoc IFraudVerifier
    function rowsOf(bytes32 programRoot, bytes32 traceRoot, uint32 rows, bytes32 treeRoot)
        external
        pure
        returns (bool)
    {
        return treeRoot == treeRootOf(programRoot, traceRoot, rows);
    }

    /// @notice A proof that gives this verdict on this claim, in as many versions as wanted.
    function proofOf(Claim memory claim, Verdict verdict, uint256 version) external pure returns (bytes memory) {
        return abi.encode(keccak256(abi.encode(claim)), verdict, version);
    }

    /// @notice What reveals a demand.
    function dataOf(bytes32 programRoot, bytes32 traceRoot, Demand memory demand) public pure returns (bytes memory) {
        return abi.encode(programRoot, traceRoot, demand);
    }

    /// @notice The tree root by which a trace root is one of so many rows.
    function treeRootOf(bytes32 programRoot, bytes32 traceRoot, uint32 rows) public pure returns (bytes32) {
        return keccak256(abi.encode(programRoot, traceRoot, rows));
    }
}
