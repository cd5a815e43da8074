// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {InferenceRequest, RequestParams} from "../types/InferenceRequest.sol";
import {Answer, AnswerCommitment} from "../types/Answer.sol";
import {Accept} from "../types/Accept.sol";
import {RequestState, DeliveryState, Notice} from "../types/RequestState.sol";

/// @title The life of a request, and the ledger that pays for it
/// @notice A request id is the EIP-712 digest of its terms; callers bring the terms back with each call
///         and the oracle checks them against the id. One word per request is stored.
///
///         None -> Requested | Accepted           request, requestBySignature
///         Requested -> Accepted                  accept
///         Requested -> Cancelled                 cancel            (requester, any time before acceptance)
///         Requested -> Expired                   expire            (timestamp > deadline)
///         Accepted -> Answered                   answer            (timestamp <= deadline)
///         Accepted -> Defaulted                  markDefaulted     (timestamp > deadline)
///         Answered -> Settled                    settle            (timestamp >= settleAt)
///         Answered <-> RevealPending             suspend, resume   (court)
///         Answered, RevealPending -> Slashed     voidAnswer        (court)
///         RevealPending -> Settled               settle            (past the last second any dispute may take)
interface IInferenceOracle {
    /// @notice One answer of a batch, or the only one.
    struct AnswerItem {
        InferenceRequest request;
        bytes result;
        bytes32 traceRoot;
    }

    /// @param result Needed only where the consumer's notice is due; may be empty otherwise.
    struct SettleItem {
        InferenceRequest request;
        AnswerCommitment commitment;
        bytes result;
    }

    /// @notice What became of one item of a batch.
    enum ItemCode {
        Done,
        WrongState,
        WrongOperator,
        TooLate,
        TooEarly,
        CommitmentMismatch,
        ResultMismatch
    }

    event RequestCreated(
        bytes32 indexed requestId,
        address indexed operator,
        bytes32 indexed modelId,
        InferenceRequest request,
        bytes input
    );
    /// @param sequence Position among all requests that ever bound the operator, from 1: a gap proves that its worker
    ///        has not seen one.
    event RequestAccepted(bytes32 indexed requestId, address indexed operator, uint32 sequence);
    /// @dev The hash of `result`, `traceRoot` and `operator` make the commitment that later calls bring back.
    event RequestAnswered(
        bytes32 indexed requestId, address indexed operator, bytes32 traceRoot, uint40 settleAt, bytes result
    );
    event RequestCancelled(bytes32 indexed requestId, uint96 refund);
    event RequestExpired(bytes32 indexed requestId, uint96 refund);
    event RequestDefaulted(bytes32 indexed requestId, address indexed operator, uint96 refund, uint96 penalty);
    event RequestSettled(bytes32 indexed requestId, address indexed operator, address payout, uint96 fee);
    event AnswerSuspended(bytes32 indexed requestId);
    event AnswerResumed(bytes32 indexed requestId, uint40 settleAt);
    event AnswerVoided(
        bytes32 indexed requestId, address indexed operator, address indexed watcher, uint96 refund, uint96 penalty
    );
    event NoticeDelivered(bytes32 indexed requestId, address indexed consumer, Notice notice);
    event NoticeFailed(bytes32 indexed requestId, address indexed consumer, Notice notice);
    event ItemSkipped(bytes32 indexed requestId, ItemCode code);
    event Deposited(address indexed account, address indexed from, uint96 amount);
    event Withdrawn(address indexed account, address to, uint96 amount);

    error NotRequester(address caller, address requester);
    error NotCourt(address caller);
    error WrongState(bytes32 requestId, RequestState expected, RequestState actual);
    error ModelNotLive(bytes32 modelId);
    error BondTooLow(uint96 bond, uint96 minimum);
    error ValueAtRiskAboveBond(uint96 valueAtRisk, uint96 bond);
    error WindowOutOfBounds(uint32 window, uint32 minimum, uint32 maximum);
    error DeadlineOutOfBounds(uint40 deadline, uint256 earliest, uint256 latest);
    error CallbackGasTooHigh(uint32 callbackGasLimit, uint32 maximum);
    error InputTooLarge(uint256 length, uint256 maximum);
    error InputEmpty();
    error ForbiddenConsumer(address consumer);
    error ForbiddenNonce(uint64 nonce);
    error InputHashMismatch(bytes32 expected, bytes32 actual);
    /// The signed message is about another request.
    error WrongRequest(bytes32 expected, bytes32 actual);
    error SignatureInvalid(address expected);
    error SignatureExpired(uint40 validUntil);
    error WrongOperator(address expected, address actual);
    error DeadlinePassed(uint40 deadline);
    error DeadlineNotPassed(uint40 deadline);
    error NotFinalYet(uint40 settleAt);
    error CommitmentMismatch(bytes32 requestId);
    error ResultMismatch(bytes32 requestId);
    error NoNoticeDue(bytes32 requestId);
    error NotEnoughGasForCallback(uint256 available, uint256 needed);
    error BalanceTooLow(uint96 balance, uint96 needed);
    error TransferMismatch(uint256 expected, uint256 received);
    error DisputeOver(uint40 settleAt);
    error SettleAtOutOfBounds(uint40 settleAt, uint256 latest);
    error ZeroAddress();
    error ZeroAmount();
    error EmptyBatch();
    /// Constructor: a contract named there does not name the same token, court or oracle.
    error WiringMismatch(address contractAddress, address expected, address actual);
    /// Constructor: stake could leave while it may still have to answer for something.
    error ExitDelayTooShort(uint40 exitDelay, uint256 needed);

    // ---- the ledger

    /// @notice Credits `account` by ERC-20 pull from the caller.
    function deposit(address account, uint96 amount) external;

    /// @notice Pays out from the caller's account.
    function withdraw(address to, uint96 amount) external;

    // ---- asking

    /// @notice Makes a request paid from the caller's account.
    function request(RequestParams calldata params, bytes calldata input) external returns (bytes32 requestId);

    /// @notice Pulls the fee from the caller by ERC-20 allowance, then makes the request.
    function requestWithPull(RequestParams calldata params, bytes calldata input) external returns (bytes32 requestId);

    /// @notice Makes a request signed by its requester (ECDSA or ERC-1271), paid from the requester's account.
    function requestBySignature(InferenceRequest calldata terms, bytes calldata input, bytes calldata signature)
        external
        returns (bytes32 requestId);

    /// @notice Takes back a request that nobody has accepted.
    function cancel(InferenceRequest calldata terms) external;

    // ---- answering

    /// @notice Binds an operator, by its signer's signature, to an open request.
    function accept(InferenceRequest calldata terms, Accept calldata acceptance, bytes calldata signature) external;

    /// @notice Posts one answer with the signer's signature of its `Answer`.
    function answer(AnswerItem calldata item, address operator, bytes calldata signature) external;

    /// @notice Posts several answers of one operator under one signature of their `AnswerBatch`. An item that
    ///         cannot be taken is skipped with its code.
    function answerBatch(AnswerItem[] calldata items, address operator, bytes calldata signature)
        external
        returns (ItemCode[] memory codes);

    // ---- ending

    function settle(SettleItem calldata item) external;
    function settleBatch(SettleItem[] calldata items) external returns (ItemCode[] memory codes);
    function expire(InferenceRequest calldata terms) external;
    /// @notice Ends a request whose operator stayed silent: fee back, liveness penalty slashed.
    function markDefaulted(InferenceRequest calldata terms, address operator) external;

    /// @notice Delivers a notice that is due and was not delivered.
    function retryNotice(InferenceRequest calldata terms, AnswerCommitment calldata commitment, bytes calldata result)
        external;

    // ---- the court

    /// @notice Stops the clock of an answer while a reveal is due.
    function suspend(InferenceRequest calldata terms, AnswerCommitment calldata commitment) external;
    /// @notice Starts it again; `settleAt` never goes back and never beyond `disputeLimit`.
    function resume(InferenceRequest calldata terms, AnswerCommitment calldata commitment, uint40 settleAt) external;
    /// @notice Voids an answer: fee back, bond slashed, watcher and requester paid from it.
    function voidAnswer(InferenceRequest calldata terms, AnswerCommitment calldata commitment, address watcher) external;

    // ---- views

    function accounts(address account) external view returns (uint96 balance, uint64 nonce);
    function stateOf(bytes32 requestId)
        external
        view
        returns (RequestState state, DeliveryState delivery, uint40 settleAt, address acceptedBy);
    function requestIdOf(InferenceRequest calldata terms) external view returns (bytes32);
    function answerDigest(Answer calldata answer_) external view returns (bytes32);
    function answerBatchDigest(Answer[] calldata answers) external view returns (bytes32);
    function acceptDigest(Accept calldata acceptance) external view returns (bytes32);
    /// @notice Smallest bond for a fee on a model: max(model's minimum, 20 x fee).
    function minimumBond(bytes32 modelId, uint96 fee) external view returns (uint96);
    /// @notice Last second to which disputes can push the finality of a request's answer.
    function disputeLimit(InferenceRequest calldata terms) external view returns (uint256);

    function TOKEN() external view returns (address);
    function STAKING() external view returns (address);
    function REGISTRY() external view returns (address);
    /// @notice The one address that may suspend, resume and void answers; zero where there is none.
    function COURT() external view returns (address);

    /// @notice Longest time from a request to its deadline, in seconds.
    function MAX_TTL() external view returns (uint40);
    /// @notice Longest challenge window, in seconds.
    function MAX_WINDOW() external view returns (uint32);
    /// @notice Seconds that disputes may add to the latest end of a challenge window.
    function DISPUTE_ALLOWANCE() external view returns (uint40);
    function MAX_INPUT_BYTES() external view returns (uint256);
    function MAX_CALLBACK_GAS() external view returns (uint32);
    /// @notice Smallest bond as a multiple of the fee.
    function BOND_MULTIPLE() external view returns (uint256);
    /// @notice Penalty of silence as a multiple of the fee.
    function LIVENESS_MULTIPLE() external view returns (uint256);
    /// @notice The requester's share of the penalty of silence.
    function DEFAULT_REQUESTER_BPS() external view returns (uint16);
    /// @notice Shares of the bond of a voided answer; what they leave is burned.
    function FRAUD_REQUESTER_BPS() external view returns (uint16);
    function FRAUD_WATCHER_BPS() external view returns (uint16);
}
