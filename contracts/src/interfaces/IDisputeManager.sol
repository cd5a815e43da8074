// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Verdict} from "../court/Case.sol";
import {AnswerCommitment} from "../types/Answer.sol";
import {RevealDemand, SignedAnswer} from "../types/Dispute.sol";
import {InferenceRequest} from "../types/InferenceRequest.sol";
import {ModelTerms} from "../types/ModelTerms.sol";
import {RequestState} from "../types/RequestState.sol";
import {IFraudVerifier} from "./IFraudVerifier.sol";

/// @title The court as everybody sees it
/// @notice The one address that may suspend or void an answer (`InferenceOracle`) and slash outside a request
///         (`OperatorStaking`). It is named in their constructors and never changes; a deployment without one names zero.
///         Four ways lead to a slash: a proof of one wrong element, a demand to reveal that nobody met, and two
///         contradicting signatures, of a live answer or of one that is over. Amounts are OPG base units, times Unix
///         seconds. While one function that changes anything runs, a consumer's notice included, every other of them
///         reverts with `ReentrancyGuardReentrantCall`.
interface IDisputeManager {
    /// @notice The watcher's share of a conviction whose sender had not announced it in time.
    /// @param holder Who gets it, as things stand.
    /// @param announcedAt When the holder announced its proof, or the conviction where it did not.
    /// @param priorityUntil Last second at which an earlier announcement takes the share.
    /// @param claimHash Keccak-256 of the ABI encoding of what was convicted.
    struct HeldShare {
        address holder;
        uint40 announcedAt;
        uint40 priorityUntil;
        uint96 amount;
        bytes32 claimHash;
    }

    /// @notice Somebody holds a proof, of whatever it may be.
    event ProofAnnounced(bytes32 indexed announcement);
    /// @notice An answer was convicted by a proof and voided.
    /// @param held The watcher's share where it is held for the priority period; zero where it was paid.
    event FraudProven(
        bytes32 indexed requestId,
        address indexed operator,
        address indexed watcher,
        IFraudVerifier.Claim claim,
        uint96 held
    );
    /// @notice A held share has another holder, who announced its proof earlier.
    event PriorityClaimed(bytes32 indexed requestId, address indexed holder, uint40 announcedAt);
    /// @notice A held share was credited to its holder, who may `claim` it.
    event ShareCollected(bytes32 indexed requestId, address indexed holder, uint96 amount);
    /// @notice An operator must show leaves of its trace. The demand is what later calls bring back.
    event RevealDemanded(
        bytes32 indexed requestId, address indexed operator, address indexed demander, RevealDemand demand
    );
    /// @notice A demand was met: the operator, or somebody for it, showed the leaves.
    /// @param data The leaves that were demanded, one after the other.
    /// @param path From them to the trace root: logged, so that whoever revealed through another contract hides nothing.
    event Revealed(bytes32 indexed requestId, uint32 indexed number, bytes data, bytes32[] path);
    /// @notice A demand was met: the trace has another number of rows than it supposes.
    /// @param rows What the trace root was made for.
    /// @param treeRoot The other half of what the trace root is the hash of.
    event DemandDismissed(bytes32 indexed requestId, uint32 indexed number, uint32 rows, bytes32 treeRoot);
    /// @notice A demand was not met in time: the answer is void, and the deposit credited to the demander.
    event RevealTimedOut(bytes32 indexed requestId, uint32 indexed number, address indexed demander);
    /// @notice A request ended while a demand was pending: the deposit is credited to the demander.
    event DemandRefunded(bytes32 indexed requestId, uint32 indexed number, address indexed demander);
    /// @notice An operator was slashed for two different answers to one request.
    /// @param first The EIP-712 struct hash of one answer that it signed.
    /// @param second That of the other.
    event EquivocationSlashed(
        bytes32 indexed requestId, address indexed operator, address indexed watcher, bytes32 first, bytes32 second
    );
    /// @notice An account's deposits, compensations and shares were paid to `to`.
    event Claimed(address indexed account, address to, uint96 amount);
    /// @notice What was to be burned was sent to the staking contract's `BURN_ADDRESS`.
    event Burned(uint96 amount);

    /// An address is needed, and none was given.
    error ZeroAddress();
    /// There is nothing to burn. Constructor: deposit, age and period are needed.
    error ZeroAmount();
    /// Constructor: the oracle names another court.
    error WiringMismatch(address contractAddress, address expected, address actual);
    /// Registrar and terms are not those of the request's model.
    error ModelMismatch(bytes32 expected, bytes32 actual);
    /// The model is of the tier that nobody can judge.
    error NotProvable(bytes32 modelId);
    /// The proof is well-formed, and what it shows convicts nobody.
    error NotViolated(Verdict verdict);
    /// No share of the request is held: it was paid at once or is collected, or there was no conviction.
    error NothingHeld(bytes32 requestId);
    /// The claim is not the one that was convicted.
    error ClaimMismatch(bytes32 requestId);
    /// The sender has not announced this proof, or not before the holder did.
    error NotAnnouncedEarlier(uint40 announcedAt, uint40 holderAnnouncedAt);
    /// The share was to be claimed until `priorityUntil`.
    error PriorityOver(uint40 priorityUntil);
    /// The share can be collected after `priorityUntil`.
    error PriorityNotOver(uint40 priorityUntil);
    /// The operator's time to show, and then the demander's to use it, would end after the oracle's `disputeLimit`.
    error DemandTooLate(uint256 end, uint256 disputeLimit);
    /// More than `MAX_REVEAL_BYTES` are demanded at once.
    error RevealTooLarge(uint256 byteCount, uint256 maximum);
    /// The deposit is above what the caller is ready to pay.
    error DepositAboveMaximum(uint256 deposit, uint96 maximum);
    /// The commitment is not that of the answer of which a reveal is due.
    error CommitmentMismatch(bytes32 requestId);
    /// The demand is about another request.
    error RequestMismatch(bytes32 expected, bytes32 actual);
    /// No reveal of the request's answer is due.
    error NotInDispute(bytes32 requestId, RequestState state);
    /// No such demand was made, or it is over.
    error DemandUnknown(bytes32 requestId, uint32 number);
    /// The demand was to be met until `deadline`.
    error RevealWindowOver(uint40 deadline);
    /// The demand may be met until `deadline`.
    error RevealWindowNotOver(uint40 deadline);
    /// Data and path do not lead to the trace root at the leaves that were demanded.
    error NotRevealed(bytes32 requestId, uint32 number);
    /// The trace root was not made for this number of rows, or it is the number that the demand supposes.
    error NotDismissed(bytes32 requestId, uint32 number);
    /// The request has not ended: the demand can be met or time out.
    error DisputeNotOver(bytes32 requestId, RequestState state);
    /// The answers are the same, or not both of this request and one operator.
    error NoContradiction(bytes32 requestId);
    /// No key that was ever the operator's signer has signed this.
    error NotSigner(address operator, address recovered);
    /// The posted answer is of another operator than the evidence.
    error WrongOperator(address expected, address actual);
    /// No bond of the request is or was at stake, or all of it was slashed.
    error NothingAtStake(bytes32 requestId, RequestState state);
    /// Nothing is credited to the account.
    error NothingToClaim(address account);
    /// The token moved another amount than it was asked to.
    error TransferMismatch(uint256 expected, uint256 received);

    // ---- fraud

    /// @notice Puts on record that its maker holds a proof, and shows nothing of it. Anyone may call it, and it costs gas
    ///         only. Later repetitions change nothing.
    /// @param announcement As `announcementOf`.
    function announce(bytes32 announcement) external;

    /// @notice Convicts an answer by one wrong element and slashes its operator, in this one transaction. A sender that
    ///         announced this proof at least `ANNOUNCEMENT_AGE` seconds ago gets the watcher's share at once, at the
    ///         staking contract. From any other it is held for `PRIORITY_PERIOD` seconds, for whoever was there before.
    ///         Anyone may call it, until the answer is final. No token moves; the oracle's `voidAnswer` says who gets what.
    /// @dev Reverts with `ModelMismatch`, `NotProvable` or `NotViolated`, as the verifier does where the proof is
    ///      malformed, and as the oracle's `voidAnswer` does.
    /// @param registrar Who registered the model.
    /// @param salt Of the sender's announcement; anything where there is none.
    function proveFraud(
        InferenceRequest calldata request,
        AnswerCommitment calldata commitment,
        address registrar,
        ModelTerms calldata terms,
        bytes calldata proof,
        bytes32 salt
    ) external;

    /// @notice Makes the sender the holder of a held share, by a proof of its own that it announced before the present
    ///         holder did. Anyone may call it, until the priority period is over.
    /// @dev Reverts with `NothingHeld`, `PriorityOver`, `ClaimMismatch`, `NotAnnouncedEarlier` or `NotViolated`.
    /// @param claim_ What was convicted, as `FraudProven` has it.
    function claimPriority(bytes32 requestId, IFraudVerifier.Claim calldata claim_, bytes calldata proof, bytes32 salt)
        external;

    /// @notice Credits a held share to its holder once the priority period is over. Anyone may call it; `claim` pays it.
    /// @dev Reverts with `NothingHeld` or `PriorityNotOver`.
    function collect(bytes32 requestId) external;

    // ---- reveals

    /// @notice Demands that the operator show leaves of its trace, and stops the answer's clock until it does. Anyone may
    ///         call it, until the answer is final. Pulls a deposit from the caller by ERC-20 allowance, `depositFor` OPG
    ///         base units, which is the caller's again where nobody meets the demand.
    /// @dev Reverts with `ModelMismatch`, `NotProvable`, `DemandTooLate`, `RevealTooLarge`, `DepositAboveMaximum`,
    ///      `CommitmentMismatch`, `NotInDispute` or `TransferMismatch`, as the verifier's `demandOf` does and, for the
    ///      first demand that is pending, as the oracle's `suspend` does.
    /// @param place As `IFraudVerifier.demandOf`.
    /// @param maxDeposit What the caller is ready to deposit, in OPG base units: others' demands make it dearer.
    /// @return number How many demands were made on the answer before this one.
    function demandReveal(
        InferenceRequest calldata request,
        AnswerCommitment calldata commitment,
        address registrar,
        ModelTerms calldata terms,
        bytes calldata place,
        uint96 maxDeposit
    ) external returns (uint32 number);

    /// @notice Meets a demand by showing the leaves, until its deadline. Anyone may call it. Of the deposit
    ///         `REVEAL_BURN_BPS` are burned, and the rest is credited to the operator's payout address, which may `claim`
    ///         it. With the last demand that is pending the answer's clock goes on.
    /// @dev Reverts with `RequestMismatch`, `DemandUnknown`, `RevealWindowOver`, `NotInDispute` or `NotRevealed`.
    function reveal(
        InferenceRequest calldata request,
        RevealDemand calldata demand,
        bytes calldata data,
        bytes32[] calldata path
    ) external;

    /// @notice Meets a demand, as `reveal` does, by showing that the trace has another number of rows than it supposes.
    ///         Anyone may call it.
    /// @dev Reverts with `RequestMismatch`, `DemandUnknown`, `RevealWindowOver`, `NotInDispute` or `NotDismissed`.
    function dismiss(InferenceRequest calldata request, RevealDemand calldata demand, uint32 rows, bytes32 treeRoot)
        external;

    /// @notice Voids an answer of which a demand was not met in time. Anyone may call it. The deposit is credited to the
    ///         demander, who may `claim` it and is the watcher of the oracle's `voidAnswer`.
    /// @dev Reverts with `RequestMismatch`, `RevealWindowNotOver` or `DemandUnknown`, and as `voidAnswer` does.
    function revealTimeout(InferenceRequest calldata request, RevealDemand calldata demand) external;

    /// @notice Credits the deposit of a demand that was pending when its request came to an end to the demander, who may
    ///         `claim` it. Anyone may call it.
    /// @dev Reverts with `DisputeNotOver` or `DemandUnknown`.
    function refundDemand(RevealDemand calldata demand) external;

    // ---- equivocation

    /// @notice Slashes an operator that signed two different answers to one request, for as long as it has stake: up to
    ///         the request's bond, once. Anyone may call it, and the sender is the watcher. An answer that is not final is
    ///         voided, as the oracle's `voidAnswer` says; of a request that is Settled or Defaulted, requester and watcher
    ///         have the same shares of what is left to take, to claim at the staking contract.
    /// @dev Reverts with `NoContradiction`, `NotSigner`, `WrongOperator` or `NothingAtStake`, and as `voidAnswer` does.
    /// @param commitment The posted answer; not looked at where the request is over.
    function slashEquivocation(
        InferenceRequest calldata request,
        AnswerCommitment calldata commitment,
        SignedAnswer calldata first,
        SignedAnswer calldata second
    ) external;

    // ---- money

    /// @notice Pays all that is credited to the caller, its deposits, compensations and shares, to `to`.
    /// @dev Reverts with `ZeroAddress`, `NothingToClaim` or `TransferMismatch`.
    /// @return amount What was paid, in OPG base units.
    function claim(address to) external returns (uint96 amount);

    /// @notice Sends what is to be burned to where the staking contract sends it. Anyone may call it.
    /// @dev Reverts with `ZeroAmount` where there is nothing.
    /// @return amount What was sent, in OPG base units.
    function burn() external returns (uint96 amount);

    // ---- views

    /// @notice What `announce` takes for a proof: the Keccak-256 of the ABI encoding of these four.
    function announcementOf(address watcher, bytes32 requestId, bytes32 proofHash, bytes32 salt)
        external
        pure
        returns (bytes32);
    /// @notice When an announcement was made; zero where it was not, or where its proof has convicted and was paid at once.
    function announcedAt(bytes32 announcement) external view returns (uint40);
    /// @notice The watcher's share of a conviction that waits for `collect`; all zero where there is none.
    function heldShareOf(bytes32 requestId) external view returns (HeldShare memory);
    /// @notice What the next demand on an answer costs, in OPG base units: `BASE_DEPOSIT` for each begun KiB of its
    ///         leaves, as much again for every 16 demands that were ever made on it, doubled for each that is pending.
    function depositFor(bytes32 requestId, uint256 byteCount) external view returns (uint256);
    /// @notice Demands made on an answer, and how many of them are not over.
    function demandsOf(bytes32 requestId) external view returns (uint32 made, uint16 pending);
    /// @notice Demands ever made on answers of an operator: it tells by them whether it has read the logs of them all.
    function demandsAgainst(address operator) external view returns (uint64);
    /// @notice Whether a demand is neither met nor over.
    function isPending(RevealDemand calldata demand) external view returns (bool);
    /// @notice What an operator has paid, after the end of a request, for contradicting itself about it, in OPG base
    ///         units.
    function equivocationSlashed(bytes32 requestId, address operator) external view returns (uint96);
    /// @notice What `claim` would pay an account, in OPG base units.
    function claimable(address account) external view returns (uint96);
    /// @notice What `burn` would send, in OPG base units.
    function pendingBurn() external view returns (uint96);

    /// @notice The ERC-20 of deposits and shares: OPG.
    function TOKEN() external view returns (address);
    /// @notice The oracle whose answers are judged here.
    function ORACLE() external view returns (address);
    /// @notice The staking contract that is slashed.
    function STAKING() external view returns (address);
    /// @notice What judges proofs and reveals: an `IFraudVerifier`.
    function VERIFIER() external view returns (address);
    /// @notice The deposit of a first demand of a KiB, in OPG base units.
    function BASE_DEPOSIT() external view returns (uint64);
    /// @notice Seconds by which an announcement must precede a conviction that is paid at once.
    function ANNOUNCEMENT_AGE() external view returns (uint32);
    /// @notice Seconds for which any other conviction's share is held.
    function PRIORITY_PERIOD() external view returns (uint32);
    /// @notice Most bytes of leaves that one demand may ask for.
    function MAX_REVEAL_BYTES() external view returns (uint256);
    /// @notice The part of a met demand's deposit that is burned, in basis points.
    function REVEAL_BURN_BPS() external view returns (uint16);
}
