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
///         contradicting signatures, of a live answer or of one that is over.
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

    event ProofAnnounced(bytes32 indexed announcement);
    /// @param held The watcher's share where it is held for the priority period; zero where it was paid.
    event FraudProven(
        bytes32 indexed requestId,
        address indexed operator,
        address indexed watcher,
        IFraudVerifier.Claim claim,
        uint96 held
    );
    event PriorityClaimed(bytes32 indexed requestId, address indexed holder, uint40 announcedAt);
    event ShareCollected(bytes32 indexed requestId, address indexed holder, uint96 amount);
    event RevealDemanded(
        bytes32 indexed requestId, address indexed operator, address indexed demander, RevealDemand demand
    );
    /// @param data The leaves that were demanded, one after the other.
    /// @param path From them to the trace root: logged, so that whoever revealed through another contract hides nothing.
    event Revealed(bytes32 indexed requestId, uint32 indexed number, bytes data, bytes32[] path);
    /// @param rows What the trace root was made for.
    /// @param treeRoot The other half of what the trace root is the hash of.
    event DemandDismissed(bytes32 indexed requestId, uint32 indexed number, uint32 rows, bytes32 treeRoot);
    event RevealTimedOut(bytes32 indexed requestId, uint32 indexed number, address indexed demander);
    event DemandRefunded(bytes32 indexed requestId, uint32 indexed number, address indexed demander);
    event EquivocationSlashed(
        bytes32 indexed requestId, address indexed operator, address indexed watcher, bytes32 first, bytes32 second
    );
    event Claimed(address indexed account, address to, uint96 amount);
    event Burned(uint96 amount);

    error ZeroAddress();
    error ZeroAmount();
    /// Constructor: the oracle names another court.
    error WiringMismatch(address contractAddress, address expected, address actual);
    error ModelMismatch(bytes32 expected, bytes32 actual);
    /// The model is of the tier that nobody can judge.
    error NotProvable(bytes32 modelId);
    error NotViolated(Verdict verdict);
    error NothingHeld(bytes32 requestId);
    error ClaimMismatch(bytes32 requestId);
    error NotAnnouncedEarlier(uint40 announcedAt, uint40 holderAnnouncedAt);
    error PriorityOver(uint40 priorityUntil);
    error PriorityNotOver(uint40 priorityUntil);
    /// The model gives its operators no time to reveal anything, so nothing can be demanded.
    error RevealsNotOffered(bytes32 modelId);
    error DemandTooLate(uint256 end, uint256 disputeLimit);
    error RevealTooLarge(uint256 byteCount, uint256 maximum);
    error DepositAboveMaximum(uint256 deposit, uint96 maximum);
    error CommitmentMismatch(bytes32 requestId);
    error RequestMismatch(bytes32 expected, bytes32 actual);
    error NotInDispute(bytes32 requestId, RequestState state);
    /// No such demand was made, or it is over.
    error DemandUnknown(bytes32 requestId, uint32 number);
    error RevealWindowOver(uint40 deadline);
    error RevealWindowNotOver(uint40 deadline);
    error NotRevealed(bytes32 requestId, uint32 number);
    error NotDismissed(bytes32 requestId, uint32 number);
    error DisputeNotOver(bytes32 requestId, RequestState state);
    error NoContradiction(bytes32 requestId);
    error NotSigner(address operator, address recovered);
    error WrongOperator(address expected, address actual);
    /// No bond of the request is or was at stake, or all of it was slashed.
    error NothingAtStake(bytes32 requestId, RequestState state);
    error NothingToClaim(address account);
    error TransferMismatch(uint256 expected, uint256 received);

    // ---- fraud

    /// @notice Puts on record that its maker holds a proof, and shows nothing of it. Later repetitions change nothing.
    /// @param announcement As `announcementOf`.
    function announce(bytes32 announcement) external;

    /// @notice Convicts an answer by one wrong element and slashes its operator, in this one transaction. A sender that
    ///         announced this proof at least `ANNOUNCEMENT_AGE` seconds ago gets the watcher's share at once, at the
    ///         staking contract. From any other it is held for `PRIORITY_PERIOD` seconds, for whoever was there before.
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

    /// @notice Takes a held share by a proof of its own that the sender announced before the holder did.
    /// @param claim_ What was convicted, as `FraudProven` has it.
    function claimPriority(bytes32 requestId, IFraudVerifier.Claim calldata claim_, bytes calldata proof, bytes32 salt)
        external;

    /// @notice Credits a held share to its holder once the priority period is over. Anyone may call it.
    function collect(bytes32 requestId) external;

    // ---- reveals

    /// @notice Demands that the operator show leaves of its trace, and stops the answer's clock until it does. Costs a
    ///         deposit, which is the caller's again where nobody meets the demand.
    /// @param place As `IFraudVerifier.demandOf`.
    /// @param maxDeposit What the caller is ready to deposit: others' demands make it dearer.
    function demandReveal(
        InferenceRequest calldata request,
        AnswerCommitment calldata commitment,
        address registrar,
        ModelTerms calldata terms,
        bytes calldata place,
        uint96 maxDeposit
    ) external returns (uint32 number);

    /// @notice Meets a demand. Anyone may; the operator's payout address gets half of the deposit, the rest is burned.
    function reveal(
        InferenceRequest calldata request,
        RevealDemand calldata demand,
        bytes calldata data,
        bytes32[] calldata path
    ) external;

    /// @notice Meets a demand by showing that the trace has another number of rows than it supposes.
    function dismiss(InferenceRequest calldata request, RevealDemand calldata demand, uint32 rows, bytes32 treeRoot)
        external;

    /// @notice Voids an answer of which a demand was not met in time. Anyone may call it; the demander is the watcher.
    function revealTimeout(InferenceRequest calldata request, RevealDemand calldata demand) external;

    /// @notice Gives back the deposit of a demand that was pending when its request came to an end. Anyone may call it.
    function refundDemand(RevealDemand calldata demand) external;

    // ---- equivocation

    /// @notice Slashes an operator that signed two different answers to one request, for as long as it has stake: up to
    ///         the request's bond, once. An answer that is not final is voided. The sender is the watcher.
    /// @param commitment The posted answer; not looked at where the request is over.
    function slashEquivocation(
        InferenceRequest calldata request,
        AnswerCommitment calldata commitment,
        SignedAnswer calldata first,
        SignedAnswer calldata second
    ) external;

    // ---- money

    /// @notice Pays the caller's deposits, compensations and shares to `to`.
    function claim(address to) external returns (uint96 amount);

    /// @notice Sends what is to be burned to where the staking contract sends it. Anyone may call it.
    function burn() external returns (uint96 amount);

    // ---- views

    function announcementOf(address watcher, bytes32 requestId, bytes32 proofHash, bytes32 salt)
        external
        pure
        returns (bytes32);
    /// @notice When an announcement was made; zero where it was not, or where its proof has convicted and was paid at once.
    function announcedAt(bytes32 announcement) external view returns (uint40);
    function heldShareOf(bytes32 requestId) external view returns (HeldShare memory);
    /// @notice What the next demand on an answer costs: `BASE_DEPOSIT` for each begun KiB of its leaves, as much again for
    ///         every 16 demands that were ever made on it, doubled for each that is pending.
    function depositFor(bytes32 requestId, uint256 byteCount) external view returns (uint256);
    /// @notice Demands made on an answer, and how many of them are not over.
    function demandsOf(bytes32 requestId) external view returns (uint32 made, uint16 pending);
    /// @notice Whether a demand is neither met nor over.
    function isPending(RevealDemand calldata demand) external view returns (bool);
    /// @notice What an operator has paid, after the end of a request, for contradicting itself about it.
    function equivocationSlashed(bytes32 requestId, address operator) external view returns (uint96);
    function claimable(address account) external view returns (uint96);
    function pendingBurn() external view returns (uint96);

    function TOKEN() external view returns (address);
    function ORACLE() external view returns (address);
    function STAKING() external view returns (address);
    function VERIFIER() external view returns (address);
    /// @notice The deposit of a first demand of a KiB, in OPG base units.
    function BASE_DEPOSIT() external view returns (uint64);
    /// @notice Seconds by which an announcement must precede a conviction that is paid at once.
    function ANNOUNCEMENT_AGE() external view returns (uint32);
    /// @notice Seconds for which any other conviction's share is held.
    function PRIORITY_PERIOD() external view returns (uint32);
    /// @notice Most bytes of leaves that one demand may ask for.
    function MAX_REVEAL_BYTES() external view returns (uint256);
    /// @notice The part of a met demand's deposit that is burned.
    function REVEAL_BURN_BPS() external view returns (uint16);
}
