// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {Tier} from "../types/ModelTerms.sol";
import {RequestState} from "../types/RequestState.sol";
import {ViewReceipt} from "./IViewGateway.sol";

/// @title Signed answers in a view call (ERC-3668, CCIP-Read)
/// @notice An answer is taken if its operator could be held to it in this block: it is an answer to a request of the
///         caller's that has not been sent, signed as on chain, for a live model, with a bond that the operator's free
///         stake covers. The caller opens it to the court by `requestBySignature`, `accept` and `answer` of the oracle,
///         with the receipt that comes with the result.
///
///         It locks nothing. Until the receipt is posted the operator can withdraw or use its free stake: what moves
///         money is to be posted first, or asked as a request. `extraData` is the caller's, so a contract that relies on
///         `answerCallback` in a transaction must itself compare operator, model and input with what it asked.
interface IAnswerViews {
    /// @notice An operator set its gateways; none where it withdrew them.
    event GatewaysSet(address indexed operator, string[] urls);

    /// ERC-3668: fetch `callData` from one of the URLs and call `callbackFunction` with what it gave.
    error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData);

    /// More than `MAX_GATEWAYS`.
    error TooManyGateways(uint256 count, uint256 maximum);
    /// A URL is empty, or longer than `MAX_URL_BYTES`.
    error GatewayUrlLength(uint256 index, uint256 length, uint256 maximum);
    /// The operator answers no views.
    error NoGateways(address operator);
    /// An `eth_call` without `from`: nobody could post the receipt.
    error CallerMissing();
    /// The input is empty, or longer than `MAX_BYTES`.
    error InputLength(uint256 length, uint256 maximum);
    /// The response is for another caller than asks.
    error WrongCaller(address expected, address actual);
    /// The response is about another model than was asked.
    error WrongModel(bytes32 expected, bytes32 actual);
    /// The response is about another input than was given.
    error WrongInput(bytes32 expected, bytes32 actual);
    /// The response is of another operator than was asked.
    error WrongOperator(address expected, address actual);
    /// The request cannot be posted, or not as a plain one: an assigned nonce, a consumer, a callback, a value at risk.
    error TermsNotPlain();
    /// The result is longer than `MAX_BYTES`.
    error ResultTooLong(uint256 length, uint256 maximum);
    /// The model is unknown or deprecated.
    error ModelNotLive(bytes32 modelId);
    /// The challenge window is shorter than the model's or longer than the oracle's `MAX_WINDOW`.
    error WindowOutOfBounds(uint32 window, uint32 minimum, uint32 maximum);
    /// The receipt can be posted until `until`, which is too soon, or the deadline is too far off to be posted now.
    error TimeOutOfBounds(uint40 until, uint256 earliest, uint256 latest);
    /// Posting would cost more than the operator's standing offer for the model says.
    error FeeAboveOffer(uint96 fee, uint96 price);
    /// The bond is below the oracle's `minimumBond`.
    error BondTooLow(uint96 bond, uint96 minimum);
    /// The operator's free stake does not cover the bond.
    error StakeNotFree(uint96 bond, uint96 free);
    /// The request was sent already: look it up, or ask again.
    error AlreadyPosted(bytes32 requestId, RequestState state);
    /// The operator's signer has not signed the `Accept`.
    error AcceptNotSigned(address signer);
    /// The operator's signer has not signed the `Answer`.
    error AnswerNotSigned(address signer);

    /// @notice Sets the caller's gateways, in the order to be tried; none withdraws them. Anyone may call it, for itself,
    ///         and it costs gas only.
    /// @dev Reverts with `TooManyGateways` or `GatewayUrlLength`.
    /// @param urls Templates as ERC-3668 has them. One that has both `{sender}` and `{data}` is fetched by GET, any other
    ///        is posted to.
    function setGateways(string[] calldata urls) external;

    /// @notice The URLs that an operator set, in their order.
    function gatewaysOf(address operator) external view returns (string[] memory);

    /// @notice The model's answer to the input, by this operator. Always reverts with `OffchainLookup`, which clients
    ///         that speak ERC-3668 follow; the results are those of `answerCallback`. Anyone may call it, by `eth_call`
    ///         with a `from`. Locks and pays nothing.
    /// @dev Reverts with `CallerMissing`, `InputLength` or `NoGateways` where there is nothing to look up.
    /// @param input The tensors of the model's schema (docs/protocol.md, "Tensors").
    function answerOf(address operator, bytes32 modelId, bytes calldata input)
        external
        view
        returns (bytes memory result, bytes32 requestId, Tier tier, uint96 epsilon, ViewReceipt memory receipt);

    /// @notice The same with a payment for the operator's gateway, where it asks for one. This contract does not look at it.
    ///         Whoever serves the call sees it, and could spend it on another question of the caller's: clients that can do
    ///         so hand it to the gateway by themselves.
    /// @param payment As `IViewGateway.answerPaid` has it.
    function answerOfPaid(address operator, bytes32 modelId, bytes calldata input, bytes calldata payment)
        external
        view
        returns (bytes memory result, bytes32 requestId, Tier tier, uint96 epsilon, ViewReceipt memory receipt);

    /// @notice Checks what a gateway gave. The caller must be the one that the view was called by, or be left
    ///         out, as some libraries do. Locks and pays nothing.
    /// @dev Reverts with the errors from `WrongCaller` to `AnswerNotSigned`, each for one thing that the answer lacks.
    /// @param response The ABI encoding of (result, `ViewReceipt`).
    /// @param extraData What `OffchainLookup` carried.
    /// @return result The tensors of the answer.
    /// @return requestId Under which the answer stands on chain once it is posted.
    /// @return tier How it can be judged; `Unproven`: not at all.
    /// @return epsilon The model's certified error bar (`IModelRegistry.epsilonOf`).
    /// @return receipt What opens it to the court.
    function answerCallback(bytes calldata response, bytes calldata extraData)
        external
        view
        returns (bytes memory result, bytes32 requestId, Tier tier, uint96 epsilon, ViewReceipt memory receipt);

    /// @notice The oracle whose requests these are.
    function ORACLE() external view returns (address);
    /// @notice The oracle's staking contract, where an operator's signer, offers and free stake are looked up.
    function STAKING() external view returns (address);
    /// @notice The oracle's registry of models.
    function REGISTRY() external view returns (address);
    /// @notice Most URLs of one operator.
    function MAX_GATEWAYS() external view returns (uint256);
    /// @notice Longest URL, in bytes.
    function MAX_URL_BYTES() external view returns (uint256);
    /// @notice Longest input and longest result, in bytes: what fits a transaction.
    function MAX_BYTES() external view returns (uint256);
    /// @notice Seconds that must be left to post a receipt when it is taken.
    function MIN_SECONDS_TO_POST() external view returns (uint40);
}
