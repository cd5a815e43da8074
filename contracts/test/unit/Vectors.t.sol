// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {InferenceOracle} from "../../src/InferenceOracle.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {OperatorStaking} from "../../src/OperatorStaking.sol";
import {Accept} from "../../src/types/Accept.sol";
import {Answer} from "../../src/types/Answer.sol";
import {InferenceRequest} from "../../src/types/InferenceRequest.sol";
import {ModelTerms} from "../../src/types/ModelTerms.sol";
import {Shipped} from "../support/Shipped.sol";

/// @notice The contracts against the vectors they share with Python (`tests/vectors/`), which `tests/chain` holds to
///         the Python core: what one signs, the other checks.
contract VectorsTest is Test {
    string private constant REQUEST =
        "InferenceRequest(address requester,uint64 nonce,address consumer,bytes32 modelId,bytes32 inputHash,address operator,uint96 fee,uint96 bond,uint96 valueAtRisk,uint40 deadline,uint32 window,uint32 callbackGasLimit,bool eager)";
    string private constant ACCEPT = "Accept(bytes32 requestId,address operator,uint40 validUntil)";
    string private constant ANSWER =
        "Answer(bytes32 requestId,address operator,bytes32 modelId,bytes32 inputHash,bytes32 resultHash,bytes32 traceRoot)";
    string private constant MODEL =
        "ModelTerms(bytes32 programRoot,bytes32 profileHash,bytes32 schemaHash,uint8 tier,uint32 challengeWindow,uint32 revealWindow,uint96 minBond,uint96 epsilon)";
    address private constant TOKEN = address(1);

    string private json;
    InferenceOracle private oracle;
    ModelRegistry private registry;

    /// @dev The vectors' chain, and on it the oracle at the vectors' address.
    function setUp() public {
        json = vm.readFile("tests/vectors/eip712.json");
        vm.chainId(vm.parseJsonUint(json, ".domain.chainId"));
        oracle = InferenceOracle(vm.parseJsonAddress(json, ".domain.verifyingContract"));
        registry = Shipped.registry(address(0), 1, 2);
        OperatorStaking staking = Shipped.staking(TOKEN, address(oracle), address(0), 3, 0);
        bytes memory arguments = abi.encode(TOKEN, address(staking), address(registry), address(0), 1, 1, 1);
        Shipped.createAt(address(oracle), "InferenceOracle", arguments);
    }

    function test_DomainSeparator() public view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            oracle.eip712Domain();
        bytes32 domainType =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 separator = keccak256(
            abi.encode(domainType, keccak256(bytes(name)), keccak256(bytes(version)), chainId, verifyingContract)
        );
        assertEq(separator, vm.parseJsonBytes32(json, ".domain.separator"));
    }

    function test_Requests() public view {
        InferenceRequest[] memory requests =
            abi.decode(vm.parseJsonTypeArray(json, ".requests", REQUEST), (InferenceRequest[]));
        assertEq(requests.length, 3);
        for (uint256 i; i < requests.length; ++i) {
            _assertSigned(oracle.requestIdOf(requests[i]), _entry(".requests", i), ".id");
        }
    }

    function test_Accepts() public view {
        Accept[] memory accepts = abi.decode(vm.parseJsonTypeArray(json, ".accepts", ACCEPT), (Accept[]));
        assertEq(accepts.length, 1);
        for (uint256 i; i < accepts.length; ++i) {
            _assertSigned(oracle.acceptDigest(accepts[i]), _entry(".accepts", i), ".digest");
        }
    }

    function test_Answers() public view {
        Answer[] memory answers = _answers();
        assertEq(answers.length, 3);
        for (uint256 i; i < answers.length; ++i) {
            _assertSigned(oracle.answerDigest(answers[i]), _entry(".answers", i), ".digest");
        }
    }

    /// @dev The batch of `count` is that of the first `count` answers.
    function test_Batches() public view {
        Answer[] memory answers = _answers();
        for (uint256 i; i < answers.length; ++i) {
            string memory entry = _entry(".batches", i);
            Answer[] memory batch = new Answer[](vm.parseJsonUint(json, string.concat(entry, ".count")));
            assertEq(batch.length, i + 1);
            for (uint256 j; j < batch.length; ++j) {
                batch[j] = answers[j];
            }
            _assertSigned(oracle.answerBatchDigest(batch), entry, ".digest");
        }
    }

    function test_ModelIds() public view {
        ModelTerms[] memory models = abi.decode(vm.parseJsonTypeArray(json, ".models", MODEL), (ModelTerms[]));
        assertEq(models.length, 2);
        for (uint256 i; i < models.length; ++i) {
            string memory entry = _entry(".models", i);
            address registrar = vm.parseJsonAddress(json, string.concat(entry, ".registrar"));
            bytes32 expected = vm.parseJsonBytes32(json, string.concat(entry, ".id"));
            assertEq(registry.modelIdOf(models[i], registrar), expected);
        }
    }

    function _answers() private view returns (Answer[] memory) {
        return abi.decode(vm.parseJsonTypeArray(json, ".answers", ANSWER), (Answer[]));
    }

    function _entry(string memory list, uint256 index) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(index), "]");
    }

    /// @dev The digest is the vector's, and the vector's signature of it is the signer's.
    function _assertSigned(bytes32 digest, string memory entry, string memory key) private view {
        assertEq(digest, vm.parseJsonBytes32(json, string.concat(entry, key)), entry);
        bytes memory signature = vm.parseJsonBytes(json, string.concat(entry, ".signature"));
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        address recovered = ecrecover(digest, uint8(signature[64]), r, s);
        assertEq(recovered, vm.parseJsonAddress(json, ".signer"), entry);
    }
}
