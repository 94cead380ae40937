"""What every answer may contain. A field that is not in here fails the tests.

Before you add one, ask who may call the route, and whether all of them may know: above all
earners, to whom a task with a known answer must look like any other.
"""

from collections.abc import Mapping

THINGS: Mapping[str, str] = {
    # who
    "person": "id email name kind created_at",
    "token": "token",
    "me": "person_id kind rights{}",
    "organisation": "id name created_at",
    "member": "person_id email name role",
    "invitation": "id role note created_by created_at expires_at",
    "new invitation": "id role note created_by created_at expires_at token",
    "membership": "organisation_id role",
    "key": "id name hint scopes[] created_at revoked_at",
    "new key": "id name hint scopes[] created_at revoked_at key",
    # what operators read
    "funds": "available_micro{}",
    "line": "id event reference currency amount_micro created_at",
    "project": (
        "id organisation_id name instructions kind label_schema{} follows.project_id "
        "follows.classes[] currency price_micro "
        "fee_micro "
        "slicing.whole slicing.tile slicing.margin slicing.format slicing.quality "
        "quality.gold_share quality.min_overlap quality.max_overlap quality.redo "
        "quality.target_confidence quality.wrong_label_micro quality.minimum_trust "
        "lease_seconds state reserved_micro created_at launched_at completed_at"
    ),
    "estimate": ("tasks gold_tasks best_micro expected_micro worst_micro available_micro currency"),
    "progress": "images{} tasks{}",
    "uploads": (
        "uploads[].name uploads[].image_id uploads[].put_url uploads[].problem{} expires_in_seconds"
    ),
    "image": (
        "id import_id name state problem{} content_type bytes sha256 width height orientation "
        "georeference.world[] georeference.epsg duplicate_of created_at"
    ),
    "tile": "number core[] window[] url content_type",
    "import": (
        "id project_id source prefix state found skipped skipped_files[].name "
        "skipped_files[].problem{} problem{} created_at"
    ),
    "new import": (
        "id project_id source prefix state found skipped skipped_files[].name "
        "skipped_files[].problem{} problem{} created_at put_url"
    ),
    "known image": "file_name gold_tasks launched_tasks",
    "predicted image": "file_name tasks gold_tasks launched_tasks untold_tiles",
    "annotation import": (
        "id project_id purpose format size sha256 partial state images tasks left_tasks "
        "untold_tiles refused_records left_out problem{} created_at finished_at"
    ),
    "new annotation import": (
        "id project_id purpose format size sha256 partial state images tasks left_tasks "
        "untold_tiles refused_records left_out problem{} created_at finished_at put_url"
    ),
    "whole annotation import": (
        "id project_id purpose format size sha256 partial state images tasks left_tasks "
        "untold_tiles refused_records left_out problem{} created_at finished_at report[].number "
        "report[].at report[].image report[].tasks report[].left_tasks report[].untold_tiles "
        "report[].problem{} next"
    ),
    "gold": "task_id expected{} source created_at",
    "dry run": (
        "answers asked unsure stopped[] stopped_now settled_otherwise estimated_accuracy "
        "cost_micro difference_micro"
    ),
    "task": (
        "id project_id tile_id state is_gold subject{} label{} confidence settled_at settled_by "
        "review_reason"
    ),
    "whole task": (
        "id project_id tile_id state is_gold subject{} label{} confidence settled_at settled_by "
        "review_reason tile.image_id tile.number tile.window[] tile.core[] tile.url "
        "tile.content_type answers[].lease_id answers[].earner_id answers[].outcome "
        "answers[].value{} answers[].answered_at answers[].seconds answers[].agreement "
        "answers[].verdict next"
    ),
    "run": "id project_id kind state dataset_id findings[] error created_at finished_at",
    "dataset": "id project_id created_at manifest{}",
    "links": (
        "links[].path links[].url links[].bytes links[].sha256 links[].media_type "
        "expires_in_seconds"
    ),
    # what earners read
    "offer": (
        "project_id name kind instructions_html label_schema{} price_micro currency lease_seconds "
        "blocked_reason"
    ),
    "handed": (
        "leases[].lease_id leases[].fence leases[].project_id leases[].kind leases[].price_micro "
        "leases[].picture.url leases[].picture.content_type leases[].picture.width "
        "leases[].picture.height leases[].subject{} leases[].currency leases[].expires_at "
        "server_time reason "
        "retry_after_seconds"
    ),
    "open leases": (
        "leases[].lease_id leases[].fence leases[].project_id leases[].kind leases[].price_micro "
        "leases[].picture.url leases[].picture.content_type leases[].picture.width "
        "leases[].picture.height leases[].subject{} leases[].currency leases[].expires_at "
        "server_time"
    ),
    "held": "leases[].lease_id leases[].fence leases[].project_id leases[].expires_at server_time",
    "results": "results[].lease_id results[].accepted results[].replayed results[].problem{}",
    "earning": (
        "lease_id project_id currency amount_micro state reason_code reason created_at decided_at"
    ),
    "money": "reserved_micro{} available_micro{} in_transit_micro{} earned_micro{}",
    "destination": "rail details{} changed_at",
    "payout": (
        "id currency amount_micro rail destination{} state reason created_at settled_at returned_at"
    ),
    # what the platform's finance reads
    "deposit": "transfer_id",
    "reversal": "transfer_id organisation_id currency amount_micro left_micro",
    "batch": (
        "id currency rail state items total_micro items_sha256 created_by edited_by approved_by "
        "created_at approved_at submitted_at"
    ),
    "item": "id earner_id currency amount_micro destination{} state rail_reference reason",
    "item of a batch": (
        "id earner_id currency amount_micro destination{} state rail_reference reason "
        "earner_disabled"
    ),
    "nothing": "",
}

_ORGANISATION = "/v1/organisations/{organisation_id}"
_OF_PROJECT = "/v1/projects/{project_id}"
_BATCH = "/v1/finance/payout-batches/{batch_id}"
_ITEM = _BATCH + "/items/{payout_id}"

ANSWERS: Mapping[str, str] = {
    "POST /v1/sign-up": "person",
    "POST /v1/sessions": "token",
    "DELETE /v1/sessions/current": "nothing",
    "GET /v1/me": "me",
    "PUT /v1/me/password": "nothing",
    "POST /v1/organisations": "organisation",
    "GET /v1/organisations": "list of organisation",
    f"GET {_ORGANISATION}/members": "list of member",
    f"PATCH {_ORGANISATION}/members/{{person_id}}": "member",
    f"DELETE {_ORGANISATION}/members/{{person_id}}": "nothing",
    f"POST {_ORGANISATION}/invitations": "new invitation",
    f"GET {_ORGANISATION}/invitations": "list of invitation",
    f"DELETE {_ORGANISATION}/invitations/{{invitation_id}}": "nothing",
    "POST /v1/invitations/accept": "membership",
    f"POST {_ORGANISATION}/api-keys": "new key",
    f"GET {_ORGANISATION}/api-keys": "list of key",
    f"DELETE {_ORGANISATION}/api-keys/{{key_id}}": "nothing",
    f"GET {_ORGANISATION}/balance": "funds",
    f"GET {_ORGANISATION}/statement": "page of line",
    f"POST {_ORGANISATION}/projects": "project",
    f"GET {_ORGANISATION}/projects": "page of project",
    f"GET {_OF_PROJECT}": "project",
    f"PATCH {_OF_PROJECT}": "project",
    f"GET {_OF_PROJECT}/estimate": "estimate",
    f"POST {_OF_PROJECT}/launch": "project",
    f"POST {_OF_PROJECT}/pause": "project",
    f"POST {_OF_PROJECT}/resume": "project",
    f"POST {_OF_PROJECT}/complete": "project",
    f"GET {_OF_PROJECT}/progress": "progress",
    f"POST {_OF_PROJECT}/images": "uploads",
    f"POST {_OF_PROJECT}/images/uploaded": "list of image",
    f"GET {_OF_PROJECT}/images": "page of image",
    "GET /v1/images/{image_id}": "image",
    "GET /v1/images/{image_id}/tiles": "page of tile",
    f"POST {_OF_PROJECT}/imports": "new import",
    "POST /v1/imports/{import_id}/uploaded": "import",
    "GET /v1/imports/{import_id}": "import",
    f"GET {_OF_PROJECT}/quality/dry-run": "dry run",
    f"POST {_OF_PROJECT}/gold": "list of known image",
    f"POST {_OF_PROJECT}/predictions": "list of predicted image",
    f"POST {_OF_PROJECT}/annotation-imports": "new annotation import",
    "POST /v1/annotation-imports/{annotation_import_id}/uploaded": "annotation import",
    "GET /v1/annotation-imports/{annotation_import_id}": "whole annotation import",
    "POST /v1/tasks/{task_id}/gold": "gold",
    f"GET {_OF_PROJECT}/tasks": "page of task",
    "GET /v1/tasks/{task_id}": "whole task",
    f"GET {_OF_PROJECT}/review": "page of task",
    "POST /v1/tasks/{task_id}/review": "task",
    f"POST {_OF_PROJECT}/datasets": "run",
    "GET /v1/dataset-runs/{run_id}": "run",
    f"GET {_OF_PROJECT}/datasets": "page of dataset",
    "GET /v1/datasets/{dataset_id}": "dataset",
    "GET /v1/datasets/{dataset_id}/files": "links",
    "POST /v1/datasets/{dataset_id}/verify": "run",
    "GET /v1/work/offers": "page of offer",
    "GET /v1/work/offers/{project_id}": "offer",
    "POST /v1/work/leases": "handed",
    "GET /v1/work/leases": "open leases",
    "POST /v1/work/leases/extend": "held",
    "POST /v1/work/leases/return": "held",
    "POST /v1/work/answers": "results",
    "GET /v1/earnings": "page of earning",
    "GET /v1/earnings/balance": "money",
    "PUT /v1/payout-destination": "destination",
    "GET /v1/payout-destination": "destination",
    "POST /v1/payouts": "payout",
    "GET /v1/payouts": "page of payout",
    "POST /v1/payouts/{payout_id}/cancel": "payout",
    "POST /v1/finance/deposits": "deposit",
    "POST /v1/finance/deposits/{transfer_id}/reversal": "reversal",
    "POST /v1/finance/payout-batches": "batch",
    "GET /v1/finance/payout-batches": "page of batch",
    f"GET {_BATCH}": "batch",
    f"GET {_BATCH}/items": "page of item of a batch",
    f"DELETE {_ITEM}": "batch",
    f"POST {_BATCH}/approve": "batch",
    f"POST {_BATCH}/cancel": "batch",
    f"POST {_BATCH}/export": "nothing",
    f"POST {_BATCH}/settled": "list of item",
    f"POST {_ITEM}/returned": "item",
}

_NOT_FOR_EARNERS = (
    "is_gold gold_tasks gold_share expected trust score agreement verdict label confidence lane "
    "place places review_reason settled_by task_id tile_id image_id organisation_id earner_id "
    "sha256 answers"
)
NOT_FOR_EARNERS = frozenset(_NOT_FOR_EARNERS.split())
"""Names that no route which earners may call ever answers with."""

_FACTS = (
    "allowed amount_micro at available_micro classes count currency evidence field fields images "
    "items_sha256 kind known left_micro max_bytes max_micro minimum_micro most_objects most_tiles "
    "needed_micro needs payout_id project_id reference retry_after_seconds size state step_micro "
    "uploads"
)
FACTS = frozenset(_FACTS.split())
"""What refusals say beside their sentence."""


def _fields(answer: str) -> frozenset[str]:
    for form, before, more in (("list of ", "[].", ()), ("page of ", "items[].", ("next",))):
        if answer.startswith(form):
            names = THINGS[answer.removeprefix(form)].split()
            return frozenset((*(before + name for name in names), *more))
    return frozenset(THINGS[answer].split())


FIELDS = {route: _fields(answer) for route, answer in ANSWERS.items()}
"""By route, every field that its answer may have: `[]` is a list, `{}` an object of any shape."""
