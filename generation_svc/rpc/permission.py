"""The scopes that each RPC requires; an RPC without a row is denied to all."""

from collections.abc import Mapping

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import PermissionDenied

ANY_CALLER: tuple[Scope, ...] = ()
"""What an RPC asks for that every caller may use."""
_JOBS = (Scope.OWN_JOBS, Scope.ALL_JOBS)
BYTES_BY_ID = (*_JOBS, Scope.DELIVERIES)
"""What DownloadMedia asks of a caller that has no link, only the id of the media."""
_PACKAGE = "/atelier.generation.v1."
_WALLET = "/atelier.wallet.v1.WalletService/"
_READ = (Scope.WALLET_READ, Scope.WALLET_OPERATE)
_TOP_UP = (Scope.WALLET_TOPUP,)
_OPERATE = (Scope.WALLET_OPERATE,)

PERMISSIONS: Mapping[str, tuple[Scope, ...]] = {
    f"{_PACKAGE}{method}": scopes
    for method, scopes in {
        "GenerationService/CreateJob": (Scope.OWN_JOBS,),
        "GenerationService/GetJob": _JOBS,
        "GenerationService/WaitJob": _JOBS,
        "GenerationService/StreamJobUpdates": _JOBS,
        "GenerationService/ListJobs": _JOBS,
        "GenerationService/CancelJob": _JOBS,
        "GenerationService/QuoteJob": (Scope.OWN_JOBS,),
        "GenerationService/RecordConsent": (Scope.OWN_JOBS,),
        "GenerationService/ListConsents": (Scope.OWN_JOBS,),
        "GenerationService/WithdrawConsent": (Scope.OWN_JOBS,),
        "GenerationService/ListModels": ANY_CALLER,
        "GenerationService/GetModel": ANY_CALLER,
        # A link alone proves the right to send its file; without one the servicer asks for
        # OWN_JOBS.
        "GenerationService/UploadInput": ANY_CALLER,
        # A link alone proves the right to the bytes; without one the servicer asks for BYTES_BY_ID.
        "GenerationService/DownloadMedia": ANY_CALLER,
        "CallbackService/ReportCallback": (Scope.CALLBACKS,),
        "DeliveryService/LeaseDeliveries": (Scope.DELIVERIES,),
        "DeliveryService/BeginDelivery": (Scope.DELIVERIES,),
        "DeliveryService/ReportDelivery": (Scope.DELIVERIES,),
        "EdgeService/GetSession": (Scope.SESSIONS,),
        "EdgeService/PutSession": (Scope.SESSIONS,),
        "EdgeService/LeaseUpdates": (Scope.SESSIONS,),
        "EdgeService/CreateUploadLink": (Scope.OWN_JOBS,),
        # The link alone proves the right to know what it is for.
        "EdgeService/GetUploadLink": ANY_CALLER,
        "WebhookService/ListWebhooks": (Scope.OWN_JOBS,),
        "WebhookService/TestWebhook": (Scope.OWN_JOBS,),
        "WebhookService/EnableWebhook": (Scope.OWN_JOBS,),
        "CatalogService/ImportCatalog": (Scope.CATALOG,),
        "CatalogService/GetModelDocument": (Scope.CATALOG,),
        "CatalogService/SetModelOverride": (Scope.CATALOG,),
        "CatalogService/SwitchModel": (Scope.CATALOG,),
        "CatalogService/ListModelOverrides": (Scope.CATALOG,),
    }.items()
} | {
    f"{_WALLET}{method}": scopes
    for method, scopes in {
        "GetBalance": _READ,
        "ListTransfers": _READ,
        "ListPacks": (Scope.WALLET_READ, Scope.WALLET_TOPUP, Scope.WALLET_OPERATE),
        "CheckTopUp": _TOP_UP,
        "RecordTopUp": (Scope.WALLET_TOPUP, Scope.WALLET_OPERATE),
        "ListTopUps": _READ,
        "RefundTopUp": _OPERATE,
        "LeaseRefunds": _TOP_UP,
        "ReportRefund": _TOP_UP,
        "ReportTold": _TOP_UP,
        "GetStarCursor": _TOP_UP,
        "ReportStarTransactions": _TOP_UP,
        "ListStarDifferences": _OPERATE,
        "HealStars": _OPERATE,
        "SettleStarTransaction": _OPERATE,
        "GrantCredits": _OPERATE,
        "BlockOwner": _OPERATE,
        "SetMargin": _OPERATE,
        "ListMargins": _OPERATE,
        "ImportBalances": _OPERATE,
        "UndoImport": _OPERATE,
        "CheckLedger": _OPERATE,
        "GetDailyReport": _OPERATE,
        "GetStatement": _READ,
        "GetReceipt": _READ,
        "GetSales": _READ,
        "SetSales": _OPERATE,
    }.items()
}
"""The scopes, of which one is enough, by the full name of the RPC as gRPC spells it."""


def check_permission(caller: Caller, *, method: str) -> None:
    """Raise PermissionDenied unless the caller may use this RPC at all."""
    scopes = PERMISSIONS.get(method)
    if scopes is None:
        raise PermissionDenied("Nobody may use this RPC.", missing=method)
    if scopes:
        caller.require(*scopes)
