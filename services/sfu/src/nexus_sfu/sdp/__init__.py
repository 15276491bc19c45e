"""SDP offers in, answers out (RFC 8866, JSEP 9429); what a room needs of them is `core.model.MediaOffer`."""

from nexus_sfu.sdp.answer import AnswerTransport, CandidateLine, build_answer
from nexus_sfu.sdp.negotiate import Negotiated, PublicationRequest, Role, negotiate
from nexus_sfu.sdp.parse import parse_offer

__all__ = [
    "AnswerTransport",
    "CandidateLine",
    "Negotiated",
    "PublicationRequest",
    "Role",
    "build_answer",
    "negotiate",
    "parse_offer",
]
