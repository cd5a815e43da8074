// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {ModelTerms, Tier, UNCERTIFIED} from "./types/ModelTerms.sol";

/// @title Append-only registry of models
/// @dev Holds no funds and calls nobody. What no contract asks for lives in the registration's event.
contract ModelRegistry is IModelRegistry {
    /// @inheritdoc IModelRegistry
    address public immutable COURT;
    /// @inheritdoc IModelRegistry
    uint32 public immutable MIN_CHALLENGE_WINDOW;
    /// @inheritdoc IModelRegistry
    uint32 public immutable MAX_CHALLENGE_WINDOW;

    mapping(bytes32 modelId => Model) private _models;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 modelId => address) public registrarOf;

    /// @dev `UNCERTIFIED` less the error bar, in a word of its own which the oracle never reads: requests cost no more
    ///      for it, a model without a bar takes no storage, and one that is unknown has none rather than an exact one.
    mapping(bytes32 modelId => uint96) private _certainty;

    constructor(address court, uint32 minChallengeWindow, uint32 maxChallengeWindow) {
        if (minChallengeWindow > maxChallengeWindow) {
            revert ChallengeWindowOutOfBounds(minChallengeWindow, 0, maxChallengeWindow);
        }
        // slither-disable-next-line missing-zero-check (zero where there is no court)
        COURT = court;
        MIN_CHALLENGE_WINDOW = minChallengeWindow;
        MAX_CHALLENGE_WINDOW = maxChallengeWindow;
    }

    /// @inheritdoc IModelRegistry
    function register(ModelTerms calldata terms, string calldata name, string calldata schema, string calldata uri)
        external
        returns (bytes32 modelId)
    {
        if (terms.programRoot == bytes32(0)) revert ProgramRootMissing();
        bytes32 schemaHash = keccak256(bytes(schema));
        if (schemaHash != terms.schemaHash) revert SchemaHashMismatch(terms.schemaHash, schemaHash);
        if (terms.challengeWindow < MIN_CHALLENGE_WINDOW || terms.challengeWindow > MAX_CHALLENGE_WINDOW) {
            revert ChallengeWindowOutOfBounds(terms.challengeWindow, MIN_CHALLENGE_WINDOW, MAX_CHALLENGE_WINDOW);
        }
        if (terms.revealWindow > terms.challengeWindow) {
            revert RevealWindowTooLong(terms.revealWindow, terms.challengeWindow);
        }

        if (terms.revealWindow == 0 && terms.tier != Tier.Unproven) revert RevealWindowMissing();

        modelId = terms.modelId(msg.sender);
        if (registrarOf[modelId] != address(0)) revert ModelExists(modelId);

        registrarOf[modelId] = msg.sender;
        _models[modelId] = Model({
            minBond: terms.minBond,
            challengeWindow: terms.challengeWindow,
            revealWindow: terms.revealWindow,
            registeredAt: uint40(block.timestamp),
            deprecatedAt: 0,
            tier: terms.tier
        });
        if (terms.epsilon != UNCERTIFIED) _certainty[modelId] = UNCERTIFIED - terms.epsilon;
        emit ModelRegistered(modelId, msg.sender, terms, name, schema, uri);
    }

    /// @inheritdoc IModelRegistry
    function deprecate(bytes32 modelId) external {
        address registrar = registrarOf[modelId];
        if (registrar == address(0)) revert ModelUnknown(modelId);
        if (msg.sender != registrar) revert NotRegistrar(modelId, msg.sender, registrar);
        if (_models[modelId].deprecatedAt != 0) revert ModelAlreadyDeprecated(modelId);

        _models[modelId].deprecatedAt = uint40(block.timestamp);
        emit ModelDeprecated(modelId);
    }

    /// @inheritdoc IModelRegistry
    function models(bytes32 modelId) external view returns (Model memory) {
        return _models[modelId];
    }

    /// @inheritdoc IModelRegistry
    function epsilonOf(bytes32 modelId) external view returns (uint96) {
        return UNCERTIFIED - _certainty[modelId];
    }

    /// @inheritdoc IModelRegistry
    function modelIdOf(ModelTerms calldata terms, address registrar) external pure returns (bytes32) {
        return terms.modelId(registrar);
    }
}
