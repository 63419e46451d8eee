// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// Roots of epochs of receipts, and of stored objects. What was written stays; only its owner writes.
contract HoldfastAnchor {
    /// `gateway` is whose receipts they are: its public key.
    struct Epoch {
        bytes32 gateway;
        uint64 epoch;
        uint64 total;
        bytes32 digest;
    }

    struct EpochName {
        bytes32 gateway;
        uint64 epoch;
    }

    struct Blob {
        bytes32 digest;
        uint64 total;
    }

    /// `number` is that of the block, 0 where there is nothing.
    struct Entry {
        bytes32 digest;
        uint64 total;
        uint64 number;
    }

    error NotOwner();
    error OtherDigest(bytes32 gateway, uint64 epoch);

    event EpochAnchored(bytes32 indexed gateway, uint64 indexed epoch, bytes32 indexed digest, uint64 total);
    event BlobAnchored(bytes32 indexed digest, uint64 total);

    address public owner;
    mapping(bytes32 => mapping(uint64 => Entry)) public epochs;
    mapping(bytes32 => Entry) public blobs;

    constructor() {
        owner = msg.sender;
    }

    /// What is there already with the same digest is left as it is. One epoch with another digest undoes the whole call.
    function anchor(Epoch[] calldata newEpochs, Blob[] calldata newBlobs) external {
        if (msg.sender != owner) revert NotOwner();
        for (uint256 i = 0; i < newEpochs.length; i++) {
            Epoch calldata one = newEpochs[i];
            Entry storage entry = epochs[one.gateway][one.epoch];
            if (entry.number != 0) {
                if (entry.digest != one.digest) revert OtherDigest(one.gateway, one.epoch);
                continue;
            }
            epochs[one.gateway][one.epoch] = Entry(one.digest, one.total, uint64(block.number));
            emit EpochAnchored(one.gateway, one.epoch, one.digest, one.total);
        }
        for (uint256 i = 0; i < newBlobs.length; i++) {
            Blob calldata one = newBlobs[i];
            if (blobs[one.digest].number != 0) continue;
            blobs[one.digest] = Entry(one.digest, one.total, uint64(block.number));
            emit BlobAnchored(one.digest, one.total);
        }
    }

    /// The entries of all of them, in the order given.
    function look(EpochName[] calldata ofEpochs, bytes32[] calldata ofBlobs)
        external
        view
        returns (Entry[] memory found)
    {
        found = new Entry[](ofEpochs.length + ofBlobs.length);
        for (uint256 i = 0; i < ofEpochs.length; i++) found[i] = epochs[ofEpochs[i].gateway][ofEpochs[i].epoch];
        for (uint256 i = 0; i < ofBlobs.length; i++) found[ofEpochs.length + i] = blobs[ofBlobs[i]];
    }
}
