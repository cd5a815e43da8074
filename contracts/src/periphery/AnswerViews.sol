// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IOperatorStaking} from "../interfaces/IOperatorStaking.sol";
import {Accept} from "../types/Accept.sol";
import {Answer} from "../types/Answer.sol";
import {InferenceRequest} from "../types/InferenceRequest.sol";
import {Tier} from "../types/ModelTerms.sol";
import {RequestState} from "../types/RequestState.sol";
import {IAnswerViews} from "./IAnswerViews.sol";
import {IViewGateway, ViewReceipt} from "./IViewGateway.sol";

/// @title Signed answers in a view call
/// @dev One deployment serves every operator. It holds no token, has no owner, and nothing depends on it. Digests are the
///      oracle's own, so a signature binds chain, oracle, caller, model, input and every term.
contract AnswerViews is IAnswerViews {
    // ---- constants

    /// @inheritdoc IAnswerViews
    uint256 public constant MAX_GATEWAYS = 4;
    /// @inheritdoc IAnswerViews
    uint256 public constant MAX_URL_BYTES = 256;
    /// @inheritdoc IAnswerViews
    uint256 public constant MAX_BYTES = 98_304;
    /// @inheritdoc IAnswerViews
    uint40 public constant MIN_SECONDS_TO_POST = 60;

    /// @dev Nonces from here on belong to signed requests.
    uint64 private constant FIRST_SIGNED_NONCE = 1 << 63;

    // ---- immutables

    /// @inheritdoc IAnswerViews
    address public immutable ORACLE;
    /// @inheritdoc IAnswerViews
    address public immutable STAKING;
    /// @inheritdoc IAnswerViews
    address public immutable REGISTRY;

    // ---- storage

    mapping(address operator => string[]) private _gateways;

    constructor(address oracle) {
        // slither-disable-next-line missing-zero-check (where there is no oracle, the calls below revert)
        ORACLE = oracle;
        STAKING = IInferenceOracle(oracle).STAKING();
        REGISTRY = IInferenceOracle(oracle).REGISTRY();
    }

    // ---- operators

    /// @inheritdoc IAnswerViews
    function setGateways(string[] calldata urls) external {
        if (urls.length > MAX_GATEWAYS) revert TooManyGateways(urls.length, MAX_GATEWAYS);
        for (uint256 i; i < urls.length; ++i) {
            uint256 length = bytes(urls[i]).length;
            if (length == 0 || length > MAX_URL_BYTES) revert GatewayUrlLength(i, length, MAX_URL_BYTES);
        }
        delete _gateways[msg.sender];
        for (uint256 i; i < urls.length; ++i) {
            _gateways[msg.sender].push(urls[i]);
        }
        emit GatewaysSet(msg.sender, urls);
    }

    /// @inheritdoc IAnswerViews
    function gatewaysOf(address operator) external view returns (string[] memory) {
        return _gateways[operator];
    }

    // ---- the view

    /// @inheritdoc IAnswerViews
    function answerOf(address operator, bytes32 modelId, bytes calldata input)
        external
        view
        returns (bytes memory, bytes32, Tier, uint96, ViewReceipt memory)
    {
        _lookUp(operator, modelId, input, abi.encodeCall(IViewGateway.answer, (msg.sender, operator, modelId, input)));
    }

    /// @inheritdoc IAnswerViews
    function answerOfPaid(address operator, bytes32 modelId, bytes calldata input, bytes calldata payment)
        external
        view
        returns (bytes memory, bytes32, Tier, uint96, ViewReceipt memory)
    {
        bytes memory question = _paidQuestion(operator, modelId, input, payment);
        _lookUp(operator, modelId, input, question);
    }

    /// @inheritdoc IAnswerViews
    function answerCallback(bytes calldata response, bytes calldata extraData)
        external
        view
        returns (bytes memory result, bytes32 requestId, Tier tier, uint96 epsilon, ViewReceipt memory receipt)
    {
        (address asked, address operator, bytes32 modelId, bytes32 inputHash) =
            abi.decode(extraData, (address, address, bytes32, bytes32));
        (result, receipt) = abi.decode(response, (bytes, ViewReceipt));
        InferenceRequest memory terms = receipt.request;

        // The right question, of the right person. Whoever relays a receipt to another gets no further. Some libraries
        // leave out `from` in the callback: then the caller is who asked.
        address caller = msg.sender == address(0) ? asked : msg.sender;
        if (terms.requester != caller) revert WrongCaller(caller, terms.requester);
        if (terms.modelId != modelId) revert WrongModel(modelId, terms.modelId);
        if (terms.inputHash != inputHash) revert WrongInput(inputHash, terms.inputHash);
        if (terms.operator != operator) revert WrongOperator(operator, terms.operator);

        // It could be sent in this block, and its operator would be bound.
        tier = _requirePostable(terms, receipt.acceptUntil, result.length);
        requestId = IInferenceOracle(ORACLE).requestIdOf(terms);
        (RequestState state,,,) = IInferenceOracle(ORACLE).stateOf(requestId);
        if (state != RequestState.None) revert AlreadyPosted(requestId, state);

        _requireSigned(requestId, terms, result, receipt);
        epsilon = IModelRegistry(REGISTRY).epsilonOf(modelId);
    }

    // ---- inside

    function _lookUp(address operator, bytes32 modelId, bytes calldata input, bytes memory question) private view {
        if (msg.sender == address(0)) revert CallerMissing();
        if (input.length == 0 || input.length > MAX_BYTES) revert InputLength(input.length, MAX_BYTES);
        string[] memory urls = _gateways[operator];
        if (urls.length == 0) revert NoGateways(operator);
        revert OffchainLookup(
            address(this),
            urls,
            question,
            this.answerCallback.selector,
            abi.encode(msg.sender, operator, modelId, sha256(input))
        );
    }

    function _paidQuestion(address operator, bytes32 modelId, bytes calldata input, bytes calldata payment)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(IViewGateway.answerPaid, (msg.sender, operator, modelId, input, payment));
    }

    // ---- checks, inside

    /// @dev What the oracle's `requestBySignature`, `accept` and `answer` would refuse, and what would make posting dearer
    ///      for the caller than the operator's offer.
    function _requirePostable(InferenceRequest memory terms, uint40 acceptUntil, uint256 resultLength)
        private
        view
        returns (Tier)
    {
        if (
            terms.nonce < FIRST_SIGNED_NONCE || terms.consumer != address(0) || terms.callbackGasLimit != 0
                || terms.eager || terms.valueAtRisk != 0
        ) revert TermsNotPlain();
        if (resultLength > MAX_BYTES) revert ResultTooLong(resultLength, MAX_BYTES);

        uint40 until = acceptUntil < terms.deadline ? acceptUntil : terms.deadline;
        uint256 earliest = block.timestamp + MIN_SECONDS_TO_POST;
        uint256 latest = block.timestamp + IInferenceOracle(ORACLE).MAX_TTL();
        if (until < earliest || terms.deadline > latest) revert TimeOutOfBounds(until, earliest, latest);

        IModelRegistry.Model memory model = IModelRegistry(REGISTRY).models(terms.modelId);
        if (model.registeredAt == 0 || model.deprecatedAt != 0) revert ModelNotLive(terms.modelId);
        uint32 longest = IInferenceOracle(ORACLE).MAX_WINDOW();
        if (terms.window < model.challengeWindow || terms.window > longest) {
            revert WindowOutOfBounds(terms.window, model.challengeWindow, longest);
        }

        uint96 price = IOperatorStaking(STAKING).offers(terms.operator, terms.modelId).price;
        if (terms.fee > price) revert FeeAboveOffer(terms.fee, price);
        uint96 minimum = IInferenceOracle(ORACLE).minimumBond(terms.modelId, terms.fee);
        if (terms.bond < minimum) revert BondTooLow(terms.bond, minimum);
        uint96 free = IOperatorStaking(STAKING).freeStake(terms.operator);
        if (free < terms.bond) revert StakeNotFree(terms.bond, free);
        return model.tier;
    }

    function _requireSigned(
        bytes32 requestId,
        InferenceRequest memory terms,
        bytes memory result,
        ViewReceipt memory receipt
    ) private view {
        address signer = IOperatorStaking(STAKING).signerOf(terms.operator);
        bytes32 digest = IInferenceOracle(ORACLE).acceptDigest(Accept(requestId, terms.operator, receipt.acceptUntil));
        if (!_isSignedBy(digest, receipt.acceptSignature, signer)) revert AcceptNotSigned(signer);
        digest = IInferenceOracle(ORACLE)
            .answerDigest(
                Answer(requestId, terms.operator, terms.modelId, terms.inputHash, sha256(result), receipt.traceRoot)
            );
        if (!_isSignedBy(digest, receipt.answerSignature, signer)) revert AnswerNotSigned(signer);
    }

    /// @dev As the oracle has it (`SignerCheck`), of a signature in memory: 65 bytes, low s, no ERC-1271.
    function _isSignedBy(bytes32 digest, bytes memory signature, address signer) private pure returns (bool) {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecover(digest, signature);
        return failure == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
