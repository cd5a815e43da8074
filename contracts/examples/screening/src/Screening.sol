// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {InferenceConsumer} from "opg-inference-oracle-contracts/src/InferenceConsumer.sol";
import {IInferenceOracle} from "opg-inference-oracle-contracts/src/interfaces/IInferenceOracle.sol";
import {Decision} from "opg-inference-oracle-contracts/src/libraries/Decision.sol";
import {Tensors} from "opg-inference-oracle-contracts/src/libraries/Tensors.sol";

/// @title The smallest useful consumer
/// @notice Whoever asks is screened by a model of two classes, and approved where it clearly says the second. Who asks
///         pays. `ChequeClearing` shows what a contract that pays out has to think of.
contract Screening is InferenceConsumer {
    enum Outcome {
        None,
        Waiting,
        Declined,
        Approved,
        Unclear // the classes lie closer than the error bar: for a person to decide
    }

    uint96 public constant FEE = 1e18;
    /// @dev The model returns a label, int64[1], and then probabilities, float32[1, 2].
    uint256 private constant LABEL_LENGTH = 8;
    uint256 private constant RESULT_LENGTH = LABEL_LENGTH + 2 * 4;

    bytes32 public immutable MODEL_ID;
    uint256 public immutable ERROR_BAR;
    mapping(bytes32 requestId => address applicant) public waiting;
    mapping(address applicant => Outcome) public outcomes;
    /// @notice Requests that an applicant has paid for and that came to nothing.
    mapping(address applicant => uint256) public credits;

    error AlreadyWaiting(address applicant);
    error FeeNotPaid();

    constructor(IInferenceOracle oracle, bytes32 modelId) InferenceConsumer(oracle) {
        MODEL_ID = modelId;
        ERROR_BAR = _epsilon(modelId);
    }

    /// @notice Asks the model about the caller, who has allowed this contract the fee.
    function screen(bytes calldata features) external returns (bytes32 requestId) {
        require(outcomes[msg.sender] != Outcome.Waiting, AlreadyWaiting(msg.sender));
        outcomes[msg.sender] = Outcome.Waiting;
        if (credits[msg.sender] != 0) {
            --credits[msg.sender];
            requestId = _ask(_defaults(MODEL_ID, FEE, 150_000), features);
        } else {
            require(OPG.transferFrom(msg.sender, address(this), FEE), FeeNotPaid());
            requestId = _askWithPull(_defaults(MODEL_ID, FEE, 150_000), features);
        }
        waiting[requestId] = msg.sender;
    }

    function _expects(bytes32 requestId) internal view override returns (bool) {
        return waiting[requestId] != address(0);
    }

    function _onFinal(bytes32 requestId, bytes32, bytes calldata result) internal override {
        outcomes[waiting[requestId]] = _read(result);
        delete waiting[requestId];
    }

    /// @dev The fee is back in this contract's account at the oracle, for another try. (Where an operator was slashed,
    ///      a share of its bond waits for this contract, too; `ChequeClearing` passes it on.)
    function _onVoided(bytes32 requestId, bytes32) internal override {
        address applicant = waiting[requestId];
        outcomes[applicant] = Outcome.None;
        ++credits[applicant];
        delete waiting[requestId];
    }

    /// @dev Nothing here reverts: what cannot be read decides nothing.
    function _read(bytes calldata result) private view returns (Outcome) {
        if (result.length != RESULT_LENGTH) return Outcome.Unclear;
        bytes calldata probabilities = result[LABEL_LENGTH:];
        int256[] memory scores = new int256[](2);
        for (uint256 i; i < 2; ++i) {
            if (!Tensors.isFinite(Tensors.float32At(probabilities, i))) return Outcome.Unclear;
            scores[i] = Tensors.fixedAt(probabilities, i);
        }
        (Decision.Status status, uint256 label) = Decision.classify(scores, ERROR_BAR);
        if (status != Decision.Status.Clear) return Outcome.Unclear;
        return label == 1 ? Outcome.Approved : Outcome.Declined;
    }
}
