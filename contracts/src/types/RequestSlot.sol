// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AnswerCommitment} from "./Answer.sol";
import {DeliveryState, RequestState} from "./RequestState.sol";

/// @notice All that is stored of a request, in one word:
///         state (4 bits) | delivery (4 bits) | settleAt (40 bits) | tag (208 bits).
/// @dev The tag is the operator's address while `Accepted`, and the truncated hash of the answer
///      commitment from `Answered` on. 208 bits leave 104 bits against collisions, and a colliding pair
///      would gain an operator nothing: either preimage can be convicted (docs/decisions).
type RequestSlot is bytes32;

using RequestSlotLibrary for RequestSlot global;

library RequestSlotLibrary {
    uint256 private constant TAG_MASK = (1 << 208) - 1;
    /// @dev Bits above the tag.
    uint256 private constant HEAD_BITS = 48;

    function state(RequestSlot slot) internal pure returns (RequestState) {
        return RequestState(uint256(RequestSlot.unwrap(slot)) >> 252);
    }

    /// @notice Whether `slot.state() == state_`, without decoding what is there.
    function isIn(RequestSlot slot, RequestState state_) internal pure returns (bool) {
        return uint256(RequestSlot.unwrap(slot)) >> 252 == uint256(state_);
    }

    /// @notice Whether `slot.delivery() == delivery_`, without decoding what is there.
    function hasDelivery(RequestSlot slot, DeliveryState delivery_) internal pure returns (bool) {
        return (uint256(RequestSlot.unwrap(slot)) >> 248) & 0xf == uint256(delivery_);
    }

    function delivery(RequestSlot slot) internal pure returns (DeliveryState) {
        return DeliveryState((uint256(RequestSlot.unwrap(slot)) >> 248) & 0xf);
    }

    /// @notice Second from which the answer is final; zero before there is one.
    function settleAt(RequestSlot slot) internal pure returns (uint40) {
        return uint40(uint256(RequestSlot.unwrap(slot)) >> 208);
    }

    /// @notice The operator that accepted; meaningful only while `Accepted`.
    function operator(RequestSlot slot) internal pure returns (address) {
        return address(uint160(uint256(RequestSlot.unwrap(slot))));
    }

    function matches(RequestSlot slot, AnswerCommitment calldata commitment) internal pure returns (bool) {
        // What is left when the heads are shifted out are the tags.
        return RequestSlot.unwrap(slot) << HEAD_BITS == commitment.calldataHash() << HEAD_BITS;
    }

    /// @notice A request that nobody has accepted.
    function requested() internal pure returns (RequestSlot) {
        return pack(RequestState.Requested, 0, 0);
    }

    /// @notice A request that binds `operator_`.
    function accepted(address operator_) internal pure returns (RequestSlot) {
        return pack(RequestState.Accepted, 0, uint160(operator_));
    }

    /// @notice An answer of which no notice has been given.
    function answered(uint40 settleAt_, bytes32 commitmentHash) internal pure returns (RequestSlot) {
        return pack(RequestState.Answered, settleAt_, uint256(commitmentHash));
    }

    function pack(RequestState state_, uint40 settleAt_, uint256 tag) internal pure returns (RequestSlot) {
        return RequestSlot.wrap(bytes32(uint256(state_) << 252 | uint256(settleAt_) << 208 | (tag & TAG_MASK)));
    }

    function withState(RequestSlot slot, RequestState state_) internal pure returns (RequestSlot) {
        uint256 rest = uint256(RequestSlot.unwrap(slot)) & ~(uint256(0xf) << 252);
        return RequestSlot.wrap(bytes32(rest | uint256(state_) << 252));
    }

    function withDelivery(RequestSlot slot, DeliveryState delivery_) internal pure returns (RequestSlot) {
        uint256 rest = uint256(RequestSlot.unwrap(slot)) & ~(uint256(0xf) << 248);
        return RequestSlot.wrap(bytes32(rest | uint256(delivery_) << 248));
    }

    function withSettleAt(RequestSlot slot, uint40 settleAt_) internal pure returns (RequestSlot) {
        uint256 rest = uint256(RequestSlot.unwrap(slot)) & ~(uint256(type(uint40).max) << 208);
        return RequestSlot.wrap(bytes32(rest | uint256(settleAt_) << 208));
    }
}
