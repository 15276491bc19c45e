"""Reads SDP offers and writes answers (RFC 8866, JSEP: RFC 9429). A room receives an offer as
`core.model.MediaOffer`."""

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
