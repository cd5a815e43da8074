// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {InferenceRequest, RequestParams} from "../types/InferenceRequest.sol";
import {Answer, AnswerCommitment} from "../types/Answer.sol";
import {Accept} from "../types/Accept.sol";
import {RequestState, DeliveryState, Notice} from "../types/RequestState.sol";

/// @title The life of a request, and the ledger that pays for it
/// @notice A request id is the EIP-712 digest of its terms; callers bring the terms back with each call
///         and the oracle checks them against the id. One word per request is stored. Amounts are OPG base units, times
///         Unix seconds. While one function that changes anything runs, a consumer's notice included, every other of
///         them reverts with `ReentrancyGuardReentrantCall`.
/// @dev    None -> Requested | Accepted           request, requestBySignature
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

    /// @notice A request was made and its fee put in escrow. Terms and input are all that is needed to answer it.
    /// @param operator The only one who may accept it; zero for any.
    event RequestCreated(
        bytes32 indexed requestId,
        address indexed operator,
        bytes32 indexed modelId,
        InferenceRequest request,
        bytes input
    );
    /// @notice An operator is bound to answer, by its signature or by its standing offer, and the bond is locked.
    /// @param sequence Position among all requests that ever bound the operator, from 1: a gap proves that its worker
    ///        has not seen one.
    event RequestAccepted(bytes32 indexed requestId, address indexed operator, uint32 sequence);
    /// @notice An answer was posted. It is final from `settleAt` on, unless the court suspends or voids it.
    /// @dev The hash of `result`, `traceRoot` and `operator` make the commitment that later calls bring back.
    event RequestAnswered(
        bytes32 indexed requestId, address indexed operator, bytes32 traceRoot, uint40 settleAt, bytes result
    );
    /// @notice The requester took a request back that nobody had accepted.
    /// @param refund The fee, credited to the requester's account.
    event RequestCancelled(bytes32 indexed requestId, uint96 refund);
    /// @notice Nobody accepted a request until its deadline.
    /// @param refund The fee, credited to the requester's account.
    event RequestExpired(bytes32 indexed requestId, uint96 refund);
    /// @notice The operator that accepted a request did not answer until its deadline.
    /// @param refund The fee, credited to the requester's account.
    /// @param penalty What was slashed from the operator's stake.
    event RequestDefaulted(bytes32 indexed requestId, address indexed operator, uint96 refund, uint96 penalty);
    /// @notice An answer became final: its bond is free and its fee is paid.
    /// @param payout Whose account at the oracle the fee was credited to.
    event RequestSettled(bytes32 indexed requestId, address indexed operator, address payout, uint96 fee);
    /// @notice The court stopped an answer's clock: a reveal is due.
    event AnswerSuspended(bytes32 indexed requestId);
    /// @notice The court started an answer's clock again.
    /// @param settleAt From when on the answer is final.
    event AnswerResumed(bytes32 indexed requestId, uint40 settleAt);
    /// @notice The court voided an answer.
    /// @param refund The fee, credited to the requester's account.
    /// @param penalty What was slashed from the operator's stake.
    event AnswerVoided(
        bytes32 indexed requestId, address indexed operator, address indexed watcher, uint96 refund, uint96 penalty
    );
    /// @notice The consumer heard a notice: its call returned.
    event NoticeDelivered(bytes32 indexed requestId, address indexed consumer, Notice notice);
    /// @notice The consumer's call reverted, or there is no contract. `retryNotice` delivers the notice again.
    event NoticeFailed(bytes32 indexed requestId, address indexed consumer, Notice notice);
    /// @notice An item of a batch was left as it was. `code` says why.
    event ItemSkipped(bytes32 indexed requestId, ItemCode code);
    /// @notice `from` paid tokens into an account.
    event Deposited(address indexed account, address indexed from, uint96 amount);
    /// @notice An account paid tokens out to `to`.
    event Withdrawn(address indexed account, address to, uint96 amount);

    /// Only the requester may cancel.
    error NotRequester(address caller, address requester);
    /// Only the court may suspend, resume and void.
    error NotCourt(address caller);
    /// The request is not in the state that the call needs. `None`: these terms are nobody's request.
    error WrongState(bytes32 requestId, RequestState expected, RequestState actual);
    /// The model is unknown or deprecated.
    error ModelNotLive(bytes32 modelId);
    /// The bond is below `minimumBond`.
    error BondTooLow(uint96 bond, uint96 minimum);
    /// What is at risk must be covered by the bond.
    error ValueAtRiskAboveBond(uint96 valueAtRisk, uint96 bond);
    /// The challenge window is shorter than the model's or longer than `MAX_WINDOW`.
    error WindowOutOfBounds(uint32 window, uint32 minimum, uint32 maximum);
    /// The deadline is not in the future, or more than `MAX_TTL` seconds away.
    error DeadlineOutOfBounds(uint40 deadline, uint256 earliest, uint256 latest);
    /// The consumer's notice is to get more than `MAX_CALLBACK_GAS`.
    error CallbackGasTooHigh(uint32 callbackGasLimit, uint32 maximum);
    /// The input is longer than `MAX_INPUT_BYTES`.
    error InputTooLarge(uint256 length, uint256 maximum);
    /// A longer result could be posted, and not be carried by the proof that it is wrong.
    error ResultTooLarge(uint256 length, uint256 maximum);
    /// Evidence of a contradiction carries the hash of every answer that was signed at once.
    error BatchTooLarge(uint256 length, uint256 maximum);
    /// A request has an input.
    error InputEmpty();
    /// The consumer is one of these contracts, or the token.
    error ForbiddenConsumer(address consumer);
    /// A signed request has a nonce below 2^63: those are assigned by the oracle.
    error ForbiddenNonce(uint64 nonce);
    /// The input is not the one that was signed.
    error InputHashMismatch(bytes32 expected, bytes32 actual);
    /// The signed message is about another request.
    error WrongRequest(bytes32 expected, bytes32 actual);
    /// `expected`, the requester or the operator's signer, has not signed this.
    error SignatureInvalid(address expected);
    /// The acceptance was to be used until `validUntil`.
    error SignatureExpired(uint40 validUntil);
    /// The request is for, or bound, another operator.
    error WrongOperator(address expected, address actual);
    /// It is too late to accept or to answer.
    error DeadlinePassed(uint40 deadline);
    /// It is too early to expire, or to mark as defaulted.
    error DeadlineNotPassed(uint40 deadline);
    /// The answer is final from `settleAt` on, if nothing happens until then.
    error NotFinalYet(uint40 settleAt);
    /// The commitment is not that of the posted answer.
    error CommitmentMismatch(bytes32 requestId);
    /// The result is not that of the commitment, and a notice is due that carries it.
    error ResultMismatch(bytes32 requestId);
    /// No notice of the request has failed, or a dispute has to end first.
    error NoNoticeDue(bytes32 requestId);
    /// The transaction has too little gas left to give the consumer's notice what it was promised.
    error NotEnoughGasForCallback(uint256 available, uint256 needed);
    /// The account has less than that.
    error BalanceTooLow(uint96 balance, uint96 needed);
    /// The token moved another amount than it was asked to.
    error TransferMismatch(uint256 expected, uint256 received);
    /// The answer is final: nothing can be disputed.
    error DisputeOver(uint40 settleAt);
    /// A resumed clock may neither go back nor beyond `disputeLimit`.
    error SettleAtOutOfBounds(uint40 settleAt, uint256 latest);
    /// An address is needed, and none was given.
    error ZeroAddress();
    /// An amount is needed, and none was given.
    error ZeroAmount();
    /// A batch has at least one item.
    error EmptyBatch();
    /// Constructor: a contract named there does not name the same token, court or oracle.
    error WiringMismatch(address contractAddress, address expected, address actual);
    /// Constructor: stake could leave while it may still have to answer for something.
    error ExitDelayTooShort(uint40 exitDelay, uint256 needed);

    // ---- the ledger

    /// @notice Pulls `amount` OPG base units from the caller by ERC-20 allowance and credits them to `account`. Anyone
    ///         may call it, for any account.
    /// @dev Reverts with `ZeroAddress`, `ZeroAmount` or `TransferMismatch`.
    function deposit(address account, uint96 amount) external;

    /// @notice Pays `amount` OPG base units from the caller's account out to `to`.
    /// @dev Reverts with `ZeroAddress`, `ZeroAmount` or `BalanceTooLow`.
    function withdraw(address to, uint96 amount) external;

    // ---- asking

    /// @notice Makes a request in the caller's name. Its fee, in OPG base units, goes from the caller's account into
    ///         escrow. A named operator whose standing offer takes the request is bound at once, and the bond locked;
    ///         any other request waits for `accept`.
    /// @dev Reverts with `InputEmpty`, `InputTooLarge`, `CallbackGasTooHigh`, `DeadlineOutOfBounds`,
    ///      `ForbiddenConsumer`, `ModelNotLive`, `WindowOutOfBounds`, `BondTooLow`, `ValueAtRiskAboveBond` or
    ///      `BalanceTooLow`.
    function request(RequestParams calldata params, bytes calldata input) external returns (bytes32 requestId);

    /// @notice Pulls the fee from the caller by ERC-20 allowance, then makes the request as `request` does.
    /// @dev Reverts as `request` does, and with `TransferMismatch`.
    function requestWithPull(RequestParams calldata params, bytes calldata input) external returns (bytes32 requestId);

    /// @notice Makes a request signed by its requester (ECDSA or ERC-1271 signature of the request id), whose account
    ///         pays the fee. Anyone may send it, once.
    /// @dev Reverts as `request` does, and with `ForbiddenNonce`, `InputHashMismatch`, `WrongState` (it was made
    ///      before) or `SignatureInvalid`.
    function requestBySignature(InferenceRequest calldata terms, bytes calldata input, bytes calldata signature)
        external
        returns (bytes32 requestId);

    /// @notice Takes back a request that nobody has accepted. The requester alone may call it, also after the deadline;
    ///         the fee is credited to its account. The consumer gets no notice.
    /// @dev Reverts with `WrongState` or `NotRequester`.
    function cancel(InferenceRequest calldata terms) external;

    // ---- answering

    /// @notice Binds an operator, by its signer's signature of an `Accept`, to an open request until the deadline, and
    ///         locks the request's bond in its stake. Anyone may send the signature.
    /// @dev Reverts with `WrongState`, `WrongRequest`, `DeadlinePassed`, `SignatureExpired`, `WrongOperator` or
    ///      `SignatureInvalid`, and with `OperatorUnknown` or `FreeStakeTooLow` of the staking contract.
    function accept(InferenceRequest calldata terms, Accept calldata acceptance, bytes calldata signature) external;

    /// @notice Posts the answer of the operator that is bound, with its signer's signature of the `Answer`, until the
    ///         deadline. Anyone may send it. Moves no money: the challenge window starts, and `settle` pays at its end.
    ///         A consumer that asked for it eagerly gets its notice.
    /// @dev Reverts with `WrongState`, `WrongOperator`, `DeadlinePassed`, `ResultTooLarge`, `SignatureInvalid` or
    ///      `NotEnoughGasForCallback`.
    function answer(AnswerItem calldata item, address operator, bytes calldata signature) external;

    /// @notice Posts several answers of one operator under one signature of their `AnswerBatch`, each as `answer` does.
    ///         Anyone may send it. An item that cannot be taken is skipped with its code; the signature covers it, too.
    /// @dev All of it reverts with `EmptyBatch`, `BatchTooLarge`, `ResultTooLarge`, `SignatureInvalid` or
    ///      `NotEnoughGasForCallback`.
    function answerBatch(AnswerItem[] calldata items, address operator, bytes calldata signature)
        external
        returns (ItemCode[] memory codes);

    // ---- ending

    /// @notice Ends a request whose answer is final: from its `settleAt` on or, where a reveal was left due, past its
    ///         `disputeLimit`. Anyone may call it. The bond is free again, the fee is credited, in OPG base units, to
    ///         the account of the operator's payout address, and the consumer gets its notice, unless it has heard the
    ///         answer.
    /// @dev Reverts with `WrongState`, `NotFinalYet`, `CommitmentMismatch`, `ResultMismatch` (only where a notice is
    ///      due) or `NotEnoughGasForCallback`.
    function settle(SettleItem calldata item) external;

    /// @notice Ends several requests, each as `settle` does. Anyone may call it. An item that cannot be settled is
    ///         skipped with its code. Items of one operator next to each other are paid as one sum, which is cheaper.
    /// @dev All of it reverts with `EmptyBatch` or `NotEnoughGasForCallback`.
    function settleBatch(SettleItem[] calldata items) external returns (ItemCode[] memory codes);

    /// @notice Ends a request that nobody accepted until its deadline. Anyone may call it. The fee is credited to the
    ///         requester's account, and the consumer hears that there is no answer.
    /// @dev Reverts with `WrongState`, `DeadlineNotPassed` or `NotEnoughGasForCallback`.
    function expire(InferenceRequest calldata terms) external;

    /// @notice Ends a request whose operator did not answer until the deadline. Anyone may call it. The fee is credited
    ///         to the requester's account. From the operator's stake `LIVENESS_MULTIPLE` times the fee is slashed, at
    ///         most the bond: the requester claims its share at the staking contract, the rest is burned, and what is
    ///         left of the bond is free. The consumer hears that there is no answer.
    /// @dev Reverts with `WrongState`, `WrongOperator`, `DeadlineNotPassed` or `NotEnoughGasForCallback`.
    function markDefaulted(InferenceRequest calldata terms, address operator) external;

    /// @notice Delivers the consumer's last notice again, with the same gas, where it failed. Anyone may call it. Moves
    ///         no money; a failure is recorded again. Where there is no answer, commitment and result are ignored.
    /// @dev Reverts with `NoNoticeDue`, `CommitmentMismatch`, `ResultMismatch` or `NotEnoughGasForCallback`.
    function retryNotice(InferenceRequest calldata terms, AnswerCommitment calldata commitment, bytes calldata result)
        external;

    // ---- the court

    /// @notice Stops the clock of an answer that is not final, while a reveal is due. The court alone may call it.
    /// @dev Reverts with `NotCourt`, `WrongState`, `DisputeOver` or `CommitmentMismatch`.
    function suspend(InferenceRequest calldata terms, AnswerCommitment calldata commitment) external;

    /// @notice Starts the clock of a suspended answer again. `settleAt` never goes back and never beyond
    ///         `disputeLimit`. The court alone may call it.
    /// @dev Reverts with `NotCourt`, `WrongState`, `CommitmentMismatch` or `SettleAtOutOfBounds`.
    function resume(InferenceRequest calldata terms, AnswerCommitment calldata commitment, uint40 settleAt) external;

    /// @notice Voids an answer that is not final. The court alone may call it. The fee is credited to the requester's
    ///         account. The bond is slashed from the operator's stake: requester and `watcher` claim their shares at
    ///         the staking contract, the rest is burned. The consumer hears that there is no answer.
    /// @dev Reverts with `NotCourt`, `WrongState`, `DisputeOver`, `CommitmentMismatch` or `NotEnoughGasForCallback`.
    function voidAnswer(InferenceRequest calldata terms, AnswerCommitment calldata commitment, address watcher) external;

    // ---- views

    /// @notice What an account can spend or withdraw, in OPG base units, and the nonce of its next direct request.
    function accounts(address account) external view returns (uint96 balance, uint64 nonce);
    /// @notice Where a request and its consumer's notice stand. `None`: there is no such request.
    /// @return state Of the request, and so of its money.
    /// @return delivery Of the consumer's last notice.
    /// @return settleAt From when on the answer is final; zero before there is one.
    /// @return acceptedBy The operator that is bound, while the request is `Accepted`; zero before and after.
    function stateOf(bytes32 requestId)
        external
        view
        returns (RequestState state, DeliveryState delivery, uint40 settleAt, address acceptedBy);
    /// @notice The EIP-712 digest of a request's terms: its id, and what is signed for `requestBySignature`.
    function requestIdOf(InferenceRequest calldata terms) external view returns (bytes32);
    /// @notice The EIP-712 digest that an operator's signer signs for `answer`.
    function answerDigest(Answer calldata answer_) external view returns (bytes32);
    /// @notice The EIP-712 digest that an operator's signer signs for `answerBatch`, of its answers in their order.
    function answerBatchDigest(Answer[] calldata answers) external view returns (bytes32);
    /// @notice The EIP-712 digest that an operator's signer signs for `accept`.
    function acceptDigest(Accept calldata acceptance) external view returns (bytes32);
    /// @notice Smallest bond for a fee on a model, in OPG base units: the model's minimum or, where that is more,
    ///         `BOND_MULTIPLE` times the fee.
    /// @dev Reverts with `SafeCastOverflowedUintDowncast` where that does not fit 96 bits.
    function minimumBond(bytes32 modelId, uint96 fee) external view returns (uint96);
    /// @notice Last second to which disputes can push the finality of a request's answer.
    function disputeLimit(InferenceRequest calldata terms) external view returns (uint256);

    /// @notice The ERC-20 in which everything is paid: OPG.
    function TOKEN() external view returns (address);
    /// @notice The staking contract, which locks and slashes bonds.
    function STAKING() external view returns (address);
    /// @notice The registry of the models that can be asked.
    function REGISTRY() external view returns (address);
    /// @notice The one address that may suspend, resume and void answers; zero where there is none.
    function COURT() external view returns (address);

    /// @notice Longest time from a request to its deadline, in seconds.
    function MAX_TTL() external view returns (uint40);
    /// @notice Longest challenge window, in seconds.
    function MAX_WINDOW() external view returns (uint32);
    /// @notice Seconds that disputes may add to the latest end of a challenge window.
    function DISPUTE_ALLOWANCE() external view returns (uint40);
    /// @notice Longest input, in bytes.
    function MAX_INPUT_BYTES() external view returns (uint256);
    /// @notice Longest result of an answer, in bytes.
    function MAX_RESULT_BYTES() external view returns (uint256);
    /// @notice Most answers in one batch.
    function MAX_ANSWER_BATCH() external view returns (uint256);
    /// @notice Most gas that a consumer's notice can be promised.
    function MAX_CALLBACK_GAS() external view returns (uint32);
    /// @notice Smallest bond as a multiple of the fee.
    function BOND_MULTIPLE() external view returns (uint256);
    /// @notice Penalty of silence as a multiple of the fee.
    function LIVENESS_MULTIPLE() external view returns (uint256);
    /// @notice The requester's share of the penalty of silence, in basis points; the rest is burned.
    function DEFAULT_REQUESTER_BPS() external view returns (uint16);
    /// @notice The requester's share of the bond of a voided answer, in basis points.
    function FRAUD_REQUESTER_BPS() external view returns (uint16);
    /// @notice The watcher's share of the bond of a voided answer, in basis points; what both shares leave is burned.
    function FRAUD_WATCHER_BPS() external view returns (uint16);
}
