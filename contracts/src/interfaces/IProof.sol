// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ElementProof, EmptyProof, InterfaceProof, Place} from "../court/Proof.sol";

/// @title The structs inside the bytes that `FraudVerifier` takes
/// @notice Never deployed: so that the ABI says how to write a proof or a place. A proof is its `FraudKind` as one word,
///         followed by the encoding of the one argument here; a place is the encoding alone.
interface IProof {
    function element(ElementProof calldata proof) external;
    function message(InterfaceProof calldata proof) external;
    function empty(EmptyProof calldata proof) external;
    function place(Place calldata place_) external;
}
