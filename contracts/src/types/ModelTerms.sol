// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

/// @notice How an answer of a model can be judged. `Unproven` answers rest on signature and stake alone. The tier is a
///         fact of the model; whether somebody sits to judge is one of the deployment (`IModelRegistry.COURT`).
enum Tier {
    Unproven,
    Exact,
    Rounded,
    Native
}

/// @notice What a model id commits to, besides its registrar.
struct ModelTerms {
    /// Root of the graph and weights that are run and judged. `Unproven`: SHA-256 of the ONNX file.
    bytes32 programRoot;
    /// Keccak-256 of the execution profile an honest worker follows; zero where there is none.
    bytes32 profileHash;
    /// Keccak-256 of the I/O schema (canonical JSON), which the registration event carries in full.
    bytes32 schemaHash;
    Tier tier;
    /// Shortest challenge window a request may ask for, in seconds.
    uint32 challengeWindow;
    /// Seconds an operator has to answer a reveal demand.
    uint32 revealWindow;
    /// Smallest answer bond, in OPG base units.
    uint96 minBond;
    /// Certified error bar of the answers, with 18 decimals: how far a cheat that no judge would notice can move any
    /// float output. 0: not at all, the answers are exact. `UNCERTIFIED`: nobody says.
    uint96 epsilon;
}

/// @dev The error bar of a model that has none.
uint96 constant UNCERTIFIED = type(uint96).max;

using ModelTermsHash for ModelTerms global;

library ModelTermsHash {
    /// @notice The model's id. The registrar is part of it, so nobody can register another's model
    ///         first and deprecate it.
    function modelId(ModelTerms memory terms, address registrar) internal pure returns (bytes32) {
        return keccak256(abi.encode(registrar, terms));
    }
}
