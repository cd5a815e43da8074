// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {InferenceRequest} from "../types/InferenceRequest.sol";

/// @notice All that opens an answer to the court, besides the result and the caller's own signature of the request.
/// @param request Terms that nobody has sent yet. The caller of the view is their requester.
/// @param acceptUntil Last second at which `acceptSignature` may be used.
/// @param acceptSignature The operator's, of `Accept(id of the request, operator, acceptUntil)`.
/// @param answerSignature The operator's, of the `Answer`.
struct ViewReceipt {
    InferenceRequest request;
    bytes32 traceRoot;
    uint40 acceptUntil;
    bytes acceptSignature;
    bytes answerSignature;
}

/// @title What a gateway is asked (ERC-3668)
/// @notice No contract has this. The calldata is what `AnswerViews` hands out; the gateway's `data` is the ABI encoding
///         of the results.
interface IViewGateway {
    /// @notice The model's answer to the input, by this operator, and what opens it to the court. Asked by whoever
    ///         follows `OffchainLookup`; `AnswerViews.answerCallback` checks what comes back.
    /// @param caller Whom the answer is for: the caller of the view.
    function answer(address caller, address operator, bytes32 modelId, bytes calldata input)
        external
        returns (bytes memory result, ViewReceipt memory receipt);

    /// @notice The same where the model has a price.
    /// @param payment The ABI encoding of (uint256 total, bytes signature): a voucher of the caller's (`IViewCredit`), for
    ///        the price above the last one that the gateway has.
    function answerPaid(address caller, address operator, bytes32 modelId, bytes calldata input, bytes calldata payment)
        external
        returns (bytes memory result, ViewReceipt memory receipt);
}
