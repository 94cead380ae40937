"""Every job by name. Whatever is enqueued is found here; a test sees to it."""

from collections.abc import Mapping
from types import MappingProxyType

from tessera.assignment import jobs as assignment
from tessera.conduct import jobs as conduct
from tessera.datasets import jobs as datasets
from tessera.images.imports import run_import
from tessera.images.ingest import ingest
from tessera.kernel.jobs import Handler
from tessera.quality import gold_jobs, import_job
from tessera.quality import jobs as quality
from tessera.storage.context import JobContext

HANDLERS: Mapping[str, Handler[JobContext]] = MappingProxyType(
    {
        "assignment.make_tasks": assignment.make_tasks,
        "assignment.open_tasks": assignment.open_tasks,
        "assignment.pass_on": assignment.pass_on,
        "assignment.release": assignment.release,
        "assignment.send_back": assignment.send_back,
        "conduct.watch": conduct.watch,
        "datasets.build": datasets.build,
        "datasets.verify": datasets.verify,
        "images.import": run_import,
        "images.ingest": ingest,
        "quality.ask_others": quality.ask_others,
        "quality.check_gold": gold_jobs.check_gold,
        "quality.check_broken": quality.check_broken,
        "quality.decide_again": quality.decide_again,
        "quality.doubt_gold": quality.doubt_gold,
        "quality.estimate": quality.estimate,
        "quality.import_annotations": import_job.import_annotations,
        "quality.note_strong": quality.note_strong,
        "quality.pull_gold": quality.pull_gold,
        "quality.rate_again": quality.rate_again,
        "quality.rotate_gold": gold_jobs.rotate_gold,
        "quality.reconsider": quality.reconsider,
        "quality.settle": quality.settle,
    }
)

LIMITS: Mapping[str, int] = MappingProxyType(
    {
        "images.import": 2,
        "images.ingest": 2,
        "datasets.build": 1,
        "quality.import_annotations": 1,
        "quality.estimate": 1,
        "quality.check_gold": 1,
        "quality.rotate_gold": 1,
        "conduct.watch": 1,
    }
)
"""Most runs of a job at once, over all workers: these want memory, disk and cores, and any one of
the workers may have all of them."""
