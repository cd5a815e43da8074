// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {ModelTerms, Tier} from "../types/ModelTerms.sol";

/// @title Append-only registry of models
/// @notice A model's id commits to what is run, how it is judged and who registered it. Nothing about a
///         model changes after registration, except that its registrar may deprecate it, which stops new
///         requests only.
interface IModelRegistry {
    /// @notice What the contracts need of a model, in one word.
    struct Model {
        uint96 minBond;
        uint32 challengeWindow;
        uint32 revealWindow;
        uint40 registeredAt;
        uint40 deprecatedAt;
        Tier tier;
    }

    /// @param schema The I/O schema as canonical JSON; `terms.schemaHash` is its Keccak-256.
    /// @param uri Where the model file can be fetched.
    event ModelRegistered(
        bytes32 indexed modelId, address indexed registrar, ModelTerms terms, string name, string schema, string uri
    );
    event ModelDeprecated(bytes32 indexed modelId);

    error ModelExists(bytes32 modelId);
    error ModelUnknown(bytes32 modelId);
    error ModelAlreadyDeprecated(bytes32 modelId);
    error NotRegistrar(bytes32 modelId, address caller, address registrar);
    error SchemaHashMismatch(bytes32 expected, bytes32 actual);
    error ProgramRootMissing();
    error ChallengeWindowOutOfBounds(uint32 window, uint32 minimum, uint32 maximum);
    error RevealWindowTooLong(uint32 revealWindow, uint32 challengeWindow);

    /// @notice Registers a model under the caller's name. Any tier may be registered anywhere: it says what can be
    ///         judged, and `COURT` whether somebody does. Where that is zero, no answer of any tier is ever voided.
    /// @return modelId `keccak256(abi.encode(registrar, terms))`
    function register(ModelTerms calldata terms, string calldata name, string calldata schema, string calldata uri)
        external
        returns (bytes32 modelId);

    /// @notice Stops new requests for a model; requests in flight are not touched.
    function deprecate(bytes32 modelId) external;

    /// @notice The stored facts of a model; all zero where it is unknown.
    function models(bytes32 modelId) external view returns (Model memory);

    function registrarOf(bytes32 modelId) external view returns (address);

    /// @notice The certified error bar of a model's answers, with 18 decimals (see `ModelTerms`). `type(uint96).max`,
    ///         for not certified, also where the model is unknown.
    function epsilonOf(bytes32 modelId) external view returns (uint96);

    /// @notice The id `registrar` would get for `terms`.
    function modelIdOf(ModelTerms calldata terms, address registrar) external pure returns (bytes32);

    /// @notice Bounds of a model's challenge window, in seconds.
    function MIN_CHALLENGE_WINDOW() external view returns (uint32);
    function MAX_CHALLENGE_WINDOW() external view returns (uint32);
    /// @notice The contract that judges answers of provable tiers, or zero where nobody does.
    function COURT() external view returns (address);
}
