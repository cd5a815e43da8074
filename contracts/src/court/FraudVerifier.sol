// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IFraudVerifier} from "../interfaces/IFraudVerifier.sol";
import {Tier} from "../types/ModelTerms.sol";
import {Case, IRules, Verdict} from "./Case.sol";
import {ElementType} from "./ElementType.sol";
import {Gather, Gathered} from "./Gather.sol";
import {Interface} from "./Interface.sol";
import {Lookup} from "./Lookup.sol";
import {Nest, Site} from "./Nest.sol";
import {Opcode} from "./Opcode.sol";
import {Evidence, Openings, Shown} from "./Openings.sol";
import {Instruction, ProgramRecord, Tensor} from "./ProgramRecord.sol";
import {ElementProof, EmptyProof, FraudKind, InterfaceProof, Place, ProgramHeader, TraceClaim} from "./Proof.sol";
import {Sha256Tree} from "./Sha256Tree.sol";
import {Family, Signature, Signatures} from "./Signature.sol";

/// @title Judges one element of a committed run
/// @notice A proof is a `FraudKind`, one word, and the ABI encoding of that kind's struct (`Proof.sol`).
/// @dev Puts together what was proven (`Openings`), what an element is computed from (`Nest`, `Lookup`) and the rules, which
///      lie in contracts of their own. Holds nothing, trusts nobody, and has no say in money.
contract FraudVerifier is IFraudVerifier {
    /// @notice Larger results do not fit a transaction: their answer is the empty result.
    uint256 public constant MAX_RESULT_BYTES = 98_304;

    IRules public immutable ARITHMETIC;
    IRules public immutable ELEMENTARY;
    IRules public immutable SELECTION;
    IRules public immutable QUANTISED;
    IRules public immutable SUM;

    error ResultIsEmpty();
    error ResultIsNotEmpty();
    error MessageMismatch(bytes32 expected, bytes32 actual);
    error NotTheInterface(uint256 record);
    error NotAnInstruction();
    error ElementNotShown(uint256 position);
    error LeavesOutside(uint256 first, uint256 count, uint256 leaves);
    error HeadOutside(uint256 offset, uint256 length);

    constructor(IRules arithmetic, IRules elementary, IRules selection, IRules quantised, IRules sum) {
        ARITHMETIC = arithmetic;
        ELEMENTARY = elementary;
        SELECTION = selection;
        QUANTISED = quantised;
        SUM = sum;
    }

    /// @inheritdoc IFraudVerifier
    function judge(Claim calldata claim, bytes calldata proof) external view returns (Verdict) {
        FraudKind kind = abi.decode(proof[:32], (FraudKind));
        bytes calldata body = proof[32:];
        uint256 head = _head(body);
        if (kind == FraudKind.Element) {
            ElementProof calldata element;
            assembly ("memory-safe") {
                element := head
            }
            return _judgeElement(claim, element);
        }
        if (kind == FraudKind.Empty) {
            EmptyProof calldata empty;
            assembly ("memory-safe") {
                empty := head
            }
            return _judgeEmpty(claim, empty);
        }
        InterfaceProof calldata message;
        assembly ("memory-safe") {
            message := head
        }
        return _judgeMessage(claim, kind, message);
    }

    /// @inheritdoc IFraudVerifier
    function demandOf(bytes32 programRoot, bytes calldata encoded) external view returns (Demand memory demand) {
        uint256 head = _head(encoded);
        Place calldata place;
        assembly ("memory-safe") {
            place := head
        }
        ProgramRecord.requireHeader(place.header, programRoot);
        ProgramRecord.requireRecord(place.record, place.header);
        Tensor memory tensor;
        if (place.record.number == 0) {
            Tensor[] memory inputs = Interface.tensors(place.record.data, false);
            if (place.input >= inputs.length) revert Interface.TensorUnknown(place.input, inputs.length);
            tensor = inputs[place.input];
        } else {
            tensor = ProgramRecord.instruction(place.record.data).output;
        }
        if (place.row >= place.rows) revert Openings.RowOutside(place.row, place.rows);
        uint256 leafBytes = place.header.leafBytes;
        uint256 byteCount = tensor.count * ElementType.size(tensor.elementType);
        uint256 leaves = (byteCount + leafBytes - 1) / leafBytes;
        if (place.count == 0 || place.first >= leaves || place.count > leaves - place.first) {
            revert LeavesOutside(place.first, place.count, leaves);
        }
        return Demand({
            rows: SafeCast.toUint32(place.rows),
            row: SafeCast.toUint32(place.row),
            tensor: SafeCast.toUint32(tensor.number),
            firstLeaf: SafeCast.toUint32(tensor.firstLeaf),
            rowLeafCount: SafeCast.toUint32(place.header.rowLeafCount),
            leafBytes: SafeCast.toUint32(leafBytes),
            byteCount: SafeCast.toUint32(byteCount),
            first: SafeCast.toUint32(place.first),
            count: SafeCast.toUint32(place.count)
        });
    }

    /// @inheritdoc IFraudVerifier
    function isRevealed(
        bytes32 programRoot,
        bytes32 traceRoot,
        Demand calldata demand,
        bytes calldata data,
        bytes32[] calldata path
    ) external view returns (bool) {
        uint256 leafBytes = demand.leafBytes;
        uint256 begin = demand.first * leafBytes;
        uint256 end = begin + demand.count * leafBytes;
        if (end > demand.byteCount) end = demand.byteCount;
        if (data.length != end - begin) return false;
        uint256 head = uint256(uint32(Sha256Tree.TRACE)) << 96 | uint256(demand.row) << 64 | uint256(demand.tensor)
            << 32 | demand.first;
        bytes32 treeRoot = Sha256Tree.rootOf(
            uint256(demand.rows) * demand.rowLeafCount,
            uint256(demand.row) * demand.rowLeafCount + demand.firstLeaf + demand.first,
            head,
            data,
            leafBytes,
            path
        );
        return Sha256Tree.traceRoot(programRoot, demand.rows, treeRoot) == traceRoot;
    }

    /// @inheritdoc IFraudVerifier
    function rowsOf(bytes32 programRoot, bytes32 traceRoot, uint32 rows, bytes32 treeRoot)
        external
        pure
        returns (bool)
    {
        return Sha256Tree.traceRoot(programRoot, rows, treeRoot) == traceRoot;
    }

    // ---- an element of the trace

    function _judgeElement(Claim calldata claim, ElementProof calldata proof) private view returns (Verdict) {
        _requireProgram(claim, proof.header, proof.trace);
        ProgramRecord.requireRecord(proof.record, proof.header);
        if (proof.record.number == 0) revert NotAnInstruction();
        bytes calldata record = proof.record.data;
        Instruction memory step = ProgramRecord.instruction(record);
        uint256[] memory index = Nest.domainIndex(step, record, proof.position);

        Case memory case_;
        case_.opcode = step.opcode;
        case_.tier = Tier(proof.header.tier);
        case_.outputType = step.output.elementType;
        case_.claimed = _claimed(proof, step.output);
        case_.attributes = step.attributes;
        if (step.domainRank != 0) case_.rank = index[step.domainRank - 1];

        Signature memory signature = Signatures.signatureOf(step.opcode);
        if (!Signatures.admits(signature, step)) return Verdict.Undefined;
        Site memory site = Site({
            step: step,
            index: index,
            evidence: Openings.proveOperands(proof.operands, step, proof.header, proof.trace, proof.row)
        });
        if (step.opcode == Opcode.GATHER) {
            (bool defined, uint256 bits) = Lookup.gather(site, record);
            return defined ? _judgeFound(case_, step.operands[0].tensor, bits) : Verdict.Undefined;
        }
        if (step.opcode == Opcode.TREE) {
            (bool defined, uint256 bits) = Lookup.tree(site, record);
            return defined ? _judgeFound(case_, step.operands[2].tensor, bits) : Verdict.Undefined;
        }
        return _judgeNest(case_, site, record, signature);
    }

    function _judgeNest(Case memory case_, Site memory site, bytes calldata record, Signature memory signature)
        private
        view
        returns (Verdict)
    {
        Instruction memory step = site.step;
        uint256 operands = step.operands.length;
        case_.operandTypes = new uint256[](operands);
        case_.operands = new bytes[](operands);
        for (uint256 number; number < operands; ++number) {
            case_.operandTypes[number] = step.operands[number].tensor.elementType;
        }
        if (signature.perTap != 0) {
            Gathered memory found = Gather.gather(site, record, signature.perTap, signature.numbered);
            if (!found.defined) return Verdict.Undefined;
            for (uint256 number; number < signature.perTap; ++number) {
                case_.operands[number] = found.operands[number];
            }
            case_.taps = found.taps;
        }
        for (uint256 number = signature.perTap; number < operands; ++number) {
            (bool holds, int256 position) = Nest.positionOf(step, record, step.operands[number], site.index);
            if (!holds) {
                if (step.opcode == Opcode.COPY) continue;
                return Verdict.Undefined;
            }
            if (!Nest.isInside(step.operands[number], position)) return Verdict.Undefined;
            // Of a copy, the operands after the one that counts need not be shown.
            case_.operands[number] = _packed(site.evidence[number], uint256(position));
            if (step.opcode == Opcode.COPY) break;
        }
        return _rule(case_, signature.family);
    }

    /// @dev GATHER and TREE: the element that was led to is the only operand.
    function _judgeFound(Case memory case_, Tensor memory source, uint256 bits) private view returns (Verdict) {
        case_.operandTypes = new uint256[](1);
        case_.operandTypes[0] = source.elementType;
        case_.operands = new bytes[](1);
        uint256 bytes_ = ElementType.size(source.elementType);
        case_.operands[0] = _bytes(ElementType.reversed(bits, bytes_), bytes_);
        return SELECTION.judge(case_);
    }

    function _rule(Case memory case_, Family family) private view returns (Verdict) {
        if (family == Family.Sum) {
            // Sums of integers are exact.
            return ElementType.isInteger(case_.outputType) ? SELECTION.judge(case_) : SUM.judge(case_);
        }
        if (family == Family.Arithmetic) return ARITHMETIC.judge(case_);
        if (family == Family.Elementary) return ELEMENTARY.judge(case_);
        if (family == Family.Selection) return SELECTION.judge(case_);
        return QUANTISED.judge(case_);
    }

    function _claimed(ElementProof calldata proof, Tensor memory output) private view returns (uint256) {
        Shown memory shown;
        Openings.prove(proof.output, output, proof.header, proof.trace, proof.row, shown);
        return _shownElement(shown, output, proof.position);
    }

    // ---- inputs and outputs

    function _judgeMessage(Claim calldata claim, FraudKind kind, InterfaceProof calldata proof)
        private
        view
        returns (Verdict)
    {
        _requireProgram(claim, proof.header, proof.trace);
        ProgramRecord.requireRecord(proof.record, proof.header);
        if (proof.record.number != 0) revert NotTheInterface(proof.record.number);
        bool isOutput = kind == FraudKind.Output;
        bytes32 expected = isOutput ? claim.resultHash : claim.inputHash;
        bytes32 actual = sha256(proof.message);
        if (actual != expected) revert MessageMismatch(expected, actual);

        uint256 rows = proof.trace.rows;
        if (kind == FraudKind.Rows) {
            return Interface.rowsOf(proof.record.data, proof.message) == rows ? Verdict.Within : Verdict.Violated;
        }
        Tensor[] memory all = Interface.tensors(proof.record.data, isOutput);
        uint256 length = rows * Interface.rowBytes(all);
        if (proof.message.length != length) {
            if (!isOutput) revert Interface.MessageLength(length, proof.message.length);
            if (proof.message.length == 0) revert ResultIsEmpty();
            return Verdict.Violated;
        }
        uint256 said = Interface.element(all, proof.message, rows, proof.row, proof.tensor, proof.position);
        Tensor memory tensor = all[proof.tensor];
        Shown memory shown;
        Openings.prove(proof.leaves, tensor, proof.header, proof.trace, proof.row, shown);
        return _shownElement(shown, tensor, proof.position) == said ? Verdict.Within : Verdict.Violated;
    }

    /// @dev The empty result says that there is nothing to post: the input is malformed, and then the trace has no rows, or
    ///      the outputs do not fit a transaction. What the outputs are does not matter: NaN is posted like any other number.
    function _judgeEmpty(Claim calldata claim, EmptyProof calldata proof) private view returns (Verdict) {
        _requireProgram(claim, proof.header, proof.trace);
        ProgramRecord.requireRecord(proof.record, proof.header);
        if (proof.record.number != 0) revert NotTheInterface(proof.record.number);
        if (claim.resultHash != sha256("")) revert ResultIsNotEmpty();

        uint256 rows = proof.trace.rows;
        uint256 rowBytes = Interface.rowBytes(Interface.tensors(proof.record.data, true));
        return rows == 0 || rows * rowBytes > MAX_RESULT_BYTES ? Verdict.Within : Verdict.Violated;
    }

    // ---- helpers

    /// @dev Where in calldata the head of one ABI-encoded dynamic tuple lies: its place comes first. Solidity checks every
    ///      offset in it against the end of calldata when it is followed, but a head that began before the bytes, or ran
    ///      over the end of the address space, would be hashed as other words than are read.
    function _head(bytes calldata encoded) private pure returns (uint256 head) {
        uint256 offset = abi.decode(encoded[:32], (uint256));
        if (offset >= encoded.length) revert HeadOutside(offset, encoded.length);
        assembly ("memory-safe") {
            head := add(encoded.offset, offset)
        }
    }

    function _requireProgram(Claim calldata claim, ProgramHeader calldata header, TraceClaim calldata trace)
        private
        view
    {
        ProgramRecord.requireHeader(header, claim.programRoot);
        Openings.requireTrace(trace, claim.programRoot, claim.traceRoot);
    }

    /// @dev An element that must lie in what was shown of its tensor.
    function _shownElement(Shown memory shown, Tensor memory tensor, uint256 position) private pure returns (uint256) {
        uint256 bytes_ = ElementType.size(tensor.elementType);
        uint256 offset = position * bytes_;
        if (offset < shown.begin || offset >= shown.end) revert ElementNotShown(position);
        return Openings.elementAt(shown.source + offset - shown.begin, bytes_);
    }

    function _packed(Evidence memory evidence, uint256 position) private pure returns (bytes memory) {
        return _bytes(ElementType.reversed(Openings.element(evidence, position), evidence.size), evidence.size);
    }

    /// @dev The low `bytes_` bytes of a number, the highest of them first.
    function _bytes(uint256 value, uint256 bytes_) private pure returns (bytes memory packed) {
        packed = new bytes(bytes_);
        assembly ("memory-safe") {
            mstore(add(packed, 0x20), shl(sub(256, shl(3, bytes_)), value))
        }
    }
}
