// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {TransientSlot} from "@openzeppelin/contracts/utils/TransientSlot.sol";

import {IInferenceConsumer} from "./interfaces/IInferenceConsumer.sol";
import {IInferenceOracle} from "./interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IOperatorStaking} from "./interfaces/IOperatorStaking.sol";
import {AnswerCommitment} from "./types/Answer.sol";
import {InferenceRequest, RequestParams} from "./types/InferenceRequest.sol";
import {DeliveryState, Notice, RequestState} from "./types/RequestState.sol";

/// @title The base of a contract that asks a model
/// @notice A dApp contract inherits this, asks with `_ask` or `_askWithPull`, and acts in its hooks:
///
///             RequestParams memory params = _defaults(modelId, fee, 100_000);
///             bytes32 requestId = _askWithPull(params, input);      // remember what the id is for
///             ...
///             function _expects(bytes32 requestId) internal view override returns (bool) { ... }
///             function _onFinal(bytes32 requestId, bytes32 modelId, bytes calldata result) internal override { ... }
///             function _onVoided(bytes32 requestId, bytes32 modelId) internal override { ... }
///
///         A request ends in `_onFinal` or `_onVoided`, unless this contract cancels it. A hook that reverts, or
///         needs more than the gas it asked for, moves no money; anyone may have the notice delivered again:
///         through the oracle, with the same gas, or by `hearAgain`, with as much as they bring. (An eager
///         consumer that has heard the answer is not told that it is final.)
///
///         The result is what the operator posted. Its hash is what was judged, its form is not: check the
///         length before reading it (`Tensors`), lest a malformed one make the hook revert for good. Scores are only
///         as sure as the model's error bar (`_epsilon`): `Decision` says whether they decide anything. A provable model's
///         may be NaN or infinite, like the numbers that its run ends with: ask `Tensors.isFinite` before you compute.
abstract contract InferenceConsumer is IInferenceConsumer {
    using SafeERC20 for IERC20;
    using TransientSlot for bytes32;
    using TransientSlot for TransientSlot.BooleanSlot;

    /// @notice The oracle that is asked, and that alone gives notices.
    IInferenceOracle public immutable ORACLE;
    /// @notice The oracle's staking contract, where this contract's shares of slashed bonds are claimed.
    IOperatorStaking public immutable STAKING;
    /// @notice The ERC-20 in which fees are paid.
    IERC20 public immutable OPG;

    /// @notice Seconds an operator is given to answer, unless a request says otherwise.
    uint40 internal constant DEFAULT_TIME_TO_ANSWER = 1 hours;
    /// @dev Transient, and set while `hearAgain` has the oracle take note.
    bytes32 private constant HEARING_AGAIN = keccak256("InferenceConsumer.hearAgain");

    /// @notice Only the oracle gives notices.
    error NotOracle(address caller);
    /// @notice This contract does not wait for the request, or is not its consumer.
    error UnexpectedRequest(bytes32 requestId);
    /// @notice A request asked to be `eager`, and this contract does not say what to do with such an answer.
    error EagerNotHandled();
    /// @notice The request promised its notices less gas than it takes to find out whose it is.
    error PromisedTooLittle(uint32 callbackGasLimit);

    constructor(IInferenceOracle oracle) {
        ORACLE = oracle;
        STAKING = IOperatorStaking(oracle.STAKING());
        OPG = IERC20(oracle.TOKEN());
    }

    /// @inheritdoc IInferenceConsumer
    /// @dev Sealed: who may call, and for which requests, is decided here.
    function onInferenceNotice(bytes32 requestId, Notice notice, bytes32 modelId, bytes calldata result) external {
        require(msg.sender == address(ORACLE), NotOracle(msg.sender));
        require(_expects(requestId), UnexpectedRequest(requestId));
        // The oracle has but to note that it is heard: the hook runs when that is done.
        if (HEARING_AGAIN.asBoolean().tload()) return;
        if (notice == Notice.Final) _onFinal(requestId, modelId, result);
        else if (notice == Notice.Voided) _onVoided(requestId, modelId);
        else _onAnswered(requestId, modelId, result);
    }

    /// @notice Hears a notice that failed, with all the gas of this transaction. Anyone may call it: the oracle says
    ///         that the notice is due, and checks every byte. It is heard once, as any other; a hook that reverts
    ///         takes all of this back, and says why.
    ///         Moves no money by itself.
    /// @dev Here a hook runs outside of the oracle's lock, and with another caller than the oracle. Reverts with
    ///      `UnexpectedRequest`, `PromisedTooLittle` or `NotEnoughGasForCallback`, as the oracle's `retryNotice` does, and
    ///      as the hook does.
    /// @param terms Those of `RequestCreated`.
    /// @param commitment Of the answer; like `result`, empty for a request that came to nothing.
    function hearAgain(InferenceRequest calldata terms, AnswerCommitment calldata commitment, bytes calldata result)
        external
    {
        bytes32 requestId = ORACLE.requestIdOf(terms);
        require(terms.consumer == address(this) && _expects(requestId), UnexpectedRequest(requestId));

        HEARING_AGAIN.asBoolean().tstore(true);
        ORACLE.retryNotice(terms, commitment, result);
        HEARING_AGAIN.asBoolean().tstore(false);
        (RequestState state, DeliveryState delivery,,) = ORACLE.stateOf(requestId);
        require(delivery == DeliveryState.Delivered, PromisedTooLittle(terms.callbackGasLimit));

        // Nobody can have the hook run with less than it was promised.
        uint256 available = gasleft();
        require(
            available >= terms.callbackGasLimit,
            IInferenceOracle.NotEnoughGasForCallback(available, terms.callbackGasLimit)
        );
        if (state == RequestState.Settled) _onFinal(requestId, terms.modelId, result);
        else if (state == RequestState.Answered) _onAnswered(requestId, terms.modelId, result);
        else _onVoided(requestId, terms.modelId);
    }

    // ---- what the dApp says

    /// @notice Whether this contract made the request and still waits for it. Anyone can name any contract as
    ///         the consumer of a request of their own, with a model and an operator of their choice.
    function _expects(bytes32 requestId) internal view virtual returns (bool);

    /// @notice The answer is final: act on it.
    function _onFinal(bytes32 requestId, bytes32 modelId, bytes calldata result) internal virtual;

    /// @notice There will be no answer: the request expired, or its operator defaulted or was slashed. The fee
    ///         is back in this contract's account at the oracle; see `_collect`.
    function _onVoided(bytes32 requestId, bytes32 modelId) internal virtual;

    /// @notice There is an answer that can still be disputed. Heard only where `eager` was asked for; what is
    ///         done here must be undone in `_onVoided`.
    /// @dev Refused unless it is overridden. What was not heard so early is heard in `_onFinal`.
    function _onAnswered(bytes32, bytes32, bytes calldata) internal virtual {
        revert EagerNotHandled();
    }

    // ---- asking

    /// @notice Terms for the common case: any operator, an hour to answer, the model's own challenge window, the
    ///         smallest bond, and one notice, to this contract, when the answer is final.
    /// @param callbackGasLimit What each hook of this request is guaranteed, `_expects` included. What one uses, the
    ///        test double measures: `MockInferenceOracle.gasUsedBy`.
    function _defaults(bytes32 modelId, uint96 fee, uint32 callbackGasLimit)
        internal
        view
        returns (RequestParams memory params)
    {
        params.consumer = address(this);
        params.modelId = modelId;
        params.fee = fee;
        params.bond = ORACLE.minimumBond(modelId, fee);
        params.deadline = uint40(block.timestamp) + DEFAULT_TIME_TO_ANSWER;
        params.window = IModelRegistry(ORACLE.REGISTRY()).models(modelId).challengeWindow;
        params.callbackGasLimit = callbackGasLimit;
    }

    /// @notice The certified error bar of a model's float outputs, with 18 decimals, for `Decision`. It never changes,
    ///         so a contract with one model may keep it.
    function _epsilon(bytes32 modelId) internal view returns (uint96) {
        return IModelRegistry(ORACLE.REGISTRY()).epsilonOf(modelId);
    }

    /// @notice Asks, paying from this contract's account at the oracle.
    function _ask(RequestParams memory params, bytes memory input) internal returns (bytes32 requestId) {
        return ORACLE.request(params, input);
    }

    /// @notice Asks, paying from the tokens this contract holds.
    function _askWithPull(RequestParams memory params, bytes memory input) internal returns (bytes32 requestId) {
        OPG.forceApprove(address(ORACLE), params.fee);
        return ORACLE.requestWithPull(params, input);
    }

    // ---- money

    /// @notice Fetches what came back to this contract: fees of requests that came to nothing, and its shares of
    ///         operators' slashed bonds. Not from within a hook: the oracle is locked then.
    function _collect() internal returns (uint96 refunds, uint96 compensation) {
        (refunds,) = ORACLE.accounts(address(this));
        if (refunds != 0) ORACLE.withdraw(address(this), refunds);
        if (STAKING.claimable(address(this)) != 0) compensation = STAKING.claim(address(this));
    }
}
