"""What every answer may contain. A field that is not in here fails the tests.

Before you add one, ask who may call the route, and whether all of them may know: above all
earners, to whom a task with a known answer must look like any other.
"""

from collections.abc import Mapping

_QUALITY = (
    "quality.gold_share quality.min_overlap quality.max_overlap quality.redo "
    "quality.target_confidence quality.wrong_label_micro quality.minimum_trust "
    "quality.importance{} quality.second_opinions quality.gold_exposure quality.may_flip "
    "quality.training_tasks quality.training_pass quality.training_places "
)

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
        f"{_QUALITY}"
        "slicing.whole slicing.tile slicing.margin slicing.format slicing.quality "
        "lease_seconds policy_version state paused_reason reserved_micro created_at launched_at "
        "completed_at"
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
    "watched gold": (
        "task_id shown_id source created_at pictures exposures no_view answers accuracy "
        "expected_accuracy early_accuracy late_accuracy pace strength checked_at retired_at "
        "retired_reason"
    ),
    "training task": "task_id hint known_answer{} created_at",
    "training tasks": (
        "items[].task_id items[].hint items[].known_answer{} items[].created_at next "
        "places trainees{}"
    ),
    "dry run": (
        "answers asked unsure stopped[] stopped_now settled_otherwise estimated_accuracy "
        "cost_micro difference_micro"
    ),
    "task": (
        "id project_id tile_id state is_gold subject{} label{} confidence settled_at settled_by "
        "policy_version review_reason"
    ),
    "whole task": (
        "id project_id tile_id state is_gold subject{} label{} confidence settled_at settled_by "
        "policy_version review_reason tile.image_id tile.number tile.window[] tile.core[] tile.url "
        "tile.content_type answers[].lease_id answers[].earner_id answers[].outcome "
        "answers[].value{} answers[].answered_at answers[].seconds answers[].agreement "
        "answers[].verdict next"
    ),
    "task in review": (
        "id project_id tile_id state is_gold subject{} label{} confidence settled_at settled_by "
        "policy_version review_reason value"
    ),
    "side by side": (
        "id project_id tile_id state is_gold subject{} label{} confidence settled_at settled_by "
        "policy_version review_reason tile.image_id tile.number tile.window[] tile.core[] tile.url "
        "tile.content_type answers[].lease_id answers[].earner_id answers[].outcome "
        "answers[].value{} answers[].answered_at answers[].seconds answers[].verdict "
        "answers[].trust.value answers[].trust.gold_answers answers[].likeness answers[].group "
        "groups[].value{} groups[].answers groups[].weight agreement"
    ),
    "blind task": (
        "task.task_id task.subject{} task.tile.image_id task.tile.number task.tile.window[] "
        "task.tile.core[] task.tile.url task.tile.content_type"
    ),
    "review": (
        "id task_id reviewer_id purpose label{} compared{} score quality{} second created_at"
    ),
    "reviewers": (
        "pairs.tasks pairs.alike pairs.mean_score pairs.alpha reviewers[].person_id "
        "reviewers[].decided reviewers[].as_answers reviewers[].seconds reviewers[].as_others "
        "reviewers[].audited"
    ),
    "audit": (
        "id project_id created_by created_at seed population size right_from quality{} done "
        "finished_at"
    ),
    "whole audit": (
        "id project_id created_by created_at seed population size right_from quality{} done "
        "finished_at accuracy.value accuracy.low accuracy.high accuracy.level accuracy.method "
        "accuracy.sample.size accuracy.sample.right accuracy.sample.labels accuracy.sample.later "
        "calibration.method calibration.items calibration.error calibration.curve[].confidence "
        "calibration.curve[].accuracy calibration.curve[].low calibration.curve[].high "
        "calibration.curve[].items"
    ),
    "sampled task": "number task_id label{} confidence is_right is_corrected review_id",
    "quality": (
        "accuracy.value accuracy.low accuracy.high accuracy.level accuracy.method "
        "accuracy.sample.size accuracy.sample.right accuracy.sample.labels accuracy.sample.later "
        "calibration.method calibration.items calibration.error calibration.curve[].confidence "
        "calibration.curve[].accuracy calibration.curve[].low calibration.curve[].high "
        "calibration.curve[].items classes[].id classes[].name classes[].accepted "
        "classes[].by_gold.precision.value classes[].by_gold.precision.low "
        "classes[].by_gold.precision.high classes[].by_gold.called classes[].by_gold.recall.value "
        "classes[].by_gold.recall.low classes[].by_gold.recall.high classes[].by_gold.there "
        "classes[].by_gold.mistaken_for settled settled_by_answers settled_by_review "
        "share_reviewed in_review answers answers_per_task agreement reviewers.tasks "
        "reviewers.alike reviewers.mean_score reviewers.alpha"
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
        "blocked_reason training.state training.again_at training.questions "
        "training.right_needed training.pays_micro "
        "contests.contested contests.upheld contests.unanswered contests.is_often_overturned"
    ),
    "training": (
        "project_id state reason retry_after_seconds questions right_needed price_micro pays_micro "
        "currency attempt answered right ends_at"
    ),
    # training tasks check nobody: what is right is told to whoever has answered them
    "attempt": (
        "training.project_id training.state training.reason training.retry_after_seconds "
        "training.questions training.right_needed training.price_micro training.pays_micro "
        "training.currency training.attempt training.answered training.right training.ends_at "
        "questions[].lease_id questions[].fence questions[].project_id questions[].kind "
        "questions[].picture.url questions[].picture.content_type questions[].picture.width "
        "questions[].picture.height questions[].subject{} questions[].price_micro "
        "questions[].currency questions[].expires_at questions[].feedback.right "
        "questions[].feedback.closeness questions[].feedback.hint "
        "questions[].feedback.known_answer{}"
    ),
    "training answered": (
        "lease_id replayed feedback.right feedback.closeness feedback.hint "
        "feedback.known_answer{} "
        "training.project_id training.state training.reason training.retry_after_seconds "
        "training.questions training.right_needed training.price_micro training.pays_micro "
        "training.currency training.attempt training.answered training.right training.ends_at"
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
    "gold repair": (
        "task_id expected{} reason decided_by earners restored answers_paid created_at"
    ),
    "decision": (
        "id project_id effect rule reason numbers{} window_from window_to policy_version lease_id "
        "because_id by_a_person created_at contestable_until contest_state contest due_at answer "
        "resolved_at"
    ),
    "repairs": (
        "items[].lease_id items[].project_id items[].kind items[].picture.url "
        "items[].picture.content_type items[].picture.width items[].picture.height "
        "items[].subject{} items[].answer{} items[].reason items[].until"
    ),
    "repaired": "lease_id replayed",
    "earner": (
        "earner_id trust gold_answered gold_missed blocked_at blocked_reason stopped_by step "
        "signals[] strengths[] evidence[] looked_at"
    ),
    "contest": (
        "id project_id earner_id effect rule reason numbers{} policy_version lease_id decided_by "
        "created_at contested_at contest due_at contest_state resolved_at resolved_by answer"
    ),
    "policy": f"version {_QUALITY}created_by created_at",
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
_AUDIT = _OF_PROJECT + "/audits/{audit_id}"
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
    "POST /v1/tasks/{task_id}/gold/wrong": "gold repair",
    f"GET {_OF_PROJECT}/gold": "page of watched gold",
    "PUT /v1/tasks/{task_id}/training": "training task",
    "DELETE /v1/tasks/{task_id}/training": "nothing",
    f"GET {_OF_PROJECT}/training": "training tasks",
    f"GET {_OF_PROJECT}/tasks": "page of task",
    "GET /v1/tasks/{task_id}": "whole task",
    f"GET {_OF_PROJECT}/review": "page of task in review",
    "GET /v1/tasks/{task_id}/review": "side by side",
    "POST /v1/tasks/{task_id}/review": "task",
    f"GET {_OF_PROJECT}/second-opinions/next": "blind task",
    f"POST {_OF_PROJECT}/second-opinions/tasks/{{task_id}}": "review",
    f"GET {_OF_PROJECT}/reviews": "page of review",
    f"GET {_OF_PROJECT}/reviewers": "reviewers",
    f"POST {_OF_PROJECT}/audits": "audit",
    f"GET {_OF_PROJECT}/audits": "page of audit",
    f"GET {_AUDIT}": "whole audit",
    f"GET {_AUDIT}/tasks": "page of sampled task",
    f"GET {_AUDIT}/next": "blind task",
    f"POST {_AUDIT}/tasks/{{sampled_id}}": "sampled task",
    f"GET {_OF_PROJECT}/quality": "quality",
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
    "GET /v1/decisions": "page of decision",
    "GET /v1/decisions/export": "nothing",
    "GET /v1/decisions/{decision_id}": "decision",
    "POST /v1/decisions/{decision_id}/contest": "decision",
    "GET /v1/work/repairs": "repairs",
    "POST /v1/work/repairs/{lease_id}": "repaired",
    f"GET {_OF_PROJECT}/earners": "page of earner",
    f"GET {_OF_PROJECT}/cases": "page of earner",
    f"POST {_OF_PROJECT}/earners/{{earner_id}}/decision": "earner",
    f"GET {_OF_PROJECT}/contests": "page of contest",
    "POST /v1/contests/{decision_id}": "contest",
    f"GET {_OF_PROJECT}/policies": "page of policy",
    "GET /v1/work/training/{project_id}": "training",
    "POST /v1/work/training/{project_id}/attempts": "attempt",
    "POST /v1/work/training/{project_id}/answers": "training answered",
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
    "needed_micro needs payout_id project_id reason reference retry_after_seconds size state "
    "step_micro until uploads"
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
