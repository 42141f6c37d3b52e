"""`CatalogService`: changes the models on offer, for operators."""

import json
from typing import Any

from atelier.generation.v1 import catalog_service_pb2 as pb
from atelier.generation.v1 import catalog_service_pb2_grpc as pb_grpc
from generation_svc.domain.catalog_layer import ChangeKind, MemberChange, ModelChange, Override
from generation_svc.domain.error import FieldViolation, InvalidInputs
from generation_svc.domain.schema import JsonObject, JsonValue
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.bound import Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.caller import current_caller
from generation_svc.usecase import change_catalog
from generation_svc.usecase.change_catalog import LayerChange

MAX_DOCUMENTS = 500
MAX_VERSION_LENGTH = 100
MAX_PATCH_LENGTH = 100_000
MAX_REASON_LENGTH = 200
MAX_MEMBERS = 200
MAX_SHOWN_LENGTH = 2000
_KINDS = {
    ChangeKind.NEW: pb.MODEL_CHANGE_KIND_NEW,
    ChangeKind.CHANGED: pb.MODEL_CHANGE_KIND_CHANGED,
    ChangeKind.PRICE_MOVED: pb.MODEL_CHANGE_KIND_PRICE_MOVED,
    ChangeKind.GONE: pb.MODEL_CHANGE_KIND_GONE,
    ChangeKind.SWITCHED: pb.MODEL_CHANGE_KIND_SWITCHED,
}


class CatalogServicer(pb_grpc.CatalogServiceServicer):
    """Answers the calls of `CatalogService`."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps

    async def ImportCatalog(
        self, request: pb.ImportCatalogRequest, context: ServicerContext
    ) -> pb.ImportCatalogResponse:
        """Import documents, or show what that would change."""
        made = await change_catalog.change_catalog(
            self._deps, current_caller(), _change_from_proto(request)
        )
        return pb.ImportCatalogResponse(
            changes=[_change_to_proto(each) for each in made.changes],
            catalog_version=made.version,
            is_applied=made.is_applied,
        )

    async def GetModelDocument(
        self, request: pb.GetModelDocumentRequest, context: ServicerContext
    ) -> pb.GetModelDocumentResponse:
        """Give the document of a model."""
        found = await change_catalog.document(self._deps, _model_id(request.model_id))
        return pb.GetModelDocumentResponse(document_json=_json(found))

    async def SetModelOverride(
        self, request: pb.SetModelOverrideRequest, context: ServicerContext
    ) -> pb.SetModelOverrideResponse:
        """Set what the operator wants otherwise of a model."""
        bounds = Bounds()
        bounds.text("patch_json", request.patch_json, most=MAX_PATCH_LENGTH)
        reason = bounds.text("reason", request.reason, most=MAX_REASON_LENGTH)
        model_id = bounds.text("model_id", request.model_id, is_required=True)
        bounds.check()
        patch = _object("patch_json", request.patch_json) if request.patch_json else {}
        made = await change_catalog.change_override(
            self._deps, current_caller(), model_id, patch=patch, reason=reason
        )
        changes = [_change_to_proto(each) for each in made.changes]
        return pb.SetModelOverrideResponse(changes=changes, catalog_version=made.version)

    async def SwitchModel(
        self, request: pb.SwitchModelRequest, context: ServicerContext
    ) -> pb.SwitchModelResponse:
        """Switch a model off or on."""
        bounds = Bounds()
        reason = bounds.text("reason", request.reason, most=MAX_REASON_LENGTH)
        model_id = bounds.text("model_id", request.model_id, is_required=True)
        bounds.check()
        made = await change_catalog.change_override(
            self._deps, current_caller(), model_id, is_off=request.is_off, reason=reason
        )
        return pb.SwitchModelResponse(catalog_version=made.version)

    async def ListModelOverrides(
        self, request: pb.ListModelOverridesRequest, context: ServicerContext
    ) -> pb.ListModelOverridesResponse:
        """List all overrides."""
        found = await change_catalog.overrides(self._deps)
        return pb.ListModelOverridesResponse(
            overrides=[_override_to_proto(model_id, found[model_id]) for model_id in sorted(found)]
        )


def _change_from_proto(request: pb.ImportCatalogRequest) -> LayerChange:
    bounds = Bounds()
    for name in ("document_json", "dropped_model_ids"):
        if len(getattr(request, name)) > MAX_DOCUMENTS:
            bounds.refuse(name, f"Must have at most {MAX_DOCUMENTS} items.")
    for index, model_id in enumerate(request.dropped_model_ids):
        bounds.text(f"dropped_model_ids[{index}]", model_id)
    version = bounds.text(
        "expected_catalog_version", request.expected_catalog_version, most=MAX_VERSION_LENGTH
    )
    bounds.check()
    texts = enumerate(request.document_json)
    return LayerChange(
        documents=[_object(f"document_json[{index}]", text) for index, text in texts],
        dropped=tuple(request.dropped_model_ids),
        is_trial=request.validate_only,
        expected_version=version,
    )


def _model_id(text: str) -> str:
    bounds = Bounds()
    bounds.text("model_id", text, is_required=True)
    bounds.check()
    return text


def _object(field: str, text: str) -> JsonObject:
    """Return the object that a text holds. Raises InvalidInputs."""
    try:
        # NaN and numbers without end are no JSON, and the database would refuse them.
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidInputs((FieldViolation(field, f"Is not JSON: {error}."),)) from error
    if not isinstance(found, dict):
        raise InvalidInputs((FieldViolation(field, "Must be a JSON object."),))
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _json(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _change_to_proto(change: ModelChange) -> pb.ModelChange:
    members = [_member_to_proto(each) for each in change.members[:MAX_MEMBERS]]
    return pb.ModelChange(model_id=change.model_id, kind=_KINDS[change.kind], members=members)


def _member_to_proto(member: MemberChange) -> pb.MemberChange:
    before, after = (
        "" if value is None else _json(value)[:MAX_SHOWN_LENGTH]
        for value in (member.before, member.after)
    )
    return pb.MemberChange(
        path=member.path[:MAX_SHOWN_LENGTH], before_json=before, after_json=after
    )


def _override_to_proto(model_id: str, override: Override) -> pb.ModelOverride:
    patch = _json(override.patch) if override.patch else ""
    message = pb.ModelOverride(
        model_id=model_id, patch_json=patch, is_off=override.is_off, reason=override.reason
    )
    if override.update_time:
        message.update_time.FromDatetime(override.update_time)
    return message
