import Foundation
import GraphRuntime
import Testing

/// Against folders as the kernel's documentation of both versions of control groups has them.
@Suite struct ControlGroupTests {
    /// - Parameters:
    ///   - memberships: what `/proc/self/cgroup` says.
    ///   - files: what is in `/sys/fs/cgroup`, by path.
    private func group(memberships: String, files: [String: String]) throws -> ControlGroup {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("control-group-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for (path, content) in files.merging(["memberships": memberships], uniquingKeysWith: { first, _ in first }) {
            let file = folder.appendingPathComponent(path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(content.utf8).write(to: file)
        }
        return ControlGroup(hierarchies: folder.path, memberships: folder.appendingPathComponent("memberships").path)
    }

    @Test func theTightestLimitOnTheWayCounts() throws {
        let found = try group(
            memberships: "0::/kubepods.slice/pod1.slice/container\n",
            files: [
                "kubepods.slice/memory.max": "8589934592\n", "kubepods.slice/cpu.max": "400000 100000\n",
                "kubepods.slice/pod1.slice/memory.max": "2147483648\n", "kubepods.slice/pod1.slice/cpu.max": "max 100000\n",
                "kubepods.slice/pod1.slice/container/memory.max": "max\n",
                "kubepods.slice/pod1.slice/container/cpu.max": "150000 100000\n",
            ])
        #expect(found.memory == 2_147_483_648)
        #expect(found.processors == 1.5)
    }

    /// With a namespace of its own, a container sees its group as the root of the hierarchy.
    @Test func aContainersOwnGroupIsTheRoot() throws {
        let found = try group(memberships: "0::/\n", files: ["memory.max": "1073741824\n", "cpu.max": "200000 100000\n"])
        #expect(found.memory == 1_073_741_824)
        #expect(found.processors == 2)
    }

    @Test func memoryThatSlowsTheProcessDownIsALimit() throws {
        let found = try group(
            memberships: "0::/batch\n", files: ["batch/memory.high": "500000000\n", "batch/memory.max": "1000000000\n"])
        #expect(found.memory == 500_000_000)
    }

    @Test func hierarchiesOfSingleControllers() throws {
        let found = try group(
            memberships: "4:memory:/docker/0123\n3:cpuset:/\n2:cpu,cpuacct:/docker/0123\n1:name=systemd:/a:b\n0::/\n",
            files: [
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/docker/0123/memory.limit_in_bytes": "3221225472\n",
                "cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n",
                "cpu/docker/0123/cpu.cfs_quota_us": "50000\n", "cpu/docker/0123/cpu.cfs_period_us": "100000\n",
            ])
        #expect(found.memory == 3_221_225_472)
        #expect(found.processors == 0.5)
    }

    /// The path is the machine's, while the container's group is the root of what is mounted.
    @Test func aPathThatIsNotMountedIsPassedOver() throws {
        let found = try group(
            memberships: "4:memory:/docker/0123\n2:cpu:/docker/0123\n",
            files: [
                "memory/memory.limit_in_bytes": "1000000\n", "cpu/cpu.cfs_quota_us": "300000\n",
                "cpu/cpu.cfs_period_us": "100000\n",
            ])
        #expect(found.memory == 1_000_000)
        #expect(found.processors == 3)
    }

    @Test(arguments: ["", "what is this", "0::/../..", "0::/a\n0::/b", "4:memory:"])
    func whatSaysNothingLimitsNothing(memberships: String) throws {
        let found = try group(
            memberships: memberships,
            files: ["a/memory.max": "none", "a/cpu.max": "0 0", "b/cpu.max": "100000", "memory.max": "0", "cpu.max": ""])
        #expect(found.memory == nil)
        #expect(found.processors == nil)
    }

    @Test func withoutControlGroupsNothingIsLimited() {
        let found = ControlGroup(hierarchies: "/nowhere", memberships: "/nowhere/at/all")
        #expect(found == ControlGroup(hierarchies: "/", memberships: "/dev/null"))
        #expect(AvailableMemory.total > 0)
    }
}
