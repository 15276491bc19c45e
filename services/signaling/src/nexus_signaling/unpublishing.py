"""Unpublishes tracks of other participants for an admin. The SFU's request needs the owner, so it is looked
up."""

from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_rooms import Sfu
from nexus_rpc import RpcError


async def unpublish_for_owners(
    sfu: Sfu, address: str, request: sfu_pb2.UnpublishRequest
) -> sfu_pb2.UnpublishResponse:
    """Unpublishes the request's tracks, which may belong to any participants. Raises RpcError;
    TRACK_NOT_FOUND before any track is unpublished."""
    room = await sfu.get_room(address, sfu_pb2.GetRoomRequest(room=request.room))
    owners = {track.id: participant.id for participant in room.participants for track in participant.tracks}
    by_owner: dict[str, list[str]] = {}
    for track_id in request.track_ids:
        owner = owners.get(track_id)
        if owner is None:
            raise RpcError(
                ErrorCode.TRACK_NOT_FOUND, "There is no such track.", details={"track_id": track_id}
            )
        by_owner.setdefault(owner, []).append(track_id)
    for owner, track_ids in by_owner.items():
        await sfu.call(
            address, sfu_pb2.UnpublishRequest(room=request.room, participant_id=owner, track_ids=track_ids)
        )
    return sfu_pb2.UnpublishResponse()
