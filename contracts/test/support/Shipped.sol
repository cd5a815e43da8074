// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {DisputeManager} from "../../src/DisputeManager.sol";
import {InferenceOracle} from "../../src/InferenceOracle.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {OperatorStaking} from "../../src/OperatorStaking.sol";

/// @notice Creates contracts from the bytecode in `abi/`, which is what is deployed: the tests themselves are compiled
///         by a quicker way, and what they compile of the sources is never run.
library Shipped {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function registry(address court, uint32 minWindow, uint32 maxWindow) internal returns (ModelRegistry) {
        return ModelRegistry(create("ModelRegistry", abi.encode(court, minWindow, maxWindow)));
    }

    function staking(address token, address oracle_, address court, uint40 exitDelay, uint40 signerDelay)
        internal
        returns (OperatorStaking)
    {
        return OperatorStaking(create("OperatorStaking", abi.encode(token, oracle_, court, exitDelay, signerDelay)));
    }

    function oracle(
        address token,
        address staking_,
        address registry_,
        address court,
        uint40 maxTtl,
        uint32 maxWindow,
        uint40 disputeAllowance
    ) internal returns (InferenceOracle) {
        return InferenceOracle(
            create(
                "InferenceOracle", abi.encode(token, staking_, registry_, court, maxTtl, maxWindow, disputeAllowance)
            )
        );
    }

    /// @dev At an address that the other contracts know already.
    function disputesAt(
        address where,
        address oracle_,
        address verifier,
        uint64 baseDeposit,
        uint32 announcementAge,
        uint32 priorityPeriod
    ) internal returns (DisputeManager) {
        createAt(where, "DisputeManager", abi.encode(oracle_, verifier, baseDeposit, announcementAge, priorityPeriod));
        return DisputeManager(where);
    }

    /// @dev A constructor's custom error is passed on as it is.
    function create(string memory name, bytes memory arguments) internal returns (address created) {
        bytes memory code = _creationCode(name, arguments);
        // Memory-safe: a revert's data is written from the free memory pointer on, and nothing follows it.
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
            if iszero(created) {
                let buffer := mload(0x40)
                returndatacopy(buffer, 0, returndatasize())
                revert(buffer, returndatasize())
            }
        }
    }

    /// @dev Runs the constructor at an address of the caller's choice.
    function createAt(address where, string memory name, bytes memory arguments) internal {
        VM.etch(where, _creationCode(name, arguments));
        (bool created, bytes memory runtimeCode) = where.call("");
        require(created, "the constructor reverted");
        VM.etch(where, runtimeCode);
    }

    function _creationCode(string memory name, bytes memory arguments) private view returns (bytes memory) {
        string memory artifact = VM.readFile(string.concat("abi/", name, ".json"));
        return bytes.concat(VM.parseJsonBytes(artifact, ".bytecode"), arguments);
    }
}
