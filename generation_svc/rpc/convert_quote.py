"""Converts quotes and consents to messages of the contract, and back."""

from atelier.generation.v1 import consent_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.domain.consent import ConsentRecord
from generation_svc.domain.model import Consent
from generation_svc.rpc.bound import Bounds
from generation_svc.rpc.convert import price_to_proto, time_to_proto
from generation_svc.rpc.convert_model import consent_to_proto
from generation_svc.usecase.quote_job import JobQuote

_CONSENTS = {consent_to_proto(consent): consent for consent in Consent}


def quote_to_proto(quoted: JobQuote) -> pb.QuoteJobResponse:
    """Write what a job would cost."""
    message = pb.QuoteJobResponse(
        price=price_to_proto(quoted.price),
        lines=quoted.lines,
        missing_consent=consent_to_proto(quoted.missing_consent),
    )
    if quoted.usual_duration is not None:
        message.usual_duration.FromTimedelta(quoted.usual_duration)
    return message


def consent_from_proto(kind: consent_pb2.ConsentKind.ValueType, bounds: Bounds) -> Consent:
    """Read what of a person is copied; a violation if it is none that is known."""
    consent = _CONSENTS.get(kind)
    if consent is None:
        known = ", ".join(consent_pb2.ConsentKind.Name(each) for each in _CONSENTS)
        bounds.refuse("kind", f"Must be one of {known}.")
    return consent or Consent.VOICE


def consent_record_to_proto(record: ConsentRecord) -> consent_pb2.Consent:
    """Write what an owner agreed to."""
    return consent_pb2.Consent(
        owner=record.owner,
        kind=consent_to_proto(record.consent),
        wording_version=record.wording_version,
        agree_time=time_to_proto(record.agree_time),
    )
