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

    /// @notice A model was registered. What the contracts do not need of it stands here only.
    /// @param schema The I/O schema as canonical JSON; `terms.schemaHash` is its Keccak-256.
    /// @param uri Where the model file can be fetched.
    event ModelRegistered(
        bytes32 indexed modelId, address indexed registrar, ModelTerms terms, string name, string schema, string uri
    );
    /// @notice No request can be made of the model any more.
    event ModelDeprecated(bytes32 indexed modelId);

    /// The caller has registered a model of these terms before.
    error ModelExists(bytes32 modelId);
    /// Nobody has registered the model.
    error ModelUnknown(bytes32 modelId);
    /// The model was deprecated before.
    error ModelAlreadyDeprecated(bytes32 modelId);
    /// Only the registrar of a model may deprecate it.
    error NotRegistrar(bytes32 modelId, address caller, address registrar);
    /// `terms.schemaHash` is not the Keccak-256 of the schema.
    error SchemaHashMismatch(bytes32 expected, bytes32 actual);
    /// The terms name no program.
    error ProgramRootMissing();
    /// The challenge window is not within this registry's bounds.
    error ChallengeWindowOutOfBounds(uint32 window, uint32 minimum, uint32 maximum);
    /// An answer of this tier can be judged only if its trace can be demanded.
    error RevealWindowMissing();
    /// The reveal window is longer than the challenge window.
    error RevealWindowTooLong(uint32 revealWindow, uint32 challengeWindow);

    /// @notice Registers a model under the caller's name. Anyone may call it, and it costs gas only. Any tier may be
    ///         registered anywhere: it says what can be judged, and `COURT` whether somebody does. Where that is zero,
    ///         no answer of any tier is ever voided.
    /// @dev Reverts with `ProgramRootMissing`, `SchemaHashMismatch`, `ChallengeWindowOutOfBounds`,
    ///      `RevealWindowTooLong`, `RevealWindowMissing` or `ModelExists`.
    /// @return modelId `keccak256(abi.encode(registrar, terms))`
    function register(ModelTerms calldata terms, string calldata name, string calldata schema, string calldata uri)
        external
        returns (bytes32 modelId);

    /// @notice Stops new requests for a model, for good; requests in flight are not touched. Its registrar alone may
    ///         call it, once.
    /// @dev Reverts with `ModelUnknown`, `NotRegistrar` or `ModelAlreadyDeprecated`.
    function deprecate(bytes32 modelId) external;

    /// @notice The stored facts of a model; all zero where it is unknown.
    function models(bytes32 modelId) external view returns (Model memory);

    /// @notice Who registered a model; zero where it is unknown.
    function registrarOf(bytes32 modelId) external view returns (address);

    /// @notice The certified error bar of a model's answers, with 18 decimals (see `ModelTerms`). `type(uint96).max`,
    ///         for not certified, also where the model is unknown.
    function epsilonOf(bytes32 modelId) external view returns (uint96);

    /// @notice The id `registrar` would get for `terms`.
    function modelIdOf(ModelTerms calldata terms, address registrar) external pure returns (bytes32);

    /// @notice Shortest challenge window that a model may have, in seconds.
    function MIN_CHALLENGE_WINDOW() external view returns (uint32);
    /// @notice Longest challenge window that a model may have, in seconds.
    function MAX_CHALLENGE_WINDOW() external view returns (uint32);
    /// @notice The contract that judges answers of provable tiers, or zero where nobody does.
    function COURT() external view returns (address);
}
