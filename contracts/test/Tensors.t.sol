// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {Tensors} from "../src/libraries/Tensors.sol";

/// @notice The library behind external calls, so that its readers see calldata and its reverts can be expected.
contract TensorsCaller {
    function int64At(bytes calldata data, uint256 index) external pure returns (int64) {
        return Tensors.int64At(data, index);
    }

    function int32At(bytes calldata data, uint256 index) external pure returns (int32) {
        return Tensors.int32At(data, index);
    }

    function uint8At(bytes calldata data, uint256 index) external pure returns (uint8) {
        return Tensors.uint8At(data, index);
    }

    function boolAt(bytes calldata data, uint256 index) external pure returns (bool) {
        return Tensors.boolAt(data, index);
    }

    function float32At(bytes calldata data, uint256 index) external pure returns (uint32) {
        return Tensors.float32At(data, index);
    }

    function float64At(bytes calldata data, uint256 index) external pure returns (uint64) {
        return Tensors.float64At(data, index);
    }

    function fixedAt(bytes calldata data, uint256 index) external pure returns (int256) {
        return Tensors.fixedAt(data, index);
    }

    /// @dev Reads behind the first `skip` bytes, as a consumer reads its second tensor.
    function float32AtBehind(bytes calldata data, uint256 skip, uint256 index) external pure returns (uint32) {
        return Tensors.float32At(data[skip:], index);
    }

    function argmax(bytes calldata data, uint256 first, uint256 count) external pure returns (uint256) {
        return Tensors.argmax(data, first, count);
    }

    function float32AtMemory(bytes memory data, uint256 index) external pure returns (uint32) {
        return Tensors.float32AtMemory(data, index);
    }

    function boolAtMemory(bytes memory data, uint256 index) external pure returns (bool) {
        return Tensors.boolAtMemory(data, index);
    }

    function toFixed(uint32 bits) external pure returns (int256) {
        return Tensors.toFixed(bits);
    }

    function toFloat32(int256 value) external pure returns (uint32) {
        return Tensors.toFloat32(value);
    }

    function compare(uint32 a, uint32 b) external pure returns (int256) {
        return Tensors.compare(a, b);
    }
}

/// @notice Expected values were computed with numpy and exact fractions, apart from the library's own method.
contract TensorsTest is Test {
    uint32 private constant POSITIVE_INFINITY = 0x7f800000;
    uint32 private constant NEGATIVE_INFINITY = 0xff800000;
    uint32 private constant QUIET_NAN = 0x7fc00000;
    uint32 private constant LARGEST = 0x7f7fffff;
    string private constant VECTORS = "tests/vectors/tensors.json";

    TensorsCaller private tensors = new TensorsCaller();

    // ---- reading

    /// np.array([1, -2, 2**63 - 1, -2**63, 0x0102030405060708], '<i8')
    function test_Int64At_ReadsLittleEndian() public view {
        bytes memory data = hex"0100000000000000" hex"feffffffffffffff" hex"ffffffffffffff7f" hex"0000000000000080"
            hex"0807060504030201";
        int64[5] memory expected = [int64(1), -2, type(int64).max, type(int64).min, 0x0102030405060708];
        for (uint256 i; i < expected.length; ++i) {
            assertEq(tensors.int64At(data, i), expected[i]);
            assertEq(Tensors.int64AtMemory(data, i), expected[i]);
        }
    }

    /// np.array([-1, 2**31 - 1, -2**31, 0x01020304], '<i4')
    function test_Int32At_ReadsLittleEndian() public view {
        bytes memory data = hex"ffffffff" hex"ffffff7f" hex"00000080" hex"04030201";
        int32[4] memory expected = [int32(-1), type(int32).max, type(int32).min, 0x01020304];
        for (uint256 i; i < expected.length; ++i) {
            assertEq(tensors.int32At(data, i), expected[i]);
            assertEq(Tensors.int32AtMemory(data, i), expected[i]);
        }
    }

    function test_Uint8At_ReadsBytes() public view {
        bytes memory data = hex"00017fff";
        uint8[4] memory expected = [0, 1, 127, 255];
        for (uint256 i; i < expected.length; ++i) {
            assertEq(tensors.uint8At(data, i), expected[i]);
            assertEq(Tensors.uint8AtMemory(data, i), expected[i]);
        }
    }

    function test_BoolAt_ReadsZeroAndOne() public view {
        assertFalse(tensors.boolAt(hex"0001", 0));
        assertTrue(tensors.boolAt(hex"0001", 1));
        assertTrue(Tensors.boolAtMemory(hex"0001", 1));
    }

    function test_RevertWhen_BoolAt_IsNeitherZeroNorOne() public {
        vm.expectRevert(abi.encodeWithSelector(Tensors.NotABool.selector, uint8(2)));
        tensors.boolAt(hex"0002", 1);
        vm.expectRevert(abi.encodeWithSelector(Tensors.NotABool.selector, uint8(255)));
        tensors.boolAtMemory(hex"ff", 0);
    }

    /// np.array([1.0, -2.5, np.pi], '<f4')
    function test_Float32At_ReadsLittleEndian() public view {
        bytes memory data = hex"0000803f" hex"000020c0" hex"db0f4940";
        assertEq(tensors.float32At(data, 0), 0x3f800000);
        assertEq(tensors.float32At(data, 1), 0xc0200000);
        assertEq(tensors.float32At(data, 2), 0x40490fdb);
        assertEq(Tensors.float32AtMemory(data, 2), 0x40490fdb);
        assertEq(tensors.fixedAt(data, 1), -2.5e18);
        assertEq(Tensors.fixedAtMemory(data, 1), -2.5e18);
    }

    /// np.array([1.0, -np.pi], '<f8')
    function test_Float64At_ReadsLittleEndian() public view {
        bytes memory data = hex"000000000000f03f" hex"182d4454fb2109c0";
        assertEq(tensors.float64At(data, 0), 0x3ff0000000000000);
        assertEq(tensors.float64At(data, 1), 0xc00921fb54442d18);
        assertEq(Tensors.float64AtMemory(data, 1), 0xc00921fb54442d18);
    }

    function test_Float32At_ReadsTheSecondTensorFromASlice() public view {
        bytes memory data = bytes.concat(hex"0900000000000000", hex"0000803f000020c0");
        assertEq(tensors.float32AtBehind(data, 8, 1), 0xc0200000);
    }

    function test_RevertWhen_ReadingBeyondTheLastWholeElement() public {
        bytes memory data = hex"0000803f000020c00102";
        vm.expectRevert(abi.encodeWithSelector(Tensors.ElementOutOfBounds.selector, 2, 2));
        tensors.float32At(data, 2);
        vm.expectRevert(abi.encodeWithSelector(Tensors.ElementOutOfBounds.selector, 2, 2));
        tensors.float32AtMemory(data, 2);
        vm.expectRevert(abi.encodeWithSelector(Tensors.ElementOutOfBounds.selector, 1, 1));
        tensors.int64At(data, 1);
        vm.expectRevert(abi.encodeWithSelector(Tensors.ElementOutOfBounds.selector, 0, 0));
        tensors.uint8At("", 0);
        vm.expectRevert(abi.encodeWithSelector(Tensors.ElementOutOfBounds.selector, 1, 1));
        tensors.float32AtBehind(data, 4, 1);
    }

    /// A product of index and size that wraps around must not reach an element.
    function test_RevertWhen_TheIndexIsHuge() public {
        uint256 index = 1 << 254;
        vm.expectRevert(abi.encodeWithSelector(Tensors.ElementOutOfBounds.selector, index, 1));
        tensors.float32At(hex"0000803f", index);
        vm.expectRevert(abi.encodeWithSelector(Tensors.ElementOutOfBounds.selector, index, 1));
        tensors.float32AtMemory(hex"0000803f", index);
    }

    function testFuzz_ReadersAgree_OnCalldataAndMemory(bytes memory data, uint256 index) public view {
        vm.assume(data.length >= 8);
        index = bound(index, 0, data.length / 8 - 1);
        assertEq(tensors.int64At(data, index), Tensors.int64AtMemory(data, index));
        assertEq(tensors.float64At(data, index), Tensors.float64AtMemory(data, index));
        assertEq(tensors.float32At(data, index), Tensors.float32AtMemory(data, index));
        assertEq(tensors.int32At(data, index), Tensors.int32AtMemory(data, index));
    }

    // ---- writing

    function testFuzz_Int64_ReadsBackWhatWasWritten(int64[] memory values) public pure {
        bytes memory encoded = Tensors.encodeInt64(values);
        bytes memory appended;
        assertEq(encoded.length, 8 * values.length);
        for (uint256 i; i < values.length; ++i) {
            assertEq(Tensors.int64AtMemory(encoded, i), values[i]);
            appended = Tensors.appendInt64(appended, values[i]);
        }
        assertEq(appended, encoded);
    }

    function testFuzz_Float32_ReadsBackWhatWasWritten(uint32[] memory bits) public pure {
        bytes memory encoded = Tensors.encodeFloat32(bits);
        bytes memory appended;
        assertEq(encoded.length, 4 * bits.length);
        for (uint256 i; i < bits.length; ++i) {
            assertEq(Tensors.float32AtMemory(encoded, i), bits[i]);
            appended = Tensors.appendFloat32(appended, bits[i]);
        }
        assertEq(appended, encoded);
    }

    /// The writers run over the end of what they fill; nothing that is allocated later may suffer from it.
    function test_Encode_LeavesOtherMemoryAlone() public pure {
        uint32[] memory bits = new uint32[](3);
        (bits[0], bits[1], bits[2]) = (1, 2, 3);
        bytes memory first = Tensors.encodeFloat32(bits);
        bytes memory second = abi.encodePacked(bytes32(type(uint256).max));
        bytes memory third = Tensors.encodeFloat32(bits);
        assertEq(first, hex"010000000200000003000000");
        assertEq(second, abi.encodePacked(bytes32(type(uint256).max)));
        assertEq(third, first);
    }

    function test_EncodeFixed_WritesTheNearestFloat32() public pure {
        int256[] memory values = new int256[](3);
        (values[0], values[1], values[2]) = (1e18, -2.5e18, 0.1e18);
        bytes memory encoded = Tensors.encodeFixed(values);
        assertEq(encoded, hex"0000803f000020c0cdcccc3d");
        assertEq(Tensors.appendFixed(Tensors.appendFixed(hex"0000803f", values[1]), values[2]), encoded);
    }

    // ---- float32 to fixed point

    function test_ToFixed_MatchesTheVectors() public pure {
        _assertFixed(0x00000000, 0);
        _assertFixed(0x80000000, 0);
        _assertFixed(0x00000001, 0); // smallest subnormal
        _assertFixed(0x80000001, 0);
        _assertFixed(0x007fffff, 0); // largest subnormal
        _assertFixed(0x00800000, 0); // smallest normal
        _assertFixed(0x219392ef, 1); // 1e-18
        _assertFixed(0x21a254d3, 1); // 1.1e-18, cut off
        _assertFixed(0xa19392ef, -1);
        _assertFixed(0x3dcccccd, 100000001490116119); // 0.1
        _assertFixed(0xbdcccccd, -100000001490116119); // toward zero on this side, too
        _assertFixed(0x3eaaaaab, 333333343267440795);
        _assertFixed(0x3f800000, 1e18);
        _assertFixed(0x3f7fffff, 999999940395355224);
        _assertFixed(0x3f800001, 1000000119209289550);
        _assertFixed(0x3f4ccccd, 800000011920928955); // 0.8
        _assertFixed(0x40490fdb, 3141592741012573242);
        _assertFixed(0x4b7fffff, 16777215e18);
        _assertFixed(0x4b800000, 16777216e18);
        _assertFixed(0x4b000001, 8388609e18);
        _assertFixed(0x4e6e6b28, 1e27);
        _assertFixed(0xc7f12065, -123456789062500000000000);
        _assertFixed(0x60ad78ec, 100000002004087734272e18);
        _assertFixed(0x7f7fffff, 340282346638528859811704183484516925440e18);
        _assertFixed(0xff7fffff, -340282346638528859811704183484516925440e18);
    }

    function test_RevertWhen_ToFixed_IsNotFinite() public {
        uint32[5] memory bad = [POSITIVE_INFINITY, NEGATIVE_INFINITY, QUIET_NAN, 0xffffffff, 0x7f800001];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Tensors.NotFinite.selector, bad[i]));
            tensors.toFixed(bad[i]);
            assertFalse(Tensors.isFinite(bad[i]));
        }
        assertTrue(Tensors.isFinite(LARGEST));
    }

    // ---- fixed point to float32

    function test_ToFloat32_MatchesTheVectors() public pure {
        _assertFloat32(0, 0);
        _assertFloat32(1, 0x219392ef);
        _assertFloat32(-1, 0xa19392ef);
        _assertFloat32(2, 0x221392ef);
        _assertFloat32(3, 0x225d5c66);
        _assertFloat32(1e18, 0x3f800000);
        _assertFloat32(-1e18, 0xbf800000);
        _assertFloat32(0.1e18, 0x3dcccccd);
        _assertFloat32(0.5e18, 0x3f000000);
        _assertFloat32(0.8e18, 0x3f4ccccd);
        _assertFloat32(333333333333333333, 0x3eaaaaab);
        _assertFloat32(-666666666666666667, 0xbf2aaaab);
        _assertFloat32(1e27, 0x4e6e6b28);
        _assertFloat32(123456789012345678901234567, 0x4ceb79a3);
    }

    function test_ToFloat32_RoundsTiesToEven() public pure {
        _assertFloat32(16777216e18, 0x4b800000);
        _assertFloat32(16777217e18, 0x4b800000); // tie, down to even
        _assertFloat32(-16777217e18, 0xcb800000);
        _assertFloat32(16777217e18 + 1, 0x4b800001);
        _assertFloat32(16777217e18 - 1, 0x4b800000);
        _assertFloat32(16777218e18, 0x4b800001);
        _assertFloat32(16777219e18, 0x4b800002); // tie, up to even
        _assertFloat32(64000003814697265625, 0x42800000); // 64 + 2^-18: tie, down
        _assertFloat32(64000003814697265626, 0x42800001);
        _assertFloat32(64000003814697265624, 0x42800000);
        _assertFloat32(64000011444091796875, 0x42800002); // 64 + 3 * 2^-18: tie, up
        _assertFloat32(-64000003814697265625, 0xc2800000);
    }

    function test_ToFloat32_CarriesIntoTheExponent() public pure {
        _assertFloat32(33554431e18, 0x4c000000);
        _assertFloat32(16777215.5e18, 0x4b800000);
        _assertFloat32(16777215.5e18 - 1, 0x4b7fffff);
    }

    function test_ToFloat32_ReachesTheLargest() public pure {
        _assertFloat32(340282346638528859811704183484516925440e18, LARGEST);
        _assertFloat32(-340282346638528859811704183484516925440e18, 0xff7fffff);
        _assertFloat32(340282356779733661637539395458142568448e18 - 1, LARGEST);
    }

    function test_RevertWhen_ToFloat32_IsAboveTheLargest() public {
        // Half a step above the largest float32: what would round to infinity.
        int256[5] memory bad = [
            int256(340282356779733661637539395458142568448e18),
            -340282356779733661637539395458142568448e18,
            1 << 254,
            type(int256).max,
            type(int256).min
        ];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Tensors.AboveFloat32.selector, bad[i]));
            tensors.toFloat32(bad[i]);
        }
    }

    /// From 2^-35 on, half a step of float32 is more than what 18 decimals cut off.
    function testFuzz_Float32_SurvivesFixedPoint(uint32 bits) public pure {
        uint32 magnitude = uint32(bound(bits & 0x7fffffff, (127 - 35) << 23, LARGEST));
        bits = magnitude | (bits & 0x80000000);
        assertEq(Tensors.toFloat32(Tensors.toFixed(bits)), bits);
    }

    /// No float32 lies nearer to a value than the one it is converted to.
    function testFuzz_ToFloat32_IsNearest(int256 value) public pure {
        value = bound(value, 1e6, 1e50);
        uint32 bits = Tensors.toFloat32(value);
        uint256 distance = _distance(value, bits);
        // Fixed point cuts off less than one unit of each.
        assertLe(distance, _distance(value, bits + 1) + 1);
        assertLe(distance, _distance(value, bits - 1) + 1);
        assertEq(Tensors.toFloat32(-value), bits | 0x80000000);
    }

    function testFuzz_ToFloat32_IsMonotonic(int256 a, int256 b) public pure {
        a = bound(a, -1e55, 1e55);
        b = bound(b, -1e55, 1e55);
        (a, b) = a < b ? (a, b) : (b, a);
        assertLe(Tensors.compare(Tensors.toFloat32(a), Tensors.toFloat32(b)), 0);
    }

    // ---- the vectors shared with Python (tests/vectors/tensors.json)

    function test_SharedVectors_Int64() public view {
        string memory json = vm.readFile(VECTORS);
        bytes memory data = vm.parseJsonBytes(json, ".int64.data");
        int256[] memory values = vm.parseJsonIntArray(json, ".int64.values");
        assertEq(data.length, values.length * 8);
        assertGt(values.length, 30);
        for (uint256 i; i < values.length; ++i) {
            assertEq(tensors.int64At(data, i), values[i]);
            assertEq(Tensors.int64AtMemory(data, i), values[i]);
        }
    }

    function test_SharedVectors_ToFixed() public view {
        string memory json = vm.readFile(VECTORS);
        bytes memory data = vm.parseJsonBytes(json, ".toFixed.data");
        uint256[] memory bits = vm.parseJsonUintArray(json, ".toFixed.bits");
        int256[] memory fixed_ = vm.parseJsonIntArray(json, ".toFixed.fixed");
        assertEq(data.length, fixed_.length * 4);
        assertGt(fixed_.length, 100);
        for (uint256 i; i < fixed_.length; ++i) {
            assertEq(tensors.float32At(data, i), bits[i]);
            assertEq(tensors.fixedAt(data, i), fixed_[i]);
            assertEq(Tensors.fixedAtMemory(data, i), fixed_[i]);
        }
    }

    function test_SharedVectors_ToFloat32() public view {
        string memory json = vm.readFile(VECTORS);
        uint256[] memory bits = vm.parseJsonUintArray(json, ".toFloat32.bits");
        int256[] memory fixed_ = vm.parseJsonIntArray(json, ".toFloat32.fixed");
        assertEq(bits.length, fixed_.length);
        assertGt(fixed_.length, 100);
        bytes memory encoded = Tensors.encodeFixed(fixed_);
        for (uint256 i; i < fixed_.length; ++i) {
            assertEq(tensors.toFloat32(fixed_[i]), bits[i]);
            assertEq(tensors.float32At(encoded, i), bits[i]);
        }
    }

    // ---- order

    function test_Compare_OrdersAllButNaN() public pure {
        uint32[9] memory ascending = [
            NEGATIVE_INFINITY,
            0xff7fffff,
            0xbf800000,
            0x80000001,
            0x80000000, // -0
            0x00000001,
            0x3f800000,
            LARGEST,
            POSITIVE_INFINITY
        ];
        for (uint256 i; i < ascending.length; ++i) {
            for (uint256 j; j < ascending.length; ++j) {
                int256 expected = i > j ? int256(1) : i < j ? int256(-1) : int256(0);
                assertEq(Tensors.compare(ascending[i], ascending[j]), expected);
            }
        }
        assertEq(Tensors.compare(0x80000000, 0x00000000), 0);
    }

    function test_RevertWhen_Compare_MeetsNaN() public {
        vm.expectRevert(abi.encodeWithSelector(Tensors.NotANumber.selector, QUIET_NAN));
        tensors.compare(QUIET_NAN, 0);
        vm.expectRevert(abi.encodeWithSelector(Tensors.NotANumber.selector, 0xff800001));
        tensors.compare(0, 0xff800001);
        vm.expectRevert(abi.encodeWithSelector(Tensors.NotANumber.selector, QUIET_NAN));
        tensors.argmax(hex"0000c07f", 0, 1);
    }

    function testFuzz_Compare_AgreesWithFixedPoint(uint32 a, uint32 b) public pure {
        vm.assume(Tensors.isFinite(a) && Tensors.isFinite(b));
        int256 order = Tensors.compare(a, b);
        assertEq(order, -Tensors.compare(b, a));
        int256 difference = Tensors.toFixed(a) - Tensors.toFixed(b);
        // Fixed point may hold two different float32s for equal, but never turns their order round.
        if (difference != 0) assertEq(order, difference > 0 ? int256(1) : int256(-1));
    }

    /// np.array([[0.1, 0.7, 0.2], [-3, -1, -1]], '<f4')
    function test_Argmax_TakesTheLowestAmongEquals() public view {
        bytes memory data = hex"cdcccc3d" hex"3333333f" hex"cdcc4c3e" hex"000040c0" hex"000080bf" hex"000080bf";
        assertEq(tensors.argmax(data, 0, 3), 1);
        assertEq(tensors.argmax(data, 3, 3), 1);
        assertEq(tensors.argmax(data, 0, 6), 1);
        assertEq(tensors.argmax(data, 5, 1), 0);
    }

    function test_RevertWhen_Argmax_RangeIsEmptyOrTooLong() public {
        vm.expectRevert(Tensors.EmptyRange.selector);
        tensors.argmax(hex"0000803f", 0, 0);
        vm.expectRevert(abi.encodeWithSelector(Tensors.ElementOutOfBounds.selector, 1, 1));
        tensors.argmax(hex"0000803f", 0, 2);
    }

    // ---- inside

    function _assertFixed(uint32 bits, int256 expected) private pure {
        assertEq(Tensors.toFixed(bits), expected);
    }

    function _assertFloat32(int256 value, uint32 expected) private pure {
        assertEq(Tensors.toFloat32(value), expected);
    }

    function _distance(int256 value, uint32 bits) private pure returns (uint256) {
        int256 difference = value - Tensors.toFixed(bits);
        return uint256(difference < 0 ? -difference : difference);
    }
}
